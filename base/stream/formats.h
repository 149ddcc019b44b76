// One maker pair per compression format, and the frame that all decoders share. Private to the package.
#ifndef COAMING_BASE_STREAM_FORMATS_H_
#define COAMING_BASE_STREAM_FORMATS_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/stream/compression.h"

namespace coaming::base::internal {

// Decoder is the state of one format. The frame (NewFramedReader) feeds it, watches limits and decides
// what may follow a member.
class Decoder {
 public:
  enum class Result { kMore, kMemberEnd };
  virtual ~Decoder() = default;
  // Decode moves on: takes bytes off the front of `in` and fills the front of `out`, leaving both at
  // what is left. kMemberEnd: a member (frame, stream) ended just there. No progress and kMore means
  // that more input is needed. Errors: stream.corrupt, stream.unsupported, core.limit.
  virtual absl::StatusOr<Result> Decode(std::span<const char>* in, std::span<char>* out) = 0;
  // Restart gets ready for another member.
  virtual absl::Status Restart() = 0;
  // LookAhead is how many bytes a member's first Decode wants to see in one piece.
  virtual size_t LookAhead() const { return 4; }
  // StartsMember is true if `bytes` (at least LookAhead() unless the source ends) begin a member.
  virtual bool StartsMember(std::string_view bytes) const = 0;
  // Zeros between two members, not only after the last (xz has them).
  virtual bool PaddingBetween() const { return false; }
};

std::unique_ptr<Reader> NewFramedReader(std::unique_ptr<Reader> source,
                                        std::unique_ptr<Decoder> decoder, std::string_view format,
                                        const DecompressOptions& options);

using NewReader = absl::StatusOr<std::unique_ptr<Reader>>;
using NewWriter = absl::StatusOr<std::unique_ptr<Writer>>;

NewReader NewGzipReader(std::unique_ptr<Reader> source, const DecompressOptions& options);
NewWriter NewGzipWriter(Writer* sink, const CompressOptions& options);
NewReader NewZstdReader(std::unique_ptr<Reader> source, const DecompressOptions& options);
NewWriter NewZstdWriter(Writer* sink, const CompressOptions& options);
NewReader NewXzReader(std::unique_ptr<Reader> source, const DecompressOptions& options);
NewWriter NewXzWriter(Writer* sink, const CompressOptions& options);
NewReader NewBzip2Reader(std::unique_ptr<Reader> source, const DecompressOptions& options);
NewWriter NewBzip2Writer(Writer* sink, const CompressOptions& options);

// WindowLimit is Limits::window_bytes of the options or the default.
int64_t WindowLimit(const DecompressOptions& options);

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_STREAM_FORMATS_H_
