// Privileges, working directory, and the program: the steps from which there is no way back.
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/caps.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

void AddLabels(const PlanInput& in, Plan* plan);
void AddContainerHooks(const PlanInput& in, const std::vector<Hook>& hooks,
                       const std::vector<std::string>* program_env, Plan* plan);

namespace {

void AddFilter(const Filter& filter, Plan* plan) {
  plan->Add(COAM_OP_SECCOMP)
      .Bytes(1, filter.code)
      .Num(0, filter.code.size() / 8)
      .Num(1, filter.flags)
      .Flags(filter.has_listener ? 1 : 0);
}

std::string_view EnvOf(const Process& p, std::string_view name) {
  for (const std::string& e : p.env)
    if (absl::StartsWith(e, name) && e.size() > name.size() && e[name.size()] == '=')
      return std::string_view(e).substr(name.size() + 1);
  return "";
}

}  // namespace

absl::Status PreparePrivileges(const PlanInput& in, Plan* plan) {
  if (in.process == nullptr || in.pause) return absl::OkStatus();
  const Process& p = *in.process;
  // Read while a filter or the user cannot forbid it.
  if (EnvOf(p, "HOME").empty()) plan->Add(COAM_OP_HOME).Num(0, p.user.uid);
  std::vector<std::string> unknown;
  Capabilities caps = p.capabilities.value_or(Capabilities{});
  uint64_t bounding = CapabilityMask(caps.bounding, &unknown);
  uint64_t effective = CapabilityMask(caps.effective, &unknown);
  uint64_t permitted = CapabilityMask(caps.permitted, &unknown);
  uint64_t inheritable = CapabilityMask(caps.inheritable, &unknown);
  uint64_t ambient = CapabilityMask(caps.ambient, &unknown);
  if (!unknown.empty())
    in.Warn(
        absl::StrCat("process.capabilities: unknown and left out: ", absl::StrJoin(unknown, ", ")));
  // Without the flag a filter needs CAP_SYS_ADMIN: it comes before the capabilities go, and after the
  // directory was checked, since it may forbid the call for that.
  bool early = in.filter != nullptr && !p.no_new_privileges;
  if (p.user.uid != 0 || early) plan->Add(COAM_OP_CHDIR).Text(1, p.cwd).Flags(1);
  if (early) AddFilter(*in.filter, plan);
  if (p.capabilities) plan->Add(COAM_OP_BOUNDING).Num(0, bounding);
  std::string groups(p.user.additional_gids.size() * 4, '\0');
  if (!groups.empty()) std::memcpy(groups.data(), p.user.additional_gids.data(), groups.size());
  // An unprivileged user's map of one group forbids setgroups.
  bool no_groups = in.facts->euid != 0 && p.user.additional_gids.empty();
  if (auto keep = in.spec->annotations.find("run.oci.keep_original_groups");
      keep != in.spec->annotations.end() && keep->second == "1" && p.user.additional_gids.empty())
    no_groups = true;
  Plan::Step user = plan->Add(COAM_OP_USER);
  user.Num(0, p.user.uid)
      .Num(1, p.user.gid)
      .Num(2, p.user.additional_gids.size())
      .Flags(no_groups ? 1 : 0);
  if (!groups.empty()) user.Bytes(1, groups);
  if (p.capabilities)
    plan->Add(COAM_OP_CAPS).Num(0, effective).Num(1, permitted).Num(2, inheritable).Num(3, ambient);
  if (p.no_new_privileges) plan->Add(COAM_OP_NO_NEW_PRIVS);
  return absl::OkStatus();
}

absl::Status PrepareProgram(const PlanInput& in, Plan* plan) {
  auto ready = [&] { plan->Add(COAM_OP_READY).Flags(in.wait_start ? 1 : 0); };
  if (in.pause || in.process == nullptr) {
    ready();
    if (!in.pause)
      return base::Fail("run.spec") << "process: the container has no program to start";
    plan->Add(COAM_OP_PAUSE);
    return absl::OkStatus();
  }
  const Process& p = *in.process;
  if (p.args.empty()) return FailSpec("process.args", "must name a program");
  // An empty HOME counts as none.
  std::vector<std::string> env = p.env;
  std::erase(env, "HOME=");
  std::string_view path = EnvOf(p, "PATH");
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  plan->Add(COAM_OP_UMASK).Num(0, p.user.umask.value_or(022));
  plan->Add(COAM_OP_CHDIR).Text(1, p.cwd);
  plan->Add(COAM_OP_LOOKUP).Text(1, p.args[0]).Text(3, path);
  ready();
  // As runc has it, a startContainer hook without an environment gets the program's.
  if (!in.exec) AddContainerHooks(in, in.spec->hooks.start_container, &env, plan);
  AddLabels(in, plan);
  if (in.filter != nullptr && p.no_new_privileges) AddFilter(*in.filter, plan);
  plan->Add(COAM_OP_EXEC)
      .Words(1, 1, p.args)
      .Words(2, 2, env)
      .Text(3, path)
      .Flags(in.listen_pid ? 1 : 0);
  return absl::OkStatus();
}

}  // namespace coaming::run
