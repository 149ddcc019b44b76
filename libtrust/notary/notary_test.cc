// Reading, signing and following Notary's metadata: what must work.
#include <string>

#include "catch2/catch_test_macros.hpp"
#include "libtrust/keys/x509.h"
#include "libtrust/notary/key_file.h"
#include "libtrust/notary/test_world.h"

namespace coaming::trust::notary {
namespace {

using base::testing::ValueOf;

std::vector<std::string> Names(const std::vector<Named>& targets) {
  std::vector<std::string> out;
  for (const Named& t : targets) out.push_back(t.name + "@" + t.role);
  return out;
}

Change Delegate(std::string_view role, std::vector<Key> keys, std::vector<std::string> paths) {
  DelegationChange d;
  d.threshold = 1;
  d.add_keys = std::move(keys);
  d.add_paths = std::move(paths);
  return {"create", std::string(role), "delegation", "", WriteDelegationChange(d)};
}

TEST_CASE("notary: a repository is begun, extended and followed", "[libtrust][notary]") {
  World w;
  MemoryCache cache;
  CHECK(REQUIRE_VALUE(w.Update(cache)).List({}).empty());
  w.Change({AddBytes("targets", "v1", "one"), AddBytes("targets", "v2", "two")});
  Collection now = REQUIRE_VALUE(w.Update(cache));
  CHECK(Names(now.List({})) == std::vector<std::string>{"v1@targets", "v2@targets"});
  CHECK(now.Find("v1", {})->meta.hashes.at("sha256") == base::Sha256("one").Bytes());
  CHECK_FALSE(now.Find("v3", {}));
  CHECK(cache.files.size() == 4);
  w.Change({{"delete", "targets", "target", "v1", ""}});
  CHECK(Names(REQUIRE_VALUE(w.Update(cache)).List({})) == std::vector<std::string>{"v2@targets"});
}

TEST_CASE("notary: what is in the cache and still right is not fetched again",
          "[libtrust][notary]") {
  World w;
  w.Change({AddBytes("targets", "v1", "one")});
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  w.asked.clear();
  REQUIRE_OK(w.Update(cache));
  CHECK(w.asked == std::vector<std::string>{"timestamp"});
}

TEST_CASE("notary: keys of every kind sign and verify", "[libtrust][notary]") {
  TestKeys keys;
  for (KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kEcdsaP521, KeyType::kRsa,
                       KeyType::kEd25519}) {
    INFO(KeyTypeName(type));
    const Key key = keys.Make(type);
    Signature s = REQUIRE_VALUE(Sign(*keys.Get(key.id), key, "message"));
    CHECK(VerifySignature(key, s.method, s.value, "message"));
    CHECK_FALSE(VerifySignature(key, s.method, s.value, "massage"));
    CHECK_FALSE(VerifySignature(key, "none", s.value, "message"));
    CHECK_FALSE(VerifySignature(key, s.method, s.value + "x", "message"));
    if (type != KeyType::kEcdsaP256) continue;
    // DER, which others write, is not this protocol's form.
    CHECK_FALSE(VerifySignature(key, "ecdsa", EcdsaRawToDer(s.value), "message"));
  }
}

TEST_CASE("notary: a key's id is the hash of its canonical object, and a certificate has two",
          "[libtrust][notary]") {
  const Key key = MakeKey("ecdsa", "abc");
  CHECK(key.id ==
        base::Sha256(R"({"keytype":"ecdsa","keyval":{"private":null,"public":"YWJj"}})").encoded());
  CHECK(key.key.type() == KeyType::kNone);
  PrivateKey secret = *PrivateKey::Generate(KeyType::kEcdsaP256);
  Key certified = REQUIRE_VALUE(MakeRootKey(secret, "a/b", 1767323045));
  CHECK(certified.type == "ecdsa-x509");
  CHECK(certified.id != KeyOf(secret.public_key()).id);
  CHECK(CanonicalId(certified) == KeyOf(secret.public_key()).id);
  auto chain = REQUIRE_VALUE(ParseCertificates(certified.material));
  CHECK(chain[0].common_name == "a/b");
  CHECK_FALSE(chain[0].ca);
  CHECK(chain[0].not_after - chain[0].not_before == 10 * 365 * 86400);
}

TEST_CASE("notary: targets come in the order of roles, within the paths of the whole chain",
          "[libtrust][notary]") {
  World w;
  Key a = w.keys.Make(), b = w.keys.Make(), deep = w.keys.Make();
  w.Change({Delegate("targets/releases", {a}, {""}), Delegate("targets/qa", {b}, {"qa/", "rc/"}),
            AddBytes("targets", "v1", "one")});
  w.Change({AddBytes("targets/releases", "v1", "other one"), AddBytes("targets/qa", "qa/1", "q"),
            Delegate("targets/qa/deep", {deep}, {"qa/deep", "rc/"})});
  w.Change({AddBytes("targets/qa/deep", "rc/1", "r")});
  Collection now = w.Now();
  CHECK(now.Find("v1", {})->role == "targets");
  CHECK(now.Find("v1", kReleaseRoles, true)->role == "targets/releases");
  CHECK(now.Find("rc/1", {})->role == "targets/qa/deep");
  CHECK_FALSE(now.Find("qa/1", kReleaseRoles, true));  // docker looks at two roles only
  CHECK(Names(now.List({"targets/qa"})) ==
        std::vector<std::string>{"qa/1@targets/qa", "rc/1@targets/qa/deep"});
  CHECK(now.FindAll("v1").size() == 2);
  // Taken from the parent, a path is gone for all beneath.
  DelegationChange less;
  less.remove_paths = {"rc/"};
  w.Change({{"update", "targets/qa", "delegation", "", WriteDelegationChange(less)}});
  CHECK_FALSE(w.Now().Find("rc/1", {}));
  CHECK(StateToJson(now).find("\"role\":\"targets/qa/deep\"") != std::string::npos);
}

TEST_CASE("notary: roles refuse what they may not do", "[libtrust][notary]") {
  World w;
  Key a = w.keys.Make();
  w.Change({Delegate("targets/qa", {a}, {"qa/"})});
  const auto apply = [&](const Change& change) {
    Editor editor(w.Now(), w.keys);
    return editor.Apply({change});
  };
  REQUIRE_REASON(apply(AddBytes("targets/qa", "prod/1", "x")), "notary.role");
  REQUIRE_REASON(apply(AddBytes("targets/none", "x", "x")), "notary.role");
  REQUIRE_REASON(apply(AddBytes("root", "x", "x")), "notary.role");
  REQUIRE_REASON(apply(Delegate("targets/qa/x", {a}, {"prod/"})), "notary.role");
  REQUIRE_REASON(apply(Delegate("targets/new", {}, {""})), "notary.role");
  REQUIRE_REASON(apply({"delete", "targets/none", "delegation", "", ""}), "notary.role");
  REQUIRE_REASON(apply({"update", "targets/none", "witness", "", ""}), "notary.role");
  REQUIRE_REASON(apply({"create", "targets", "no such type", "", ""}), "notary.change");
  REQUIRE_REASON(apply({"create", "targets/qa", "delegation", "", "[]"}), "notary.change");
  w.keys.keys.erase(a.id);
  REQUIRE_REASON(apply(AddBytes("targets/qa", "qa/1", "x")), "notary.no_key");
}

TEST_CASE("notary: keys rotate, and those who pinned the old root follow", "[libtrust][notary]") {
  World w;
  w.Change({AddBytes("targets", "v1", "one")});
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  for (int i = 0; i < 3; ++i) {
    const Key root = w.keys.Make();
    const Key certified =
        REQUIRE_VALUE(MakeRootKey(*w.keys.Get(root.id), w.gun, w.NowNs() / 1000000000));
    w.Change({{"create", "root", "role", "root", WriteRoleChange("root", {certified})}});
  }
  const Key targets = w.keys.Make();
  w.Change({{"create", "root", "role", "targets", WriteRoleChange("targets", {targets})}});
  Collection now = REQUIRE_VALUE(w.Update(cache));
  CHECK(now.root.version == 5);
  CHECK(now.Find("v1", {}));
  CHECK(std::find(w.asked.begin(), w.asked.end(), "3.root") != w.asked.end());
}

TEST_CASE("notary: a pinned root that has expired is followed by the one it signed",
          "[libtrust][notary]") {
  World w;
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  // Nine and a half years on the owner signs anew, with a new certificate of the same key.
  w.clock.AdvanceNs(int64_t{3460} * 86400 * 1000000000);
  const Key certified =
      REQUIRE_VALUE(MakeRootKey(*w.keys.Get(w.root_key.id), w.gun, w.NowNs() / 1000000000));
  Collection from;
  from.gun = w.gun;
  from.root = REQUIRE_VALUE(ParseMetadata(w.files.at("root"), kRoot));
  from.targets.emplace("targets", REQUIRE_VALUE(ParseMetadata(w.files.at("targets"), kTargets)));
  from.snapshot = REQUIRE_VALUE(ParseMetadata(w.files.at("snapshot"), kSnapshot));
  w.Publish(from,
            {{"create", "root", "role", "root", WriteRoleChange("root", {certified})},
             AddBytes("targets", "v1", "one")},
            false);
  w.clock.AdvanceNs(int64_t{365} * 86400 * 1000000000);  // the old certificate is no longer valid
  w.Stamp(w.files.at("snapshot"));
  Collection now = REQUIRE_VALUE(w.Update(cache));
  CHECK(now.root.version == 2);
}

TEST_CASE("notary: roots on the way may be as old as they are, and pins are for the first alone",
          "[libtrust][notary]") {
  World w;
  const std::string first = w.Now().root.roles.at("root").keyids.at(0);
  const Pins pins{.certificates = {{w.gun, {first}}}, .trust_on_first_use = false};
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache, pins));
  // The second root is held by a certificate for one day, the third by one for ten years.
  const auto certify = [&](const Key& key, int64_t days) {
    const int64_t now_s = w.NowNs() / 1000000000;
    return REQUIRE_VALUE(KeyOfPem(REQUIRE_VALUE(
        MakeSigningCertificate(*w.keys.Get(key.id), w.gun, now_s, now_s + days * 86400))));
  };
  const Key brief = certify(w.keys.Make(), 1), lasting = certify(w.keys.Make(), 3650);
  w.Change({{"create", "root", "role", "root", WriteRoleChange("root", {brief})}});
  w.Change({{"create", "root", "role", "root", WriteRoleChange("root", {lasting})}});
  w.clock.AdvanceMs(int64_t{3} * 86400 * 1000);
  CHECK(REQUIRE_VALUE(w.Update(cache, pins)).root.version == 3);
  MemoryCache empty;
  REQUIRE_REASON(w.Update(empty, pins), "notary.root");
}

TEST_CASE("notary: pins decide about the first root", "[libtrust][notary]") {
  World w;
  const std::string id = w.Now().root.roles.at("root").keyids.at(0);
  const auto with = [&](Pins pins) {
    MemoryCache cache;
    return w.Update(cache, std::move(pins)).status();
  };
  REQUIRE_OK(with({.certificates = {{w.gun, {id}}}, .trust_on_first_use = false}));
  REQUIRE_OK(with({.certificates = {{"registry.example/*", {id}}}, .trust_on_first_use = false}));
  // The longest entry counts, and only that.
  REQUIRE_OK(with({.certificates = {{"registry.*", {"00"}}, {"registry.example/*", {id}}}}));
  REQUIRE_REASON(with({.certificates = {{"registry.*", {id}}, {"registry.example/*", {"00"}}}}),
                 "notary.root");
  REQUIRE_REASON(with({.certificates = {{w.gun, {"00"}}}}), "notary.root");
  REQUIRE_REASON(with({.trust_on_first_use = false}), "notary.root");
  REQUIRE_OK(with({.certificates = {{"another.example/*", {"00"}}}}));
  // The self-signed certificate is its own authority.
  const std::string pem = w.Now().root.keys.at(id).material;
  REQUIRE_OK(with({.authorities = {{"registry.example/", pem}}, .trust_on_first_use = false}));
  World other;
  const std::string their_id = other.Now().root.roles.at("root").keyids.at(0);
  REQUIRE_REASON(
      with({.authorities = {{"registry.example/", other.Now().root.keys.at(their_id).material}}}),
      "notary.root");
}

TEST_CASE("notary: a witness brings back a role that lost its signatures", "[libtrust][notary]") {
  World w;
  Key a = w.keys.Make(), heir = w.keys.Make();
  w.Change({Delegate("targets/a", {a}, {""})});
  w.Change({AddBytes("targets/a", "v1", "one")});
  DelegationChange swap;
  swap.add_keys = {heir};
  swap.remove_keys = {a.id};
  w.Change({{"update", "targets/a", "delegation", "", WriteDelegationChange(swap)}});
  Collection now = w.Now();
  CHECK_FALSE(now.Find("v1", {}));
  CHECK(now.invalid.contains("targets/a"));
  CHECK(w.notes.size() > 0);
  w.Change({{"update", "targets/a", "witness", "", ""}});
  CHECK(w.Now().Find("v1", {}));
}

TEST_CASE("notary: a purge takes a key from every role", "[libtrust][notary]") {
  World w;
  Key a = w.keys.Make(), b = w.keys.Make();
  w.Change({Delegate("targets/a", {a, b}, {""}), Delegate("targets/b", {b}, {""})});
  w.Change({Delegate("targets/a/c", {b, a}, {""})});
  DelegationChange purge;
  purge.remove_keys = {b.id};
  w.Change({{"update", "targets/*", "delegation", "", WriteDelegationChange(purge)}});
  Collection now = w.Now();
  CHECK(now.FindDelegation("targets/a")->keys.keyids == std::vector<std::string>{a.id});
  CHECK(now.FindDelegation("targets/b")->keys.keyids.empty());
  CHECK(now.FindDelegation("targets/a/c")->keys.keyids == std::vector<std::string>{a.id});
}

TEST_CASE("notary: an offline server leaves what is cached while it is valid",
          "[libtrust][notary]") {
  World w;
  MemoryCache cache;
  REQUIRE_OK(w.Update(cache));
  w.files.erase("timestamp");
  REQUIRE_OK(w.Update(cache));
  REQUIRE(!w.notes.empty());
  CHECK(w.notes.back().reason == "notary.offline");
  w.clock.AdvanceMs(int64_t{15} * 86400 * 1000);
  CHECK_FALSE(w.Update(cache).ok());
}

TEST_CASE("notary: key files are written as the Go clients read them", "[libtrust][notary]") {
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string pem = REQUIRE_VALUE(WriteKeyFile(key, "targets", "a/b", "secret"));
  CHECK(pem.rfind("-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: a/b\nrole: targets\n\n", 0) == 0);
  auto files = REQUIRE_VALUE(SplitKeyFiles("noise\n" + pem + pem));
  REQUIRE(files.size() == 2);
  CHECK(files[1].role == "targets");
  CHECK(files[1].gun == "a/b");
  CHECK(files[1].encrypted);
  PrivateKey back = REQUIRE_VALUE(PrivateKey::FromPem(files[1].pem, "secret"));
  CHECK(back.public_key() == key.public_key());
  REQUIRE_REASON(PrivateKey::FromPem(files[1].pem, "wrong"), "sig.passphrase");
  const std::string exported = WithHeaders(files[0].pem, "root", "", "abc");
  CHECK(exported.find("path: abc\nrole: root\n\n") != std::string::npos);
  CHECK(exported.find("gun:") == std::string::npos);
  const std::string plain = REQUIRE_VALUE(WriteKeyFile(key, "root", "a/b", ""));
  CHECK(plain.rfind("-----BEGIN PRIVATE KEY-----\nrole: root\n\n", 0) == 0);
  REQUIRE_REASON(SplitKeyFiles("-----BEGIN CERTIFICATE-----"), "sig.key_invalid");
  REQUIRE_REASON(WriteKeyFile(*PrivateKey::Generate(KeyType::kEd25519), "root", "", ""),
                 "sig.unsupported");
}

TEST_CASE("notary: changes are written and read as the Go client has them", "[libtrust][notary]") {
  Change change = AddBytes("targets", "v1", "one");
  Change back = REQUIRE_VALUE(ReadChange(WriteChange(change)));
  CHECK(back.path == "v1");
  CHECK(back.data == change.data);
  REQUIRE_REASON(ReadChange("{}"), "notary.change");
  REQUIRE_REASON(ReadChange("nonsense"), "notary.change");
  CHECK(WriteChange({"delete", "targets", "target", "v1", ""}) ==
        R"({"action":"delete","role":"targets","type":"target","path":"v1","data":null})");
}

TEST_CASE("notary: role names", "[libtrust][notary]") {
  for (const char* good : {"targets/releases", "targets/a/b", "targets/a-b_9"})
    CHECK(IsDelegation(good));
  for (const char* bad : {"targets", "targets/", "targets//a", "targets/a/", "targets/A",
                          "targets/..", "snapshot/a", "targets/a b", "targets/*"})
    CHECK_FALSE(IsDelegation(bad));
  CHECK_FALSE(IsDelegation("targets/" + std::string(250, 'a')));
}

}  // namespace
}  // namespace coaming::trust::notary
