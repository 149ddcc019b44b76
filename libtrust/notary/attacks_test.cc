// What hostile servers, mirrors and signers try with Notary's metadata, and what becomes of it.
#include <string>

#include "catch2/catch_test_macros.hpp"
#include "libtrust/notary/test_world.h"

namespace coaming::trust::notary {
namespace {

using base::testing::ValueOf;

constexpr int64_t kDayNs = int64_t{86400} * 1000000000;

Change Delegate(std::string_view role, std::vector<Key> keys, std::vector<std::string> paths) {
  DelegationChange d;
  d.threshold = 1;
  d.add_keys = std::move(keys);
  d.add_paths = std::move(paths);
  return {"create", std::string(role), "delegation", "", WriteDelegationChange(d)};
}

// A client that has seen version after version, and a server that then changes what it serves.
struct Scene {
  Scene() {
    w.Change({AddBytes("targets", "v1", "one")});
    early = w.files;
    w.Change({AddBytes("targets", "v2", "two")});
    REQUIRE_OK(w.Update(cache));
    w.kept = w.Now();
  }
  World w;
  MemoryCache cache;
  std::map<std::string, std::string> early;
};

TEST_CASE("notary attack: a whole older state is a rollback", "[libtrust][notary]") {
  Scene s;
  s.w.files = s.early;
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.rollback");
  MemoryCache empty;
  REQUIRE_OK(s.w.Update(empty));  // who never saw the newer one cannot know
}

TEST_CASE("notary attack: an older snapshot or targets under a newer timestamp is a rollback",
          "[libtrust][notary]") {
  Scene s;
  s.w.Serve("snapshot", s.early.at("snapshot"));
  s.w.Stamp(s.early.at("snapshot"));
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.rollback");
  // The snapshot key can name an older targets file, but not to one who saw the newer.
  Metadata old = REQUIRE_VALUE(ParseMetadata(s.early.at("targets"), kTargets));
  Metadata snapshot = *s.w.kept->snapshot;
  snapshot.version += 1;
  snapshot.meta["targets"] = MetaOf(old.bytes);
  s.w.SignWith(&snapshot, {s.w.snapshot_key});
  s.w.Serve("snapshot", snapshot.bytes);
  s.w.Stamp(snapshot.bytes);
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.rollback");
}

TEST_CASE("notary attack: a timestamp held back freezes nobody for longer than it is valid",
          "[libtrust][notary]") {
  Scene s;
  s.w.clock.AdvanceNs(13 * kDayNs);
  REQUIRE_OK(s.w.Update(s.cache));
  s.w.clock.AdvanceNs(2 * kDayNs);
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.expired");
}

TEST_CASE("notary attack: each role that has expired is refused", "[libtrust][notary]") {
  for (std::string_view role : {kRoot, kTargets, kSnapshot}) {
    INFO(role);
    Scene s;
    s.w.clock.AdvanceNs((role == kRoot ? 10 * 365 + 1 : 3 * 365 + 1) * kDayNs);
    // All but this role are fresh.
    Collection now = *s.w.kept;
    const int64_t later = s.w.NowNs() + 30 * kDayNs;
    if (role != kTargets) {
      Metadata& t = now.targets.at("targets");
      t.expires_ns = later;
      t.version += 1;
      s.w.SignWith(&t, {s.w.targets_key});
      s.w.Serve("targets", t.bytes);
    }
    now.snapshot->meta["targets"] = MetaOf(now.targets.at("targets").bytes);
    if (role != kSnapshot) now.snapshot->expires_ns = later;
    now.snapshot->version += 1;
    s.w.SignWith(&*now.snapshot, {s.w.snapshot_key});
    s.w.Serve("snapshot", now.snapshot->bytes);
    s.w.Stamp(now.snapshot->bytes);
    const std::string reason = base::ReasonOf(s.w.Update(s.cache).status());
    // A root that expired takes its certificate with it.
    CHECK((reason == "tuf.expired" || (role == kRoot && reason == "notary.root")));
  }
}

TEST_CASE("notary attack: a repository is none under another name", "[libtrust][notary]") {
  World w("registry.example/app");
  w.gun = "registry.example/bank";
  MemoryCache cache;
  REQUIRE_REASON(w.Update(cache), "notary.root");
  w.gun = "registry.example/app/more";
  REQUIRE_REASON(w.Update(cache), "notary.root");
  // A certificate for a prefix speaks for what is beneath it, and only that.
  CHECK(MatchesName("registry.example/*", "registry.example/app"));
  CHECK_FALSE(MatchesName("registry.example/*", "registry.examples/app"));
  CHECK_FALSE(MatchesName("registry.example/app", "registry.example/app2"));
  CHECK_FALSE(MatchesName("", "registry.example/app"));
}

TEST_CASE("notary attack: roles of one repository are nothing in another", "[libtrust][notary]") {
  World victim("registry.example/app"), other("registry.example/app");
  other.Change({AddBytes("targets", "v1", "evil")});
  MemoryCache cache;
  REQUIRE_OK(victim.Update(cache));
  const Collection good = victim.Now();
  const std::map<std::string, std::string> files = victim.files;
  for (const char* role : {"timestamp", "snapshot", "targets"}) {
    INFO(role);
    victim.files = files;
    victim.Serve(role, other.files.at(role));
    if (std::string_view(role) == "snapshot") victim.Stamp(other.files.at("snapshot"));
    if (std::string_view(role) == "targets") {
      Collection now = good;
      now.snapshot->meta["targets"] = MetaOf(other.files.at("targets"));
      now.snapshot->version += 1;
      victim.SignWith(&*now.snapshot, {victim.snapshot_key});
      victim.Serve("snapshot", now.snapshot->bytes);
      victim.Stamp(now.snapshot->bytes);
    }
    REQUIRE_REASON(victim.Update(cache), "tuf.threshold");
  }
}

TEST_CASE("notary attack: a key under another key's id is refused", "[libtrust][notary]") {
  World w;
  const Key evil = w.keys.Make();
  Metadata root = w.Now().root;
  Key swapped = evil;
  swapped.id = w.targets_key.id;
  root.keys.at(w.targets_key.id) = swapped;
  const std::string id = root.roles.at("root").keyids.at(0);
  w.SignWith(&root, {root.keys.at(id)});
  REQUIRE_REASON(ParseMetadata(root.bytes, kRoot), "tuf.invalid");
  // Two ids for one key do not make two signatures.
  PrivateKey secret = *w.keys.Get(w.targets_key.id);
  const Key certified = REQUIRE_VALUE(MakeRootKey(secret, w.gun, w.NowNs() / 1000000000));
  Metadata t = NewMetadata(kTargets);
  t.version = 1;
  t.expires_ns = w.NowNs() + kDayNs;
  w.SignWith(&t, {w.targets_key, certified});
  const std::map<std::string, Key> keys = {{w.targets_key.id, w.targets_key},
                                           {certified.id, certified}};
  REQUIRE_OK(CheckSignatures(keys, {{w.targets_key.id, certified.id}, 1}, t));
  REQUIRE_REASON(CheckSignatures(keys, {{w.targets_key.id, certified.id}, 2}, t), "tuf.threshold");
  // Nor does one signature twice, nor one by a key that the role does not name, nor threshold 0.
  t.signatures.push_back(t.signatures[0]);
  REQUIRE_REASON(CheckSignatures(keys, {{w.targets_key.id}, 2}, t), "tuf.threshold");
  REQUIRE_REASON(CheckSignatures(keys, {{evil.id}, 1}, t), "tuf.threshold");
  REQUIRE_REASON(CheckSignatures(keys, {{w.targets_key.id}, 0}, t), "tuf.threshold");
}

TEST_CASE("notary attack: a delegation does not reach beyond its paths or its branch",
          "[libtrust][notary]") {
  World w;
  const Key a = w.keys.Make(), b = w.keys.Make();
  w.Change({Delegate("targets/qa", {a}, {"qa/"})});
  w.Change({AddBytes("targets/qa", "qa/1", "one")});
  w.kept = w.Now();
  // The signer writes what it may not: another prefix, and a delegation with wider paths.
  Metadata over = w.kept->targets.at("targets/qa");
  over.version += 1;
  over.targets["prod/1"] = MetaOf("evil");
  Delegation wide;
  wide.name = "targets/qa/wide";
  wide.keys = {{b.id}, 1};
  wide.paths = {"", "prod/", "qa/w"};
  over.keys.emplace(b.id, b);
  over.delegations.push_back(wide);
  w.Forge(over, {a});
  MemoryCache cache;
  Collection now = REQUIRE_VALUE(w.Update(cache));
  CHECK(now.Find("qa/1", {}));
  CHECK_FALSE(now.Find("prod/1", {}));
  CHECK(now.List({}).size() == 1);
  CHECK(now.Children("targets/qa", {"qa/"})[0].paths == std::vector<std::string>{"qa/w"});
  // Beside its branch: the whole file is refused.
  for (const char* name : {"targets/other", "targets/qa/a/b", "targets/qaq/x", "root"}) {
    INFO(name);
    Metadata beside = over;
    beside.delegations[0].name = name;
    w.SignWith(&beside, {a});
    REQUIRE_REASON(ParseMetadata(beside.bytes, "targets/qa"), "tuf.invalid");
  }
}

TEST_CASE("notary attack: an older delegated role under a newer snapshot is a rollback",
          "[libtrust][notary]") {
  World w;
  const Key a = w.keys.Make();
  w.Change({Delegate("targets/qa", {a}, {""})});
  w.Change({AddBytes("targets/qa", "v1", "one")});
  Metadata old = w.Now().targets.at("targets/qa");
  w.Change({AddBytes("targets/qa", "v1", "two")});
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  w.Forge(old, {a});
  REQUIRE_REASON(w.Update(cache), "tuf.rollback");
  // Nor does one count that the delegation's key did not sign.
  Metadata forged = old;
  forged.version = 9;
  forged.targets["v1"] = MetaOf("evil");
  w.Forge(forged, {w.targets_key});
  CHECK_FALSE(REQUIRE_VALUE(w.Update(cache)).Find("v1", {}));
}

TEST_CASE("notary attack: a mixed-up timestamp, snapshot or targets does not fit",
          "[libtrust][notary]") {
  Scene s;
  // A timestamp for one snapshot, and another served under its hash.
  const std::string right = s.w.files.at("snapshot");
  const std::string hash = absl::StrCat("snapshot.", base::Sha256(right).encoded());
  s.w.files[hash] = s.early.at("snapshot");
  MemoryCache empty;
  REQUIRE_REASON(s.w.Update(empty), "tuf.mismatch");
  s.w.files[hash] = right + " ";
  REQUIRE_REASON(s.w.Update(empty), "tuf.mismatch");
  s.w.files[hash] = right;
  REQUIRE_OK(s.w.Update(empty));
  // A timestamp signed by the snapshot key is none.
  Metadata t = REQUIRE_VALUE(ParseMetadata(s.w.files.at("timestamp"), kTimestamp));
  t.version += 1;
  s.w.SignWith(&t, {s.w.snapshot_key});
  s.w.Serve("timestamp", t.bytes);
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.threshold");
  // A snapshot that goes with another root.
  Collection now = *s.w.kept;
  now.snapshot->version += 1;
  now.snapshot->meta["root"] = MetaOf("another root");
  s.w.SignWith(&*now.snapshot, {s.w.snapshot_key});
  s.w.Serve("snapshot", now.snapshot->bytes);
  s.w.Stamp(now.snapshot->bytes);
  REQUIRE_REASON(s.w.Update(s.cache), "tuf.mismatch");
}

TEST_CASE("notary attack: a new root without the old key is refused, and so are later roots",
          "[libtrust][notary]") {
  World w, thief(w.gun);
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  const std::map<std::string, std::string> files = w.files;
  const std::string kept = cache.files.at("root");
  w.files = thief.files;
  REQUIRE_REASON(w.Update(cache), "notary.root");
  CHECK(cache.files.at("root") == kept);
  // The thief's second root follows the thief's first, not ours.
  const Key root = thief.keys.Make();
  const Key certified =
      REQUIRE_VALUE(MakeRootKey(*thief.keys.Get(root.id), w.gun, w.NowNs() / 1000000000));
  thief.Change({{"create", "root", "role", "root", WriteRoleChange("root", {certified})}});
  w.files = thief.files;
  REQUIRE_REASON(w.Update(cache), "notary.root");
  // Nor does an older root of our own do.
  w.files = files;
  const std::string first = w.files.at("root");
  const Key next = w.keys.Make();
  w.Change({{"create", "root", "role", "targets", WriteRoleChange("targets", {next})}});
  REQUIRE_OK(w.Update(cache));
  w.files["root"] = first;
  w.files.erase("timestamp");
  w.clock.AdvanceNs(20 * kDayNs);
  CHECK_FALSE(w.Update(cache).ok());
}

TEST_CASE("notary attack: a root whose certificate is no signer's, or none", "[libtrust][notary]") {
  World w;
  const Metadata good = w.Now().root;
  Metadata bare = good;
  // A bare key instead of a certificate.
  bare.keys.emplace(w.root_key.id, w.root_key);
  bare.roles["root"] = {{w.root_key.id}, 1};
  w.SignWith(&bare, {w.root_key});
  REQUIRE_REASON(CheckRoot(nullptr, bare, w.gun, {}, w.NowNs() / 1000000000), "notary.root");
  // A certificate that is not valid yet, or no more.
  const int64_t now_s = w.NowNs() / 1000000000;
  REQUIRE_OK(CheckRoot(nullptr, good, w.gun, {}, now_s));
  REQUIRE_REASON(CheckRoot(nullptr, good, w.gun, {}, now_s - 2 * 86400), "notary.root");
  REQUIRE_REASON(CheckRoot(nullptr, good, w.gun, {}, now_s + int64_t{11} * 365 * 86400),
                 "notary.root");
}

TEST_CASE("notary attack: endless data end at what is signed", "[libtrust][notary]") {
  Scene s;
  const std::string hash =
      absl::StrCat("targets.", base::Sha256(s.w.files.at("targets")).encoded());
  s.w.files[hash] = s.w.files.at("targets") + std::string(1 << 20, ' ');
  MemoryCache empty;
  REQUIRE_REASON(s.w.Update(empty), "tuf.mismatch");
  // A length is a cap, beside the hashes.
  FileMeta meta = MetaOf("twelve bytes");
  REQUIRE_OK(CheckHashes("twelve bytes", meta, "x"));
  meta.length = 13;
  REQUIRE_OK(CheckHashes("twelve bytes", meta, "x"));
  meta.length = 11;
  REQUIRE_REASON(CheckHashes("twelve bytes", meta, "x"), "tuf.mismatch");
  // All known hashes count, and one must be known.
  meta.length = 12;
  meta.hashes["sha512"] = std::string(64, 'x');
  REQUIRE_REASON(CheckHashes("twelve bytes", meta, "x"), "tuf.mismatch");
  meta.hashes = {{"sha3-256", "x"}};
  REQUIRE_REASON(CheckHashes("twelve bytes", meta, "x"), "tuf.mismatch");
}

TEST_CASE("notary attack: a version driven to the end is undone by new keys",
          "[libtrust][notary]") {
  Scene s;
  Metadata t = REQUIRE_VALUE(ParseMetadata(s.w.files.at("timestamp"), kTimestamp));
  t.version = 1000000;
  s.w.SignWith(&t, {s.w.timestamp_key});
  s.w.Serve("timestamp", t.bytes);
  REQUIRE_OK(s.w.Update(s.cache));
  // The owner takes a new timestamp key and goes on from a low version.
  const Key next = s.w.keys.Make();
  s.w.timestamp_key = next;
  s.w.Publish(*s.w.kept,
              {{"create", "root", "role", "timestamp", WriteRoleChange("timestamp", {next})}},
              false);
  REQUIRE_OK(s.w.Update(s.cache));
}

TEST_CASE("notary attack: malformed metadata of every kind is one refusal", "[libtrust][notary]") {
  World w;
  const std::string root = w.files.at("root");
  for (const char* bad :
       {"", "null", "[]", "{}", R"({"signed":null})", R"({"signed":{"_type":"root"}})",
        R"({"signed":{"_type":"Root","version":1.5,"expires":"2036-01-01T00:00:00Z"}})",
        R"({"signed":{"_type":"Root","version":0,"expires":"2036-01-01T00:00:00Z"}})",
        R"({"signed":{"_type":"Root","version":1,"expires":"never"}})",
        R"({"signed":{"_type":"Root","version":1,"expires":"2036-01-01T00:00:00Z","roles":{}}})",
        R"({"signed":{"_type":"Root","_type":"Root"}})"}) {
    INFO(bad);
    REQUIRE_REASON(ParseMetadata(bad, kRoot), "tuf.invalid");
  }
  REQUIRE_REASON(ParseMetadata(root, kTargets), "tuf.invalid");
  // Go's times have fractions and offsets.
  REQUIRE_OK(ParseMetadata(
      R"({"signed":{"_type":"Targets","version":1,"expires":"2036-01-01T00:00:00.123+02:00"}})",
      kTargets));
}

}  // namespace
}  // namespace coaming::trust::notary
