// The executor alone: libcoaming-run.so.1, for init systems and small programs.
#include "capi/src/modules.h"

namespace coaming::capi {
namespace {

constexpr ModuleMaker kModules[] = {CoreModule, RunModule};

}  // namespace

absl::Span<const ModuleMaker> Modules() { return kModules; }
std::string_view BuiltWith() { return " (the executor alone)"; }

}  // namespace coaming::capi
