// The option families of coaming/pod.h, and what a call's C++ makes of them.
#ifndef COAMING_CAPI_SRC_POD_OPTIONS_H_
#define COAMING_CAPI_SRC_POD_OPTIONS_H_

#include "absl/status/statusor.h"
#include "capi/src/options.h"
#include "libaci/pod/pod.h"

namespace coaming::capi {

aci::PodsOptions ReadPodsOptions(const OptionReader& opt);
absl::StatusOr<aci::PodRequest> ReadPodRequest(const OptionReader& opt);
absl::StatusOr<aci::AppRequest> ReadAppRequest(const OptionReader& opt, const char* image);
absl::StatusOr<aci::RunRequest> ReadRunRequest(const OptionReader& opt);

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_POD_OPTIONS_H_
