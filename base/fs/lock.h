// FileLock is an advisory lock (flock(2)) on a file or directory, between processes and between the
// threads of one (each lock has its own open file description).
//
// Waiting honours cancel and deadline. A lock file that was removed and made anew while we waited is
// noticed, and the new one is locked. Ownership: unlocks when it dies; the file stays. A descriptor
// that a child inherits would keep the lock, so it is close-on-exec. Threads: [single].
#ifndef COAMING_BASE_FS_LOCK_H_
#define COAMING_BASE_FS_LOCK_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/fs/dir.h"

namespace coaming::base {

enum class LockMode { kShared, kExclusive };

class FileLock {
 public:
  FileLock() = default;  // holds nothing
  FileLock(FileLock&&) = default;
  FileLock& operator=(FileLock&&) = default;

  // Acquire opens (or makes, mode 0600) the file `path` beneath `dir` and waits for the lock.
  static absl::StatusOr<FileLock> Acquire(const Op& op, const Dir& dir, std::string_view path,
                                          LockMode mode);
  // TryAcquire gives nullopt at once if another holds it.
  static absl::StatusOr<std::optional<FileLock>> TryAcquire(const Dir& dir, std::string_view path,
                                                            LockMode mode);
  // The same for a file or directory that is open already, which the lock then owns.
  static absl::StatusOr<FileLock> AcquireFd(const Op& op, UniqueFd fd, std::string_view name,
                                            LockMode mode);
  static absl::StatusOr<std::optional<FileLock>> TryAcquireFd(UniqueFd fd, std::string_view name,
                                                              LockMode mode);

  bool held() const { return fd_.ok(); }
  int fd() const { return fd_.get(); }
  // Convert changes the mode; the lock may be lost to another for a moment in between (flock's rule).
  absl::Status Convert(const Op& op, LockMode mode);
  void Release();

 private:
  FileLock(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  UniqueFd fd_;
  std::string name_;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_LOCK_H_
