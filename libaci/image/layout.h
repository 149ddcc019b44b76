// LayoutChecker applies the rules of what may be inside an App Container Image, entry by entry.
//
// Spec: appc/spec 0.8.11, "Image Layout" and "Image Archives". It compares cleaned names by
// component: exactly `manifest` (a file) and `rootfs` (a directory with an entry of its own) at the
// top, nothing twice, nothing absolute, no "..", no entry below a symbolic link, hard links only to
// files already seen inside rootfs. Used by reading, validating, rendering and building alike.
// Threads: [single]. Limits: unpacked_files, unpacked_bytes, path_bytes.
#ifndef COAMING_LIBACI_IMAGE_LAYOUT_H_
#define COAMING_LIBACI_IMAGE_LAYOUT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/archive/tar.h"
#include "base/core/limits.h"

namespace coaming::aci {

using EntryType = base::TarType;

class LayoutChecker {
 public:
  explicit LayoutChecker(const base::Limits& limits);
  ~LayoutChecker();
  LayoutChecker(const LayoutChecker&) = delete;
  LayoutChecker& operator=(const LayoutChecker&) = delete;

  enum class Where { kTop, kManifest, kRootfs };  // kTop is "." itself
  struct Entry {
    Where where;
    std::string path;    // inside rootfs, cleaned, without a leading slash; "" for rootfs itself
    std::string target;  // kHardlink: the target inside rootfs, cleaned the same way
  };
  // Add takes the next entry. Errors: aci.layout_invalid, fs.escape, core.limit.
  absl::StatusOr<Entry> Add(EntryType type, std::string_view name, std::string_view link_target,
                            uint64_t size);
  // Finish fails with aci.layout_invalid if the manifest or the rootfs entry is missing.
  absl::Status Finish() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_LAYOUT_H_
