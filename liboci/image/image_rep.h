// The inside of Image, and how its documents are loaded. Private to liboci/image.
#ifndef COAMING_LIBOCI_IMAGE_IMAGE_REP_H_
#define COAMING_LIBOCI_IMAGE_IMAGE_REP_H_

#include <memory>
#include <optional>
#include <string>

#include "liboci/image/image.h"
#include "liboci/image/transports.h"

namespace coaming::oci {

struct ImageDocuments {
  Descriptor root, descriptor;
  std::string root_bytes, manifest_bytes, config_bytes;
  Manifest manifest;
  ImageConfig config;
};

struct Image::Rep {
  ImageName name;
  std::unique_ptr<ImageSource> source;
  ImageDocuments documents;
  bool threads = true;
};

absl::StatusOr<std::unique_ptr<ImageSource>> OpenSource(const base::Op& op, const Env& env,
                                                        const ImageName& name);
// ChooseManifest fills in root and manifest, chosen by platform (none: the host's) from an index.
absl::Status ChooseManifest(const base::Op& op, ImageSource& source,
                            const std::optional<Platform>& platform, ImageDocuments* out);
// LoadImage reads and verifies the manifest, chosen by platform, and the config.
absl::Status LoadImage(const base::Op& op, ImageSource& source, const ImageName& name,
                       const OpenOptions& options, ImageDocuments* out);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_IMAGE_REP_H_
