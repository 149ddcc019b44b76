// What the files of this package share: where the parts of a pod lie, and how they are opened.
//
//   POD/pod                 pod manifest
//   POD/apps/APP/           manifest and rootfs of the app's image, rendered
//   POD/volumes/NAME        empty volumes
//   POD/net/                results of CNI (networks.h)
//   POD/containers/         state of liboci/runtime: "_pod" (infrastructure) and one of each app
//   POD/etc/                resolv.conf and hosts, when the pod has its own
//   POD/status/APP          "CODE FINISHED_NS" once an app has ended
//   POD/logs/APP            output, if asked for
//   POD/started             "NS" when the pod was started
//   POD/supervisor          lock of the process that runs the pod
#ifndef COAMING_LIBACI_POD_POD_REP_H_
#define COAMING_LIBACI_POD_POD_REP_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "libaci/pod/pod.h"
#include "libaci/pod/pod_dir.h"
#include "libaci/store/store.h"
#include "liboci/runtime/executor.h"

namespace coaming::aci {

// The infrastructure container's id; no app can be called so (an AC Name has no underscore).
inline constexpr std::string_view kInfraId = "_pod";
inline constexpr std::string_view kManifestFile = "pod";
inline constexpr std::string_view kSupervisorFile = "supervisor";
inline constexpr std::string_view kStartedFile = "started";

struct Pods::Rep {
  PodsOptions options;
  base::Dir root;  // DIR/pods
  std::unique_ptr<ImageStore> store;
};

namespace internal {

// The executor whose state is the pod's own. The pod may be renamed between uses, not during one.
absl::StatusOr<std::shared_ptr<run::Runtime>> PodRuntime(const PodsOptions& options,
                                                         const PodDir& pod);
absl::StatusOr<PodManifest> ReadManifest(const base::Op& op, const PodDir& pod);

struct AppStatus {
  int exit_code = 0;
  int64_t finished_ns = 0;
};
absl::Status WriteStatus(const base::Op& op, const PodDir& pod, std::string_view app,
                         const AppStatus& status);
// nullopt if the app has not ended, or nobody was there to see how.
std::optional<AppStatus> ReadStatus(const PodDir& pod, std::string_view app);

// "POD/net"
std::string NetDir(const PodDir& pod);
// The cgroup of the pod: below PodsOptions::cgroup_parent.
std::string PodCgroup(const PodsOptions& options, std::string_view uuid);
// The network namespace of a living infrastructure container, else "".
std::string NetnsPath(run::Runtime& runtime);

// TakeDown kills whatever of the pod lives, leaves its networks, and removes its containers with
// their cgroups. It goes on after failures and returns the first. Nothing there: OK.
absl::Status TakeDown(const base::Op& op, const PodsOptions& options, const PodDir& pod);

// resolv.conf and hosts of the pod.
std::string ResolvConf(const std::vector<std::string>& servers,
                       const std::vector<std::string>& search,
                       const std::vector<std::string>& options, std::string_view domain);
std::string HostsFile(std::string_view hostname,
                      const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace internal
}  // namespace coaming::aci

#endif  // COAMING_LIBACI_POD_POD_REP_H_
