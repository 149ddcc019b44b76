// The option families of coaming/run.h, read into the executor's own options.
#ifndef COAMING_CAPI_SRC_RUN_OPTIONS_H_
#define COAMING_CAPI_SRC_RUN_OPTIONS_H_

#include "absl/status/statusor.h"
#include "capi/src/options.h"
#include "liboci/runtime/executor.h"

namespace coaming::capi {

absl::StatusOr<run::RuntimeOptions> ReadRuntimeOptions(const OptionReader& options);
absl::StatusOr<run::CreateOptions> ReadCreateOptions(const char* id, const OptionReader& options);
// Over the process that the container itself runs.
absl::StatusOr<run::ExecOptions> ReadExecOptions(const run::Container& container,
                                                 const OptionReader& options);

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_RUN_OPTIONS_H_
