// Results as JSON documents with a schema name.
#include "base/core/clock.h"
#include "base/json/json.h"
#include "libaci/client/client.h"

namespace coaming::aci {

namespace json = base::json;

namespace {

json::Value LabelsValue(const Labels& labels) {
  json::Value out = json::Value::MakeArray();
  for (const NameValue& label : labels) {
    json::Value& row = out.Push(json::Value::MakeObject());
    row.Set("name", label.name);
    row.Set("value", label.value);
  }
  return out;
}

json::Value RecordValue(const ImageRecord& record) {
  json::Value out = json::Value::MakeObject();
  out.Set("id", record.id);
  out.Set("name", record.name);
  out.Set("version", record.version);
  out.Set("labels", LabelsValue(record.labels));
  out.Set("latest", record.latest);
  out.Set("size", record.size);
  out.Set("importTime", base::FormatRfc3339(record.import_time_ns));
  out.Set("importTimeNs", record.import_time_ns);
  out.Set("lastUsed", base::FormatRfc3339(record.last_used_ns));
  out.Set("lastUsedNs", record.last_used_ns);
  out.Set("source", record.source);
  out.Set("signer", record.signer);
  return out;
}

json::Value WithSchema(const char* schema) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", schema);
  return out;
}

json::Value StepsValue(const std::vector<Step>& steps) {
  json::Value out = json::Value::MakeArray();
  for (const Step& step : steps) {
    json::Value& row = out.Push(json::Value::MakeObject());
    row.Set("prefix", step.prefix);
    row.Set("url", step.url);
    row.Set("keys", step.keys);
    row.Set("status", step.http_status);
    row.Set("outcome", step.outcome);
    row.Set("reason", step.error_reason);
  }
  return out;
}

}  // namespace

std::string RecordJson(const ImageRecord& record) {
  json::Value out = WithSchema("coam.aci.image.v1");
  json::Value row = RecordValue(record);
  for (json::Member& member : row.mutable_members()) {
    out.Set(member.key, std::move(member.value));
  }
  return json::Write(out);
}

std::string RecordsJson(const std::vector<ImageRecord>& records) {
  json::Value out = WithSchema("coam.aci.images.v1");
  json::Value& list = out.Set("images", json::Value::MakeArray());
  for (const ImageRecord& record : records) list.Push(RecordValue(record));
  return json::Write(out);
}

std::string InfoJson(const ImageInfo& info) {
  json::Value out = WithSchema("coam.aci.file.v1");
  out.Set("id", info.image_id);
  out.Set("name", info.manifest.name);
  out.Set("labels", LabelsValue(info.manifest.labels));
  out.Set("compression", base::CompressionName(info.compression));
  out.Set("size", info.tar_bytes);
  out.Set("rootfsBytes", info.rootfs_bytes);
  out.Set("rootfsEntries", info.rootfs_entries);
  if (absl::StatusOr<json::Value> manifest = json::Parse(info.manifest_json); manifest.ok()) {
    out.Set("manifest", *std::move(manifest));
  }
  return json::Write(out);
}

std::string FetchedJson(const Fetched& fetched) {
  json::Value out = WithSchema("coam.aci.fetch.v1");
  out.Set("image", RecordValue(fetched.record));
  out.Set("fromStore", fetched.from_store);
  out.Set("dependencies", fetched.dependencies);
  out.Set("steps", StepsValue(fetched.steps));
  return json::Write(out);
}

std::string DiscoveryJson(const AppName& app, const std::vector<Endpoint>& endpoints,
                          const std::vector<std::string>& keys, const std::vector<Step>& steps) {
  json::Value out = WithSchema("coam.aci.discovery.v1");
  out.Set("name", app.ToString());
  json::Value& list = out.Set("endpoints", json::Value::MakeArray());
  for (const Endpoint& endpoint : endpoints) {
    json::Value& row = list.Push(json::Value::MakeObject());
    row.Set("aci", endpoint.aci);
    row.Set("asc", endpoint.asc);
  }
  out.Set("keys", keys);
  out.Set("steps", StepsValue(steps));
  return json::Write(out);
}

std::string StringsJson(const std::vector<std::string>& list) {
  return json::Write(json::Value(list));
}

std::string PrettyJson(std::string_view text) {
  absl::StatusOr<json::Value> value = json::Parse(text);
  if (!value.ok()) return std::string(text);
  json::WriteOptions options;
  options.indent = "    ";
  options.escape = json::Escape::kGo;
  return json::Write(*value, options);
}

}  // namespace coaming::aci
