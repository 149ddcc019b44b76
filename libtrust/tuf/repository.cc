#include "libtrust/tuf/repository.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/json/json.h"
#include "libtrust/tuf/delegation.h"
#include "libtrust/tuf/repository_doc.h"
#include "libtrust/tuf/trusted_set.h"

namespace coaming::trust::tuf {

using base::Fail;
using base::json::Member;
using base::json::Value;

namespace {

constexpr std::string_view kIndex = "staged/index.json";
constexpr int64_t kDay = 86400;

absl::Status Not(std::string_view why) { return Fail("tuf.repository") << why; }

std::string StagedName(std::string_view role) {
  return absl::StrCat("staged/", FileName(role), ".json");
}
std::string CurrentName(std::string_view role) {
  return absl::StrCat("current/", FileName(role), ".json");
}

void RemoveString(Value* list, std::string_view text) {
  std::vector<Value>& items = list->mutable_items();
  items.erase(std::remove_if(items.begin(), items.end(),
                             [&](const Value& v) { return v.as_string() == text; }),
              items.end());
}

bool HasString(const Value& list, std::string_view text) {
  return std::any_of(list.items().begin(), list.items().end(),
                     [&](const Value& v) { return v.as_string() == text; });
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Repository::Staged() {
  std::vector<std::string> out;
  COAM_ASSIGN_OR_RETURN(std::optional<std::string> text, store_.Load(std::string(kIndex)));
  if (!text) return out;
  COAM_ASSIGN_OR_RETURN(Value list, base::json::Parse(*text));
  for (const Value& v : list.items()) out.push_back(v.as_string());
  return out;
}

absl::Status Repository::Note(std::string_view role, bool staged) {
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> names, Staged());
  auto at = std::find(names.begin(), names.end(), role);
  if (staged == (at != names.end())) return absl::OkStatus();
  if (staged) names.emplace_back(role);
  else names.erase(at);
  if (names.empty()) return store_.Remove(std::string(kIndex));
  return store_.Save(std::string(kIndex), base::json::Write(Value(names)));
}

absl::StatusOr<Repository::Doc> Repository::LoadDoc(std::string_view role, bool staged_too) {
  Doc out;
  out.role = std::string(role);
  out.kind = KindOf(role);
  std::optional<std::string> text;
  if (staged_too) {
    COAM_ASSIGN_OR_RETURN(text, store_.Load(StagedName(role)));
    out.staged = text.has_value();
  }
  if (!text) {
    COAM_ASSIGN_OR_RETURN(text, store_.Load(CurrentName(role)));
  }
  if (!text) return Not(absl::StrCat("there is no role ", role));
  COAM_ASSIGN_OR_RETURN(out.json, base::json::ParseObject(*text));
  COAM_ASSIGN_OR_RETURN(out.metadata, ParseMetadata(*text, out.kind));
  return out;
}

absl::StatusOr<Repository::Doc> Repository::Edit(std::string_view role) {
  COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
  if (!doc.staged) doc.Signed().Set("version", doc.metadata.version + 1);
  doc.staged = true;
  return doc;
}

// Stage writes an edited document without signatures, after checking that it is one.
absl::Status Repository::Stage(const Doc& doc) {
  Value json = doc.json;
  json.Set("signatures", Value::MakeArray());
  std::string text = base::json::Write(json);
  auto parsed = ParseMetadata(text, doc.kind);
  if (!parsed.ok()) return Not(base::GetError(parsed.status()).message);
  COAM_RETURN_IF_ERROR(store_.Save(StagedName(doc.role), text));
  return Note(doc.role, true);
}

absl::Status Repository::Init(const InitOptions& options,
                              const std::map<std::string, std::vector<Value>>& keys) {
  COAM_ASSIGN_OR_RETURN(std::optional<std::string> old, store_.Load(CurrentName("root")));
  if (old) return Not("the repository has a root already");
  Doc root = NewDoc("root", options.now_s + options.root_days * kDay);
  root.Signed().Set("consistent_snapshot", options.consistent_snapshot);
  Value key_objects = Value::MakeObject(), roles = Value::MakeObject();
  for (std::string_view name : {"root", "timestamp", "snapshot", "targets"}) {
    Value ids = Value::MakeArray();
    auto given = keys.find(std::string(name));
    if (given != keys.end()) {
      for (const Value& key : given->second) {
        COAM_ASSIGN_OR_RETURN(std::string id, KeyId(key));
        key_objects.Set(id, key);
        if (!HasString(ids, id)) ids.Push(id);
      }
    }
    auto threshold = options.thresholds.find(std::string(name));
    int64_t wanted = threshold != options.thresholds.end() ? threshold->second : 1;
    if (wanted < 1 || static_cast<int64_t>(ids.size()) < wanted)
      return Not(
          absl::StrCat("role ", name, " has ", ids.size(), " keys and a threshold of ", wanted));
    Value role = Value::MakeObject();
    role.Set("keyids", std::move(ids));
    role.Set("threshold", wanted);
    roles.Set(name, std::move(role));
  }
  root.Signed().Set("keys", std::move(key_objects));
  root.Signed().Set("roles", std::move(roles));
  COAM_RETURN_IF_ERROR(Stage(root));
  Doc targets = NewDoc("targets", options.now_s + options.targets_days * kDay);
  targets.Signed().Set("targets", Value::MakeObject());
  COAM_RETURN_IF_ERROR(Stage(targets));
  bool changed;
  COAM_RETURN_IF_ERROR(Snapshot(options.now_s + options.snapshot_days * kDay, &changed));
  return Timestamp(options.now_s + options.timestamp_days * kDay, &changed);
}

absl::Status Repository::AddKey(std::string_view role, const Value& key) {
  COAM_ASSIGN_OR_RETURN(std::string id, KeyId(key));
  COAM_RETURN_IF_ERROR(ReadKey(id, key).status());
  COAM_ASSIGN_OR_RETURN(Doc root, Edit("root"));
  Value* entry = root.Signed().FindMutable("roles")->FindMutable(role);
  if (entry == nullptr) return Not(absl::StrCat("there is no role ", role));
  root.Signed().FindMutable("keys")->Set(id, key);
  if (!HasString(*entry->Find("keyids"), id)) entry->FindMutable("keyids")->Push(id);
  return Stage(root);
}

absl::Status Repository::RemoveKey(std::string_view role, std::string_view keyid) {
  COAM_ASSIGN_OR_RETURN(Doc root, Edit("root"));
  Value* roles = root.Signed().FindMutable("roles");
  Value* entry = roles->FindMutable(role);
  if (entry == nullptr || !HasString(*entry->Find("keyids"), keyid))
    return Not(absl::StrCat("role ", role, " has no key ", keyid));
  RemoveString(entry->FindMutable("keyids"), keyid);
  if (static_cast<int64_t>(entry->Find("keyids")->size()) <
      entry->Find("threshold")->as_int64().value_or(1))
    return Not(absl::StrCat("role ", role, " would have fewer keys than its threshold"));
  bool used = false;
  for (const Member& m : roles->members()) used |= HasString(*m.value.Find("keyids"), keyid);
  if (!used) root.Signed().FindMutable("keys")->Remove(keyid);
  return Stage(root);
}

absl::Status Repository::SetThreshold(std::string_view role, int64_t threshold) {
  COAM_ASSIGN_OR_RETURN(Doc root, Edit("root"));
  Value* entry = root.Signed().FindMutable("roles")->FindMutable(role);
  if (entry == nullptr) return Not(absl::StrCat("there is no role ", role));
  if (threshold < 1 || threshold > static_cast<int64_t>(entry->Find("keyids")->size()))
    return Not(absl::StrCat("a threshold of ", threshold, " does not fit the keys of ", role));
  entry->Set("threshold", threshold);
  return Stage(root);
}

absl::Status Repository::SetExpiry(std::string_view role, int64_t expires_s) {
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  doc.Signed().Set("expires", FormatExpiry(expires_s));
  return Stage(doc);
}

absl::Status Repository::AddTarget(std::string_view role, std::string_view path, int64_t length,
                                   const Hashes& hashes, const Value* custom) {
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  if (doc.kind != Role::kTargets) return Not(absl::StrCat(role, " holds no targets"));
  Value entry = Value::MakeObject();
  if (custom != nullptr) entry.Set("custom", *custom);
  Value& list = entry.Set("hashes", Value::MakeObject());
  for (const auto& [algorithm, hash] : hashes) list.Set(algorithm, hash);
  entry.Set("length", length);
  doc.Signed().FindMutable("targets")->Set(path, std::move(entry));
  return Stage(doc);
}

absl::Status Repository::RemoveTarget(std::string_view role, std::string_view path) {
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  Value* targets = doc.Signed().FindMutable("targets");
  if (targets == nullptr || !targets->Remove(path))
    return Fail("tuf.not_found") << role << " has no target " << path;
  return Stage(doc);
}

absl::Status Repository::Delegate(std::string_view role, const DelegatedRole& delegated,
                                  const std::vector<Value>& keys, int64_t expires_s) {
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  Value* delegations = doc.Delegations();
  if (delegations->Find("succinct_roles") != nullptr)
    return Not(absl::StrCat(role, " delegates to bins and to nothing else"));
  Value ids = Value::MakeArray();
  for (const Value& key : keys) {
    COAM_ASSIGN_OR_RETURN(std::string id, KeyId(key));
    delegations->FindMutable("keys")->Set(id, key);
    if (!HasString(ids, id)) ids.Push(id);
  }
  Value entry = Value::MakeObject();
  entry.Set("keyids", std::move(ids));
  entry.Set("name", delegated.name);
  if (delegated.path_hash_prefixes) entry.Set("path_hash_prefixes", *delegated.path_hash_prefixes);
  if (delegated.paths) entry.Set("paths", *delegated.paths);
  entry.Set("terminating", delegated.terminating);
  entry.Set("threshold", delegated.keys.threshold);
  if (delegated.keys.threshold > static_cast<int64_t>(entry.Find("keyids")->size()))
    return Not(absl::StrCat("role ", delegated.name, " has fewer keys than its threshold"));
  if (delegations->Find("roles") == nullptr) delegations->Set("roles", Value::MakeArray());
  std::vector<Value>& roles = delegations->FindMutable("roles")->mutable_items();
  auto at = std::find_if(roles.begin(), roles.end(), [&](const Value& v) {
    return v.Find("name") != nullptr && v.Find("name")->as_string() == delegated.name;
  });
  if (at != roles.end()) *at = std::move(entry);
  else roles.push_back(std::move(entry));
  COAM_RETURN_IF_ERROR(Stage(doc));
  if (LoadDoc(delegated.name, true).ok()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(Doc made, NewTargets(delegated.name, expires_s));
  return Stage(made);
}

absl::Status Repository::DelegateBins(std::string_view role, const SuccinctRoles& bins,
                                      const std::vector<Value>& keys, int64_t expires_s) {
  if (bins.bit_length < 1 || bins.bit_length > 14)
    return Not("2 to 16384 bins are made here (a bit length of 1 to 14)");
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  Value* delegations = doc.Delegations();
  if (delegations->Find("roles") != nullptr)
    return Not(absl::StrCat(role, " delegates by paths; it cannot have bins beside"));
  Value ids = Value::MakeArray();
  for (const Value& key : keys) {
    COAM_ASSIGN_OR_RETURN(std::string id, KeyId(key));
    delegations->FindMutable("keys")->Set(id, key);
    if (!HasString(ids, id)) ids.Push(id);
  }
  Value entry = Value::MakeObject();
  entry.Set("bit_length", bins.bit_length);
  entry.Set("keyids", std::move(ids));
  entry.Set("name_prefix", bins.name_prefix);
  entry.Set("threshold", bins.keys.threshold);
  delegations->Set("succinct_roles", std::move(entry));
  COAM_RETURN_IF_ERROR(Stage(doc));
  for (uint64_t i = 0; i < uint64_t{1} << bins.bit_length; ++i) {
    COAM_ASSIGN_OR_RETURN(Doc made, NewTargets(BinAt(bins, i), expires_s));
    COAM_RETURN_IF_ERROR(Stage(made));
  }
  return absl::OkStatus();
}

absl::Status Repository::RemoveDelegation(std::string_view role, std::string_view name) {
  COAM_ASSIGN_OR_RETURN(Doc doc, Edit(role));
  Value* roles = doc.Delegations()->FindMutable("roles");
  size_t before = roles != nullptr ? roles->size() : 0;
  if (roles != nullptr) {
    std::vector<Value>& items = roles->mutable_items();
    items.erase(std::remove_if(items.begin(), items.end(),
                               [&](const Value& v) {
                                 return v.Find("name") != nullptr &&
                                        v.Find("name")->as_string() == name;
                               }),
                items.end());
  }
  if (roles == nullptr || roles->size() == before)
    return Fail("tuf.not_found") << role << " does not delegate to " << name;
  return Stage(doc);
}

absl::StatusOr<Repository::Doc> Repository::NewTargets(std::string_view role, int64_t expires_s) {
  Doc doc = NewDoc(role, expires_s);
  doc.Signed().Set("targets", Value::MakeObject());
  return doc;
}

absl::Status Repository::Snapshot(int64_t expires_s, bool* changed) {
  COAM_ASSIGN_OR_RETURN(std::vector<Found> roles, Walk());
  auto present = LoadDoc("snapshot", true);
  Doc doc = present.ok() ? *present : NewDoc("snapshot", expires_s);
  if (!present.ok()) doc.Signed().Set("meta", Value::MakeObject());
  *changed = !present.ok();
  Value* meta = doc.Signed().FindMutable("meta");
  for (const Found& role : roles) {
    std::string name = absl::StrCat(role.doc.role, ".json");
    int64_t version = role.doc.Version();
    const Value* old = meta->Find(name);
    if (old != nullptr && old->Find("version")->as_int64() == version) continue;
    if (old != nullptr && old->Find("version")->as_int64().value_or(0) > version)
      return Not(absl::StrCat("role ", role.doc.role, " would go back to version ", version));
    Value entry = Value::MakeObject();
    entry.Set("version", version);
    meta->Set(name, std::move(entry));
    *changed = true;
  }
  if (!*changed) return absl::OkStatus();
  if (present.ok() && !doc.staged) doc.Signed().Set("version", doc.metadata.version + 1);
  doc.Signed().Set("expires", FormatExpiry(expires_s));
  return Stage(doc);
}

absl::Status Repository::Timestamp(int64_t expires_s, bool* changed) {
  COAM_ASSIGN_OR_RETURN(Doc snapshot, LoadDoc("snapshot", true));
  auto present = LoadDoc("timestamp", true);
  Doc doc = present.ok() ? *present : NewDoc("timestamp", expires_s);
  int64_t version = snapshot.Version();
  *changed = !present.ok() || doc.metadata.meta.begin()->second.version != version;
  if (!*changed) return absl::OkStatus();
  Value entry = Value::MakeObject();
  entry.Set("version", version);
  Value meta = Value::MakeObject();
  meta.Set("snapshot.json", std::move(entry));
  doc.Signed().Set("meta", std::move(meta));
  if (present.ok() && !doc.staged) doc.Signed().Set("version", doc.metadata.version + 1);
  doc.Signed().Set("expires", FormatExpiry(expires_s));
  return Stage(doc);
}

absl::StatusOr<std::string> Repository::ToBeSigned(std::string_view role) {
  COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
  return doc.metadata.canonical;
}

absl::Status Repository::AddSignature(std::string_view role, std::string_view keyid,
                                      std::string_view signature) {
  COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
  COAM_ASSIGN_OR_RETURN(std::vector<Signing> by, SignersOf(doc));
  const Key* key = nullptr;
  for (const Signing& s : by) {
    auto it = s.keys.find(std::string(keyid));
    if (it != s.keys.end() &&
        std::find(s.role.keyids.begin(), s.role.keyids.end(), keyid) != s.role.keyids.end())
      key = &it->second;
  }
  if (key == nullptr) return Not(absl::StrCat("key ", keyid, " does not sign ", role));
  if (!VerifySignature(*key, signature, doc.metadata.canonical))
    return Fail("sig.bad") << "the signature of key " << keyid << " does not fit " << role
                           << " version " << doc.metadata.version;
  Value* list = doc.json.FindMutable("signatures");
  std::vector<Value>& items = list->mutable_items();
  items.erase(std::remove_if(items.begin(), items.end(),
                             [&](const Value& v) {
                               return v.Find("keyid") != nullptr &&
                                      v.Find("keyid")->as_string() == keyid;
                             }),
              items.end());
  Value entry = Value::MakeObject();
  entry.Set("keyid", keyid);
  entry.Set("sig", base::HexEncode(signature));
  list->Push(std::move(entry));
  return store_.Save(doc.staged ? StagedName(role) : CurrentName(role),
                     base::json::Write(doc.json));
}

absl::Status Repository::Sign(std::string_view role, const Signer& signer) {
  COAM_ASSIGN_OR_RETURN(std::string bytes, ToBeSigned(role));
  COAM_ASSIGN_OR_RETURN(std::string signature, signer.sign(bytes));
  return AddSignature(role, signer.keyid, signature);
}

absl::StatusOr<Repository::SigningState> Repository::State(std::string_view role) {
  COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
  COAM_ASSIGN_OR_RETURN(std::vector<Signing> by, SignersOf(doc));
  SigningState out;
  out.version = doc.metadata.version;
  out.staged = doc.staged;
  out.state = CheckSignatures(by[0].keys, by[0].role, doc.metadata);
  if (by.size() > 1) out.by_old = CheckSignatures(by[1].keys, by[1].role, doc.metadata);
  return out;
}

absl::Status Repository::Publish() {
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> staged, Staged());
  if (staged.empty()) return Not("nothing is staged");
  // Everything is checked before anything is written.
  COAM_ASSIGN_OR_RETURN(std::vector<Found> roles, Walk());
  COAM_ASSIGN_OR_RETURN(Doc snapshot, LoadDoc("snapshot", true));
  COAM_ASSIGN_OR_RETURN(Doc timestamp, LoadDoc("timestamp", true));
  for (const Found& found : roles) {
    auto meta = snapshot.metadata.meta.find(absl::StrCat(found.doc.role, ".json"));
    if (meta == snapshot.metadata.meta.end() || meta->second.version != found.doc.Version())
      return Not(absl::StrCat("the snapshot does not have ", found.doc.role, " version ",
                              found.doc.Version(), ": make a new one"));
  }
  if (timestamp.metadata.meta.begin()->second.version != snapshot.Version())
    return Not("the timestamp does not name the snapshot: make a new one");
  for (const std::string& role : staged) {
    COAM_ASSIGN_OR_RETURN(SigningState state, State(role));
    if (state.ok()) continue;
    const SignatureState& short_of = state.state.ok() ? *state.by_old : state.state;
    return Fail("tuf.threshold") << role << " version " << state.version << " is signed by "
                                 << short_of.signed_by.size() << " of " << short_of.threshold
                                 << (state.state.ok() ? " keys of the root before it" : " keys");
  }
  COAM_ASSIGN_OR_RETURN(Doc root, LoadDoc("root", true));
  bool consistent = root.metadata.consistent_snapshot;
  std::stable_sort(staged.begin(), staged.end(), [](const std::string& a, const std::string& b) {
    return PublishRank(a) < PublishRank(b);
  });
  for (const std::string& role : staged) {
    COAM_ASSIGN_OR_RETURN(std::optional<std::string> text, store_.Load(StagedName(role)));
    if (!text) return Not(absl::StrCat("the staged ", role, " is gone"));
    COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
    bool versioned = role == "root" || (consistent && role != "timestamp");
    std::string name = absl::StrCat(FileName(role), ".json");
    if (versioned) COAM_RETURN_IF_ERROR(store_.Save(absl::StrCat(doc.Version(), ".", name), *text));
    if (!versioned || role == "root") COAM_RETURN_IF_ERROR(store_.Save(name, *text));
    COAM_RETURN_IF_ERROR(store_.Save(CurrentName(role), *text));
  }
  for (const std::string& role : staged) {
    COAM_RETURN_IF_ERROR(Note(role, false));
    COAM_RETURN_IF_ERROR(store_.Remove(StagedName(role)));
  }
  return absl::OkStatus();
}

}  // namespace coaming::trust::tuf
