#include "base/fs/resolve.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

namespace coaming::base::internal {
namespace {

constexpr int kMaxLinks = 40;       // as the kernel
constexpr int kRaceRetries = 64;    // openat2 says EAGAIN when a rename ran beside it
constexpr size_t kMaxParts = 4096;  // components left to walk, links unrolled

int OpenCounted(int dir_fd, const char* path, int flags, mode_t mode) {
  int fd;
  do {
    fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : RaiseFd(fd);
}

int ByKernel(const ResolveRequest& r) {
  open_how how;
  memset(&how, 0, sizeof how);
  how.flags = static_cast<uint64_t>(static_cast<unsigned>(r.flags)) | O_CLOEXEC;
  // openat2 refuses flags that O_PATH leaves without meaning.
  if ((r.flags & O_PATH) == 0) how.flags |= O_NOCTTY;
  if ((r.flags & O_CREAT) != 0 || (r.flags & O_TMPFILE) == O_TMPFILE) how.mode = r.mode & 07777;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  how.resolve |= r.containment == Containment::kInRoot ? RESOLVE_IN_ROOT : RESOLVE_BENEATH;
  if (r.containment == Containment::kNoLinks) how.resolve |= RESOLVE_NO_SYMLINKS;
  if (r.same_mount) how.resolve |= RESOLVE_NO_XDEV;
  const std::string path(r.path);
  for (int i = 0; i < kRaceRetries; ++i) {
    const long fd = syscall(SYS_openat2, r.dir_fd, path.c_str(), &how, sizeof how);
    if (fd >= 0) return RaiseFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) return -errno;
  }
  return -EAGAIN;
}

std::vector<std::string> Split(std::string_view path, bool* trailing_slash) {
  std::vector<std::string> parts;
  *trailing_slash = !path.empty() && path.back() == '/';
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

int ReadLinkAt(int dir_fd, const char* name, std::string* target) {
  char buffer[PATH_MAX];
  const ssize_t n = readlinkat(dir_fd, name, buffer, sizeof buffer);
  if (n < 0) return -errno;
  if (n >= static_cast<ssize_t>(sizeof buffer)) return -ENAMETOOLONG;
  target->assign(buffer, static_cast<size_t>(n));
  return 0;
}

uint64_t MountOf(int fd) {
  struct statx sx;
  memset(&sx, 0, sizeof sx);
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &sx) == 0 &&
      (sx.stx_mask & STATX_MNT_ID) != 0) {
    return sx.stx_mnt_id;
  }
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_dev : 0;
}

// One walk. The stack holds the directories between the start and where we are.
class Walk {
 public:
  explicit Walk(const ResolveRequest& r) : r_(r) {}

  int Run() {
    bool trailing = false;
    if (r_.path.front() == '/' && r_.containment != Containment::kInRoot) return -EXDEV;
    for (std::string& part : Split(r_.path, &trailing)) todo_.push_back(std::move(part));
    want_directory_ = trailing;
    if (r_.same_mount) mount_ = MountOf(r_.dir_fd);
    for (int race = 0;;) {
      if (todo_.empty()) return OpenHere();
      const std::string part = std::move(todo_.front());
      todo_.pop_front();
      if (part == "..") {
        if (!stack_.empty()) {
          stack_.pop_back();
        } else if (r_.containment != Containment::kInRoot) {
          return -EXDEV;
        }
        continue;
      }
      if (todo_.empty()) {
        const int fd = OpenLast(part);
        if (fd != -ELOOP) return fd;
      } else {
        const int fd = OpenCounted(Here(), part.c_str(), O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
        if (fd >= 0) {
          UniqueFd owned(fd);
          if (r_.same_mount && MountOf(fd) != mount_) return -EXDEV;
          stack_.push_back(std::move(owned));
          continue;
        }
        if (fd != -ENOTDIR && fd != -ELOOP) return fd;
      }
      std::string target;
      const int e = ReadLinkAt(Here(), part.c_str(), &target);
      if (e == -EINVAL || e == -ENOENT) {  // no link: never was one, or was swapped just now
        if (!todo_.empty() && e == -EINVAL) {
          struct stat st;
          if (fstatat(Here(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
              !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
            return -ENOTDIR;
          }
        }
        if (++race > kRaceRetries) return -EAGAIN;
        todo_.push_front(part);
        continue;
      }
      if (e != 0) return e;
      if (r_.containment == Containment::kNoLinks) return -ELOOP;
      if (++links_ > kMaxLinks) return -ELOOP;
      if (target.empty()) return -ENOENT;
      if (target.front() == '/') {
        if (r_.containment != Containment::kInRoot) return -EXDEV;
        stack_.clear();
      }
      bool slash = false;
      std::vector<std::string> parts = Split(target, &slash);
      if (todo_.empty() && slash) want_directory_ = true;
      if (parts.size() + todo_.size() > kMaxParts) return -ENAMETOOLONG;
      todo_.insert(todo_.begin(), std::make_move_iterator(parts.begin()),
                   std::make_move_iterator(parts.end()));
    }
  }

 private:
  int Here() const { return stack_.empty() ? r_.dir_fd : stack_.back().get(); }

  // The path ended at a directory we hold ("", ".", "a/..").
  int OpenHere() {
    if ((r_.flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return -EEXIST;
    return OpenCounted(Here(), ".", r_.flags & ~(O_CREAT | O_NOFOLLOW), r_.mode);
  }

  // -ELOOP: the name is a link that has to be followed.
  int OpenLast(const std::string& part) {
    int flags = r_.flags | O_NOFOLLOW;
    if (want_directory_) flags |= O_DIRECTORY;
    const bool keep_link = (r_.flags & O_NOFOLLOW) != 0 && !want_directory_;
    int fd = OpenCounted(Here(), part.c_str(), flags, r_.mode);
    if (fd >= 0) {
      UniqueFd owned(fd);
      if (r_.same_mount && MountOf(fd) != mount_) return -EXDEV;
      if ((r_.flags & O_PATH) != 0 && !keep_link) {
        struct stat st;
        if (fstat(fd, &st) != 0) return -errno;
        if (S_ISLNK(st.st_mode)) return -ELOOP;
      }
      return owned.Release();
    }
    if (fd == -ENOTDIR || fd == -ELOOP || fd == -EEXIST) {
      struct stat st;
      const bool link =
          fstatat(Here(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
      if (fd == -EEXIST) return fd;  // O_EXCL never follows
      if (keep_link) return link ? (fd == -ENOTDIR ? -ENOTDIR : kLoopForGood) : fd;
      if (link) return -ELOOP;
      if (fd == -ELOOP) return -ELOOP;  // swapped: look again
    }
    return fd;
  }

  static constexpr int kLoopForGood = -EMLINK;  // made ELOOP by the caller
  const ResolveRequest& r_;
  std::deque<std::string> todo_;
  std::vector<UniqueFd> stack_;
  bool want_directory_ = false;
  int links_ = 0;
  uint64_t mount_ = 0;
};

}  // namespace

int RaiseFd(int fd) {
  if (fd < 0 || fd > 2) return fd;
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  const int saved = errno;
  close(fd);
  return high < 0 ? -saved : high;
}

bool PlainName(std::string_view path) {
  return !path.empty() && path != "." && path != ".." && path.find('/') == std::string_view::npos;
}

int OpenPlain(int dir_fd, std::string_view name, int flags, mode_t mode) {
  const std::string text(name);
  return OpenCounted(dir_fd, text.c_str(), flags | O_NOFOLLOW, mode);
}

int ResolveOpen(const ResolveRequest& request) {
  if (request.path.find('\0') != std::string_view::npos) return -EINVAL;
  if (request.path.empty()) return -ENOENT;
  if (!request.force_walk) {
    const int fd = ByKernel(request);
    // ENOSYS: the kernel has none. EPERM: perhaps a seccomp filter that does not know it; the walk
    // finds out. EAGAIN: somebody renames all the time; the walk does not mind.
    if (fd != -ENOSYS && fd != -EPERM && fd != -EAGAIN) return fd;
  }
  const int fd = Walk(request).Run();
  return fd == -EMLINK ? -ELOOP : fd;
}

}  // namespace coaming::base::internal
