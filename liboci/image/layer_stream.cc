#include "liboci/image/layer_stream.h"

#include <utility>

#include "base/core/status_macros.h"
#include "base/stream/stream.h"

namespace coaming::oci {

LayerStream::LayerStream(std::unique_ptr<base::Reader> reader) : reader_(std::move(reader)) {}
LayerStream::~LayerStream() = default;

absl::StatusOr<std::unique_ptr<LayerStream>> LayerStream::Open(const base::Op& op, Image& image,
                                                               size_t index, bool stored) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader,
                        stored ? image.OpenLayer(op, index) : image.OpenLayerTar(op, index));
  return std::unique_ptr<LayerStream>(new LayerStream(std::move(reader)));
}

absl::StatusOr<size_t> LayerStream::Read(char* data, size_t size) {
  return reader_->Read(std::span<char>(data, size));
}

}  // namespace coaming::oci
