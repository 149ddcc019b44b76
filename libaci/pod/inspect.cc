// What can be told of pods: resolve, status, list, manifest, waiting for the end.
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/networks.h"
#include "libaci/pod/pod_rep.h"

namespace coaming::aci {
namespace {

using internal::AppStatus;

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t StartedNs(const PodDir& pod) {
  int64_t ns = 0;
  const absl::StatusOr<std::string> text = pod.dir().ReadFile(kStartedFile, 64, "manifest_bytes");
  if (!text.ok() || !absl::SimpleAtoi(*text, &ns)) return 0;
  return ns;
}

// Containers of the pod by id; empty where there are none or they cannot be read.
std::map<std::string, run::ContainerInfo> Containers(const PodsOptions& options,
                                                     const PodDir& pod) {
  std::map<std::string, run::ContainerInfo> out;
  const absl::StatusOr<bool> exists = pod.dir().Exists("containers");
  if (!exists.ok() || !*exists) return out;
  const auto runtime = internal::PodRuntime(options, pod);
  if (!runtime.ok()) return out;
  absl::StatusOr<std::vector<run::ContainerInfo>> all = (*runtime)->List();
  if (!all.ok()) return out;
  for (run::ContainerInfo& info : *all) out.emplace(info.id, std::move(info));
  return out;
}

AppInfo DescribeApp(const RuntimeApp& app, const PodDir& pod,
                    const std::map<std::string, run::ContainerInfo>& containers) {
  AppInfo info;
  info.name = app.name;
  info.image_name = app.image.name;
  if (const std::string* version = Find(app.image.labels, "version"); version != nullptr) {
    absl::StrAppend(&info.image_name, ":", *version);
  }
  info.image_id = app.image.id;
  info.state = "prepared";
  if (const auto it = containers.find(app.name); it != containers.end()) {
    info.created_ns = info.started_ns = it->second.created_ns;
    info.pid = it->second.pid;
    info.state = it->second.pid != 0 ? "running" : "exited";
  }
  if (const std::optional<AppStatus> status = internal::ReadStatus(pod, app.name)) {
    info.state = "exited";
    info.exit_code = status->exit_code;
    info.finished_ns = status->finished_ns;
  }
  return info;
}

absl::StatusOr<PodInfo> Describe(const PodsOptions& options, const PodDir& pod) {
  const base::Op op;
  PodInfo info;
  info.uuid = pod.uuid();
  COAM_ASSIGN_OR_RETURN(info.state, pod.State());
  const auto containers = Containers(options, pod);
  if (const auto infra = containers.find(std::string(kInfraId)); infra != containers.end()) {
    info.pid = info.state == PodState::kRunning ? infra->second.pid : 0;
  }
  if (const auto networks = ReadAttached(op, pod.uuid(), internal::NetDir(pod)); networks.ok()) {
    info.networks = *networks;
  }
  info.started_ns = StartedNs(pod);
  if (const auto made = pod.dir().Stat(kManifestFile); made.ok()) {
    info.created_ns = made->st_mtim.tv_sec * kNsPerSecond + made->st_mtim.tv_nsec;
  }
  const absl::StatusOr<PodManifest> manifest = internal::ReadManifest(op, pod);
  if (!manifest.ok()) return info;  // being prepared, or aborted
  for (const RuntimeApp& app : manifest->apps) {
    info.apps.push_back(DescribeApp(app, pod, containers));
  }
  return info;
}

}  // namespace

absl::StatusOr<std::string> Pods::Resolve(std::string_view prefix) {
  return PodDir::Resolve(rep_->root, prefix);
}

absl::StatusOr<PodInfo> Pods::Status(std::string_view prefix) {
  COAM_ASSIGN_OR_RETURN(const std::string uuid, Resolve(prefix));
  COAM_ASSIGN_OR_RETURN(const PodDir pod, PodDir::Open(rep_->root, uuid));
  return Describe(rep_->options, pod);
}

absl::StatusOr<std::string> Pods::ManifestJson(std::string_view prefix) {
  COAM_ASSIGN_OR_RETURN(const std::string uuid, Resolve(prefix));
  COAM_ASSIGN_OR_RETURN(const PodDir pod, PodDir::Open(rep_->root, uuid));
  return pod.dir().ReadFile(kManifestFile, base::Limits().manifest_bytes, "manifest_bytes");
}

absl::Status Pods::WaitExit(const base::Op& op, std::string_view prefix) {
  COAM_ASSIGN_OR_RETURN(const std::string uuid, Resolve(prefix));
  for (;;) {
    COAM_ASSIGN_OR_RETURN(const PodDir pod, PodDir::Open(rep_->root, uuid));
    COAM_ASSIGN_OR_RETURN(const PodState before, pod.State());
    if (before == PodState::kPrepared) {
      return base::Fail("pod.state") << "pod " << uuid << " is prepared and was never run";
    }
    COAM_RETURN_IF_ERROR(pod.WaitExit(op));
    // Preparing ends too; what counts is the end of the run.
    COAM_ASSIGN_OR_RETURN(const PodDir again, PodDir::Open(rep_->root, uuid));
    COAM_ASSIGN_OR_RETURN(const PodState state, again.State());
    if (state != PodState::kPreparing && state != PodState::kRunning) return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<PodInfo>> Pods::List() {
  COAM_ASSIGN_OR_RETURN(const std::vector<std::string> uuids, PodDir::List(rep_->root));
  std::vector<PodInfo> out;
  for (const std::string& uuid : uuids) {
    const absl::StatusOr<PodDir> pod = PodDir::Open(rep_->root, uuid);
    if (base::HasReason(pod.status(), "pod.not_found")) continue;  // removed meanwhile
    COAM_RETURN_IF_ERROR(pod.status());
    COAM_ASSIGN_OR_RETURN(PodInfo info, Describe(rep_->options, *pod));
    out.push_back(std::move(info));
  }
  return out;
}

}  // namespace coaming::aci
