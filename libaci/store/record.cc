#include "libaci/store/record.h"

#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/json/reader.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

namespace json = base::json;

namespace {

struct LabelRow {
  std::string name, value;
};

void ReadJson(json::ObjectReader& r, LabelRow* out) {
  r.Required("name", &out->name);
  r.Required("value", &out->value);
}

}  // namespace

std::string WriteRecord(const ImageRecord& record) {
  json::Value out = json::Value::MakeObject();
  out.Set("id", record.id);
  out.Set("name", record.name);
  out.Set("version", record.version);
  json::Value& labels = out.Set("labels", json::Value::MakeArray());
  for (const NameValue& label : record.labels) {
    json::Value& row = labels.Push(json::Value::MakeObject());
    row.Set("name", label.name);
    row.Set("value", label.value);
  }
  out.Set("latest", record.latest);
  out.Set("importTimeNs", record.import_time_ns);
  out.Set("size", record.size);
  json::SetUnlessEmpty(&out, "source", record.source);
  json::SetUnlessEmpty(&out, "signer", record.signer);
  return json::Write(out);
}

absl::StatusOr<ImageRecord> ReadRecord(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(json::Value document, json::ParseObject(text));
  ImageRecord out;
  std::vector<LabelRow> labels;
  json::ObjectReader r(document, "record");
  r.Required("id", &out.id);
  r.Required("name", &out.name);
  r.Required("version", &out.version);
  r.Required("labels", &labels);
  r.Required("latest", &out.latest);
  r.Required("importTimeNs", &out.import_time_ns);
  r.Required("size", &out.size);
  r.Optional("source", &out.source);
  r.Optional("signer", &out.signer);
  COAM_RETURN_IF_ERROR(r.status());
  COAM_RETURN_IF_ERROR(CheckImageId(out.id));
  for (const LabelRow& label : labels) Set(out.labels, label.name, label.value);
  return out;
}

std::string WriteRemote(const RemoteRecord& record) {
  json::Value out = json::Value::MakeObject();
  out.Set("url", record.url);
  out.Set("signatureUrl", record.signature_url);
  out.Set("etag", record.etag);
  out.Set("imageId", record.image_id);
  out.Set("maxAge", record.max_age_s);
  out.Set("downloadTimeNs", record.download_time_ns);
  return json::Write(out);
}

absl::StatusOr<RemoteRecord> ReadRemote(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(json::Value document, json::ParseObject(text));
  RemoteRecord out;
  json::ObjectReader r(document, "remote");
  r.Required("url", &out.url);
  r.Required("signatureUrl", &out.signature_url);
  r.Required("etag", &out.etag);
  r.Required("imageId", &out.image_id);
  r.Required("maxAge", &out.max_age_s);
  r.Required("downloadTimeNs", &out.download_time_ns);
  COAM_RETURN_IF_ERROR(r.status());
  COAM_RETURN_IF_ERROR(CheckImageId(out.image_id));
  return out;
}

}  // namespace coaming::aci
