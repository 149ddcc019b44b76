// Client attaches containers to networks by running CNI plugins: ADD, DEL, CHECK, GC, STATUS and
// VERSION over a list of plugins, with cached results.
//
// Follows https://www.cni.dev/docs/spec/, sections 2 to 4, and the reference client for what the
// text leaves open (order, stdin, cache files). It differs where that client leaks: a failed ADD is
// undone, DEL goes on after a plugin's failure, a plugin that outlives its deadline is ended with
// everything it started. ClientOptions::exact asks for the reference client's ways instead.
//
//   cni::Client client({.plugin_dirs = {"/usr/lib/cni"}});
//   COAM_ASSIGN_OR_RETURN(auto list, cni::LoadNetwork(op, {{"/etc/cni/net.d"}}, "web"));
//   COAM_ASSIGN_OR_RETURN(auto added, client.AddNetworkList(op, list, {.container_id = id,
//                                                                      .netns = path}));
//
// Ownership: values in, values out. Threads: [shared]; operations for one container must not
// overlap, and GC excludes ADD and DEL of its network (held inside one process for clients that
// share a Client). Limits: plugin_output_bytes for each of stdout and stderr, manifest_bytes.
// Hostile input: plugins are trusted to run but not to answer well; everything they print is
// bounded and parsed as hostile.
#ifndef COAMING_LIBCNI_INVOKE_CLIENT_H_
#define COAMING_LIBCNI_INVOKE_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libcni/cache/cache.h"
#include "libcni/conf/conf.h"
#include "libcni/conf/runtime.h"
#include "libcni/result/result.h"

namespace coaming::cni {

struct PluginCall;

// BuiltinPlugins run in process instead of a program of the same name (libcni/plugins/builtin.h).
class BuiltinPlugins {
 public:
  virtual ~BuiltinPlugins() = default;
  // Serves is true if the plugin `type` with this configuration (what would be its standard input) is
  // run by Run; else the program is.
  virtual bool Serves(std::string_view type, std::string_view conf_json) const = 0;
  // Run gives what the program would print.
  virtual absl::StatusOr<std::string> Run(const base::Op& op, const PluginCall& call) const = 0;
};

struct ClientOptions {
  std::vector<std::string> plugin_dirs;      // absolute; searched in order, sent as CNI_PATH
  std::string cache_dir = kDefaultCacheDir;  // absolute
  // The environment of plugins beside CNI_*. They find iptables, nft and ip through PATH.
  std::vector<std::pair<std::string, std::string>> env = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  bool rollback = true;         // a failed ADD is followed by DEL of the list
  bool keep_intents = true;     // see Cache::WriteIntent
  bool continue_delete = true;  // DEL runs every plugin and reports the first failure
  int64_t rollback_ms = 30000;  // time for that DEL, whatever the operation's own deadline
  bool exact = false;           // do as the reference client does: sets the three above to false
  const BuiltinPlugins* builtins = nullptr;  // borrowed; null: every plugin is a program
};

// One attachment that garbage collection must leave alone.
struct AttachmentId {
  std::string container_id;
  std::string ifname;
  auto operator<=>(const AttachmentId&) const = default;
};

struct VersionInfo {
  std::string cni_version;
  std::vector<std::string> supported;
  std::string ToJson() const;  // as plugins print it
};
// NamesToJson writes a JSON list of strings.
std::string NamesToJson(const std::vector<std::string>& names);

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const ClientOptions& options() const;
  const Cache& cache() const;

  // AddNetworkList runs ADD of each plugin in order and caches the result, which has the version
  // the last plugin printed. On failure nothing is left attached (with `rollback`); a rollback that
  // failed too is told in the detail cni.rollback and as the note cni.rollback_failed.
  // Errors: cni.name, cni.plugin.*, cni.result.*, cni.cache.*, core.cancelled,
  // core.deadline_exceeded. Details: cni.plugin (its type), cni.index, cni.verb, cni.code, cni.msg,
  // cni.details, exit.status or exit.signal, stderr.
  absl::StatusOr<Result> AddNetworkList(const base::Op& op, const NetworkList& list,
                                        const Runtime& runtime);
  // DelNetworkList runs DEL of each plugin in reverse. It is no error if nothing is attached; a
  // broken cache entry is dropped with a note.
  absl::Status DelNetworkList(const base::Op& op, const NetworkList& list, const Runtime& runtime);
  // CheckNetworkList asks each plugin whether the attachment still is as it was made. Needs 0.4.0.
  // Errors: also cni.version, cni.not_attached.
  absl::Status CheckNetworkList(const base::Op& op, const NetworkList& list,
                                const Runtime& runtime);
  // StatusNetworkList asks whether ADD would work now; below 1.1.0 it is always OK.
  absl::Status StatusNetworkList(const base::Op& op, const NetworkList& list);
  // GcNetworkList removes every attachment of the network that is not in `valid`: DEL of each
  // cached one, then GC of each plugin (1.1.0). It goes on after failures and returns the first,
  // with their number in the detail cni.failures.
  absl::Status GcNetworkList(const base::Op& op, const NetworkList& list,
                             const std::vector<AttachmentId>& valid);
  // DelAttachment undoes a cached attachment by the configuration it was made with, as recovery and
  // pods do when the configuration on disk may have changed. Errors: as DelNetworkList;
  // cni.cache.corrupt if the cache entry holds no configuration.
  absl::Status DelAttachment(const base::Op& op, const CachedAttachment& attachment);
  // Recover undoes every attachment that was begun and not finished (a crash between the first
  // plugin and the cached result). Gives the number undone; goes on after failures.
  absl::StatusOr<int> Recover(const base::Op& op);

  // CachedResult gives the result of the last ADD in the list's version, or nullopt.
  absl::StatusOr<std::optional<Result>> CachedResult(const base::Op& op, const NetworkList& list,
                                                     const Runtime& runtime);

  // PluginVersions asks a plugin which versions it speaks. The answer is remembered for the file
  // (device, inode, size, times). Errors: cni.plugin.*.
  absl::StatusOr<VersionInfo> PluginVersions(const base::Op& op, std::string_view type);
  // ValidateNetworkList checks names, that each plugin exists and speaks the list's version, and
  // gives every capability the list can use, sorted.
  absl::StatusOr<std::vector<std::string>> ValidateNetworkList(const base::Op& op,
                                                               const NetworkList& list);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_CLIENT_H_
