// What reading, patching and building images share; private to libaci.
#ifndef COAMING_LIBACI_IMAGE_IMAGE_IO_H_
#define COAMING_LIBACI_IMAGE_IMAGE_IO_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/archive/tar.h"
#include "base/core/op.h"
#include "base/digest/hasher.h"
#include "base/stream/compression.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"

namespace coaming::aci {

// ImageStream is an image being read: decompressed, hashed, and cut into tar entries.
class ImageStream {
 public:
  // `tee` receives the uncompressed tar; it and `op` are borrowed and may outlive nothing.
  // Errors: aci.not_image, stream.*.
  static absl::StatusOr<std::unique_ptr<ImageStream>> Open(base::Reader& in, base::Writer* tee,
                                                           const base::Op& op);
  base::TarReader& tar() { return *tar_; }
  base::Compression compression() const { return compression_; }
  // Reads to the very end. After it, id() and bytes() hold.
  absl::Status Finish();
  const std::string& id() const { return id_; }
  uint64_t bytes() const { return static_cast<uint64_t>(hashing_->count()); }

 private:
  ImageStream() : hasher_(base::DigestAlgorithm::kSha512) {}
  base::Hasher hasher_;
  base::HashingReader* hashing_ = nullptr;  // owned by tar_
  base::Compression compression_ = base::Compression::kNone;
  std::unique_ptr<base::TarReader> tar_;
  std::string id_;
};

// ImageWriter is an image being written: tar entries hashed and compressed into a sink.
class ImageWriter {
 public:
  // `out` is borrowed.
  static absl::StatusOr<std::unique_ptr<ImageWriter>> New(base::Writer* out,
                                                          base::Compression compression);
  base::TarWriter& tar() { return *tar_; }
  // Ends tar and compression; the sink stays open. After it, id() and bytes() hold.
  absl::Status Finish();
  const std::string& id() const { return id_; }
  uint64_t bytes() const { return static_cast<uint64_t>(hashing_->count()); }

 private:
  ImageWriter() : hasher_(base::DigestAlgorithm::kSha512) {}
  base::Hasher hasher_;
  std::unique_ptr<base::Writer> compressor_;
  std::unique_ptr<base::HashingWriter> hashing_;
  std::unique_ptr<base::TarWriter> tar_;
  std::string id_;
};

// Reads the current entry whole, bounded by manifest_bytes.
absl::StatusOr<std::string> ReadEntry(base::TarReader& tar, const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_IMAGE_IO_H_
