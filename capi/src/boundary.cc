#include "capi/src/boundary.h"

#include <new>

#include "base/core/fork_guard.h"

coam_error::coam_error(coaming::base::Error e) : error(std::move(e)) {
  if (error.cause) cause = new coam_error(*error.cause);
}

coam_error::~coam_error() { coaming::capi::FreeHandle(cause); }

namespace coaming::capi {
namespace {

// The error for want of memory must need none: it lives in static storage and its texts fit into
// the strings themselves. It is never destroyed: its first reference is nobody's.
coam_error* OutOfMemory() noexcept {
  alignas(coam_error) static unsigned char storage[sizeof(coam_error)];
  static coam_error* const error = []() noexcept {
    auto* made = new (storage) coam_error();
    made->error.code = absl::StatusCode::kResourceExhausted;
    made->error.reason = "core.no_memory";
    made->error.message = "out of memory";
    return made;
  }();
  error->AddRef();
  return error;
}

}  // namespace

coam_code StoreError(const absl::Status& status, coam_error** ret_error) noexcept {
  if (status.ok()) return COAM_OK;
  const auto code = static_cast<coam_code>(status.code());
  if (ret_error == nullptr) return code;
  try {
    *ret_error = new coam_error(base::GetError(status));
  } catch (...) {
    *ret_error = OutOfMemory();
    return COAM_RESOURCE_EXHAUSTED;
  }
  return code;
}

coam_code Boundary(coam_error** ret_error, absl::FunctionRef<absl::Status()> body) noexcept {
  try {
    if (absl::Status forked = base::CheckNotForked(); !forked.ok()) {
      return StoreError(forked, ret_error);
    }
    return StoreError(body(), ret_error);
  } catch (const std::bad_alloc&) {
    if (ret_error != nullptr) *ret_error = OutOfMemory();
    return COAM_RESOURCE_EXHAUSTED;
  } catch (const std::exception& e) {
    return StoreError(base::Fail("core.internal") << "exception: " << e.what(), ret_error);
  } catch (...) {
    return StoreError(base::Fail("core.internal") << "an exception of unknown type", ret_error);
  }
}

}  // namespace coaming::capi
