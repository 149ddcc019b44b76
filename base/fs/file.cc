#include "base/fs/file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"
#include "base/fs/resolve.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace coaming::base {
namespace {

constexpr size_t kCopyBlock = 256 << 10;

int OpenHost(const std::string& path, int flags, mode_t mode) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, mode);
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : internal::RaiseFd(fd);
}

bool BadHostPath(std::string_view path) {
  return path.empty() || path.find('\0') != std::string_view::npos;
}

// Blocks until `fd` may be used if it is non-blocking; the op decides how long.
absl::Status ReadMore(const Op& op, int fd, std::string_view name, std::string* out, int64_t max,
                      std::string_view limit_name) {
  char block[64 << 10];
  for (;;) {
    const ssize_t n = read(fd, block, sizeof block);
    if (n == 0) return absl::OkStatus();
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        COAM_RETURN_IF_ERROR(WaitFd(op, fd, 1 /* POLLIN */));
        continue;
      }
      return FailPath("read", name, errno);
    }
    if (static_cast<int64_t>(out->size()) + n > max) {
      return FailLimit(limit_name, max) << ShowPath(name) << " is larger than " << max << " bytes";
    }
    out->append(block, static_cast<size_t>(n));
    COAM_RETURN_IF_ERROR(op.Check());
  }
}

}  // namespace

absl::StatusOr<UniqueFd> OpenHostFile(std::string_view host_path, int flags, mode_t mode) {
  if (BadHostPath(host_path)) return FailPath("open", host_path, EINVAL);
  const std::string path(host_path);
  int fd;
  bool made = false;
  if ((flags & O_CREAT) == 0) {
    fd = OpenHost(path, flags, 0);
  } else {
    fd = OpenHost(path, flags | O_EXCL, mode & 0777);
    made = fd >= 0;
    if (fd == -EEXIST && (flags & O_EXCL) == 0) {
      fd = OpenHost(path, flags & ~O_CREAT, 0);
      if (fd == -ENOENT) {  // a dangling link
        fd = OpenHost(path, flags, mode & 0777);
        made = fd >= 0;
      }
    }
  }
  if (fd < 0) return FailPath("open", host_path, -fd);
  UniqueFd file(fd);
  if (made && fchmod(fd, mode & 07777) != 0) {
    return FailPath("set the mode of", host_path, errno);
  }
  return file;
}

absl::StatusOr<std::string> ReadHostFile(const Op& op, std::string_view host_path, int64_t max,
                                         std::string_view limit_name) {
  COAM_RETURN_IF_ERROR(op.Check());
  COAM_ASSIGN_OR_RETURN(UniqueFd fd, OpenHostFile(host_path, O_RDONLY));
  std::string out;
  COAM_RETURN_IF_ERROR(ReadMore(op, fd.get(), host_path, &out, max, limit_name));
  return out;
}

absl::StatusOr<Dir::Leaf> OpenHostParent(std::string_view host_path) {
  if (BadHostPath(host_path)) return FailPath("open the directory of", host_path, EINVAL);
  std::string_view path = host_path;
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  Dir::Leaf leaf;
  leaf.name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (!internal::PlainName(leaf.name)) {
    return Fail("core.invalid_argument")
           << "open the directory of " << ShowPath(host_path) << ": the path ends in no name";
  }
  const std::string_view parent =
      slash == std::string_view::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  COAM_ASSIGN_OR_RETURN(leaf.dir, Dir::Open(parent));
  return leaf;
}

absl::Status WriteHostFile(const Op& op, std::string_view host_path, std::string_view bytes,
                           const WriteFileOptions& options) {
  COAM_ASSIGN_OR_RETURN(Dir::Leaf leaf, OpenHostParent(host_path));
  return leaf.dir.WriteFile(op, leaf.name, bytes, options);
}

absl::StatusOr<struct stat> StatHost(std::string_view host_path, bool follow_last) {
  if (BadHostPath(host_path)) return FailPath("look at", host_path, EINVAL);
  struct stat st;
  if (fstatat(AT_FDCWD, std::string(host_path).c_str(), &st,
              follow_last ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    return FailPath("look at", host_path, errno);
  }
  return st;
}

absl::Status RemoveHostTree(const Op& op, std::string_view host_path) {
  absl::StatusOr<Dir::Leaf> leaf = OpenHostParent(host_path);
  if (!leaf.ok()) {
    return HasReason(leaf.status(), "core.not_found") ? absl::OkStatus() : leaf.status();
  }
  return leaf->dir.RemoveAll(op, leaf->name);
}

absl::StatusOr<std::string> ReadFd(int fd, std::string_view name, int64_t max,
                                   std::string_view limit_name) {
  std::string out;
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
    if (st.st_size > max) {
      return FailLimit(limit_name, max) << ShowPath(name) << " is larger than " << max << " bytes";
    }
    out.reserve(static_cast<size_t>(st.st_size));
  }
  COAM_RETURN_IF_ERROR(ReadMore(Op(), fd, name, &out, max, limit_name));
  return out;
}

absl::Status WriteFd(int fd, std::string_view name, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return FailPath("write", name, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CopyFd(const Op& op, int from, std::string_view from_name, int to,
                               std::string_view to_name) {
  struct stat st;
  if (fstat(from, &st) != 0) return FailPath("look at", from_name, errno);
  const off_t start = lseek(to, 0, SEEK_CUR);
  if (S_ISREG(st.st_mode) && start == 0) {
    struct stat target;
    if (fstat(to, &target) == 0 && target.st_size == 0 && ioctl(to, FICLONE, from) == 0) {
      return static_cast<int64_t>(st.st_size);
    }
  }
  off_t offset = 0;
  bool by_kernel = S_ISREG(st.st_mode) && start >= 0;
  std::unique_ptr<char[]> block;
  while (!S_ISREG(st.st_mode) || offset < st.st_size) {
    COAM_RETURN_IF_ERROR(op.Check());
    off_t end = st.st_size;
    if (S_ISREG(st.st_mode) && start == 0) {  // keep holes
      const off_t data = lseek(from, offset, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // a hole up to the end
      if (data > offset) offset = data;
      const off_t hole = lseek(from, offset, SEEK_HOLE);
      if (hole > offset) end = hole;
      if (lseek(to, offset, SEEK_SET) < 0) return FailPath("seek in", to_name, errno);
    }
    if (by_kernel) {
      off_t in = offset;
      const ssize_t n = copy_file_range(
          from, &in, to, nullptr, static_cast<size_t>(std::min<off_t>(end - offset, 64 << 20)), 0);
      if (n > 0) {
        offset += n;
        continue;
      }
      if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) return FailPath("write", to_name, errno);
      if (n < 0 && errno == EINTR) continue;
      by_kernel = false;  // across file systems, /proc, old kernels: by hand
    }
    if (block == nullptr) block = std::make_unique_for_overwrite<char[]>(kCopyBlock);
    const size_t want = S_ISREG(st.st_mode)
                            ? static_cast<size_t>(std::min<off_t>(end - offset, kCopyBlock))
                            : kCopyBlock;
    const ssize_t n = S_ISREG(st.st_mode) ? pread(from, block.get(), want, offset)
                                          : read(from, block.get(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailPath("read", from_name, errno);
    if (n == 0) break;  // shorter than it was
    COAM_RETURN_IF_ERROR(WriteFd(to, to_name, {block.get(), static_cast<size_t>(n)}));
    offset += n;
  }
  if (S_ISREG(st.st_mode) && start == 0) {
    const off_t size = std::max<off_t>(offset, st.st_size);
    if (ftruncate(to, size) != 0) return FailPath("write", to_name, errno);
    if (lseek(to, size, SEEK_SET) < 0) return FailPath("seek in", to_name, errno);
    return static_cast<int64_t>(size);
  }
  return static_cast<int64_t>(offset);
}

absl::Status SyncFd(int fd, std::string_view name) {
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) return FailPath("sync", name, errno);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FreeBytes(int fd) {
  struct statvfs vfs;
  if (fstatvfs(fd, &vfs) != 0) return FailErrno("core.io", errno) << "ask for free space";
  return static_cast<int64_t>(vfs.f_bavail) * static_cast<int64_t>(vfs.f_frsize);
}

absl::StatusOr<UniqueFd> MemFile(std::string_view name, std::string_view bytes, bool seal) {
  const std::string text(name);
  const unsigned flags = MFD_CLOEXEC | (seal ? MFD_ALLOW_SEALING : 0u);
  int fd = memfd_create(text.c_str(), flags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create(text.c_str(), flags);  // before Linux 6.3
  if (fd < 0) return FailErrno("core.io", errno) << "make memory file " << name;
  COAM_ASSIGN_OR_RETURN(UniqueFd file, HighFd(fd));
  COAM_RETURN_IF_ERROR(WriteFd(file.get(), name, bytes));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return FailErrno("core.io", errno) << "rewind " << name;
  if (seal && fcntl(file.get(), F_ADD_SEALS,
                    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    return FailErrno("core.io", errno) << "seal memory file " << name;
  }
  return file;
}

std::string FdPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

std::string JoinPath(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  if (b.empty()) return std::string(a);
  return absl::StrCat(a, a.back() == '/' || b.front() == '/' ? "" : "/", b);
}

}  // namespace coaming::base
