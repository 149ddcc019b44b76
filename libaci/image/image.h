// Reading, validating and patching App Container Images as streams.
//
// Spec: appc/spec 0.8.11, "Image Archives", "Image ID Type". The compression is recognised by its
// magic; the image ID is SHA-512 over every byte of the uncompressed tar, padding included.
// Nothing is written to disk and nothing is held but the manifest and the names seen.
// Threads: free functions, any; readers [single]. Limits: manifest_bytes, unpacked_bytes,
// unpacked_files, compression_ratio, window_bytes, path_bytes.
#ifndef COAMING_LIBACI_IMAGE_IMAGE_H_
#define COAMING_LIBACI_IMAGE_IMAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/stream/compression.h"
#include "base/stream/stream.h"
#include "libaci/schema/manifest.h"

namespace coaming::aci {

// kNone, kGzip, kXz or kBzip2: an App Container Image is never packed with zstd.
using Compression = base::Compression;

struct ImageInfo {
  ImageManifest manifest;
  std::string manifest_json;  // exactly as it stands in the image
  std::string image_id;       // "sha512-" and 128 hex digits
  Compression compression = Compression::kNone;
  uint64_t tar_bytes = 0;     // uncompressed
  uint64_t rootfs_bytes = 0;  // sum of the file sizes
  uint64_t rootfs_entries = 0;
};

struct ReadOptions {
  bool strict = false;              // see ParseOptions
  base::Writer* tar_out = nullptr;  // receives the uncompressed tar as it goes by; may be null
};

// ReadImage reads the image to its end, checks the layout and the manifest and gives its ID.
// Errors: stream.*, archive.*, aci.layout_invalid, aci.manifest_invalid, fs.escape, core.limit.
absl::StatusOr<ImageInfo> ReadImage(base::Reader& in, const ReadOptions& options,
                                    const base::Op& op);

// ReadManifestOnly stops as soon as it has the manifest; the rest is not looked at.
absl::StatusOr<std::string> ReadManifestOnly(base::Reader& in, const base::Op& op);

// The same for a file of the host.
absl::StatusOr<ImageInfo> ReadImageFile(const std::string& path, const ReadOptions& options,
                                        const base::Op& op);
absl::StatusOr<std::string> ReadManifestOfFile(const std::string& path, const base::Op& op);

enum class FileKind { kImage, kLayout, kImageManifest, kPodManifest };
std::string_view FileKindName(FileKind kind);  // "app container image", "image layout", ...
enum class WantKind { kGuess, kImage, kLayout, kManifest };
// ValidateFile checks a file or directory of any of the kinds (guessed from what it is), as actool
// does. Errors: as ReadImage; core.invalid_argument when it is not of the kind wanted.
absl::StatusOr<FileKind> ValidateFile(const std::string& path, WantKind want, bool strict,
                                      const base::Op& op);

// PatchImage copies an image with another manifest; all other entries keep their order, properties
// and contents. `patch` takes the old manifest's JSON and gives the new one, which must be valid.
// Returns the new image's info. Errors: as ReadImage; what `patch` answers; core.io.
absl::StatusOr<ImageInfo> PatchImage(
    base::Reader& in, base::Writer& out, Compression compression,
    const std::function<absl::StatusOr<std::string>(std::string_view manifest_json)>& patch,
    const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_IMAGE_H_
