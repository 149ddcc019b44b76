// The modules of the C ABI: each brings its option families and the names of its features.
//
// A new module: declare its function here and add one row to kModules in modules_all.cc.
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

using ModuleMaker = Module (*)();

// What a flavour of the library consists of: modules_all.cc is the suite, modules_run.cc the
// executor alone. A program links exactly one of them.
absl::Span<const ModuleMaker> Modules();
// The third parties worth telling in coam_build_details, each after a blank.
std::string_view BuiltWith();

Module CoreModule();
Module AciModule();
Module CniModule();
Module OciModule();
Module PodModule();
Module SigModule();
Module TufModule();
Module NotaryModule();
Module RunModule();

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_MODULES_H_
