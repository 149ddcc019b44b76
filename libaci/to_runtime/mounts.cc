// Which volume meets which mount point, and which host port leads to which port of an app.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/to_runtime/internal.h"

namespace coaming::aci {

std::string CleanTarget(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    parts.push_back(part);
  }
  std::string out;
  for (std::string_view part : parts) absl::StrAppend(&out, "/", part);
  return out.empty() ? "/" : out;
}

absl::StatusOr<std::vector<MountPlan>> PlanMounts(const PodManifest& pod, const RuntimeApp& app,
                                                  const App& effective) {
  std::vector<MountPlan> out;
  std::set<std::string> targets;
  const auto add = [&](std::string_view path, const Volume& volume, bool read_only,
                       bool implicit) -> absl::Status {
    MountPlan plan;
    plan.path = CleanTarget(path);
    if (plan.path == "/") {
      return base::Fail("aci.volume_unmet")
             << "volume " << volume.name << " may not be mounted on / of app " << app.name;
    }
    if (!targets.insert(plan.path).second) {
      return base::Fail("aci.volume_unmet")
             << "two volumes are to be mounted on " << plan.path << " of app " << app.name;
    }
    plan.volume = volume.name;
    plan.read_only = read_only || volume.read_only.value_or(false);
    plan.recursive = volume.recursive.value_or(true);
    plan.implicit = implicit;
    plan.definition = volume;
    out.push_back(std::move(plan));
    return absl::OkStatus();
  };

  for (const Mount& mount : app.mounts) {
    const Volume* volume = mount.app_volume ? &*mount.app_volume : pod.FindVolume(mount.volume);
    if (volume == nullptr) {
      return base::Fail("aci.volume_unmet") << "dangling mount point \"" << mount.path
                                            << "\": volume \"" << mount.volume << "\" not found";
    }
    bool read_only = false;
    for (const MountPoint& point : effective.mount_points) {
      if (CleanTarget(point.path) == CleanTarget(mount.path)) read_only = point.read_only;
    }
    COAM_RETURN_IF_ERROR(add(mount.path, *volume, read_only, false));
  }
  for (const MountPoint& point : effective.mount_points) {
    if (targets.count(CleanTarget(point.path)) != 0) {
      const bool mounted =
          std::any_of(app.mounts.begin(), app.mounts.end(), [&](const Mount& mount) {
            return CleanTarget(mount.path) == CleanTarget(point.path);
          });
      if (mounted) continue;
    }
    if (const Volume* volume = pod.FindVolume(point.name); volume != nullptr) {
      COAM_RETURN_IF_ERROR(add(point.path, *volume, point.read_only, false));
      continue;
    }
    Volume made_up;
    made_up.name = absl::StrCat(app.name, "-", point.name);
    COAM_RETURN_IF_ERROR(add(point.path, made_up, point.read_only, true));
  }
  // Outer targets first, so that inner ones stay visible.
  std::stable_sort(out.begin(), out.end(),
                   [](const MountPlan& a, const MountPlan& b) { return a.path < b.path; });
  return out;
}

absl::StatusOr<std::vector<PortForward>> PlanPorts(
    const PodManifest& pod, const std::vector<std::pair<std::string, App>>& apps) {
  std::vector<PortForward> out;
  for (const ExposedPort& exposed : pod.ports) {
    const Port* port = exposed.pod_port ? &*exposed.pod_port : nullptr;
    if (port == nullptr) {
      for (const auto& [name, app] : apps) {
        for (const Port& candidate : app.ports) {
          if (candidate.name != exposed.name) continue;
          if (port != nullptr) {
            return base::Fail("core.invalid_argument")
                   << "port name \"" << exposed.name << "\" stands in more than one app";
          }
          port = &candidate;
        }
      }
    }
    if (port == nullptr) {
      return base::Fail("core.invalid_argument")
             << "port name \"" << exposed.name << "\" could not be found in any apps";
    }
    PortForward forward;
    forward.name = exposed.name;
    forward.protocol = port->protocol;
    forward.host_ip = exposed.host_ip;
    forward.host_port = exposed.host_port;
    forward.pod_port = port->port;
    forward.count = port->count;
    if (forward.host_port + forward.count > 65536) {
      return base::Fail("core.invalid_argument")
             << "host ports of \"" << exposed.name << "\" end past 65535";
    }
    for (const PortForward& other : out) {
      const bool same_place = other.protocol == forward.protocol &&
                              (other.host_ip == forward.host_ip || other.host_ip.empty() ||
                               forward.host_ip.empty());
      if (same_place && other.host_port < forward.host_port + forward.count &&
          forward.host_port < other.host_port + other.count) {
        return base::Fail("core.invalid_argument")
               << "host port " << forward.host_port << " is to lead to \"" << other.name
               << "\" and to \"" << forward.name << "\"";
      }
    }
    out.push_back(std::move(forward));
  }
  return out;
}

}  // namespace coaming::aci
