// The basic types of App Container manifests: identifiers, names, versions, image IDs, dates, URLs.
//
// Spec: appc/spec 0.8.11, "AC Identifier Type" and its neighbours. Identifiers follow the whole
// regular expression of the specification, not only its character set: they become URLs and paths,
// so "a/../b" must never pass. Pure functions. Threads: any. Hostile input costs time linear in its
// size.
#ifndef COAMING_LIBACI_SCHEMA_TYPES_H_
#define COAMING_LIBACI_SCHEMA_TYPES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coaming::aci {

// The version of the specification this library implements and writes.
inline constexpr std::string_view kSpecVersion = "0.8.11";

// [a-z0-9]+([-._~/][a-z0-9]+)*
bool IsAcIdentifier(std::string_view text);
// [a-z0-9]+(-[a-z0-9]+)*
bool IsAcName(std::string_view text);
// [A-Za-z_][A-Za-z0-9_.-]*
bool IsEnvName(std::string_view text);
// "sha512-" and 128 lower-case hex digits.
bool IsImageId(std::string_view text);
// An http or https URL with a host, free of blanks and control characters.
bool IsHttpUrl(std::string_view text);

// CheckAcIdentifier and its neighbours fail with aci.name_invalid, naming `what` ("label name").
absl::Status CheckAcIdentifier(std::string_view text, std::string_view what);
absl::Status CheckAcName(std::string_view text, std::string_view what);
// Fails with aci.image_id_invalid.
absl::Status CheckImageId(std::string_view text);

// SanitizeAcIdentifier lower-cases, puts '_' (SanitizeAcName: '-') for every character that is not
// allowed, strips both ends to a letter or digit and folds runs of separators.
// Errors: aci.name_invalid when nothing is left.
absl::StatusOr<std::string> SanitizeAcIdentifier(std::string_view text);
absl::StatusOr<std::string> SanitizeAcName(std::string_view text);

// ParseUuid reads an RFC 4122 UUID (dashes optional, any case) and returns it as lower-case
// 8-4-4-4-12. Errors: aci.name_invalid.
absl::StatusOr<std::string> ParseUuid(std::string_view text);

// SemVer is a semantic version 2.0.0: three numbers, an optional pre-release and build part.
struct SemVer {
  uint64_t major = 0, minor = 0, patch = 0;
  std::string pre, build;

  // Errors: aci.manifest_invalid ("1", "v1.2.3", "01.0.0", "" and 0.0.0).
  static absl::StatusOr<SemVer> Parse(std::string_view text);
  std::string ToString() const;
  // Precedence of SemVer section 11: negative, zero or positive; build is ignored.
  int Compare(const SemVer& other) const;
};

// os and arch labels. Go's names are those of GOOS, GOARCH and GOARM.
// CheckOsArch fails with aci.manifest_invalid when `os` is not known or does not have `arch`;
// an empty `os` is not checked.
absl::Status CheckOsArch(std::string_view os, std::string_view arch);
// GoToAcArch turns ("linux", "arm64", "") into "aarch64"; "" if there is no such pair.
std::string GoToAcArch(std::string_view goos, std::string_view goarch, std::string_view goarm = "");
// The arch label of the machine this library was built for ("amd64"), and its os label.
std::string_view HostArch();
inline constexpr std::string_view kHostOs = "linux";

// ParseKeyValues reads "NAME,key=value,key=value" as the flags of rkt and acbuild have it: the first
// element is stored under "name" (unless `named` is false); values may hold any character but a
// comma. Errors: core.invalid_argument (empty, an element without an equals sign, a key twice).
using KeyValues = std::vector<std::pair<std::string, std::string>>;
absl::StatusOr<KeyValues> ParseKeyValues(std::string_view text, bool named = true);

// ParseBool reads 1 t T TRUE true True and their opposites. Errors: core.invalid_argument.
absl::StatusOr<bool> ParseBool(std::string_view text, std::string_view what);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_TYPES_H_
