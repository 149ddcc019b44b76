// Results as JSON values, for the packages of libcni that build documents round them. Not for users
// of the library: result.h is.
#ifndef COAMING_LIBCNI_RESULT_RESULT_JSON_H_
#define COAMING_LIBCNI_RESULT_RESULT_JSON_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "base/json/value.h"
#include "libcni/result/result.h"

namespace coaming::cni {

// ResultToJson builds the shape of `result.cni_version`.
base::json::Value ResultToJson(const Result& result);
// ResultFromJson reads a value of any shape; null is an empty result.
// Errors: cni.result.invalid, cni.version.
absl::StatusOr<Result> ResultFromJson(const base::json::Value& value,
                                      std::string_view fallback_version);

// FindFolded finds a member as Go's decoder does for structures: the exact key, else the last one
// that differs in ASCII case only.
const base::json::Value* FindFolded(const base::json::Value& object, std::string_view key);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_RESULT_RESULT_JSON_H_
