#include <sys/stat.h>

#include "absl/strings/match.h"
#include "base/core/error.h"
#include "base/fs/file.h"
#include "base/http/url.h"
#include "libaci/fetch/fetch.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

absl::StatusOr<ImageRef> ClassifyImage(std::string_view text) {
  if (text.empty()) return base::Fail("aci.name_invalid") << "the image name is empty";
  if (text.find('\0') != std::string_view::npos) {
    return base::Fail("aci.name_invalid") << "the image name holds a NUL character";
  }
  if (absl::StartsWith(text, "sha512-")) return ImageRef{ImageRefKind::kId, std::string(text)};
  if (absl::StartsWith(text, "docker:")) {
    std::string_view rest = text.substr(7);
    while (absl::StartsWith(rest, "/")) rest.remove_prefix(1);
    return ImageRef{ImageRefKind::kDocker, std::string(rest)};
  }
  if (absl::StartsWith(text, "file://")) {
    return ImageRef{ImageRefKind::kFile, std::string(text.substr(7))};
  }
  if (absl::StartsWithIgnoreCase(text, "http://") || absl::StartsWithIgnoreCase(text, "https://")) {
    const std::string_view path = text.substr(0, text.find_first_of("?#"));
    if (!absl::EndsWith(path, ".aci")) {
      return base::Fail("aci.name_invalid")
             << "URL " << base::UrlForMessage(text) << " does not end in .aci";
    }
    return ImageRef{ImageRefKind::kUrl, std::string(text)};
  }
  if (text[0] == '/') return ImageRef{ImageRefKind::kFile, std::string(text)};
  absl::StatusOr<struct stat> st = base::StatHost(text);
  if (st.ok() && S_ISREG(st->st_mode)) return ImageRef{ImageRefKind::kFile, std::string(text)};
  if (text.find(':') == std::string_view::npos &&
      (absl::StrContains(text, "./") || absl::EndsWith(text, ".aci"))) {
    return ImageRef{ImageRefKind::kFile, std::string(text)};
  }
  return ImageRef{ImageRefKind::kName, std::string(text)};
}

}  // namespace coaming::aci
