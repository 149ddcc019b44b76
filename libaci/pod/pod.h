// Pods prepares, runs, lists, enters, stops and removes pods of App Container images.
//
// A pod is one infrastructure container (liboci/runtime's pause process), which holds the pod's
// network, IPC and UTS namespaces and its lock, and one container an app, each with its own mount, PID
// and cgroup namespaces and a rendered root file system. Networks are CNI configurations. This is where
// libaci, liboci/runtime, libcni and libtrust meet (DESIGN 1.2, exception 4).
// Specification: appc/spec 0.8.11, "App Container Executor"; the directory layout and words are rkt's.
//
//   COAM_ASSIGN_OR_RETURN(auto pods, aci::Pods::Open({.dir = "/var/lib/rkt"}));
//   aci::PodRequest request;
//   request.apps.push_back({.image = "example.com/hello"});
//   COAM_ASSIGN_OR_RETURN(std::string uuid, pods->Prepare(op, request));
//   COAM_ASSIGN_OR_RETURN(auto pod, pods->Run(op, uuid, {}));
//   COAM_ASSIGN_OR_RETURN(int code, pod->Wait(op));
//
// Ownership: Pod keeps Pods alive; destroying a Pod stops nothing. Threads: Pods [shared], Pod
// [shared]. A kill -9 of the host at any moment leaves what Gc cleans: mounts, namespaces, cgroups,
// addresses, links, files. Hostile input: manifests and root file systems; see to_runtime and render.
#ifndef COAMING_LIBACI_POD_POD_H_
#define COAMING_LIBACI_POD_POD_H_

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
#include "base/core/unique_fd.h"
#include "libaci/pod/pod_dir.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/pod_manifest.h"

namespace coaming::aci {

struct PodsOptions {
  std::string dir = "/var/lib/rkt";  // pods/, cas/ below it
  // Directories with CNI configurations, the first that has a name wins; then the built-in ones.
  std::vector<std::string> network_dirs = {"/etc/rkt/net.d"};
  std::vector<std::string> plugin_dirs = {"/usr/lib/rkt/plugins/net", "/usr/lib/cni"};
  std::string cgroup_parent = "/coaming";
  std::string launcher;  // see run::RuntimeOptions
};

// One app of a pod to be: an image and what is changed about it.
struct AppRequest {
  std::string image;  // ID, prefix of one, or name[:version][,label=value...] in the store
  std::string name;   // "": last component of the image's name
  std::optional<std::string> exec;             // replaces the image's exec as a whole
  std::vector<std::string> args;               // appended
  std::string user, group, working_directory;  // "": the image's
  std::vector<uint32_t> supplementary_gids;
  Environment environment;  // set over the image's
  std::vector<Mount> mounts;
  std::vector<Isolator> isolators;  // replace those of the same name
  Annotations annotations;
  StringMap user_annotations, user_labels;
  bool read_only_rootfs = false;
};

struct PodRequest {
  std::vector<AppRequest> apps;
  std::vector<Volume> volumes;
  std::vector<ExposedPort> ports;
  Annotations annotations;
  // Environment for all apps: inherited (lowest), and set.
  Environment inherited_environment, environment;
  std::optional<std::string> manifest;  // JSON of a pod manifest instead of all the above
  bool no_overlay = false;              // render each app's root into the pod
};

// MakePodManifest builds the manifest that `request` describes, as `rkt prepare` does: each app's
// section written out with the changes worked in. Errors: aci.not_found (image), pod.app (two apps of
// one name, no app section and no exec), aci.volume_unmet, core.invalid_argument.
class ImageStore;
absl::StatusOr<PodManifest> MakePodManifest(const base::Op& op, ImageStore& store,
                                            const PodRequest& request);

// Where the standard streams of an app go.
enum class PodStdio {
  kInherit,  // the caller's own (rkt run --interactive, and the default of one app)
  kNull,
  kLog,  // appended to POD/logs/APP as it comes
};

struct RunRequest {
  // "none", "host", "default", "all", or names with CNI_ARGS after a colon ("back:IP=10.1.2.3").
  std::vector<std::string> networks = {"default"};
  std::string hostname;  // "": rkt-UUID
  std::vector<std::string> dns, dns_search, dns_options;
  std::string dns_domain;
  std::vector<std::pair<std::string, std::string>> hosts;  // address, name
  PodStdio stdio = PodStdio::kInherit;
  bool terminal = false;  // one app only; the master is Pod::TakeConsole
  bool host_ipc = false;
  std::string metadata_url;  // AC_METADATA_URL of a metadata service that knows the pod
  bool insecure_capabilities = false, insecure_paths = false, insecure_seccomp = false;
};

struct NetworkInfo {
  std::string name, interface, address;  // "10.1.2.3"
};

struct AppInfo {
  std::string name, image_name, image_id;
  std::string state;  // "prepared", "running", "exited"
  std::optional<int> exit_code;
  int64_t created_ns = 0, started_ns = 0, finished_ns = 0;
  int32_t pid = 0;  // 0 unless running
};

struct PodInfo {
  std::string uuid;
  PodState state = PodState::kEmbryo;
  std::vector<AppInfo> apps;
  std::vector<NetworkInfo> networks;
  int64_t created_ns = 0, started_ns = 0;  // 0 if not yet
  int32_t pid = 0;                         // of the infrastructure process; 0 unless running
};

// The JSON of <coaming/pod.h>, schema coam.pod.v1: one object, or an array of them.
std::string PodInfoToJson(const PodInfo& pod);
std::string PodInfosToJson(const std::vector<PodInfo>& pods);

struct GcRequest {
  int64_t grace_period_ms = 30 * 60'000;
  int64_t expire_prepared_ms = 24 * 3'600'000;
  bool mark_only = false;
};

class Pods;

// A pod that this process runs.
class Pod {
 public:
  ~Pod();
  const std::string& uuid() const;
  // Readable when an app or the infrastructure process has ended: call Wait with a deadline of now, or
  // Poll. Borrowed.
  int poll_fd() const;
  // Wait reaps apps until the pod has ended (all apps, or one that failed, whose code it returns),
  // stops what still runs, tears the network down and writes the statuses.
  absl::StatusOr<int> Wait(const base::Op& op);
  // Poll does what Wait does for what has happened so far; nullopt while the pod runs.
  absl::StatusOr<std::optional<int>> Poll(const base::Op& op);
  // Shutdown ends the pod now: SIGTERM to its apps, SIGKILL after `grace_ms`, then all that Wait does
  // at the end. For a run that was interrupted.
  absl::StatusOr<int> Shutdown(const base::Op& op, int64_t grace_ms);
  base::UniqueFd TakeConsole();

  struct Rep;

 private:
  friend class Pods;
  explicit Pod(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// A process put into an app of a running pod.
class Entered {
 public:
  ~Entered();
  int poll_fd() const;
  base::UniqueFd TakeConsole();
  absl::Status Kill(int signal);
  absl::StatusOr<int> Wait(const base::Op& op);  // exit code, 128 + signal

 private:
  friend class Pods;
  struct Rep;
  explicit Entered(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

class Pods : public std::enable_shared_from_this<Pods> {
 public:
  // Errors: core.permission (not root), core.io.
  static absl::StatusOr<std::shared_ptr<Pods>> Open(const PodsOptions& options);
  ~Pods();

  // Prepare renders the apps and writes the manifest; the pod is "prepared". A failure leaves an
  // aborted prepare that Gc removes. Errors: as MakePodManifest, and those of rendering.
  absl::StatusOr<std::string> Prepare(const base::Op& op, const PodRequest& request);
  // Run starts a prepared pod. A failure stops what was started, tears the network down and leaves the
  // pod exited. Errors: pod.not_found, pod.state, pod.network, run.*.
  absl::StatusOr<std::unique_ptr<Pod>> Run(const base::Op& op, std::string_view uuid,
                                           const RunRequest& request);

  // All take a UUID or the beginning of one. Errors: pod.not_found, pod.ambiguous.
  absl::StatusOr<std::string> Resolve(std::string_view prefix);
  absl::StatusOr<PodInfo> Status(std::string_view prefix);
  absl::StatusOr<std::string> ManifestJson(std::string_view prefix);
  // WaitExit waits until the pod, of whatever process, has ended.
  absl::Status WaitExit(const base::Op& op, std::string_view prefix);
  // Stop sends SIGTERM to the pod's apps (SIGKILL if `force`). pod.state unless running.
  absl::Status Stop(const base::Op& op, std::string_view prefix, bool force);
  // Remove removes an exited or prepared pod at once. pod.state otherwise.
  absl::Status Remove(const base::Op& op, std::string_view prefix);
  // Enter starts `args` in an app ("" if the pod has one). pod.state unless running, pod.app.
  absl::StatusOr<std::unique_ptr<Entered>> Enter(const base::Op& op, std::string_view prefix,
                                                 std::string_view app,
                                                 const std::vector<std::string>& args,
                                                 bool terminal);
  // List tells of all pods, sorted by UUID; broken ones with what could be read.
  absl::StatusOr<std::vector<PodInfo>> List();
  // Gc marks and removes, and gives the UUIDs that it removed. A pod that cannot be cleaned is a
  // note, not a failure of the others.
  absl::StatusOr<std::vector<std::string>> Gc(const base::Op& op, const GcRequest& request);

  struct Rep;

 private:
  explicit Pods(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_POD_POD_H_
