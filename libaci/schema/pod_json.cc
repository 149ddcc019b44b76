#include <arpa/inet.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/json_io.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

std::string_view KindName(Volume::Kind kind) {
  return kind == Volume::Kind::kHost ? "host" : "empty";
}

bool IsOctalMode(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  for (char c : text) {
    if (c < '0' || c > '7') return false;
  }
  return text.size() < 5 || text[0] == '0';
}

absl::Status CheckVolume(const Volume& v, std::string_view where) {
  COAM_RETURN_IF_ERROR(CheckAcName(v.name, absl::StrCat(where, ".name")));
  if (v.kind == Volume::Kind::kHost) {
    if (v.source.empty()) return Invalid(where, "of kind host has no source");
    if (v.source[0] != '/') return Invalid(where, "source is not an absolute path");
    if (HasNul(v.source)) return Invalid(where, "source holds a NUL character");
    return absl::OkStatus();
  }
  if (!v.source.empty()) return Invalid(where, "of kind empty has a source");
  if (!IsOctalMode(v.mode)) return Invalid(where, "mode is not an octal number like 0755");
  return absl::OkStatus();
}

// An ID in a pod manifest may be abbreviated (rkt's own store keys are half the digest).
bool IsImageIdOrKey(std::string_view id) {
  if (!absl::StartsWith(id, "sha512-") || id.size() < 7 + 2 || id.size() > 7 + 128) return false;
  for (char c : id.substr(7)) {
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return false;
  }
  return true;
}

json::Value ToValue(const Volume& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("kind", KindName(v.kind));
  json::SetUnlessEmpty(&out, "source", v.source);
  if (v.read_only) out.Set("readOnly", *v.read_only);
  if (v.recursive) out.Set("recursive", *v.recursive);
  if (v.kind == Volume::Kind::kEmpty) {
    out.Set("mode", v.mode);
    out.Set("uid", v.uid);
    out.Set("gid", v.gid);
  }
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const Mount& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("volume", v.volume);
  out.Set("path", v.path);
  if (v.app_volume) out.Set("appVolume", ToValue(*v.app_volume));
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const RuntimeImage& v) {
  json::Value out = json::Value::MakeObject();
  json::SetUnlessEmpty(&out, "name", v.name);
  json::SetUnlessEmpty(&out, "id", v.id);
  if (!v.labels.empty()) out.Set("labels", ToArray(v.labels));
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const RuntimeApp& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("image", ToValue(v.image));
  if (v.app) out.Set("app", ToValue(*v.app));
  if (v.read_only_root_fs) out.Set("readOnlyRootFS", true);
  if (!v.mounts.empty()) {
    json::Value& list = out.Set("mounts", json::Value::MakeArray());
    for (const Mount& mount : v.mounts) list.Push(ToValue(mount));
  }
  if (!v.annotations.empty()) out.Set("annotations", ToArray(v.annotations));
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const ExposedPort& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("hostPort", v.host_port);
  json::SetUnlessEmpty(&out, "hostIP", v.host_ip);
  if (v.pod_port) out.Set("podPort", ToValue(*v.pod_port));
  PutExtra(v.extra, &out);
  return out;
}

}  // namespace

void ReadJson(json::ObjectReader& r, Volume* out) {
  r.Required("name", &out->name);
  std::string kind;
  r.Required("kind", &kind);
  r.Optional("source", &out->source);
  r.Optional("readOnly", &out->read_only);
  r.Optional("recursive", &out->recursive);
  r.Optional("mode", &out->mode);
  r.Optional("uid", &out->uid);
  r.Optional("gid", &out->gid);
  if (!r.ok()) return;
  if (kind == "host") {
    out->kind = Volume::Kind::kHost;
    for (std::string_view key : {"mode", "uid", "gid"}) {
      if (r.Has(key)) r.Fail(key, "is for volumes of kind empty only");
    }
  } else if (kind != "empty") {
    r.Fail("kind", "is neither host nor empty");
  }
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, Mount* out) {
  r.Required("volume", &out->volume);
  r.Required("path", &out->path);
  r.Optional("appVolume", &out->app_volume);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, RuntimeImage* out) {
  r.Optional("name", &out->name);
  r.Optional("id", &out->id);
  if (r.ok() && r.Has("id") && out->id.empty()) r.FailWith("id", CheckImageId(""));
  r.Optional("labels", &out->labels);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, RuntimeApp* out) {
  r.Required("name", &out->name);
  r.Required("image", &out->image);
  r.Optional("app", &out->app);
  r.Optional("readOnlyRootFS", &out->read_only_root_fs);
  r.Optional("mounts", &out->mounts);
  r.Optional("annotations", &out->annotations);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, ExposedPort* out) {
  r.Required("name", &out->name);
  r.Required("hostPort", &out->host_port);
  r.Optional("hostIP", &out->host_ip);
  r.Optional("podPort", &out->pod_port);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, PodManifest* out) {
  std::string kind;
  r.Required("acVersion", &out->ac_version);
  r.Required("acKind", &kind);
  r.Required("apps", &out->apps);
  r.Optional("volumes", &out->volumes);
  r.Optional("isolators", &out->isolators);
  r.Optional("annotations", &out->annotations);
  r.Optional("ports", &out->ports);
  r.Optional("userAnnotations", &out->user_annotations);
  r.Optional("userLabels", &out->user_labels);
  TakeExtra(r, &out->extra);
}

std::string PodManifest::ToJson(bool pretty) const {
  json::Value out = json::Value::MakeObject();
  out.Set("acVersion", ac_version);
  out.Set("acKind", "PodManifest");
  json::Value& app_list = out.Set("apps", json::Value::MakeArray());
  for (const RuntimeApp& app : apps) app_list.Push(ToValue(app));
  out.Set("volumes", json::Value());
  if (!volumes.empty()) {
    json::Value& list = out.Set("volumes", json::Value::MakeArray());
    for (const Volume& volume : volumes) list.Push(ToValue(volume));
  }
  out.Set("isolators", isolators.empty() ? json::Value() : ToArray(isolators));
  out.Set("annotations", annotations.empty() ? json::Value() : ToArray(annotations));
  json::Value& port_list = out.Set("ports", json::Value::MakeArray());
  for (const ExposedPort& port : ports) port_list.Push(ToValue(port));
  if (!user_annotations.empty()) out.Set("userAnnotations", ToObject(user_annotations));
  if (!user_labels.empty()) out.Set("userLabels", ToObject(user_labels));
  PutExtra(extra, &out);
  return WriteDocument(out, pretty);
}

const RuntimeApp* PodManifest::FindApp(std::string_view name) const {
  for (const RuntimeApp& app : apps) {
    if (app.name == name) return &app;
  }
  return nullptr;
}

const Volume* PodManifest::FindVolume(std::string_view name) const {
  for (const Volume& volume : volumes) {
    if (volume.name == name) return &volume;
  }
  return nullptr;
}

absl::StatusOr<PodManifest> ParsePodManifest(std::string_view text, const ParseOptions& options) {
  constexpr std::string_view kWhat = "pod manifest";
  auto document = ParseDocument(text, "PodManifest", options);
  if (!document.ok()) return base::Wrap(document.status(), kWhat);
  PodManifest out;
  COAM_RETURN_IF_ERROR(json::Read(*document, kWhat, &out));
  COAM_RETURN_IF_ERROR(base::Wrap(Validate(out, options), kWhat));
  return out;
}

absl::Status Validate(const PodManifest& m, const ParseOptions& options) {
  COAM_RETURN_IF_ERROR(CheckVersion(m.ac_version, options));
  std::set<std::string_view> seen;
  for (size_t i = 0; i < m.apps.size(); ++i) {
    const RuntimeApp& app = m.apps[i];
    const std::string at = absl::StrCat("apps[", i, "]");
    COAM_RETURN_IF_ERROR(CheckAcName(app.name, at + ".name"));
    if (!seen.insert(app.name).second) {
      return Invalid(at, absl::StrCat("is a second app called ", app.name));
    }
    if (app.image.id.empty() && app.image.name.empty()) {
      return Invalid(at + ".image", "has neither id nor name");
    }
    if (!app.image.id.empty() && !IsImageIdOrKey(app.image.id)) {
      return At(at + ".image.id", CheckImageId(app.image.id));
    }
    if (!app.image.name.empty()) {
      COAM_RETURN_IF_ERROR(CheckAcIdentifier(app.image.name, at + ".image.name"));
    }
    COAM_RETURN_IF_ERROR(CheckLabels(app.image.labels, at + ".image"));
    if (app.app) COAM_RETURN_IF_ERROR(CheckApp(*app.app, at + ".app", options));
    COAM_RETURN_IF_ERROR(CheckAnnotations(app.annotations, at));
    for (size_t j = 0; j < app.mounts.size(); ++j) {
      const Mount& mount = app.mounts[j];
      const std::string there = absl::StrCat(at, ".mounts[", j, "]");
      COAM_RETURN_IF_ERROR(CheckAcName(mount.volume, there + ".volume"));
      if (mount.path.empty() || mount.path[0] != '/') {
        return Invalid(there + ".path", "is not an absolute path");
      }
      if (HasNul(mount.path)) return Invalid(there + ".path", "holds a NUL character");
      if (mount.app_volume) {
        COAM_RETURN_IF_ERROR(CheckVolume(*mount.app_volume, there + ".appVolume"));
      }
    }
  }
  seen.clear();
  for (size_t i = 0; i < m.volumes.size(); ++i) {
    const std::string at = absl::StrCat("volumes[", i, "]");
    COAM_RETURN_IF_ERROR(CheckVolume(m.volumes[i], at));
    if (!seen.insert(m.volumes[i].name).second) {
      return Invalid(at, absl::StrCat("is a second volume called ", m.volumes[i].name));
    }
  }
  COAM_RETURN_IF_ERROR(CheckIsolators(m.isolators, IsolatorScope::kPod, options, "isolators"));
  COAM_RETURN_IF_ERROR(CheckAnnotations(m.annotations, ""));
  for (size_t i = 0; i < m.ports.size(); ++i) {
    const ExposedPort& port = m.ports[i];
    const std::string at = absl::StrCat("ports[", i, "]");
    COAM_RETURN_IF_ERROR(CheckAcName(port.name, at + ".name"));
    if (port.host_port < 1 || port.host_port > 65535) {
      return Invalid(at + ".hostPort", "is not in 1..65535");
    }
    if (!port.host_ip.empty()) {
      in6_addr address;
      if (inet_pton(AF_INET, port.host_ip.c_str(), &address) != 1 &&
          inet_pton(AF_INET6, port.host_ip.c_str(), &address) != 1) {
        return Invalid(at + ".hostIP", "is not an IP address");
      }
    }
    if (port.pod_port) COAM_RETURN_IF_ERROR(CheckPort(*port.pod_port, at + ".podPort"));
  }
  return absl::OkStatus();
}

// CheckVolume for the string forms, which live in strings.cc.
absl::Status CheckVolumeValue(const Volume& volume) { return CheckVolume(volume, "volume"); }

}  // namespace coaming::aci
