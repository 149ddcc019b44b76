// Private to libtrust/openpgp: packet framing, multi-precision integers, key and signature packets.
//
// RFC 9580 section 4 and 5. Every read is bounds-checked on a string_view; nothing here judges.
#ifndef COAMING_LIBTRUST_OPENPGP_PACKET_H_
#define COAMING_LIBTRUST_OPENPGP_PACKET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest/digest.h"
#include "libtrust/keys/keys.h"

namespace coaming::base {
class Hasher;
}  // namespace coaming::base

namespace coaming::trust::openpgp::internal {

enum Tag : uint8_t {
  kTagSignature = 2,
  kTagOnePass = 4,
  kTagSecretKey = 5,
  kTagPublicKey = 6,
  kTagSecretSubkey = 7,
  kTagCompressed = 8,
  kTagMarker = 10,
  kTagLiteral = 11,
  kTagTrust = 12,
  kTagUserId = 13,
  kTagPublicSubkey = 14,
  kTagUserAttribute = 17,
  kTagPadding = 21,
};

// Bytes is a cursor; a read past the end makes it bad and gives zeros.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : rest_(data) {}
  uint8_t U8();
  uint32_t U16();
  uint32_t U32();
  std::string_view Take(size_t size);
  // Mpi reads a two-byte bit count and that many bits, as bytes.
  std::string_view Mpi();
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Packet {
  uint8_t tag = 0;
  std::string_view whole;  // header and body; for partial lengths all chunks
  std::string_view body() const { return joined_used ? std::string_view(joined) : contiguous; }

  std::string_view contiguous;
  std::string joined;
  bool joined_used = false;
};

class PacketReader {
 public:
  explicit PacketReader(std::string_view data) : rest_(data) {}
  bool done() const { return rest_.empty(); }
  // Next reads one packet. Partial and indeterminate lengths are taken for data packets only.
  // Errors: sig.malformed.
  absl::Status Next(Packet* out);

 private:
  std::string_view rest_;
};

void AppendPacket(uint8_t tag, std::string_view body, std::string* out);
void AppendMpi(std::string_view number, std::string* out);
void AppendU16(uint32_t value, std::string* out);
void AppendU32(uint32_t value, std::string* out);

// Algorithm identifiers of RFC 9580 section 9.1.
enum PublicAlgorithm : uint8_t {
  kRsa = 1,
  kRsaEncryptOnly = 2,
  kRsaSignOnly = 3,
  kElgamal = 16,
  kDsaAlgorithm = 17,
  kEcdh = 18,
  kEcdsa = 19,
  kEddsaLegacy = 22,
  kX25519 = 25,
  kX448 = 26,
  kEd25519Algorithm = 27,
  kEd448 = 28,
};
// AlgorithmName is "rsa", "ecdsa", ... or "algorithm 99".
std::string AlgorithmName(uint8_t algorithm);

enum HashId : uint8_t {
  kMd5 = 1,
  kSha1 = 2,
  kRipemd160 = 3,
  kSha256 = 8,
  kSha384 = 9,
  kSha512 = 10,
  kSha224 = 11
};
std::string HashName(uint8_t id);
// HashAlgorithm is kUnknown for what cannot be computed here.
base::DigestAlgorithm HashAlgorithm(uint8_t id);
uint8_t HashIdOf(base::DigestAlgorithm algorithm);
// HashIsBroken is true for MD5, SHA-1 and RIPEMD-160.
bool HashIsBroken(uint8_t id);

struct KeyPacket {
  uint8_t version = 0;
  uint8_t algorithm = 0;
  int64_t created = 0;
  std::string body;         // public part
  std::string fingerprint;  // raw, 20 or 32 bytes
  std::string key_id;       // raw, 8 bytes
  PublicKey key;            // type kNone if it verifies nothing here
  std::string description;  // "rsa2048", "ed25519", "brainpoolP256r1", ...
  std::string problem;      // why `key` is kNone

  bool can_sign_by_algorithm() const;
  // The bytes that signatures over this key hash: 99 or 9B, length, body.
  void AppendHashed(std::string* out) const;
};
// ParseKeyPacket reads the body of a public key packet, or the public part of a secret one, whose rest
// it leaves in `secret_part` (null for a public packet, which must then be whole). Errors:
// sig.key_invalid (damaged), sig.unsupported (version).
absl::StatusOr<KeyPacket> ParseKeyPacket(std::string_view body, std::string_view* secret_part);

// OidOfCurve and back; "" or kNone if not known.
std::string_view CurveOid(KeyType type);
KeyType CurveOfOid(std::string_view oid);

struct RevocationKey {
  uint8_t algorithm;
  std::string fingerprint;  // raw
};

struct SignaturePacket {
  uint8_t version = 0;
  uint8_t type = 0;
  uint8_t algorithm = 0;
  uint8_t hash = 0;
  std::string hashed;    // what the trailer starts with: version .. hashed area (v3: type, time)
  std::string salt;      // v6
  std::string material;  // the numbers
  std::optional<int64_t> created;
  int64_t expires_s = 0;                 // after created; 0 never
  std::optional<int64_t> key_expires_s;  // after the key's creation
  std::optional<uint8_t> key_flags;      // first octet
  std::optional<uint8_t> revocation_reason;
  bool primary_user_id = false;
  std::vector<std::string> issuer_fingerprints;  // raw
  bool issuer_fingerprint_hashed = false;
  std::vector<std::string> issuer_ids;  // raw, 8 bytes
  std::vector<std::string> embedded;    // bodies of embedded signatures
  std::vector<RevocationKey> revocation_keys;
  std::string critical_unknown;  // "subpacket 44" if a critical part is not understood

  // May the key have made it? By what the signature claims of its issuer.
  bool ClaimsIssuer(const KeyPacket& key) const;
  // Adds what follows the data in the digest.
  void HashTrailer(base::Hasher* hasher) const;
};
// Errors: sig.malformed, sig.unsupported (version).
absl::StatusOr<SignaturePacket> ParseSignature(std::string_view body);

// VerifyDigest checks the numbers of a signature over a finished digest. Algorithm identifiers of key
// and signature must agree.
bool VerifyDigest(const KeyPacket& key, const SignaturePacket& signature, std::string_view digest);
// VerifyOver hashes `data` and the trailer and checks; false if the hash cannot be computed.
bool VerifyOver(const KeyPacket& key, const SignaturePacket& signature, std::string_view data);

}  // namespace coaming::trust::openpgp::internal

#endif  // COAMING_LIBTRUST_OPENPGP_PACKET_H_
