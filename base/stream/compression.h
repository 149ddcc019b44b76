// Compression: the formats of layers and images behind one table (gzip, zstd, xz, bzip2), found by
// name, by magic bytes or by media type. RFC 1952, RFC 8878, xz-file-format 1.1.0.
//
//   base::Compression found;
//   COAM_ASSIGN_OR_RETURN(auto tar, base::NewAutoDecompressor(std::move(blob), {}, &found));
//
// Readers take several members or frames one after another. What follows the last one must be zeros
// (padding of old tools) or nothing; anything else is stream.corrupt. A cut stream is stream.corrupt.
// Ownership: a decompressor owns its source; a compressor borrows its sink. Threads: [single].
// Limits: window_bytes, compression_ratio (a bomb stops with core.limit). Hostile input costs at
// most the window and 256 KiB.
#ifndef COAMING_BASE_STREAM_COMPRESSION_H_
#define COAMING_BASE_STREAM_COMPRESSION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/stream/stream.h"

namespace coaming::base {

enum class Compression : uint8_t { kNone, kGzip, kZstd, kXz, kBzip2 };

struct DecompressOptions {
  const Limits* limits = nullptr;  // null: the defaults
};

struct CompressOptions {
  // The format's own scale. -1 is the default: gzip 6, zstd 3, xz 6, bzip2 9.
  // gzip 0 and 4 to 9 are zlib; 1 to 3 are ISA-L, ten times as fast. The same level and input give
  // the same bytes, except that ISA-L's differ between kinds of processors.
  int level = -1;
};

// One row per format.
struct CompressionInfo {
  Compression id;
  std::string_view name;          // "gzip"
  std::string_view media_suffix;  // "gzip": after the '+' of a media type
  std::string_view file_suffix;   // ".gz"
  std::string_view magic;
  std::string_view feature;  // "stream.gzip"
  absl::StatusOr<std::unique_ptr<Reader>> (*new_reader)(std::unique_ptr<Reader> source,
                                                        const DecompressOptions& options);
  absl::StatusOr<std::unique_ptr<Writer>> (*new_writer)(Writer* sink,
                                                        const CompressOptions& options);
};

// Compressions is the table, without a row for kNone.
std::span<const CompressionInfo> Compressions();
// CompressionName is "gzip"; "none" for kNone.
std::string_view CompressionName(Compression id);
// FindCompression looks a name up ("gzip", "zstd", "xz", "bzip2", "none").
std::optional<Compression> FindCompression(std::string_view name);
// DetectCompression looks at the first bytes (8 suffice); kNone if no magic matches.
Compression DetectCompression(std::string_view first_bytes);
// CompressionOfMediaType: "application/vnd.oci.image.layer.v1.tar+gzip" and Docker's "...tar.gzip" are
// kGzip; "...tar" is kNone; nullopt for a suffix that is not known ("+lz4") or no tar at all.
std::optional<Compression> CompressionOfMediaType(std::string_view media_type);

// NewDecompressor makes a reader of the plain bytes; kNone gives the source back.
absl::StatusOr<std::unique_ptr<Reader>> NewDecompressor(Compression id,
                                                        std::unique_ptr<Reader> source,
                                                        const DecompressOptions& options = {});
// NewAutoDecompressor reads the first bytes and goes by their magic; `found` may be null.
absl::StatusOr<std::unique_ptr<Reader>> NewAutoDecompressor(std::unique_ptr<Reader> source,
                                                            const DecompressOptions& options = {},
                                                            Compression* found = nullptr);
// NewCompressor makes a writer into `sink`. Close ends the format and does not close the sink.
absl::StatusOr<std::unique_ptr<Writer>> NewCompressor(Compression id, Writer* sink,
                                                      const CompressOptions& options = {});

}  // namespace coaming::base

#endif  // COAMING_BASE_STREAM_COMPRESSION_H_
