// Simple signing: the JSON that says "this manifest is that name", inside an OpenPGP message, and the
// same JSON beside a raw signature as cosign keeps it.
//
// containers-signature(5); cosign's SIGNATURE_SPEC. Verify first, parse after. Threads: functions.
// Limits: manifest_bytes. Hostile bytes give policy.signature.
#ifndef COAMING_LIBTRUST_POLICY_SIMPLE_SIGNING_H_
#define COAMING_LIBTRUST_POLICY_SIMPLE_SIGNING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libtrust/keys/keys.h"
#include "libtrust/openpgp/sign.h"

namespace coaming::trust {

struct SignedClaim {
  std::string manifest_digest;   // "sha256:..."
  std::string docker_reference;  // as written
  std::string creator;           // may be ""
  int64_t timestamp = 0;         // 0: not given
};

inline constexpr std::string_view kAtomicSignature = "atomic container signature";
inline constexpr std::string_view kCosignSignature = "cosign container image signature";

// ParseClaim reads the JSON of either type; unknown members in `critical` are refused.
absl::StatusOr<SignedClaim> ParseClaim(std::string_view json, std::string_view type);
std::string WriteClaim(const SignedClaim& claim, std::string_view type);

// VerifyCosign checks a base64 signature over `payload` by one of the keys and reads the claim.
// Errors: sig.bad, policy.signature.
absl::StatusOr<SignedClaim> VerifyCosign(std::string_view payload,
                                         std::string_view signature_base64,
                                         const std::vector<PublicKey>& keys);
// SignCosign gives the base64 signature over a payload: ECDSA with the curve's hash, Ed25519, or RSA
// PKCS#1 v1.5 with SHA-256.
absl::StatusOr<std::string> SignCosign(std::string_view payload, const PrivateKey& key);

// SignClaim makes simple signing's message (binary): "the manifest `digest` is `reference`", made at
// `time`, seconds since 1970. Errors: policy.signature (no digest, no name), those of SignInline.
absl::StatusOr<std::string> SignClaim(const openpgp::SecretKey& key, std::string_view digest,
                                      std::string_view reference, int64_t time);
struct CosignClaim {
  std::string payload, signature;  // JSON; base64
};
absl::StatusOr<CosignClaim> SignCosignClaim(const PrivateKey& key, std::string_view digest,
                                            std::string_view reference);
// ClaimToJson: schema coam.sig.claim.v1: {"digest","reference","creator","timestamp","fingerprint"}.
std::string ClaimToJson(const SignedClaim& claim, std::string_view fingerprint);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_SIMPLE_SIGNING_H_
