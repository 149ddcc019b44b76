// REQUIRE_OK and REQUIRE_REASON: Catch2 assertions about absl::Status and StatusOr.
//
//   REQUIRE_OK(dir.MakeDir("a", 0755));
//   REQUIRE_REASON(dir.MakeDir("a", 0755), "core.exists");
//   std::string text = REQUIRE_VALUE(dir.ReadFile("f", 100, "x"));
#ifndef COAMING_BASE_TESTING_STATUS_TESTING_H_
#define COAMING_BASE_TESTING_STATUS_TESTING_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/error.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base::testing {

inline const absl::Status& StatusOf(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& s) {
  return s.status();
}
// Describe gives "reason: message (hint)" with causes, for a failed assertion's text.
std::string Describe(const absl::Status& status);

template <typename T>
T ValueOf(absl::StatusOr<T> v) {
  INFO(Describe(v.status()));
  REQUIRE(v.ok());
  return *std::move(v);
}

}  // namespace coaming::base::testing

#define REQUIRE_OK(expr)                                                                   \
  do {                                                                                     \
    auto&& coam_r_ = (expr);                                                               \
    INFO(::coaming::base::testing::Describe(::coaming::base::testing::StatusOf(coam_r_))); \
    REQUIRE(::coaming::base::testing::StatusOf(coam_r_).ok());                             \
  } while (0)
#define REQUIRE_REASON(expr, reason)                                                             \
  do {                                                                                           \
    auto&& coam_r_ = (expr);                                                                     \
    INFO(::coaming::base::testing::Describe(::coaming::base::testing::StatusOf(coam_r_)));       \
    REQUIRE(::coaming::base::ReasonOf(::coaming::base::testing::StatusOf(coam_r_)) == (reason)); \
  } while (0)
#define REQUIRE_VALUE(expr) ::coaming::base::testing::ValueOf(expr)

#endif  // COAMING_BASE_TESTING_STATUS_TESTING_H_
