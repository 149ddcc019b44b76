// The handles of coaming/run.h that several files use.
#ifndef COAMING_CAPI_SRC_RUN_HANDLES_H_
#define COAMING_CAPI_SRC_RUN_HANDLES_H_

#include <coaming/run.h>

#include <memory>
#include <utility>

#include "capi/src/object.h"
#include "liboci/runtime/executor.h"

struct coam_run_runtime : coaming::capi::Object {
  explicit coam_run_runtime(std::shared_ptr<coaming::run::Runtime> r) : runtime(std::move(r)) {}
  const std::shared_ptr<coaming::run::Runtime> runtime;
};

struct coam_run_container : coaming::capi::Object {
  explicit coam_run_container(std::unique_ptr<coaming::run::Container> c)
      : container(std::move(c)) {}
  const std::unique_ptr<coaming::run::Container> container;
};

#endif  // COAMING_CAPI_SRC_RUN_HANDLES_H_
