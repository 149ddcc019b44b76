// AppArmor and SELinux: the label of the program, told to the kernel just before it is executed.
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

namespace {

// A kernel without the module cannot do what is asked: an error, unless the host has said that it may
// be left out.
absl::Status Lacks(const PlanInput& in, std::string_view member, std::string_view module) {
  if (!in.lenient_labels)
    return base::Fail("run.unsupported")
               .Hint(absl::StrCat("boot with ", module, " enabled, or leave ", member, " out"))
               .Detail("spec.member", member)
           << member << ": " << module << " is not enabled in this kernel";
  in.Warn(absl::StrCat(member, ": left out, since ", module, " is not enabled in this kernel"));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLabels(const PlanInput& in) {
  const Process* p = in.process;
  absl::Status s;
  if (p != nullptr && !p->apparmor_profile.empty() && !in.facts->apparmor)
    s = Lacks(in, "process.apparmorProfile", "AppArmor");
  if (s.ok() && p != nullptr && !p->selinux_label.empty() && !in.facts->selinux)
    s = Lacks(in, "process.selinuxLabel", "SELinux");
  if (s.ok() && !in.exec && !in.spec->linux_.mount_label.empty() && !in.facts->selinux)
    s = Lacks(in, "linux.mountLabel", "SELinux");
  return s;
}

void AddLabels(const PlanInput& in, Plan* plan) {
  const Process& p = *in.process;
  const bool apparmor = in.facts->apparmor && !p.apparmor_profile.empty();
  const bool selinux = in.facts->selinux && !p.selinux_label.empty();
  if (!apparmor && !selinux) return;
  // The host's procfs: what the container has at /proc may lead elsewhere.
  const uint64_t proc = plan->AddSlot({Plan::Slot::Kind::kProc, "/proc", 0});
  if (apparmor)
    plan->Add(COAM_OP_LABEL_EXEC)
        .Text(1, in.facts->apparmor_own_files ? "self/attr/apparmor/exec" : "self/attr/exec")
        .Text(2, absl::StrCat("exec ", p.apparmor_profile))
        .Num(0, proc);
  if (selinux)
    plan->Add(COAM_OP_LABEL_EXEC).Text(1, "self/attr/exec").Text(2, p.selinux_label).Num(0, proc);
}

}  // namespace coaming::run
