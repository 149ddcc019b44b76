// What the tables of the built modules answer: features, versions, option families.
#include "capi/src/modules.h"

#include <array>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/core/limits.h"

namespace coaming::capi {
namespace {

// A limit's default as text, made at compile time.
template <int64_t kValue>
struct LimitText {
  static constexpr std::array<char, 24> chars = [] {
    std::array<char, 24> out{};
    int64_t rest = kValue;
    size_t digits = 1;
    while ((rest /= 10) != 0) ++digits;
    rest = kValue;
    for (size_t i = digits; i-- > 0; rest /= 10) out[i] = static_cast<char>('0' + rest % 10);
    return out;
  }();
  static constexpr std::string_view text{chars.data()};
};

constexpr OptionRow kContextRows[] = {
    {"threads", OptionType::kBool, "true", "1.0", "allow calls to start threads of their own"},
#define COAM_LIMIT(name, fallback, unit, help) \
  {"limits." #name, OptionType::kSize, LimitText<fallback>::text, "1.0", help},
#include "base/core/limits.inc"
#undef COAM_LIMIT
};

constexpr OptionFamily kCoreFamilies[] = {
    {"context", "what calls share: limits, threads", kContextRows},
};

constexpr const char* kCoreFeatures[] = {"core.jobs", "core.limits"};

}  // namespace

Module CoreModule() { return {"core", kCoreFamilies, kCoreFeatures}; }

const OptionFamily* FamilyAt(size_t index) {
  for (const ModuleMaker module : Modules()) {
    const absl::Span<const OptionFamily> families = module().families;
    if (index < families.size()) return &families[index];
    index -= families.size();
  }
  return nullptr;
}

const OptionFamily* FindFamily(std::string_view name) {
  for (size_t i = 0; const OptionFamily* family = FamilyAt(i); ++i) {
    if (family->name == name) return family;
  }
  return nullptr;
}

}  // namespace coaming::capi

namespace capi = coaming::capi;

const char* coam_feature_at(size_t index) {
  return COAM_BOUNDARY_VALUE(nullptr, {
    for (const capi::ModuleMaker module : capi::Modules()) {
      const absl::Span<const char* const> features = module().features;
      if (index < features.size()) return features[index];
      index -= features.size();
    }
    return static_cast<const char*>(nullptr);
  });
}

int32_t coam_has_feature(const char* name) {
  return COAM_BOUNDARY_VALUE(0, {
    if (name == nullptr) return 0;
    for (size_t i = 0; const char* feature = coam_feature_at(i); ++i) {
      if (std::strcmp(feature, name) == 0) return 1;
    }
    return 0;
  });
}

uint32_t coam_version_number(void) {
  return COAM_BOUNDARY_VALUE(0, { return static_cast<uint32_t>(COAM_VERSION_NUMBER); });
}

const char* coam_version_string(void) {
  return COAM_BOUNDARY_VALUE("", { return COAM_VERSION_STRING; });
}

const char* coam_build_details(void) {
  return COAM_BOUNDARY_VALUE(COAM_VERSION_STRING, {
    static const std::string* const details = [] {
      auto* text = new std::string(
          absl::StrCat("coaming ", COAM_VERSION_STRING, capi::BuiltWith(), " features:"));
      for (size_t i = 0; const char* feature = coam_feature_at(i); ++i) {
        absl::StrAppend(text, " ", feature);
      }
      return text;
    }();
    return details->c_str();
  });
}
