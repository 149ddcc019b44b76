#include "libtrust/notary/collection.h"

#include <algorithm>
#include <deque>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/clock.h"
#include "base/digest/digest.h"
#include "base/json/json.h"

namespace coaming::trust::notary {

namespace json = base::json;

namespace {

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool IsWithin(std::string_view role, std::string_view start) {
  return start.empty() || role == start || absl::StartsWith(role, absl::StrCat(start, "/"));
}

json::Value NamedToJson(const Named& t) {
  json::Value out = json::Value::MakeObject();
  out.Set("name", t.name);
  out.Set("role", t.role);
  out.Set("length", t.meta.length);
  json::Value hashes = json::Value::MakeObject();
  for (const auto& [name, hash] : t.meta.hashes) hashes.Set(name, base::HexEncode(hash));
  if (auto it = t.meta.hashes.find("sha256"); it != t.meta.hashes.end())
    out.Set("digest", absl::StrCat("sha256:", base::HexEncode(it->second)));
  out.Set("hashes", std::move(hashes));
  if (t.meta.custom) out.Set("custom", *t.meta.custom);
  return out;
}

}  // namespace

bool StartsWithAny(std::string_view name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return absl::StartsWith(name, p); });
}

std::vector<Delegation> Collection::Children(std::string_view role,
                                             const std::vector<std::string>& allowed) const {
  std::vector<Delegation> out;
  auto it = targets.find(std::string(role));
  if (it == targets.end()) return out;
  for (const Delegation& d : it->second.delegations) {
    out.push_back(d);
    std::erase_if(out.back().paths,
                  [&](const std::string& p) { return !StartsWithAny(p, allowed); });
  }
  return out;
}

const Delegation* Collection::FindDelegation(std::string_view role) const {
  auto parent = targets.find(std::string(ParentRole(role)));
  if (parent == targets.end()) return nullptr;
  for (const Delegation& d : parent->second.delegations)
    if (d.name == role) return &d;
  return nullptr;
}

bool Collection::KeysOf(std::string_view role, RoleKeys* role_keys, std::vector<Key>* keys) const {
  const std::map<std::string, Key>* from = nullptr;
  if (auto it = root.roles.find(std::string(role)); IsBaseRole(role) && it != root.roles.end()) {
    *role_keys = it->second;
    from = &root.keys;
  } else if (const Delegation* d = FindDelegation(role)) {
    *role_keys = d->keys;
    from = &targets.at(std::string(ParentRole(role))).keys;
  } else {
    return false;
  }
  keys->clear();
  for (const std::string& id : role_keys->keyids) keys->push_back(from->at(id));
  return true;
}

void Collection::Walk(std::string_view target, std::string_view start,
                      const std::vector<std::string>& skip,
                      const std::function<bool(const Metadata&, const Delegation&)>& visit) const {
  Delegation top;
  top.name = kTargets;
  top.keys = root.roles.at(std::string(kTargets));
  top.paths = {""};
  std::deque<Delegation> queue{std::move(top)};
  while (!queue.empty()) {
    const Delegation role = std::move(queue.front());
    queue.pop_front();
    auto it = targets.find(role.name);
    if (it == targets.end()) continue;
    const bool above = absl::StartsWith(start, role.name + "/");
    if (!above) {
      if (!target.empty() && !StartsWithAny(target, role.paths)) continue;
      if (!IsWithin(role.name, start) || Contains(skip, role.name)) continue;
      if (!visit(it->second, role)) return;
    }
    for (Delegation& child : Children(role.name, role.paths)) queue.push_back(std::move(child));
  }
}

std::vector<Named> Collection::List(const std::vector<std::string>& roles, bool only_named) const {
  const std::vector<std::string> order =
      roles.empty() ? std::vector<std::string>{std::string(kTargets)} : roles;
  std::vector<Named> out;
  std::set<std::string> seen;
  for (const std::string& start : order) {
    std::vector<std::string> skip = order;
    std::erase(skip, start);
    Walk("", start, skip, [&](const Metadata& m, const Delegation& role) {
      for (const auto& [name, meta] : m.targets)
        if (StartsWithAny(name, role.paths) && seen.insert(name).second)
          out.push_back({name, role.name, meta});
      return true;
    });
  }
  if (only_named) std::erase_if(out, [&](const Named& t) { return !Contains(order, t.role); });
  std::sort(out.begin(), out.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
  return out;
}

std::optional<Named> Collection::Find(std::string_view name, const std::vector<std::string>& roles,
                                      bool only_named) const {
  const std::vector<std::string> order =
      roles.empty() ? std::vector<std::string>{std::string(kTargets)} : roles;
  std::optional<Named> out;
  for (const std::string& start : order) {
    std::vector<std::string> skip = order;
    std::erase(skip, start);
    Walk(name, start, skip, [&](const Metadata& m, const Delegation& role) {
      if (auto it = m.targets.find(std::string(name)); it != m.targets.end())
        out = Named{it->first, role.name, it->second};
      return !out;
    });
    if (out) break;
  }
  if (out && only_named && !Contains(order, out->role)) out.reset();
  return out;
}

std::vector<Named> Collection::FindAll(std::string_view name) const {
  std::vector<Named> out;
  Walk(name, "", {}, [&](const Metadata& m, const Delegation& role) {
    for (const auto& [target, meta] : m.targets)
      if ((name.empty() || name == target) && StartsWithAny(target, role.paths))
        out.push_back({target, role.name, meta});
    return true;
  });
  return out;
}

std::string TargetToJson(const Named& target) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.target.v1");
  const json::Value fields = NamedToJson(target);
  for (const json::Member& m : fields.members()) out.Set(m.key, m.value);
  return json::Write(out);
}

std::string TargetsToJson(const Collection& collection, const std::vector<Named>& targets) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.targets.v1");
  out.Set("gun", collection.gun);
  json::Value& list = out.Set("targets", json::Value::MakeArray());
  for (const Named& t : targets) list.Push(NamedToJson(t));
  return json::Write(out);
}

std::string StateToJson(const Collection& collection) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.state.v1");
  out.Set("gun", collection.gun);
  json::Value list = json::Value::MakeArray();
  const auto add = [&](std::string_view name, const Metadata* m, const Delegation* delegation) {
    RoleKeys role;
    std::vector<Key> keys;
    if (!collection.KeysOf(name, &role, &keys)) return;
    json::Value& one = list.Push(json::Value::MakeObject());
    one.Set("role", name);
    if (m != nullptr) {
      one.Set("version", m->version);
      one.Set("expires", base::FormatRfc3339(m->expires_ns));
    }
    one.Set("threshold", role.threshold);
    json::Value ids = json::Value::MakeArray(), by = json::Value::MakeArray();
    for (const Key& key : keys) {
      json::Value k = json::Value::MakeObject();
      k.Set("id", CanonicalId(key));
      k.Set("keyId", key.id);
      k.Set("type", key.type);
      ids.Push(std::move(k));
      if (m == nullptr) continue;
      for (const Signature& s : m->signatures)
        if (s.keyid == key.id && VerifySignature(key, s.method, s.value, m->canonical)) {
          by.Push(CanonicalId(key));
          break;
        }
    }
    one.Set("keys", std::move(ids));
    one.Set("signedBy", std::move(by));
    if (delegation != nullptr) one.Set("paths", delegation->paths);
    one.Set("valid", m != nullptr && !collection.invalid.contains(std::string(name)));
  };
  add(kRoot, &collection.root, nullptr);
  const auto targets = collection.targets.find(std::string(kTargets));
  add(kTargets, targets == collection.targets.end() ? nullptr : &targets->second, nullptr);
  add(kSnapshot, collection.snapshot ? &*collection.snapshot : nullptr, nullptr);
  add(kTimestamp, collection.timestamp ? &*collection.timestamp : nullptr, nullptr);
  for (const auto& [name, metadata] : collection.targets) {
    for (const Delegation& d : metadata.delegations) {
      const auto valid = collection.targets.find(d.name);
      const auto invalid = collection.invalid.find(d.name);
      add(d.name,
          valid != collection.targets.end()     ? &valid->second
          : invalid != collection.invalid.end() ? &invalid->second
                                                : nullptr,
          &d);
    }
  }
  out.Set("roles", std::move(list));
  return json::Write(out);
}

std::string SignedRolesToJson(std::string_view gun, std::string_view name,
                              const std::vector<std::string>& roles) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.roles.v1");
  out.Set("gun", gun);
  out.Set("name", name);
  out.Set("roles", roles);
  return json::Write(out);
}

}  // namespace coaming::trust::notary
