// The isolators in the order of their steps. To add one: docs/NEW-ISOLATOR.md.
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

namespace {
constexpr Isolator kTable[] = {
    {"namespaces", Stage::kNamespaces, PrepareNamespaces},
    {"root", Stage::kRoot, PrepareRoot},
    {"mounts", Stage::kRoot, PrepareMounts},
    {"devices", Stage::kRoot, PrepareDevices},
    {"console", Stage::kRoot, PrepareConsole},
    // Hooks of the host see every mount and may add some (GPU hooks do); CNI runs here too.
    {"host_hooks", Stage::kHost, PrepareHostHooks},
    {"create_hooks", Stage::kHost, PrepareCreateHooks},
    // After CNI, so that net.*.eth0.* settings find their interface; before the root is entered,
    // while /proc is still the host's own.
    {"kernel_settings", Stage::kHost, PrepareKernelSettings},
    {"masks", Stage::kHost, PrepareMasks},
    {"enter", Stage::kEnter, PrepareEnter},
    {"limits", Stage::kLimits, PrepareLimits},
    {"scheduling", Stage::kLimits, PrepareScheduling},
    {"privileges", Stage::kPrivileges, PreparePrivileges},
    {"program", Stage::kLast, PrepareProgram},
};

constexpr bool StagesRise() {
  for (size_t i = 1; i < std::size(kTable); ++i)
    if (kTable[i].stage < kTable[i - 1].stage) return false;
  return true;
}
static_assert(StagesRise(), "the table's stages must not go backwards");
}  // namespace

std::span<const Isolator> Isolators() { return kTable; }

bool PlanInput::Makes(std::string_view type) const {
  if (exec) return false;
  const Namespace* n = spec->FindNamespace(type);
  return n != nullptr && n->path.empty();
}

absl::Status FailSpec(std::string_view member, std::string_view message) {
  return base::Fail("run.spec").Detail("spec.member", member) << member << ": " << message;
}

absl::StatusOr<Plan> CompilePlan(const PlanInput& in) {
  Plan plan;
  COAM_RETURN_IF_ERROR(CheckLabels(in));
  for (const Isolator& isolator : kTable) COAM_RETURN_IF_ERROR(isolator.prepare(in, &plan));
  return plan;
}

}  // namespace coaming::run
