#include "base/fs/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/at.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/fs/path_error.h"
#include "base/fs/resolve.h"

namespace coaming::base {
namespace {

// Opens a directory for reading, or as O_PATH where it may only be searched.
template <typename OpenFn>
int OpenDirectory(OpenFn open_with) {
  const int fd = open_with(O_RDONLY | O_DIRECTORY);
  return fd == -EACCES ? open_with(O_PATH | O_DIRECTORY) : fd;
}

absl::StatusOr<Dir> OpenHost(std::string_view host_path, Containment containment) {
  if (host_path.empty() || host_path.find('\0') != std::string_view::npos) {
    return Fail("core.invalid_argument")
           << "open directory: the path is empty or holds a zero byte";
  }
  const std::string text(host_path);
  const int fd = OpenDirectory([&](int flags) {
    int f;
    do {
      f = open(text.c_str(), flags | O_CLOEXEC);
    } while (f < 0 && errno == EINTR);
    return f < 0 ? -errno : internal::RaiseFd(f);
  });
  if (fd < 0) return FailPath("open directory", host_path, -fd);
  return Dir::FromFd(UniqueFd(fd), host_path, containment);
}

}  // namespace

absl::StatusOr<Dir> Dir::Open(std::string_view host_path, Containment containment) {
  return OpenHost(host_path, containment);
}

absl::StatusOr<Dir> Dir::OpenOrMake(std::string_view host_path, mode_t mode,
                                    Containment containment) {
  absl::StatusOr<Dir> there = OpenHost(host_path, containment);
  if (there.ok() || !HasReason(there.status(), "core.not_found")) return there;
  // The longest part that exists, links followed as anywhere on the host; the rest is made.
  std::string_view have = host_path;
  absl::StatusOr<Dir> start = there.status();
  while (!start.ok()) {
    while (have.size() > 1 && have.back() == '/') have.remove_suffix(1);
    const size_t slash = have.rfind('/');
    if (slash == std::string_view::npos) {
      have = "";
      start = OpenHost(".", Containment::kBeneath);
      break;
    }
    if (have.size() == 1) return start.status();
    have = have.substr(0, slash == 0 ? 1 : slash);
    start = OpenHost(have, Containment::kBeneath);
    if (!start.ok() && !HasReason(start.status(), "core.not_found")) return start.status();
  }
  COAM_RETURN_IF_ERROR(start.status());
  std::string_view rest = host_path.substr(have.size());
  while (!rest.empty() && rest.front() == '/') rest.remove_prefix(1);
  COAM_ASSIGN_OR_RETURN(Dir made, start->MakeDirs(rest, mode));
  return FromFd(std::move(made.fd_), host_path, containment);
}

absl::StatusOr<Dir> Dir::FromFd(UniqueFd fd, std::string_view name, Containment containment) {
  COAM_ASSIGN_OR_RETURN(UniqueFd high, HighFd(fd.Release()));
  struct stat st;
  if (fstat(high.get(), &st) != 0) return FailPath("look at", name, errno);
  if (!S_ISDIR(st.st_mode)) return FailPath("use as directory", name, ENOTDIR);
  std::string text(name);
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return Dir(std::move(high), std::move(text), containment, false);
}

absl::StatusOr<Dir> Dir::Clone() const {
  COAM_ASSIGN_OR_RETURN(UniqueFd copy, DupFd(fd_.get()));
  return Dir(std::move(copy), name_, containment_, walk_);
}

std::string Dir::PathOf(std::string_view path) const {
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  return JoinPath(name_, path == "." ? "" : path);
}

absl::StatusOr<Dir::At> Dir::Locate(std::string_view path, std::string_view action,
                                    bool allow_self) const {
  At at;
  at.fd = fd_.get();
  if (internal::PlainName(path) && path.find('\0') == std::string_view::npos) {  // the usual case
    at.leaf = path;
    return at;
  }
  if (path.find('\0') != std::string_view::npos) return FailPath(action, PathOf(path), EINVAL);
  if (!path.empty() && path.front() == '/') {
    if (containment_ != Containment::kInRoot) {
      return Fail("fs.escape") << action << " " << ShowPath(path) << " beneath " << ShowPath(name_)
                               << ": the path is absolute";
    }
    while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  }
  while (!path.empty() && (path.back() == '/' || path.ends_with("/."))) path.remove_suffix(1);
  if (path.empty() || path == ".") {
    if (!allow_self) {
      return Fail("core.invalid_argument")
             << action << " " << ShowPath(name_) << ": the path names the directory itself";
    }
    at.leaf = ".";
    return at;
  }
  const size_t slash = path.rfind('/');
  at.leaf = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (at.leaf == "..") {
    return Fail("core.invalid_argument")
           << action << " " << ShowPath(PathOf(path)) << ": the path ends in \"..\"";
  }
  if (slash == std::string_view::npos) return at;
  const int fd = internal::ResolveOpen({.dir_fd = fd_.get(),
                                        .path = path.substr(0, slash == 0 ? 1 : slash),
                                        .flags = O_PATH | O_DIRECTORY,
                                        .containment = containment_,
                                        .force_walk = walk_});
  if (fd < 0) return FailPath(action, PathOf(path), -fd);
  at.own.Reset(fd);
  at.fd = fd;
  return at;
}

absl::StatusOr<Dir::Leaf> Dir::OpenParent(std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "open the directory of", false));
  Leaf leaf;
  leaf.name = at.leaf;
  if (!at.own.ok()) {
    COAM_ASSIGN_OR_RETURN(leaf.dir, Clone());
    return leaf;
  }
  // For reading, so that it can be listed and synced.
  const int fd =
      OpenDirectory([&](int flags) { return internal::OpenPlain(at.fd, ".", flags, 0); });
  if (fd < 0) return FailPath("open the directory of", PathOf(path), -fd);
  const size_t slash = path.find_last_not_of('/');
  std::string_view parent = path.substr(0, path.rfind('/', slash));
  leaf.dir = Dir(UniqueFd(fd), PathOf(parent), containment_, walk_);
  return leaf;
}

absl::StatusOr<UniqueFd> Dir::OpenPath(std::string_view path, bool follow_last) const {
  if (path.empty()) path = ".";
  const int flags = O_PATH | (follow_last ? 0 : O_NOFOLLOW);
  const int fd = internal::PlainName(path) && !follow_last
                     ? internal::OpenPlain(fd_.get(), path, flags, 0)
                     : internal::ResolveOpen({.dir_fd = fd_.get(),
                                              .path = path,
                                              .flags = flags,
                                              .containment = containment_,
                                              .force_walk = walk_});
  if (fd < 0) return FailPath("open", PathOf(path), -fd);
  return UniqueFd(fd);
}

absl::StatusOr<UniqueFd> Dir::OpenFile(std::string_view path, int flags, mode_t mode) const {
  if (path.empty()) path = ".";
  if (path.find('\0') != std::string_view::npos) return FailPath("open", PathOf(path), EINVAL);
  const auto resolve = [&](int f) {
    if ((f & O_NOFOLLOW) != 0 && internal::PlainName(path)) {
      return internal::OpenPlain(fd_.get(), path, f, mode);
    }
    return internal::ResolveOpen({.dir_fd = fd_.get(),
                                  .path = path,
                                  .flags = f,
                                  .mode = mode,
                                  .containment = containment_,
                                  .force_walk = walk_});
  };
  if ((flags & O_CREAT) == 0) {
    const int fd = resolve(flags);
    if (fd < 0) return FailPath("open", PathOf(path), -fd);
    return UniqueFd(fd);
  }
  // Only a file that is made here gets the mode: first try to make it, then to open it; a name that
  // comes and goes between is tried again, and a dangling link is made through at last.
  int fd = -EAGAIN;
  bool made = false;
  for (int i = 0; i < 3 && fd < 0; ++i) {
    fd = resolve(flags | O_EXCL);
    made = fd >= 0;
    if (made || fd != -EEXIST || (flags & O_EXCL) != 0) break;
    fd = resolve(flags & ~O_CREAT);
    if (fd != -ENOENT) break;
  }
  if (fd == -ENOENT) {
    fd = resolve(flags);
    made = fd >= 0;
  }
  if (fd < 0) return FailPath("open", PathOf(path), -fd);
  UniqueFd file(fd);
  if (made && fchmod(fd, mode & 07777) != 0) {
    return FailPath("set the mode of", PathOf(path), errno);
  }
  return file;
}

absl::StatusOr<Dir> Dir::OpenDir(std::string_view path, bool follow_last) const {
  if (path.empty()) path = ".";
  if (path.find('\0') != std::string_view::npos) {
    return FailPath("open directory", PathOf(path), EINVAL);
  }
  const int fd = OpenDirectory([&](int flags) {
    if (!follow_last) flags |= O_NOFOLLOW;
    if (!follow_last && internal::PlainName(path)) {
      return internal::OpenPlain(fd_.get(), path, flags, 0);
    }
    return internal::ResolveOpen({.dir_fd = fd_.get(),
                                  .path = path,
                                  .flags = flags,
                                  .containment = containment_,
                                  .force_walk = walk_});
  });
  if (fd < 0) return FailPath("open directory", PathOf(path), -fd);
  return Dir(UniqueFd(fd), PathOf(path), containment_, walk_);
}

absl::StatusOr<std::string> Dir::ReadFile(std::string_view path, int64_t max,
                                          std::string_view limit_name) const {
  // A device must not even be opened for reading: look first, then open what was looked at.
  COAM_ASSIGN_OR_RETURN(UniqueFd seen, OpenPath(path, true));
  struct stat st;
  if (fstat(seen.get(), &st) != 0) return FailPath("look at", PathOf(path), errno);
  if (S_ISDIR(st.st_mode)) return FailPath("read", PathOf(path), EISDIR);
  if (!S_ISREG(st.st_mode)) {
    return Fail("core.state") << "read " << ShowPath(PathOf(path)) << ": not a regular file";
  }
  int fd;
  do {
    fd = open(FdPath(seen.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {  // no /proc here
    COAM_ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path, O_RDONLY | O_NONBLOCK));
    return ReadFd(file.get(), PathOf(path), max, limit_name);
  }
  if (fd < 0) return FailPath("read", PathOf(path), errno);
  COAM_ASSIGN_OR_RETURN(UniqueFd file, HighFd(fd));
  return ReadFd(file.get(), PathOf(path), max, limit_name);
}

absl::Status Dir::WriteFile(const Op& op, std::string_view path, std::string_view bytes,
                            const WriteFileOptions& options) const {
  COAM_RETURN_IF_ERROR(op.Check());
  COAM_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::New(*this, path, options));
  COAM_RETURN_IF_ERROR(WriteFd(file.fd(), file.name(), bytes));
  return file.Commit();
}

absl::StatusOr<UniqueFd> Dir::Create(std::string_view path, mode_t mode) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "create", false));
  const int fd = internal::OpenPlain(at.fd, at.leaf, O_RDWR | O_CREAT | O_EXCL, mode & 0777);
  if (fd < 0) return FailPath("create", PathOf(path), -fd);
  UniqueFd file(fd);
  if (fchmod(fd, mode & 07777) != 0) return FailPath("set the mode of", PathOf(path), errno);
  return file;
}

absl::Status Dir::MakeDir(std::string_view path, mode_t mode) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "make directory", false));
  if (mkdirat(at.fd, at.leaf.c_str(), mode & 0777) != 0) {
    return FailPath("make directory", PathOf(path), errno);
  }
  if (const int e = internal::ChmodAt(at.fd, at.leaf, mode & 07777); e != 0) {
    return FailPath("set the mode of", PathOf(path), e);
  }
  return absl::OkStatus();
}

absl::StatusOr<Dir> Dir::MakeDirs(std::string_view path, mode_t mode) const {
  absl::StatusOr<Dir> there = OpenDir(path);
  if (there.ok() || !HasReason(there.status(), "core.not_found")) return there;
  size_t end = 0;
  while (end < path.size()) {
    const size_t begin = path.find_first_not_of('/', end);
    if (begin == std::string_view::npos) break;
    end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == "." || part == "..") continue;
    const absl::Status made = MakeDir(path.substr(0, end), mode);
    if (!made.ok() && !HasReason(made, "core.exists")) return made;
  }
  return OpenDir(path);
}

absl::Status Dir::Symlink(std::string_view target, std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "make link", false));
  if (target.empty() || target.find('\0') != std::string_view::npos) {
    return FailPath("make link", PathOf(path), EINVAL);
  }
  if (symlinkat(std::string(target).c_str(), at.fd, at.leaf.c_str()) != 0) {
    return FailPath("make link", PathOf(path), errno);
  }
  return absl::OkStatus();
}

absl::Status Dir::Link(const Dir& from_dir, std::string_view from, std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At source, from_dir.Locate(from, "link", false));
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "link", false));
  if (linkat(source.fd, source.leaf.c_str(), at.fd, at.leaf.c_str(), 0) != 0) {
    const int e = errno;
    if (e == ENOENT) return FailPath("link", from_dir.PathOf(from), e);
    return FailErrno(e == EXDEV ? "core.state" : ReasonOfErrno(e), e)
           << "link " << ShowPath(from_dir.PathOf(from)) << " as " << ShowPath(PathOf(path));
  }
  return absl::OkStatus();
}

absl::Status Dir::MakeNode(std::string_view path, mode_t mode, dev_t device) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "make node", false));
  if (mknodat(at.fd, at.leaf.c_str(), (mode & S_IFMT) | (mode & 0777), device) != 0) {
    return FailPath("make node", PathOf(path), errno);
  }
  if (const int e = internal::ChmodAt(at.fd, at.leaf, mode & 07777); e != 0) {
    return FailPath("set the mode of", PathOf(path), e);
  }
  return absl::OkStatus();
}

absl::Status Dir::Rename(std::string_view from, std::string_view to, unsigned flags) const {
  return RenameTo(from, *this, to, flags);
}

absl::Status Dir::RenameTo(std::string_view from, const Dir& to_dir, std::string_view to,
                           unsigned flags) const {
  COAM_ASSIGN_OR_RETURN(At source, Locate(from, "rename", false));
  COAM_ASSIGN_OR_RETURN(At target, to_dir.Locate(to, "rename", false));
  const int r =
      flags == 0 ? renameat(source.fd, source.leaf.c_str(), target.fd, target.leaf.c_str())
                 : renameat2(source.fd, source.leaf.c_str(), target.fd, target.leaf.c_str(), flags);
  if (r != 0) {
    const int e = errno;
    return FailErrno(e == EXDEV ? "core.state" : ReasonOfErrno(e), e)
           << "rename " << ShowPath(PathOf(from)) << " to " << ShowPath(to_dir.PathOf(to));
  }
  return absl::OkStatus();
}

absl::Status Dir::Unlink(std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "remove", false));
  if (unlinkat(at.fd, at.leaf.c_str(), 0) != 0) return FailPath("remove", PathOf(path), errno);
  return absl::OkStatus();
}

absl::Status Dir::RemoveDir(std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "remove directory", false));
  if (unlinkat(at.fd, at.leaf.c_str(), AT_REMOVEDIR) != 0) {
    return FailPath("remove directory", PathOf(path), errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<struct stat> Dir::Stat(std::string_view path, bool follow_last) const {
  struct stat st;
  if (internal::PlainName(path) && !follow_last && path.find('\0') == std::string_view::npos) {
    if (fstatat(fd_.get(), std::string(path).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return FailPath("look at", PathOf(path), errno);
    }
    return st;
  }
  if (path.empty() || path == ".") {
    if (fstat(fd_.get(), &st) != 0) return FailPath("look at", name_, errno);
    return st;
  }
  absl::StatusOr<UniqueFd> fd = OpenPath(path, follow_last);
  if (!fd.ok()) {
    Error error = GetError(fd.status());
    return FailPath("look at", PathOf(path), error.sys_errno != 0 ? error.sys_errno : EIO);
  }
  if (fstat(fd->get(), &st) != 0) return FailPath("look at", PathOf(path), errno);
  return st;
}

absl::StatusOr<bool> Dir::Exists(std::string_view path) const {
  absl::StatusOr<struct stat> st = Stat(path);
  if (st.ok()) return true;
  if (HasReason(st.status(), "core.not_found") || HasReason(st.status(), "fs.not_directory")) {
    return false;
  }
  return st.status();
}

absl::StatusOr<std::string> Dir::ReadLink(std::string_view path) const {
  COAM_ASSIGN_OR_RETURN(At at, Locate(path, "read link", false));
  std::string target(256, '\0');
  for (;;) {
    const ssize_t n = readlinkat(at.fd, at.leaf.c_str(), target.data(), target.size());
    if (n < 0 && errno == EINVAL) {
      return Fail("core.state") << "read link " << ShowPath(PathOf(path)) << ": not a link";
    }
    if (n < 0) return FailPath("read link", PathOf(path), errno);
    if (static_cast<size_t>(n) < target.size()) {
      target.resize(static_cast<size_t>(n));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

absl::StatusOr<std::vector<DirEntry>> Dir::List(std::string_view path, int64_t max) const {
  if (path.empty()) path = ".";
  COAM_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return FailPath("list", PathOf(path), errno);
  const int raw = fd.Release();
  std::vector<DirEntry> entries;
  absl::Status failed;
  for (;;) {
    errno = 0;
    const dirent* e = readdir(stream);
    if (e == nullptr) {
      if (errno != 0) failed = FailPath("list", PathOf(path), errno);
      break;
    }
    const std::string_view name = e->d_name;
    if (name == "." || name == "..") continue;
    unsigned char type = e->d_type;
    if (type == DT_UNKNOWN) {
      struct stat st;
      if (fstatat(raw, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone again
      type = IFTODT(st.st_mode);
    }
    if (static_cast<int64_t>(entries.size()) >= max) {
      failed = FailLimit("directory_entries", max) << ShowPath(PathOf(path)) << " has more entries";
      break;
    }
    entries.push_back({std::string(name), type, e->d_ino});
  }
  closedir(stream);
  COAM_RETURN_IF_ERROR(failed);
  std::sort(entries.begin(), entries.end(),
            [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return entries;
}

absl::Status Dir::Sync() const {
  const int fd = internal::OpenPlain(fd_.get(), ".", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return absl::OkStatus();  // may not be read: nothing we could do
  UniqueFd owned(fd);
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
    return FailPath("sync", name_, errno);
  }
  return absl::OkStatus();
}

}  // namespace coaming::base
