// Limits bound what hostile input can cost. One value per context; each has its default here and
// answers "core.limit" with the detail limit.name when it is hit.
#ifndef COAMING_BASE_CORE_LIMITS_H_
#define COAMING_BASE_CORE_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coaming::base {

struct Limits {
#define COAM_LIMIT(name, fallback, unit, help) int64_t name = fallback;
#include "base/core/limits.inc"
#undef COAM_LIMIT
};

struct LimitInfo {
  std::string_view name;  // "manifest_bytes"
  int64_t fallback;
  std::string_view unit;  // "bytes", "count", "ms"
  std::string_view help;  // one line
  int64_t Limits::*field;
};

// LimitAt returns row `index` of limits.inc, or nullptr past the end.
const LimitInfo* LimitAt(size_t index);
// FindLimit returns the row called `name`, or nullptr.
const LimitInfo* FindLimit(std::string_view name);

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_LIMITS_H_
