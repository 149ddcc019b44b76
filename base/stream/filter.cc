#include "base/stream/filter.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {

VerifyingReader::VerifyingReader(std::unique_ptr<Reader> source, Digest want, int64_t size,
                                 std::string_view subject)
    : source_(std::move(source)),
      want_(std::move(want)),
      size_(size),
      subject_(subject),
      hasher_(want_.algorithm_id()) {
  if (!want_.verifiable()) {
    failed_ = Fail("digest.unsupported") << subject_ << ": no way to verify a digest of algorithm '"
                                         << want_.algorithm() << "'";
  }
}

absl::Status VerifyingReader::Failed(absl::Status status) {
  failed_ = status;
  return status;
}

absl::StatusOr<size_t> VerifyingReader::Pull(std::span<char> out) {
  absl::StatusOr<size_t> n = source_->Read(out);
  if (!n.ok()) return Failed(n.status());
  hasher_.Update(out.data(), *n);
  count_ += static_cast<int64_t>(*n);
  return n;
}

absl::Status VerifyingReader::CheckEnd() {
  if (size_ >= 0) {
    char probe;
    absl::StatusOr<size_t> n = source_->Read(std::span<char>(&probe, 1));
    if (!n.ok()) return Failed(n.status());
    if (*n != 0) {
      return Failed(Fail("digest.size_mismatch").Detail("size.want", size_)
                    << subject_ << ": want " << size_ << " bytes, there are more");
    }
  }
  const Digest got = hasher_.Finish();
  if (got != want_) {
    return Failed(
        Fail("digest.mismatch").Detail("digest.want", want_.str()).Detail("digest.got", got.str())
        << subject_ << ": want " << want_.str() << ", the bytes hash to " << got.str());
  }
  verified_ = true;
  return absl::OkStatus();
}

absl::StatusOr<size_t> VerifyingReader::Read(std::span<char> out) {
  if (!failed_.ok()) return failed_;
  return size_ >= 0 ? ReadSized(out) : ReadUnsized(out);
}

absl::StatusOr<size_t> VerifyingReader::ReadSized(std::span<char> out) {
  if (verified_) return 0;
  size_t n = 0;
  if (count_ < size_) {
    const int64_t left = size_ - count_;
    if (static_cast<int64_t>(out.size()) > left) out = out.first(static_cast<size_t>(left));
    COAM_ASSIGN_OR_RETURN(n, Pull(out));
    if (n == 0) {
      return Failed(
          Fail("digest.size_mismatch").Detail("size.want", size_).Detail("size.got", count_)
          << subject_ << ": want " << size_ << " bytes, there are only " << count_);
    }
  }
  if (count_ == size_) COAM_RETURN_IF_ERROR(CheckEnd());
  return n;
}

absl::StatusOr<size_t> VerifyingReader::ReadUnsized(std::span<char> out) {
  auto pull_ahead = [this]() -> absl::Status {
    ahead_.resize(kBlockBytes);
    COAM_ASSIGN_OR_RETURN(size_t n, Pull(std::span<char>(ahead_)));
    ahead_.resize(n);
    return n == 0 ? CheckEnd() : absl::OkStatus();
  };
  if (held_taken_ == held_.size() && !verified_) {
    if (ahead_.empty()) COAM_RETURN_IF_ERROR(pull_ahead());  // the very first block
    held_.swap(ahead_);
    held_taken_ = 0;
    if (!verified_) {
      ahead_.clear();
      COAM_RETURN_IF_ERROR(pull_ahead());
    }
  }
  const size_t n = std::min(out.size(), held_.size() - held_taken_);
  if (n != 0) std::memcpy(out.data(), held_.data() + held_taken_, n);
  held_taken_ += n;
  return n;
}

absl::StatusOr<size_t> HashingReader::Read(std::span<char> out) {
  COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
  hasher_->Update(out.data(), n);
  count_ += static_cast<int64_t>(n);
  return n;
}

absl::StatusOr<std::string_view> HashingReader::NextBlock(std::span<char> scratch) {
  COAM_ASSIGN_OR_RETURN(std::string_view block, source_->NextBlock(scratch));
  hasher_->Update(block);
  count_ += static_cast<int64_t>(block.size());
  return block;
}

absl::StatusOr<size_t> TeeReader::Read(std::span<char> out) {
  COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
  if (n != 0) COAM_RETURN_IF_ERROR(copy_->Write(std::string_view(out.data(), n)));
  return n;
}

LimitReader::LimitReader(std::unique_ptr<Reader> source, int64_t max, std::string_view limit_name,
                         std::string_view subject)
    : source_(std::move(source)),
      left_(max),
      max_(max),
      limit_name_(limit_name),
      subject_(subject) {}

absl::StatusOr<size_t> LimitReader::Read(std::span<char> out) {
  auto too_much = [this] {
    return FailLimit(limit_name_, max_) << subject_ << ": more than " << max_ << " bytes";
  };
  if (left_ < 0) return too_much();
  COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
  left_ -= static_cast<int64_t>(n);
  if (left_ < 0) return too_much();
  return n;
}

absl::StatusOr<size_t> SectionReader::Read(std::span<char> out) {
  if (left_ <= 0) return 0;
  if (static_cast<int64_t>(out.size()) > left_) out = out.first(static_cast<size_t>(left_));
  COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
  if (n == 0) {
    return Fail("digest.size_mismatch")
           << subject_ << ": the source ends " << left_ << " bytes too early";
  }
  left_ -= static_cast<int64_t>(n);
  return n;
}

ProgressReader::ProgressReader(const Op& op, std::unique_ptr<Reader> source, std::string_view kind,
                               std::string_view subject, int64_t total)
    : op_(op), source_(std::move(source)), meter_(op, kind, subject, total, "bytes") {}

absl::StatusOr<size_t> ProgressReader::Read(std::span<char> out) {
  COAM_RETURN_IF_ERROR(op_.Check());
  if (!started_) {
    started_ = true;
    COAM_RETURN_IF_ERROR(meter_.Start());
  }
  COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
  COAM_RETURN_IF_ERROR(Account(n));
  return n;
}

absl::StatusOr<std::string_view> ProgressReader::NextBlock(std::span<char> scratch) {
  COAM_RETURN_IF_ERROR(op_.Check());
  if (!started_) {
    started_ = true;
    COAM_RETURN_IF_ERROR(meter_.Start());
  }
  COAM_ASSIGN_OR_RETURN(std::string_view block, source_->NextBlock(scratch));
  COAM_RETURN_IF_ERROR(Account(block.size()));
  return block;
}

absl::Status ProgressReader::Account(size_t n) {
  count_ += static_cast<int64_t>(n);
  if (n != 0) return meter_.Advance(count_);
  if (finished_) return absl::OkStatus();
  finished_ = true;
  return meter_.Finish();
}

absl::Status HashingWriter::Write(std::string_view bytes) {
  if (hasher_ != nullptr) hasher_->Update(bytes);
  count_ += static_cast<int64_t>(bytes.size());
  return next_->Write(bytes);
}

}  // namespace coaming::base
