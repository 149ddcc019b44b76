// The configuration that `spec` writes: runc's, without capabilities in the ambient set.
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

Spec DefaultSpec() {
  Spec s;
  s.root = Root{.path = "rootfs", .readonly = true, .extra = {}};
  s.hostname = "runc";
  Process p;
  p.terminal = true;
  p.args = {"sh"};
  p.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  const std::vector<std::string> caps = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  p.capabilities.emplace();
  p.capabilities->bounding = p.capabilities->effective = p.capabilities->permitted = caps;
  p.rlimits = {{"RLIMIT_NOFILE", 1024, 1024}};
  p.no_new_privileges = true;
  s.process = p;
  auto mount = [&s](std::string destination, std::string type, std::string source,
                    std::vector<std::string> options) {
    Mount m;
    m.destination = std::move(destination);
    m.type = std::move(type);
    m.source = std::move(source);
    m.options = std::move(options);
    s.mounts.push_back(std::move(m));
  };
  mount("/proc", "proc", "proc", {});
  mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  mount("/dev/pts", "devpts", "devpts",
        {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
  mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  s.linux_.resources.emplace();
  s.linux_.resources->devices.emplace();
  DeviceRule deny;
  deny.access = "rwm";
  s.linux_.resources->devices->push_back(deny);
  s.linux_.namespaces = {{"pid", ""}, {"network", ""}, {"ipc", ""}, {"uts", ""}, {"mount", ""}};
  s.linux_.masked_paths = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
                           "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
                           "/proc/timer_stats", "/proc/sched_debug",   "/sys/firmware",
                           "/proc/scsi"};
  s.linux_.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                             "/proc/sysrq-trigger"};
  return s;
}

Spec RootlessSpec(uint32_t uid, uint32_t gid) {
  Spec s = DefaultSpec();
  s.linux_.namespaces = {{"pid", ""}, {"ipc", ""}, {"uts", ""}, {"mount", ""}, {"user", ""}};
  s.linux_.uid_mappings = {{0, uid, 1}};
  s.linux_.gid_mappings = {{0, gid, 1}};
  s.linux_.resources.reset();
  for (Mount& m : s.mounts) {
    if (m.destination == "/dev/pts") m.options.pop_back();
    if (m.destination == "/sys") {
      m.type = "none";
      m.source = "/sys";
      m.options = {"rbind", "nosuid", "noexec", "nodev", "ro"};
    }
  }
  return s;
}

}  // namespace coaming::run
