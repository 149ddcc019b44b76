// The features document, and lists as JSON.
#include "base/core/clock.h"
#include "base/json/json.h"
#include "liboci/runtime/caps.h"
#include "liboci/runtime/executor.h"
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
    o.Set("log", c.log);
    o.Set("monitored", c.monitored);
    if (c.exit) {
      o.Set("exitCode", c.exit->code);
      o.Set("exitSignal", c.exit->signal);
    }
    o.Set("annotations", std::move(annotations));
    list.Push(std::move(o));
  }
  v.Set("schema", "coam.run.list.v1");
  v.Set("containers", std::move(list));
  return base::json::Write(v);
}

}  // namespace coaming::run
