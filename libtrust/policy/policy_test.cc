#include "libtrust/policy/policy.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/policy/simple_signing.h"

namespace coaming::trust {
namespace {

constexpr int64_t kTime = 1700000000;

class Keys final : public KeySource {
 public:
  absl::StatusOr<std::string> ReadKey(const std::string& path) override {
    auto it = files.find(path);
    if (it == files.end()) return base::Fail("core.not_found") << path;
    return it->second;
  }
  std::map<std::string, std::string> files;
};

std::string Why(const absl::StatusOr<TrustPolicy>& p) { return base::ReasonOf(p.status()); }

TEST_CASE("policy: the file is read strictly", "[libtrust][policy]") {
  CHECK(TrustPolicy::Parse(R"({"default":[{"type":"reject"}]})").ok());
  for (const char* bad :
       {"",
        "[]",
        "{}",
        R"({"default":[]})",
        R"({"default":[{"type":"accept"}]})",
        R"({"default":[{"type":"reject","x":1}]})",
        R"({"default":[{"type":"reject"}],"more":{}})",
        R"({"default":[{"type":"reject"}],"default":[{"type":"reject"}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys"}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"a","keyData":"YQ=="}]})",
        R"({"default":[{"type":"signedBy","keyType":"Other","keyPath":"a"}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyData":"%%"}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"a",
            "signedIdentity":{"type":"matchAll"}}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"a",
            "signedIdentity":{"type":"exactReference","dockerReference":"a/b"}}]})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"a",
            "signedIdentity":{"type":"matchExact","more":1}}]})",
        R"({"default":[{"type":"sigstoreSigned"}]})",
        R"({"default":[{"type":"sigstoreSigned","keyPath":"a","fulcio":{}}]})",
        R"({"default":[{"type":"reject"}],"transports":{"docker":{"quay.io":[]}}})",
        R"({"default":[{"type":"reject"}],"transports":{"dir":{"x":[{"type":"reject"}]}}})",
        R"({"default":[{"type":"reject"}],"transports":{"dir":{"/":[{"type":"reject"}]}}})",
        R"({"default":[{"type":"reject"}],"transports":{"oci":{"/a/../b":[{"type":"reject"}]}}})",
        R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"a","signedIdentity":
            {"type":"remapIdentity","prefix":"a b","signedPrefix":"c.io"}}]})",
        R"({"default":[{"type":"reject"}],"transports":[]})"}) {
    INFO(bad);
    CHECK(Why(TrustPolicy::Parse(bad)) == "policy.invalid");
  }
}

TEST_CASE("policy: the most specific scope alone counts", "[libtrust][policy]") {
  const char* kAccept = R"([{"type":"insecureAcceptAnything"}])";
  const char* kReject = R"([{"type":"reject"}])";
  auto policy = TrustPolicy::Parse(
      absl::StrCat(R"({"default":)", kReject, R"(,"transports":{"docker":{)", R"("quay.io":)",
                   kReject, R"(,"quay.io/good":)", kAccept, R"(,"quay.io/good/app:bad":)", kReject,
                   R"(,"*.example.com":)", kAccept, R"(,"eu.example.com:5000":)", kReject,
                   R"(,"docker.io/library/busybox":)", kAccept, R"(},"dir":{"":)", kAccept,
                   R"(,"/srv/no":)", kReject, "}}}"));
  REQUIRE(policy.ok());
  Keys keys;
  base::Op op;
  auto ok = [&](std::string transport, std::string name) {
    return policy->Check({transport, name, "sha256:x"}, {}, keys, op).ok();
  };
  CHECK_FALSE(ok("docker", "quay.io/other/app:1"));
  CHECK(ok("docker", "quay.io/good/app:1"));
  CHECK(ok("docker", "quay.io/good/deep/app"));
  CHECK_FALSE(ok("docker", "quay.io/good/app:bad"));
  CHECK_FALSE(ok("docker", "quay.io/goods/app"));
  CHECK(ok("docker", "eu.example.com/x"));
  CHECK(ok("docker", "a.b.example.com/x"));
  CHECK_FALSE(ok("docker", "example.com/x"));
  CHECK_FALSE(ok("docker", "eu.example.com:5000/x"));
  CHECK(ok("docker", "busybox"));
  CHECK(ok("docker", "docker.io/busybox:1"));
  CHECK(ok("docker", "index.docker.io/library/busybox"));
  CHECK_FALSE(ok("docker", "docker.io/other/busybox"));
  CHECK(ok("dir", "/srv/yes"));
  CHECK_FALSE(ok("dir", "/srv/no/way"));
  CHECK_FALSE(ok("oci", "/srv/yes"));
  CHECK(base::HasReason(policy->Check({"oci", "/x", ""}, {}, keys, op), "policy.rejected"));
}

TEST_CASE("policy: signedBy takes a good signature by a named key for this manifest and name",
          "[libtrust][policy]") {
  auto ann = openpgp::SecretKey::Generate({.user_id = "Ann", .created = kTime});
  auto eve = openpgp::SecretKey::Generate({.user_id = "Eve", .created = kTime});
  REQUIRE(ann.ok());
  REQUIRE(eve.ok());
  Keys keys;
  keys.files["/ann.gpg"] = ann->certificate().bytes();
  base::Op op;
  const std::string digest = base::Sha256("manifest").str();
  auto sign = [&](const openpgp::SecretKey& key, std::string name, std::string of) {
    auto made = key.SignInline(WriteClaim({of, name, "test", kTime}, kAtomicSignature),
                               {.time = kTime + 1, .armor = false});
    REQUIRE(made.ok());
    return PolicySignature{PolicySignature::Kind::kSimpleSigning, *made, ""};
  };
  auto why = [&](std::string identity, std::vector<PolicySignature> signatures,
                 std::string name = "quay.io/a/app:1") {
    auto policy = TrustPolicy::Parse(
        absl::StrCat(R"({"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/ann.gpg")",
                     identity.empty() ? "" : R"(,"signedIdentity":)", identity, "}]}"));
    REQUIRE(policy.ok());
    CHECK(policy->NeedsSignatures({"docker", name, digest}));
    return base::ReasonOf(policy->Check({"docker", name, digest}, signatures, keys, op));
  };
  PolicySignature good = sign(*ann, "quay.io/a/app:1", digest);
  PolicySignature foreign = sign(*eve, "quay.io/a/app:1", digest);
  CHECK(why("", {good}).empty());
  CHECK(why("", {foreign, good}).empty());
  CHECK(why("", {}) == "policy.unsigned");
  CHECK(why("", {foreign}) == "sig.untrusted");
  PolicySignature torn = good;
  torn.bytes[torn.bytes.size() - 5] ^= 1;
  CHECK(why("", {torn}) == "sig.bad");
  CHECK(why("", {sign(*ann, "quay.io/a/app:1", base::Sha256("other").str())}) ==
        "policy.signature");
  PolicySignature other_tag = sign(*ann, "quay.io/a/app:2", digest);
  CHECK(why("", {other_tag}) == "policy.identity");
  CHECK(why("", {other_tag}, absl::StrCat("quay.io/a/app@", digest)).empty());
  CHECK(why(R"({"type":"matchExact"})", {other_tag}, absl::StrCat("quay.io/a/app@", digest)) ==
        "policy.identity");
  CHECK(why(R"({"type":"matchRepository"})", {other_tag}).empty());
  CHECK(
      why(R"({"type":"exactReference","dockerReference":"quay.io/a/app:2"})", {other_tag}).empty());
  CHECK(
      why(R"({"type":"exactRepository","dockerRepository":"quay.io/a/app"})", {other_tag}).empty());
  CHECK(why(R"({"type":"remapIdentity","prefix":"mirror.local","signedPrefix":"quay.io/a"})",
            {good}, "mirror.local/app:1")
            .empty());
  CHECK(why(R"({"type":"remapIdentity","prefix":"mirror.loc","signedPrefix":"quay.io/a"})", {good},
            "mirror.local/app:1") == "policy.identity");
  PolicySignature bare = sign(*ann, "quay.io/a/app", digest);
  CHECK(why("", {bare}) == "policy.identity");
}

TEST_CASE(
    "policy: sigstoreSigned takes cosign's signatures by key, and refuses what it cannot check",
    "[libtrust][policy]") {
  const std::string digest = base::Sha256("manifest").str();
  base::Op op;
  for (KeyType type :
       {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kEd25519, KeyType::kRsa}) {
    auto key = PrivateKey::Generate(type, 2048);
    REQUIRE(key.ok());
    Keys keys;
    keys.files["/k.pub"] = key->public_key().SpkiPem();
    std::string payload = WriteClaim({digest, "quay.io/a/app:1", "", 0}, kCosignSignature);
    auto made = SignCosign(payload, *key);
    REQUIRE(made.ok());
    auto policy =
        TrustPolicy::Parse(R"({"default":[{"type":"sigstoreSigned","keyPath":"/k.pub"}]})");
    REQUIRE(policy.ok());
    PolicyImage image{"docker", "quay.io/a/app:1", digest};
    PolicySignature good{PolicySignature::Kind::kSigstore, payload, *made};
    CHECK(policy->Check(image, {good}, keys, op).ok());
    PolicySignature torn = good;
    torn.bytes = absl::StrReplaceAll(torn.bytes, {{"app:1", "app:2"}});
    CHECK(base::HasReason(policy->Check(image, {torn}, keys, op), "sig.bad"));
    image.manifest_digest = base::Sha256("another").str();
    CHECK(base::HasReason(policy->Check(image, {good}, keys, op), "policy.signature"));
  }
  Keys keys;
  for (const char* text :
       {R"({"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"x"}}]})",
        R"({"default":[{"type":"sigstoreSigned","keyPath":"/k","rekorPublicKeyPath":"/r"}]})",
        R"({"default":[{"type":"signedBy","keyType":"signedByX509CAs","keyPath":"/k"}]})"}) {
    auto policy = TrustPolicy::Parse(text);
    REQUIRE(policy.ok());
    CHECK(base::HasReason(policy->Check({"docker", "a/b", digest}, {}, keys, op),
                          "policy.unsupported"));
  }
}

TEST_CASE("policy: a remapped prefix ends where a component of the name ends",
          "[libtrust][policy]") {
  Requirement r;
  r.match = IdentityMatch::kRemap;
  r.signed_prefix = "signed.io/org";
  r.prefix = "mirror.io:5000/org";
  const PolicyImage image{"docker", "mirror.io:5000/org/app:1", ""};
  CHECK(MatchesIdentity(r, "signed.io/org/app:1", image));
  CHECK_FALSE(MatchesIdentity(r, "signed.io/org/app:2", image));
  CHECK_FALSE(MatchesIdentity(r, "mirror.io:5000/org/app:1", image));
  // A prefix that is no prefix by components leaves the name as it is.
  for (const char* prefix : {"mirror.io:5000/or", "mirror.io", "mirror.io:5000/org/app:1"}) {
    r.prefix = prefix;
    CHECK_FALSE(MatchesIdentity(r, "signed.io/org/app:1", image));
    CHECK(MatchesIdentity(r, "mirror.io:5000/org/app:1", image));
  }
}

TEST_CASE("policy: a decision tells of every requirement, a refusal of the first that failed",
          "[libtrust][policy]") {
  auto policy = TrustPolicy::Parse(R"({"default":[{"type":"reject"}],"transports":{"docker":{
      "quay.io":[{"type":"insecureAcceptAnything"},{"type":"reject"},
                 {"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]}}})");
  REQUIRE(policy.ok());
  Keys keys;
  base::Op op;
  const PolicyDecision decision = policy->Decide({"docker", "quay.io/a:1", ""}, {}, keys, op);
  REQUIRE(decision.steps.size() == 3);
  CHECK(decision.scope == "docker:quay.io");
  CHECK(decision.steps[0].status.ok());
  CHECK(base::HasReason(decision.steps[1].status, "policy.rejected"));
  CHECK(base::HasReason(decision.steps[2].status, "core.not_found"));
  const base::Error error = base::GetError(decision.ToStatus());
  CHECK(error.reason == "policy.rejected");
  CHECK(error.message ==
        "docker:quay.io/a:1: requirement 2 (reject) of docker:quay.io: the policy rejects it");
  CHECK(error.Detail("policy.requirement") == "2:reject");
  auto again = TrustPolicy::Parse(R"({"default":[{"type":"reject"}]})");
  REQUIRE(again.ok());
  CHECK(again->ToJson() ==
        R"({"schema":"coam.policy.v1","default":[{"type":"reject"}],"transports":{}})");
}

TEST_CASE("simple signing: a claim has exactly the members it must have", "[libtrust][policy]") {
  std::string good = WriteClaim({base::Sha256("m").str(), "a/b:1", "me", kTime}, kAtomicSignature);
  auto claim = ParseClaim(good, kAtomicSignature);
  REQUIRE(claim.ok());
  CHECK(claim->docker_reference == "a/b:1");
  CHECK(claim->creator == "me");
  CHECK(claim->timestamp == kTime);
  CHECK_FALSE(ParseClaim(good, kCosignSignature).ok());
  for (auto [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"image\"", "\"more\":1,\"image\""},
           {"\"docker-manifest-digest\"", "\"x\":1,\"docker-manifest-digest\""},
           {"\"docker-reference\"", "\"x\":1,\"docker-reference\""},
           {"sha256:", "sha999:"},
           {"\"optional\"", "\"more\":1,\"optional\""},
           {"\"creator\":\"me\"", "\"creator\":1"},
           {"1700000000", "1.5"},
           {"\"critical\"", "\"Critical\""}}) {
    INFO(from);
    CHECK(base::HasReason(
        ParseClaim(absl::StrReplaceAll(good, {{from, to}}), kAtomicSignature).status(),
        "policy.signature"));
  }
}

TEST_CASE("policy: docker names are normalised", "[libtrust][policy]") {
  auto full = [](const char* text) {
    auto name = ParseDockerName(text);
    return name ? name->ToString() : "";
  };
  CHECK(full("busybox") == "docker.io/library/busybox");
  CHECK(full("a/b:t") == "docker.io/a/b:t");
  CHECK(full("localhost/b") == "localhost/b");
  CHECK(full("host:5000/b:t") == "host:5000/b:t");
  CHECK(full("index.docker.io/b") == "docker.io/library/b");
  CHECK(full("[::1]:5000/b") == "[::1]:5000/b");
  for (const char* bad : {"", "a/B", "a//b", "a/b:", "a/b@sha256:00", "a/-b", "a/b_", "a b", ":t",
                          "a/..", "a/b:t:u"}) {
    INFO(bad);
    CHECK(full(bad).empty());
  }
}

}  // namespace
}  // namespace coaming::trust
