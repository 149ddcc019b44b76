// What OpenPGP tools were broken by: bombs, steering of terminals, content that was not signed, floods
// (libtrust/flaws.tsv). No other tool is needed here.
#include <catch2/catch_test_macros.hpp>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/report.h"
#include "libtrust/openpgp/test_packets.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp {
namespace {

using namespace internal;

// One signer, and messages made by hand.
struct World {
  int64_t now = std::time(nullptr), born = now - 100 * kDay;
  TestKey key = MakeKey(KeyType::kEd25519, born);
  SigSpec self{.time = born, .hashed = Flags(3)};
  Keyring Keys() const { return *Keyring::FromBytes(Cert(key, self)); }
  std::string Sig(std::string_view data) const {
    return SigPkt(key, 0, data, {.time = now - kDay});
  }
  std::string OnePass() const {
    return Pkt(kTagOnePass, std::string("\x03\x00\x08\x16", 4) + key.packet.key_id + "\x01");
  }
  static std::string Literal(std::string_view data) {
    return Pkt(kTagLiteral, std::string("b\0\0\0\0\0", 6) + std::string(data));
  }
  std::string Why(const std::string& message, std::string* content = nullptr) const {
    auto m = VerifyInline(message, Keys(), Policy(), base::Op());
    if (!m.ok()) return base::ReasonOf(m.status());
    if (content != nullptr) *content = m->content;
    return base::ReasonOf(m->verdict.ToStatus("message"));
  }
};

// A deflate stream with fixed codes: one 'a', then `n` copies of 258 more.
std::string DeflateBomb(int n) {
  std::string out;
  int at = 0;
  auto bit = [&](int b) {
    if (at == 0) out.push_back(0);
    out.back() = static_cast<char>(out.back() | b << at);
    at = (at + 1) % 8;
  };
  auto code = [&](uint32_t value, int width) {
    while (width-- > 0) bit(value >> width & 1);
  };
  bit(1);
  bit(1);
  bit(0);
  code(0x30 + 'a', 8);
  for (int i = 0; i < n; ++i) {
    code(0xc5, 8);  // length 258
    code(0, 5);     // distance 1
  }
  code(0, 7);
  return out;
}

TEST_CASE("openpgp attack: a message that inflates without end is stopped at its limit",
          "[libtrust][openpgp]") {
  World w;
  std::string bomb = DeflateBomb(60000);  // 15 MiB in 95 KiB
  CHECK(bomb.size() < 100000);
  CHECK(w.Why(Pkt(kTagCompressed, "\x01" + bomb)) == "core.limit");
  // The same stream is read where it is small enough.
  std::string small = DeflateBomb(10);
  CHECK(w.Why(Pkt(kTagCompressed, "\x01" + small)) == "sig.malformed");
  std::string deep = w.OnePass() + World::Literal("data") + w.Sig("data");
  CHECK(w.Why(deep).empty());
  for (int i = 0; i < 4; ++i) deep = Pkt(kTagCompressed, std::string(1, '\0') + deep);
  CHECK(w.Why(deep).empty());
  CHECK(w.Why(Pkt(kTagCompressed, std::string(1, '\0') + deep)) == "sig.malformed");
}

TEST_CASE("openpgp attack: no user id, notation or name steers a terminal or adds a status line",
          "[libtrust][openpgp]") {
  World w;
  const std::string evil =
      "x\n[GNUPG:] GOODSIG 0 y\r\x1b]0;t\x07\x1b[2J\x7f\xc2\x9b"
      "31m\xe2\x80\xae"
      "resu\xff\xe2\x81\xa6";
  auto clean = [](const std::string& text) {
    for (unsigned char c : text)
      if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c == 0xff) return false;
    return text.find("\n[GNUPG") == std::string::npos && text.find("\xc2\x9b") == text.npos &&
           text.find("\xe2\x80\xae") == text.npos && text.find("\xe2\x81\xa6") == text.npos;
  };
  CHECK_FALSE(clean(evil));
  auto keys = Keyring::FromBytes(Cert(w.key, w.self, evil));
  REQUIRE(keys.ok());
  CHECK(clean(ReviewText(*keys)));
  CHECK(clean(KeyringToJson(*keys)));
  std::string notation = std::string("\x80\0\0\0", 4);
  AppendU16(static_cast<uint32_t>(evil.size()), &notation);
  AppendU16(static_cast<uint32_t>(evil.size()), &notation);
  notation += evil + evil;
  for (bool critical : {false, true}) {
    for (const char* data : {"data", "other"}) {
      std::string sig =
          SigPkt(w.key, 0, "data",
                 {.time = w.now - kDay, .hashed = Sub(20, notation, critical) + Sub(28, evil)});
      auto v = VerifyDetached(sig, data, *keys, Policy(), base::Op());
      REQUIRE(v.ok());
      CHECK(v->ok() == (!critical && std::string(data) == "data"));
      CHECK(clean(VerdictToJson(*v)));
      CHECK(clean(v->signatures[0].message));
      CHECK(clean(std::string(v->ToStatus("data").message())));
      for (const std::string& user : v->signatures[0].user_ids) CHECK(clean(user));
    }
  }
  // The name of the content in a literal packet is nobody's business, and armor headers are skipped.
  std::string named = "b" + std::string(1, static_cast<char>(evil.size())) + evil + U32(0) + "data";
  std::string content;
  CHECK(w.Why(w.OnePass() + Pkt(kTagLiteral, named) + w.Sig("data"), &content).empty());
  CHECK(content == "data");
  auto bad = Keyring::FromBytes("-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + evil + "\n\n!\x1b[2J\n");
  REQUIRE_FALSE(bad.ok());
  CHECK(clean(std::string(bad.status().message())));
}

TEST_CASE("openpgp attack: the content given is the content that was signed (CVE-2025-47934)",
          "[libtrust][openpgp]") {
  World w;
  std::string content;
  const std::string sig = w.Sig("data");
  CHECK(w.Why(w.OnePass() + World::Literal("data") + sig, &content).empty());
  CHECK(content == "data");
  const std::string evil = World::Literal("evil");
  content.clear();
  for (const std::string& message :
       {evil + w.OnePass() + World::Literal("data") + sig,
        w.OnePass() + World::Literal("data") + sig + evil,
        w.OnePass() + World::Literal("data") + evil + sig,
        Pkt(kTagCompressed, std::string(1, '\0') + w.OnePass() + World::Literal("data") + sig) +
            evil,
        w.OnePass() + World::Literal("data") + sig +
            Pkt(kTagCompressed, std::string(1, '\0') + evil),
        sig + w.OnePass() + World::Literal("data")})
    CHECK(w.Why(message, &content) == "sig.malformed");
  CHECK(w.Why(w.OnePass() + evil + sig, &content) == "sig.bad");
  CHECK(content.empty());
  CHECK(w.Why(World::Literal("data")) == "sig.unsigned");
}

TEST_CASE("openpgp attack: what is encrypted is refused, whatever its session key (RNP)",
          "[libtrust][openpgp]") {
  World w;
  for (uint8_t tag : {1, 3, 9, 18, 20})
    CHECK(w.Why(Pkt(tag, std::string(40, '\0')) + w.OnePass() + World::Literal("data") +
                w.Sig("data")) == "sig.malformed");
}

TEST_CASE("openpgp attack: text beside or within a cleartext message is not taken as signed",
          "[libtrust][openpgp]") {
  World w;
  std::string sig =
      ArmorEncode(ArmorKind::kSignature, SigPkt(w.key, 1, "a\r\nb", {.time = w.now - kDay}));
  auto why = [&](const std::string& message) {
    auto m = VerifyCleartext(message, w.Keys(), Policy(), base::Op());
    if (!m.ok()) return base::ReasonOf(m.status());
    CHECK((m->content == "a\nb" || m->content.empty()));
    return base::ReasonOf(m->verdict.ToStatus("message"));
  };
  const std::string head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n";
  CHECK(why(head + "a\nb\n" + sig).empty());
  CHECK(why("evil\n" + head + "a\nb\n" + sig) == "sig.malformed");
  CHECK(why(head + "a\nb\n" + sig + "evil\n") == "sig.malformed");
  CHECK(why(head + "a\nb\n" + sig + head + "a\nb\n" + sig) == "sig.malformed");
  CHECK(why(head + "a\nb\nevil\n" + sig) == "sig.bad");
  // gpg.fail: a form feed hid text from the check; a header carried text; a dash opened a block.
  CHECK(why(head + "a\n\fevil\nb\n" + sig) == "sig.malformed");
  CHECK(why("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\nevil: text\n\na\nb\n" + sig) ==
        "sig.malformed");
  CHECK(why("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\x1b[2J\n\na\nb\n" + sig) ==
        "sig.malformed");
  CHECK(why(head + "-----BEGIN PGP MESSAGE-----\na\nb\n" + sig) == "sig.malformed");
  CHECK(base::HasReason(
      VerifyDetached(head + "a\nb\n" + sig, "a\nb", w.Keys(), Policy(), base::Op()).status(),
      "sig.malformed"));
}

TEST_CASE("openpgp attack: a certificate flooded with signatures costs a bounded number of checks",
          "[libtrust][openpgp]") {
  World w;
  TestKey stranger = MakeKey(KeyType::kEd25519, w.born);
  std::string spam = SigPkt(stranger, 0x13, UserData(w.key, "u"), {.time = w.born});
  std::string flood = KeyPkt(w.key) + UserPkt("u");
  for (int i = 0; i < 500; ++i) flood += spam;
  std::string good = SigPkt(w.key, 0x13, UserData(w.key, "u"), w.self);
  auto keys = Keyring::FromBytes(flood + good);
  REQUIRE(keys.ok());
  auto v = VerifyDetached(w.Sig("data"), "data", *keys, Policy(), base::Op());
  REQUIRE(v.ok());
  CHECK(v->ok());  // what strangers add takes nothing away
  for (int i = 0; i < 2000; ++i) flood += spam;
  CHECK(base::HasReason(Keyring::FromBytes(flood + good).status(), "core.limit"));
}

TEST_CASE("openpgp attack: a file of many signatures ends at a limit", "[libtrust][openpgp]") {
  World w;
  std::string one = w.Sig("data"), many;
  for (int i = 0; i < 64; ++i) many += one;
  auto v = VerifyDetached(many, "data", w.Keys(), Policy(), base::Op());
  REQUIRE(v.ok());
  CHECK(v->good == 1);  // one certificate, however often it signs
  CHECK(base::HasReason(VerifyDetached(many + one, "data", w.Keys(), Policy(), base::Op()).status(),
                        "core.limit"));
}

TEST_CASE("openpgp attack: a key id only proposes a key; the fingerprint is what is told",
          "[libtrust][openpgp]") {
  World w;
  TestKey victim = MakeKey(KeyType::kEd25519, w.born);
  // The thief claims the victim's key id in a signature of his own.
  SigSpec spec{.time = w.now - kDay, .unhashed = Sub(16, victim.packet.key_id)};
  spec.fingerprint = spec.issuer = false;
  std::string sig = SigPkt(w.key, 0, "data", spec);
  auto only_victim = Keyring::FromBytes(Cert(victim, {.time = w.born, .hashed = Flags(3)}, "v"));
  REQUIRE(only_victim.ok());
  auto v = VerifyDetached(sig, "data", *only_victim, Policy(), base::Op());
  REQUIRE(v.ok());
  CHECK(base::HasReason(v->ToStatus("data"), "sig.bad"));
  CHECK(v->Signer() == nullptr);
  auto good = VerifyDetached(w.Sig("data"), "data", w.Keys(), Policy(), base::Op());
  REQUIRE(good.ok());
  REQUIRE(good->Signer() != nullptr);
  CHECK(good->Signer()->fingerprint.size() == 40);
}

}  // namespace
}  // namespace coaming::trust::openpgp
