// What a pod manifest leaves to be matched: mounts with volumes, exposed ports with the apps' ports.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/to_runtime/to_runtime.h"

namespace coaming::aci {
namespace {

// "/a//b/./c/" as "/a/b/c": for comparing targets. ".." is left alone; it cannot be resolved here.
std::string Clean(std::string_view path) {
  std::string out;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (!part.empty() && part != ".") absl::StrAppend(&out, "/", part);
    at = end + 1;
  }
  return out.empty() ? "/" : out;
}

MountPlan MakePlan(std::string path, const Volume& volume, bool read_only, bool implicit) {
  MountPlan plan;
  plan.path = std::move(path);
  plan.volume = volume.name;
  // The volume's word wins over the mount point's.
  plan.read_only = volume.read_only.value_or(read_only);
  plan.recursive = volume.recursive.value_or(true);
  plan.implicit = implicit;
  plan.definition = volume;
  return plan;
}

absl::StatusOr<const Volume*> FindVolume(const PodManifest& pod, const Mount& mount,
                                         std::string_view app) {
  if (mount.app_volume.has_value()) return &*mount.app_volume;
  if (const Volume* volume = pod.FindVolume(mount.volume)) return volume;
  return base::Fail("aci.volume_unmet")
         << "app " << app << ": mount " << mount.path << " wants volume '" << mount.volume
         << "', which the pod does not have";
}

}  // namespace

absl::StatusOr<std::vector<MountPlan>> PlanMounts(const PodManifest& pod, const RuntimeApp& app,
                                                  const App& effective) {
  std::vector<MountPlan> out;
  for (const Mount& mount : app.mounts) {
    COAM_ASSIGN_OR_RETURN(const Volume* volume, FindVolume(pod, mount, app.name));
    const std::string path = Clean(mount.path);
    const auto point = std::find_if(effective.mount_points.begin(), effective.mount_points.end(),
                                    [&](const MountPoint& p) { return Clean(p.path) == path; });
    const bool read_only = point != effective.mount_points.end() && point->read_only;
    out.push_back(MakePlan(path, *volume, read_only, false));
  }
  for (const MountPoint& point : effective.mount_points) {
    const std::string path = Clean(point.path);
    const bool met = std::any_of(out.begin(), out.end(),
                                 [&](const MountPlan& plan) { return plan.path == path; });
    if (met) continue;
    if (const Volume* volume = pod.FindVolume(point.name)) {
      out.push_back(MakePlan(path, *volume, point.read_only, false));
      continue;
    }
    Volume made;
    made.name = absl::StrCat(app.name, "-", point.name);
    out.push_back(MakePlan(path, made, point.read_only, true));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (out[i].path == out[j].path) {
        return base::Fail("aci.volume_unmet")
               << "app " << app.name << ": two mounts on " << out[i].path;
      }
    }
  }
  // Outer targets first, whatever order they were named in.
  std::stable_sort(out.begin(), out.end(), [](const MountPlan& a, const MountPlan& b) {
    return std::count(a.path.begin(), a.path.end(), '/') <
           std::count(b.path.begin(), b.path.end(), '/');
  });
  return out;
}

absl::StatusOr<std::vector<PortForward>> PlanPorts(
    const PodManifest& pod, const std::vector<std::pair<std::string, App>>& apps) {
  std::vector<PortForward> out;
  for (const ExposedPort& exposed : pod.ports) {
    const Port* port = exposed.pod_port.has_value() ? &*exposed.pod_port : nullptr;
    for (size_t i = 0; port == nullptr && i < apps.size(); ++i) {
      for (const Port& one : apps[i].second.ports) {
        if (one.name == exposed.name) port = &one;
      }
    }
    if (port == nullptr) {
      return base::Fail("core.invalid_argument").Hint("the image's manifest lists its ports")
             << "port name '" << exposed.name << "' could not be found in any app";
    }
    PortForward forward;
    forward.name = exposed.name;
    forward.protocol = port->protocol;
    forward.host_ip = exposed.host_ip;
    forward.host_port = exposed.host_port;
    forward.pod_port = port->port;
    forward.count = std::max<uint32_t>(port->count, 1);
    if (uint64_t{forward.host_port} + forward.count > 65536) {
      return base::Fail("core.invalid_argument")
             << "port '" << exposed.name << "': " << forward.count << " ports from host port "
             << forward.host_port << " on do not exist";
    }
    for (const PortForward& other : out) {
      const bool same_address =
          other.host_ip == forward.host_ip || other.host_ip.empty() || forward.host_ip.empty();
      const bool overlap = other.host_port < forward.host_port + forward.count &&
                           forward.host_port < other.host_port + other.count;
      if (same_address && overlap && other.protocol == forward.protocol) {
        return base::Fail("core.invalid_argument").Hint("choose another host port")
               << "ports '" << other.name << "' and '" << forward.name << "' both want host port "
               << forward.host_port;
      }
    }
    out.push_back(std::move(forward));
  }
  return out;
}

}  // namespace coaming::aci
