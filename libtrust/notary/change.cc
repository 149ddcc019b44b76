#include "libtrust/notary/change.h"

#include "absl/strings/escaping.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::trust::notary {

using base::Fail;
namespace json = base::json;

namespace {

absl::StatusOr<json::Value> Parse(std::string_view text, std::string_view what) {
  auto doc = json::ParseObject(text);
  if (doc.ok()) return doc;
  return (Fail("notary.change") << what << ": it is not the JSON of a change").Cause(doc.status());
}

std::string Text(const json::Value& in, std::string_view key) {
  const json::Value* v = in.Find(key);
  return v == nullptr ? "" : v->as_string();
}

std::vector<std::string> Texts(const json::Value& in, std::string_view key) {
  std::vector<std::string> out;
  if (const json::Value* v = in.Find(key))
    for (const json::Value& item : v->items()) out.push_back(item.as_string());
  return out;
}

absl::StatusOr<std::vector<Key>> Keys(const json::Value& in, std::string_view key) {
  std::vector<Key> out;
  if (const json::Value* v = in.Find(key))
    for (const json::Value& item : v->items()) {
      COAM_ASSIGN_OR_RETURN(out.emplace_back(), ReadKey(item, "a change of keys"));
    }
  return out;
}

json::Value KeyList(const std::vector<Key>& keys) {
  json::Value out = json::Value::MakeArray();
  for (const Key& key : keys) out.Push(KeyToJson(key));
  return out;
}

}  // namespace

std::string WriteChange(const Change& change) {
  json::Value out = json::Value::MakeObject();
  out.Set("action", change.action);
  out.Set("role", change.role);
  out.Set("type", change.type);
  out.Set("path", change.path);
  out.Set("data",
          change.data.empty() ? json::Value() : json::Value(absl::Base64Escape(change.data)));
  return json::Write(out);
}

absl::StatusOr<Change> ReadChange(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, Parse(text, "a changelist file"));
  Change out{Text(doc, "action"), Text(doc, "role"), Text(doc, "type"), Text(doc, "path"), ""};
  if (out.action.empty() || out.role.empty() || out.type.empty() ||
      !absl::Base64Unescape(Text(doc, "data"), &out.data))
    return Fail("notary.change") << "a changelist file: it is not {action, role, type, path, data}";
  return out;
}

std::string ChangesToJson(std::string_view gun, const std::vector<Change>& changes) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.changes.v1");
  out.Set("gun", gun);
  json::Value& list = out.Set("changes", json::Value::MakeArray());
  for (const Change& c : changes) {
    json::Value& one = list.Push(json::Value::MakeObject());
    one.Set("action", c.action);
    one.Set("role", c.role);
    one.Set("type", c.type);
    one.Set("path", c.path);
  }
  return json::Write(out);
}

Change AddTarget(std::string_view role, std::string_view name, const FileMeta& meta) {
  return {"create", std::string(role), "target", std::string(name),
          json::Write(FileMetaToJson(meta))};
}

absl::StatusOr<base::json::Value> ParseCustom(std::string_view text) { return json::Parse(text); }

std::string WriteDelegationChange(const DelegationChange& change) {
  json::Value out = json::Value::MakeObject();
  if (change.threshold != 0) out.Set("threshold", change.threshold);
  if (!change.add_keys.empty()) out.Set("add_keys", KeyList(change.add_keys));
  if (!change.remove_keys.empty()) out.Set("remove_keys", change.remove_keys);
  if (!change.add_paths.empty()) out.Set("add_paths", change.add_paths);
  if (!change.remove_paths.empty()) out.Set("remove_paths", change.remove_paths);
  if (change.clear_paths) out.Set("clear_paths", true);
  return json::Write(out);
}

absl::StatusOr<DelegationChange> ReadDelegationChange(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, Parse(text, "a change of a delegation"));
  DelegationChange out;
  if (const json::Value* v = doc.Find("threshold")) out.threshold = v->as_int64().value_or(0);
  COAM_ASSIGN_OR_RETURN(out.add_keys, Keys(doc, "add_keys"));
  out.remove_keys = Texts(doc, "remove_keys");
  out.add_paths = Texts(doc, "add_paths");
  out.remove_paths = Texts(doc, "remove_paths");
  if (const json::Value* v = doc.Find("clear_paths")) out.clear_paths = v->as_bool();
  return out;
}

std::string WriteRoleChange(std::string_view role, const std::vector<Key>& keys) {
  json::Value out = json::Value::MakeObject();
  out.Set("keys", KeyList(keys));
  out.Set("role", role);
  return json::Write(out);
}

absl::StatusOr<std::vector<Key>> ReadRoleChange(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, Parse(text, "a change of keys"));
  return Keys(doc, "keys");
}

}  // namespace coaming::trust::notary
