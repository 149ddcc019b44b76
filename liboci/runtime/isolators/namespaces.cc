// Namespaces: new ones by the spawn itself where the kernel allows it, joined ones by descriptor.
//
// One process is enough unless a user, pid or time namespace is joined, or a user or time namespace
// made: then the spawned process prepares and clones a sibling that goes on (two stages).
#include <sched.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace coaming::run {

namespace {

void Join(const Namespace& n, bool may_fail, uint64_t slot, Plan* plan) {
  plan->Add(COAM_OP_JOIN).Num(0, slot).Num(1, NamespaceFlag(n.type)).Flags(may_fail ? 1 : 0);
}

void WriteTimeOffsets(const PlanInput& in, Plan* plan) {
  std::string text;
  for (const auto& [clock, offset] : in.spec->linux_.time_offsets)
    absl::StrAppend(&text, clock, " ", offset.secs, " ", offset.nanosecs, "\n");
  if (!text.empty()) plan->Add(COAM_OP_PROC_WRITE).Text(1, "self/timens_offsets").Text(2, text);
}

// The id that the process has in a new user namespace before the program's own user is set: 0 if
// it is mapped, else the first that is.
uint32_t FirstId(const std::vector<IdMap>& maps) {
  uint32_t first = ~0u;
  for (const IdMap& m : maps) first = std::min(first, m.container_id);
  return first;
}

absl::Status PrepareExec(const PlanInput& in, Plan* plan) {
  plan->two_stage = true;
  plan->Add(COAM_OP_DUMPABLE).Num(0, 0);
  // Before the cgroup, whose cpuset would take it away.
  if (in.process != nullptr && in.process->exec_cpu_affinity &&
      !in.process->exec_cpu_affinity->initial.empty()) {
    std::string mask;
    uint64_t bits = 0;
    COAM_RETURN_IF_ERROR(ParseRanges("process.execCPUAffinity.initial",
                                     in.process->exec_cpu_affinity->initial, &mask, &bits));
    plan->Add(COAM_OP_AFFINITY).Bytes(1, mask).Num(0, mask.size());
  }
  if (in.process != nullptr && in.process->oom_score_adj)
    plan->Add(COAM_OP_PROC_WRITE)
        .Text(1, "self/oom_score_adj")
        .Text(2, absl::StrCat(*in.process->oom_score_adj));
  if (!in.into_cgroup && !in.cgroup_path.empty()) plan->Add(COAM_OP_WAIT_CGROUP);
  uint64_t slot = plan->AddSlot({Plan::Slot::Kind::kPidfd, "", 0});
  plan->Add(COAM_OP_JOIN_PIDFD).Num(0, slot).Num(1, in.join_flags);
  plan->Add(COAM_OP_CLONE).Num(0, 0);
  if (in.join_flags & CLONE_NEWUSER) plan->Add(COAM_OP_SET_IDS).Num(0, 0).Num(1, 0).Flags(1);
  plan->Add(COAM_OP_SETSID);
  if (!in.no_new_keyring) plan->Add(COAM_OP_KEYRING).Text(0, absl::StrCat("_ses.", in.id));
  return absl::OkStatus();
}

// The monitor is what the spawn makes; the container's process is its child.
void StartMonitor(const PlanInput& in, uint64_t made, Plan* plan) {
  uint64_t first = 0;
  for (uint64_t i = 0; i < COAM_MONITOR_SLOTS; ++i) {
    uint64_t slot = plan->AddSlot({Plan::Slot::Kind::kMonitor, "", i});
    if (i == 0) first = slot;
  }
  plan->Add(COAM_OP_MONITOR)
      .Num(0, plan->two_stage ? 0 : made)
      .Num(1, first)
      .Num(2, in.monitor.log_max_size)
      .Num(3, in.monitor.log_max_files)
      .Text(0, in.monitor.log_name)
      .Flags(in.monitor.flags | (plan->two_stage ? COAM_MONITOR_TWO_STAGE : 0u));
}

}  // namespace

absl::Status PrepareNamespaces(const PlanInput& in, Plan* plan) {
  if (in.exec) return PrepareExec(in, plan);
  uint64_t made = 0;
  const Namespace* user = nullptr;
  const Namespace* mount = nullptr;
  std::vector<const Namespace*> joined;
  for (const Namespace& n : in.spec->linux_.namespaces) {
    if (n.path.empty()) made |= NamespaceFlag(n.type);
    else if (n.type == "user") user = &n;
    else if (n.type == "mount") mount = &n;
    else joined.push_back(&n);
  }
  bool new_cgroup = (made & CLONE_NEWCGROUP) != 0, new_time = (made & CLONE_NEWTIME) != 0;
  bool joins_pid = std::any_of(joined.begin(), joined.end(), [](const Namespace* n) {
    return n->type == "pid" || n->type == "time";
  });
  made &= ~(uint64_t{CLONE_NEWCGROUP} | CLONE_NEWTIME);
  plan->two_stage = user != nullptr || joins_pid || new_time || (made & CLONE_NEWUSER) != 0;

  if (in.monitor.on) StartMonitor(in, made, plan);
  // A process of the joined namespaces must not be able to trace this one, or reach its files.
  if (user != nullptr || joins_pid) plan->Add(COAM_OP_DUMPABLE).Num(0, 0);
  if (!plan->two_stage && !in.monitor.on) plan->spawn_flags = made;
  std::vector<uint64_t> slots;
  for (const Namespace* n : joined) {
    slots.push_back(plan->AddSlot({Plan::Slot::Kind::kNamespace, n->path, NamespaceFlag(n->type)}));
    // Owned by the host's user namespace or by the one to be joined: tried on both sides.
    Join(*n, /*may_fail=*/user != nullptr, slots.back(), plan);
  }
  if (user != nullptr) {
    Join(*user, false,
         plan->AddSlot({Plan::Slot::Kind::kNamespace, user->path, NamespaceFlag("user")}), plan);
    for (size_t i = 0; i < joined.size(); ++i) Join(*joined[i], false, slots[i], plan);
  }
  if (new_time) {
    plan->Add(COAM_OP_UNSHARE).Num(0, CLONE_NEWTIME);
    WriteTimeOffsets(in, plan);
  }
  if (mount != nullptr)
    Join(*mount, false,
         plan->AddSlot({Plan::Slot::Kind::kNamespace, mount->path, NamespaceFlag("mount")}), plan);
  if (plan->two_stage) plan->Add(COAM_OP_CLONE).Num(0, made);
  if (made & CLONE_NEWUSER) {
    plan->Add(COAM_OP_WAIT_MAPS);
    plan->Add(COAM_OP_SET_IDS)
        .Num(0, FirstId(in.spec->linux_.uid_mappings))
        .Num(1, FirstId(in.spec->linux_.gid_mappings))
        .Flags(1);
  } else if (user != nullptr) {
    plan->Add(COAM_OP_SET_IDS).Num(0, 0).Num(1, 0).Flags(1);
  }
  plan->Add(COAM_OP_SETSID);
  if (!in.no_new_keyring) plan->Add(COAM_OP_KEYRING).Text(0, absl::StrCat("_ses.", in.id));
  if (new_cgroup) {
    // The namespace's root is where the process is when it is made.
    if (!in.into_cgroup && !in.cgroup_path.empty()) plan->Add(COAM_OP_WAIT_CGROUP);
    plan->Add(COAM_OP_UNSHARE).Num(0, CLONE_NEWCGROUP);
  }
  if (made & CLONE_NEWNET) plan->Add(COAM_OP_LOOPBACK);
  return absl::OkStatus();
}

}  // namespace coaming::run
