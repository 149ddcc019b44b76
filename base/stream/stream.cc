#include "base/stream/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

class BorrowedReader final : public Reader {
 public:
  explicit BorrowedReader(Reader& reader) : reader_(reader) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override { return reader_.Read(out); }
  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override {
    return reader_.NextBlock(scratch);
  }

 private:
  Reader& reader_;
};

bool MayBlock(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return false;
  return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode);
}

bool HasWaker(const Op& op) { return op.cancel() != nullptr || !op.deadline().never(); }

// Holds SIGPIPE off for one write on this thread: blocks it and takes away the one it raised, so that
// the host never sees it. A SIGPIPE that was pending before stays pending.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pending;
    sigemptyset(&set_);
    sigaddset(&set_, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    blocked_ = pthread_sigmask(SIG_BLOCK, &set_, &old_) == 0;
  }
  ~NoSigpipe() {
    if (!blocked_) return;
    const int saved = errno;
    if (!was_pending_) {
      const struct timespec now = {0, 0};
      while (sigtimedwait(&set_, nullptr, &now) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
    errno = saved;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t set_, old_;
  bool was_pending_ = false, blocked_ = false;
};

absl::Status WriteFailed(int error, std::string_view name) {
  if (error == ENOSPC || error == EDQUOT)
    return FailErrno("core.no_space", error) << "write " << name;
  return FailErrno("core.io", error) << "write " << name;
}

}  // namespace

absl::StatusOr<std::string_view> Reader::NextBlock(std::span<char> scratch) {
  COAM_ASSIGN_OR_RETURN(size_t n, Read(scratch));
  return std::string_view(scratch.data(), n);
}

std::unique_ptr<Reader> Borrow(Reader& reader) { return std::make_unique<BorrowedReader>(reader); }

absl::StatusOr<size_t> MemoryReader::Read(std::span<char> out) {
  const size_t n = std::min({out.size(), rest_.size(), max_block_});
  if (n != 0) std::memcpy(out.data(), rest_.data(), n);
  rest_.remove_prefix(n);
  return n;
}

absl::StatusOr<std::string_view> MemoryReader::NextBlock(std::span<char> scratch) {
  const std::string_view block = rest_.substr(0, max_block_);
  rest_.remove_prefix(block.size());
  return block;
}

absl::Status StringWriter::Write(std::string_view bytes) {
  out_->append(bytes);
  return absl::OkStatus();
}

FdReader::FdReader(const Op& op, UniqueFd fd, std::string_view name)
    : op_(op), own_(std::move(fd)), fd_(own_.get()), name_(name), may_block_(MayBlock(fd_)) {}

FdReader::FdReader(const Op& op, int borrowed_fd, std::string_view name)
    : op_(op), fd_(borrowed_fd), name_(name), may_block_(MayBlock(fd_)) {}

absl::StatusOr<size_t> FdReader::Read(std::span<char> out) {
  COAM_RETURN_IF_ERROR(op_.Check());
  if (may_block_ && HasWaker(op_)) COAM_RETURN_IF_ERROR(WaitFd(op_, fd_, POLLIN));
  for (;;) {
    const ssize_t n = read(fd_, out.data(), out.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return FailErrno("core.io", errno) << "read " << name_;
    COAM_RETURN_IF_ERROR(WaitFd(op_, fd_, POLLIN));
  }
}

FdWriter::FdWriter(const Op& op, UniqueFd fd, std::string_view name)
    : op_(op), own_(std::move(fd)), fd_(own_.get()), name_(name), may_block_(MayBlock(fd_)) {}

FdWriter::FdWriter(const Op& op, int borrowed_fd, std::string_view name)
    : op_(op), fd_(borrowed_fd), name_(name), may_block_(MayBlock(fd_)) {}

absl::Status FdWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    COAM_RETURN_IF_ERROR(op_.Check());
    size_t size = bytes.size();
    if (may_block_ && HasWaker(op_)) {
      COAM_RETURN_IF_ERROR(WaitFd(op_, fd_, POLLOUT));
      size = std::min<size_t>(size, 4096);  // PIPE_BUF: what poll promised will not block
    }
    ssize_t n;
    if (may_block_) {
      NoSigpipe guard;
      n = write(fd_, bytes.data(), size);
    } else {
      n = write(fd_, bytes.data(), size);
    }
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      COAM_RETURN_IF_ERROR(WaitFd(op_, fd_, POLLOUT));
    } else if (errno != EINTR) {
      return WriteFailed(errno, name_);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ReadFull(Reader& reader, std::span<char> out) {
  size_t got = 0;
  while (got < out.size()) {
    COAM_ASSIGN_OR_RETURN(size_t n, reader.Read(out.subspan(got)));
    if (n == 0) break;
    got += n;
  }
  return got;
}

absl::StatusOr<std::string> ReadAll(Reader& reader, const Limits& limits, int64_t Limits::*max) {
  std::string_view name = "bytes";
  for (size_t i = 0; const LimitInfo* info = LimitAt(i); ++i) {
    if (info->field == max) name = info->name;
  }
  return ReadAll(reader, limits.*max, name);
}

absl::StatusOr<std::string> ReadAll(Reader& reader, int64_t max, std::string_view limit_name) {
  std::string out;
  size_t used = 0;
  const size_t bound = static_cast<size_t>(std::max<int64_t>(max, 0));
  for (;;) {
    // One byte more than allowed tells "exactly max" from "more".
    const size_t step = std::min(std::max<size_t>(used, 8 << 10), bound - used + 1);
    out.resize(used + step);
    COAM_ASSIGN_OR_RETURN(size_t n, reader.Read(std::span<char>(out.data() + used, step)));
    used += n;
    if (used > bound) {
      return FailLimit(limit_name, max) << "more than " << max << " bytes";
    }
    if (n == 0) break;
  }
  out.resize(used);
  return out;
}

absl::StatusOr<int64_t> Copy(const Op& op, Reader& reader, Writer& writer) {
  std::unique_ptr<char[]> scratch(new char[kBlockBytes]);
  int64_t total = 0;
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(std::string_view block,
                          reader.NextBlock(std::span<char>(scratch.get(), kBlockBytes)));
    if (block.empty()) return total;
    COAM_RETURN_IF_ERROR(writer.Write(block));
    total += static_cast<int64_t>(block.size());
  }
}

absl::StatusOr<int64_t> Drain(const Op& op, Reader& reader) {
  NullWriter nowhere;
  return Copy(op, reader, nowhere);
}

}  // namespace coaming::base
