// Hooks: the host's are waited for, those of the container are steps.
#include "absl/strings/str_cat.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

void AddContainerHooks(const PlanInput& in, const std::vector<Hook>& hooks,
                       const std::vector<std::string>* program_env, Plan* plan) {
  for (const Hook& h : hooks) {
    const bool inherits = h.env.empty() && program_env != nullptr;
    std::vector<std::string> args = h.args;
    if (args.empty()) args.push_back(h.path);
    plan->Add(COAM_OP_HOOK)
        .Text(0, h.path)
        .Words(1, 1, args)
        .Words(2, 2, inherits ? *program_env : h.env)
        .Flags(inherits ? 1 : 0)
        .Text(3, in.state_json)
        .Num(0, static_cast<uint64_t>(h.timeout.value_or(0)))
        .Num(3, in.state_json.size())
        .Num(4, in.state_pid_offset);
  }
}

absl::Status PrepareHostHooks(const PlanInput& in, Plan* plan) {
  if (in.host_waits && !in.exec)
    plan->Add(COAM_OP_WAIT_HOST).Flags(in.spec->linux_.net_devices.empty() ? 0 : 1);
  return absl::OkStatus();
}

absl::Status PrepareCreateHooks(const PlanInput& in, Plan* plan) {
  if (!in.exec) AddContainerHooks(in, in.spec->hooks.create_container, nullptr, plan);
  return absl::OkStatus();
}

}  // namespace coaming::run
