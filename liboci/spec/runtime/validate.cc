// What the specification demands of the values themselves, whatever the host.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

namespace {

absl::Status Bad(std::string_view member, std::string_view message) {
  return base::Fail("run.spec").Detail("spec.member", member) << member << ": " << message;
}
bool HasNul(std::string_view s) { return s.find('\0') != std::string_view::npos; }
bool Absolute(std::string_view s) { return !s.empty() && s[0] == '/' && !HasNul(s); }

constexpr std::string_view kNamespaces[] = {"pid", "network", "mount",  "ipc",
                                            "uts", "user",    "cgroup", "time"};

absl::Status CheckVersion(const Spec& s, std::vector<std::string>* warnings) {
  const std::string& v = s.oci_version;
  size_t dot = v.find('.');
  if (dot == std::string::npos || dot == 0 || v.find('.', dot + 1) == std::string::npos)
    return Bad("ociVersion", absl::StrCat("\"", v, "\" is not a version such as 1.3.0"));
  if (v.substr(0, dot) != "1")
    return Bad("ociVersion", absl::StrCat("version ", v, " is not supported, only 1.x"));
  if (warnings != nullptr && v.size() > dot + 1 && (v[dot + 1] > '3' || v[dot + 2] != '.'))
    warnings->push_back(
        absl::StrCat("ociVersion ", v, " is newer than 1.3: new members are ignored"));
  return absl::OkStatus();
}

absl::Status CheckProcess(const Process& p, std::string_view at) {
  auto name = [&at](std::string_view member) { return absl::StrCat(at, ".", member); };
  if (p.args.empty()) return Bad(name("args"), "must name a program");
  if (!Absolute(p.cwd)) return Bad(name("cwd"), "must be an absolute path");
  for (const std::string& s : p.args)
    if (HasNul(s)) return Bad(name("args"), "must not hold a NUL");
  for (const std::string& s : p.env)
    if (HasNul(s)) return Bad(name("env"), "must not hold a NUL");
  std::set<std::string_view> seen;
  for (const Rlimit& r : p.rlimits) {
    if (!seen.insert(r.type).second)
      return Bad(name("rlimits"), absl::StrCat(r.type, " is given twice"));
    if (r.soft > r.hard)
      return Bad(name("rlimits"), absl::StrCat(r.type, ": soft is greater than hard"));
  }
  if (p.user.umask && *p.user.umask > 0777) return Bad(name("user.umask"), "is above 0777");
  if (p.io_priority && (p.io_priority->priority < 0 || p.io_priority->priority > 7))
    return Bad(name("ioPriority.priority"), "must be 0 to 7");
  return absl::OkStatus();
}

absl::Status CheckHooks(const std::vector<Hook>& hooks, std::string_view kind) {
  for (const Hook& h : hooks) {
    std::string at = absl::StrCat("hooks.", kind);
    if (!Absolute(h.path)) return Bad(at + ".path", "must be an absolute path");
    if (h.timeout && *h.timeout <= 0) return Bad(at + ".timeout", "must be greater than zero");
  }
  return absl::OkStatus();
}

absl::Status CheckMaps(const std::vector<IdMap>& maps, std::string_view at) {
  for (const IdMap& m : maps)
    if (m.size == 0 || m.container_id + uint64_t{m.size} > 0x100000000ull ||
        m.host_id + uint64_t{m.size} > 0x100000000ull)
      return Bad(at, "an entry is empty or runs past the last id");
  return absl::OkStatus();
}

absl::Status CheckLinux(const Spec& s) {
  const Linux& l = s.linux_;
  std::set<std::string_view> seen;
  for (const Namespace& n : l.namespaces) {
    bool known = false;
    for (std::string_view k : kNamespaces) known = known || k == n.type;
    if (!known) return Bad("linux.namespaces", absl::StrCat("unknown type \"", n.type, "\""));
    if (!seen.insert(n.type).second)
      return Bad("linux.namespaces", absl::StrCat("type ", n.type, " is given twice"));
    if (!n.path.empty() && !Absolute(n.path))
      return Bad("linux.namespaces", absl::StrCat("path ", n.path, " is not absolute"));
  }
  const Namespace* user = s.FindNamespace("user");
  if ((!l.uid_mappings.empty() || !l.gid_mappings.empty()) && user == nullptr)
    return Bad("linux.uidMappings", "mappings need a user namespace");
  if (user != nullptr && user->path.empty() && l.uid_mappings.empty() != l.gid_mappings.empty())
    return Bad("linux.uidMappings", "a new user namespace needs both uid and gid mappings");
  COAM_RETURN_IF_ERROR(CheckMaps(l.uid_mappings, "linux.uidMappings"));
  COAM_RETURN_IF_ERROR(CheckMaps(l.gid_mappings, "linux.gidMappings"));
  if (!l.time_offsets.empty() && s.FindNamespace("time") == nullptr)
    return Bad("linux.timeOffsets", "offsets need a time namespace");
  for (const auto& [clock, offset] : l.time_offsets) {
    if (clock != "monotonic" && clock != "boottime")
      return Bad("linux.timeOffsets", absl::StrCat("unknown clock \"", clock, "\""));
    if (offset.nanosecs > 999999999) return Bad("linux.timeOffsets", "nanosecs is above 999999999");
  }
  if ((!s.hostname.empty() || !s.domainname.empty()) && s.FindNamespace("uts") == nullptr)
    return Bad(s.hostname.empty() ? "domainname" : "hostname", "needs a uts namespace");
  for (const auto& [key, value] : l.sysctl) {
    if (key == "kernel.hostname" || key == "kernel/hostname")
      return Bad("linux.sysctl", "kernel.hostname is what hostname is for");
    if ((key == "kernel.domainname" || key == "kernel/domainname") && !s.domainname.empty() &&
        s.domainname != value)
      return Bad("linux.sysctl", "kernel.domainname contradicts domainname");
  }
  for (const Device& d : l.devices) {
    if (!Absolute(d.path)) return Bad("linux.devices", absl::StrCat(d.path, " is not absolute"));
    if (d.type != "c" && d.type != "b" && d.type != "u" && d.type != "p")
      return Bad("linux.devices", absl::StrCat(d.path, ": unknown type \"", d.type, "\""));
  }
  for (const auto& [name, device] : l.net_devices) {
    if (s.FindNamespace("network") == nullptr)
      return Bad("linux.netDevices", "devices need a network namespace");
    // IFNAMSIZ with its NUL; the kernel allows no blanks and no path.
    for (const std::string* n : {&name, &device.name})
      if (n->size() > 15 || n->find_first_of("/ \t\n") != std::string::npos || HasNul(*n) ||
          *n == "." || *n == ".." || (n == &name && n->empty()))
        return Bad("linux.netDevices", absl::StrCat("\"", *n, "\" is not the name of a device"));
  }
  for (const std::string& p : l.masked_paths)
    if (HasNul(p)) return Bad("linux.maskedPaths", "must not hold a NUL");
  for (const std::string& p : l.readonly_paths)
    if (HasNul(p)) return Bad("linux.readonlyPaths", "must not hold a NUL");
  if (l.resources)
    for (const auto& [file, value] : l.resources->unified)
      if (file.empty() || absl::StrContains(file, "/") || HasNul(file) || file == ".." ||
          file == ".")
        return Bad("linux.resources.unified", absl::StrCat("\"", file, "\" is not a file name"));
  if (l.seccomp) {
    if (!l.seccomp->listener_metadata.empty() && l.seccomp->listener_path.empty())
      return Bad("linux.seccomp.listenerMetadata", "needs a listenerPath");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const Spec& s, std::vector<std::string>* warnings) {
  COAM_RETURN_IF_ERROR(CheckVersion(s, warnings));
  if (s.root && s.root->path.empty()) return Bad("root.path", "must not be empty");
  if (s.process) COAM_RETURN_IF_ERROR(CheckProcess(*s.process, "process"));
  for (const Mount& m : s.mounts) {
    if (m.destination.empty() || HasNul(m.destination))
      return Bad("mounts.destination", "must be a path");
    if (m.uid_mappings.empty() != m.gid_mappings.empty())
      return Bad("mounts.uidMappings",
                 absl::StrCat(m.destination, ": uidMappings and gidMappings go together"));
  }
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.prestart, "prestart"));
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.create_runtime, "createRuntime"));
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.create_container, "createContainer"));
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.start_container, "startContainer"));
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.poststart, "poststart"));
  COAM_RETURN_IF_ERROR(CheckHooks(s.hooks.poststop, "poststop"));
  return CheckLinux(s);
}

}  // namespace coaming::run
