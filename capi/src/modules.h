// The modules of the C ABI: each brings its option families and the names of its features.
//
// A new module: declare its function here and add one row to kModules in modules.cc.
#ifndef COAMING_CAPI_SRC_MODULES_H_
#define COAMING_CAPI_SRC_MODULES_H_

#include "absl/types/span.h"
#include "capi/src/options.h"

namespace coaming::capi {

struct Module {
  std::string_view name;                    // "oci"
  absl::Span<const OptionFamily> families;  // "oci.pull", ...
  absl::Span<const char* const> features;   // "oci.transport.docker", ...
};

Module CoreModule();
Module AciModule();
Module CniModule();
Module OciModule();
Module PodModule();
Module SigModule();
Module TufModule();
Module RunModule();

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_MODULES_H_
