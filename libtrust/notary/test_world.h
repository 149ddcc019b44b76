// A notary-server in memory for tests: it serves what was published, and lies on request.
#ifndef COAMING_LIBTRUST_NOTARY_TEST_WORLD_H_
#define COAMING_LIBTRUST_NOTARY_TEST_WORLD_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_testing.h"
#include "libtrust/notary/editor.h"
#include "libtrust/notary/updater.h"

namespace coaming::trust::notary {

class TestKeys final : public Keys {
 public:
  bool Has(const std::string& id) override { return keys.contains(id); }
  absl::StatusOr<PrivateKey> Get(const std::string& id) override {
    auto it = keys.find(id);
    if (it == keys.end()) return base::Fail("notary.no_key") << id;
    return it->second.Clone();
  }
  Key Make(KeyType type = KeyType::kEcdsaP256) {
    PrivateKey key = *PrivateKey::Generate(type, 2048);
    Key out = KeyOf(key.public_key());
    keys.emplace(out.id, std::move(key));
    return out;
  }
  std::map<std::string, PrivateKey> keys;
};

class MemoryCache final : public Cache {
 public:
  absl::StatusOr<std::optional<std::string>> Load(const std::string& role) override {
    auto it = files.find(role);
    if (it == files.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  absl::Status Save(const std::string& role, std::string_view bytes) override {
    files[role] = bytes;
    return absl::OkStatus();
  }
  std::map<std::string, std::string> files;
};

// A repository with its keys; Publish makes snapshot and timestamp as the server would.
class World final : public Remote {
 public:
  explicit World(std::string_view name = "registry.example/app") : gun(name) {
    NewKeys made;
    root_key = keys.Make();
    made.root = {*MakeRootKey(*keys.Get(root_key.id), gun, NowNs() / 1000000000)};
    made.targets = targets_key = keys.Make();
    made.snapshot = snapshot_key = keys.Make();
    made.timestamp = timestamp_key = keys.Make();
    Publish(NewCollection(gun, made), {}, true);
  }

  int64_t NowNs() const { return clock.RealtimeNs(); }
  base::Op Op() {
    base::Op op;
    op.set_clock(&clock).set_notes(&notes);
    return op;
  }

  absl::StatusOr<std::string> Get(const std::string& name, int64_t max, const base::Op&) override {
    asked.push_back(name);
    auto it = files.find(name);
    if (it == files.end()) return base::Fail("http.not_found") << name;
    if (static_cast<int64_t>(it->second.size()) > max)
      return base::FailLimit("tuf_metadata_bytes", max) << name;
    return it->second;
  }

  void Serve(const std::string& role, const std::string& bytes) {
    files[role] = bytes;
    files[absl::StrCat(role, ".", base::Sha256(bytes).encoded())] = bytes;
    if (role == kRoot)
      if (auto m = ParseMetadata(bytes, kRoot); m.ok())
        files[absl::StrCat(m->version, ".root")] = bytes;
  }

  // Edits what is served now and serves the result.
  void Change(const std::vector<notary::Change>& changes) { Publish(Now(), changes, false); }
  void Publish(Collection from, const std::vector<notary::Change>& changes, bool first) {
    Editor editor(std::move(from), keys);
    REQUIRE_OK(editor.Apply(changes));
    auto made = REQUIRE_VALUE(editor.Sign(NowNs(), first));
    for (const auto& [role, bytes] : made) Serve(role, bytes);
    Stamp(made.at(std::string(kSnapshot)));
  }
  // A timestamp for a snapshot, of the next version unless one is given.
  void Stamp(const std::string& snapshot, int64_t version = 0, int64_t life_s = 14 * 86400) {
    Metadata t = NewMetadata(kTimestamp);
    t.version = version != 0 ? version : ++timestamp_version;
    t.expires_ns = NowNs() + life_s * 1000000000;
    t.meta[std::string(kSnapshot)] = MetaOf(snapshot);
    SignWith(&t, {timestamp_key});
    Serve("timestamp", t.bytes);
  }
  // What a client with an empty cache and these pins trusts.
  Collection Now() {
    MemoryCache cache;
    Updater updater(*this, cache, {.gun = gun, .server = "test"});
    return REQUIRE_VALUE(updater.Update(Op()));
  }
  absl::StatusOr<Collection> Update(MemoryCache& cache, Pins pins = {}) {
    Updater updater(*this, cache, {.gun = gun, .pins = std::move(pins), .server = "test"});
    return updater.Update(Op());
  }
  void SignWith(Metadata* m, const std::vector<Key>& by) {
    REQUIRE_OK(Render(m));
    for (const Key& key : by)
      m->signatures.push_back(REQUIRE_VALUE(Sign(*keys.Get(CanonicalId(key)), key, m->canonical)));
    Serialize(m);
  }
  // Serves a changed role with snapshot and timestamp that fit, all signed by the keys given or, for
  // those not given, by the right ones.
  void Forge(Metadata m, const std::vector<Key>& by) {
    SignWith(&m, by);
    Serve(m.role, m.bytes);
    Collection now = kept ? *kept : Now();
    Metadata snapshot = *now.snapshot;
    snapshot.version += 1;
    snapshot.meta[m.role] = MetaOf(m.bytes);
    SignWith(&snapshot, {snapshot_key});
    Serve("snapshot", snapshot.bytes);
    Stamp(snapshot.bytes);
  }

  std::string gun;
  base::testing::FakeClock clock;
  base::Notes notes;
  TestKeys keys;
  Key root_key, targets_key, snapshot_key, timestamp_key;
  int64_t timestamp_version = 0;
  std::map<std::string, std::string> files;
  std::vector<std::string> asked;
  std::optional<Collection> kept;
};

inline notary::Change AddBytes(std::string_view role, std::string_view name,
                               std::string_view bytes) {
  return AddTarget(role, name, MetaOf(bytes));
}

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_TEST_WORLD_H_
