// Network configurations: a named list of plugins (`.conflist`) or one plugin (`.conf`, `.json`).
//
// Follows https://www.cni.dev/docs/spec/, section 1, and the loading order of the reference client:
// lists before single plugins, files in name order, then `<dir>/<network>/*.conf` appended unless
// `loadOnlyInlinedPlugins` is set. Plugin objects keep their source bytes, so numbers and members
// that nobody here knows reach the plugin as written.
// Ownership: plain values. Threads: pure functions beside reading files. Limits: manifest_bytes for
// each file, json_depth, json_values. Hostile input: a network's name that is no plain file name
// never becomes part of a path.
#ifndef COAMING_LIBCNI_CONF_CONF_H_
#define COAMING_LIBCNI_CONF_CONF_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"

namespace coaming::cni {

struct PluginConf {
  std::string type;                       // file name of the plugin
  std::string name;                       // the object's own `name`, mostly empty in lists
  std::string cni_version;                // the object's own `cniVersion`, mostly empty in lists
  std::string ipam_type;                  // `ipam.type`, or empty
  std::vector<std::string> capabilities;  // those that are true
  std::string json;                       // the object as written
};

struct NetworkList {
  std::string name;
  std::string cni_version;  // the one selected from cniVersion and cniVersions; "" = 0.1.0
  bool disable_check = false;
  bool disable_gc = false;
  bool load_only_inlined_plugins = false;
  std::vector<PluginConf> plugins;
  std::string json;  // the list as written (what the result cache keeps)
  std::string path;  // file it came from, or empty
};

// ParsePluginConf reads one plugin object. Errors: cni.conf.invalid.
absl::StatusOr<PluginConf> ParsePluginConf(std::string_view json,
                                           const base::Limits& limits = base::Limits());
// ParseNetworkList reads a list; it may have no plugins yet. Errors: cni.conf.invalid, cni.version.
absl::StatusOr<NetworkList> ParseNetworkList(std::string_view json,
                                             const base::Limits& limits = base::Limits());
// ListFromPlugin makes a list of one from a single plugin configuration, whose name and version it
// takes. Errors: cni.conf.invalid.
absl::StatusOr<NetworkList> ListFromPlugin(const PluginConf& plugin);

// ParseNetwork reads either: a document with `plugins`, or without `type`, is a list.
// Errors: as ParseNetworkList; a list without plugins is cni.conf.invalid.
absl::StatusOr<NetworkList> ParseNetwork(std::string_view json,
                                         const base::Limits& limits = base::Limits());

// LoadNetworkFile reads a list (`.conflist`) with the plugins of its sibling directory, or a single
// plugin (any other name) as a list of one.
// Errors: cni.conf.not_found, cni.conf.invalid, cni.version, core.io, core.permission, core.limit.
absl::StatusOr<NetworkList> LoadNetworkFile(const base::Op& op, const std::string& path);

struct LoadOptions {
  // A file that cannot be read or parsed fails the load even if another file has the network. Off:
  // it is skipped with the note cni.conf.skipped.
  bool strict = false;
};

// LoadNetwork finds the network called `name`: directories in the given order, in each of them
// lists before single plugins. A directory that does not exist counts as empty.
// Errors: as LoadNetworkFile; cni.conf.not_found names the directories and the networks they have.
absl::StatusOr<NetworkList> LoadNetwork(const base::Op& op, std::span<const std::string> dirs,
                                        std::string_view name, const LoadOptions& options = {});

struct Problem {
  std::string path;
  absl::Status status;
};

struct NetworkSet {
  std::vector<NetworkList> networks;  // in order of precedence, one for each name
  std::vector<Problem> problems;      // files that were skipped, and names given twice
};

// LoadAllNetworks reads every network of the directories (files in name order; a name met again is
// a problem, not a network). Errors: core.io, core.cancelled, core.deadline_exceeded.
absl::StatusOr<NetworkSet> LoadAllNetworks(const base::Op& op, std::span<const std::string> dirs);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CONF_CONF_H_
