// Finding and reading network configurations on disk.
#include <dirent.h>
#include <sys/stat.h>

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/json/json.h"
#include "libcni/conf/conf.h"
#include "libcni/conf/names.h"

namespace coaming::cni {
namespace {

constexpr char kLimitName[] = "manifest_bytes";

// What comes after the last dot, with the dot, as Go's filepath.Ext has it.
std::string_view Extension(std::string_view name) {
  size_t dot = name.rfind('.');
  return dot == name.npos ? std::string_view() : name.substr(dot);
}

absl::StatusOr<std::optional<base::Dir>> OpenIfThere(const std::string& path) {
  auto dir = base::Dir::Open(path);
  if (dir.ok()) return std::optional<base::Dir>(*std::move(dir));
  if (base::HasReason(dir.status(), "core.not_found")) return std::optional<base::Dir>();
  return dir.status();
}

// File names with one of the extensions, sorted. Directories are left out; links are followed when
// the file is read.
absl::StatusOr<std::vector<std::string>> ConfFiles(
    const base::Dir& dir, std::initializer_list<std::string_view> extensions) {
  std::vector<std::string> names;
  COAM_ASSIGN_OR_RETURN(auto entries, dir.List());
  for (const base::DirEntry& entry : entries) {
    if (entry.type == DT_DIR) continue;
    for (std::string_view extension : extensions) {
      if (Extension(entry.name) == extension) names.push_back(entry.name);
    }
  }
  return names;
}

// The directory is the host's own, so a link in it may lead anywhere, as for any other program.
absl::StatusOr<std::string> ReadConf(const base::Op& op, const base::Dir& dir,
                                     std::string_view name) {
  COAM_RETURN_IF_ERROR(op.Check());
  return base::ReadHostFile(op, dir.PathOf(name), op.limits().manifest_bytes, kLimitName);
}

// The list with its plugins of other files written into it, so that the cache keeps all of them.
std::string SelfContained(const NetworkList& list) {
  std::string out = "{\"cniVersion\":";
  base::json::AppendQuoted(list.cni_version, base::json::Escape::kGo, &out);
  if (list.disable_check) out += ",\"disableCheck\":true";
  if (list.disable_gc) out += ",\"disableGC\":true";
  out += ",\"loadOnlyInlinedPlugins\":true,\"name\":";
  base::json::AppendQuoted(list.name, base::json::Escape::kGo, &out);
  absl::StrAppend(&out, ",\"plugins\":[",
                  absl::StrJoin(list.plugins, ",",
                                [](std::string* to, const PluginConf& plugin) {
                                  absl::StrAppend(to, plugin.json);
                                }),
                  "]}");
  return out;
}

absl::Status AppendSiblings(const base::Op& op, const base::Dir& dir, NetworkList* list) {
  // A name that is no file name has no sibling directory.
  if (!CheckNetworkName(list->name).ok()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto siblings, OpenIfThere(dir.PathOf(list->name)));
  if (!siblings.has_value()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto names, ConfFiles(*siblings, {".conf"}));
  for (const std::string& name : names) {
    COAM_ASSIGN_OR_RETURN(std::string text, ReadConf(op, *siblings, name));
    auto plugin = ParsePluginConf(text, op.limits());
    if (!plugin.ok()) return base::Wrap(plugin.status(), siblings->PathOf(name));
    list->plugins.push_back(*std::move(plugin));
  }
  if (!names.empty()) list->json = SelfContained(*list);
  return absl::OkStatus();
}

absl::StatusOr<NetworkList> LoadList(const base::Op& op, const base::Dir& dir,
                                     const std::string& name) {
  COAM_ASSIGN_OR_RETURN(std::string text, ReadConf(op, dir, name));
  auto list = ParseNetworkList(text, op.limits());
  if (!list.ok()) return base::Wrap(list.status(), dir.PathOf(name));
  if (!list->load_only_inlined_plugins) {
    COAM_RETURN_IF_ERROR(AppendSiblings(op, dir, &*list));
  }
  if (list->plugins.empty()) {
    return base::Fail("cni.conf.invalid") << dir.PathOf(name) << ": the network has no plugins";
  }
  list->path = dir.PathOf(name);
  return list;
}

absl::StatusOr<NetworkList> LoadSingle(const base::Op& op, const base::Dir& dir,
                                       const std::string& name) {
  COAM_ASSIGN_OR_RETURN(std::string text, ReadConf(op, dir, name));
  auto plugin = ParsePluginConf(text, op.limits());
  if (!plugin.ok()) return base::Wrap(plugin.status(), dir.PathOf(name));
  COAM_ASSIGN_OR_RETURN(NetworkList list, ListFromPlugin(*plugin));
  list.path = dir.PathOf(name);
  return list;
}

// True for failures that end the whole load, whatever the mode.
bool MustStop(const absl::Status& status) {
  return base::HasReason(status, "core.cancelled") ||
         base::HasReason(status, "core.deadline_exceeded");
}

// Calls `take` for each network of a directory in order of precedence until it says true. Files that
// fail go to `fail`, which may stop the walk with a status.
template <typename Take, typename Fail>
absl::Status ForEach(const base::Op& op, const std::string& path, Take take, Fail fail) {
  COAM_ASSIGN_OR_RETURN(auto dir, OpenIfThere(path));
  if (!dir.has_value()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto lists, ConfFiles(*dir, {".conflist"}));
  COAM_ASSIGN_OR_RETURN(auto singles, ConfFiles(*dir, {".conf", ".json"}));
  for (bool single : {false, true}) {
    for (const std::string& name : single ? singles : lists) {
      auto list = single ? LoadSingle(op, *dir, name) : LoadList(op, *dir, name);
      if (!list.ok()) {
        if (MustStop(list.status())) return list.status();
        COAM_RETURN_IF_ERROR(fail(dir->PathOf(name), list.status()));
      } else if (take(*std::move(list))) {
        return absl::OkStatus();
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NetworkList> LoadNetworkFile(const base::Op& op, const std::string& path) {
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf parent, base::OpenHostParent(path));
  auto list = Extension(parent.name) == ".conflist" ? LoadList(op, parent.dir, parent.name)
                                                    : LoadSingle(op, parent.dir, parent.name);
  if (!list.ok() && base::HasReason(list.status(), "core.not_found")) {
    return base::Fail("cni.conf.not_found").Cause(list.status())
           << base::GetError(list.status()).message;
  }
  return list;
}

absl::StatusOr<NetworkList> LoadNetwork(const base::Op& op, std::span<const std::string> dirs,
                                        std::string_view name, const LoadOptions& options) {
  std::optional<NetworkList> found;
  std::vector<std::string> seen;
  int skipped = 0;
  std::string first_skipped;
  for (const std::string& dir : dirs) {
    COAM_RETURN_IF_ERROR(ForEach(
        op, dir,
        [&](NetworkList&& list) {
          if (list.name != name) {
            seen.push_back(list.name);
            return false;
          }
          found = std::move(list);
          return true;
        },
        [&](const std::string& path, const absl::Status& status) {
          if (options.strict) return status;
          if (++skipped == 1) first_skipped = base::GetError(status).message;
          op.AddNote("cni.conf.skipped", path, base::GetError(status).message);
          return absl::OkStatus();
        }));
    if (found.has_value()) return *std::move(found);
  }
  std::string rest;
  if (!seen.empty()) {
    if (seen.size() > 20) seen.resize(20);
    absl::StrAppend(&rest, "; there are ", absl::StrJoin(seen, ", "));
  }
  if (skipped > 0) absl::StrAppend(&rest, "; left out: ", first_skipped);
  if (skipped > 1) absl::StrAppend(&rest, " (and ", skipped - 1, " more)");
  return base::Fail("cni.conf.not_found").Detail("cni.network", name.substr(0, 128))
         << "no network is called \"" << name.substr(0, 128) << "\" in "
         << absl::StrJoin(dirs, ", ") << rest;
}

absl::StatusOr<NetworkSet> LoadAllNetworks(const base::Op& op, std::span<const std::string> dirs) {
  NetworkSet out;
  std::set<std::string> names;
  for (const std::string& dir : dirs) {
    COAM_RETURN_IF_ERROR(ForEach(
        op, dir,
        [&](NetworkList&& list) {
          absl::Status named = CheckNetworkName(list.name);
          if (!named.ok()) {
            out.problems.push_back({list.path, named});
          } else if (!names.insert(list.name).second) {
            out.problems.push_back({list.path, base::Fail("cni.conf.invalid")
                                                   << "network " << list.name
                                                   << " is given by an earlier file"});
          } else {
            out.networks.push_back(std::move(list));
          }
          return false;
        },
        [&](const std::string& path, const absl::Status& status) {
          out.problems.push_back({path, status});
          return absl::OkStatus();
        }));
  }
  return out;
}

}  // namespace coaming::cni
