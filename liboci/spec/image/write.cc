#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "base/json/json.h"
#include "base/json/reader.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {

namespace json = base::json;

namespace {

void AddExtra(json::Value* object, const Extra& extra) {
  for (const auto& [key, text] : extra) {
    if (object->Find(key) != nullptr) continue;
    absl::StatusOr<json::Value> value = json::Parse(text);
    if (value.ok()) object->Set(key, *std::move(value));
  }
}

json::Value SetOf(const std::vector<std::string>& names) {
  json::Value out = json::Value::MakeObject();
  for (const std::string& name : names) out.Set(name, json::Value::MakeObject());
  return out;
}

void SetPlatform(json::Value* out, const Platform& p) {
  out->Set("architecture", p.architecture);
  out->Set("os", p.os);
  json::SetUnlessEmpty(out, "os.version", p.os_version);
  json::SetUnlessEmpty(out, "os.features", p.os_features);
  json::SetUnlessEmpty(out, "variant", p.variant);
}

json::Value ToJson(const Descriptor& d) {
  json::Value out = json::Value::MakeObject();
  out.Set("mediaType", d.media_type);
  out.Set("digest", d.digest.str());
  out.Set("size", d.size);
  json::SetUnlessEmpty(&out, "urls", d.urls);
  json::SetUnlessEmpty(&out, "annotations", d.annotations);
  if (!d.data.empty()) out.Set("data", absl::Base64Escape(d.data));
  if (d.platform.has_value()) {
    json::Value platform = json::Value::MakeObject();
    SetPlatform(&platform, *d.platform);
    out.Set("platform", std::move(platform));
  }
  json::SetUnlessEmpty(&out, "artifactType", d.artifact_type);
  AddExtra(&out, d.extra);
  return out;
}

json::Value ToJson(const std::vector<Descriptor>& list) {
  json::Value out = json::Value::MakeArray();
  for (const Descriptor& d : list) out.Push(ToJson(d));
  return out;
}

json::Value ToJson(const ContainerConfig& c) {
  json::Value out = json::Value::MakeObject();
  json::SetUnlessEmpty(&out, "User", c.user);
  if (!c.exposed_ports.empty()) out.Set("ExposedPorts", SetOf(c.exposed_ports));
  json::SetUnlessEmpty(&out, "Env", c.env);
  json::SetUnlessEmpty(&out, "Entrypoint", c.entrypoint);
  json::SetUnlessEmpty(&out, "Cmd", c.cmd);
  if (!c.volumes.empty()) out.Set("Volumes", SetOf(c.volumes));
  json::SetUnlessEmpty(&out, "WorkingDir", c.working_dir);
  json::SetUnlessEmpty(&out, "Labels", c.labels);
  json::SetUnlessEmpty(&out, "StopSignal", c.stop_signal);
  AddExtra(&out, c.extra);
  return out;
}

std::string Render(const json::Value& value, std::string_view indent) {
  return json::Write(value, {.indent = indent, .escape = json::Escape::kGo});
}

}  // namespace

std::string WriteDescriptor(const Descriptor& descriptor, std::string_view indent) {
  return Render(ToJson(descriptor), indent);
}

std::string WriteManifest(const Manifest& m, std::string_view indent) {
  json::Value out = json::Value::MakeObject();
  out.Set("schemaVersion", 2);
  json::SetUnlessEmpty(&out, "mediaType", m.media_type);
  json::SetUnlessEmpty(&out, "artifactType", m.artifact_type);
  out.Set("config", ToJson(m.config));
  out.Set("layers", ToJson(m.layers));
  if (m.subject.has_value()) out.Set("subject", ToJson(*m.subject));
  json::SetUnlessEmpty(&out, "annotations", m.annotations);
  AddExtra(&out, m.extra);
  return Render(out, indent);
}

std::string WriteIndex(const Index& index, std::string_view indent) {
  json::Value out = json::Value::MakeObject();
  out.Set("schemaVersion", 2);
  json::SetUnlessEmpty(&out, "mediaType", index.media_type);
  json::SetUnlessEmpty(&out, "artifactType", index.artifact_type);
  out.Set("manifests", ToJson(index.manifests));
  if (index.subject.has_value()) out.Set("subject", ToJson(*index.subject));
  json::SetUnlessEmpty(&out, "annotations", index.annotations);
  AddExtra(&out, index.extra);
  return Render(out, indent);
}

std::string WriteImageConfig(const ImageConfig& c, std::string_view indent) {
  json::Value out = json::Value::MakeObject();
  json::SetUnlessEmpty(&out, "created", c.created);
  json::SetUnlessEmpty(&out, "author", c.author);
  SetPlatform(&out, c.platform);
  out.Set("config", ToJson(c.config));
  json::Value rootfs = json::Value::MakeObject();
  rootfs.Set("type", "layers");
  json::Value ids = json::Value::MakeArray();
  for (const base::Digest& id : c.diff_ids) ids.Push(id.str());
  rootfs.Set("diff_ids", std::move(ids));
  out.Set("rootfs", std::move(rootfs));
  if (!c.history.empty()) {
    json::Value history = json::Value::MakeArray();
    for (const History& h : c.history) {
      json::Value row = json::Value::MakeObject();
      json::SetUnlessEmpty(&row, "created", h.created);
      json::SetUnlessEmpty(&row, "created_by", h.created_by);
      json::SetUnlessEmpty(&row, "author", h.author);
      json::SetUnlessEmpty(&row, "comment", h.comment);
      if (h.empty_layer) row.Set("empty_layer", true);
      history.Push(std::move(row));
    }
    out.Set("history", std::move(history));
  }
  AddExtra(&out, c.extra);
  return Render(out, indent);
}

}  // namespace coaming::oci
