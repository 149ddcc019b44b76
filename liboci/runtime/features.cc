// The features document, and the probe of this host.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/json/json.h"
#include "liboci/runtime/caps.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/facts.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/launch/session.h"
#include "liboci/runtime/mount_options.h"

namespace coaming::run {

namespace {

using base::json::Value;

Value Strings(std::initializer_list<const char*> words) {
  Value v = Value::MakeArray();
  for (const char* w : words) v.Push(w);
  return v;
}

Value Enabled(bool on) {
  Value v = Value::MakeObject();
  v.Set("enabled", on);
  return v;
}

}  // namespace

std::string FeaturesDocument(std::string_view indent) {
  Value v = Value::MakeObject();
  v.Set("ociVersionMin", "1.0.0");
  v.Set("ociVersionMax", "1.3.0");
  v.Set("hooks", Strings({"prestart", "createRuntime", "createContainer", "startContainer",
                          "poststart", "poststop"}));
  v.Set("mountOptions", KnownMountOptions());
  Value linux_ = Value::MakeObject();
  linux_.Set("namespaces",
             Strings({"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}));
  Value caps = Value::MakeArray();
  for (int i = 0; !CapabilityName(i).empty(); ++i) caps.Push(CapabilityName(i));
  linux_.Set("capabilities", std::move(caps));
  Value cgroup = Value::MakeObject();
  cgroup.Set("v1", true);
  cgroup.Set("v2", true);
  cgroup.Set("systemd", false);
  cgroup.Set("systemdUser", false);
  cgroup.Set("rdma", true);
  linux_.Set("cgroup", std::move(cgroup));
  Value seccomp = Enabled(true);
  seccomp.Set("actions", Strings({"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
                                  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                  "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"}));
  seccomp.Set("operators", Strings({"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
                                    "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"}));
  seccomp.Set(
      "archs",
      Strings({"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
               "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
               "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC",
               "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
               "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"}));
  Value flags = Strings({"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                         "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"});
  seccomp.Set("knownFlags", flags);
  seccomp.Set("supportedFlags", std::move(flags));
  linux_.Set("seccomp", std::move(seccomp));
  linux_.Set("apparmor", Enabled(true));
  linux_.Set("selinux", Enabled(true));
  Value rdt = Enabled(true);
  rdt.Set("schemata", true);
  rdt.Set("monitoring", true);
  linux_.Set("intelRdt", std::move(rdt));
  Value policy = Value::MakeObject();
  policy.Set("modes",
             Strings({"MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL",
                      "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"}));
  policy.Set("flags",
             Strings({"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"}));
  linux_.Set("memoryPolicy", std::move(policy));
  Value extensions = Value::MakeObject();
  extensions.Set("idmap", Enabled(true));
  linux_.Set("mountExtensions", std::move(extensions));
  linux_.Set("netDevices", Enabled(true));
  v.Set("linux", std::move(linux_));
  Value annotations = Value::MakeObject();
  annotations.Set("com.coaming.launcher", "static");
  v.Set("annotations", std::move(annotations));
  return base::json::Write(v, {.indent = indent});
}

namespace {

ProbeLine Line(std::string name, bool works, std::string detail, std::string hint) {
  ProbeLine line;
  line.name = std::move(name);
  line.works = works;
  line.detail = std::move(detail);
  if (!works) line.hint = std::move(hint);
  return line;
}

ProbeLine NamespaceLine(const char* file, const char* name) {
  bool there = faccessat(AT_FDCWD, absl::StrCat("/proc/self/ns/", file).c_str(), F_OK,
                         AT_SYMLINK_NOFOLLOW) == 0;
  return Line(absl::StrCat("run.namespace.", name), there,
              there ? "the kernel has it" : "the kernel lacks it",
              "use a kernel built with this namespace");
}

// A call with arguments that cannot succeed tells by its errno whether it exists.
bool HasCall(long number) {
  return syscall(number, -1, nullptr, 0, 0, 0) >= 0 || (errno != ENOSYS && errno != EPERM);
}

}  // namespace

std::vector<ProbeLine> Probe() {
  std::vector<ProbeLine> lines;
  constexpr std::pair<const char*, const char*> kNamespaces[] = {
      {"pid", "pid"}, {"mnt", "mount"}, {"net", "network"},   {"ipc", "ipc"},
      {"uts", "uts"}, {"user", "user"}, {"cgroup", "cgroup"}, {"time", "time"}};
  for (const auto& [file, name] : kNamespaces) lines.push_back(NamespaceLine(file, name));

  absl::StatusOr<std::string> limit = ReadKernelFile("/proc/sys/user/max_user_namespaces");
  int64_t most = -1;
  if (limit.ok() && !absl::SimpleAtoi(limit->substr(0, limit->find('\n')), &most)) most = -1;
  bool allowed = most != 0;
  absl::StatusOr<std::string> clone = ReadKernelFile("/proc/sys/kernel/unprivileged_userns_clone");
  if (clone.ok() && clone->substr(0, 1) == "0" && geteuid() != 0) allowed = false;
  lines.push_back(Line("run.userns", allowed, allowed ? "allowed" : "forbidden by sysctl",
                       "set sysctl user.max_user_namespaces (and kernel.unprivileged_userns_clone) "
                       "above 0"));

  absl::StatusOr<base::UniqueFd> launcher = OpenLauncher("");
  lines.push_back(Line("run.memfd_exec", launcher.ok(),
                       launcher.ok() ? "the launch helper runs from a sealed memfd"
                                     : std::string(launcher.status().message()),
                       "set sysctl vm.memfd_noexec=0, or name an installed coaming-launch"));
  lines.push_back(Line("run.openat2", HasCall(SYS_openat2), "paths are resolved by the kernel",
                       "use Linux 5.6 or later, and allow openat2 in this process's filter"));
  lines.push_back(Line("run.mount_api", HasCall(SYS_move_mount) && HasCall(442),
                       "mounts are made on descriptors",
                       "use Linux 5.12 or later, and allow the mount calls in this filter"));
  lines.push_back(Line("run.pidfd", HasCall(434), "processes are held by descriptor",
                       "use Linux 5.3 or later"));
  bool filter = syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  lines.push_back(Line("run.seccomp", filter, filter ? "filters can be loaded" : "not built in",
                       "use a kernel with CONFIG_SECCOMP_FILTER"));

  absl::StatusOr<HostFacts> facts = ReadHostFacts();
  if (facts.ok()) {
    std::vector<std::string> v1, v2;
    for (const CgroupHierarchy& h : facts->cgroups)
      (h.v2 ? v2 : v1).push_back(absl::StrJoin(h.controllers, ","));
    lines.push_back(Line("run.cgroup.v1", !v1.empty(),
                         v1.empty() ? "no hierarchy is mounted" : absl::StrJoin(v1, " "),
                         "not needed where cgroup v2 is mounted"));
    lines.push_back(Line("run.cgroup.v2", facts->v2() != nullptr,
                         facts->v2() == nullptr ? "not mounted"
                         : facts->unified       ? absl::StrCat("unified: ", absl::StrJoin(v2, " "))
                                          : absl::StrCat("beside v1: ", absl::StrJoin(v2, " ")),
                         "mount cgroup2 at /sys/fs/cgroup"));
    int writable = 0, all = 0;
    for (const CgroupHierarchy& h : facts->cgroups) {
      ++all;
      writable += faccessat(AT_FDCWD, h.mount.c_str(), W_OK, AT_EACCESS) == 0;
    }
    lines.push_back(Line("run.cgroup.write", writable == all && all > 0,
                         absl::StrCat(writable, " of ", all, " hierarchies may be written"),
                         "run as root, or have a cgroup v2 subtree delegated to this user"));
  }
  for (const char* tool : {"newuidmap", "newgidmap"}) {
    bool there = faccessat(AT_FDCWD, absl::StrCat("/usr/bin/", tool).c_str(), X_OK, 0) == 0;
    lines.push_back(Line(absl::StrCat("run.", tool), there, there ? "installed" : "not installed",
                         "install the package uidmap for ranges of ids without root"));
  }
  return lines;
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

std::string ListToJson(const std::vector<ContainerInfo>& containers) {
  Value v = Value::MakeObject(), list = Value::MakeArray();
  for (const ContainerInfo& c : containers) {
    Value o = Value::MakeObject(), annotations = Value::MakeObject();
    for (const auto& [key, value] : c.annotations) annotations.Set(key, value);
    o.Set("id", c.id);
    o.Set("pid", static_cast<int64_t>(c.pid));
    o.Set("status", StatusName(c.status));
    o.Set("bundle", c.bundle);
    o.Set("rootfs", c.rootfs);
    o.Set("created", base::FormatRfc3339(c.created_ns));
    o.Set("owner", c.owner);
    o.Set("cgroup", c.cgroup_path);
    o.Set("annotations", std::move(annotations));
    list.Push(std::move(o));
  }
  v.Set("schema", "coam.run.list.v1");
  v.Set("containers", std::move(list));
  return base::json::Write(v);
}

}  // namespace coaming::run
