// MakePodManifest: from images and flags to a pod manifest, as `rkt prepare` writes it.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/pod.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/types.h"
#include "libaci/store/store.h"

namespace coaming::aci {
namespace {

// The least memory a process can be given: one page (rkt's bound).
constexpr int64_t kLeastMemory = 4096;

absl::StatusOr<std::string> AppName(const AppRequest& request, const ImageManifest& image) {
  if (!request.name.empty()) {
    COAM_RETURN_IF_ERROR(CheckAcName(request.name, "app name"));
    return request.name;
  }
  const size_t slash = image.name.rfind('/');
  return SanitizeAcName(slash == std::string::npos ? image.name : image.name.substr(slash + 1));
}

// The environment of an app, later wins: inherited, the image's, the pod's, the app's own.
Environment JoinEnvironment(const PodRequest& pod, const App& app, const AppRequest& request) {
  Environment out = pod.inherited_environment;
  for (const Environment* part : {&app.environment, &pod.environment, &request.environment}) {
    for (const NameValue& variable : *part) Set(out, variable.name, variable.value);
  }
  return out;
}

absl::Status CheckIsolatorRequest(const AppRequest& request, std::string_view name) {
  bool retain = false, remove = false;
  for (const Isolator& isolator : request.isolators) {
    COAM_ASSIGN_OR_RETURN(const IsolatorValue value, ReadIsolator(isolator));
    retain |= value.kind == IsolatorKind::kCapabilitiesRetain;
    remove |= value.kind == IsolatorKind::kCapabilitiesRemove;
    if (value.kind != IsolatorKind::kMemory || !value.limit.has_value()) continue;
    const int64_t bytes = value.limit->Value();
    if (bytes < kLeastMemory) {
      return base::Fail("pod.app") << "app " << name << ": memory limit of " << bytes
                                   << " bytes is below " << kLeastMemory;
    }
  }
  if (retain && remove) {
    return base::Fail("pod.app").Hint("give either what to retain or what to remove")
           << "app " << name << ": capabilities to retain and to remove";
  }
  return absl::OkStatus();
}

absl::StatusOr<RuntimeApp> MakeApp(ImageStore& store, const PodRequest& pod,
                                   const AppRequest& request) {
  COAM_ASSIGN_OR_RETURN(const std::string id, store.Resolve(request.image));
  COAM_ASSIGN_OR_RETURN(const ImageManifest image, store.Manifest(id));
  RuntimeApp out;
  COAM_ASSIGN_OR_RETURN(out.name, AppName(request, image));
  COAM_RETURN_IF_ERROR(CheckIsolatorRequest(request, out.name));
  if (!image.app.has_value() && !request.exec.has_value()) {
    return base::Fail("pod.app").Hint("name a program with --exec")
           << "image " << image.name << " has no app section and no program was named";
  }
  App app = image.app.value_or(App{});
  if (request.exec.has_value()) app.exec = {*request.exec};
  app.exec.insert(app.exec.end(), request.args.begin(), request.args.end());
  if (!request.user.empty()) app.user = request.user;
  if (!request.group.empty()) app.group = request.group;
  if (app.user.empty()) app.user = "0";
  if (app.group.empty()) app.group = "0";
  if (!request.working_directory.empty()) app.working_directory = request.working_directory;
  if (!request.supplementary_gids.empty()) app.supplementary_gids = request.supplementary_gids;
  app.environment = JoinEnvironment(pod, app, request);
  for (const Isolator& isolator : request.isolators) SetIsolator(app.isolators, isolator);
  for (const auto& [name, value] : request.user_annotations) {
    app.user_annotations.emplace_back(name, value);
  }
  for (const auto& [name, value] : request.user_labels) app.user_labels.emplace_back(name, value);
  out.image.name = image.name;
  out.image.id = id;
  out.image.labels = image.labels;
  out.app = std::move(app);
  out.read_only_root_fs = request.read_only_rootfs;
  out.mounts = request.mounts;
  out.annotations = request.annotations;
  return out;
}

absl::Status CheckVolumes(const PodManifest& pod) {
  for (size_t i = 0; i < pod.volumes.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (pod.volumes[i].name == pod.volumes[j].name) {
        return base::Fail("core.invalid_argument")
               << "two volumes are called '" << pod.volumes[i].name << "'";
      }
    }
  }
  for (const RuntimeApp& app : pod.apps) {
    for (const Mount& mount : app.mounts) {
      if (mount.app_volume.has_value() || pod.FindVolume(mount.volume) != nullptr) continue;
      return base::Fail("aci.volume_unmet")
             << "app " << app.name << ": mount " << mount.path << " wants volume '" << mount.volume
             << "', which the pod does not have";
    }
  }
  return absl::OkStatus();
}

// Each exposed port must be one of an app's, and a name must mean one port.
absl::Status CheckPorts(const PodManifest& pod) {
  for (const ExposedPort& exposed : pod.ports) {
    if (exposed.pod_port.has_value()) continue;
    int found = 0;
    for (const RuntimeApp& app : pod.apps) {
      found +=
          static_cast<int>(std::count_if(app.app->ports.begin(), app.app->ports.end(),
                                         [&](const Port& p) { return p.name == exposed.name; }));
    }
    if (found == 1) continue;
    return base::Fail("core.invalid_argument").Hint("the image's manifest lists its ports")
           << "port '" << exposed.name << "' is a port of "
           << (found == 0 ? "no app" : "several apps");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PodManifest> MakePodManifest(const base::Op& op, ImageStore& store,
                                            const PodRequest& request) {
  ParseOptions parse;
  parse.limits = &op.limits();
  parse.op = &op;
  if (request.manifest.has_value()) {
    COAM_ASSIGN_OR_RETURN(PodManifest pod, ParsePodManifest(*request.manifest, parse));
    for (RuntimeApp& app : pod.apps) {
      if (app.image.id.empty()) {
        COAM_ASSIGN_OR_RETURN(app.image.id, store.ResolveName(app.image.name, app.image.labels));
      } else {
        COAM_ASSIGN_OR_RETURN(app.image.id, store.ResolveId(app.image.id));
      }
    }
    return pod;
  }
  if (request.apps.empty()) {
    return base::Fail("core.invalid_argument") << "a pod needs at least one app";
  }
  PodManifest pod;
  for (const AppRequest& app_request : request.apps) {
    COAM_ASSIGN_OR_RETURN(RuntimeApp app, MakeApp(store, request, app_request));
    if (pod.FindApp(app.name) != nullptr) {
      return base::Fail("pod.app").Hint("name one of them with --name")
             << "two apps are called '" << app.name << "'";
    }
    pod.apps.push_back(std::move(app));
  }
  pod.volumes = request.volumes;
  pod.ports = request.ports;
  pod.annotations = request.annotations;
  COAM_RETURN_IF_ERROR(CheckVolumes(pod));
  COAM_RETURN_IF_ERROR(CheckPorts(pod));
  COAM_RETURN_IF_ERROR(Validate(pod, parse));
  return pod;
}

}  // namespace coaming::aci
