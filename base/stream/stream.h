// Reader and Writer are bytes in motion: pulled from a Reader, pushed into a Writer, in blocks of any
// size. The interfaces, and the plain ends of a chain: memory, strings, open descriptors.
//
//   base::MemoryReader in(text);
//   std::string out;
//   base::StringWriter sink(&out);
//   COAM_RETURN_IF_ERROR(base::Copy(op, in, sink).status());
//
// Ownership: a class that takes std::unique_ptr<Reader> owns its source; Borrow() lends one that
// lives elsewhere. Threads: [single]. Limits: ReadAll's argument; nothing else here grows.
#ifndef COAMING_BASE_STREAM_STREAM_H_
#define COAMING_BASE_STREAM_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"

namespace coaming::base {

// Blocks of this size keep system calls few and stay in the second-level cache.
inline constexpr size_t kBlockBytes = 128 << 10;

class Reader {
 public:
  virtual ~Reader() = default;
  // Read fills a front part of `out` (not empty) and returns its size, at least 1; 0 is the end, and
  // then every later call returns 0 too. After an error the reader stays failed.
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;
  // NextBlock gives the next bytes without a copy where the reader has them in memory, else by Read
  // into `scratch`. Empty is the end. The view lives until the next call of either.
  virtual absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch);
};

class Writer {
 public:
  virtual ~Writer() = default;
  // Write takes all of `bytes` or fails; after a failure the writer stays failed.
  virtual absl::Status Write(std::string_view bytes) = 0;
  // Close flushes what is buffered and ends the format. Call it once; without it the output is not
  // whole. It does not close what lies beneath.
  virtual absl::Status Close() { return absl::OkStatus(); }
};

// Borrow lends `reader` to an owner; `reader` must outlive it.
std::unique_ptr<Reader> Borrow(Reader& reader);

// MemoryReader reads borrowed bytes; `max_block` (tests) bounds what one Read gives.
class MemoryReader final : public Reader {
 public:
  explicit MemoryReader(std::string_view bytes, size_t max_block = SIZE_MAX)
      : rest_(bytes), max_block_(max_block) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override;
  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override;

 private:
  std::string_view rest_;
  size_t max_block_;
};

// StringReader reads a string that it owns.
class StringReader final : public Reader {
 public:
  explicit StringReader(std::string bytes) : bytes_(std::move(bytes)), reader_(bytes_) {}
  StringReader(const StringReader&) = delete;
  StringReader& operator=(const StringReader&) = delete;
  absl::StatusOr<size_t> Read(std::span<char> out) override { return reader_.Read(out); }

 private:
  std::string bytes_;  // first: reader_ looks into it
  MemoryReader reader_;
};

// StringWriter appends to a borrowed string.
class StringWriter final : public Writer {
 public:
  explicit StringWriter(std::string* out) : out_(out) {}
  absl::Status Write(std::string_view bytes) override;

 private:
  std::string* out_;
};

// NullWriter drops everything.
class NullWriter final : public Writer {
 public:
  absl::Status Write(std::string_view bytes) override { return absl::OkStatus(); }
};

// FdReader reads an open descriptor from where it stands. A descriptor that would block is waited for
// under the op's cancel and deadline. `name` goes into errors. Errors: core.io, core.cancelled,
// core.deadline_exceeded.
class FdReader final : public Reader {
 public:
  FdReader(const Op& op, UniqueFd fd, std::string_view name);
  FdReader(const Op& op, int borrowed_fd, std::string_view name);
  absl::StatusOr<size_t> Read(std::span<char> out) override;

 private:
  const Op& op_;
  UniqueFd own_;
  int fd_;
  std::string name_;
  bool may_block_;  // a pipe, socket or terminal
};

// FdWriter writes to an open descriptor, all or an error (core.io, core.no_space, and the op's). A
// broken pipe is an error and raises no signal.
class FdWriter final : public Writer {
 public:
  FdWriter(const Op& op, UniqueFd fd, std::string_view name);
  FdWriter(const Op& op, int borrowed_fd, std::string_view name);
  absl::Status Write(std::string_view bytes) override;

 private:
  const Op& op_;
  UniqueFd own_;
  int fd_;
  std::string name_;
  bool may_block_;
};

// ReadFull reads until `out` is full or the source ends; returns the bytes read.
absl::StatusOr<size_t> ReadFull(Reader& reader, std::span<char> out);
// ReadAll reads to the end. More than `limits.*max` bytes: core.limit, and nothing more is read.
absl::StatusOr<std::string> ReadAll(Reader& reader, const Limits& limits, int64_t Limits::*max);
// ReadAll with a bound of the caller's own, named `limit_name` in the error.
absl::StatusOr<std::string> ReadAll(Reader& reader, int64_t max, std::string_view limit_name);
// Copy moves everything and returns the number of bytes; `op` is asked before each block. It does not
// close the writer.
absl::StatusOr<int64_t> Copy(const Op& op, Reader& reader, Writer& writer);
// Drain reads to the end and returns the number of bytes.
absl::StatusOr<int64_t> Drain(const Op& op, Reader& reader);

}  // namespace coaming::base

#endif  // COAMING_BASE_STREAM_STREAM_H_
