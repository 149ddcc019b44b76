// BlockSource cuts a stream into tar's blocks and counts where it stands. Private to the package.
#ifndef COAMING_BASE_ARCHIVE_BLOCK_SOURCE_H_
#define COAMING_BASE_ARCHIVE_BLOCK_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/error.h"
#include "base/core/op.h"
#include "base/stream/stream.h"

namespace coaming::base::internal {

// Corrupt starts an archive.corrupt that names the byte.
inline ErrorMaker Corrupt(int64_t at) {
  return Fail("archive.corrupt").Detail("archive.offset", at);
}

class BlockSource {
 public:
  BlockSource(const Op& op, std::unique_ptr<Reader> source)
      : op_(op), source_(std::move(source)), scratch_(new char[kBlockBytes]) {}

  int64_t pos() const { return pos_; }  // bytes taken so far
  bool ended() const { return ended_; }
  std::string_view ready() const { return in_; }  // read but not taken
  void Drop(size_t size) {                        // takes bytes off ready()
    in_.remove_prefix(size);
    pos_ += static_cast<int64_t>(size);
  }

  // Fill reads more if nothing is ready; ended() tells if nothing came.
  absl::Status Fill();
  // Take takes exactly `size` bytes into `out`; fewer only at the end of the source.
  absl::Status Take(size_t size, std::string* out);
  // TakeBlock gives the next 512 bytes, without a copy if they lie together; empty at the end. The
  // view lives until the next call of anything here.
  absl::StatusOr<std::string_view> TakeBlock();
  // Skip drops data and padding. False: the source ended inside the data (in padding is fine).
  absl::StatusOr<bool> Skip(int64_t data, int64_t padding);

 private:
  const Op& op_;
  std::unique_ptr<Reader> source_;
  std::unique_ptr<char[]> scratch_;
  std::string_view in_;
  std::string block_;  // a block that lay in two pieces
  bool ended_ = false;
  int64_t pos_ = 0;
};

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_ARCHIVE_BLOCK_SOURCE_H_
