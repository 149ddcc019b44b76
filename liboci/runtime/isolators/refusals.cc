// What a specification may ask for and this build cannot enforce. Asking is an error, as runtime.md
// demands, and never a silent gap.
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {
namespace {

absl::Status Refuse(std::string_view member, std::string_view why) {
  return base::Fail("run.unsupported")
             .Hint(absl::StrCat("leave ", member, " out, or use a runtime that enforces it"))
             .Detail("spec.member", member)
         << member << ": " << why;
}

bool CopiesUp(const Mount& mount) {
  for (const std::string& option : mount.options) {
    if (option == "tmpcopyup") return true;
  }
  return false;
}

}  // namespace

absl::Status CheckEnforceable(const PlanInput& in) {
  const Linux& lin = in.spec->linux_;
  if (in.process != nullptr && !in.process->apparmor_profile.empty()) {
    return Refuse("process.apparmorProfile", "AppArmor profiles are not applied by this build");
  }
  if (in.process != nullptr && !in.process->selinux_label.empty()) {
    return Refuse("process.selinuxLabel", "SELinux labels are not applied by this build");
  }
  if (!lin.mount_label.empty()) {
    return Refuse("linux.mountLabel", "SELinux labels are not applied by this build");
  }
  if (lin.intel_rdt.has_value()) {
    return Refuse("linux.intelRdt", "cache and bandwidth allocation is not set by this build");
  }
  if (!lin.net_devices.empty()) {
    return Refuse("linux.netDevices", "host interfaces are not moved by this build");
  }
  for (const Mount& mount : in.spec->mounts) {
    if (CopiesUp(mount)) {
      return Refuse(absl::StrCat("mounts[", mount.destination, "]"),
                    "tmpcopyup is not carried out by this build");
    }
  }
  return absl::OkStatus();
}

}  // namespace coaming::run
