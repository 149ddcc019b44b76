// Kernel settings of the container's namespaces, limits and scheduling of its process.
#include <sys/resource.h>

#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

namespace {

// The kernel's struct sched_attr, with utilisation clamps.
struct SchedAttr {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

struct Name {
  std::string_view name;
  uint64_t value;
};
template <size_t N>
const Name* Find(const Name (&rows)[N], std::string_view name) {
  for (const Name& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

constexpr Name kRlimits[] = {
    {"RLIMIT_CPU", 0},       {"RLIMIT_FSIZE", 1}, {"RLIMIT_DATA", 2},    {"RLIMIT_STACK", 3},
    {"RLIMIT_CORE", 4},      {"RLIMIT_RSS", 5},   {"RLIMIT_NPROC", 6},   {"RLIMIT_NOFILE", 7},
    {"RLIMIT_MEMLOCK", 8},   {"RLIMIT_AS", 9},    {"RLIMIT_LOCKS", 10},  {"RLIMIT_SIGPENDING", 11},
    {"RLIMIT_MSGQUEUE", 12}, {"RLIMIT_NICE", 13}, {"RLIMIT_RTPRIO", 14}, {"RLIMIT_RTTIME", 15}};
constexpr Name kPolicies[] = {{"SCHED_OTHER", 0},   {"SCHED_FIFO", 1}, {"SCHED_RR", 2},
                              {"SCHED_BATCH", 3},   {"SCHED_ISO", 4},  {"SCHED_IDLE", 5},
                              {"SCHED_DEADLINE", 6}};
constexpr Name kSchedFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},    {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};
constexpr Name kIoClasses[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
constexpr Name kMemoryModes[] = {{"MPOL_DEFAULT", 0},
                                 {"MPOL_PREFERRED", 1},
                                 {"MPOL_BIND", 2},
                                 {"MPOL_INTERLEAVE", 3},
                                 {"MPOL_LOCAL", 4},
                                 {"MPOL_PREFERRED_MANY", 5},
                                 {"MPOL_WEIGHTED_INTERLEAVE", 6}};
constexpr Name kMemoryFlags[] = {{"MPOL_F_NUMA_BALANCING", 1u << 13},
                                 {"MPOL_F_RELATIVE_NODES", 1u << 14},
                                 {"MPOL_F_STATIC_NODES", 1u << 15}};

// Which new namespace makes a setting the container's own.
absl::Status CheckSysctl(const PlanInput& in, const std::string& key, const std::string& path) {
  constexpr std::string_view kIpc[] = {"kernel/msgmax", "kernel/msgmnb",         "kernel/msgmni",
                                       "kernel/sem",    "kernel/shmall",         "kernel/shmmax",
                                       "kernel/shmmni", "kernel/shm_rmid_forced"};
  std::string at = absl::StrCat("linux.sysctl[", key, "]");
  for (std::string_view part : {"..", "//"})
    if (absl::StrContains(path, part)) return FailSpec(at, "is not a key");
  auto own = [&in](std::string_view type) { return in.spec->FindNamespace(type) != nullptr; };
  for (std::string_view k : kIpc)
    if (path == k) return own("ipc") ? absl::OkStatus() : FailSpec(at, "needs an ipc namespace");
  if (absl::StartsWith(path, "fs/mqueue/"))
    return own("ipc") ? absl::OkStatus() : FailSpec(at, "needs an ipc namespace");
  if (absl::StartsWith(path, "net/"))
    return own("network") ? absl::OkStatus() : FailSpec(at, "needs a network namespace");
  if (absl::StartsWith(path, "user/"))
    return own("user") ? absl::OkStatus() : FailSpec(at, "needs a user namespace");
  if (path == "kernel/domainname" || path == "kernel/hostname") {
    if (!own("uts")) return FailSpec(at, "needs a uts namespace");
    if (path == "kernel/hostname" && !in.spec->hostname.empty())
      return FailSpec(at, "is set by the member hostname as well");
    return absl::OkStatus();
  }
  return FailSpec(at, "does not belong to a namespace: it would change the host");
}

// A sysctl key uses dots or slashes, whichever comes first; the other then stands for itself.
std::string SysctlPath(const std::string& key) {
  size_t at = key.find_first_of("./");
  if (at == std::string::npos || key[at] == '/') return key;
  return absl::StrReplaceAll(key, {{".", "/"}, {"/", "."}});
}

absl::Status PrepareMemoryPolicy(const MemoryPolicy& policy, Plan* plan) {
  const Name* mode = Find(kMemoryModes, policy.mode);
  if (mode == nullptr)
    return FailSpec("linux.memoryPolicy.mode", absl::StrCat("unknown mode \"", policy.mode, "\""));
  uint64_t value = mode->value, bits = 0;
  for (const std::string& f : policy.flags) {
    const Name* flag = Find(kMemoryFlags, f);
    if (flag == nullptr)
      return FailSpec("linux.memoryPolicy.flags", absl::StrCat("unknown flag \"", f, "\""));
    value |= flag->value;
  }
  std::string mask;
  COAM_RETURN_IF_ERROR(ParseRanges("linux.memoryPolicy.nodes", policy.nodes, &mask, &bits));
  Plan::Step step = plan->Add(COAM_OP_MEMPOLICY);
  step.Num(0, value).Num(1, bits);
  if (!mask.empty()) step.Bytes(1, mask);
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseRanges(std::string_view member, std::string_view text, std::string* bytes,
                         uint64_t* bits) {
  *bits = 0;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view range = text.substr(0, comma);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    size_t dash = range.find('-');
    uint32_t first = 0, last = 0;
    if (!absl::SimpleAtoi(range.substr(0, dash), &first) ||
        !absl::SimpleAtoi(dash == std::string_view::npos ? range : range.substr(dash + 1), &last) ||
        last < first || last > 65535)
      return FailSpec(member, absl::StrCat("\"", range, "\" is not a range"));
    if (bytes->size() < (last / 64 + 1) * 8) bytes->resize((last / 64 + 1) * 8, '\0');
    for (uint32_t i = first; i <= last; ++i)
      (*bytes)[i / 8] = static_cast<char>((*bytes)[i / 8] | 1 << (i % 8));
    *bits = bytes->size() * 8 + 1;
  }
  return absl::OkStatus();
}

absl::Status PrepareKernelSettings(const PlanInput& in, Plan* plan) {
  if (in.exec) return absl::OkStatus();
  if (in.process != nullptr && in.process->oom_score_adj)
    plan->Add(COAM_OP_PROC_WRITE)
        .Text(1, "self/oom_score_adj")
        .Text(2, absl::StrCat(*in.process->oom_score_adj));
  if (!in.spec->hostname.empty()) plan->Add(COAM_OP_HOSTNAME).Text(1, in.spec->hostname);
  if (!in.spec->domainname.empty()) plan->Add(COAM_OP_DOMAINNAME).Text(1, in.spec->domainname);
  for (const auto& [key, value] : in.spec->linux_.sysctl) {
    std::string path = SysctlPath(key);
    COAM_RETURN_IF_ERROR(CheckSysctl(in, key, path));
    plan->Add(COAM_OP_PROC_WRITE).Text(1, absl::StrCat("sys/", path)).Text(2, value);
  }
  return absl::OkStatus();
}

absl::Status PrepareLimits(const PlanInput& in, Plan* plan) {
  if (in.process == nullptr) return absl::OkStatus();
  for (const Rlimit& r : in.process->rlimits) {
    const Name* resource = Find(kRlimits, r.type);
    if (resource == nullptr)
      return FailSpec("process.rlimits", absl::StrCat("unknown type \"", r.type, "\""));
    plan->Add(COAM_OP_RLIMIT).Num(0, resource->value).Num(1, r.soft).Num(2, r.hard);
  }
  return absl::OkStatus();
}

absl::Status PrepareScheduling(const PlanInput& in, Plan* plan) {
  if (!in.exec && in.spec->linux_.memory_policy)
    COAM_RETURN_IF_ERROR(PrepareMemoryPolicy(*in.spec->linux_.memory_policy, plan));
  if (!in.exec && in.spec->linux_.personality) {
    const Personality& p = *in.spec->linux_.personality;
    if (p.domain != "LINUX" && p.domain != "LINUX32")
      return FailSpec("linux.personality.domain", absl::StrCat("unknown value \"", p.domain, "\""));
    if (!p.flags.empty()) return FailSpec("linux.personality.flags", "no flag is known");
    plan->Add(COAM_OP_PERSONALITY).Num(0, p.domain == "LINUX32" ? 8 : 0);
  }
  if (in.process == nullptr) return absl::OkStatus();
  if (in.process->scheduler) {
    const Scheduler& s = *in.process->scheduler;
    const Name* policy = Find(kPolicies, s.policy);
    if (policy == nullptr)
      return FailSpec("process.scheduler.policy",
                      absl::StrCat("unknown policy \"", s.policy, "\""));
    SchedAttr attr = {};
    attr.size = 48;
    attr.policy = static_cast<uint32_t>(policy->value);
    attr.nice = s.nice;
    attr.priority = static_cast<uint32_t>(s.priority);
    attr.runtime = s.runtime;
    attr.deadline = s.deadline;
    attr.period = s.period;
    for (const std::string& f : s.flags) {
      const Name* flag = Find(kSchedFlags, f);
      if (flag == nullptr)
        return FailSpec("process.scheduler.flags", absl::StrCat("unknown flag \"", f, "\""));
      attr.flags |= flag->value;
    }
    if (attr.flags & 0x60) attr.size = sizeof attr;
    plan->Add(COAM_OP_SCHEDULER)
        .Bytes(1, std::string_view(reinterpret_cast<const char*>(&attr), sizeof attr))
        .Num(0, attr.size);
  }
  if (in.process->io_priority) {
    const IoPriority& io = *in.process->io_priority;
    const Name* io_class = Find(kIoClasses, io.io_class);
    if (io_class == nullptr)
      return FailSpec("process.ioPriority.class",
                      absl::StrCat("unknown class \"", io.io_class, "\""));
    plan->Add(COAM_OP_IOPRIO).Num(0, io_class->value << 13 | static_cast<uint64_t>(io.priority));
  }
  if (in.exec && in.process->exec_cpu_affinity && !in.process->exec_cpu_affinity->final.empty()) {
    std::string mask;
    uint64_t bits = 0;
    COAM_RETURN_IF_ERROR(ParseRanges("process.execCPUAffinity.final",
                                     in.process->exec_cpu_affinity->final, &mask, &bits));
    plan->Add(COAM_OP_AFFINITY).Bytes(1, mask).Num(0, mask.size());
  }
  return absl::OkStatus();
}

}  // namespace coaming::run
