// The whole suite: libcoaming.so.1.
#include <curl/curlver.h>

#include "capi/src/modules.h"

namespace coaming::capi {
namespace {

// In reading order.
constexpr ModuleMaker kModules[] = {
    CoreModule, AciModule, CniModule,    OciModule, PodModule,
    SigModule,  TufModule, NotaryModule, RunModule,
};

}  // namespace

absl::Span<const ModuleMaker> Modules() { return kModules; }
std::string_view BuiltWith() { return " libcurl/" LIBCURL_VERSION; }

}  // namespace coaming::capi
