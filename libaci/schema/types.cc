#include "libaci/schema/types.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::aci {
namespace {

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsLower(c) || IsDigit(c); }

// Letters and digits with single separators between them.
bool IsSeparated(std::string_view text, std::string_view separators) {
  bool after_separator = true;  // of the beginning too
  for (char c : text) {
    if (IsAlnum(c)) {
      after_separator = false;
    } else if (separators.find(c) != std::string_view::npos && !after_separator) {
      after_separator = true;
    } else {
      return false;
    }
  }
  return !after_separator;
}

constexpr std::string_view kIdentifierSeparators = "-._~/";

// Printable form for messages: long or odd text is cut and escaped.
std::string Show(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, 80)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c != 0x7f) {
      out += c;
    } else {
      out += '?';
    }
  }
  if (text.size() > 80) out += "...";
  out += '"';
  return out;
}

absl::StatusOr<std::string> Sanitize(std::string_view text, std::string_view separators,
                                     char replacement) {
  std::string out;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (IsAlnum(c)) {
      out += c;
      continue;
    }
    if (separators.find(c) == std::string_view::npos) c = replacement;
    if (out.empty() || !IsAlnum(out.back())) continue;  // folds runs, strips the beginning
    out += c;
  }
  while (!out.empty() && !IsAlnum(out.back())) out.pop_back();
  if (out.empty()) {
    return base::Fail("aci.name_invalid") << "no letter or digit of " << Show(text) << " is left";
  }
  return out;
}

// One number of a version: no leading zero, no sign. Consumes it.
bool TakeNumber(std::string_view& text, uint64_t& out) {
  size_t n = 0;
  while (n < text.size() && IsDigit(text[n])) ++n;
  if (n == 0 || (n > 1 && text[0] == '0')) return false;
  if (!absl::SimpleAtoi(text.substr(0, n), &out)) return false;
  text.remove_prefix(n);
  return true;
}

// Dot-separated identifiers of a pre-release or build part.
bool IsDotted(std::string_view text, bool refuse_leading_zero) {
  for (std::string_view part : absl::StrSplit(text, '.')) {
    if (part.empty()) return false;
    bool digits = true;
    for (char c : part) {
      if (!IsAlnum(c) && !(c >= 'A' && c <= 'Z') && c != '-') return false;
      if (!IsDigit(c)) digits = false;
    }
    if (refuse_leading_zero && digits && part.size() > 1 && part[0] == '0') return false;
  }
  return true;
}

int ComparePre(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) {  // a release comes after its pre-releases
    return a.empty() == b.empty() ? 0 : a.empty() ? 1 : -1;
  }
  std::vector<std::string_view> as = absl::StrSplit(a, '.'), bs = absl::StrSplit(b, '.');
  for (size_t i = 0; i < std::min(as.size(), bs.size()); ++i) {
    const bool an = std::all_of(as[i].begin(), as[i].end(), IsDigit);
    const bool bn = std::all_of(bs[i].begin(), bs[i].end(), IsDigit);
    if (an != bn) return an ? -1 : 1;
    // Numbers have no leading zero, so the longer one is the larger.
    if (an && as[i].size() != bs[i].size()) return as[i].size() < bs[i].size() ? -1 : 1;
    if (int c = as[i].compare(bs[i]); c != 0) return c < 0 ? -1 : 1;
  }
  return as.size() == bs.size() ? 0 : as.size() < bs.size() ? -1 : 1;
}

struct OsArch {
  std::string_view os, arch, goos, goarch, goarm;
};
// Each pair the reference table knows; Go's names are empty where Go has none.
constexpr OsArch kOsArch[] = {
    {"linux", "amd64", "linux", "amd64", ""},
    {"linux", "i386", "linux", "386", ""},
    {"linux", "aarch64", "linux", "arm64", ""},
    {"linux", "aarch64_be", "", "", ""},
    {"linux", "armv6l", "linux", "arm", "6"},
    {"linux", "armv7l", "linux", "arm", "7"},
    {"linux", "armv7b", "", "", ""},
    {"linux", "ppc64", "linux", "ppc64", ""},
    {"linux", "ppc64le", "linux", "ppc64le", ""},
    {"linux", "s390x", "linux", "s390x", ""},
    {"freebsd", "amd64", "freebsd", "amd64", ""},
    {"freebsd", "i386", "freebsd", "386", ""},
    {"freebsd", "arm", "freebsd", "arm", ""},
    {"darwin", "x86_64", "darwin", "amd64", ""},
    {"darwin", "i386", "darwin", "386", ""},
};

}  // namespace

bool IsAcIdentifier(std::string_view text) { return IsSeparated(text, kIdentifierSeparators); }
bool IsAcName(std::string_view text) { return IsSeparated(text, "-"); }

bool IsEnvName(std::string_view text) {
  if (text.empty() || IsDigit(text[0]) || text[0] == '.' || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlnum(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
  });
}

bool IsImageId(std::string_view text) {
  if (text.size() != 7 + 128 || !absl::StartsWith(text, "sha512-")) return false;
  text.remove_prefix(7);
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

bool IsHttpUrl(std::string_view text) {
  for (std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (!absl::StartsWithIgnoreCase(text, scheme)) continue;
    std::string_view rest = text.substr(scheme.size());
    if (rest.empty() || rest[0] == '/' || rest[0] == '?' || rest[0] == '#' || rest[0] == ':') {
      return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '"' && c != '<' &&
             c != '>' && c != '\\' && c != '`';
    });
  }
  return false;
}

absl::Status CheckAcIdentifier(std::string_view text, std::string_view what) {
  if (IsAcIdentifier(text)) return absl::OkStatus();
  if (text.empty()) return base::Fail("aci.name_invalid") << what << " is empty";
  return base::Fail("aci.name_invalid")
         << what << " " << Show(text)
         << " is not an AC Identifier (lower-case letters and digits, single - . _ ~ / between)";
}

absl::Status CheckAcName(std::string_view text, std::string_view what) {
  if (IsAcName(text)) return absl::OkStatus();
  if (text.empty()) return base::Fail("aci.name_invalid") << what << " is empty";
  return base::Fail("aci.name_invalid")
         << what << " " << Show(text)
         << " is not an AC Name (lower-case letters and digits, single hyphens between)";
}

absl::Status CheckImageId(std::string_view text) {
  if (IsImageId(text)) return absl::OkStatus();
  return base::Fail("aci.image_id_invalid")
         << Show(text) << " is not an image ID (sha512- and 128 lower-case hex digits)";
}

absl::StatusOr<std::string> SanitizeAcIdentifier(std::string_view text) {
  return Sanitize(text, kIdentifierSeparators, '_');
}
absl::StatusOr<std::string> SanitizeAcName(std::string_view text) {
  return Sanitize(text, "-", '-');
}

absl::StatusOr<std::string> ParseUuid(std::string_view text) {
  std::string hex;
  for (char c : text.substr(0, 64)) {
    if (c == '-') continue;
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!IsDigit(c) && !(c >= 'a' && c <= 'f')) {
      hex.clear();
      break;
    }
    hex += c;
  }
  if (hex.size() != 32) {
    return base::Fail("aci.name_invalid") << Show(text) << " is not a UUID (32 hex digits)";
  }
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

absl::StatusOr<SemVer> SemVer::Parse(std::string_view text) {
  SemVer v;
  std::string_view rest = text;
  bool ok = text.size() <= 256 && TakeNumber(rest, v.major) && !rest.empty() && rest[0] == '.';
  if (ok) rest.remove_prefix(1);
  ok = ok && TakeNumber(rest, v.minor) && !rest.empty() && rest[0] == '.';
  if (ok) rest.remove_prefix(1);
  ok = ok && TakeNumber(rest, v.patch);
  if (ok && !rest.empty()) {
    if (const size_t plus = rest.find('+'); plus != std::string_view::npos) {
      v.build = std::string(rest.substr(plus + 1));
      rest = rest.substr(0, plus);
      ok = IsDotted(v.build, false);
    }
    if (ok && !rest.empty()) {
      v.pre = std::string(rest.substr(1));
      ok = rest[0] == '-' && IsDotted(v.pre, true);
    }
  }
  if (!ok) {
    return base::Fail("aci.manifest_invalid")
           << Show(text) << " is not a semantic version (three numbers, -pre, +build)";
  }
  if (v.major == 0 && v.minor == 0 && v.patch == 0 && v.pre.empty() && v.build.empty()) {
    return base::Fail("aci.manifest_invalid") << "version 0.0.0 means none";
  }
  return v;
}

std::string SemVer::ToString() const {
  return absl::StrCat(major, ".", minor, ".", patch, pre.empty() ? "" : "-", pre,
                      build.empty() ? "" : "+", build);
}

int SemVer::Compare(const SemVer& other) const {
  for (auto field : {&SemVer::major, &SemVer::minor, &SemVer::patch}) {
    if (this->*field != other.*field) return this->*field < other.*field ? -1 : 1;
  }
  return ComparePre(pre, other.pre);
}

absl::Status CheckOsArch(std::string_view os, std::string_view arch) {
  if (os.empty()) return absl::OkStatus();
  std::string arches;
  for (const OsArch& row : kOsArch) {
    if (row.os != os) continue;
    if (arch.empty() || row.arch == arch) return absl::OkStatus();
    absl::StrAppend(&arches, arches.empty() ? "" : " ", row.arch);
  }
  if (arches.empty()) {
    return base::Fail("aci.manifest_invalid")
           << "os label " << Show(os) << " is not one of linux, freebsd, darwin";
  }
  return base::Fail("aci.manifest_invalid")
         << "arch label " << Show(arch) << " is not one that " << os << " has (" << arches << ")";
}

std::string GoToAcArch(std::string_view goos, std::string_view goarch, std::string_view goarm) {
  for (const OsArch& row : kOsArch) {
    if (row.goos.empty() || row.goos != goos || row.goarch != goarch) continue;
    // The first row serves when no flavour, or one that does not matter, is given.
    if (row.goarm.empty() || goarm.empty() || row.goarm == goarm) return std::string(row.arch);
  }
  return "";
}

std::string_view HostArch() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__i386__)
  return "i386";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  return "ppc64le";
#elif defined(__powerpc64__)
  return "ppc64";
#elif defined(__s390x__)
  return "s390x";
#elif defined(__ARM_ARCH) && __ARM_ARCH >= 7
  return "armv7l";
#else
  return "armv6l";
#endif
}

absl::StatusOr<KeyValues> ParseKeyValues(std::string_view text, bool named) {
  KeyValues out;
  if (text.empty()) return base::Fail("core.invalid_argument") << "the key=value list is empty";
  for (std::string_view part : absl::StrSplit(text, ',')) {
    std::string key, value;
    if (named && out.empty()) {
      key = "name";
      value = std::string(part);
    } else {
      const size_t eq = part.find('=');
      if (eq == std::string_view::npos) {
        return base::Fail("core.invalid_argument")
               << "element " << Show(part) << " of " << Show(text) << " has no equals sign";
      }
      key = std::string(part.substr(0, eq));
      value = std::string(part.substr(eq + 1));
    }
    for (const auto& [have, unused] : out) {
      if (have == key) {
        return base::Fail("core.invalid_argument")
               << "key " << Show(key) << " stands twice in " << Show(text);
      }
    }
    out.emplace_back(std::move(key), std::move(value));
  }
  return out;
}

absl::StatusOr<bool> ParseBool(std::string_view text, std::string_view what) {
  for (std::string_view t : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == t) return true;
  }
  for (std::string_view f : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == f) return false;
  }
  return base::Fail("core.invalid_argument")
         << what << " " << Show(text) << " is not true or false";
}

}  // namespace coaming::aci
