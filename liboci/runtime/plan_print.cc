// The words for steps: for people, for golden tests and for errors.
#include <linux/mount.h>
#include <sched.h>
#include <sys/resource.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "liboci/runtime/caps.h"
#include "liboci/runtime/plan.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace coaming::run {

namespace {

struct NamespaceRow {
  std::string_view name;
  uint64_t flag;
};
constexpr NamespaceRow kNamespaces[] = {
    {"user", CLONE_NEWUSER},     {"pid", CLONE_NEWPID},   {"mount", CLONE_NEWNS},
    {"network", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
};

// op, gerund for errors, verb for plans, reason of a failure.
struct OpRow {
  coam_op op;
  std::string_view doing, verb, reason;
};
constexpr OpRow kOps[] = {
    {COAM_OP_JOIN, "joining", "join", "run.namespace"},
    {COAM_OP_JOIN_PIDFD, "joining", "join", "run.namespace"},
    {COAM_OP_UNSHARE, "making", "make", "run.namespace"},
    {COAM_OP_CLONE, "making", "make", "run.namespace"},
    {COAM_OP_WAIT_MAPS, "waiting for", "wait for", "run.idmap"},
    {COAM_OP_SET_IDS, "becoming", "become", "run.idmap"},
    {COAM_OP_WAIT_CGROUP, "waiting for", "wait for", "run.cgroup"},
    {COAM_OP_WAIT_HOST, "waiting for", "wait for", "run.setup"},
    {COAM_OP_SETSID, "starting", "start", "run.setup"},
    {COAM_OP_KEYRING, "making", "make", "run.setup"},
    {COAM_OP_DUMPABLE, "setting", "set", "run.setup"},
    {COAM_OP_MONITOR, "starting", "start", "run.monitor"},
    {COAM_OP_PROPAGATION, "setting", "set", "run.root"},
    {COAM_OP_ROOT, "mounting", "mount", "run.root"},
    {COAM_OP_MOUNT, "mounting", "mount", "run.mount"},
    {COAM_OP_BIND, "mounting", "bind", "run.mount"},
    {COAM_OP_REMOUNT, "remounting", "remount", "run.mount"},
    {COAM_OP_MASK, "masking", "mask", "run.mask"},
    {COAM_OP_READONLY, "protecting", "make read-only", "run.mask"},
    {COAM_OP_MKNOD, "making", "make", "run.device"},
    {COAM_OP_BIND_NODE, "mounting", "bind", "run.device"},
    {COAM_OP_SYMLINK, "making", "make", "run.device"},
    {COAM_OP_CONSOLE, "setting up", "set up", "run.console"},
    {COAM_OP_PIVOT, "entering", "enter", "run.root"},
    {COAM_OP_ROOT_PROPAGATION, "setting", "set", "run.root"},
    {COAM_OP_ROOT_READONLY, "protecting", "make read-only", "run.root"},
    {COAM_OP_TMPCOPYUP, "mounting", "mount", "run.mount"},
    {COAM_OP_MKDIR, "making", "make", "run.mount"},
    {COAM_OP_PROC_WRITE, "writing", "write", "run.sysctl"},
    {COAM_OP_HOSTNAME, "setting", "set", "run.setup"},
    {COAM_OP_DOMAINNAME, "setting", "set", "run.setup"},
    {COAM_OP_RLIMIT, "setting", "set", "run.rlimit"},
    {COAM_OP_SCHEDULER, "setting", "set", "run.scheduling"},
    {COAM_OP_IOPRIO, "setting", "set", "run.scheduling"},
    {COAM_OP_AFFINITY, "setting", "set", "run.scheduling"},
    {COAM_OP_MEMPOLICY, "setting", "set", "run.scheduling"},
    {COAM_OP_PERSONALITY, "setting", "set", "run.setup"},
    {COAM_OP_UMASK, "setting", "set", "run.setup"},
    {COAM_OP_LABEL_EXEC, "setting", "set", "run.label"},
    {COAM_OP_LOOPBACK, "setting up", "set up", "run.setup"},
    {COAM_OP_BOUNDING, "limiting", "limit", "run.privileges"},
    {COAM_OP_USER, "becoming", "become", "run.privileges"},
    {COAM_OP_CAPS, "setting", "set", "run.privileges"},
    {COAM_OP_NO_NEW_PRIVS, "forbidding", "forbid", "run.privileges"},
    {COAM_OP_SECCOMP, "loading", "load", "run.seccomp"},
    {COAM_OP_CHDIR, "entering", "enter", "run.cwd"},
    {COAM_OP_HOOK, "running", "run", "run.hook"},
    {COAM_OP_READY, "waiting for", "wait for", "run.setup"},
    {COAM_OP_EXEC, "executing", "execute", "run.exec"},
    {COAM_OP_PAUSE, "pausing", "pause", "run.setup"},
    {COAM_OP_LOOKUP, "finding", "find", "run.exec"},
    {COAM_OP_HOME, "finding", "find", "run.setup"},
};
constexpr OpRow kUnknown = {COAM_OP_NONE, "doing", "do", "run.setup"};

const OpRow& Row(coam_op op) {
  for (const OpRow& row : kOps)
    if (row.op == op) return row;
  return kUnknown;
}

struct FlagRow {
  uint64_t flag;
  std::string_view name;
};
constexpr FlagRow kMountFlags[] = {
    {MS_RDONLY, "ro"},
    {MS_NOSUID, "nosuid"},
    {MS_NODEV, "nodev"},
    {MS_NOEXEC, "noexec"},
    {MS_SYNCHRONOUS, "sync"},
    {MS_MANDLOCK, "mand"},
    {MS_DIRSYNC, "dirsync"},
    {MS_NOATIME, "noatime"},
    {MS_NODIRATIME, "nodiratime"},
    {MS_RELATIME, "relatime"},
    {MS_STRICTATIME, "strictatime"},
    {MS_SILENT, "silent"},
    {MS_LAZYTIME, "lazytime"},
    {MS_I_VERSION, "iversion"},
    {256, "nosymfollow"},
    {MS_SHARED, "shared"},
    {MS_SLAVE, "slave"},
    {MS_PRIVATE, "private"},
    {MS_UNBINDABLE, "unbindable"},
    {MS_REC, "recursive"},
};
constexpr FlagRow kAttributes[] = {
    {MOUNT_ATTR_RDONLY, "ro"},
    {MOUNT_ATTR_NOSUID, "nosuid"},
    {MOUNT_ATTR_NODEV, "nodev"},
    {MOUNT_ATTR_NOEXEC, "noexec"},
    {MOUNT_ATTR_NOATIME, "noatime"},
    {MOUNT_ATTR_STRICTATIME, "strictatime"},
    {MOUNT_ATTR_NODIRATIME, "nodiratime"},
    {MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"},
};

template <size_t N>
std::vector<std::string> Names(const FlagRow (&rows)[N], uint64_t flags, std::string_view prefix) {
  std::vector<std::string> names;
  for (const FlagRow& row : rows)
    if (flags & row.flag) names.push_back(absl::StrCat(prefix, row.name));
  return names;
}

std::string_view RlimitName(uint64_t resource) {
  constexpr std::string_view kNames[] = {
      "RLIMIT_CPU",      "RLIMIT_FSIZE", "RLIMIT_DATA",   "RLIMIT_STACK",
      "RLIMIT_CORE",     "RLIMIT_RSS",   "RLIMIT_NPROC",  "RLIMIT_NOFILE",
      "RLIMIT_MEMLOCK",  "RLIMIT_AS",    "RLIMIT_LOCKS",  "RLIMIT_SIGPENDING",
      "RLIMIT_MSGQUEUE", "RLIMIT_NICE",  "RLIMIT_RTPRIO", "RLIMIT_RTTIME"};
  return resource < std::size(kNames) ? kNames[resource] : "RLIMIT";
}
std::string Limit(uint64_t value) {
  return value == ~uint64_t{0} ? "unlimited" : absl::StrCat(value);
}

}  // namespace

uint64_t NamespaceFlag(std::string_view type) {
  for (const NamespaceRow& row : kNamespaces)
    if (row.name == type) return row.flag;
  return 0;
}

std::string NamespaceNames(uint64_t flags) {
  std::vector<std::string_view> names;
  for (const NamespaceRow& row : kNamespaces)
    if (flags & row.flag) names.push_back(row.name);
  return absl::StrJoin(names, ",");
}

// The object of the verb, the same in plans and errors.
std::string Plan::Details(size_t i) const {
  const coam_step& s = steps_[i];
  std::string_view t0 = TextAt(i, 0), t1 = TextAt(i, 1), t2 = TextAt(i, 2);
  switch (s.op) {
    case COAM_OP_JOIN:
      return absl::StrCat("the ", NamespaceNames(s.n[1]), " namespace ", slots_[s.n[0]].path);
    case COAM_OP_JOIN_PIDFD:
      return absl::StrCat("the container's namespaces (", NamespaceNames(s.n[1]), ")");
    case COAM_OP_UNSHARE: return absl::StrCat("new namespaces (", NamespaceNames(s.n[0]), ")");
    case COAM_OP_CLONE:
      return s.n[0] == 0
                 ? "the process inside"
                 : absl::StrCat("the process in new namespaces (", NamespaceNames(s.n[0]), ")");
    case COAM_OP_WAIT_MAPS: return "the id mappings";
    case COAM_OP_SET_IDS: return absl::StrCat("user ", s.n[0], " and group ", s.n[1]);
    case COAM_OP_WAIT_CGROUP: return "the cgroups";
    case COAM_OP_WAIT_HOST:
      return (s.flags & 1) ? "the host's network devices and hooks" : "the host's hooks";
    case COAM_OP_SETSID: return "a session";
    case COAM_OP_KEYRING: return absl::StrCat("the session keyring ", t0);
    case COAM_OP_DUMPABLE: return absl::StrCat("dumpable to ", s.n[0]);
    case COAM_OP_PROPAGATION: return "the propagation of /";
    case COAM_OP_ROOT: return absl::StrCat("the root ", t0);
    case COAM_OP_MOUNT:
    case COAM_OP_TMPCOPYUP:
      return absl::StrCat(t0, " on ", t2, s.op == COAM_OP_TMPCOPYUP ? " with what lies there" : "");
    case COAM_OP_BIND: return absl::StrCat(t1, " on ", t2);
    case COAM_OP_REMOUNT:
    case COAM_OP_MASK:
    case COAM_OP_READONLY: return std::string(t2);
    case COAM_OP_MKNOD: return absl::StrCat("the node ", t2);
    case COAM_OP_BIND_NODE: return absl::StrCat("the node ", t1, " on ", t2);
    case COAM_OP_SYMLINK: return absl::StrCat("the link ", t2);
    case COAM_OP_CONSOLE: return "the terminal";
    case COAM_OP_PIVOT: return "the root";
    case COAM_OP_MONITOR: return "the monitor";
    case COAM_OP_ROOT_PROPAGATION: return "the propagation of the root";
    case COAM_OP_ROOT_READONLY: return "the root";
    case COAM_OP_MKDIR: return absl::StrCat("the directory ", t2);
    case COAM_OP_PROC_WRITE: return absl::StrCat(t2, " to /proc/", t1);
    case COAM_OP_HOSTNAME: return absl::StrCat("the host name to ", t1);
    case COAM_OP_DOMAINNAME: return absl::StrCat("the domain name to ", t1);
    case COAM_OP_RLIMIT:
      return absl::StrCat(RlimitName(s.n[0]), " to ", Limit(s.n[1]), ":", Limit(s.n[2]));
    case COAM_OP_SCHEDULER: return "the scheduler";
    case COAM_OP_IOPRIO: return "the I/O priority";
    case COAM_OP_AFFINITY: return "the CPU affinity";
    case COAM_OP_MEMPOLICY: return "the memory policy";
    case COAM_OP_PERSONALITY: return absl::StrFormat("the personality to %#x", s.n[0]);
    case COAM_OP_UMASK: return absl::StrFormat("the umask to %04o", s.n[0]);
    case COAM_OP_LABEL_EXEC: return absl::StrCat("the label of the program to ", t2);
    case COAM_OP_LOOPBACK: return "the loopback interface";
    case COAM_OP_BOUNDING: return absl::StrCat("capabilities to ", CapabilityNames(s.n[0]));
    case COAM_OP_USER: return absl::StrCat("user ", s.n[0], " and group ", s.n[1]);
    case COAM_OP_CAPS: return absl::StrCat("capabilities to ", CapabilityNames(s.n[0]));
    case COAM_OP_NO_NEW_PRIVS: return "new privileges";
    case COAM_OP_SECCOMP: return absl::StrCat("the seccomp filter of ", s.n[0], " instructions");
    case COAM_OP_CHDIR: return absl::StrCat("the working directory ", t1);
    case COAM_OP_HOOK: return absl::StrCat("the hook ", t0);
    case COAM_OP_READY: return "the order to start";
    case COAM_OP_EXEC: return std::string(t1);
    case COAM_OP_HOME: return absl::StrCat("the home of user ", s.n[0]);
    case COAM_OP_LOOKUP: return absl::StrCat("the program ", t1);
    default: return absl::StrCat("step ", s.op);
  }
}

std::string Plan::Describe(size_t i) const {
  if (i >= steps_.size()) return "launching";
  const OpRow& row = Row(OpAt(i));
  return row.op == COAM_OP_PAUSE ? std::string(row.doing)
                                 : absl::StrCat(row.doing, " ", Details(i));
}

std::string_view Plan::ReasonAt(size_t i) const {
  const OpRow& row = Row(OpAt(i));
  if (row.op == COAM_OP_PROC_WRITE && TextAt(i, 1).substr(0, 4) != "sys/") return "run.setup";
  return row.reason;
}

std::string Plan::Print() const {
  std::string out;
  if (spawn_flags != 0)
    absl::StrAppend(&out, "  0  spawn into ", NamespaceNames(spawn_flags), "\n");
  for (size_t i = 0; i < steps_.size(); ++i) {
    const coam_step& s = steps_[i];
    std::vector<std::string> more;
    auto add = [&more](std::vector<std::string> names) {
      more.insert(more.end(), names.begin(), names.end());
    };
    std::string data;
    switch (s.op) {
      case COAM_OP_PROPAGATION:
      case COAM_OP_ROOT_PROPAGATION: add(Names(kMountFlags, s.n[0], "")); break;
      case COAM_OP_ROOT: add(Names(kMountFlags, s.n[1], "")); break;
      case COAM_OP_MOUNT:
      case COAM_OP_TMPCOPYUP:
        add(Names(kMountFlags, s.n[0] | s.n[1], ""));
        add(Names(kAttributes, s.n[2], "all-"));
        data = TextAt(i, 3);
        break;
      case COAM_OP_REMOUNT:
        add(Names(kMountFlags, s.n[0], ""));
        data = TextAt(i, 3);
        break;
      case COAM_OP_BIND:
        if (s.flags & COAM_BIND_RECURSIVE) more.push_back("recursive");
        if (s.n[5] != COAM_NO_SLOT && slots_[s.n[5]].maps_ids()) more.push_back("ids mapped");
        add(Names(kAttributes, s.n[0], ""));
        add(Names(kAttributes, s.n[1] & ~uint64_t{MOUNT_ATTR__ATIME}, "not-"));
        add(Names(kAttributes, s.n[2], "all-"));
        add(Names(kMountFlags, s.n[4] & ~uint64_t{MS_REC}, ""));
        break;
      case COAM_OP_MKNOD: more.push_back(absl::StrFormat("%o", s.n[0])); break;
      case COAM_OP_MONITOR:
        if (s.n[0] != 0) more.push_back(absl::StrCat("child in ", NamespaceNames(s.n[0])));
        if (s.flags & COAM_MONITOR_LOG) more.push_back(absl::StrCat("log ", TextAt(i, 0)));
        break;
      case COAM_OP_SYMLINK: more.push_back(absl::StrCat("to ", TextAt(i, 1))); break;
      case COAM_OP_CAPS: more.push_back(absl::StrCat("ambient ", CapabilityNames(s.n[3]))); break;
      default: break;
    }
    if (!data.empty()) more.push_back(data);
    absl::StrAppendFormat(&out, "%3d  %s %s", static_cast<int>(i + 1), Row(OpAt(i)).verb,
                          s.op == COAM_OP_PAUSE ? "" : Details(i));
    if (!more.empty()) absl::StrAppend(&out, " (", absl::StrJoin(more, ","), ")");
    out.push_back('\n');
  }
  return out;
}

}  // namespace coaming::run
