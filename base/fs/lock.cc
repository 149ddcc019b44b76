#include "base/fs/lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"

namespace coaming::base {
namespace {

constexpr int kFirstPauseMs = 1;
constexpr int kLongestPauseMs = 50;

// 0 = locked, EWOULDBLOCK = another holds it, else an errno.
int TryLock(int fd, LockMode mode) {
  const int how = (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  int r;
  do {
    r = flock(fd, how);
  } while (r != 0 && errno == EINTR);
  return r == 0 ? 0 : errno;
}

absl::Status WaitLock(const Op& op, int fd, std::string_view name, LockMode mode) {
  // flock cannot be waited for together with a cancel; so ask, and sleep on the cancel between.
  for (int pause = kFirstPauseMs;; pause = std::min(pause * 2, kLongestPauseMs)) {
    const int e = TryLock(fd, mode);
    if (e == 0) return absl::OkStatus();
    if (e != EWOULDBLOCK) return FailPath("lock", name, e);
    if (absl::Status s = op.Check(); !s.ok()) {
      Error error = GetError(s);
      error.message = "waiting for the lock " + ShowPath(name) + ": " + error.message;
      return ToStatus(error);
    }
    pollfd p{op.cancel() != nullptr ? op.cancel()->fd() : -1, POLLIN, 0};
    poll(&p, 1, op.deadline().PollMs(pause, op.clock()));
  }
}

absl::StatusOr<UniqueFd> OpenLock(const Dir& dir, std::string_view path) {
  if (path.empty() || path == ".") return dir.OpenFile(".", O_RDONLY | O_DIRECTORY);
  absl::StatusOr<UniqueFd> fd = dir.OpenFile(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!fd.ok()) {
    const int e = GetError(fd.status()).sys_errno;
    if (e == EROFS || e == EACCES || e == EISDIR) return dir.OpenFile(path, O_RDONLY | O_NOFOLLOW);
  }
  return fd;
}

// True if `path` still names the file that was locked.
bool StillThere(const Dir& dir, std::string_view path, int fd) {
  struct stat held;
  if (fstat(fd, &held) != 0) return false;
  absl::StatusOr<struct stat> now = dir.Stat(path);
  return now.ok() && now->st_dev == held.st_dev && now->st_ino == held.st_ino;
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Acquire(const Op& op, const Dir& dir, std::string_view path,
                                           LockMode mode) {
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(UniqueFd fd, OpenLock(dir, path));
    COAM_RETURN_IF_ERROR(WaitLock(op, fd.get(), dir.PathOf(path), mode));
    if (StillThere(dir, path, fd.get())) return FileLock(std::move(fd), dir.PathOf(path));
  }
}

absl::StatusOr<std::optional<FileLock>> FileLock::TryAcquire(const Dir& dir, std::string_view path,
                                                             LockMode mode) {
  for (;;) {
    COAM_ASSIGN_OR_RETURN(UniqueFd fd, OpenLock(dir, path));
    const int e = TryLock(fd.get(), mode);
    if (e == EWOULDBLOCK) return std::optional<FileLock>();
    if (e != 0) return FailPath("lock", dir.PathOf(path), e);
    if (StillThere(dir, path, fd.get())) {
      return std::optional<FileLock>(FileLock(std::move(fd), dir.PathOf(path)));
    }
  }
}

absl::StatusOr<FileLock> FileLock::AcquireFd(const Op& op, UniqueFd fd, std::string_view name,
                                             LockMode mode) {
  COAM_RETURN_IF_ERROR(WaitLock(op, fd.get(), name, mode));
  return FileLock(std::move(fd), std::string(name));
}

absl::StatusOr<std::optional<FileLock>> FileLock::TryAcquireFd(UniqueFd fd, std::string_view name,
                                                               LockMode mode) {
  const int e = TryLock(fd.get(), mode);
  if (e == EWOULDBLOCK) return std::optional<FileLock>();
  if (e != 0) return FailPath("lock", name, e);
  return std::optional<FileLock>(FileLock(std::move(fd), std::string(name)));
}

absl::Status FileLock::Convert(const Op& op, LockMode mode) {
  if (!fd_.ok()) return Fail("core.state") << "convert a lock that is not held";
  return WaitLock(op, fd_.get(), name_, mode);
}

void FileLock::Release() {
  if (fd_.ok()) flock(fd_.get(), LOCK_UN);  // a copy in a child must not keep it
  fd_.Reset();
}

}  // namespace coaming::base
