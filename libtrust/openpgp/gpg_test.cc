// Against GnuPG: what it signs we judge as it does, and what we sign it accepts.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ctime>

#include "base/core/error.h"
#include "base/core/op.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/openpgp/test_gpg_home.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp {
namespace {

std::string Batch(const std::string& key_type, const std::string& more = "") {
  return "%no-protection\n" + key_type + "\nName-Real: Ann Signer\nName-Email: ann@example.com\n" +
         more + "%commit\n";
}

TEST_CASE("gpg: a detached signature of each kind of key is good, and bad over other bytes",
          "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  const char* key = GENERATE(
      "Key-Type: RSA\nKey-Length: 2048\nKey-Usage: sign\nSubkey-Type: RSA\n"
      "Subkey-Length: 2048\nSubkey-Usage: sign",
      "Key-Type: RSA\nKey-Length: 3072", "Key-Type: EDDSA\nKey-Curve: ed25519",
      "Key-Type: ECDSA\nKey-Curve: nistp256", "Key-Type: ECDSA\nKey-Curve: nistp384",
      "Key-Type: ECDSA\nKey-Curve: nistp521");
  GpgHome home;
  home.Write("batch", Batch(key));
  std::string out;
  INFO(key);
  REQUIRE(home.Gpg("--gen-key batch", &out) == 0);
  std::string lines;  // gpg signs no text with very long lines
  for (int i = 0; i < 3000; ++i) lines += std::string(100, 'x') + (i % 3 == 0 ? "\r\n" : "\n");
  home.Write("data", lines + "end");
  REQUIRE(home.Gpg("--armor --detach-sign -o data.asc data", &out) == 0);
  REQUIRE(home.Gpg("--textmode --detach-sign -o data.sig data", &out) == 0);
  REQUIRE(home.Gpg("--armor --export -o pub.asc", &out) == 0);
  REQUIRE(home.Gpg("--export -o pub.gpg", &out) == 0);
  base::Op op;
  for (const char* pub : {"pub.asc", "pub.gpg"}) {
    auto keys = Keyring::FromBytes(home.Read(pub));
    REQUIRE(keys.ok());
    for (const char* sig : {"data.asc", "data.sig"}) {
      INFO(sig);
      auto v = VerifyDetached(home.Read(sig), home.Read("data"), *keys, Policy(), op);
      REQUIRE(v.ok());
      REQUIRE(v->signatures.size() == 1);
      INFO(v->signatures[0].message);
      CHECK(v->ok());
      CHECK(v->ToStatus("data").ok());
      REQUIRE(v->Signer() != nullptr);
      CHECK(v->Signer()->fingerprint == keys->certificates()[0].fingerprint());
      REQUIRE(v->Signer()->user_ids.size() == 1);
      CHECK(v->Signer()->user_ids[0] == "Ann Signer <ann@example.com>");
      auto bad = VerifyDetached(home.Read(sig), home.Read("data") + "x", *keys, Policy(), op);
      REQUIRE(bad.ok());
      CHECK(bad->signatures[0].status == SignatureStatus::kBad);
      CHECK(base::HasReason(bad->ToStatus("data"), "sig.bad"));
    }
  }
}

TEST_CASE("gpg: what we sign with a key of ours gpg, gpgv and sqv accept",
          "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  KeyType type = GENERATE(KeyType::kEd25519, KeyType::kRsa, KeyType::kEcdsaP256,
                          KeyType::kEcdsaP384, KeyType::kEcdsaP521);
  bool subkey = GENERATE(false, true);
  GpgHome home;
  int64_t now = std::time(nullptr);
  auto key = SecretKey::Generate({.user_id = "Bob <bob@example.com>",
                                  .type = type,
                                  .rsa_bits = 2048,
                                  .created = now - 100,
                                  .valid_s = 86400,
                                  .signing_subkey = subkey});
  REQUIRE(key.ok());
  INFO(KeyTypeName(type));
  home.Write("pub.asc", key->certificate().Armored());
  home.Write("pub.gpg", key->certificate().bytes());
  home.Write("data", "some data\nand more\r\n");
  auto sig = key->SignDetached(home.Read("data"), {.time = now});
  auto text = key->SignDetached(home.Read("data"), {.time = now, .text = true});
  auto message = key->SignInline(home.Read("data"), {.time = now});
  auto clear = key->SignCleartext("- dash\ntrail  \n\nFrom x\n", {.time = now});
  REQUIRE(sig.ok());
  REQUIRE(text.ok());
  REQUIRE(message.ok());
  REQUIRE(clear.ok());
  home.Write("data.asc", *sig);
  home.Write("text.asc", *text);
  home.Write("message.asc", *message);
  home.Write("clear.asc", *clear);
  std::string out;
  REQUIRE(home.Gpg("--import pub.asc", &out) == 0);
  for (const char* name : {"data.asc", "text.asc"}) {
    INFO(name);
    CHECK(home.Gpg(std::string("--status-fd 1 --verify ") + name + " data", &out) == 0);
    INFO(out);
    CHECK(out.find("GOODSIG") != std::string::npos);
    CHECK(home.Run(std::string("gpgv --keyring ./pub.gpg ") + name + " data", &out) == 0);
    if (GpgHome::Have("sqv"))
      CHECK(home.Run(std::string("sqv --keyring pub.gpg ") + name + " data", &out) == 0);
    auto keys = Keyring::FromBytes(home.Read("pub.gpg"));
    REQUIRE(keys.ok());
    auto v = VerifyDetached(home.Read(name), home.Read("data"), *keys, Policy(), base::Op());
    REQUIRE(v.ok());
    INFO(v->signatures[0].message);
    CHECK(v->ok());
    CHECK(v->signatures[0].signer_fingerprint == key->signing_fingerprint());
  }
  CHECK(home.Gpg("--status-fd 1 --output message.out --decrypt message.asc", &out) == 0);
  CHECK(out.find("GOODSIG") != std::string::npos);
  CHECK(home.Read("message.out") == home.Read("data"));
  CHECK(home.Gpg("--status-fd 1 --verify clear.asc", &out) == 0);
  INFO(out);
  CHECK(out.find("GOODSIG") != std::string::npos);
  // And the revocation certificate is one.
  auto revocation = key->RevocationCertificate(1, "replaced", now);
  REQUIRE(revocation.ok());
  home.Write("rev.asc", *revocation);
  CHECK(home.Gpg("--import rev.asc", &out) == 0);
  home.Gpg("--list-keys --with-colons", &out);
  CHECK(out.find("pub:r:") != std::string::npos);
}

TEST_CASE("gpg: secret keys travel both ways, protected and not", "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  GpgHome home;
  int64_t now = std::time(nullptr);
  std::string out;
  SECTION("ours to gpg") {
    KeyType type = GENERATE(KeyType::kEd25519, KeyType::kRsa, KeyType::kEcdsaP256);
    const char* passphrase = GENERATE("", "open sesame");
    auto key = SecretKey::Generate({.user_id = "Bob <bob@example.com>",
                                    .type = type,
                                    .rsa_bits = 2048,
                                    .created = now - 100,
                                    .signing_subkey = true});
    REQUIRE(key.ok());
    auto secret = key->Export(passphrase);
    REQUIRE(secret.ok());
    home.Write("sec.asc", std::string(secret->view()));
    INFO(KeyTypeName(type));
    CHECK(home.Gpg("--import sec.asc", &out) == 0);
    INFO(out);
    home.Write("data", "data");
    CHECK(home.Run(std::string("gpg --batch --yes --pinentry-mode loopback --passphrase '") +
                       passphrase + "' --detach-sign -o data.sig data",
                   &out) == 0);
    Keyring keys;
    keys.Add(key->certificate());
    auto v = VerifyDetached(home.Read("data.sig"), "data", keys, Policy(), base::Op());
    REQUIRE(v.ok());
    CHECK(v->ok());
    auto wrong = SecretKey::FromBytes(secret->view(), "wrong");
    if (*passphrase != 0) {
      CHECK(base::HasReason(wrong.status(), "sig.passphrase"));
      CHECK(base::HasReason(SecretKey::FromBytes(secret->view(), "").status(), "sig.passphrase"));
    }
    auto again = SecretKey::FromBytes(secret->view(), passphrase);
    REQUIRE(again.ok());
    CHECK(again->fingerprint() == key->fingerprint());
    CHECK(again->SignDetached("x", {.time = now}).ok());
  }
  SECTION("gpg's to us") {
    const char* kind = GENERATE("rsa2048", "ed25519", "nistp256", "nistp384");
    const char* passphrase = GENERATE("", "open sesame");
    REQUIRE(home.Run(std::string("gpg --batch --pinentry-mode loopback --passphrase '") +
                         passphrase + "' --quick-generate-key 'C <c@example.com>' " + kind +
                         " sign 0",
                     &out) == 0);
    REQUIRE(home.Run(std::string("gpg --batch --pinentry-mode loopback --passphrase '") +
                         passphrase + "' --armor --export-secret-keys > sec.asc",
                     &out) == 0);
    REQUIRE(home.Gpg("--export -o pub.gpg", &out) == 0);
    auto key = SecretKey::FromBytes(home.Read("sec.asc"), passphrase);
    INFO(kind);
    INFO(key.status().message());
    REQUIRE(key.ok());
    home.Write("data", "data");
    auto sig = key->SignDetached("data", {.time = std::time(nullptr)});
    REQUIRE(sig.ok());
    home.Write("data.asc", *sig);
    CHECK(home.Gpg("--status-fd 1 --verify data.asc data", &out) == 0);
    CHECK(out.find("GOODSIG") != std::string::npos);
  }
}

TEST_CASE("gpg: inline messages, compressed or not, give their content",
          "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  GpgHome home;
  home.Write("batch", Batch("Key-Type: EDDSA\nKey-Curve: ed25519"));
  std::string out;
  REQUIRE(home.Gpg("--gen-key batch", &out) == 0);
  REQUIRE(home.Gpg("--export -o pub.gpg", &out) == 0);
  std::string content;
  for (int i = 0; i < 3000; ++i) content += "line " + std::to_string(i * 7919 % 1000) + "\n";
  home.Write("data", content);
  auto keys = Keyring::FromBytes(home.Read("pub.gpg"));
  REQUIRE(keys.ok());
  for (const char* algorithm : {"none", "zip", "zlib", "bzip2"}) {
    INFO(algorithm);
    REQUIRE(home.Gpg(std::string("--compress-algo ") + algorithm + " --sign -o data.gpg data",
                     &out) == 0);
    auto m = VerifyInline(home.Read("data.gpg"), *keys, Policy(), base::Op());
    INFO(m.status().message());
    REQUIRE(m.ok());
    CHECK(m->verdict.ok());
    CHECK(m->content == content);
  }
  REQUIRE(home.Gpg("--clear-sign -o data.asc data", &out) == 0);
  auto m = VerifyCleartext(home.Read("data.asc"), *keys, Policy(), base::Op());
  INFO(m.status().message());
  REQUIRE(m.ok());
  CHECK(m->verdict.ok());
  CHECK(m->content + "\n" == content);
  // As a detached signature each of them is refused: it signs other bytes.
  CHECK(base::HasReason(
      VerifyDetached(home.Read("data.asc"), content, *keys, Policy(), base::Op()).status(),
      "sig.malformed"));
  CHECK(base::HasReason(
      VerifyDetached(home.Read("data.gpg"), content, *keys, Policy(), base::Op()).status(),
      "sig.malformed"));
}

TEST_CASE("gpg: expired, revoked and foreign keys are told apart, where gpg exits with 0",
          "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  GpgHome home;
  std::string out;
  home.Write("data", "data");
  int64_t now = std::time(nullptr);
  const std::string old = "--faked-system-time 20200101T000000 ";
  REQUIRE(home.Gpg(old + "--quick-generate-key 'Old <old@example.com>' ed25519 sign 30d", &out) ==
          0);
  REQUIRE(home.Gpg(old + "--detach-sign -o then.sig data", &out) == 0);
  REQUIRE(home.Gpg(old + "--default-sig-expire 10d --detach-sign -o short.sig data", &out) == 0);
  REQUIRE(home.Gpg("--export -o old.gpg", &out) == 0);
  auto keys = Keyring::FromBytes(home.Read("old.gpg"));
  REQUIRE(keys.ok());
  base::Op op;
  auto judge = [&](const std::string& sig, const Policy& policy) {
    auto v = VerifyDetached(home.Read(sig), "data", *keys, policy, op);
    return v.ok() ? v->signatures[0].status : SignatureStatus::kMalformed;
  };
  CHECK(judge("then.sig", Policy()) == SignatureStatus::kGood);  // alive when it signed
  CHECK(judge("then.sig", {.require_alive_now = true}) == SignatureStatus::kKeyExpired);
  CHECK(judge("short.sig", Policy()) == SignatureStatus::kExpired);
  // gpg's exit status says yes to the expired key: the trap that the status lines tell of.
  CHECK(home.Gpg("--status-fd 1 --verify then.sig data", &out) == 0);
  CHECK(out.find("EXPKEYSIG") != std::string::npos);
  // Signed after the key expired.
  auto secret_of = [&](const std::string& user) {
    home.Run("gpg --batch --pinentry-mode loopback --passphrase '' --export-secret-keys '" + user +
             "' > sec.gpg");
    return SecretKey::FromBytes(home.Read("sec.gpg"), "");
  };
  auto late = secret_of("old@example.com");
  REQUIRE(late.ok());
  CHECK(base::HasReason(late->SignDetached("data", {.time = now}).status(), "sig.key_expired"));

  REQUIRE(home.Gpg("--quick-generate-key 'Rev <rev@example.com>' ed25519 sign 0", &out) == 0);
  REQUIRE(home.Gpg("-u rev@example.com --detach-sign -o rev.sig data", &out) == 0);
  REQUIRE(home.Run("f=$(gpg --batch --list-keys --with-colons rev@example.com | awk -F: "
                   "'/^fpr/{print $10; exit}'); sed 's/^:---/---/' openpgp-revocs.d/$f.rev > "
                   "rev.asc; gpg --batch --import rev.asc",
                   &out) == 0);
  REQUIRE(home.Gpg("--export rev@example.com > rev.gpg", &out) == 0);
  keys = Keyring::FromBytes(home.Read("rev.gpg"));
  REQUIRE(keys.ok());
  CHECK(judge("rev.sig", Policy()) == SignatureStatus::kKeyRevoked);
  CHECK(home.Run("gpgv --keyring ./rev.gpg rev.sig data", &out) == 0);  // the trap again
  CHECK(
      base::HasReason(Usability(keys->certificates()[0], *keys, Policy(), now), "sig.key_revoked"));
  // A key that is not in the ring.
  CHECK(judge("then.sig", Policy()) == SignatureStatus::kNoKey);
}

TEST_CASE("gpg: the fingerprint is shown as gpg shows it", "[libtrust][openpgp][gpg]") {
  if (!GpgHome::Have("gpg")) SKIP("gpg is not installed");
  GpgHome home;
  std::string out;
  REQUIRE(home.Gpg("--quick-generate-key 'Ann <ann@example.com>' ed25519 sign 0", &out) == 0);
  REQUIRE(home.Gpg("--armor --export -o pub.asc", &out) == 0);
  REQUIRE(home.Gpg("--fingerprint", &out) == 0);
  auto keys = Keyring::FromBytes(home.Read("pub.asc"));
  REQUIRE(keys.ok());
  std::string shown = FormatFingerprint(keys->certificates()[0].fingerprint());
  INFO(out);
  CHECK(out.find(shown) != std::string::npos);
  CHECK(ReviewText(*keys) == "gpg key fingerprint is: " + shown + "\n\tAnn <ann@example.com>\n");
  CHECK(keys->Find(shown) == &keys->certificates()[0]);
  CHECK(keys->Find(keys->certificates()[0].key_id()) == &keys->certificates()[0]);
}

}  // namespace
}  // namespace coaming::trust::openpgp
