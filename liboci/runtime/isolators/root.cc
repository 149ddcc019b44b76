// The root: cloned, attached, entered.
#include <linux/mount.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

namespace {

absl::StatusOr<uint64_t> Propagation(std::string_view text) {
  constexpr std::pair<std::string_view, uint64_t> kRows[] = {
      {"", MS_SLAVE | MS_REC},
      {"shared", MS_SHARED},
      {"rshared", MS_SHARED | MS_REC},
      {"slave", MS_SLAVE},
      {"rslave", MS_SLAVE | MS_REC},
      {"private", MS_PRIVATE},
      {"rprivate", MS_PRIVATE | MS_REC},
      {"unbindable", MS_UNBINDABLE},
      {"runbindable", MS_UNBINDABLE | MS_REC}};
  for (const auto& [name, flags] : kRows)
    if (name == text) return flags;
  return FailSpec("linux.rootfsPropagation", absl::StrCat("unknown value \"", text, "\""));
}

}  // namespace

absl::Status PrepareRoot(const PlanInput& in, Plan* plan) {
  if (!in.has_root()) {
    if (!in.exec && !in.spec->mounts.empty() && in.Makes("mount"))
      return FailSpec("root", "mounts need a root");
    return absl::OkStatus();
  }
  const Namespace* ns = in.spec->FindNamespace("mount");
  if (ns == nullptr) return FailSpec("root", "a root needs a mount namespace in linux.namespaces");
  COAM_ASSIGN_OR_RETURN(uint64_t flags, Propagation(in.spec->linux_.rootfs_propagation));
  bool shared = (flags & MS_SHARED) != 0;
  // Unbindable mounts cannot be cloned: until the end the tree is a slave of the host's.
  uint64_t first = (flags & MS_UNBINDABLE) ? (MS_SLAVE | MS_REC) : (flags | MS_REC);
  if (!shared) plan->Add(COAM_OP_PROPAGATION).Num(0, first);
  if (shared) plan->Add(COAM_OP_PROPAGATION).Num(0, MS_PRIVATE);  // "/" alone: the pivot needs it
  Plan::Step step = plan->Add(COAM_OP_ROOT);
  step.Text(0, in.rootfs).Num(0, COAM_NO_SLOT).Flags(shared ? 1 : 0);
  // In a new user namespace the path may be out of reach: the host clones the tree beforehand.
  if (in.new_user() && in.facts->euid == 0)
    step.Num(0, plan->AddSlot({Plan::Slot::Kind::kTree, in.rootfs, Plan::Slot::kRecursive}));
  return absl::OkStatus();
}

absl::Status PrepareEnter(const PlanInput& in, Plan* plan) {
  if (!in.has_root()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(uint64_t flags, Propagation(in.spec->linux_.rootfs_propagation));
  // The program's directory is made where it is missing, as in runc and crun.
  if (in.process != nullptr && in.process->cwd != "/" && !in.process->cwd.empty())
    plan->Add(COAM_OP_MKDIR).Text(2, in.process->cwd).Num(0, 0755).Flags(1);
  if (in.spec->root->readonly) plan->Add(COAM_OP_ROOT_READONLY);
  bool shared = (flags & MS_SHARED) != 0;
  plan->Add(COAM_OP_PIVOT).Flags((in.no_pivot ? 1u : 0u) | (shared ? 2u : 0u));
  if (!in.spec->linux_.rootfs_propagation.empty())
    plan->Add(COAM_OP_ROOT_PROPAGATION).Num(0, flags);
  return absl::OkStatus();
}

}  // namespace coaming::run
