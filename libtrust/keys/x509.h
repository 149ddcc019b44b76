// X.509 certificates as keys that carry a name and a time: what Notary's root role and chains of signing
// certificates need, over BoringSSL. RFC 5280.
//
//   COAM_ASSIGN_OR_RETURN(auto chain, ParseCertificates(pem));     // leaf first
//   if (!ChainsTo(chain[0], rest, roots, now)) ...
//
// Ownership: values. Threads: functions without state; const values are [immutable]. Limits: 32
// certificates in one text, chains of at most 8. Hostile bytes give sig.key_invalid. Revocation and host
// names are not looked at; what a name means is the caller's business.
#ifndef COAMING_LIBTRUST_KEYS_X509_H_
#define COAMING_LIBTRUST_KEYS_X509_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libtrust/keys/keys.h"

namespace coaming::trust {

struct X509Certificate {
  std::string der;
  std::string common_name;      // of the subject, the last one; "" if there is none
  int64_t not_before = 0;       // seconds since 1970
  int64_t not_after = 0;        // the last second it is valid
  bool ca = false;              // basicConstraints CA:TRUE
  bool weak_signature = false;  // signed with MD5 or SHA-1
  PublicKey key;                // type kNone if it is of no supported kind
};

// ParseCertificates reads all CERTIFICATE blocks of a PEM text, in order; other blocks are skipped.
// Errors: sig.key_invalid if there is none or one is damaged.
absl::StatusOr<std::vector<X509Certificate>> ParseCertificates(std::string_view pem);
absl::StatusOr<X509Certificate> ParseCertificate(std::string_view der);

// MakeSigningCertificate is a self-signed certificate for code signing, as PEM, valid between the two
// times (seconds since 1970), with a serial number of 128 random bits. Errors: sig.key_invalid.
absl::StatusOr<std::string> MakeSigningCertificate(const PrivateKey& key,
                                                   std::string_view common_name, int64_t not_before,
                                                   int64_t not_after);

// ChainsTo is true if signatures and CA flags lead from `leaf`, through any of `between`, to one of
// `roots`, all of them valid at `now_s`.
bool ChainsTo(const X509Certificate& leaf, std::span<const X509Certificate> between,
              std::span<const X509Certificate> roots, int64_t now_s);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYS_X509_H_
