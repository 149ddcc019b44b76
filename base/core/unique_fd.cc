#include "base/core/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/core/error.h"

namespace coaming::base {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) {
    const int saved = errno;
    close(fd_);  // EINTR leaves it closed on Linux
    errno = saved;
  }
  fd_ = fd;
}

absl::StatusOr<UniqueFd> HighFd(int fd) {
  UniqueFd owned(fd);
  if (fd > 2) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
      return FailErrno("core.io", errno) << "set close-on-exec on descriptor " << fd;
    }
    return owned;
  }
  return DupFd(fd);
}

absl::StatusOr<UniqueFd> DupFd(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return FailErrno("core.io", errno) << "duplicate descriptor " << fd;
  return UniqueFd(copy);
}

}  // namespace coaming::base
