// The calls of Dir that change what a file is said to be: mode, owner, times, extended attributes.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/at.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/path_error.h"
#include "base/fs/resolve.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

namespace coaming::base {
namespace internal {

int ChmodAt(int dir_fd, const std::string& leaf, mode_t mode) {
  if (syscall(SYS_fchmodat2, dir_fd, leaf.c_str(), mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  if (errno != ENOSYS && errno != EPERM) return errno;
  const int first_errno = errno;
  const int fd = OpenPlain(dir_fd, leaf, O_PATH, 0);
  if (fd < 0) return -fd;
  UniqueFd owned(fd);
  struct stat st;
  if (fstat(fd, &st) != 0) return errno;
  if (S_ISLNK(st.st_mode)) return EOPNOTSUPP;
  if (chmod(FdPath(fd).c_str(), mode) == 0) return 0;
  if (errno != ENOENT) return errno;
  // No /proc: a file that may be read can be opened anew.
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return first_errno;
  const int again = OpenPlain(dir_fd, leaf, O_RDONLY | O_NONBLOCK, 0);
  if (again < 0) return -again;
  UniqueFd file(again);
  return fchmod(again, mode) == 0 ? 0 : errno;
}

}  // namespace internal

namespace {

bool BadName(std::string_view name) {
  return name.empty() || name.size() > 255 || name.find('\0') != std::string_view::npos;
}

}  // namespace

absl::Status Dir::Chmod(std::string_view path, mode_t mode) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "set the mode of", true));
  const int e = internal::ChmodAt(at.fd, at.leaf, mode & 07777);
  if (e == 0) return absl::OkStatus();
  if (e == EOPNOTSUPP) {
    return FailErrno("core.state", e) << "set the mode of " << ShowPath(PathOf(path));
  }
  return FailPath("set the mode of", PathOf(path), e);
}

absl::Status Dir::Chown(std::string_view path, uid_t uid, gid_t gid) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "set the owner of", true));
  if (fchownat(at.fd, at.leaf.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return FailPath("set the owner of", PathOf(path), errno);
  }
  return absl::OkStatus();
}

absl::Status Dir::SetTimes(std::string_view path, timespec accessed, timespec modified) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "set the times of", true));
  const timespec times[2] = {accessed, modified};
  if (utimensat(at.fd, at.leaf.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return FailPath("set the times of", PathOf(path), errno);
  }
  return absl::OkStatus();
}

// The kernel's xattr calls take no directory descriptor (before 6.13), so the directory is named by
// its descriptor in /proc; the leaf is not followed by the l* calls.
absl::StatusOr<std::string> Dir::XattrPath(const At& at) const {
  return absl::StrCat(FdPath(at.fd), "/", at.leaf);
}

absl::Status Dir::SetXattr(std::string_view path, std::string_view name,
                           std::string_view value) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "set an attribute of", true));
  if (BadName(name)) return FailPath("set an attribute of", PathOf(path), EINVAL);
  COAM_ASSIGN_OR_RETURN(std::string full, XattrPath(at));
  if (lsetxattr(full.c_str(), std::string(name).c_str(), value.data(), value.size(), 0) != 0) {
    const int e = errno;
    return FailErrno(ReasonOfErrno(e), e)
           << "set attribute " << ShowPath(name) << " of " << ShowPath(PathOf(path));
  }
  return absl::OkStatus();
}

absl::Status Dir::RemoveXattr(std::string_view path, std::string_view name) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "remove an attribute of", true));
  if (BadName(name)) return FailPath("remove an attribute of", PathOf(path), EINVAL);
  COAM_ASSIGN_OR_RETURN(std::string full, XattrPath(at));
  if (lremovexattr(full.c_str(), std::string(name).c_str()) != 0 && errno != ENODATA) {
    const int e = errno;
    return FailErrno(ReasonOfErrno(e), e)
           << "remove attribute " << ShowPath(name) << " of " << ShowPath(PathOf(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Dir::GetXattr(std::string_view path,
                                                         std::string_view name) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "read an attribute of", true));
  if (BadName(name)) return FailPath("read an attribute of", PathOf(path), EINVAL);
  COAM_ASSIGN_OR_RETURN(std::string full, XattrPath(at));
  const std::string key(name);
  std::string value(256, '\0');
  for (;;) {
    const ssize_t n = lgetxattr(full.c_str(), key.c_str(), value.data(), value.size());
    if (n >= 0) {
      value.resize(static_cast<size_t>(n));
      return std::optional<std::string>(std::move(value));
    }
    if (errno == ENODATA || errno == EOPNOTSUPP) return std::optional<std::string>();
    if (errno != ERANGE || value.size() > (1u << 20)) {
      const int e = errno;
      return FailErrno(ReasonOfErrno(e), e)
             << "read attribute " << ShowPath(name) << " of " << ShowPath(PathOf(path));
    }
    value.resize(value.size() * 16);
  }
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Dir::ListXattrs(
    std::string_view path, int64_t max_bytes) const {
  std::vector<std::pair<std::string, std::string>> found;
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "list the attributes of", true));
  COAM_ASSIGN_OR_RETURN(std::string full, XattrPath(at));
  std::string names(1024, '\0');
  ssize_t n;
  while ((n = llistxattr(full.c_str(), names.data(), names.size())) < 0) {
    if (errno == EOPNOTSUPP) return found;
    if (errno != ERANGE || names.size() > (1u << 20)) {
      return FailPath("list the attributes of", PathOf(path), errno);
    }
    names.resize(names.size() * 8);
  }
  std::string_view rest(names.data(), static_cast<size_t>(n));
  int64_t sum = 0;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    COAM_ASSIGN_OR_RETURN(std::optional<std::string> value, GetXattr(path, name));
    if (!value.has_value()) continue;  // removed meanwhile
    sum += static_cast<int64_t>(name.size() + value->size());
    if (sum > max_bytes) {
      return FailLimit("xattr_bytes", max_bytes)
             << ShowPath(PathOf(path)) << " has larger extended attributes";
    }
    found.emplace_back(name, *std::move(value));
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace coaming::base
