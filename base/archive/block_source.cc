#include "base/archive/block_source.h"

#include <algorithm>

#include "base/archive/header.h"
#include "base/core/status_macros.h"

namespace coaming::base::internal {

absl::Status BlockSource::Fill() {
  if (!in_.empty() || ended_) return absl::OkStatus();
  COAM_RETURN_IF_ERROR(op_.Check());
  COAM_ASSIGN_OR_RETURN(in_, source_->NextBlock(std::span<char>(scratch_.get(), kBlockBytes)));
  if (in_.empty()) ended_ = true;
  return absl::OkStatus();
}

absl::Status BlockSource::Take(size_t size, std::string* out) {
  out->clear();
  while (out->size() < size) {
    COAM_RETURN_IF_ERROR(Fill());
    if (ended_) break;
    const size_t n = std::min(size - out->size(), in_.size());
    out->append(in_.substr(0, n));
    Drop(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> BlockSource::TakeBlock() {
  COAM_RETURN_IF_ERROR(Fill());
  if (in_.size() >= kTarBlock) {
    const std::string_view block = in_.substr(0, kTarBlock);
    Drop(kTarBlock);
    return block;
  }
  COAM_RETURN_IF_ERROR(Take(kTarBlock, &block_));
  if (!block_.empty() && block_.size() < kTarBlock) {
    return Corrupt(pos_) << "archive is cut short in a header at byte " << pos_;
  }
  return std::string_view(block_);
}

absl::StatusOr<bool> BlockSource::Skip(int64_t data, int64_t padding) {
  int64_t left = data + padding;
  while (left > 0) {
    COAM_RETURN_IF_ERROR(Fill());
    if (ended_) return left <= padding;
    const int64_t n = std::min<int64_t>(left, static_cast<int64_t>(in_.size()));
    Drop(static_cast<size_t>(n));
    left -= n;
  }
  return true;
}

}  // namespace coaming::base::internal
