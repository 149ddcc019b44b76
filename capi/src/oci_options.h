// The option families of coaming/oci.h, read into liboci's own options.
#ifndef COAMING_CAPI_SRC_OCI_OPTIONS_H_
#define COAMING_CAPI_SRC_OCI_OPTIONS_H_

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
absl::StatusOr<oci::CopyOptions> ReadCopyOptions(const OptionReader& options);
absl::StatusOr<oci::UnpackOptions> ReadUnpackOptions(const OptionReader& options);
absl::StatusOr<oci::BuildOptions> ReadBuildOptions(const OptionReader& options);

// AllowsThreads is what the context says; a null context allows them.
inline bool AllowsThreads(const coam_context* context) {
  return context == nullptr || context->threads;
}

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_OCI_OPTIONS_H_
