// The boundary: every exported function runs its C++ inside one of the macros below, so that no
// exception leaves, a forked process is refused, and every failure becomes a coam_error.
//
//   coam_code coam_x_do(coam_context *context, coam_x **ret_x, coam_error **ret_error) {
//     return COAM_BOUNDARY(ret_error, {
//       COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
//       COAM_ASSIGN_OR_RETURN(auto x, ...);
//       *ret_x = new coam_x(std::move(x));
//       return absl::OkStatus();
//     });
//   }
//
// tests/abi checks that each function of symbols.tsv is defined with one of them.
#ifndef COAMING_CAPI_SRC_BOUNDARY_H_
#define COAMING_CAPI_SRC_BOUNDARY_H_

#include <coaming/core.h>

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "capi/src/object.h"

struct coam_error : coaming::capi::Object {
  coam_error() = default;
  explicit coam_error(coaming::base::Error e);
  coaming::base::Error error;
  coam_error* cause = nullptr;  // owned reference
  ~coam_error() override;
};

struct coam_buf : coaming::capi::Object {
  explicit coam_buf(std::string b) : bytes(std::move(b)) {}
  const std::string bytes;
};

namespace coaming::capi {

// Boundary runs `body`; see the head of this file.
coam_code Boundary(coam_error** ret_error, absl::FunctionRef<absl::Status()> body) noexcept;

// StoreError puts a failed status into *ret_error (if not null) and returns its code.
coam_code StoreError(const absl::Status& status, coam_error** ret_error) noexcept;

// View makes a borrowed C string of a NUL-terminated std::string.
inline coam_str View(const std::string& text) { return coam_str{text.c_str(), text.size()}; }
// ViewStatic makes one of a literal or a table entry, which must be NUL-terminated.
inline coam_str ViewStatic(std::string_view text) {
  return text.data() == nullptr ? coam_str{"", 0} : coam_str{text.data(), text.size()};
}

// NotNull fails with core.invalid_argument if a required pointer is null.
template <typename T>
absl::Status NotNull(const T* pointer, std::string_view name) {
  if (pointer != nullptr) return absl::OkStatus();
  return base::Fail("core.invalid_argument") << "argument " << name << " is NULL";
}

// ValueOr runs `body` and answers `fallback` if it throws.
template <typename Fallback, typename Body>
auto ValueOr(Fallback fallback, Body body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    return static_cast<decltype(body())>(fallback);
  }
}

}  // namespace coaming::capi

#define COAM_BOUNDARY(ret_error, ...) \
  ::coaming::capi::Boundary(ret_error, [&]() -> absl::Status __VA_ARGS__)

// For functions without an error: getters, counts, names. `fallback` is returned if an argument is
// NULL or memory runs out. The body must not allocate unless it says so.
#define COAM_BOUNDARY_VALUE(fallback, ...) ::coaming::capi::ValueOr(fallback, [&]() __VA_ARGS__)

// For ref and free, which do nothing but count.
#define COAM_BOUNDARY_REF(object) ::coaming::capi::RefHandle(object)
#define COAM_BOUNDARY_FREE(object) ::coaming::capi::FreeHandle(object)

#endif  // COAMING_CAPI_SRC_BOUNDARY_H_
