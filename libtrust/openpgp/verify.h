// Verify judges OpenPGP signatures: detached, inline and cleartext. One result for every signature,
// with who, when and why not; never one bit for all.
//
//   COAM_ASSIGN_OR_RETURN(openpgp::Verdict v, openpgp::VerifyDetached(sig, reader, keys, policy, op));
//   COAM_RETURN_IF_ERROR(v.ToStatus("hello.aci"));
//
// or while the data arrives:
//
//   COAM_ASSIGN_OR_RETURN(auto verifier, openpgp::DetachedVerifier::New(sig, keys, policy, now_s));
//   verifier->Update(block);  ...
//   openpgp::Verdict v = verifier->Finish();
//
// RFC 9580 section 5.2; which keys may sign is decided as trust.md section 3.4 says: bound by a valid
// self-signature, flagged for signing, back-signed, alive and not revoked when the signature was made.
// Ownership: values; the verifier keeps what it needs of the keyring. Threads: [single]. Limits:
// signature_bytes; 64 signatures in one file; decompressed messages by the argument. Hostile input
// costs one hash pass per hash algorithm named and one public-key operation per candidate key.
#ifndef COAMING_LIBTRUST_OPENPGP_VERIFY_H_
#define COAMING_LIBTRUST_OPENPGP_VERIFY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/openpgp/certificate.h"

namespace coaming::base {
class Reader;
}  // namespace coaming::base

namespace coaming::trust::openpgp {

// Policy says what counts. The default is for images: strict where old tools are lax.
struct Policy {
  int min_rsa_bits = 2048;
  bool allow_dsa = false;  // legacy
  // Self-signatures with SHA-1 count if made before this time (2023-02-01); 0: never.
  int64_t sha1_self_signatures_before = 1675209600;
  // The signer's key must also be alive now, not only when it signed.
  bool require_alive_now = false;
  // Version 4 keys bound only by a direct-key signature, without a user id.
  bool allow_direct_key_v4 = false;
  int64_t clock_skew_s = 300;  // how far in the future a signature may lie
  int required = 1;            // good signatures by different certificates
};

enum class SignatureStatus : uint8_t {
  kGood,
  kBad,          // sig.bad: the data or the signature was changed
  kNoKey,        // sig.untrusted: made by a key that is not in the keyring
  kExpired,      // sig.expired: the signature itself
  kKeyExpired,   // sig.key_expired
  kKeyRevoked,   // sig.key_revoked
  kKeyUnusable,  // sig.key_unusable: not bound, not for signing, too weak
  kNotYet,       // sig.not_yet_valid: from the future, or older than its key
  kWeak,         // sig.weak: MD5, SHA-1, RIPEMD-160, or DSA without the policy for it
  kWrongType,    // sig.wrong_type: not a signature over a document
  kUnsupported,  // sig.unsupported: version, algorithm or critical extension not known here
  kMalformed,    // sig.malformed
};
// StatusReason is the row of reasons.tsv ("sig.bad"); "" for kGood.
std::string_view StatusReason(SignatureStatus status);
// StatusName is "good", "bad", "no key", ... for people.
std::string_view StatusName(SignatureStatus status);

struct SignatureResult {
  SignatureStatus status = SignatureStatus::kMalformed;
  std::string message;                // why not, one line; "" for kGood
  std::string fingerprint;            // of the certificate (primary key); "" if not known
  std::string signer_fingerprint;     // of the key or subkey that signed; "" if not known
  std::string key_id;                 // 16 hex digits as the signature claims; "" if it claims none
  std::vector<std::string> user_ids;  // printable, only those bound by a valid self-signature
  int64_t created = 0;                // seconds since 1970; 0 if not known
  int64_t expires = 0;                // 0: never
  std::string hash;                   // "sha256"
  std::string algorithm;              // "rsa", "ed25519", "ecdsa", ...
  bool text = false;                  // over text with normalised line ends
};

struct Verdict {
  std::vector<SignatureResult> signatures;  // in the order of the file
  int good = 0;                             // different certificates with a good signature
  int required = 1;

  bool ok() const { return good >= required; }
  // First good result, or nullptr.
  const SignatureResult* Signer() const;
  // ToStatus is OK if enough are good. Otherwise it names `subject` and the most telling failure:
  // sig.bad before revoked and expired before unsupported before sig.untrusted; sig.unsigned if there
  // is no signature at all; sig.threshold if some are good but too few.
  absl::Status ToStatus(std::string_view subject) const;
};

class DetachedVerifier {
 public:
  // `signature` is armored or binary; `now_s` is the time to judge by. Errors: sig.malformed (not a
  // signature file; also an inline or cleartext message, which would sign other bytes), sig.unsigned
  // (empty), core.limit.
  static absl::StatusOr<std::unique_ptr<DetachedVerifier>> New(
      std::string_view signature, const Keyring& keys, const Policy& policy, int64_t now_s,
      const base::Limits* limits = nullptr);
  ~DetachedVerifier();

  void Update(std::string_view data);
  // Finish judges all data given so far. Call it once.
  Verdict Finish();
  // MaybeKnown is true if some signature claims a key of the keyring: worth downloading the data.
  bool MaybeKnown() const;
  // The claimed issuers, as in SignatureResult::key_id.
  std::vector<std::string> Issuers() const;

 private:
  struct Impl;
  explicit DetachedVerifier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// VerifyDetached reads `data` to its end. The time is op.clock()'s. An error means that no verdict was
// reached (malformed signature file, read failure); refusals are in the verdict.
absl::StatusOr<Verdict> VerifyDetached(std::string_view signature, base::Reader& data,
                                       const Keyring& keys, const Policy& policy,
                                       const base::Op& op);
absl::StatusOr<Verdict> VerifyDetached(std::string_view signature, std::string_view data,
                                       const Keyring& keys, const Policy& policy,
                                       const base::Op& op);

struct Message {
  std::string content;  // exactly the bytes that were signed; empty unless verdict.ok()
  Verdict verdict;
};
// VerifyInline opens a signed message (one-pass or old style, compressed or not, armored or binary)
// and gives its content only if the verdict is good. `max_content` bounds the decompressed bytes.
// Errors: sig.malformed, core.limit.
absl::StatusOr<Message> VerifyInline(std::string_view message, const Keyring& keys,
                                     const Policy& policy, const base::Op& op,
                                     int64_t max_content = 4 << 20);
// VerifyCleartext opens a cleartext-framework message; exactly one, with nothing around it but white
// space. The content has LF line ends, without the dash escapes and trailing blanks.
absl::StatusOr<Message> VerifyCleartext(std::string_view message, const Keyring& keys,
                                        const Policy& policy, const base::Op& op);

// Usability tells whether a certificate could sign at time `now_s`: OK, or the reason it could not
// (sig.key_expired, sig.key_revoked, sig.key_unusable, sig.weak, sig.unsupported).
absl::Status Usability(const Certificate& certificate, const Keyring& keys, const Policy& policy,
                       int64_t now_s);

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_VERIFY_H_
