#include "libtrust/keystore/keystore.h"

#include <catch2/catch_test_macros.hpp>

#include "base/core/error.h"
#include "base/stream/stream.h"
#include "libtrust/openpgp/sign.h"

namespace coaming::trust {
namespace {

constexpr int64_t kTime = 1700000000;

openpgp::SecretKey MakeKey(const std::string& user) {
  auto key = openpgp::SecretKey::Generate({.user_id = user, .created = kTime});
  REQUIRE(key.ok());
  return *std::move(key);
}

std::string Sign(const openpgp::SecretKey& key, std::string_view data) {
  auto sig = key.SignDetached(data, {.time = kTime + 1});
  REQUIRE(sig.ok());
  return *sig;
}

TEST_CASE("keystore: a key counts for its prefix and all beneath, by whole components",
          "[libtrust][keystore]") {
  MemoryKeyFiles files;
  KeyStore store(&files, nullptr);
  base::Op op;
  openpgp::SecretKey key = MakeKey("Ann");
  auto added = store.Add("example.com/he", false, key.certificate().Armored(), op);
  REQUIRE(added.ok());
  REQUIRE(*added == std::vector<std::string>{key.fingerprint()});
  CHECK(files.files()[0].first == "prefix.d/example.com/he/" + key.fingerprint());
  CHECK(store.HasKeyFor("example.com/he", op));
  CHECK(store.HasKeyFor("example.com/he/llo", op));
  CHECK_FALSE(store.HasKeyFor("example.com/hello", op));
  CHECK_FALSE(store.HasKeyFor("example.com", op));
  CHECK_FALSE(store.HasKeyFor("example.org/he", op));
}

TEST_CASE("keystore: verdicts say good, changed, untrusted, or that no key counts",
          "[libtrust][keystore]") {
  MemoryKeyFiles files;
  KeyStore store(&files, nullptr);
  base::Op op;
  openpgp::SecretKey ann = MakeKey("Ann"), eve = MakeKey("Eve");
  REQUIRE(store.Add("example.com/app", false, ann.certificate().bytes(), op).ok());
  auto verify = [&](std::string_view name, const std::string& sig, std::string_view data) {
    base::MemoryReader reader(data);
    auto v = store.Verify(name, sig, reader, openpgp::Policy(), op);
    return base::ReasonOf(v.ok() ? v->ToStatus(name) : v.status());
  };
  CHECK(verify("example.com/app", Sign(ann, "image"), "image").empty());
  CHECK(verify("example.com/app", Sign(ann, "image"), "imagE") == "sig.bad");
  CHECK(verify("example.com/app", Sign(eve, "image"), "image") == "sig.untrusted");
  CHECK(verify("example.org/app", Sign(ann, "image"), "image") == "sig.no_keys");
  CHECK(verify("example.com/app", "", "image") == "sig.unsigned");
  CHECK(verify("example.com/app", "no signature", "image") == "sig.malformed");
  CHECK(store.CheckIssuer("example.com/app", Sign(ann, "x"), op).ok());
  CHECK(base::HasReason(store.CheckIssuer("example.com/app", Sign(eve, "x"), op), "sig.untrusted"));
}

TEST_CASE("keystore: root keys count for every name, and an empty local file masks a key",
          "[libtrust][keystore]") {
  MemoryKeyFiles local, system;
  base::Op op;
  openpgp::SecretKey key = MakeKey("Root");
  REQUIRE(KeyStore(&system, nullptr).Add("", true, key.certificate().bytes(), op).ok());
  KeyStore store(&local, &system);
  CHECK(store.HasKeyFor("example.com/app", op));
  SECTION("masked at the root") {
    REQUIRE(store.Mask("", true, openpgp::FormatFingerprint(key.fingerprint())).ok());
    CHECK_FALSE(store.HasKeyFor("example.com/app", op));
    auto keys = store.List(op);
    REQUIRE(keys.ok());
    REQUIRE(keys->size() == 2);
    CHECK_FALSE((*keys)[0].masked);
    CHECK((*keys)[1].masked);
    REQUIRE(store.Remove("", true, key.fingerprint()).ok());
    CHECK(store.HasKeyFor("example.com/app", op));
  }
  SECTION("masked for one prefix") {
    REQUIRE(store.Mask("example.com", false, key.fingerprint()).ok());
    CHECK_FALSE(store.HasKeyFor("example.com/app", op));
    CHECK(store.HasKeyFor("example.org/app", op));
  }
}

TEST_CASE("keystore: what a key is trusted for must be said, and be a name",
          "[libtrust][keystore]") {
  MemoryKeyFiles files;
  KeyStore store(&files, nullptr);
  base::Op op;
  std::string key = MakeKey("Ann").certificate().Armored();
  auto refused = [&](std::string_view prefix, bool root) {
    return base::HasReason(store.Add(prefix, root, key, op).status(), "sig.trust_scope");
  };
  CHECK(refused("", false));
  CHECK(refused("example.com", true));
  for (const char* bad : {"https://example.com", "../etc", "example.com/../x", "/example.com",
                          "example.com/", "Example.com", "a//b", "a b", "a/./b"}) {
    INFO(bad);
    CHECK(refused(bad, false));
  }
  CHECK(files.files().empty());
  CHECK(base::HasReason(store.Add("example.com", false, "junk", op).status(), "sig.key_invalid"));
}

TEST_CASE("keystore: a file whose name is not its key's fingerprint is refused",
          "[libtrust][keystore]") {
  MemoryKeyFiles files;
  KeyStore store(&files, nullptr);
  base::Op op;
  openpgp::SecretKey ann = MakeKey("Ann"), eve = MakeKey("Eve");
  REQUIRE(
      files.Write("prefix.d/example.com/" + ann.fingerprint(), eve.certificate().Armored()).ok());
  CHECK(base::HasReason(store.KeyringFor("example.com", op).status(), "sig.key_invalid"));
  REQUIRE(files.Remove("prefix.d/example.com/" + ann.fingerprint()).ok());
  REQUIRE(files.Write("prefix.d/example.com/key.asc", ann.certificate().Armored()).ok());
  CHECK(base::HasReason(store.KeyringFor("example.com", op).status(), "sig.key_invalid"));
}

TEST_CASE("keystore: each certificate of a key file gets a file of its own",
          "[libtrust][keystore]") {
  MemoryKeyFiles files;
  KeyStore store(&files, nullptr);
  base::Op op;
  openpgp::SecretKey ann = MakeKey("Ann"), bob = MakeKey("Bob");
  openpgp::Keyring both;
  both.Add(ann.certificate());
  both.Add(bob.certificate());
  auto added = store.Add("example.com", false, both.Armored(), op);
  REQUIRE(added.ok());
  CHECK(added->size() == 2);
  auto keys = store.KeyringFor("example.com/x", op);
  REQUIRE(keys.ok());
  CHECK(keys->size() == 2);
}

}  // namespace
}  // namespace coaming::trust
