#include "libtrust/notary/editor.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libtrust/keys/x509.h"

namespace coaming::trust::notary {

using base::Fail;

namespace {

constexpr int64_t kDay = 86400, kYear = 365 * kDay, kNs = 1000000000;
constexpr int64_t kRootLife = 10 * kYear, kLife = 3 * kYear;
constexpr int64_t kNearExpiry = 182 * kDay;

void AddUnique(std::vector<std::string>* list, const std::string& item) {
  if (std::find(list->begin(), list->end(), item) == list->end()) list->push_back(item);
}

void Remove(std::vector<std::string>* list, const std::vector<std::string>& items) {
  std::erase_if(*list, [&](const std::string& s) {
    return std::find(items.begin(), items.end(), s) != items.end();
  });
}

// Drops the keys that no delegation of a role names any more.
void DropUnusedKeys(Metadata* m) {
  std::set<std::string> used;
  for (const Delegation& d : m->delegations)
    used.insert(d.keys.keyids.begin(), d.keys.keyids.end());
  std::erase_if(m->keys, [&](const auto& entry) { return !used.contains(entry.first); });
}

bool IsWildcard(std::string_view role) {
  return absl::EndsWith(role, "/*") &&
         (role == "targets/*" || IsDelegation(role.substr(0, role.size() - 2)));
}

absl::Status NoSuchRole(std::string_view role) {
  return Fail("notary.role") << "role " << role << ": no role that can be trusted delegates to it";
}

}  // namespace

absl::StatusOr<Key> MakeRootKey(const PrivateKey& key, std::string_view gun, int64_t now_s) {
  COAM_ASSIGN_OR_RETURN(std::string pem,
                        MakeSigningCertificate(key, gun, now_s, now_s + kRootLife));
  return KeyOfPem(pem);
}

Collection NewCollection(std::string_view gun, const NewKeys& keys) {
  Collection out;
  out.gun = gun;
  out.root = NewMetadata(kRoot);
  const auto give = [&](std::string_view role, const std::vector<Key>& list) {
    RoleKeys& r = out.root.roles[std::string(role)];
    for (const Key& key : list) {
      r.keyids.push_back(key.id);
      out.root.keys.emplace(key.id, key);
    }
  };
  give(kRoot, keys.root);
  give(kTargets, {keys.targets});
  give(kSnapshot, {keys.snapshot});
  give(kTimestamp, {keys.timestamp});
  out.targets.emplace(kTargets, NewMetadata(kTargets));
  out.snapshot = NewMetadata(kSnapshot);
  return out;
}

Editor::Editor(Collection collection, Keys& keys)
    : collection_(std::move(collection)), keys_(keys) {
  old_root_ = collection_.root.roles[std::string(kRoot)];
  old_root_keys_ = collection_.root.keys;
}

absl::Status Editor::Apply(const std::vector<Change>& changes) {
  for (const Change& change : changes) COAM_RETURN_IF_ERROR(ApplyOne(change));
  return absl::OkStatus();
}

absl::Status Editor::ApplyOne(const Change& change) {
  if (change.role == kRoot && change.type == "role" && change.action == "create") {
    COAM_ASSIGN_OR_RETURN(std::vector<Key> keys, ReadRoleChange(change.data));
    return ReplaceKeys(change.path, keys);
  }
  if (change.role != kTargets && !IsDelegation(change.role) && !IsWildcard(change.role))
    return Fail("notary.role") << "role " << change.role << " holds no targets";
  if (change.type == "target") return ChangeTarget(change);
  if (change.type == "delegation") return ChangeDelegation(change);
  if (change.type == "witness") return Witness(change.role);
  return Fail("notary.change") << "a change of type " << change.type << " is not known";
}

bool Editor::CanSign(const std::string& role) {
  RoleKeys ids;
  std::vector<Key> keys;
  if (!collection_.KeysOf(role, &ids, &keys)) return false;
  return std::any_of(keys.begin(), keys.end(),
                     [&](const Key& key) { return keys_.Has(CanonicalId(key)); });
}

absl::StatusOr<std::vector<std::string>> Editor::PathsOf(const std::string& role) const {
  if (role == kTargets) return std::vector<std::string>{""};
  if (!IsDelegation(role)) return NoSuchRole(role);
  const std::string parent(ParentRole(role));
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> above, PathsOf(parent));
  for (const Delegation& d : collection_.Children(parent, above))
    if (d.name == role) return d.paths;
  return NoSuchRole(role);
}

absl::StatusOr<Metadata*> Editor::Open(const std::string& role) {
  COAM_RETURN_IF_ERROR(PathsOf(role).status());
  if (!CanSign(role))
    return (Fail("notary.no_key") << "could not find signing keys for " << role)
        .Hint("import the private key of the role, or let one who has it publish");
  if (collection_.invalid.contains(role))
    return Fail("notary.role") << role
                               << " has too few signatures or has expired: witness it first";
  auto it = collection_.targets.find(role);
  if (it == collection_.targets.end())
    it = collection_.targets.emplace(role, NewMetadata(role)).first;
  return &it->second;
}

absl::Status Editor::ChangeTarget(const Change& change) {
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> paths, PathsOf(change.role));
  if (change.action == "create") {
    auto doc = base::json::ParseObject(change.data);
    COAM_RETURN_IF_ERROR(doc.status());
    COAM_ASSIGN_OR_RETURN(FileMeta meta, ReadFileMeta(*doc, change.path));
    if (change.path.empty() || !StartsWithAny(change.path, paths))
      return Fail("notary.role") << change.role << " may not name the target \"" << change.path
                                 << "\"";
    COAM_ASSIGN_OR_RETURN(Metadata * role, Open(change.role));
    role->targets.insert_or_assign(change.path, std::move(meta));
  } else if (change.action == "delete") {
    COAM_ASSIGN_OR_RETURN(Metadata * role, Open(change.role));
    if (role->targets.erase(change.path) == 0) return absl::OkStatus();
  } else {
    return Fail("notary.change") << "a target cannot be changed by " << change.action;
  }
  changed_.insert(change.role);
  return absl::OkStatus();
}

absl::Status Editor::ChangeDelegation(const Change& change) {
  DelegationChange what;
  if (change.action != "delete") {
    COAM_ASSIGN_OR_RETURN(what, ReadDelegationChange(change.data));
    if (IsWildcard(change.role)) return Purge(change, what.remove_keys);
  }
  const std::string parent(ParentRole(change.role));
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> allowed, PathsOf(parent));
  COAM_ASSIGN_OR_RETURN(Metadata * role, Open(parent));
  auto it = std::find_if(role->delegations.begin(), role->delegations.end(),
                         [&](const Delegation& d) { return d.name == change.role; });
  const bool exists = it != role->delegations.end();
  if (change.action == "delete") {
    if (!exists) return NoSuchRole(change.role);
    role->delegations.erase(it);
    const auto gone = [&](const auto& entry) {
      return entry.first == change.role ||
             absl::StartsWith(entry.first, absl::StrCat(change.role, "/"));
    };
    for (const auto& entry : collection_.targets)
      if (gone(entry)) removed_.insert(entry.first);
    removed_.insert(change.role);
    std::erase_if(collection_.targets, gone);
    std::erase_if(collection_.invalid, gone);
    std::erase_if(changed_, [&](const std::string& r) { return removed_.contains(r); });
  } else {
    if (!exists && (change.action != "create" || what.add_keys.empty()))
      return change.action != "create"
                 ? NoSuchRole(change.role)
                 : absl::Status(Fail("notary.role")
                                << change.role << ": a new role needs at least one key");
    for (const std::string& path : what.add_paths)
      if (!StartsWithAny(path, allowed))
        return Fail("notary.role")
               << change.role << ": " << parent << " itself may not name \"" << path << "\"";
    Delegation d;
    if (exists) d = *it;
    d.name = change.role;
    if (!exists) d.keys.threshold = std::max<int64_t>(what.threshold, 1);
    std::vector<std::string> drop;
    for (const std::string& id : d.keys.keyids)
      if (std::find(what.remove_keys.begin(), what.remove_keys.end(),
                    CanonicalId(role->keys.at(id))) != what.remove_keys.end())
        drop.push_back(id);
    Remove(&d.keys.keyids, drop);
    Remove(&d.paths, what.remove_paths);
    if (what.clear_paths) d.paths.clear();
    for (const std::string& path : what.add_paths) AddUnique(&d.paths, path);
    for (const Key& key : what.add_keys) {
      AddUnique(&d.keys.keyids, key.id);
      role->keys.insert_or_assign(key.id, key);
    }
    if (exists) {
      *it = std::move(d);
    } else {
      role->delegations.push_back(std::move(d));
    }
  }
  DropUnusedKeys(role);
  changed_.insert(parent);
  return absl::OkStatus();
}

absl::Status Editor::Purge(const Change& change, const std::vector<std::string>& ids) {
  const std::string start(ParentRole(change.role));
  for (auto& [name, role] : collection_.targets) {
    if (name != start && !absl::StartsWith(name, start + "/")) continue;
    std::vector<std::string> drop;
    for (const auto& [id, key] : role.keys)
      if (std::find(ids.begin(), ids.end(), CanonicalId(key)) != ids.end()) drop.push_back(id);
    // As the Go client: what cannot be signed here is left to those who can.
    if (drop.empty() || !CanSign(name)) continue;
    for (Delegation& d : role.delegations) Remove(&d.keys.keyids, drop);
    DropUnusedKeys(&role);
    changed_.insert(name);
  }
  return absl::OkStatus();
}

absl::Status Editor::Witness(const std::string& role) {
  COAM_RETURN_IF_ERROR(PathsOf(role).status());
  auto it = collection_.invalid.find(role);
  if (it == collection_.invalid.end() && !collection_.targets.contains(role))
    return Fail("notary.role") << role << ": nothing is signed for it that could be signed again";
  if (!CanSign(role)) return Fail("notary.no_key") << "could not find signing keys for " << role;
  if (it != collection_.invalid.end()) {
    collection_.targets.insert_or_assign(role, std::move(it->second));
    collection_.invalid.erase(it);
  }
  changed_.insert(role);
  return absl::OkStatus();
}

absl::Status Editor::ReplaceKeys(const std::string& role, const std::vector<Key>& keys) {
  if (!IsBaseRole(role) || keys.empty())
    return Fail("notary.role") << "the keys of " << role << " cannot be replaced";
  RoleKeys& ids = collection_.root.roles[role];
  ids.keyids.clear();
  for (const Key& key : keys) {
    AddUnique(&ids.keyids, key.id);
    collection_.root.keys.insert_or_assign(key.id, key);
  }
  std::set<std::string> used;
  for (const auto& [name, r] : collection_.root.roles)
    used.insert(r.keyids.begin(), r.keyids.end());
  std::erase_if(collection_.root.keys, [&](const auto& e) { return !used.contains(e.first); });
  changed_.insert(std::string(kRoot));
  // What the old key signed no longer counts.
  if (role == kTargets) changed_.insert(role);
  return absl::OkStatus();
}

absl::Status Editor::SignBy(Metadata* metadata, const std::vector<Key>& keys,
                            const RoleKeys& role) {
  std::map<std::string, Key> by_id;
  for (const Key& key : keys) {
    by_id.emplace(key.id, key);
    if (std::any_of(metadata->signatures.begin(), metadata->signatures.end(),
                    [&](const Signature& s) { return s.keyid == key.id; }))
      continue;
    const std::string id = CanonicalId(key);
    if (!keys_.Has(id)) continue;
    COAM_ASSIGN_OR_RETURN(PrivateKey secret, keys_.Get(id));
    COAM_ASSIGN_OR_RETURN(Signature made, trust::notary::Sign(secret, key, metadata->canonical));
    metadata->signatures.push_back(std::move(made));
  }
  if (CheckSignatures(by_id, role, *metadata).ok()) return absl::OkStatus();
  return (Fail("notary.no_key") << "could not find signing keys for " << metadata->role << ": want "
                                << role.threshold)
      .Hint("import the private key of the role, or let one who has it publish");
}

absl::Status Editor::SignRole(Metadata* metadata, int64_t now_ns, int64_t life_s) {
  RoleKeys role;
  std::vector<Key> keys;
  if (!collection_.KeysOf(metadata->role, &role, &keys)) return NoSuchRole(metadata->role);
  metadata->version += 1;
  metadata->expires_ns = now_ns + life_s * kNs;
  COAM_RETURN_IF_ERROR(Render(metadata));
  COAM_RETURN_IF_ERROR(SignBy(metadata, keys, role));
  Serialize(metadata);
  return absl::OkStatus();
}

absl::Status Editor::SignRoot(int64_t now_ns) {
  Metadata& root = collection_.root;
  COAM_RETURN_IF_ERROR(SignRole(&root, now_ns, kRootLife));
  if (root.version == 1 || root.roles[std::string(kRoot)] == old_root_) return absl::OkStatus();
  std::vector<Key> old;
  for (const std::string& id : old_root_.keyids) old.push_back(old_root_keys_.at(id));
  COAM_RETURN_IF_ERROR(
      base::Wrap(SignBy(&root, old, old_root_), "the root that is to be followed"));
  Serialize(&root);
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string>> Editor::Sign(int64_t now_ns, bool first) {
  std::map<std::string, std::string> files;
  Metadata& root = collection_.root;
  const std::string root_name(kRoot);
  const bool renew = changed_.contains(root_name) ||
                     (root.expires_ns < now_ns + kNearExpiry * kNs && CanSign(root_name));
  if (renew) COAM_RETURN_IF_ERROR(SignRoot(now_ns));
  if (renew || first) files[root_name] = root.bytes;
  for (auto& [name, metadata] : collection_.targets) {
    if (!changed_.contains(name) && !(first && name == kTargets)) continue;
    COAM_RETURN_IF_ERROR(SignRole(&metadata, now_ns, kLife));
    files[name] = metadata.bytes;
  }
  if (!CanSign(std::string(kSnapshot))) return files;
  Metadata& snapshot = *collection_.snapshot;
  for (const std::string& name : removed_) snapshot.meta.erase(name);
  for (const auto& [name, bytes] : files) snapshot.meta[name] = MetaOf(bytes);
  COAM_RETURN_IF_ERROR(SignRole(&snapshot, now_ns, kLife));
  files[std::string(kSnapshot)] = snapshot.bytes;
  return files;
}

}  // namespace coaming::trust::notary
