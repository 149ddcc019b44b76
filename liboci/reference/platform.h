// Platform is what an image is built for: os/architecture[/variant], and the choice of the best one
// among several.
//
// Follows OCI image-spec, image-index.md ("platform"), and the selection rule of Docker and containerd:
// equal os and architecture, a variant not above the wanted one, the highest first.
//
//   COAM_ASSIGN_OR_RETURN(oci::Platform want, oci::Platform::Parse("linux/arm/v7"));
//   int best = oci::ChoosePlatform(candidates, want);
//
// Ownership: values. Threads: [immutable]. Limits: 128 bytes a part. Hostile input: text outside the
// grammar is refused with oci.platform.
#ifndef COAMING_LIBOCI_REFERENCE_PLATFORM_H_
#define COAMING_LIBOCI_REFERENCE_PLATFORM_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace coaming::oci {

struct Platform {
  std::string os;            // GOOS: "linux"
  std::string architecture;  // GOARCH: "amd64"
  std::string variant;       // "v7"; "" for none
  std::string os_version;
  std::vector<std::string> os_features;

  // Parse reads "os/arch[/variant]"; "arch" alone takes the host's os. Common other names are
  // understood (x86_64, aarch64, armhf). Errors: oci.platform.
  static absl::StatusOr<Platform> Parse(std::string_view text);
  // Host is the platform this program runs on.
  static Platform Host();
  // Normalized gives the canonical names: x86_64 is amd64, arm without variant is v7, arm64/v8 and
  // amd64/v1 lose their variant.
  Platform Normalized() const;
  std::string ToString() const;  // "linux/arm/v7"
  bool operator==(const Platform&) const = default;
};

// PlatformRank tells how well `have` serves `want`: negative if not at all, else higher is better.
int PlatformRank(const Platform& have, const Platform& want);
// ChoosePlatform gives the index of the best candidate, the first among equals, or -1. A candidate
// without a platform (nullopt) fits only if it is the sole one.
int ChoosePlatform(std::span<const std::optional<Platform>> candidates, const Platform& want);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REFERENCE_PLATFORM_H_
