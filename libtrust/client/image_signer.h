// LoadImageSigner reads the keys that images are signed with when they are copied.
//
//   COAM_ASSIGN_OR_RETURN(auto sign, trust::LoadImageSigner({.openpgp_key = "key.asc"}, op));
//   COAM_ASSIGN_OR_RETURN(auto signatures, sign("sha256:...", "quay.io/org/app:1"));
//
// One signature a key: simple signing by the OpenPGP key, cosign's by the other. Ownership: the signer
// owns the keys, which are wiped with it. Threads: [immutable]. Limits: keyring_bytes.
// Errors: sig.key_invalid, sig.passphrase, sig.unsupported, fs errors; of the signer: policy.signature.
#ifndef COAMING_LIBTRUST_CLIENT_IMAGE_SIGNER_H_
#define COAMING_LIBTRUST_CLIENT_IMAGE_SIGNER_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/policy/policy.h"

namespace coaming::trust {

struct ImageSignerOptions {
  std::string openpgp_key;      // path of a secret key, armored or binary
  std::string sigstore_key;     // path of a private key in PEM
  std::string passphrase_file;  // its first line opens them
};

// LoadImageSigner gives an empty function if no key is named.
absl::StatusOr<ImageSigner> LoadImageSigner(const ImageSignerOptions& options, const base::Op& op);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_IMAGE_SIGNER_H_
