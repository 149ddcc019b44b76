#include "liboci/store/blob_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/fs/tree.h"
#include "base/stream/stream.h"
#include "liboci/store/layout_rep.h"
#include "liboci/store/partial.pb.h"

namespace coaming::oci {
namespace {

// Below this a broken download is begun anew: a record would cost more than it saves.
constexpr int64_t kResumeBytes = 256 << 10;
// Write-back is started in steps of this size, so that the flush at Commit finds little left.
constexpr int64_t kWritebackBytes = 8 << 20;

std::string Subject(const base::Digest& digest) { return absl::StrCat("blob ", digest.str()); }

// FileBlobWriter writes to a named temporary file; derived classes say what becomes of it.
class FileBlobWriter : public BlobWriter {
 public:
  FileBlobWriter(const base::Op& op, const base::Dir& dir, base::UniqueFd fd, std::string name,
                 std::optional<Descriptor> want)
      : op_(op),
        dir_(dir),
        fd_(std::move(fd)),
        name_(std::move(name)),
        want_(std::move(want)),
        hasher_(want_.has_value() ? want_->digest.algorithm_id() : base::DigestAlgorithm::kSha256) {
  }

  int64_t offset() const override { return offset_; }
  const std::string& etag() const override { return etag_; }
  void set_etag(std::string_view etag) override { etag_ = etag; }
  int64_t size() const override { return size_; }

  absl::Status Restart() override {
    if (done_) return absl::OkStatus();
    if (size_ > 0 && ftruncate(fd_.get(), 0) != 0) {
      return base::FailErrno("core.io", errno) << "truncate " << dir_.PathOf(name_);
    }
    size_ = offset_ = flushed_ = 0;
    hasher_.Reset();
    return absl::OkStatus();
  }

  absl::Status Write(std::string_view bytes) override {
    if (!failed_.ok()) return failed_;
    if (done_) return absl::OkStatus();  // somebody else finished it meanwhile
    failed_ = DoWrite(bytes);
    return failed_;
  }

  absl::StatusOr<base::Digest> Commit() override {
    COAM_RETURN_IF_ERROR(failed_);
    if (done_) return want_->digest;
    if (want_.has_value() && size_ != want_->size) {
      absl::Status status = base::Fail("digest.size_mismatch")
                            << Subject(want_->digest) << " ended after " << size_ << " of "
                            << want_->size << " bytes";
      // Too short: the bytes so far may be good and stay for the next try.
      failed_ = status;
      return status;
    }
    base::Digest digest = hasher_.Finish();
    if (want_.has_value() && digest != want_->digest) {
      Drop();
      failed_ = base::Fail("digest.mismatch")
                << Subject(want_->digest) << ": the bytes that came hash to " << digest.str();
      return failed_;
    }
    absl::Status status = Publish(digest);
    if (!status.ok()) {
      failed_ = status;
      return status;
    }
    done_ = true;
    return digest;
  }

 protected:
  // Removes the temporary file and all that belongs to it.
  virtual void Drop() {
    if (!name_.empty()) (void)dir_.Unlink(name_);
    name_.clear();
  }

  absl::Status Publish(const base::Digest& digest) {
    if (fchmod(fd_.get(), 0644) != 0) {
      return base::FailErrno("core.io", errno) << "set the mode of " << dir_.PathOf(name_);
    }
    COAM_RETURN_IF_ERROR(base::SyncFd(fd_.get(), dir_.PathOf(name_)));
    if (digest.algorithm_id() != base::DigestAlgorithm::kSha256) {
      COAM_RETURN_IF_ERROR(
          dir_.MakeDirs(absl::StrCat("blobs/", digest.algorithm()), 0755).status());
    }
    COAM_RETURN_IF_ERROR(dir_.Rename(name_, BlobPath(digest)));
    name_.clear();
    return absl::OkStatus();
  }

  absl::Status DoWrite(std::string_view bytes) {
    int64_t n = static_cast<int64_t>(bytes.size());
    if (want_.has_value() && n > want_->size - size_) {
      Drop();
      return base::Fail("digest.size_mismatch")
             << Subject(want_->digest) << " has more than its " << want_->size << " bytes";
    }
    if (!want_.has_value() && n > op_.limits().blob_bytes - size_) {
      Drop();
      return base::FailLimit("blob_bytes", op_.limits().blob_bytes)
             << "the blob has more than " << op_.limits().blob_bytes << " bytes";
    }
    COAM_RETURN_IF_ERROR(base::WriteFd(fd_.get(), dir_.PathOf(name_), bytes));
    hasher_.Update(bytes);
    size_ += n;
    if (size_ - flushed_ >= kWritebackBytes) {
      (void)sync_file_range(fd_.get(), flushed_, size_ - flushed_, SYNC_FILE_RANGE_WRITE);
      flushed_ = size_;
    }
    return absl::OkStatus();
  }

  const base::Op& op_;
  const base::Dir& dir_;
  base::UniqueFd fd_;
  std::string name_;  // of the temporary file; "" once it has its final one or is gone
  std::optional<Descriptor> want_;
  base::Hasher hasher_;
  int64_t size_ = 0, offset_ = 0, flushed_ = 0;
  std::string etag_;
  bool done_ = false;
  absl::Status failed_;
};

class TemporaryBlobWriter final : public FileBlobWriter {
 public:
  using FileBlobWriter::FileBlobWriter;
  ~TemporaryBlobWriter() override { Drop(); }
};

class PartialBlobWriter final : public FileBlobWriter {
 public:
  PartialBlobWriter(const base::Op& op, const base::Dir& dir, base::UniqueFd fd, std::string name,
                    const Descriptor& want, base::FileLock lock)
      : FileBlobWriter(op, dir, std::move(fd), std::move(name), want), lock_(std::move(lock)) {}

  ~PartialBlobWriter() override {
    if (name_.empty()) {
      if (!record_name_.empty()) (void)dir_.Unlink(record_name_);
    } else if (size_ == 0) {
      Drop();
    } else {
      SaveRecord();
    }
  }

  void MarkDone() {
    done_ = true;
    Drop();
  }

  // Begin takes over what is there, if its record fits, and hashes it.
  absl::Status Begin() {
    record_name_ = absl::StrCat(name_, ".rec");
    struct stat st;
    if (fstat(fd_.get(), &st) != 0) {
      return base::FailErrno("core.io", errno) << "look at " << dir_.PathOf(name_);
    }
    if (st.st_size == 0) {
      SaveRecord();  // now, so that even a killed process leaves something to go on with
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> text = dir_.ReadFile(record_name_, 64 << 10, "manifest_bytes");
    bool good = text.ok() && record_.ParseFromString(*text) &&
                record_.digest() == want_->digest.str() && record_.size() == want_->size &&
                st.st_size <= want_->size;
    size_ = st.st_size;
    if (!good) {
      record_.Clear();
      SaveRecord();
      return Restart();
    }
    etag_ = record_.etag();
    std::string block(base::kBlockBytes, '\0');
    int64_t at = 0;
    while (at < size_) {
      COAM_RETURN_IF_ERROR(op_.Check());
      ssize_t n = pread(fd_.get(), block.data(), block.size(), at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return base::FailErrno("core.io", errno) << "read " << dir_.PathOf(name_);
      hasher_.Update(block.data(), static_cast<size_t>(n));
      at += n;
    }
    if (lseek(fd_.get(), size_, SEEK_SET) < 0) {
      return base::FailErrno("core.io", errno) << "seek in " << dir_.PathOf(name_);
    }
    offset_ = flushed_ = size_;
    return absl::OkStatus();
  }

  absl::Status Restart() override {
    if (done_) return absl::OkStatus();
    COAM_RETURN_IF_ERROR(FileBlobWriter::Restart());
    if (lseek(fd_.get(), 0, SEEK_SET) < 0) {
      return base::FailErrno("core.io", errno) << "seek in " << dir_.PathOf(name_);
    }
    return absl::OkStatus();
  }

 protected:
  void Drop() override {
    if (!record_name_.empty()) (void)dir_.Unlink(record_name_);
    FileBlobWriter::Drop();
  }

 private:
  // Best effort: without its record the partial is begun anew.
  void SaveRecord() {
    record_.set_digest(want_->digest.str());
    record_.set_size(want_->size);
    record_.set_etag(etag_);
    if (record_.started_ms() == 0) record_.set_started_ms(op_.clock().RealtimeNs() / 1000000);
    record_.set_attempts(record_.attempts() + 1);
    // Under an op of its own: this one may have been cancelled, which is when it counts.
    (void)dir_.WriteFile(base::Op(), record_name_, record_.SerializeAsString(), {.mode = 0644});
  }

  base::FileLock lock_;
  std::string record_name_;
  store::PartialRecord record_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobWriter>> NewTemporaryBlobWriter(const base::Op& op,
                                                                   const base::Dir& dir,
                                                                   const Descriptor* want) {
  std::string name = absl::StrCat(kPartialDir, "/tmp-", base::RandomName());
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, dir.Create(name, 0600));
  std::optional<Descriptor> descriptor;
  if (want != nullptr) descriptor = *want;
  return std::make_unique<TemporaryBlobWriter>(op, dir, std::move(fd), std::move(name),
                                               std::move(descriptor));
}

absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlobWriter(const base::Op& op, const base::Dir& dir,
                                                          const Descriptor& descriptor) {
  if (descriptor.size < kResumeBytes) return NewTemporaryBlobWriter(op, dir, &descriptor);
  std::string name = absl::StrCat(kPartialDir, "/", PartialName(descriptor.digest));
  COAM_ASSIGN_OR_RETURN(base::FileLock lock,
                        base::FileLock::Acquire(op, dir, name, base::LockMode::kExclusive));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, dir.OpenFile(name, O_RDWR | O_NOFOLLOW));
  auto writer = std::make_unique<PartialBlobWriter>(op, dir, std::move(fd), std::move(name),
                                                    descriptor, std::move(lock));
  // Whoever held the lock before us may have brought the blob to its end.
  absl::StatusOr<struct stat> st = dir.Stat(BlobPath(descriptor.digest));
  if (st.ok() && st->st_size == descriptor.size) {
    writer->MarkDone();
    return writer;
  }
  COAM_RETURN_IF_ERROR(writer->Begin());
  return writer;
}

}  // namespace coaming::oci
