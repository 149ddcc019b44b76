// coam_job: one blocking call on one thread that the job owns, its events delivered on the host's.
//
// A module offers coam_x_start and coam_x_finish:
//
//   coam_code coam_oci_pull_start(..., coam_job **ret_job, coam_error **ret_error) {
//     return COAM_BOUNDARY(ret_error, {
//       COAM_ASSIGN_OR_RETURN(*ret_job, capi::StartJob("oci.pull", context, options,
//           [reference = std::string(reference)](const base::Op& op, const coam_options* options)
//               -> absl::StatusOr<capi::Ref<capi::Object>> { ... }));
//       return absl::OkStatus();
//     });
//   }
//   coam_code coam_oci_pull_finish(coam_job *job, coam_oci_image **ret_image, ...) {
//     ... COAM_ASSIGN_OR_RETURN(*ret_image, capi::FinishJob<coam_oci_image>(job, "oci.pull")); ...
//   }
#ifndef COAMING_CAPI_SRC_JOB_H_
#define COAMING_CAPI_SRC_JOB_H_

#include <coaming/core.h>

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"

namespace coaming::capi {

// The work of a job; runs on the job's thread with all signals blocked. `options` is the job's own
// copy (never null). The result may be null.
using JobBody =
    std::function<absl::StatusOr<Ref<Object>>(const base::Op& op, const coam_options* options)>;

// StartJob starts `body` for a call of `family`; the caller owns the job. Errors: core.no_threads
// (the context forbids threads), core.io (no thread or descriptor left).
absl::StatusOr<coam_job*> StartJob(std::string_view family, coam_context* context,
                                   const coam_options* options, JobBody body);

// JobResult returns the result of an ended job of `family` with a reference for the caller.
// Errors: those of the call; core.state (still running); core.invalid_argument (other family).
absl::StatusOr<Object*> JobResult(coam_job* job, std::string_view family);

template <typename T>
absl::StatusOr<T*> FinishJob(coam_job* job, std::string_view family) {
  COAM_ASSIGN_OR_RETURN(Object * object, JobResult(job, family));
  return static_cast<T*>(object);
}

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_JOB_H_
