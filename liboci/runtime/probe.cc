// The probe: what this kernel and user allow, and how to allow the rest.
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/json/json.h"
#include "base/json/value.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/facts.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/launch/session.h"

namespace coaming::run {

namespace {

using base::json::Value;

class Lines {
 public:
  // `detail` says what there is, or why not; `hint` how to get it, if it is not there.
  void Add(std::string name, bool works, std::string detail, std::string_view hint) {
    ProbeLine line;
    line.name = absl::StrCat("run.", name);
    line.works = works;
    line.detail = std::move(detail);
    if (!works) line.hint = hint;
    lines.push_back(std::move(line));
  }
  std::vector<ProbeLine> lines;
};

bool There(const std::string& path, int mode = F_OK) {
  return faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
}

// The first line of a small file; empty if it cannot be read.
std::string LineOf(const std::string& path) {
  absl::StatusOr<std::string> text = ReadKernelFile(path);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

// -1 if there is no such setting.
int64_t NumberOf(const std::string& path) {
  int64_t n = 0;
  return absl::SimpleAtoi(LineOf(path), &n) ? n : -1;
}

// A call with arguments that cannot succeed tells by its errno whether it exists.
bool HasCall(long number) {
  return syscall(number, -1, nullptr, 0, 0, 0) >= 0 || (errno != ENOSYS && errno != EPERM);
}

// "6.18.5-cloud": {6, 18}.
std::pair<int, int> VersionOf(const std::string& release) {
  const std::vector<std::string_view> parts = absl::StrSplit(release, absl::ByAnyChar(".-+"));
  int major = 0, minor = 0;
  if (!parts.empty()) (void)absl::SimpleAtoi(parts[0], &major);
  if (parts.size() > 1) (void)absl::SimpleAtoi(parts[1], &minor);
  return {major, minor};
}

void Namespaces(Lines* r) {
  constexpr struct {
    const char *file, *name, *limit, *config;
  } kRows[] = {{"pid", "pid", "pid", "PID_NS"},           {"mnt", "mount", "mnt", "NAMESPACES"},
               {"net", "network", "net", "NET_NS"},       {"ipc", "ipc", "ipc", "IPC_NS"},
               {"uts", "uts", "uts", "UTS_NS"},           {"user", "user", "user", "USER_NS"},
               {"cgroup", "cgroup", "cgroup", "CGROUPS"}, {"time", "time", "time", "TIME_NS"}};
  for (const auto& row : kRows) {
    const std::string limit = absl::StrCat("user.max_", row.limit, "_namespaces");
    const bool there = faccessat(AT_FDCWD, absl::StrCat("/proc/self/ns/", row.file).c_str(), F_OK,
                                 AT_SYMLINK_NOFOLLOW) == 0;
    const bool none = NumberOf(absl::StrCat("/proc/sys/user/max_", row.limit, "_namespaces")) == 0;
    r->Add(absl::StrCat("namespace.", row.name), there && !none,
           !there ? absl::StrCat("the kernel lacks it (CONFIG_", row.config, ")")
           : none ? absl::StrCat("forbidden by sysctl ", limit)
                  : "allowed",
           there ? absl::StrCat("set sysctl ", limit, " above 0")
                 : "use a kernel built with this namespace");
  }
}

void UserNamespaces(Lines* r) {
  const bool root = geteuid() == 0;
  struct Setting {
    const char* name;
    int64_t forbids;
    bool for_root;
  };
  constexpr Setting kSettings[] = {{"user/max_user_namespaces", 0, true},
                                   {"kernel/unprivileged_userns_clone", 0, false},
                                   {"kernel/apparmor_restrict_unprivileged_userns", 1, false}};
  std::string blocked;
  for (const Setting& s : kSettings) {
    if ((root && !s.for_root) || NumberOf(absl::StrCat("/proc/sys/", s.name)) != s.forbids)
      continue;
    blocked = absl::StrCat("sysctl ", s.name, "=", s.forbids);
    for (char& c : blocked)
      if (c == '/') c = '.';
    break;
  }
  r->Add("userns", blocked.empty(),
         blocked.empty() ? (root ? "allowed" : "allowed for this user")
                         : absl::StrCat("forbidden by ", blocked),
         "change that sysctl");
  for (const char* tool : {"newuidmap", "newgidmap"}) {
    const bool there = There(absl::StrCat("/usr/bin/", tool), X_OK);
    r->Add(tool, there, there ? "installed" : "not installed",
           "install the package uidmap for ranges of ids without root");
  }
}

void Launching(Lines* r, std::pair<int, int> kernel) {
  const absl::StatusOr<base::UniqueFd> launcher = OpenLauncher("");
  r->Add("memfd_exec", launcher.ok(),
         launcher.ok() ? "the launch helper runs from a sealed memfd"
                       : std::string(launcher.status().message()),
         "set sysctl vm.memfd_noexec=0, or name an installed coaming-launch");
  r->Add("pidfd", HasCall(434), "processes are held by descriptor", "use Linux 5.3 or later");
  // A reaped process's status: see the ladder of coam_run_container_wait.
  const bool tells = kernel >= std::pair(6, 15);
  r->Add("pidfd_exit", tells,
         tells ? "the status of a reaped process can still be had"
               : "a status that another part of the host reaps is lost",
         "use Linux 6.15 or later, a monitor, or coam_run_container_feed_status");
  r->Add("openat2", HasCall(SYS_openat2), "paths are resolved by the kernel",
         "use Linux 5.6 or later, and allow openat2 in this process's filter");
  r->Add("mount_api", HasCall(SYS_move_mount) && HasCall(442), "mounts are made on descriptors",
         "use Linux 5.12 or later, and allow the mount calls in this filter");
  const bool idmap = kernel >= std::pair(5, 12) && HasCall(442);
  r->Add("idmapped_mounts", idmap,
         idmap ? (geteuid() == 0 ? "on file systems that have them" : "only for root")
               : "the kernel lacks them",
         "use Linux 5.12 or later");
}

void Overlay(Lines* r, std::pair<int, int> kernel) {
  absl::StatusOr<std::string> list = ReadKernelFile("/proc/filesystems");
  const bool loaded = list.ok() && absl::StrContains(*list, "\toverlay\n");
  const bool rootless = kernel >= std::pair(5, 11);
  r->Add("overlay", loaded,
         !loaded    ? "not loaded"
         : rootless ? "works, in user namespaces too"
                    : "works, for root",
         "load the module overlay (modprobe overlay)");
}

void Security(Lines* r) {
  const bool filter = syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  r->Add("seccomp", filter, filter ? "filters can be loaded" : "not built in",
         "use a kernel with CONFIG_SECCOMP_FILTER");
  uint32_t action = SECCOMP_RET_USER_NOTIF;
  const bool notify = filter && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
  r->Add("seccomp.notify", notify, notify ? "agents can answer calls" : "not there",
         "use Linux 5.0 or later");
  const std::string lsm = LineOf("/sys/kernel/security/lsm");
  const bool apparmor = absl::StartsWith(LineOf("/sys/module/apparmor/parameters/enabled"), "Y");
  r->Add("apparmor", apparmor,
         apparmor ? "profiles can be put on programs"
                  : absl::StrCat("not enabled", lsm.empty() ? "" : absl::StrCat(" (", lsm, ")")),
         "boot with apparmor=1 lsm=...,apparmor where profiles are wanted");
  const bool selinux = There("/sys/fs/selinux/enforce");
  r->Add("selinux", selinux,
         selinux ? (LineOf("/sys/fs/selinux/enforce") == "1" ? "enforcing" : "permissive")
                 : "not enabled",
         "boot with selinux=1 and a policy where labels are wanted");
}

void CgroupLines(Lines* r) {
  const absl::StatusOr<HostFacts> facts = ReadHostFacts();
  if (!facts.ok()) {
    r->Add("cgroup", false, std::string(facts.status().message()), "mount /proc and /sys");
    return;
  }
  std::vector<std::string> v1, v2;
  int writable = 0, all = 0;
  for (const CgroupHierarchy& h : facts->cgroups) {
    (h.v2 ? v2 : v1).push_back(absl::StrJoin(h.controllers, ","));
    ++all;
    writable += There(h.mount, W_OK);
  }
  r->Add("cgroup.v1", !v1.empty(), v1.empty() ? "no hierarchy is mounted" : absl::StrJoin(v1, " "),
         "not needed where cgroup v2 is mounted");
  r->Add("cgroup.v2", facts->v2() != nullptr,
         facts->v2() == nullptr ? "not mounted"
         : facts->unified       ? absl::StrCat("unified: ", absl::StrJoin(v2, " "))
                                : absl::StrCat("beside v1: ", absl::StrJoin(v2, " ")),
         "mount cgroup2 at /sys/fs/cgroup");
  r->Add("cgroup.write", writable == all && all > 0,
         absl::StrCat(writable, " of ", all, " hierarchies may be written"),
         "run as root, or have a cgroup v2 subtree delegated to this user");
  for (const char* controller :
       {"cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "devices", "freezer"}) {
    const std::string_view name = controller;
    std::string where;
    for (const CgroupHierarchy& h : facts->cgroups) {
      // On v2 devices are held by programs, and the freezer is part of every cgroup.
      const bool built_in = h.v2 && facts->unified && (name == "devices" || name == "freezer");
      if (built_in || h.Has(name) || (name == "io" && !h.v2 && h.Has("blkio")))
        where = h.v2 ? "v2" : "v1";
      if (!where.empty()) break;
    }
    r->Add(absl::StrCat("cgroup.", controller), !where.empty(),
           where.empty() ? "no hierarchy has it" : absl::StrCat("on ", where),
           "build it into the kernel, and do not disable it (cgroup_disable=)");
  }
  const bool systemd = There("/run/systemd/system");
  r->Add("cgroup.systemd", systemd, systemd ? "systemd is the init system" : "systemd does not run",
         "needed only with cgroups=systemd");
}

void Checkpoint(Lines* r) {
  const bool kernel = There("/proc/sys/kernel/ns_last_pid");
  bool criu = false;
  for (const char* path : {"/usr/sbin/criu", "/usr/bin/criu", "/usr/local/sbin/criu"})
    criu |= There(path, X_OK);
  r->Add("checkpoint", kernel && criu,
         !kernel ? "the kernel lacks CONFIG_CHECKPOINT_RESTORE"
         : criu  ? "criu is installed"
                 : "criu is not installed",
         "install criu, on a kernel with CONFIG_CHECKPOINT_RESTORE");
  const bool resctrl = There("/sys/fs/resctrl/schemata");
  r->Add("intel_rdt", resctrl, resctrl ? "mounted" : "resctrl is not mounted",
         "mount resctrl at /sys/fs/resctrl, on a processor that has it");
}

}  // namespace

std::vector<ProbeLine> Probe() {
  Lines r;
  const absl::StatusOr<std::string> release = ReadKernelFile("/proc/sys/kernel/osrelease");
  const std::pair<int, int> kernel = VersionOf(release.value_or("0"));
  Namespaces(&r);
  UserNamespaces(&r);
  Launching(&r, kernel);
  Overlay(&r, kernel);
  Security(&r);
  CgroupLines(&r);
  Checkpoint(&r);
  return std::move(r.lines);
}

std::string ProbeToJson(const std::vector<ProbeLine>& lines) {
  Value v = Value::MakeObject(), list = Value::MakeArray();
  for (const ProbeLine& line : lines) {
    Value o = Value::MakeObject();
    o.Set("name", line.name);
    o.Set("works", line.works);
    o.Set("detail", line.detail);
    o.Set("hint", line.hint);
    list.Push(std::move(o));
  }
  v.Set("schema", "coam.run.probe.v1");
  v.Set("probes", std::move(list));
  return base::json::Write(v);
}

}  // namespace coaming::run
