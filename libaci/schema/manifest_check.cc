#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/json_io.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

absl::Status Invalid(std::string_view where, std::string_view message) {
  return base::Fail("aci.manifest_invalid") << where << " " << message;
}

absl::Status At(std::string_view where, const absl::Status& status) {
  return base::Wrap(status, where);
}

namespace {

std::string Item(std::string_view where, std::string_view list, size_t index) {
  return absl::StrCat(where, where.empty() ? "" : ".", list, "[", index, "]");
}

// Absolute, no NUL, no "..": links in the root are the renderer's and executor's business.
absl::Status CheckPath(std::string_view path, std::string_view where) {
  if (path.empty()) return Invalid(where, "is empty");
  if (path[0] != '/') return Invalid(where, "is not an absolute path");
  if (HasNul(path)) return Invalid(where, "holds a NUL character");
  for (std::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return Invalid(where, "goes up with ..");
  }
  return absl::OkStatus();
}

absl::Status CheckStrings(const std::vector<std::string>& list, std::string_view where) {
  for (const std::string& text : list) {
    if (HasNul(text)) return Invalid(where, "holds a NUL character");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckVersion(std::string_view version, const ParseOptions& options) {
  absl::StatusOr<SemVer> parsed = SemVer::Parse(version);
  if (!parsed.ok()) return At("acVersion", parsed.status());
  static constexpr uint64_t kMajor = 0, kMinor = 8;
  if (parsed->major > kMajor) {
    return Invalid("acVersion",
                   absl::StrCat(version, " is newer than ", kSpecVersion, " by a major version"));
  }
  if (parsed->minor > kMinor && options.op != nullptr) {
    options.op->AddNote("aci.version_newer", "acVersion",
                        absl::StrCat(version, " is newer than ", kSpecVersion));
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const Labels& labels, std::string_view where) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string at = Item(where, "labels", i);
    COAM_RETURN_IF_ERROR(CheckAcIdentifier(labels[i].name, at + ".name"));
    if (labels[i].name == "name") return Invalid(at, "may not be called \"name\"");
    if (HasNul(labels[i].value)) return Invalid(at, "holds a NUL character");
    if (!seen.insert(labels[i].name).second) {
      return Invalid(at, absl::StrCat("names label ", labels[i].name, " a second time"));
    }
  }
  const std::string* os = Find(labels, "os");
  const std::string* arch = Find(labels, "arch");
  if (os == nullptr) return absl::OkStatus();
  if (os->empty())
    return Invalid(absl::StrCat(where, where.empty() ? "" : ".", "labels"),
                   "has an os label without a value");
  absl::Status status = CheckOsArch(*os, arch == nullptr ? "" : *arch);
  if (status.ok() && arch != nullptr && arch->empty()) {
    status = Invalid(where, "arch label has no value");
  }
  return where.empty() ? status : At(where, status);
}

absl::Status CheckAnnotations(const Annotations& annotations, std::string_view where) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < annotations.size(); ++i) {
    const NameValue& a = annotations[i];
    const std::string at = Item(where, "annotations", i);
    COAM_RETURN_IF_ERROR(CheckAcIdentifier(a.name, at + ".name"));
    if (!seen.insert(a.name).second) {
      return Invalid(at, absl::StrCat("names annotation ", a.name, " a second time"));
    }
    if (a.name == "created" && !base::ParseRfc3339(a.value)) {
      return Invalid(at, "created is not an RFC 3339 time");
    }
    if ((a.name == "homepage" || a.name == "documentation") && !IsHttpUrl(a.value)) {
      return Invalid(at, absl::StrCat(a.name, " is not an http or https URL"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPort(const Port& port, std::string_view where) {
  COAM_RETURN_IF_ERROR(CheckAcName(port.name, absl::StrCat(where, ".name")));
  if (port.protocol.empty()) return Invalid(where, "has no protocol");
  if (HasNul(port.protocol)) return Invalid(where, "holds a NUL character");
  if (port.port < 1 || port.port > 65535) return Invalid(where, "port is not in 1..65535");
  if (port.count < 1 || port.count > 65535 || port.port + port.count > 65536) {
    return Invalid(where, "range of ports ends past 65535");
  }
  return absl::OkStatus();
}

absl::Status CheckApp(const App& app, std::string_view where, const ParseOptions& options) {
  const std::string dot = absl::StrCat(where, ".");
  if (app.user.empty()) return Invalid(dot + "user", "is empty");
  if (app.group.empty()) return Invalid(dot + "group", "is empty");
  if (HasNul(app.user) || HasNul(app.group)) {
    return Invalid(dot + "user", "or group holds a NUL character");
  }
  COAM_RETURN_IF_ERROR(CheckStrings(app.exec, dot + "exec"));
  if (!app.exec.empty() && app.exec[0].empty()) return Invalid(dot + "exec[0]", "is empty");
  if (!app.working_directory.empty()) {
    if (app.working_directory[0] != '/') {
      return Invalid(dot + "workingDirectory", "is not an absolute path");
    }
    if (HasNul(app.working_directory)) {
      return Invalid(dot + "workingDirectory", "holds a NUL character");
    }
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < app.event_handlers.size(); ++i) {
    const EventHandler& handler = app.event_handlers[i];
    const std::string at = Item(where, "eventHandlers", i);
    if (handler.name != "pre-start" && handler.name != "post-stop") {
      return Invalid(at, "is neither pre-start nor post-stop");
    }
    if (!seen.insert(handler.name).second) {
      return Invalid(at, absl::StrCat("is a second ", handler.name));
    }
    COAM_RETURN_IF_ERROR(CheckStrings(handler.exec, at + ".exec"));
  }
  seen.clear();
  for (size_t i = 0; i < app.environment.size(); ++i) {
    const NameValue& variable = app.environment[i];
    const std::string at = Item(where, "environment", i);
    if (!IsEnvName(variable.name)) {
      return Invalid(at, "name is not letters, digits, _ . - without a digit in front");
    }
    if (!seen.insert(variable.name).second) {
      return Invalid(at, absl::StrCat("names ", variable.name, " a second time"));
    }
    if (HasNul(variable.value)) return Invalid(at, "holds a NUL character");
  }
  seen.clear();
  for (size_t i = 0; i < app.mount_points.size(); ++i) {
    const MountPoint& point = app.mount_points[i];
    const std::string at = Item(where, "mountPoints", i);
    COAM_RETURN_IF_ERROR(CheckAcName(point.name, at + ".name"));
    COAM_RETURN_IF_ERROR(CheckPath(point.path, at + ".path"));
    if (!seen.insert(point.name).second) {
      return Invalid(at, absl::StrCat("names mount point ", point.name, " a second time"));
    }
  }
  seen.clear();
  for (size_t i = 0; i < app.ports.size(); ++i) {
    const std::string at = Item(where, "ports", i);
    COAM_RETURN_IF_ERROR(CheckPort(app.ports[i], at));
    if (!seen.insert(app.ports[i].name).second) {
      return Invalid(at, absl::StrCat("names port ", app.ports[i].name, " a second time"));
    }
  }
  return CheckIsolators(app.isolators, IsolatorScope::kApp, options, dot + "isolators");
}

absl::Status Validate(const App& app, const ParseOptions& options) {
  return CheckApp(app, "app", options);
}

absl::Status Validate(const ImageManifest& m, const ParseOptions& options) {
  COAM_RETURN_IF_ERROR(CheckVersion(m.ac_version, options));
  COAM_RETURN_IF_ERROR(CheckAcIdentifier(m.name, "name"));
  COAM_RETURN_IF_ERROR(CheckLabels(m.labels, ""));
  COAM_RETURN_IF_ERROR(CheckAnnotations(m.annotations, ""));
  if (m.app) COAM_RETURN_IF_ERROR(CheckApp(*m.app, "app", options));
  for (size_t i = 0; i < m.dependencies.size(); ++i) {
    const Dependency& d = m.dependencies[i];
    const std::string at = Item("", "dependencies", i);
    COAM_RETURN_IF_ERROR(CheckAcIdentifier(d.image_name, at + ".imageName"));
    if (!d.image_id.empty()) COAM_RETURN_IF_ERROR(At(at, CheckImageId(d.image_id)));
    COAM_RETURN_IF_ERROR(CheckLabels(d.labels, at));
  }
  for (size_t i = 0; i < m.path_whitelist.size(); ++i) {
    COAM_RETURN_IF_ERROR(CheckPath(m.path_whitelist[i], Item("", "pathWhitelist", i)));
  }
  return absl::OkStatus();
}

// ---- lists

const std::string* Find(const std::vector<NameValue>& list, std::string_view name) {
  for (const NameValue& item : list) {
    if (item.name == name) return &item.value;
  }
  return nullptr;
}

void Set(std::vector<NameValue>& list, std::string_view name, std::string_view value) {
  for (NameValue& item : list) {
    if (item.name == name) {
      item.value = std::string(value);
      return;
    }
  }
  NameValue added;
  added.name = std::string(name);
  added.value = std::string(value);
  list.push_back(std::move(added));
}

bool Erase(std::vector<NameValue>& list, std::string_view name) {
  return std::erase_if(list, [&](const NameValue& item) { return item.name == name; }) != 0;
}

bool LabelsMatch(const Labels& wanted, const Labels& have) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const NameValue& label) {
    const std::string* value = Find(have, label.name);
    return value != nullptr && *value == label.value;
  });
}

}  // namespace coaming::aci
