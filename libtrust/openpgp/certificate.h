// Certificate is one OpenPGP public key with its subkeys, user ids and the signatures that bind them.
// Keyring is a list of certificates to look signers up in.
//
//   COAM_ASSIGN_OR_RETURN(openpgp::Keyring keys, openpgp::Keyring::FromBytes(pubkeys_gpg));
//   std::string text = openpgp::ReviewText(keys);   // what `rkt trust` shows before it asks
//
// RFC 9580 sections 4, 5, 10 (RFC 4880). Keys of version 4 and 6 with RSA, DSA, ECDSA (P-256, P-384,
// P-521) and Ed25519; other keys are kept but verify nothing. Reading judges no signature; that
// happens against a policy and a time when one is verified (verify.h).
// Ownership: values; a copy shares the parsed, immutable inside. Threads: [immutable] while const.
// Limits: keyring_bytes; 4,096 certificates, 1,024 parts each and 2,000 signatures for each part are
// read, the rest is refused. Hostile bytes give sig.key_invalid.
#ifndef COAMING_LIBTRUST_OPENPGP_CERTIFICATE_H_
#define COAMING_LIBTRUST_OPENPGP_CERTIFICATE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"

namespace coaming::trust::openpgp {

namespace internal {
struct CertificateData;
}  // namespace internal

class Certificate {
 public:
  explicit Certificate(std::shared_ptr<const internal::CertificateData> data);

  // Lower-case hex: 40 digits for version 4, 64 for version 6.
  const std::string& fingerprint() const;
  const std::string& key_id() const;  // 16 digits
  int64_t created() const;            // seconds since 1970
  std::vector<std::string> subkey_fingerprints() const;
  // As written by their owner: any bytes, unverified. Use Printable before showing them.
  std::vector<std::string> user_ids() const;
  // The packets as they were read, public parts only.
  const std::string& bytes() const;
  std::string Armored() const;
  // Algorithm of the primary key for people: "rsa2048", "ed25519", "nistp256".
  std::string algorithm() const;

  const internal::CertificateData& data() const { return *data_; }

 private:
  std::shared_ptr<const internal::CertificateData> data_;
};

class Keyring {
 public:
  Keyring() = default;
  // FromBytes reads one or more certificates, armored (any number of blocks) or binary. Secret keys
  // are refused. Errors: sig.key_invalid, core.limit.
  static absl::StatusOr<Keyring> FromBytes(std::string_view bytes,
                                           const base::Limits* limits = nullptr);

  // Add appends; a certificate of the same fingerprint is replaced.
  void Add(const Certificate& certificate);
  void Add(const Keyring& other);
  // Remove drops the certificate with this primary fingerprint; false if there was none.
  bool Remove(std::string_view fingerprint);

  const std::vector<Certificate>& certificates() const { return certificates_; }
  bool empty() const { return certificates_.empty(); }
  size_t size() const { return certificates_.size(); }
  // Find takes a primary's or subkey's fingerprint, or the last 16 digits of one; either case, blanks
  // and "0x" are skipped; nullptr if there is none, and also if 16 digits fit two certificates.
  const Certificate* Find(std::string_view fingerprint_or_id) const;
  std::string Bytes() const;    // binary, all certificates
  std::string Armored() const;  // one block

 private:
  std::vector<Certificate> certificates_;
};

// FormatFingerprint writes groups of four upper-case digits with a double blank in the middle, as gpg
// and `rkt trust` show them: "BD1E F5A3 ...  7E31 ...".
std::string FormatFingerprint(std::string_view fingerprint);
// NormalizeFingerprint drops blanks, colons and 0x and makes lower case; "" if it is no fingerprint.
std::string NormalizeFingerprint(std::string_view text);
// ReviewText shows fingerprints, subkeys and identities of every certificate, as `rkt trust` does.
std::string ReviewText(const Keyring& keys);
// Printable replaces control characters and bytes that are not UTF-8, so that a user id cannot steer
// a terminal or fake a line.
std::string Printable(std::string_view text);

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_CERTIFICATE_H_
