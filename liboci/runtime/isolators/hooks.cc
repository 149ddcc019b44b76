// Hooks: the host's are waited for, those of the container are steps.
#include "absl/strings/str_cat.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

void AddContainerHooks(const PlanInput& in, const std::vector<Hook>& hooks, Plan* plan) {
  for (const Hook& h : hooks) {
    std::vector<std::string> args = h.args;
    if (args.empty()) args.push_back(h.path);
    plan->Add(COAM_OP_HOOK)
        .Text(0, h.path)
        .Words(1, 1, args)
        .Words(2, 2, h.env)
        .Text(3, in.state_json)
        .Num(0, static_cast<uint64_t>(h.timeout.value_or(0)))
        .Num(3, in.state_json.size())
        .Num(4, in.state_pid_offset);
  }
}

absl::Status PrepareHostHooks(const PlanInput& in, Plan* plan) {
  if (in.host_waits && !in.exec) plan->Add(COAM_OP_WAIT_HOST);
  return absl::OkStatus();
}

absl::Status PrepareCreateHooks(const PlanInput& in, Plan* plan) {
  if (!in.exec) AddContainerHooks(in, in.spec->hooks.create_container, plan);
  return absl::OkStatus();
}

}  // namespace coaming::run
