// LayerStream is one layer's bytes as plain reads, for callers that know nothing of base/stream (the C
// ABI). See Image::OpenLayer and OpenLayerTar.
//
// Ownership: borrows op and image. Threads: [single].
#ifndef COAMING_LIBOCI_IMAGE_LAYER_STREAM_H_
#define COAMING_LIBOCI_IMAGE_LAYER_STREAM_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/image.h"

namespace coaming::oci {

class LayerStream {
 public:
  static absl::StatusOr<std::unique_ptr<LayerStream>> Open(const base::Op& op, Image& image,
                                                           size_t index, bool stored);
  ~LayerStream();
  // Read gives the number of bytes put at `data`; 0 is the end, after everything was checked.
  absl::StatusOr<size_t> Read(char* data, size_t size);

 private:
  explicit LayerStream(std::unique_ptr<base::Reader> reader);
  std::unique_ptr<base::Reader> reader_;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_LAYER_STREAM_H_
