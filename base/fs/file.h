// Files of the host, opened by paths that the *host* chose (a user's argument, a configured place),
// and work on open descriptors. For paths from images and archives there is Dir (dir.h).
//
// Ownership: descriptors are O_CLOEXEC and at least 3. Threads: free functions, any thread.
#ifndef COAMING_BASE_FS_FILE_H_
#define COAMING_BASE_FS_FILE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "base/fs/dir.h"

namespace coaming::base {

// OpenHostFile opens by host path with O_* `flags`; a new file gets exactly `mode`.
absl::StatusOr<UniqueFd> OpenHostFile(std::string_view host_path, int flags, mode_t mode = 0);
// ReadHostFile reads a file, FIFO or device (/dev/stdin) to its end; see Dir::ReadFile for the limit.
absl::StatusOr<std::string> ReadHostFile(const Op& op, std::string_view host_path, int64_t max,
                                         std::string_view limit_name);
// WriteHostFile writes a file in one step, as Dir::WriteFile does.
absl::Status WriteHostFile(const Op& op, std::string_view host_path, std::string_view bytes,
                           const WriteFileOptions& options = {});
absl::StatusOr<struct stat> StatHost(std::string_view host_path, bool follow_last = true);
// OpenHostParent opens the directory that holds `host_path`'s last component.
absl::StatusOr<Dir::Leaf> OpenHostParent(std::string_view host_path);
// RemoveHostTree is Dir::RemoveAll for a host path; the path itself may not be a link's target.
absl::Status RemoveHostTree(const Op& op, std::string_view host_path);

// ReadFd reads from the current offset to the end, `max` bytes at most (core.limit).
absl::StatusOr<std::string> ReadFd(int fd, std::string_view name, int64_t max,
                                   std::string_view limit_name);
// WriteFd writes all; a full disk is core.no_space and names `name`.
absl::Status WriteFd(int fd, std::string_view name, std::string_view bytes);
// CopyFd copies `from`, from its start, to `to` at its offset: by reflink, copy_file_range (holes are
// kept), or read and write, whichever works. Returns the size copied.
absl::StatusOr<int64_t> CopyFd(const Op& op, int from, std::string_view from_name, int to,
                               std::string_view to_name);
// SyncFd is fsync; core.io or core.no_space.
absl::Status SyncFd(int fd, std::string_view name);
// FreeBytes tells what an unprivileged user may still write on the file system of `fd`.
absl::StatusOr<int64_t> FreeBytes(int fd);
// MemFile makes an anonymous file (memfd) of `bytes`, at offset 0; `seal` forbids any change.
absl::StatusOr<UniqueFd> MemFile(std::string_view name, std::string_view bytes, bool seal);
// FdPath is "/proc/self/fd/N": a way to name an open file to a library that wants a path.
std::string FdPath(int fd);
// JoinPath puts one slash between; "" is left out. No resolution.
std::string JoinPath(std::string_view a, std::string_view b);

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_FILE_H_
