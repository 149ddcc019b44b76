#include "libaci/schema/edit.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

absl::Status Missing(std::string_view what, std::string_view name) {
  return base::Fail("aci.build_missing") << "there is no " << what << " " << name;
}

App& AppOf(ImageManifest& m) {
  if (!m.app) {
    m.app.emplace();
    m.app->user = m.app->group = "0";
  }
  return *m.app;
}

// Replaces the item of the same name in its place, or appends.
template <typename T>
void Put(std::vector<T>& list, T item) {
  for (T& have : list) {
    if (have.name == item.name) {
      have = std::move(item);
      return;
    }
  }
  list.push_back(std::move(item));
}

absl::Status SetHandler(ImageManifest& m, std::string_view name,
                        const std::optional<ManifestEdit::Texts>& exec) {
  if (!exec) return absl::OkStatus();
  App& app = AppOf(m);
  if (exec->empty()) {
    std::erase_if(app.event_handlers, [&](const EventHandler& h) { return h.name == name; });
    return absl::OkStatus();
  }
  EventHandler handler;
  handler.name = std::string(name);
  handler.exec = *exec;
  Put(app.event_handlers, std::move(handler));
  return absl::OkStatus();
}

absl::StatusOr<Dependency> ReadDependency(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text));
  Dependency out;
  for (const auto& [key, value] : pairs) {
    if (key == "name") {
      COAM_RETURN_IF_ERROR(CheckAcIdentifier(value, "dependency"));
      out.image_name = value;
    } else if (key == "imageid") {
      COAM_RETURN_IF_ERROR(CheckImageId(value));
      out.image_id = value;
    } else if (key == "size") {
      if (!absl::SimpleAtoi(value, &out.size)) {
        return base::Fail("core.invalid_argument") << "size " << value << " is not a number";
      }
    } else {
      COAM_RETURN_IF_ERROR(CheckAcIdentifier(key, "label"));
      Set(out.labels, key, value);
    }
  }
  return out;
}

absl::Status SetSeccomp(const ManifestEdit& edit, App& app) {
  std::string mode, errno_name;
  for (std::string_view part : absl::StrSplit(edit.seccomp_mode, ',')) {
    const size_t eq = part.find('=');
    if (eq == std::string_view::npos) {
      mode = std::string(part);
    } else if (part.substr(0, eq) == "errno") {
      errno_name = std::string(part.substr(eq + 1));
    } else {
      return base::Fail("core.invalid_argument") << "seccomp mode has an unknown argument " << part;
    }
  }
  if (mode != "retain" && mode != "remove") {
    return base::Fail("core.invalid_argument")
           << "seccomp mode " << mode << " is neither retain nor remove";
  }
  COAM_ASSIGN_OR_RETURN(Isolator isolator, MakeSet(mode == "retain" ? IsolatorKind::kSeccompRetain
                                                                    : IsolatorKind::kSeccompRemove,
                                                   edit.seccomp_set, errno_name));
  SetIsolator(app.isolators, std::move(isolator));
  return absl::OkStatus();
}

absl::Status EditApp(const ManifestEdit& edit, ImageManifest& m) {
  if (edit.exec) AppOf(m).exec = *edit.exec;
  if (edit.user) AppOf(m).user = *edit.user;
  if (edit.group) AppOf(m).group = *edit.group;
  if (edit.working_directory) AppOf(m).working_directory = *edit.working_directory;
  if (edit.supplementary_gids) {
    App& app = AppOf(m);
    app.supplementary_gids.clear();
    for (const std::string& text : *edit.supplementary_gids) {
      uint32_t gid = 0;
      if (!absl::SimpleAtoi(text, &gid)) {
        return base::Fail("core.invalid_argument") << "group " << text << " is not a number";
      }
      app.supplementary_gids.push_back(gid);
    }
  }
  COAM_RETURN_IF_ERROR(SetHandler(m, "pre-start", edit.pre_start));
  COAM_RETURN_IF_ERROR(SetHandler(m, "post-stop", edit.post_stop));
  for (const auto& [name, value] : edit.environment) Set(AppOf(m).environment, name, value);
  for (const std::string& text : edit.mounts) {
    COAM_ASSIGN_OR_RETURN(MountPoint point, MountPoint::FromString(text));
    Put(AppOf(m).mount_points, std::move(point));
  }
  for (const std::string& text : edit.ports) {
    COAM_ASSIGN_OR_RETURN(Port port, Port::FromString(text));
    Put(AppOf(m).ports, std::move(port));
  }
  for (const auto& [name, value] : edit.isolators) {
    COAM_RETURN_IF_ERROR(CheckAcIdentifier(name, "isolator"));
    COAM_RETURN_IF_ERROR(base::json::Parse(value).status());
    Isolator isolator;
    isolator.name = name;
    isolator.value_json = value;
    SetIsolator(AppOf(m).isolators, std::move(isolator));
  }
  for (const std::string& text : edit.isolator_words) {
    COAM_ASSIGN_OR_RETURN(Isolator isolator, IsolatorFromString(text));
    AppOf(m).isolators.push_back(std::move(isolator));
  }
  if (!edit.capabilities_retain.empty()) {
    COAM_ASSIGN_OR_RETURN(Isolator isolator,
                          MakeSet(IsolatorKind::kCapabilitiesRetain, edit.capabilities_retain));
    SetIsolator(AppOf(m).isolators, std::move(isolator));
  }
  if (!edit.capabilities_remove.empty()) {
    COAM_ASSIGN_OR_RETURN(Isolator isolator,
                          MakeSet(IsolatorKind::kCapabilitiesRemove, edit.capabilities_remove));
    SetIsolator(AppOf(m).isolators, std::move(isolator));
  }
  if (!edit.seccomp_mode.empty()) COAM_RETURN_IF_ERROR(SetSeccomp(edit, AppOf(m)));
  return absl::OkStatus();
}

absl::Status RemoveThings(const ManifestEdit& edit, ImageManifest& m) {
  for (const std::string& name : edit.remove_labels) {
    if (!Erase(m.labels, name)) return Missing("label", name);
  }
  for (const std::string& name : edit.remove_annotations) {
    if (!Erase(m.annotations, name)) return Missing("annotation", name);
  }
  for (const std::string& name : edit.remove_dependencies) {
    if (std::erase_if(m.dependencies, [&](const Dependency& d) { return d.image_name == name; }) ==
        0) {
      return Missing("dependency", name);
    }
  }
  App none;
  App& app = m.app ? *m.app : none;
  for (const std::string& name : edit.remove_environment) {
    if (!Erase(app.environment, name)) return Missing("environment variable", name);
  }
  for (const std::string& name : edit.remove_mounts) {
    if (std::erase_if(app.mount_points,
                      [&](const MountPoint& p) { return p.name == name || p.path == name; }) == 0) {
      return Missing("mount point", name);
    }
  }
  for (const std::string& name : edit.remove_ports) {
    if (std::erase_if(app.ports, [&](const Port& p) {
          return p.name == name || absl::StrCat(p.port) == name;
        }) == 0) {
      return Missing("port", name);
    }
  }
  for (const std::string& name : edit.remove_isolators) {
    if (std::erase_if(app.isolators, [&](const Isolator& i) { return i.name == name; }) == 0) {
      return Missing("isolator", name);
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool ManifestEdit::empty() const {
  return replace.empty() && !name && !user && !group && !working_directory && !exec &&
         !supplementary_gids && !pre_start && !post_stop && !path_whitelist && labels.empty() &&
         annotations.empty() && environment.empty() && mounts.empty() && ports.empty() &&
         isolators.empty() && isolator_words.empty() && dependencies.empty() &&
         capabilities_retain.empty() && capabilities_remove.empty() && seccomp_mode.empty() &&
         remove_labels.empty() && remove_annotations.empty() && remove_environment.empty() &&
         remove_mounts.empty() && remove_ports.empty() && remove_isolators.empty() &&
         remove_dependencies.empty();
}

absl::Status Apply(const ManifestEdit& edit, ImageManifest& manifest) {
  ImageManifest next = manifest;
  if (!edit.replace.empty()) {
    COAM_ASSIGN_OR_RETURN(next, ParseImageManifest(edit.replace));
  }
  COAM_RETURN_IF_ERROR(RemoveThings(edit, next));
  if (edit.name) next.name = *edit.name;
  for (const auto& [name, value] : edit.labels) Set(next.labels, name, value);
  for (const auto& [name, value] : edit.annotations) Set(next.annotations, name, value);
  if (edit.path_whitelist) next.path_whitelist = *edit.path_whitelist;
  for (const std::string& text : edit.dependencies) {
    COAM_ASSIGN_OR_RETURN(Dependency dependency, ReadDependency(text));
    std::erase_if(next.dependencies,
                  [&](const Dependency& d) { return d.image_name == dependency.image_name; });
    next.dependencies.push_back(std::move(dependency));
  }
  COAM_RETURN_IF_ERROR(EditApp(edit, next));
  COAM_RETURN_IF_ERROR(Validate(next));
  manifest = std::move(next);
  return absl::OkStatus();
}

}  // namespace coaming::aci
