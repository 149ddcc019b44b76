// TarReader and TarWriter are the byte side of tar: v7, ustar, GNU and PAX in, ustar with PAX where it
// is needed out. They hold no rule about where an entry may land or what it may be: that is the
// caller's. POSIX.1-2017 pax; GNU tar manual, "Basic Tar Format".
//
//   COAM_ASSIGN_OR_RETURN(auto tar, base::TarReader::Open(op, std::move(bytes)));
//   for (;;) {
//     COAM_ASSIGN_OR_RETURN(const base::TarEntry* e, tar->Next());
//     if (e == nullptr) break;
//     ... tar->Read(block) ...
//   }
//   COAM_RETURN_IF_ERROR(tar->Drain());   // before the digest of the stream is believed
//
// Names and attribute values are bytes, whatever the locale; names hold no NUL. Global PAX headers are
// checked and ignored, as Go and libarchive do. Data after a link, directory or device does not exist,
// whatever the size field says (GNU tar, Go). Ownership: the reader
// owns its source, entries live until the next call of Next. Threads: [single]. Limits: path_bytes,
// xattr_bytes, unpacked_files, unpacked_bytes (the sum of sizes), and 1 MiB for other header records.
// Hostile input: sizes, offsets and counts are checked before use; a bad one is archive.corrupt.
#ifndef COAMING_BASE_ARCHIVE_TAR_H_
#define COAMING_BASE_ARCHIVE_TAR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/stream/stream.h"

namespace coaming::base {

enum class TarType : uint8_t {
  kFile,
  kDirectory,
  kSymlink,
  kHardlink,
  kCharDevice,
  kBlockDevice,
  kFifo,
};
// TarTypeName is "file", "directory", "symbolic link", "hard link", ...
std::string_view TarTypeName(TarType type);

struct TarTime {
  int64_t seconds = 0;
  int32_t nanoseconds = 0;  // 0 to 999999999
  friend bool operator==(const TarTime&, const TarTime&) = default;
};

// A stretch of a sparse file that holds data; what lies between is zeros.
struct TarRegion {
  int64_t offset = 0;
  int64_t size = 0;
  friend bool operator==(const TarRegion&, const TarRegion&) = default;
};

struct TarEntry {
  std::string path;  // as written, "./a", "a/": not cleaned
  TarType type = TarType::kFile;
  std::string link;   // target of a symbolic or hard link, as written
  int64_t size = 0;   // of the file, holes included; a hard link may carry data too
  uint32_t mode = 0;  // permission bits with setuid, setgid and sticky: 07777
  int64_t uid = 0, gid = 0;
  std::string uname, gname;
  TarTime mtime;
  std::optional<TarTime> atime, ctime;
  uint32_t dev_major = 0, dev_minor = 0;
  // From SCHILY.xattr.* and LIBARCHIVE.xattr.*, decoded; in written order, each name once.
  std::vector<std::pair<std::string, std::string>> xattrs;
  // Other PAX records that nothing above holds (vendor keys, MSWINDOWS.*), in written order.
  std::vector<std::pair<std::string, std::string>> pax;
  bool sparse = false;
  std::vector<TarRegion> regions;  // if sparse: sorted, without overlap, inside size

  // Reader only: where the entry stands in the uncompressed stream.
  int64_t header_offset = 0;  // of its first header block, extension headers included
  int64_t data_offset = 0;    // of its first data byte
  int64_t stored_size = 0;    // data bytes in the stream, without padding
  friend bool operator==(const TarEntry&, const TarEntry&) = default;
};

struct TarReadOptions {
  // Two readers stand behind one interface. kLean is our own (fast, bytes exact); kLibarchive is the
  // library's, kept as a second opinion: the tests compare the two on everything.
  enum class Engine : uint8_t { kLean, kLibarchive } engine = Engine::kLean;
};

class TarReader {
 public:
  static absl::StatusOr<std::unique_ptr<TarReader>> Open(const Op& op,
                                                         std::unique_ptr<Reader> source,
                                                         const TarReadOptions& options = {});
  virtual ~TarReader() = default;

  // Next skips what is left of the current entry and reads the next header; nullptr at the end of the
  // archive (two blocks of zeros, or the end of the stream between entries).
  // Errors: archive.corrupt, archive.entry (a kind that is not known), core.limit, the source's and
  // the op's.
  virtual absl::StatusOr<const TarEntry*> Next() = 0;
  // Read gives the current file's bytes with holes filled by zeros; 0 is its end.
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;
  // ReadRegion is Read without the zeros: the next stretch of data and where it belongs. An empty
  // block is the end. The view lives until the next call. The cheapest way to write a file.
  struct Block {
    std::string_view bytes;
    int64_t offset = 0;
  };
  virtual absl::StatusOr<Block> ReadRegion() = 0;
  // Drain reads the source to its very end, past the archive's end mark, so that taps below have seen
  // each byte. Call it after Next gave nullptr (or to give up on the rest).
  virtual absl::Status Drain() = 0;
  // TrailingData is true after Drain if anything but zeros followed the end mark.
  virtual bool TrailingData() const = 0;
};

struct TarWriteOptions {
  // Times finer than a second, atime and ctime are written only if asked: they cost a PAX header.
  bool sub_second = false;
  bool access_times = false;
  // The end is two blocks of zeros, filled up to this many blocks (GNU tar: 20). 2 adds none.
  int end_blocks = 2;
};

// TarWriter writes entries in the caller's order; the same entries give the same bytes, whatever the
// clock, locale or user.
class TarWriter {
 public:
  // `sink` is borrowed.
  static absl::StatusOr<std::unique_ptr<TarWriter>> New(Writer* sink,
                                                        const TarWriteOptions& options = {});
  virtual ~TarWriter() = default;

  // Add writes the header. A file then wants exactly `size` bytes by Write before the next Add; a
  // sparse one is written out in full, so the caller writes its zeros too.
  // Errors: core.invalid_argument (NUL in a name, negative size, a link without target), the sink's.
  virtual absl::Status Add(const TarEntry& entry) = 0;
  virtual absl::Status Write(std::string_view bytes) = 0;
  // AddFile is Add and Write in one.
  absl::Status AddFile(const TarEntry& entry, std::string_view bytes);
  // Finish writes the end mark. It does not close the sink.
  virtual absl::Status Finish() = 0;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_ARCHIVE_TAR_H_
