#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/json_io.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

void TakeExtra(const json::ObjectReader& r, ExtraMembers* out) {
  for (const json::Member& m : r.Unknown()) out->emplace_back(m.key, json::Write(m.value));
}

void PutExtra(const ExtraMembers& extra, json::Value* object) {
  for (const auto& [key, text] : extra) {
    if (object->Find(key) != nullptr) continue;
    // What a caller put here by hand may be no JSON; it is then kept as a string.
    absl::StatusOr<json::Value> value = json::Parse(text);
    object->Set(key, value.ok() ? *std::move(value) : json::Value(text));
  }
}

json::Value ToObject(const StringMap& map) {
  json::Value out = json::Value::MakeObject();
  for (const auto& [key, value] : map) out.Set(key, value);
  return out;
}

// ---- reading

void ReadJson(json::ObjectReader& r, NameValue* out) {
  r.Required("name", &out->name);
  r.Required("value", &out->value);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, EventHandler* out) {
  r.Required("name", &out->name);
  r.Optional("exec", &out->exec);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, MountPoint* out) {
  r.Required("name", &out->name);
  r.Required("path", &out->path);
  r.Optional("readOnly", &out->read_only);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, Port* out) {
  r.Required("name", &out->name);
  r.Required("protocol", &out->protocol);
  r.Required("port", &out->port);
  r.Optional("count", &out->count);
  r.Optional("socketActivated", &out->socket_activated);
  if (out->count == 0) out->count = 1;  // docker2aci writes 0
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, Isolator* out) {
  r.Required("name", &out->name);
  if (const json::Value* value = r.Raw("value"); value != nullptr) {
    out->value_json = json::Write(*value);
  }
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, App* out) {
  r.Optional("exec", &out->exec);
  r.Optional("eventHandlers", &out->event_handlers);
  r.Required("user", &out->user);
  r.Required("group", &out->group);
  r.Optional("supplementaryGIDs", &out->supplementary_gids);
  if (out->supplementary_gids.empty()) {  // the spelling of the specification's own example
    r.Optional("supplementaryGids", &out->supplementary_gids);
  }
  r.Optional("workingDirectory", &out->working_directory);
  r.Optional("environment", &out->environment);
  r.Optional("mountPoints", &out->mount_points);
  r.Optional("ports", &out->ports);
  r.Optional("isolators", &out->isolators);
  r.Optional("userAnnotations", &out->user_annotations);
  r.Optional("userLabels", &out->user_labels);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, Dependency* out) {
  r.Required("imageName", &out->image_name);
  r.Optional("imageID", &out->image_id);
  if (r.ok() && r.Has("imageID") && out->image_id.empty()) r.FailWith("imageID", CheckImageId(""));
  r.Optional("labels", &out->labels);
  r.Optional("size", &out->size);
  TakeExtra(r, &out->extra);
}

void ReadJson(json::ObjectReader& r, ImageManifest* out) {
  std::string kind;
  r.Required("acKind", &kind);
  r.Required("acVersion", &out->ac_version);
  r.Required("name", &out->name);
  r.Optional("labels", &out->labels);
  r.Optional("app", &out->app);
  r.Optional("annotations", &out->annotations);
  r.Optional("dependencies", &out->dependencies);
  r.Optional("pathWhitelist", &out->path_whitelist);
  TakeExtra(r, &out->extra);
}

// ---- writing

json::Value ToValue(const NameValue& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("value", v.value);
  PutExtra(v.extra, &out);
  return out;
}

static json::Value ToValue(const EventHandler& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("exec", v.exec);
  PutExtra(v.extra, &out);
  return out;
}

static json::Value ToValue(const MountPoint& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("path", v.path);
  if (v.read_only) out.Set("readOnly", true);
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const Port& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  out.Set("protocol", v.protocol);
  out.Set("port", v.port);
  out.Set("count", v.count);
  out.Set("socketActivated", v.socket_activated);
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const Isolator& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", v.name);
  if (!v.value_json.empty()) PutExtra({{"value", v.value_json}}, &out);
  PutExtra(v.extra, &out);
  return out;
}

json::Value ToValue(const App& v) {
  json::Value out = json::Value::MakeObject();
  if (!v.exec.empty()) out.Set("exec", v.exec);
  if (!v.event_handlers.empty()) {
    json::Value& list = out.Set("eventHandlers", json::Value::MakeArray());
    for (const EventHandler& handler : v.event_handlers) list.Push(ToValue(handler));
  }
  out.Set("user", v.user);
  out.Set("group", v.group);
  if (!v.supplementary_gids.empty()) {
    json::Value& list = out.Set("supplementaryGIDs", json::Value::MakeArray());
    for (uint32_t gid : v.supplementary_gids) list.Push(gid);
  }
  json::SetUnlessEmpty(&out, "workingDirectory", v.working_directory);
  if (!v.environment.empty()) out.Set("environment", ToArray(v.environment));
  if (!v.mount_points.empty()) {
    json::Value& list = out.Set("mountPoints", json::Value::MakeArray());
    for (const MountPoint& point : v.mount_points) list.Push(ToValue(point));
  }
  if (!v.ports.empty()) out.Set("ports", ToArray(v.ports));
  if (!v.isolators.empty()) out.Set("isolators", ToArray(v.isolators));
  if (!v.user_annotations.empty()) out.Set("userAnnotations", ToObject(v.user_annotations));
  if (!v.user_labels.empty()) out.Set("userLabels", ToObject(v.user_labels));
  PutExtra(v.extra, &out);
  return out;
}

static json::Value ToValue(const Dependency& v) {
  json::Value out = json::Value::MakeObject();
  out.Set("imageName", v.image_name);
  json::SetUnlessEmpty(&out, "imageID", v.image_id);
  if (!v.labels.empty()) out.Set("labels", ToArray(v.labels));
  if (v.size != 0) out.Set("size", v.size);
  PutExtra(v.extra, &out);
  return out;
}

std::string WriteDocument(const json::Value& value, bool pretty) {
  json::WriteOptions options;
  options.escape = json::Escape::kGo;
  if (pretty) options.indent = "    ";
  return json::Write(value, options);
}

std::string ImageManifest::ToJson(bool pretty) const {
  json::Value out = json::Value::MakeObject();
  out.Set("acKind", "ImageManifest");
  out.Set("acVersion", ac_version);
  out.Set("name", name);
  if (!labels.empty()) out.Set("labels", ToArray(labels));
  if (app) out.Set("app", ToValue(*app));
  if (!annotations.empty()) out.Set("annotations", ToArray(annotations));
  if (!dependencies.empty()) {
    json::Value& list = out.Set("dependencies", json::Value::MakeArray());
    for (const Dependency& dependency : dependencies) list.Push(ToValue(dependency));
  }
  if (!path_whitelist.empty()) out.Set("pathWhitelist", path_whitelist);
  PutExtra(extra, &out);
  return WriteDocument(out, pretty);
}

// ---- documents

absl::StatusOr<json::Value> ParseDocument(std::string_view text, std::string_view kind,
                                          const ParseOptions& options) {
  json::ParseOptions parse;
  parse.limits = options.limits;
  COAM_ASSIGN_OR_RETURN(json::Value document, json::ParseObject(text, parse));
  const json::Value* found = document.Find("acKind");
  if (found == nullptr || !found->is_string()) {
    return Invalid("acKind", absl::StrCat("is missing; want ", kind));
  }
  if (found->as_string() != kind) {
    return Invalid("acKind", absl::StrCat("is not ", kind));
  }
  return document;
}

absl::StatusOr<ImageManifest> ParseImageManifest(std::string_view text,
                                                 const ParseOptions& options) {
  constexpr std::string_view kWhat = "image manifest";
  auto document = ParseDocument(text, "ImageManifest", options);
  if (!document.ok()) return base::Wrap(document.status(), kWhat);
  ImageManifest out;
  COAM_RETURN_IF_ERROR(json::Read(*document, kWhat, &out));
  COAM_RETURN_IF_ERROR(base::Wrap(Validate(out, options), kWhat));
  return out;
}

std::string ManifestKind(std::string_view text) {
  absl::StatusOr<json::Value> document = json::ParseObject(text);
  if (!document.ok()) return "";
  const json::Value* kind = document->Find("acKind");
  if (kind == nullptr) return "";
  if (kind->as_string() == "ImageManifest" || kind->as_string() == "PodManifest") {
    return kind->as_string();
  }
  return "";
}

std::string DescribeBroken(std::string_view text) {
  absl::StatusOr<json::Value> document = json::ParseObject(text);
  if (!document.ok()) return "";
  const json::Value* name = document->Find("name");
  if (name == nullptr || !IsAcIdentifier(name->as_string())) return "";
  std::string out = name->as_string();
  if (const json::Value* labels = document->Find("labels"); labels != nullptr) {
    for (const json::Value& label : labels->items()) {
      const json::Value* key = label.Find("name");
      const json::Value* value = label.Find("value");
      if (key == nullptr || value == nullptr || !IsAcIdentifier(key->as_string())) continue;
      if (value->as_string().size() > 256 || out.size() > 1024) continue;
      absl::StrAppend(&out, ",", key->as_string(), "=", value->as_string());
    }
  }
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

}  // namespace coaming::aci
