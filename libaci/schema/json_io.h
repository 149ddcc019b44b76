// Reading and writing of the manifests' types over base/json; private to libaci/schema.
#ifndef COAMING_LIBACI_SCHEMA_JSON_IO_H_
#define COAMING_LIBACI_SCHEMA_JSON_IO_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/json/json.h"
#include "base/json/reader.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/pod_manifest.h"

namespace coaming::aci {

namespace json = base::json;

void ReadJson(json::ObjectReader& r, NameValue* out);
void ReadJson(json::ObjectReader& r, EventHandler* out);
void ReadJson(json::ObjectReader& r, MountPoint* out);
void ReadJson(json::ObjectReader& r, Port* out);
void ReadJson(json::ObjectReader& r, Isolator* out);
void ReadJson(json::ObjectReader& r, App* out);
void ReadJson(json::ObjectReader& r, Dependency* out);
void ReadJson(json::ObjectReader& r, ImageManifest* out);
void ReadJson(json::ObjectReader& r, Volume* out);
void ReadJson(json::ObjectReader& r, Mount* out);
void ReadJson(json::ObjectReader& r, RuntimeImage* out);
void ReadJson(json::ObjectReader& r, RuntimeApp* out);
void ReadJson(json::ObjectReader& r, ExposedPort* out);
void ReadJson(json::ObjectReader& r, PodManifest* out);

json::Value ToValue(const NameValue& v);
json::Value ToValue(const Isolator& v);
json::Value ToValue(const Port& v);
json::Value ToValue(const App& v);

// TakeExtra keeps the members nobody asked for; PutExtra writes them again.
void TakeExtra(const json::ObjectReader& r, ExtraMembers* out);
void PutExtra(const ExtraMembers& extra, json::Value* object);

template <typename T>
json::Value ToArray(const std::vector<T>& list) {
  json::Value out = json::Value::MakeArray();
  for (const T& item : list) out.Push(ToValue(item));
  return out;
}
json::Value ToObject(const StringMap& map);

// ParseDocument parses an object and checks acKind and acVersion. `notes_op` may be null.
absl::StatusOr<json::Value> ParseDocument(std::string_view text, std::string_view kind,
                                          const ParseOptions& options);
std::string WriteDocument(const json::Value& value, bool pretty);

// The checks that both kinds of manifest share; `where` is the path so far ("app").
absl::Status CheckVersion(std::string_view version, const ParseOptions& options);
absl::Status CheckLabels(const Labels& labels, std::string_view where);
absl::Status CheckAnnotations(const Annotations& annotations, std::string_view where);
absl::Status CheckApp(const App& app, std::string_view where, const ParseOptions& options);
absl::Status CheckPort(const Port& port, std::string_view where);
// Invalid is aci.manifest_invalid with the place before the message.
absl::Status Invalid(std::string_view where, std::string_view message);
// At puts the place before another check's message.
absl::Status At(std::string_view where, const absl::Status& status);
bool HasNul(std::string_view text);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_JSON_IO_H_
