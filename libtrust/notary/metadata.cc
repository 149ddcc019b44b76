#include "libtrust/notary/metadata.h"

#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/json/json.h"

namespace coaming::trust::notary {

using base::Fail;
namespace json = base::json;

namespace {

constexpr size_t kMaxKeys = 1024;

// "Root" of "root"; every delegation is of type "Targets".
std::string_view TypeOf(std::string_view role) {
  if (role == kRoot) return "Root";
  if (role == kSnapshot) return "Snapshot";
  if (role == kTimestamp) return "Timestamp";
  return "Targets";
}

class Reader {
 public:
  explicit Reader(std::string_view role) : role_(role) {}

  absl::Status Bad(std::string_view what) const {
    return Fail("tuf.invalid") << role_ << ": " << what;
  }

  // Go writes an empty map or list as null where it was never set.
  absl::StatusOr<const json::Value*> Object(const json::Value& in, std::string_view key) const {
    const json::Value* v = in.Find(key);
    if (v == nullptr || v->is_null()) return nullptr;
    if (!v->is_object()) return Bad(absl::StrCat(key, " is not an object"));
    return v;
  }

  absl::Status Strings(const json::Value& in, std::string_view key,
                       std::vector<std::string>* out) const {
    const json::Value* v = in.Find(key);
    if (v == nullptr || v->is_null()) return absl::OkStatus();
    if (!v->is_array() || v->size() > kMaxKeys) return Bad(absl::StrCat(key, " is not a list"));
    for (const json::Value& item : v->items()) {
      if (!item.is_string()) return Bad(absl::StrCat(key, " holds something other than text"));
      out->push_back(item.as_string());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<RoleKeys> Keys(const json::Value& in) const {
    RoleKeys out;
    COAM_RETURN_IF_ERROR(Strings(in, "keyids", &out.keyids));
    const json::Value* threshold = in.Find("threshold");
    const auto number = threshold == nullptr ? std::nullopt : threshold->as_int64();
    if (!number || *number < 1) return Bad("a threshold is not at least 1");
    out.threshold = *number;
    if (std::set<std::string>(out.keyids.begin(), out.keyids.end()).size() != out.keyids.size())
      return Bad("a role names a key twice");
    return out;
  }

  absl::Status KeyMap(const json::Value& in, std::map<std::string, Key>* out) const {
    COAM_ASSIGN_OR_RETURN(const json::Value* keys, Object(in, "keys"));
    if (keys == nullptr) return absl::OkStatus();
    if (keys->size() > kMaxKeys) return Bad("too many keys");
    for (const json::Member& m : keys->members()) {
      COAM_ASSIGN_OR_RETURN(Key key, ReadKey(m.value, role_));
      if (key.id != m.key) return Bad(absl::StrCat("key ", m.key, " is really ", key.id));
      out->emplace(m.key, std::move(key));
    }
    return absl::OkStatus();
  }

  absl::Status Root(Metadata* out) const {
    COAM_RETURN_IF_ERROR(KeyMap(out->body, &out->keys));
    COAM_ASSIGN_OR_RETURN(const json::Value* roles, Object(out->body, "roles"));
    if (roles == nullptr) return Bad("roles are missing");
    for (const json::Member& m : roles->members()) {
      COAM_ASSIGN_OR_RETURN(RoleKeys keys, Keys(m.value));
      for (const std::string& id : keys.keyids)
        if (!out->keys.contains(id)) return Bad(absl::StrCat(m.key, " names an unknown key ", id));
      if (static_cast<int64_t>(keys.keyids.size()) < keys.threshold)
        return Bad(absl::StrCat(m.key, " has fewer keys than its threshold"));
      out->roles.emplace(m.key, std::move(keys));
    }
    for (std::string_view role : {kRoot, kTargets, kSnapshot, kTimestamp})
      if (!out->roles.contains(std::string(role))) return Bad(absl::StrCat(role, " has no keys"));
    return absl::OkStatus();
  }

  absl::Status Meta(Metadata* out) const {
    COAM_ASSIGN_OR_RETURN(const json::Value* meta, Object(out->body, "meta"));
    if (meta == nullptr) return Bad("meta is missing");
    for (const json::Member& m : meta->members()) {
      COAM_ASSIGN_OR_RETURN(FileMeta file, ReadFileMeta(m.value, absl::StrCat(role_, ": ", m.key)));
      out->meta.emplace(m.key, std::move(file));
    }
    const std::vector<std::string_view> needed =
        role_ == kSnapshot ? std::vector<std::string_view>{kRoot, kTargets}
                           : std::vector<std::string_view>{kSnapshot};
    for (std::string_view role : needed) {
      auto it = out->meta.find(std::string(role));
      if (it == out->meta.end() || !it->second.hashes.contains("sha256"))
        return Bad(absl::StrCat("there is no sha256 of ", role));
    }
    return absl::OkStatus();
  }

  absl::Status Targets(Metadata* out) const {
    COAM_ASSIGN_OR_RETURN(const json::Value* targets, Object(out->body, "targets"));
    if (targets != nullptr) {
      for (const json::Member& m : targets->members()) {
        COAM_ASSIGN_OR_RETURN(FileMeta file,
                              ReadFileMeta(m.value, absl::StrCat(role_, ": target ", m.key)));
        out->targets.emplace(m.key, std::move(file));
      }
    }
    COAM_ASSIGN_OR_RETURN(const json::Value* delegations, Object(out->body, "delegations"));
    if (delegations == nullptr) return absl::OkStatus();
    COAM_RETURN_IF_ERROR(KeyMap(*delegations, &out->keys));
    const json::Value* roles = delegations->Find("roles");
    if (roles == nullptr || roles->is_null()) return absl::OkStatus();
    if (!roles->is_array()) return Bad("delegations.roles is not a list");
    std::set<std::string> names;
    for (const json::Value& v : roles->items()) {
      Delegation d;
      const json::Value* name = v.Find("name");
      if (name == nullptr || !name->is_string()) return Bad("a delegation has no name");
      d.name = name->as_string();
      if (!IsDelegation(d.name) || ParentRole(d.name) != role_)
        return Bad(absl::StrCat("\"", absl::CHexEscape(d.name), "\" is no child of this role"));
      if (!names.insert(d.name).second) return Bad(absl::StrCat(d.name, " is delegated to twice"));
      COAM_ASSIGN_OR_RETURN(d.keys, Keys(v));
      COAM_RETURN_IF_ERROR(Strings(v, "paths", &d.paths));
      for (const std::string& id : d.keys.keyids)
        if (!out->keys.contains(id)) return Bad(absl::StrCat(d.name, " names an unknown key ", id));
      out->delegations.push_back(std::move(d));
    }
    return absl::OkStatus();
  }

  absl::Status Signatures(const json::Value& doc, Metadata* out) const {
    const json::Value* list = doc.Find("signatures");
    if (list == nullptr || list->is_null()) return absl::OkStatus();
    if (!list->is_array() || list->size() > kMaxKeys) return Bad("signatures is not a list");
    for (const json::Value& v : list->items()) {
      const json::Value *keyid = v.Find("keyid"), *method = v.Find("method"), *sig = v.Find("sig");
      if (keyid == nullptr || !keyid->is_string() || method == nullptr || !method->is_string() ||
          sig == nullptr)
        return Bad("a signature is not {keyid, method, sig}");
      Signature s{keyid->as_string(), method->as_string(), ""};
      // A signature that cannot be read is one that does not verify.
      if (!sig->is_string() || !absl::Base64Unescape(sig->as_string(), &s.value)) s.value.clear();
      out->signatures.push_back(std::move(s));
    }
    return absl::OkStatus();
  }

 private:
  std::string role_;
};

json::Value RoleToJson(const RoleKeys& keys) {
  json::Value out = json::Value::MakeObject();
  out.Set("keyids", keys.keyids);
  out.Set("threshold", keys.threshold);
  return out;
}

json::Value KeysToJson(const std::map<std::string, Key>& keys) {
  json::Value out = json::Value::MakeObject();
  for (const auto& [id, key] : keys) out.Set(id, KeyToJson(key));
  return out;
}

json::Value FilesToJson(const std::map<std::string, FileMeta>& files) {
  json::Value out = json::Value::MakeObject();
  for (const auto& [name, meta] : files) out.Set(name, FileMetaToJson(meta));
  return out;
}

}  // namespace

bool IsBaseRole(std::string_view role) {
  return role == kRoot || role == kTargets || role == kSnapshot || role == kTimestamp;
}

bool IsDelegation(std::string_view role) {
  if (!absl::StartsWith(role, "targets/") || role.size() >= 256) return false;
  bool after_slash = false;
  for (char c : role) {
    if (c == '/') {
      if (after_slash) return false;
      after_slash = true;
      continue;
    }
    after_slash = false;
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
  }
  return !after_slash;
}

std::string_view ParentRole(std::string_view role) {
  const size_t slash = role.rfind('/');
  return slash == std::string_view::npos ? "" : role.substr(0, slash);
}

base::json::Value FileMetaToJson(const FileMeta& meta) {
  json::Value out = json::Value::MakeObject();
  if (meta.custom) out.Set("custom", *meta.custom);
  json::Value hashes = json::Value::MakeObject();
  for (const auto& [name, hash] : meta.hashes) hashes.Set(name, absl::Base64Escape(hash));
  out.Set("hashes", std::move(hashes));
  out.Set("length", meta.length);
  return out;
}

absl::StatusOr<FileMeta> ReadFileMeta(const json::Value& value, std::string_view where) {
  FileMeta out;
  const json::Value *length = value.Find("length"), *hashes = value.Find("hashes");
  const auto number = length == nullptr ? std::nullopt : length->as_int64();
  if (!number || *number < 0 || hashes == nullptr || !hashes->is_object() || hashes->empty())
    return Fail("tuf.invalid") << where << ": want a length and hashes";
  out.length = *number;
  for (const json::Member& m : hashes->members()) {
    std::string raw;
    const base::DigestAlgorithm id = base::FindDigestAlgorithm(m.key);
    if (!m.value.is_string() || !absl::Base64Unescape(m.value.as_string(), &raw) || raw.empty() ||
        (id != base::DigestAlgorithm::kUnknown && raw.size() != base::DigestSize(id)))
      return Fail("tuf.invalid") << where << ": " << m.key << " is no hash";
    out.hashes.emplace(m.key, std::move(raw));
  }
  if (const json::Value* custom = value.Find("custom"); custom != nullptr && !custom->is_null())
    out.custom = *custom;
  return out;
}

absl::StatusOr<Metadata> ParseMetadata(std::string_view bytes, std::string_view role,
                                       const base::Limits* limits) {
  const Reader read(role);
  json::ParseOptions options;
  options.limits = limits;
  options.max_bytes = &base::Limits::tuf_metadata_bytes;
  auto doc = json::ParseObject(bytes, options);
  if (!doc.ok()) {
    if (base::HasReason(doc.status(), "core.limit")) return doc.status();
    return (Fail("tuf.invalid") << role << ": it is not the JSON of a signed role")
        .Cause(doc.status());
  }
  Metadata out;
  out.role = role;
  COAM_ASSIGN_OR_RETURN(const json::Value* body, read.Object(*doc, "signed"));
  if (body == nullptr) return read.Bad("nothing is signed");
  out.body = *body;
  auto canonical = json::WriteCanonical(out.body);
  if (!canonical.ok())
    return (Fail("tuf.invalid") << role << ": it has no canonical form").Cause(canonical.status());
  out.canonical = *std::move(canonical);
  const json::Value *type = out.body.Find("_type"), *version = out.body.Find("version"),
                    *expires = out.body.Find("expires");
  if (type == nullptr || !type->is_string() || type->as_string() != TypeOf(role))
    return read.Bad(absl::StrCat("its type is not ", TypeOf(role)));
  const auto number = version == nullptr ? std::nullopt : version->as_int64();
  if (!number || *number < 1) return read.Bad("its version is not at least 1");
  out.version = *number;
  const auto time = expires == nullptr || !expires->is_string()
                        ? std::nullopt
                        : base::ParseRfc3339(expires->as_string());
  if (!time) return read.Bad("it has no expiry that can be read");
  out.expires_ns = *time;
  COAM_RETURN_IF_ERROR(read.Signatures(*doc, &out));
  COAM_RETURN_IF_ERROR(role == kRoot                             ? read.Root(&out)
                       : role == kSnapshot || role == kTimestamp ? read.Meta(&out)
                                                                 : read.Targets(&out));
  out.bytes = bytes;
  return out;
}

Metadata NewMetadata(std::string_view role) {
  Metadata out;
  out.role = role;
  out.body = json::Value::MakeObject();
  return out;
}

absl::Status Render(Metadata* m) {
  json::Value& body = m->body;
  body.Set("_type", TypeOf(m->role));
  body.Set("expires", base::FormatRfc3339(m->expires_ns));
  body.Set("version", m->version);
  if (m->role == kRoot) {
    if (body.Find("consistent_snapshot") == nullptr) body.Set("consistent_snapshot", false);
    body.Set("keys", KeysToJson(m->keys));
    json::Value roles = json::Value::MakeObject();
    for (const auto& [name, keys] : m->roles) roles.Set(name, RoleToJson(keys));
    body.Set("roles", std::move(roles));
  } else if (m->role == kSnapshot || m->role == kTimestamp) {
    body.Set("meta", FilesToJson(m->meta));
  } else {
    body.Set("targets", FilesToJson(m->targets));
    json::Value roles = json::Value::MakeArray();
    for (const Delegation& d : m->delegations) {
      json::Value role = RoleToJson(d.keys);
      role.Set("name", d.name);
      if (!d.paths.empty()) role.Set("paths", d.paths);
      roles.Push(std::move(role));
    }
    json::Value delegations = json::Value::MakeObject();
    delegations.Set("keys", KeysToJson(m->keys));
    delegations.Set("roles", std::move(roles));
    body.Set("delegations", std::move(delegations));
  }
  m->signatures.clear();
  auto canonical = json::WriteCanonical(body);
  if (!canonical.ok())
    return (Fail("tuf.invalid") << m->role << ": it has no canonical form")
        .Cause(canonical.status());
  m->canonical = *std::move(canonical);
  return absl::OkStatus();
}

void Serialize(Metadata* m) {
  json::Value list = json::Value::MakeArray();
  for (const Signature& s : m->signatures) {
    json::Value one = json::Value::MakeObject();
    one.Set("keyid", s.keyid);
    one.Set("method", s.method);
    one.Set("sig", absl::Base64Escape(s.value));
    list.Push(std::move(one));
  }
  // Byte for byte what Go makes of it when it writes it again: a server hashes its own rendering of a
  // snapshot, and would not find ours under that hash.
  const json::WriteOptions go{.escape = json::Escape::kGo, .sort_keys = true};
  m->bytes = absl::StrCat("{\"signed\":", json::Write(m->body, go),
                          ",\"signatures\":", json::Write(list, go), "}");
}

}  // namespace coaming::trust::notary
