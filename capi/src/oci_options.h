// The option families of coaming/oci.h, read into liboci's own options.
#ifndef COAMING_CAPI_SRC_OCI_OPTIONS_H_
#define COAMING_CAPI_SRC_OCI_OPTIONS_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "liboci/image/build.h"
#include "liboci/image/image.h"
#include "liboci/image/web.h"

namespace coaming::capi {

// OpenWeb makes the transport and the Env that the options ask for. `threads`: of the context.
absl::StatusOr<oci::Web> OpenWeb(const base::Op& op, const OptionReader& options, bool threads);
absl::StatusOr<std::optional<oci::Platform>> ReadPlatform(const OptionReader& options);
// ReadTrust reads the policy that the options name; null if none.
absl::StatusOr<std::shared_ptr<const oci::ImageTrust>> ReadTrust(const base::Op& op,
                                                                 const OptionReader& options);
absl::StatusOr<oci::CopyOptions> ReadCopyOptions(const base::Op& op, const OptionReader& options);
// ReadSigning reads the keys that "oci.copy" names, for the destination `to`.
absl::Status ReadSigning(const base::Op& op, const OptionReader& options, const oci::ImageName& to,
                         oci::CopyOptions* out);
absl::StatusOr<oci::UnpackOptions> ReadUnpackOptions(const OptionReader& options);
absl::StatusOr<oci::BuildOptions> ReadBuildOptions(const OptionReader& options);

// AllowsThreads is what the context says; a null context allows them.
inline bool AllowsThreads(const coam_context* context) {
  return context == nullptr || context->threads;
}

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_OCI_OPTIONS_H_
