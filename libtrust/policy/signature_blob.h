// Signature files as lookaside stores and dir: images hold them: simple signing bare, everything else
// behind a zero byte and the name of its format.
//
// containers/image's signature protocols, "signature access". Threads: functions. Limits: signature_bytes
// is the caller's. Hostile bytes give policy.signature.
#ifndef COAMING_LIBTRUST_POLICY_SIGNATURE_BLOB_H_
#define COAMING_LIBTRUST_POLICY_SIGNATURE_BLOB_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libtrust/policy/policy.h"

namespace coaming::trust {

// What cosign writes: the media type of its payload and the annotation that holds the signature.
inline constexpr std::string_view kCosignPayloadType =
    "application/vnd.dev.cosign.simplesigning.v1+json";
inline constexpr std::string_view kCosignAnnotation = "dev.cosignproject.cosign/signature";

absl::StatusOr<PolicySignature> ReadSignatureBlob(std::string_view bytes);
std::string WriteSignatureBlob(const PolicySignature& signature);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_SIGNATURE_BLOB_H_
