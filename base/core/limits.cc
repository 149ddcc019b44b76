#include "base/core/limits.h"

#include <iterator>

namespace coaming::base {
namespace {

constexpr LimitInfo kLimits[] = {
#define COAM_LIMIT(name, fallback, unit, help) {#name, fallback, unit, help, &Limits::name},
#include "base/core/limits.inc"
#undef COAM_LIMIT
};

}  // namespace

const LimitInfo* LimitAt(size_t index) {
  return index < std::size(kLimits) ? &kLimits[index] : nullptr;
}

const LimitInfo* FindLimit(std::string_view name) {
  for (const LimitInfo& row : kLimits) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace coaming::base
