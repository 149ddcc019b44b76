#include "libcni/result/version.h"

#include <algorithm>
#include <array>

#include "base/core/error.h"

namespace coaming::cni {
namespace {

constexpr std::array<std::string_view, 7> kSupported = {"0.1.0", "0.2.0", "0.3.0", "0.3.1",
                                                        "0.4.0", "1.0.0", "1.1.0"};

}  // namespace

absl::StatusOr<SpecVersion> ParseVersion(std::string_view text) {
  if (text.empty()) text = kOldestVersion;
  int parts[3] = {0, 0, 0};
  int count = 0;
  size_t at = 0;
  bool good = true;
  while (good) {
    size_t dot = text.find('.', at);
    std::string_view part = text.substr(at, dot == text.npos ? text.npos : dot - at);
    if (count == 3 || part.empty() || part.size() > 6) good = false;
    int value = 0;
    for (char c : part) {
      if (c < '0' || c > '9') good = false;
      if (good) value = value * 10 + (c - '0');
    }
    if (!good) break;
    parts[count++] = value;
    if (dot == text.npos) break;
    at = dot + 1;
  }
  if (!good) {
    return base::Fail("cni.version")
           << "version \"" << text.substr(0, 64) << "\" is not of the form 1.1.0";
  }
  return SpecVersion{parts[0], parts[1], parts[2]};
}

bool AtLeast(std::string_view version, std::string_view bound) {
  auto a = ParseVersion(version);
  auto b = ParseVersion(bound);
  return a.ok() && b.ok() && *a >= *b;
}

std::span<const std::string_view> SupportedVersions() { return kSupported; }

bool IsSupportedVersion(std::string_view version) {
  return std::find(kSupported.begin(), kSupported.end(), version) != kSupported.end();
}

}  // namespace coaming::cni
