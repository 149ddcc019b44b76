// SecretKey is an OpenPGP key that can sign: generated here, or read from what gpg exports.
//
//   COAM_ASSIGN_OR_RETURN(openpgp::SecretKey key, openpgp::SecretKey::Generate(
//       {.user_id = "Ann <ann@example.com>", .created = now_s}));
//   COAM_ASSIGN_OR_RETURN(std::string asc, key.SignDetached(reader, {.time = now_s}, op));
//
// RFC 9580 sections 5.2, 5.5.3, 3.7 (RFC 4880). Writes version 4 keys and signatures, which every
// tool reads. Secret material is kept in SecretBytes. Protected keys are read with AES or 3DES, S2K
// simple, salted and iterated; written with AES-256 and iterated SHA-256.
// Ownership: one owner, movable. Threads: const calls are [immutable]. Limits: keyring_bytes.
#ifndef COAMING_LIBTRUST_OPENPGP_SIGN_H_
#define COAMING_LIBTRUST_OPENPGP_SIGN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/digest/digest.h"
#include "libtrust/keys/keys.h"
#include "libtrust/keys/secret.h"
#include "libtrust/openpgp/certificate.h"

namespace coaming::base {
class Reader;
}  // namespace coaming::base

namespace coaming::trust::openpgp {

struct GenerateOptions {
  std::string user_id;               // "Name <mail>", UTF-8, not empty
  KeyType type = KeyType::kEd25519;  // or kRsa, kEcdsaP256/384/521
  int rsa_bits = 3072;
  int64_t created = 0;          // seconds since 1970
  int64_t valid_s = 0;          // life of the key; 0: for ever
  bool signing_subkey = false;  // sign with a subkey; the primary then only certifies
};

struct SignOptions {
  int64_t time = 0;     // seconds since 1970
  int64_t valid_s = 0;  // life of the signature; 0: for ever
  bool armor = true;
  bool text = false;                                             // normalise line ends (type 0x01)
  base::DigestAlgorithm hash = base::DigestAlgorithm::kUnknown;  // kUnknown: what fits the key
};

class SecretKey {
 public:
  SecretKey(SecretKey&&) noexcept;
  SecretKey& operator=(SecretKey&&) noexcept;
  ~SecretKey();

  // Errors: sig.key_invalid (options), core.no_memory.
  static absl::StatusOr<SecretKey> Generate(const GenerateOptions& options);
  // FromBytes reads the first secret key, armored or binary. `passphrase` opens protected ones.
  // Subkeys without their secret (stubs) are kept without it. Errors: sig.key_invalid,
  // sig.passphrase (wrong or missing), sig.unsupported (cipher, S2K or algorithm).
  static absl::StatusOr<SecretKey> FromBytes(std::string_view bytes, std::string_view passphrase,
                                             const base::Limits* limits = nullptr);

  const Certificate& certificate() const;
  const std::string& fingerprint() const;
  // The key or subkey that SignDetached uses: the newest subkey that may sign, else the primary.
  std::string signing_fingerprint() const;

  // Export gives a secret key file that gpg imports; an empty passphrase leaves it unprotected.
  absl::StatusOr<SecretBytes> Export(std::string_view passphrase, bool armor = true) const;
  // RevocationCertificate is an armored 0x20 signature; reason 0 none, 1 superseded, 2 compromised,
  // 3 retired.
  absl::StatusOr<std::string> RevocationCertificate(int reason, std::string_view text,
                                                    int64_t time) const;

  absl::StatusOr<std::string> SignDetached(base::Reader& data, const SignOptions& options,
                                           const base::Op& op) const;
  absl::StatusOr<std::string> SignDetached(std::string_view data, const SignOptions& options) const;
  // SignInline gives a one-pass signed message (simple signing's form); not compressed.
  absl::StatusOr<std::string> SignInline(std::string_view content,
                                         const SignOptions& options) const;
  absl::StatusOr<std::string> SignCleartext(std::string_view text,
                                            const SignOptions& options) const;

 private:
  struct Impl;
  explicit SecretKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_SIGN_H_
