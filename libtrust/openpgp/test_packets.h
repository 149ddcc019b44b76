// Test help: OpenPGP packets by hand, right and wrong ones, of versions 4 and 6.
#ifndef COAMING_LIBTRUST_OPENPGP_TEST_PACKETS_H_
#define COAMING_LIBTRUST_OPENPGP_TEST_PACKETS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/digest/hasher.h"
#include "libtrust/keys/keys.h"
#include "libtrust/openpgp/packet.h"

namespace coaming::trust::openpgp {

inline constexpr int64_t kDay = 86400;

struct TestKey {
  PrivateKey secret;
  internal::KeyPacket packet;
};

inline std::string U32(int64_t value) {
  std::string out;
  internal::AppendU32(static_cast<uint32_t>(value), &out);
  return out;
}

// `algorithm` 0: what fits the type; 27 for the new form of Ed25519.
inline TestKey MakeKey(KeyType type, int64_t created, int version = 4, uint8_t algorithm = 0,
                       int bits = 2048) {
  using namespace internal;
  TestKey out;
  out.secret = *PrivateKey::Generate(type, bits);
  const PublicKey& key = out.secret.public_key();
  std::string material;
  if (algorithm == 0)
    algorithm = type == KeyType::kRsa       ? uint8_t{kRsa}
                : type == KeyType::kEd25519 ? uint8_t{kEddsaLegacy}
                                            : uint8_t{kEcdsa};
  if (algorithm == kRsa) {
    AppendMpi(key.RsaModulus(), &material);
    AppendMpi(key.RsaExponent(), &material);
  } else if (algorithm == kEd25519Algorithm) {
    material = key.Raw();
  } else {
    std::string_view oid = CurveOid(type);
    material.push_back(static_cast<char>(oid.size()));
    material += oid;
    AppendMpi(type == KeyType::kEd25519 ? "\x40" + key.Raw() : key.Raw(), &material);
  }
  std::string body(1, static_cast<char>(version));
  body += U32(created);
  body.push_back(static_cast<char>(algorithm));
  if (version == 6) body += U32(static_cast<int64_t>(material.size()));
  body += material;
  out.packet = *ParseKeyPacket(body, nullptr);
  return out;
}

inline std::string Sub(uint8_t type, std::string_view body, bool critical = false) {
  std::string out;
  size_t size = body.size() + 1;
  if (size < 192) {
    out.push_back(static_cast<char>(size));
  } else {
    out.push_back('\xff');
    out += U32(static_cast<int64_t>(size));
  }
  out.push_back(static_cast<char>(type | (critical ? 0x80 : 0)));
  out += body;
  return out;
}

struct SigSpec {
  int64_t time = 0;
  uint8_t hash = internal::kSha256;
  std::string hashed;  // further subpackets
  std::string unhashed;
  bool creation = true;
  bool fingerprint = true;
  bool issuer = true;
  uint8_t algorithm = 0;                                // written instead of the key's
  std::function<void(std::string*)> numbers = nullptr;  // changes the numbers
};

// Makes the body of a signature by `key` over `data` (already with its prefixes).
inline std::string MakeSig(const TestKey& key, uint8_t type, std::string_view data,
                           const SigSpec& spec) {
  using namespace internal;
  const bool v6 = key.packet.version == 6;
  std::string area;
  if (spec.fingerprint)
    area += Sub(33, std::string(1, static_cast<char>(key.packet.version)) + key.packet.fingerprint);
  if (spec.creation) area += Sub(2, U32(spec.time));
  area += spec.hashed;
  std::string unhashed = spec.issuer && !v6 ? Sub(16, key.packet.key_id) : "";
  unhashed += spec.unhashed;
  uint8_t algorithm = spec.algorithm != 0 ? spec.algorithm : key.packet.algorithm;
  SignaturePacket s;
  s.version = key.packet.version;
  s.hashed = {static_cast<char>(s.version), static_cast<char>(type), static_cast<char>(algorithm),
              static_cast<char>(spec.hash)};
  if (v6) s.hashed += U32(static_cast<int64_t>(area.size()));
  else AppendU16(static_cast<uint32_t>(area.size()), &s.hashed);
  s.hashed += area;
  std::string salt = v6 ? RandomBytes(spec.hash == kSha512   ? 32
                                      : spec.hash == kSha384 ? 24
                                                             : 16)
                        : "";
  base::DigestAlgorithm hash = HashAlgorithm(spec.hash);
  base::Hasher hasher(hash);
  hasher.Update(salt);
  hasher.Update(data);
  s.HashTrailer(&hasher);
  std::string digest = hasher.FinishBytes();
  std::string numbers;
  if (key.secret.type() == KeyType::kRsa) {
    AppendMpi(*key.secret.SignRsaPkcs1(hash, digest), &numbers);
  } else if (key.packet.algorithm == kEd25519Algorithm) {
    numbers = *key.secret.SignEd25519(digest);
  } else {
    std::string raw = key.secret.type() == KeyType::kEd25519 ? *key.secret.SignEd25519(digest)
                                                             : *key.secret.SignEcdsaRaw(digest);
    AppendMpi(std::string_view(raw).substr(0, raw.size() / 2), &numbers);
    AppendMpi(std::string_view(raw).substr(raw.size() / 2), &numbers);
  }
  if (spec.numbers) spec.numbers(&numbers);
  std::string out = s.hashed;
  if (v6) out += U32(static_cast<int64_t>(unhashed.size()));
  else AppendU16(static_cast<uint32_t>(unhashed.size()), &out);
  out += unhashed + digest.substr(0, 2);
  if (v6) out += std::string(1, static_cast<char>(salt.size())) + salt;
  return out + numbers;
}

inline std::string Pkt(uint8_t tag, std::string_view body) {
  std::string out;
  internal::AppendPacket(tag, body, &out);
  return out;
}
inline std::string SigPkt(const TestKey& key, uint8_t type, std::string_view data,
                          const SigSpec& spec) {
  return Pkt(internal::kTagSignature, MakeSig(key, type, data, spec));
}

inline std::string KeyData(const TestKey& key) {
  std::string out;
  key.packet.AppendHashed(&out);
  return out;
}
inline std::string UserData(const TestKey& key, std::string_view user) {
  return KeyData(key) + "\xb4" + U32(static_cast<int64_t>(user.size())) + std::string(user);
}
inline std::string KeyPkt(const TestKey& key) {
  return Pkt(internal::kTagPublicKey, key.packet.body);
}
inline std::string UserPkt(std::string_view user) { return Pkt(internal::kTagUserId, user); }
inline std::string Flags(uint8_t flags) {
  return Sub(27, std::string(1, static_cast<char>(flags)));
}

// The usual certificate: key, user id "u", self-signature with `hashed`.
inline std::string Cert(const TestKey& key, const SigSpec& self, std::string_view user = "u") {
  return KeyPkt(key) + UserPkt(user) + SigPkt(key, 0x13, UserData(key, user), self);
}

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_TEST_PACKETS_H_
