// UniqueFd owns one file descriptor and closes it when it dies.
//
// Threads: [single]. A UniqueFd made by the library is always close-on-exec and never 0, 1 or 2.
#ifndef COAMING_BASE_CORE_UNIQUE_FD_H_
#define COAMING_BASE_CORE_UNIQUE_FD_H_

#include <utility>

#include "absl/status/statusor.h"

namespace coaming::base {

class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes ownership of `fd`; a negative value means none.
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  // Gives the descriptor up; the caller closes it.
  int Release() { return std::exchange(fd_, -1); }
  // Closes what it holds (errno is kept) and takes `fd`.
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// HighFd moves a descriptor that the kernel placed at 0, 1 or 2 to 3 or above and makes it
// close-on-exec (a host may run with its standard descriptors closed). Takes ownership of `fd`.
// Errors: core.io.
absl::StatusOr<UniqueFd> HighFd(int fd);
// DupFd makes a close-on-exec copy of `fd` at 3 or above. Errors: core.io.
absl::StatusOr<UniqueFd> DupFd(int fd);

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_UNIQUE_FD_H_
