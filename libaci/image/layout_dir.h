// The layout rules for a directory (manifest and rootfs, nothing else); private to libaci/image.
#ifndef COAMING_LIBACI_IMAGE_LAYOUT_DIR_H_
#define COAMING_LIBACI_IMAGE_LAYOUT_DIR_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"

namespace coaming::aci {

// ReadLayoutManifest checks the top of a layout and gives its manifest's text, not yet parsed.
absl::StatusOr<std::string> ReadLayoutManifest(const base::Dir& layout, const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_LAYOUT_DIR_H_
