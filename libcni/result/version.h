// Versions of the CNI specification: parsing, comparing, and the seven that this library speaks.
//
// Follows the "version" rules of https://www.cni.dev/docs/spec/ and of the reference client: one to
// three numeric parts, missing parts are zero, no version at all means 0.1.0.
// Threads: pure functions.
#ifndef COAMING_LIBCNI_RESULT_VERSION_H_
#define COAMING_LIBCNI_RESULT_VERSION_H_

#include <compare>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace coaming::cni {

// The newest version of the specification that is spoken here.
inline constexpr std::string_view kCurrentVersion = "1.1.0";
// What a configuration without a version is taken for.
inline constexpr std::string_view kOldestVersion = "0.1.0";

struct SpecVersion {
  int major = 0;
  int minor = 0;
  int micro = 0;
  auto operator<=>(const SpecVersion&) const = default;
};

// ParseVersion reads "1.1.0", "0.4" or "1"; "" is 0.1.0. Errors: cni.version.
absl::StatusOr<SpecVersion> ParseVersion(std::string_view text);
// AtLeast is true if both parse and `version` is not older than `bound`.
bool AtLeast(std::string_view version, std::string_view bound);
// SupportedVersions lists 0.1.0 to 1.1.0, oldest first.
std::span<const std::string_view> SupportedVersions();
// IsSupportedVersion is an exact match with one of them ("0.4" is none).
bool IsSupportedVersion(std::string_view version);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_RESULT_VERSION_H_
