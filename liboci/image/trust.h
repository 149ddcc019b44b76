// ImageTrust is the policy that images must satisfy before they are used, and where their signatures are.
//
//   COAM_ASSIGN_OR_RETURN(copy.trust, oci::ImageTrust::Load(op, {.policy_path = "/etc/.../policy.json"}));
//   COAM_RETURN_IF_ERROR(oci::Copy(op, env, from, to, copy).status());   // refused, or it satisfies it
//
// policy.json and registries.d as containers/image reads them (libtrust/policy). Judged is each manifest
// that is used: the one chosen from an index, or with all images the index and every manifest of it. For
// docker:// signatures come from the lookaside store and, where registries.d says so, from the tag
// sha256-HEX.sig; for dir: from its signature files; layouts and archives have none.
// Ownership: shared, [immutable]. Limits: 128 signatures an image, signature_bytes each, keyring_bytes.
// Hostile input: what a store or registry answers is judged only after the policy's keys fit it.
// Errors: policy.*, sig.*, http.*, oci.*, fs.*.
#ifndef COAMING_LIBOCI_IMAGE_TRUST_H_
#define COAMING_LIBOCI_IMAGE_TRUST_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/name.h"
#include "liboci/spec/image/types.h"
#include "libtrust/policy/policy.h"
#include "libtrust/policy/registries.h"

namespace coaming::base {
class Transport;
}  // namespace coaming::base

namespace coaming::oci {

struct Env;
class ImageSource;

inline constexpr size_t kMaxSignatures = 128;  // of one manifest

struct TrustOptions {
  std::string policy_path;     // policy.json...
  std::string policy_json;     // ... or its text
  std::string registries_dir;  // directory of *.yaml files; "" for none
};

class ImageTrust {
 public:
  // Load gives null if the options name no policy.
  static absl::StatusOr<std::shared_ptr<const ImageTrust>> Load(const base::Op& op,
                                                                const TrustOptions& options);
  // Check is OK if the policy takes the manifest `d` of the image `name`. A signature that cannot be
  // fetched is an error only if the policy asks for one.
  absl::Status Check(const base::Op& op, ImageSource& source, const ImageName& name,
                     const Descriptor& d) const;
  // Explain judges the same and tells of every requirement. Schema coam.policy.decision.v1: {"image",
  // "digest","rule","allowed","signatures","requirements":[{"type","holds","reason","message"}]}.
  absl::StatusOr<std::string> Explain(const base::Op& op, const Env& env, const ImageName& name,
                                      const std::optional<Platform>& platform) const;

 private:
  struct Judged {
    trust::PolicyDecision decision;
    size_t signatures = 0;
  };
  absl::StatusOr<Judged> Judge(const base::Op& op, ImageSource& source, const ImageName& name,
                               const Descriptor& d) const;
  trust::TrustPolicy policy_;
  trust::SignatureStores stores_;
};

// LoadStores reads a registries_dir; "" gives empty ones.
absl::StatusOr<trust::SignatureStores> LoadStores(const base::Op& op,
                                                  const std::string& registries_dir);

// WriteLookaside adds a signature to a store of a file: URL, after those that are there.
absl::Status WriteLookaside(const base::Op& op, std::string_view base_url,
                            const Reference& repository, const base::Digest& digest,
                            const trust::PolicySignature& signature);
// ReadLookaside fetches the signatures of a manifest from a lookaside URL: BASE/REPOSITORY@ALGO=HEX/
// signature-N, from 1 until there is none. `transport` may be null for file: URLs.
absl::StatusOr<std::vector<trust::PolicySignature>> ReadLookaside(const base::Op& op,
                                                                  base::Transport* transport,
                                                                  std::string_view base_url,
                                                                  const Reference& repository,
                                                                  const base::Digest& digest);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_TRUST_H_
