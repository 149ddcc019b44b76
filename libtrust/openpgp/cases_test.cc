// Some 280 signatures and keys, made by hand, judged by us, by gpg, gpgv and sqv. Where we differ from
// one of them, differences.tsv says so and why; a difference that is not listed, or listed and not
// there, fails.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/certificate_data.h"
#include "libtrust/openpgp/test_gpg_home.h"
#include "libtrust/openpgp/test_packets.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp {
namespace {

using namespace internal;

struct Case {
  std::string name, pub, sig, data;
  std::string want;  // "" good, else the reason
};

// Maker holds the keys and collects the cases.
class Maker {
 public:
  Maker() : now_(std::time(nullptr)), t_(now_ - 100 * kDay) {
    rsa_ = MakeKey(KeyType::kRsa, t_);
    ed_ = MakeKey(KeyType::kEd25519, t_);
    other_ = MakeKey(KeyType::kEd25519, t_);
    p256_ = MakeKey(KeyType::kEcdsaP256, t_);
  }
  std::vector<Case> cases;

  SigSpec Self(std::string hashed = Flags(3)) const { return {.time = t_, .hashed = hashed}; }
  SigSpec At(int64_t time) const { return {.time = time}; }
  SigSpec Now() const { return At(now_ - kDay); }
  void Add(std::string name, std::string pub, std::string sig, std::string want,
           std::string data = "data\n") {
    cases.push_back(
        {std::move(name), std::move(pub), std::move(sig), std::move(data), std::move(want)});
  }

  void Algorithms() {
    struct Row {
      const char* name;
      KeyType type;
      int version, bits;
      uint8_t algorithm;
    };
    const Row rows[] = {{"rsa2048", KeyType::kRsa, 4, 2048, 0},
                        {"rsa3072", KeyType::kRsa, 4, 3072, 0},
                        {"ed25519", KeyType::kEd25519, 4, 0, 0},
                        {"ed25519-new", KeyType::kEd25519, 4, 0, kEd25519Algorithm},
                        {"nistp256", KeyType::kEcdsaP256, 4, 0, 0},
                        {"nistp384", KeyType::kEcdsaP384, 4, 0, 0},
                        {"nistp521", KeyType::kEcdsaP521, 4, 0, 0},
                        {"v6-ed25519", KeyType::kEd25519, 6, 0, kEd25519Algorithm},
                        {"v6-rsa2048", KeyType::kRsa, 6, 2048, 0},
                        {"v6-nistp256", KeyType::kEcdsaP256, 6, 0, 0}};
    for (const Row& row : rows) {
      TestKey key = MakeKey(row.type, t_, row.version, row.algorithm, row.bits);
      SigSpec self = Self();
      if (row.type == KeyType::kEcdsaP384) self.hash = kSha384;
      if (row.type == KeyType::kEcdsaP521) self.hash = kSha512;
      std::string pub = Cert(key, self);
      for (uint8_t hash : {kSha1, kSha224, kSha256, kSha384, kSha512}) {
        if (row.version == 6 && hash == kSha1) continue;
        SigSpec spec = Now();
        spec.hash = hash;
        std::string at = absl::StrCat("alg-", row.name, "-", HashName(hash));
        std::string sig = SigPkt(key, 0, "data\n", spec);
        Add(at, pub, sig, hash == kSha1 ? "sig.weak" : "");
        Add(at + "-other-data", pub, sig, hash == kSha1 ? "sig.weak" : "sig.bad", "dato\n");
        Add(at + "-text", pub, SigPkt(key, 1, "data\r\n", spec), hash == kSha1 ? "sig.weak" : "");
        std::string flipped = sig;
        flipped[flipped.size() - 3] ^= 1;
        Add(at + "-flipped", pub, flipped, hash == kSha1 ? "sig.weak" : "sig.bad");
      }
    }
  }

  void Types() {
    std::string pub = Cert(ed_, Self());
    for (int type :
         {0x02, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1f, 0x20, 0x28, 0x30, 0x40, 0x50, 0x7f})
      Add(absl::StrCat("type-", absl::Hex(type, absl::kZeroPad2)), pub,
          SigPkt(ed_, static_cast<uint8_t>(type), "data\n", Now()), "sig.wrong_type");
    Add("type-self-certification", pub, SigPkt(ed_, 0x13, UserData(ed_, "u"), Self()),
        "sig.wrong_type", UserData(ed_, "u"));
    struct Line {
      const char *name, *data, *hashed;
    };
    const Line lines[] = {{"lf", "a\nb\n", "a\r\nb\r\n"},
                          {"crlf", "a\r\nb\r\n", "a\r\nb\r\n"},
                          {"mixed", "a\r\nb\nc", "a\r\nb\r\nc"},
                          {"trailing-blanks", "a  \nb\t\n", "a  \r\nb\t\r\n"},
                          {"empty-lines", "\n\n\n", "\r\n\r\n\r\n"},
                          {"no-end", "a", "a"}};
    for (const Line& line : lines)
      Add(absl::StrCat("text-", line.name), pub, SigPkt(ed_, 1, line.hashed, Now()), "", line.data);
    Add("text-not-binary", pub, SigPkt(ed_, 0, "a\r\n", Now()), "sig.bad", "a\n");
  }

  void Framing() {
    std::string pub = Cert(ed_, Self());
    std::string body = MakeSig(ed_, 0, "data\n", Now());
    std::string good = Pkt(kTagSignature, body);
    auto old = [&](int kind, std::string length) {
      return std::string(1, static_cast<char>(0x80 | kTagSignature << 2 | kind)) + length + body;
    };
    std::string one(1, static_cast<char>(body.size()));
    Add("frame-old-1", pub, old(0, one), "");
    Add("frame-old-2", pub, old(1, std::string(1, '\0') + one), "");
    Add("frame-old-4", pub, old(2, std::string(3, '\0') + one), "");
    Add("frame-old-indeterminate", pub, old(3, ""), "sig.malformed");
    Add("frame-new-5", pub, "\xc2\xff" + U32(static_cast<int64_t>(body.size())) + body, "");
    Add("frame-new-partial", pub,
        "\xc2\xe6" + body.substr(0, 64) + std::string(1, static_cast<char>(body.size() - 64)) +
            body.substr(64),
        "sig.malformed");
    Add("frame-marker-first", pub, Pkt(kTagMarker, "PGP") + good, "");
    Add("frame-padding-first", pub, Pkt(kTagPadding, "xxxx") + good, "");
    Add("frame-ignorable-first", pub, Pkt(60, "xxxx") + good, "");
    Add("frame-unknown-first", pub, Pkt(30, "xxxx") + good, "sig.malformed");
    Add("frame-garbage-after", pub, good + "junk", "sig.malformed");
    Add("frame-key-after", pub, good + KeyPkt(ed_), "sig.malformed");
    Add("frame-literal-after", pub, good + Pkt(kTagLiteral, std::string("b\0\0\0\0\0x", 7)),
        "sig.malformed");
    Add("frame-inline-message", pub,
        Pkt(kTagOnePass, std::string("\x03\x00\x08\x16", 4) + ed_.packet.key_id + "\x01") +
            Pkt(kTagLiteral, std::string("b\0\0\0\0\0", 6) + "data\n") + good,
        "sig.malformed");
    Add("frame-empty", pub, "", "sig.unsigned");
    Add("frame-marker-only", pub, Pkt(kTagMarker, "PGP"), "sig.unsigned");
    Add("frame-not-openpgp", pub, "hello", "sig.malformed");
    for (size_t n : {1, 2, 3, 5, 8, 12, 20, 40, 60, 80, 100})
      if (n < good.size())
        Add(absl::StrCat("frame-cut-", n), pub, good.substr(0, n), "sig.malformed");
    Add("frame-two-good", pub, good + good, "");
    std::string bad = SigPkt(ed_, 0, "other", Now());
    std::string foreign = SigPkt(other_, 0, "data\n", Now());
    Add("several-bad-then-good", pub, bad + good, "");
    Add("several-good-then-bad", pub, good + bad, "");
    Add("several-foreign-then-good", pub, foreign + good, "");
    Add("several-foreign-and-bad", pub, foreign + bad, "sig.bad");
    Add("several-foreign-only", pub, foreign, "sig.untrusted");
    std::string v5 = body;
    v5[0] = 5;
    Add("several-unknown-version-then-good", pub, Pkt(kTagSignature, v5) + good, "");
    Add("version-5-only", pub, Pkt(kTagSignature, v5), "sig.unsupported");
    v5[0] = 2;
    Add("version-2-only", pub, Pkt(kTagSignature, v5), "sig.unsupported");
  }

  void Armors() {
    std::string pub = Cert(ed_, Self());
    std::string asc = ArmorEncode(ArmorKind::kSignature, SigPkt(ed_, 0, "data\n", Now()));
    auto with = [&](std::string from, std::string to) {
      return absl::StrReplaceAll(asc, {{from, to}});
    };
    Add("armor-plain", pub, asc, "");
    Add("armor-crlf", pub, with("\n", "\r\n"), "");
    Add("armor-header", pub, with("URE-----\n\n", "URE-----\nVersion: x 1\nComment: y\n\n"), "");
    Add("armor-empty-header", pub, with("URE-----\n\n", "URE-----\nComment:\n\n"), "");
    Add("armor-text-before", pub, "some text\n" + asc, "");
    Add("armor-text-after", pub, asc + "some text\n", "");
    Add("armor-trailing-blanks", pub, with("-----\n", "-----  \n"), "");
    Add("armor-blank-line-blanks", pub, with("URE-----\n\n", "URE-----\n \t\n"), "");
    size_t crc = asc.rfind("\n=");
    Add("armor-no-crc", pub, asc.substr(0, crc) + asc.substr(crc + 6), "");
    std::string wrong = asc;
    wrong[crc + 2] = wrong[crc + 2] == 'A' ? 'B' : 'A';
    Add("armor-wrong-crc", pub, wrong, "");
    Add("armor-no-blank-line", pub, with("URE-----\n\n", "URE-----\n"), "sig.malformed");
    Add("armor-no-end", pub, asc.substr(0, asc.find("-----END")), "sig.malformed");
    Add("armor-label-message", pub, with("SIGNATURE", "MESSAGE"), "sig.malformed");
    Add("armor-label-key", pub, with("SIGNATURE", "PUBLIC KEY BLOCK"), "sig.malformed");
    Add("armor-label-unknown", pub, with("SIGNATURE", "SIGNATUR"), "sig.malformed");
    Add("armor-labels-differ", pub, with("END PGP SIGNATURE", "END PGP MESSAGE"), "sig.malformed");
    std::string odd = asc;
    odd[asc.find("\n\n") + 6] = '!';
    Add("armor-bad-character", pub, odd, "sig.malformed");
    odd[asc.find("\n\n") + 6] = '\x80';
    Add("armor-high-character", pub, odd, "sig.malformed");
    Add("armor-two-blocks", pub, asc + asc, "sig.malformed");
    Add("armor-cleartext-before", pub,
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\ndata\n" + asc, "sig.malformed");
    Add("armor-inside-comment", pub, with("URE-----\n\n", "URE-----\nno colon here\n\n"),
        "sig.malformed");
    std::string lines = asc;
    lines.insert(asc.find("\n\n") + 12, "\n\n");
    Add("armor-empty-line-inside", pub, lines, "");
    Add("armor-only-head", pub, "-----BEGIN PGP SIGNATURE-----\n", "sig.malformed");
    Add("armor-empty-body", pub, "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        "sig.malformed");
  }

  void Subpackets() {
    std::string pub = Cert(ed_, Self());
    auto sig = [&](std::string hashed, std::string unhashed = "") {
      SigSpec spec = Now();
      spec.hashed = hashed;
      spec.unhashed = unhashed;
      return SigPkt(ed_, 0, "data\n", spec);
    };
    std::string notation = std::string("\x80\0\0\0\0\x03\0\x01", 8) + "a@b" + "c";
    Add("sub-unknown", pub, sig(Sub(100, "x")), "");
    Add("sub-unknown-critical", pub, sig(Sub(100, "x", true)), "sig.unsupported");
    Add("sub-unknown-critical-unhashed", pub, sig("", Sub(100, "x", true)), "");
    Add("sub-notation", pub, sig(Sub(20, notation)), "");
    Add("sub-notation-critical", pub, sig(Sub(20, notation, true)), "sig.unsupported");
    Add("sub-policy-critical", pub, sig(Sub(26, "http://x", true)), "");
    Add("sub-signer-user", pub, sig(Sub(28, "u")), "");
    Add("sub-expiry-future", pub, sig(Sub(3, U32(10 * kDay))), "");
    Add("sub-expiry-past", pub, sig(Sub(3, U32(3600))), "sig.expired");
    Add("sub-expiry-past-critical", pub, sig(Sub(3, U32(3600), true)), "sig.expired");
    Add("sub-expiry-zero", pub, sig(Sub(3, U32(0))), "");
    Add("sub-expiry-unhashed", pub, sig("", Sub(3, U32(3600))), "");
    Add("sub-expiry-short", pub, sig(Sub(3, "x")), "sig.malformed");
    Add("sub-empty", pub, sig(std::string(1, '\0')), "sig.malformed");
    Add("sub-overrun", pub, sig("\x10\x14"), "sig.malformed");
    Add("sub-long-form", pub,
        sig("\xff" + U32(5) +
            "\x14"
            "abcd"),
        "");
    SigSpec spec = Now();
    spec.creation = false;
    Add("sub-no-creation", pub, SigPkt(ed_, 0, "data\n", spec), "sig.malformed");
    spec.unhashed = Sub(2, U32(now_ - kDay));
    Add("sub-creation-unhashed", pub, SigPkt(ed_, 0, "data\n", spec), "sig.malformed");
    spec = Now();
    spec.issuer = false;
    Add("sub-fingerprint-only", pub, SigPkt(ed_, 0, "data\n", spec), "");
    spec.fingerprint = false;
    Add("sub-no-issuer", pub, SigPkt(ed_, 0, "data\n", spec), "sig.untrusted");
    spec.issuer = true;
    Add("sub-issuer-only", pub, SigPkt(ed_, 0, "data\n", spec), "");
    spec.issuer = false;
    spec.hashed = Sub(16, other_.packet.key_id);
    Add("sub-issuer-of-another", pub, SigPkt(ed_, 0, "data\n", spec), "sig.untrusted");
    std::string both = pub + Cert(other_, Self(), "v");
    Add("sub-issuer-of-another-known", both, SigPkt(ed_, 0, "data\n", spec), "sig.bad");
    spec.hashed = Sub(33, "\x04" + other_.packet.fingerprint);
    spec.unhashed = Sub(16, ed_.packet.key_id);
    Add("sub-fingerprint-of-another", both, SigPkt(ed_, 0, "data\n", spec), "sig.bad");
    spec = Now();
    spec.hashed = Sub(2, U32(now_ + 3 * kDay));
    Add("sub-two-creations-last-future", pub, SigPkt(ed_, 0, "data\n", spec), "sig.not_yet_valid");
  }

  void Numbers() {
    std::string pub = Cert(ed_, Self()), rsa_pub = Cert(rsa_, Self()), p_pub = Cert(p256_, Self());
    auto sig = [&](const TestKey& key, std::function<void(std::string*)> change) {
      SigSpec spec = Now();
      spec.numbers = std::move(change);
      return SigPkt(key, 0, "data\n", spec);
    };
    Add("num-garbage-after", pub, sig(ed_, [](std::string* n) { *n += "x"; }), "sig.bad");
    Add("num-cut", pub, sig(ed_, [](std::string* n) { n->pop_back(); }), "sig.bad");
    Add("num-none", pub, sig(ed_, [](std::string* n) { n->clear(); }), "sig.bad");
    Add("num-zero", pub, sig(ed_, [](std::string* n) { n->assign(4, '\0'); }), "sig.bad");
    Add("num-ecdsa-zero", p_pub, sig(p256_, [](std::string* n) { n->assign(4, '\0'); }), "sig.bad");
    Add("num-rsa-zero", rsa_pub, sig(rsa_, [](std::string* n) { n->assign(2, '\0'); }), "sig.bad");
    Add("num-rsa-leading-zero", rsa_pub,
        sig(rsa_,
            [](std::string* n) {
              std::string value = n->substr(2);
              *n = std::string("\x08\x08", 2) + std::string(1, '\0') + value;
            }),
        "");
    Add("num-rsa-plus-n", rsa_pub,
        sig(rsa_,
            [this](std::string* n) {
              std::string sum(257, '\0'), value = n->substr(2), m = rsa_.packet.key.RsaModulus();
              int carry = 0;
              for (int i = 0; i < 257; ++i) {
                int v = carry;
                if (i < static_cast<int>(value.size()))
                  v += static_cast<uint8_t>(value[value.size() - 1 - i]);
                if (i < static_cast<int>(m.size())) v += static_cast<uint8_t>(m[m.size() - 1 - i]);
                sum[256 - i] = static_cast<char>(v);
                carry = v >> 8;
              }
              n->clear();
              AppendMpi(sum, n);
            }),
        "sig.bad");
    Add("num-ed-s-plus-l", pub,
        sig(ed_,
            [](std::string* n) {
              static constexpr uint8_t kOrder[32] = {
                  0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
              Bytes in(*n);
              std::string r(in.Mpi()), s(in.Mpi());
              s.insert(0, 32 - s.size(), '\0');
              int carry = 0;
              for (int i = 0; i < 32; ++i) {
                int v = static_cast<uint8_t>(s[i]) + kOrder[i] + carry;
                s[i] = static_cast<char>(v);
                carry = v >> 8;
              }
              n->clear();
              AppendMpi(r, n);
              AppendMpi(s, n);
            }),
        "sig.bad");
    // Signs again and again until the numbers are as wanted, which they are by chance.
    auto until = [&](std::string name, const TestKey& key, std::string key_pub,
                     std::function<bool(std::string_view first, std::string_view second)> wanted,
                     bool round_bits = false) {
      for (int i = 0; i < 20000; ++i) {
        bool hit = false;
        SigSpec spec = At(now_ - kDay - i);
        spec.numbers = [&](std::string* n) {
          Bytes in(*n);
          std::string_view first = in.Mpi();
          std::string_view second = in.empty() ? first : in.Mpi();
          hit = wanted(first, second);
          if (round_bits) AppendRounded(n);
        };
        std::string sig = SigPkt(key, 0, "data\n", spec);
        if (hit) return Add(name, key_pub, sig, "");
      }
      FAIL("no luck");
    };
    until(
        "num-rsa-bits-rounded", rsa_, rsa_pub,
        [](auto a, auto) { return a.size() == 256 && (a[0] & 0x80) == 0; }, true);
    until("num-rsa-short", rsa_, rsa_pub, [](auto a, auto) { return a.size() < 256; });
    until("num-ecdsa-short-r", p256_, p_pub, [](auto a, auto) { return a.size() < 32; });
    until("num-ecdsa-short-s", p256_, p_pub, [](auto, auto b) { return b.size() < 32; });
    until("num-ed-short-r", ed_, pub, [](auto a, auto) { return a.size() < 32; });
    until("num-ed-short-s", ed_, pub, [](auto, auto b) { return b.size() < 32; });
    SigSpec spec = Now();
    spec.algorithm = kDsaAlgorithm;
    Add("num-algorithm-dsa-on-rsa", rsa_pub, SigPkt(rsa_, 0, "data\n", spec), "sig.bad");
    spec.algorithm = kEcdsa;
    Add("num-algorithm-ecdsa-on-ed", pub, SigPkt(ed_, 0, "data\n", spec), "sig.bad");
    spec.algorithm = kRsaSignOnly;
    Add("num-algorithm-rsa-sign-only", rsa_pub, SigPkt(rsa_, 0, "data\n", spec), "");
    spec.algorithm = 99;
    Add("num-algorithm-unknown", pub, SigPkt(ed_, 0, "data\n", spec), "sig.bad");
  }

  // Makes the bit count of the only number 2,048, whatever its top bits are.
  static void AppendRounded(std::string* n) {
    (*n)[0] = 8;
    (*n)[1] = 0;
  }
  std::string Good(const TestKey& key) { return SigPkt(key, 0, "data\n", Now()); }

  void Keys() {
    auto add = [&](std::string name, std::string pub, std::string want) {
      Add("key-" + name, pub, Good(ed_), want);
    };
    std::string key = KeyPkt(ed_), user = UserPkt("u"), data = UserData(ed_, "u");
    auto self = [&](int64_t time, std::string hashed, uint8_t type = 0x13) {
      return SigPkt(ed_, type, data, {.time = time, .hashed = hashed});
    };
    auto direct = [&](uint8_t type, int64_t time, std::string hashed) {
      return SigPkt(ed_, type, KeyData(ed_), {.time = time, .hashed = hashed});
    };
    add("bare", key, "sig.key_unusable");
    add("user-without-signature", key + user, "sig.key_unusable");
    add("direct-only", key + direct(0x1f, t_, Flags(3)), "sig.key_unusable");
    for (int type : {0x10, 0x11, 0x12, 0x13})
      add(absl::StrCat("self-", absl::Hex(type)),
          key + user + self(t_, Flags(3), static_cast<uint8_t>(type)), "");
    add("self-wrong-type", key + user + self(t_, Flags(3), 0x18), "sig.key_unusable");
    add("self-over-other-user", key + UserPkt("w") + self(t_, Flags(3)), "sig.key_unusable");
    add("self-by-stranger", key + user + SigPkt(other_, 0x13, data, Self()), "sig.key_unusable");
    add("self-future", key + user + self(now_ + kDay, Flags(3)), "sig.key_unusable");
    add("self-expired", key + user + self(t_, Flags(3) + Sub(3, U32(kDay))), "sig.key_unusable");
    add("self-critical-unknown", key + user + self(t_, Flags(3) + Sub(100, "x", true)),
        "sig.key_unusable");
    add("self-sha1-old",
        key + user + SigPkt(ed_, 0x13, data, {.time = t_, .hash = kSha1, .hashed = Flags(3)}),
        "sig.weak");
    add("flags-none", key + user + self(t_, ""), "");
    add("flags-certify-only", key + user + self(t_, Flags(1)), "sig.key_unusable");
    add("flags-encrypt-only", key + user + self(t_, Flags(0x0c)), "sig.key_unusable");
    add("flags-sign-only", key + user + self(t_, Flags(2)), "");
    add("flags-empty", key + user + self(t_, Sub(27, "")), "sig.key_unusable");
    add("flags-newest-wins-yes", key + user + self(t_, Flags(1)) + self(t_ + 10, Flags(3)), "");
    add("flags-newest-wins-no", key + user + self(t_ + 10, Flags(1)) + self(t_, Flags(3)),
        "sig.key_unusable");
    auto life = [](int64_t days) { return Sub(9, U32(days * kDay)); };
    add("alive", key + user + self(t_, Flags(3) + life(200)), "");
    add("expired-before-signing", key + user + self(t_, Flags(3) + life(50)), "sig.key_expired");
    add("expiry-zero", key + user + self(t_, Flags(3) + life(0)), "");
    add("expiry-extended",
        key + user + self(t_, Flags(3) + life(50)) + self(t_ + 10, Flags(3) + life(200)), "");
    add("expiry-shortened",
        key + user + self(t_, Flags(3) + life(200)) + self(t_ + 10, Flags(3) + life(50)),
        "sig.key_expired");
    add("expiry-removed", key + user + self(t_, Flags(3) + life(50)) + self(t_ + 10, Flags(3)), "");
    add("user-revoked", key + user + self(t_, Flags(3)) + SigPkt(ed_, 0x30, data, At(t_ + 10)),
        "sig.key_unusable");
    add("user-revoked-and-renewed",
        key + user + self(t_, Flags(3)) + SigPkt(ed_, 0x30, data, At(t_ + 10)) +
            self(t_ + 20, Flags(3)),
        "");
    add("user-revoked-by-stranger",
        key + user + self(t_, Flags(3)) + SigPkt(other_, 0x30, data, At(t_ + 10)), "");
    add("second-user-counts",
        key + user + UserPkt("v") + SigPkt(ed_, 0x13, UserData(ed_, "v"), Self()), "");
    auto reason = [](int code) { return Sub(29, std::string(1, static_cast<char>(code)) + "why"); };
    std::string bound = user + self(t_, Flags(3));
    for (int code : {0, 1, 2, 3, 32, 77}) {
      bool soft = code == 1 || code == 3 || code == 32;
      add(absl::StrCat("revoked-", code, "-before"),
          key + direct(0x20, t_ + 10, reason(code)) + bound, "sig.key_revoked");
      add(absl::StrCat("revoked-", code, "-after"),
          key + direct(0x20, now_ - 10, reason(code)) + bound, soft ? "" : "sig.key_revoked");
    }
    add("revoked-no-reason", key + direct(0x20, now_ - 10, "") + bound, "sig.key_revoked");
    add("revoked-by-stranger", key + SigPkt(other_, 0x20, KeyData(ed_), At(t_ + 10)) + bound, "");
    std::string forged = MakeSig(ed_, 0x20, KeyData(ed_), At(t_ + 10));
    forged[forged.size() - 4] ^= 1;
    add("revoked-forged", key + Pkt(kTagSignature, forged) + bound, "");
    add("revoked-future", key + direct(0x20, now_ + 10 * kDay, reason(0)) + bound,
        "sig.key_revoked");
    add("revoked-future-soft", key + direct(0x20, now_ + 10 * kDay, reason(1)) + bound, "");
    add("revocation-of-another-key", key + SigPkt(ed_, 0x20, KeyData(other_), At(t_ + 10)) + bound,
        "");
    add("trust-packet", key + Pkt(kTagTrust, "xx") + bound, "");
    add("broken-subkey-beside", key + bound + Pkt(kTagPublicSubkey, "\x04junk"), "");
    add("unknown-subkey-beside", key + bound + Pkt(kTagPublicSubkey, "\x04" + U32(t_) + "\x63xx"),
        "");
    std::string v3 = key;
    v3[2] = 3;
    add("version-3-before", v3 + key + bound, "");
    add("in-second-certificate", Cert(other_, Self(), "v") + key + bound, "");
    TestKey late = MakeKey(KeyType::kEd25519, now_ - 10);
    Add("key-younger-than-signature", Cert(late, {.time = now_ - 10, .hashed = Flags(3)}),
        SigPkt(late, 0, "data\n", At(now_ - kDay)), "sig.not_yet_valid");
    Add("signature-future", Cert(ed_, Self()), SigPkt(ed_, 0, "data\n", At(now_ + 3 * kDay)),
        "sig.not_yet_valid");
    // Designated revoker.
    std::string revoker = Sub(12, std::string("\x80\x16", 2) + other_.packet.fingerprint);
    std::string theirs = SigPkt(other_, 0x20, KeyData(ed_), At(t_ + 10));
    std::string with_revoker = key + direct(0x1f, t_, revoker) + theirs + bound;
    add("designated-revoker-known", with_revoker + Cert(other_, Self(), "v"), "sig.key_revoked");
    add("designated-revoker-unknown", with_revoker, "");
    add("designated-without-grant", key + theirs + bound + Cert(other_, Self(), "v"), "");
  }

  void Subkeys() {
    TestKey sub = MakeKey(KeyType::kEd25519, t_);
    std::string main = Cert(ed_, Self(Flags(1))), data = KeyData(ed_) + KeyData(sub);
    std::string packet = Pkt(kTagPublicSubkey, sub.packet.body);
    auto back = [&](const TestKey& by, uint8_t type, std::string over, SigSpec spec) {
      return Sub(32, MakeSig(by, type, over, spec));
    };
    std::string good_back = back(sub, 0x19, data, At(t_));
    auto bind = [&](std::string hashed, std::string unhashed, int64_t time) {
      return SigPkt(ed_, 0x18, data, {.time = time, .hashed = hashed, .unhashed = unhashed});
    };
    auto add = [&](std::string name, std::string rest, std::string want) {
      Add("subkey-" + name, main + packet + rest, Good(sub), want);
    };
    add("good", bind(Flags(2), good_back, t_), "");
    add("good-hashed", bind(Flags(2) + good_back, "", t_), "");
    add("unbound", "", "sig.key_unusable");
    add("no-back-signature", bind(Flags(2), "", t_), "sig.key_unusable");
    std::string torn = MakeSig(sub, 0x19, data, At(t_));
    torn[torn.size() - 4] ^= 1;
    add("back-corrupt", bind(Flags(2), Sub(32, torn), t_), "sig.key_unusable");
    add("back-wrong-type", bind(Flags(2), back(sub, 0x18, data, At(t_)), t_), "sig.key_unusable");
    add("back-by-other", bind(Flags(2), back(other_, 0x19, data, At(t_)), t_), "sig.key_unusable");
    add("back-other-primary",
        bind(Flags(2), back(sub, 0x19, KeyData(other_) + KeyData(sub), At(t_)), t_),
        "sig.key_unusable");
    add("back-expired",
        bind(Flags(2), back(sub, 0x19, data, {.time = t_, .hashed = Sub(3, U32(10))}), t_),
        "sig.key_unusable");
    add("flags-none", bind("", good_back, t_), "sig.key_unusable");
    add("flags-encrypt", bind(Flags(0x0c), good_back, t_), "sig.key_unusable");
    add("bound-by-stranger",
        SigPkt(other_, 0x18, data, {.time = t_, .hashed = Flags(2), .unhashed = good_back}),
        "sig.key_unusable");
    add("expired", bind(Flags(2) + Sub(9, U32(50 * kDay)), good_back, t_), "sig.key_expired");
    auto revoke = [&](int code, int64_t time) {
      return SigPkt(ed_, 0x28, data,
                    {.time = time, .hashed = Sub(29, std::string(1, static_cast<char>(code)))});
    };
    add("revoked-hard-later", bind(Flags(2), good_back, t_) + revoke(2, now_ - 10),
        "sig.key_revoked");
    add("revoked-soft-later", bind(Flags(2), good_back, t_) + revoke(1, now_ - 10), "");
    add("revoked-soft-before", bind(Flags(2), good_back, t_) + revoke(1, t_ + 10),
        "sig.key_revoked");
    add("revoked-by-stranger",
        bind(Flags(2), good_back, t_) + SigPkt(other_, 0x28, data, At(t_ + 10)), "");
    // An honest key's subkey adopted by another primary: it never agreed.
    TestKey thief = MakeKey(KeyType::kEd25519, t_);
    Add("subkey-adopted",
        Cert(thief, Self(), "t") + packet +
            SigPkt(thief, 0x18, KeyData(thief) + KeyData(sub),
                   {.time = t_, .hashed = Flags(2), .unhashed = good_back}),
        Good(sub), "sig.key_unusable");
    Add("subkey-of-expired-primary",
        Cert(ed_, Self(Flags(1) + Sub(9, U32(50 * kDay)))) + packet + bind(Flags(2), good_back, t_),
        Good(sub), "sig.key_expired");
    Add("subkey-of-revoked-primary",
        KeyPkt(ed_) + SigPkt(ed_, 0x20, KeyData(ed_), At(now_ - 10)) +
            Cert(ed_, Self(Flags(1))).substr(KeyPkt(ed_).size()) + packet +
            bind(Flags(2), good_back, t_),
        Good(sub), "sig.key_revoked");
  }

 private:
  int64_t now_, t_;
  TestKey rsa_, ed_, other_, p256_;
};

std::string Ours(const Case& c) {
  auto keys = Keyring::FromBytes(c.pub);
  if (!keys.ok()) return base::ReasonOf(keys.status());
  auto v = VerifyDetached(c.sig, c.data, *keys, Policy(), base::Op());
  return base::ReasonOf(v.ok() ? v->ToStatus("data") : v.status());
}

TEST_CASE(
    "openpgp: hand-made signatures and keys are judged right, and as gpg, gpgv and sqv do but "
    "where differences.tsv says why not",
    "[libtrust][openpgp][gpg]") {
  Maker maker;
  maker.Algorithms();
  maker.Types();
  maker.Framing();
  maker.Armors();
  maker.Subpackets();
  maker.Numbers();
  maker.Keys();
  maker.Subkeys();
  CHECK(maker.cases.size() >= 250);
  std::map<std::string, std::string> listed;  // "tool case" -> why
  std::ifstream table("libtrust/openpgp/differences.tsv");
  REQUIRE(table);
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    size_t a = line.find('\t'), b = line.find('\t', a + 1), c = line.find('\t', b + 1);
    REQUIRE(c != std::string::npos);
    for (absl::string_view tool : absl::StrSplit(line.substr(0, a), ','))
      listed[absl::StrCat(tool, " ", line.substr(a + 1, b - a - 1))] = line.substr(c + 1);
  }
  std::vector<std::string> tools;
  for (const char* tool : {"gpg", "gpgv", "sqv"})
    if (GpgHome::Have(tool)) tools.push_back(tool);
  std::set<std::string> names, differing;
  GpgHome home;
  for (const Case& c : maker.cases) {
    INFO(c.name);
    CHECK(names.insert(c.name).second);
    std::string ours = Ours(c);
    CHECK(ours == c.want);
    home.Write("pub", c.pub);
    home.Write("sig", c.sig);
    home.Write("data", c.data);
    std::string said;
    for (const std::string& tool : tools) {
      bool accepts = Accepts(home, tool, &said);
      if (accepts == ours.empty()) continue;
      std::string key = tool + " " + c.name;
      differing.insert(key);
      INFO(tool << (accepts ? " accepts: " : " refuses: ") << said);
      CHECK(listed.count(key) == 1);
    }
  }
  for (const auto& [key, why] : listed) {
    bool have = std::count(tools.begin(), tools.end(), key.substr(0, key.find(' '))) != 0;
    INFO(key << " is listed as a difference and is none");
    if (have) CHECK(differing.count(key) == 1);
  }
}

}  // namespace
}  // namespace coaming::trust::openpgp
