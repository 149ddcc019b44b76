#include "liboci/reference/platform.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::oci {
namespace {

constexpr size_t kMaxPart = 128;

struct Alias {
  std::string_view name, architecture, variant;
};
constexpr Alias kAliases[] = {
    {"x86_64", "amd64", ""}, {"x86-64", "amd64", ""},    {"i386", "386", ""},
    {"i686", "386", ""},     {"aarch64", "arm64", ""},   {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},  {"armv6l", "arm", "v6"},    {"armv7l", "arm", "v7"},
    {"armv8l", "arm64", ""}, {"ppc64el", "ppc64le", ""},
};

bool IsPart(std::string_view part) {
  if (part.empty() || part.size() > kMaxPart) return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// VariantLevel makes "v7" 70 and "v8.1" 81; -1 if it is no such number.
int VariantLevel(std::string_view variant) {
  if (variant.size() < 2 || variant[0] != 'v') return -1;
  int major = 0, minor = 0;
  size_t i = 1;
  for (; i < variant.size() && variant[i] >= '0' && variant[i] <= '9'; ++i) {
    major = major * 10 + (variant[i] - '0');
    if (major > 99) return -1;
  }
  if (i < variant.size()) {
    if (variant[i] != '.' || i + 2 != variant.size()) return -1;
    if (variant[i + 1] < '0' || variant[i + 1] > '9') return -1;
    minor = variant[i + 1] - '0';
  }
  return major * 10 + minor;
}

// The level that a missing variant stands for.
int DefaultLevel(std::string_view architecture) {
  if (architecture == "amd64") return 10;
  if (architecture == "arm64") return 80;
  if (architecture == "arm") return 70;
  return 0;
}

int Level(const Platform& p) {
  return p.variant.empty() ? DefaultLevel(p.architecture) : VariantLevel(p.variant);
}

}  // namespace

absl::StatusOr<Platform> Platform::Parse(std::string_view text) {
  std::vector<std::string_view> parts = absl::StrSplit(text, '/');
  bool good = parts.size() <= 3 && std::all_of(parts.begin(), parts.end(), IsPart);
  if (!good) {
    return base::Fail("oci.platform")
           << "platform \"" << text.substr(0, 100) << "\" is not os/architecture[/variant]";
  }
  Platform p;
  if (parts.size() == 1) {
    p.os = "linux";
    p.architecture = Lower(parts[0]);
    if (p.architecture == "linux") {
      p.architecture = Host().architecture;
      p.variant = Host().variant;
    }
  } else {
    p.os = Lower(parts[0]);
    p.architecture = Lower(parts[1]);
    if (parts.size() == 3) p.variant = Lower(parts[2]);
  }
  return p.Normalized();
}

Platform Platform::Host() {
  Platform p;
  p.os = "linux";
#if defined(__x86_64__)
  p.architecture = "amd64";
#elif defined(__aarch64__)
  p.architecture = "arm64";
#elif defined(__arm__)
  p.architecture = "arm";
#if __ARM_ARCH >= 7
  p.variant = "v7";
#else
  p.variant = "v6";
#endif
#elif defined(__i386__)
  p.architecture = "386";
#elif defined(__powerpc64__)
  p.architecture = "ppc64le";
#elif defined(__s390x__)
  p.architecture = "s390x";
#elif defined(__riscv)
  p.architecture = "riscv64";
#elif defined(__loongarch64)
  p.architecture = "loong64";
#elif defined(__mips64)
  p.architecture = "mips64le";
#endif
  return p;
}

Platform Platform::Normalized() const {
  Platform p = *this;
  p.os = Lower(p.os);
  p.architecture = Lower(p.architecture);
  p.variant = Lower(p.variant);
  if (p.os == "macos") p.os = "darwin";
  for (const Alias& alias : kAliases) {
    if (p.architecture != alias.name) continue;
    p.architecture = alias.architecture;
    if (p.variant.empty()) p.variant = alias.variant;
    break;
  }
  // "7" for "v7".
  if (!p.variant.empty() && p.variant[0] >= '0' && p.variant[0] <= '9' &&
      (p.architecture == "arm" || p.architecture == "arm64")) {
    p.variant.insert(p.variant.begin(), 'v');
  }
  if (p.architecture == "arm" && p.variant.empty()) p.variant = "v7";
  if (p.architecture == "arm64" && (p.variant == "v8" || p.variant == "v8.0")) p.variant.clear();
  if (p.architecture == "amd64" && p.variant == "v1") p.variant.clear();
  return p;
}

std::string Platform::ToString() const {
  std::string out = absl::StrCat(os, "/", architecture);
  if (!variant.empty()) absl::StrAppend(&out, "/", variant);
  return out;
}

int PlatformRank(const Platform& have, const Platform& want) {
  Platform h = have.Normalized(), w = want.Normalized();
  if (h.os != w.os || h.architecture != w.architecture) return -1;
  if (!w.os_version.empty() && !h.os_version.empty() && h.os_version != w.os_version) return -1;
  if (h.variant == w.variant) return 1000;
  int have_level = Level(h), want_level = Level(w);
  if (have_level < 0 || want_level < 0) return -1;  // names that have no order: equal or nothing
  if (have_level > want_level) return -1;
  return have_level;
}

int ChoosePlatform(std::span<const std::optional<Platform>> candidates, const Platform& want) {
  int best = -1, best_rank = -1;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].has_value()) continue;
    int rank = PlatformRank(*candidates[i], want);
    if (rank > best_rank) {
      best_rank = rank;
      best = static_cast<int>(i);
    }
  }
  if (best < 0 && candidates.size() == 1 && !candidates[0].has_value()) return 0;
  return best;
}

}  // namespace coaming::oci
