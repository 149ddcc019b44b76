// PublicKey and PrivateKey: the signature algorithms of every scheme in libtrust, over BoringSSL.
//
// RSA (PKCS#1 v1.5 and PSS), ECDSA on P-256, P-384 and P-521, Ed25519; DSA for verification only.
// This package is the only one of libtrust that includes BoringSSL. What the bytes around a signature
// mean (OpenPGP, TUF, Notary, JWS) is the caller's business.
//
// Ownership: PublicKey is a cheap copy of something immutable. PrivateKey keeps its secret in
// SecretBytes between calls; BoringSSL holds it only within one. Threads: const calls are [immutable].
// Limits: RSA 1024 to 16384 bits (policies ask for more), DSA 1024 to 3072. Hostile keys and
// signatures cost one bounded operation and give false or sig.key_invalid.
#ifndef COAMING_LIBTRUST_KEYS_KEYS_H_
#define COAMING_LIBTRUST_KEYS_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest/digest.h"
#include "libtrust/keys/secret.h"

namespace coaming::trust {

enum class KeyType : uint8_t { kNone, kRsa, kEcdsaP256, kEcdsaP384, kEcdsaP521, kEd25519, kDsa };
// KeyTypeName is "rsa", "ecdsa-p256", "ed25519", ...
std::string_view KeyTypeName(KeyType type);

// Numbers are big-endian without sign; leading zero bytes are allowed.
class PublicKey {
 public:
  PublicKey() = default;  // type kNone: verifies nothing

  // All of these fail with sig.key_invalid.
  static absl::StatusOr<PublicKey> Rsa(std::string_view n, std::string_view e);
  // `point` is uncompressed: 04, x, y.
  static absl::StatusOr<PublicKey> Ecdsa(KeyType curve, std::string_view point);
  static absl::StatusOr<PublicKey> Ed25519(std::string_view raw);
  static absl::StatusOr<PublicKey> Dsa(std::string_view p, std::string_view q, std::string_view g,
                                       std::string_view y);
  static absl::StatusOr<PublicKey> FromSpki(std::string_view der);
  // A PEM "PUBLIC KEY" block, and nothing of weight around it; headers inside are skipped.
  static absl::StatusOr<PublicKey> FromPem(std::string_view pem);

  KeyType type() const;
  int bits() const;  // of the modulus or the curve
  // SpkiDer is the key's SubjectPublicKeyInfo: equal keys have equal bytes.
  std::string SpkiDer() const;
  std::string SpkiPem() const;
  // Raw is the 32 bytes of Ed25519 or the uncompressed point of ECDSA; "" for the rest.
  std::string Raw() const;
  std::string RsaModulus() const;  // "" unless RSA
  std::string RsaExponent() const;

  // Each answers false for a key of another type and for every malformed signature.
  // RSA values must be below the modulus; a shorter one is taken as padded on the left.
  bool VerifyRsaPkcs1(base::DigestAlgorithm hash, std::string_view digest,
                      std::string_view signature) const;
  static constexpr int kSaltAny = -2;     // read from the signature
  static constexpr int kSaltDigest = -1;  // exactly the digest's length
  bool VerifyRsaPss(base::DigestAlgorithm hash, std::string_view digest, std::string_view signature,
                    int salt = kSaltAny) const;
  bool VerifyEcdsaDer(std::string_view digest, std::string_view der) const;
  // Numbers r and s on their own, each at most as long as the order.
  bool VerifyEcdsa(std::string_view digest, std::string_view r, std::string_view s) const;
  bool VerifyEd25519(std::string_view message, std::string_view signature) const;
  bool VerifyDsa(std::string_view digest, std::string_view r, std::string_view s) const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) {
    return a.SpkiDer() == b.SpkiDer();
  }

  struct Impl;

 private:
  friend class PrivateKey;
  explicit PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

class PrivateKey {
 public:
  PrivateKey() = default;
  PrivateKey(PrivateKey&&) = default;
  PrivateKey& operator=(PrivateKey&&) = default;

  // `bits` counts for RSA only: 2048 to 8192. DSA is never made.
  static absl::StatusOr<PrivateKey> Generate(KeyType type, int bits = 3072);
  static absl::StatusOr<PrivateKey> Rsa(std::string_view n, std::string_view e, std::string_view d,
                                        std::string_view p, std::string_view q);
  static absl::StatusOr<PrivateKey> Ecdsa(KeyType curve, std::string_view scalar);
  static absl::StatusOr<PrivateKey> Ed25519(std::string_view seed);
  // PKCS#8 PrivateKeyInfo, version 0 or 1 (Notary writes 1).
  static absl::StatusOr<PrivateKey> FromPkcs8(std::string_view der);
  // PEM "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY" or, with the passphrase, "ENCRYPTED
  // PRIVATE KEY" (PBES2), or one with the headers of RFC 1421. Errors: sig.key_invalid, sig.passphrase.
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem, std::string_view passphrase = "");

  KeyType type() const { return public_key_.type(); }
  const PublicKey& public_key() const { return public_key_; }
  SecretBytes Pkcs8Der() const;
  PrivateKey Clone() const;

  // Parts for OpenPGP's secret key packets. Ecdsa: padded to the order's length.
  struct RsaParts {
    SecretBytes d, p, q, u;  // u = p^-1 mod q
  };
  absl::StatusOr<RsaParts> RsaSecret() const;
  SecretBytes Scalar() const;  // of ECDSA; the seed of Ed25519

  // All fail with sig.key_invalid for a key of another type.
  absl::StatusOr<std::string> SignRsaPkcs1(base::DigestAlgorithm hash,
                                           std::string_view digest) const;
  // The salt is as long as the digest.
  absl::StatusOr<std::string> SignRsaPss(base::DigestAlgorithm hash, std::string_view digest) const;
  absl::StatusOr<std::string> SignEcdsaDer(std::string_view digest) const;
  // r and s, each padded to the order's length, one after the other.
  absl::StatusOr<std::string> SignEcdsaRaw(std::string_view digest) const;
  absl::StatusOr<std::string> SignEd25519(std::string_view message) const;

 private:
  PublicKey public_key_;
  SecretBytes pkcs8_;  // or the seed, for Ed25519
};

// EncryptPkcs8Pem writes "ENCRYPTED PRIVATE KEY": PBES2, PBKDF2, AES-256-CBC. Notary's clients know the
// HMAC of SHA-1 only, as PBKDF2 has it by default.
enum class Pbkdf2Hmac : uint8_t { kSha256, kSha1 };
absl::StatusOr<std::string> EncryptPkcs8Pem(const PrivateKey& key, std::string_view passphrase,
                                            Pbkdf2Hmac hmac = Pbkdf2Hmac::kSha256);

// PemOf writes a PEM block.
std::string PemOf(std::string_view label, std::string_view der);

// EcdsaDerToRaw and back: DER ECDSA-Sig-Value against r and s of `size` bytes each; "" if malformed.
std::string EcdsaDerToRaw(std::string_view der, size_t size);
std::string EcdsaRawToDer(std::string_view raw);
// OrderSize is the number of bytes of the curve's order: 32, 48, 66; 0 for the rest.
size_t OrderSize(KeyType type);

// RandomBytes fills `size` bytes from the kernel's generator.
std::string RandomBytes(size_t size);
void RandomFill(void* out, size_t size);
// EqualConstantTime compares secrets without telling where they differ.
bool EqualConstantTime(std::string_view a, std::string_view b);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYS_KEYS_H_
