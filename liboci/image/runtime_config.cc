#include "liboci/image/runtime_config.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::oci {
namespace {

constexpr std::string_view kPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What engines give an image that asks for nothing.
constexpr std::string_view kCapabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE"};

// A file of the tree's /etc; "" if there is none.
absl::StatusOr<std::string> ReadEtc(const base::Op& op, const base::Dir& rootfs,
                                    std::string_view path) {
  absl::StatusOr<std::string> text =
      rootfs.ReadFile(path, op.limits().manifest_bytes, "manifest_bytes");
  if (text.ok()) return text;
  for (std::string_view absent : {"core.not_found", "fs.not_directory"}) {
    if (base::HasReason(text.status(), absent)) return std::string();
  }
  return text.status();
}

bool IsId(std::string_view text, uint32_t* id) {
  bool digits = !text.empty() &&
                std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && absl::SimpleAtoi(text, id);
}

// Calls `fn` with the fields of each line that has at least `least`, until it returns true.
template <typename Fn>
bool FindLine(std::string_view text, size_t least, Fn fn) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    std::vector<std::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() >= least && fn(fields)) return true;
  }
  return false;
}

absl::Status NoUser(std::string_view what, std::string_view name, std::string_view file) {
  return base::Fail("oci.user") << "the image runs as " << what << " \"" << name.substr(0, 100)
                                << "\", which its " << file << " does not have";
}

}  // namespace

absl::StatusOr<run::User> ResolveUser(const base::Op& op, std::string_view user,
                                      const base::Dir& rootfs) {
  run::User out;
  if (user.empty()) return out;
  size_t colon = user.find(':');
  std::string_view name = user.substr(0, colon);
  std::string_view group =
      colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
  const bool numeric = IsId(name, &out.uid);
  std::string login(name);
  if (!numeric || colon == std::string_view::npos) {
    COAM_ASSIGN_OR_RETURN(std::string passwd, ReadEtc(op, rootfs, "etc/passwd"));
    bool found = FindLine(passwd, 4, [&](const std::vector<std::string_view>& f) {
      uint32_t uid = 0, gid = 0;
      if (!IsId(f[2], &uid) || !IsId(f[3], &gid)) return false;
      if (numeric ? uid != out.uid : f[0] != name) return false;
      out.uid = uid;
      out.gid = gid;
      login = f[0];
      return true;
    });
    if (!found && !numeric) return NoUser("user", name, "/etc/passwd");
  }
  if (colon != std::string_view::npos && !group.empty()) {
    if (IsId(group, &out.gid)) return out;
    COAM_ASSIGN_OR_RETURN(std::string text, ReadEtc(op, rootfs, "etc/group"));
    bool found = FindLine(text, 3, [&](const std::vector<std::string_view>& f) {
      return f[0] == group && IsId(f[2], &out.gid);
    });
    if (!found) return NoUser("group", group, "/etc/group");
    return out;
  }
  if (numeric) return out;
  // A user by name, without a group: the groups that list it count too.
  COAM_ASSIGN_OR_RETURN(std::string text, ReadEtc(op, rootfs, "etc/group"));
  FindLine(text, 4, [&](const std::vector<std::string_view>& f) {
    uint32_t gid = 0;
    if (!IsId(f[2], &gid) || gid == out.gid) return false;
    for (std::string_view member : absl::StrSplit(f[3], ',')) {
      if (member == login && out.additional_gids.size() < 1024) {
        out.additional_gids.push_back(gid);
        break;
      }
    }
    return false;
  });
  return out;
}

absl::StatusOr<run::Spec> ToRuntimeSpec(const base::Op& op, const ImageConfig& config,
                                        const base::Dir& rootfs, const IdMapping& ids) {
  const bool rootless = geteuid() != 0;
  run::Spec spec = rootless ? run::RootlessSpec(geteuid(), getegid()) : run::DefaultSpec();
  spec.root->path = "rootfs";
  spec.root->readonly = false;
  run::Process& process = *spec.process;
  const ContainerConfig& c = config.config;

  process.terminal = false;
  process.args = c.entrypoint;
  process.args.insert(process.args.end(), c.cmd.begin(), c.cmd.end());
  if (process.args.empty()) process.args = {"sh"};
  process.env = c.env;
  bool has_path = std::any_of(c.env.begin(), c.env.end(),
                              [](const std::string& e) { return e.starts_with("PATH="); });
  if (!has_path) process.env.emplace_back(kPath);
  process.cwd = c.working_dir.empty() ? "/" : c.working_dir;
  if (!process.cwd.starts_with('/')) process.cwd.insert(0, "/");
  COAM_ASSIGN_OR_RETURN(process.user, ResolveUser(op, c.user, rootfs));
  std::vector<std::string> capabilities(std::begin(kCapabilities), std::end(kCapabilities));
  process.capabilities.emplace();
  process.capabilities->bounding = capabilities;
  if (process.user.uid == 0) {
    process.capabilities->effective = process.capabilities->permitted = capabilities;
  }

  const auto annotate = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) spec.annotations[absl::StrCat("org.opencontainers.image.", key)] = value;
  };
  annotate("os", config.platform.os);
  annotate("architecture", config.platform.architecture);
  annotate("variant", config.platform.variant);
  annotate("os.version", config.platform.os_version);
  annotate("os.features", absl::StrJoin(config.platform.os_features, ","));
  annotate("author", config.author);
  annotate("created", config.created);
  annotate("stopSignal", c.stop_signal);
  annotate("exposedPorts", absl::StrJoin(c.exposed_ports, ","));
  for (const auto& [key, value] : c.labels) {
    if (!key.empty()) spec.annotations[key] = value;
  }

  if (!ids.uids.empty() || !ids.gids.empty()) {
    const auto convert = [](const std::vector<IdRange>& ranges) {
      std::vector<run::IdMap> out;
      for (const IdRange& r : ranges) {
        out.push_back({static_cast<uint32_t>(r.container), static_cast<uint32_t>(r.host),
                       static_cast<uint32_t>(r.size)});
      }
      return out;
    };
    spec.linux_.uid_mappings = convert(ids.uids);
    spec.linux_.gid_mappings = convert(ids.gids);
    if (spec.FindNamespace("user") == nullptr) spec.linux_.namespaces.push_back({"user", ""});
  }
  return spec;
}

}  // namespace coaming::oci
