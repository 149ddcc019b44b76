// TrustPolicy is an administrator's policy.json: which images are taken, and what must have signed them.
//
//   COAM_ASSIGN_OR_RETURN(TrustPolicy policy, TrustPolicy::Parse(bytes));
//   COAM_RETURN_IF_ERROR(policy.Check(image, signatures, keys, op));      // OK: may be used
//
// containers-policy.json(5), as containers/image reads it: strict (an unknown or repeated member makes
// the whole file invalid), the most specific scope alone counts, all requirements of it must hold.
// Types: insecureAcceptAnything, reject, signedBy (GPG keys), sigstoreSigned (by key; fulcio, pki and
// Rekor are read and refused as unsupported). No I/O: KeySource reads key files.
// Ownership: a value. Threads: [immutable] while const. Limits: manifest_bytes; 1,000 signatures.
#ifndef COAMING_LIBTRUST_POLICY_POLICY_H_
#define COAMING_LIBTRUST_POLICY_POLICY_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/openpgp/verify.h"
#include "libtrust/policy/reference.h"

namespace coaming::trust {

// What is asked about.
struct PolicyImage {
  std::string transport = "docker";
  std::string name;             // what follows "docker://": "quay.io/org/app:1"
  std::string manifest_digest;  // of the bytes that were fetched, "sha256:..."
};

struct PolicySignature {
  enum class Kind { kSimpleSigning, kSigstore } kind = Kind::kSimpleSigning;
  std::string bytes;      // simple signing: the OpenPGP message; sigstore: the payload
  std::string signature;  // sigstore: base64
};

// ImageSigner makes signatures that say "the manifest `digest` is `reference`".
using ImageSigner = std::function<absl::StatusOr<std::vector<PolicySignature>>(
    std::string_view digest, std::string_view reference)>;

// KeySource reads the files that policies name.
class KeySource {
 public:
  virtual ~KeySource() = default;
  virtual absl::StatusOr<std::string> ReadKey(const std::string& path) = 0;
};

enum class IdentityMatch {
  kExact,
  kRepoDigestOrExact,
  kRepository,
  kExactReference,
  kExactRepository,
  kRemap,
};

struct Requirement {
  enum class Kind { kAccept, kReject, kSignedBy, kSigstoreSigned } kind = Kind::kReject;
  std::string key_type;                // signedBy
  std::vector<std::string> key_paths;  // any of them
  std::vector<std::string> key_datas;  // decoded
  std::string unsupported;             // "fulcio", "pki", "rekor": refused, not ignored
  IdentityMatch match = IdentityMatch::kRepoDigestOrExact;
  std::string reference;              // exactReference, exactRepository
  std::string prefix, signed_prefix;  // remapIdentity
};

// What a policy says of one image, requirement by requirement.
struct PolicyDecision {
  struct Step {
    std::string type;     // "signedBy"
    absl::Status status;  // OK: it holds
  };
  std::string subject;      // "docker:quay.io/org/app:1"
  std::string scope;        // the rule: "docker:quay.io/org", "default"
  std::vector<Step> steps;  // all must hold

  // ToStatus is OK or the first that does not hold; the message names rule and requirement, so do the
  // details policy.scope and policy.requirement ("1:signedBy").
  absl::Status ToStatus() const;
};

class TrustPolicy {
 public:
  // Errors: policy.invalid.
  static absl::StatusOr<TrustPolicy> Parse(std::string_view json);

  // RequirementsFor gives those of the most specific scope that the policy has for the image.
  const std::vector<Requirement>& RequirementsFor(const PolicyImage& image) const;
  // NeedsSignatures is true if some requirement looks at them.
  bool NeedsSignatures(const PolicyImage& image) const;
  // Decide judges every requirement of the rule for the image. Errors of the steps: policy.rejected,
  // policy.unsigned, sig.*, policy.signature, policy.identity, policy.unsupported, those of `keys`.
  PolicyDecision Decide(const PolicyImage& image, const std::vector<PolicySignature>& signatures,
                        KeySource& keys, const base::Op& op) const;
  // Check is Decide(...).ToStatus().
  absl::Status Check(const PolicyImage& image, const std::vector<PolicySignature>& signatures,
                     KeySource& keys, const base::Op& op) const;
  // ToJson writes the policy with its defaults filled in: {"default":[REQUIREMENT],"transports":
  // {"docker":{SCOPE:[REQUIREMENT]}}}; keys given as data are told by their number.
  std::string ToJson() const;

 private:
  struct Found {
    const std::vector<Requirement>* requirements;
    std::string scope;
  };
  Found Find(const PolicyImage& image) const;
  std::vector<Requirement> default_;
  std::map<std::string, std::map<std::string, std::vector<Requirement>>> transports_;
};

// MatchesIdentity compares the name that a signature states with the image's.
bool MatchesIdentity(const Requirement& requirement, std::string_view signed_name,
                     const PolicyImage& image);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_POLICY_H_
