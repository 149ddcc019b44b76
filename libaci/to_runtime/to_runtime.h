// to_runtime turns an app of a pod manifest into an OCI runtime-spec value.
//
// Spec: appc/spec 0.8.11, "App Container Executor"; OCI runtime-spec 1.3. A pure function of its
// inputs: no file is opened; what must be read from the root file system (users, owners) is asked of
// an injected RootView. What the executor cannot do is told in notes (aci.isolator_ignored), or refused
// when strict. Handlers run as the app's user and behind the same isolators, unlike rkt's.
// Threads: any.
#ifndef COAMING_LIBACI_TO_RUNTIME_TO_RUNTIME_H_
#define COAMING_LIBACI_TO_RUNTIME_TO_RUNTIME_H_

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
#include "libaci/schema/isolator.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/pod_manifest.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::aci {

// RootView answers questions about a rendered root file system without leaving it.
class RootView {
 public:
  virtual ~RootView() = default;
  // The contents of a file ("etc/passwd"), or aci.not_found.
  virtual absl::StatusOr<std::string> ReadFile(std::string_view path) const = 0;
  // Owner of a file, links followed inside the root.
  virtual absl::StatusOr<std::pair<uint32_t, uint32_t>> Owner(std::string_view path) const = 0;
};
// A view of a directory on disk, confined to it.
absl::StatusOr<std::unique_ptr<RootView>> OpenRootView(const std::string& rootfs);

struct Ids {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> extra;
  std::string user_name, home, shell;  // from the image's passwd; may be ""
};
// ResolveIds follows the specification: a name of the image's passwd/group first, then a number,
// then the owner of an absolute path. Errors: aci.user_unknown.
absl::StatusOr<Ids> ResolveIds(const App& app, const ImageManifest* image, const RootView& root);

struct BoundVolume {
  Volume volume;
  std::string
      source;  // host path that is mounted: the volume's, or the pod's directory of an empty
};

struct RuntimeInput {
  const PodManifest* pod = nullptr;
  const RuntimeApp* app = nullptr;       // one of pod->apps
  const ImageManifest* image = nullptr;  // the app's image
  std::string rootfs;                    // absolute path of the rendered root
  const RootView* root = nullptr;
  std::vector<BoundVolume> volumes;  // sources of all volumes of the pod, and implicit ones
  std::string hostname;
  std::string metadata_url;  // AC_METADATA_URL; "" if there is no service
  std::string cgroups_path;  // of this app, below the pod's; "" for none
  // Namespaces of the pod to join, by type ("network" -> "/proc/123/ns/net"); a type that is
  // missing here is made new; the value "" leaves the host's.
  std::vector<std::pair<std::string, std::string>> namespaces;
  Environment extra_environment;  // wins over the manifest's
  bool terminal = false;
  bool strict = false;  // an isolator that cannot be enforced is an error
  bool insecure_capabilities = false, insecure_paths = false, insecure_seccomp = false;
};

struct RuntimeOutput {
  run::Spec spec;
  // Event handlers as specs of their own: same root, namespaces, user and isolators, other words.
  std::optional<run::Spec> pre_start, post_stop;
  std::vector<std::string> ignored_isolators;  // names
};

// ToRuntime makes the spec of one app. Errors: aci.no_app, aci.user_unknown, aci.volume_unmet,
// aci.isolator_unsupported, aci.quantity, aci.manifest_invalid.
absl::StatusOr<RuntimeOutput> ToRuntime(const RuntimeInput& input, const base::Op& op);

// EffectiveApp is the pod's app section if it has one, else the image's. Errors: aci.no_app.
absl::StatusOr<App> EffectiveApp(const RuntimeApp& app, const ImageManifest& image);

// MountPlan is how the mounts of one app are met.
struct MountPlan {
  std::string path;    // in the app's root
  std::string volume;  // name
  bool read_only = false, recursive = true;
  bool implicit = false;  // no volume named: an empty one "<app>-<mountpoint>" is made up
  Volume definition;
};
// PlanMounts matches mount points with volumes: a mount of the app with that path, else a volume of
// that name, else an implicit empty one. Errors: aci.volume_unmet (a mount of a volume nobody
// defines, two overlapping targets).
absl::StatusOr<std::vector<MountPlan>> PlanMounts(const PodManifest& pod, const RuntimeApp& app,
                                                  const App& effective);

// PodLimits gives the resources of the pod's own cgroup from the pod-level isolators; PodSysctls the
// sysctls of its namespaces (network and IPC keys only, others: aci.isolator_unsupported).
absl::StatusOr<run::Resources> PodLimits(const PodManifest& pod, const base::Op& op);
absl::StatusOr<run::StringMap> PodSysctls(const PodManifest& pod);

struct PortForward {
  std::string name, protocol, host_ip;
  uint32_t host_port = 0, pod_port = 0, count = 1;
};
// PlanPorts joins the pod's exposed ports with the apps' ports. Errors: core.invalid_argument
// (unknown name, host port twice). `apps` are the effective apps, by name.
absl::StatusOr<std::vector<PortForward>> PlanPorts(
    const PodManifest& pod, const std::vector<std::pair<std::string, App>>& apps);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_TO_RUNTIME_TO_RUNTIME_H_
