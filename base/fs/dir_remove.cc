// Dir::RemoveAll: removes a tree without ever following a link or entering a mount.
//
// Each directory is opened by its plain name in its opened parent (O_NOFOLLOW, same mount), so a name
// that is swapped for a link under our hands fails to open and is removed as the link it is. Trees
// deeper than kMaxDepth are first moved up, so that the descriptors held stay few.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/at.h"
#include "base/fs/dir.h"
#include "base/fs/path_error.h"
#include "base/fs/resolve.h"
#include "base/fs/tree.h"

namespace coaming::base {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr int kMaxRounds = 16;  // an attacker may fill a directory faster than we empty it

struct DirCloser {
  void operator()(DIR* d) const { closedir(d); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

// One directory being emptied.
struct Level {
  DirStream stream;
  std::string name;  // in its parent
  int rounds = 0;
  bool opened_up = false;
  int fd() const { return dirfd(stream.get()); }
};

class Remover {
 public:
  Remover(const Op& op, bool walk) : op_(op), walk_(walk) {}

  // Removes `leaf` of `parent_fd`. Gives OK also when it is not there.
  absl::Status Remove(int parent_fd, const std::string& leaf, const std::string& show) {
    top_fd_ = parent_fd;
    show_ = show;
    if (unlinkat(parent_fd, leaf.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
    if (errno != EISDIR && errno != EPERM && errno != EACCES) {
      return FailPath("remove", show_, errno);
    }
    const int first = errno;
    Level top;
    const int e = Enter(parent_fd, leaf, &top);
    if (e == ENOENT) return absl::OkStatus();
    if (e == ENOTDIR || e == ELOOP) {  // no directory: then the first failure counts
      return FailPath("remove", show_, first);
    }
    if (e != 0) return FailEnter(show_, e);
    stack_.push_back(std::move(top));
    return Run(/*keep_top=*/false);
  }

  // Empties the directory itself.
  absl::Status Empty(int fd, const std::string& show) {
    top_fd_ = fd;
    show_ = show;
    Level top;
    const int e = Enter(fd, ".", &top);
    if (e != 0) return FailEnter(show_, e);
    stack_.push_back(std::move(top));
    return Run(/*keep_top=*/true);
  }

 private:
  static absl::Status FailEnter(const std::string& show, int e) {
    if (e == EXDEV) {
      return FailErrno("core.state", EBUSY).Hint("unmount it first")
             << "remove " << ShowPath(show) << ": it is a mount point";
    }
    return FailPath("remove", show, e);
  }

  int OpenLevel(int parent, const std::string& name) {
    return internal::ResolveOpen({.dir_fd = parent,
                                  .path = name,
                                  .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                                  .containment = Containment::kNoLinks,
                                  .force_walk = walk_,
                                  .same_mount = name != "."});
  }

  // 0 or an errno.
  int Enter(int parent, const std::string& name, Level* level) {
    int fd = OpenLevel(parent, name);
    if (fd == -EACCES) {  // a directory without permission bits, of our own
      if (internal::ChmodAt(parent, name, 0700) != 0) return EACCES;
      fd = OpenLevel(parent, name);
    }
    if (fd < 0) return -fd;
    DIR* stream = fdopendir(fd);
    if (stream == nullptr) {
      const int e = errno;
      close(fd);
      return e;
    }
    level->stream.reset(stream);
    level->name = name;
    return 0;
  }

  std::string ShowHere(std::string_view leaf) const {
    std::string path = show_;
    for (size_t i = 1; i < stack_.size(); ++i) absl::StrAppend(&path, "/", stack_[i].name);
    return absl::StrCat(path, "/", leaf);
  }

  absl::Status Run(bool keep_top) {
    while (!stack_.empty()) {
      Level& here = stack_.back();
      errno = 0;
      const dirent* e = readdir(here.stream.get());
      if (e == nullptr && errno != 0) return FailPath("list", ShowHere(""), errno);
      if (e != nullptr) {
        const std::string name = e->d_name;
        if (name == "." || name == "..") continue;
        COAM_RETURN_IF_ERROR(RemoveEntry(here, name, e->d_type));
        continue;
      }
      if (stack_.size() == 1 && keep_top) {
        stack_.pop_back();
        break;
      }
      const int parent = stack_.size() == 1 ? top_fd_ : stack_[stack_.size() - 2].fd();
      const std::string name = here.name;
      const int failed = unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
      if (failed == 0 || failed == ENOENT || failed == ENOTDIR) {
        stack_.pop_back();
        if (failed == ENOTDIR) unlinkat(parent, name.c_str(), 0);  // swapped for something else
        continue;
      }
      if ((failed == ENOTEMPTY || failed == EEXIST) && ++here.rounds < kMaxRounds) {
        rewinddir(here.stream.get());
        continue;
      }
      stack_.pop_back();
      return FailPath("remove directory", stack_.empty() ? show_ : ShowHere(name), failed);
    }
    return absl::OkStatus();
  }

  absl::Status RemoveEntry(Level& here, const std::string& name, unsigned char type) {
    COAM_RETURN_IF_ERROR(op_.Check());
    for (int attempt = 0; attempt < kMaxRounds; ++attempt) {
      if (type != DT_DIR || attempt > 0) {
        if (unlinkat(here.fd(), name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
        if (errno == EACCES && !here.opened_up) {
          here.opened_up = true;
          if (fchmod(here.fd(), 0700) == 0) continue;
          return FailPath("remove", ShowHere(name), EACCES);
        }
        if (errno != EISDIR && errno != EPERM && errno != EACCES) {
          return FailPath("remove", ShowHere(name), errno);
        }
      }
      const int unlink_errno = type != DT_DIR || attempt > 0 ? errno : 0;
      // An empty directory goes at once.
      if (unlinkat(here.fd(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
        return absl::OkStatus();
      }
      if (errno == EACCES && !here.opened_up) {
        here.opened_up = true;
        if (fchmod(here.fd(), 0700) == 0) continue;
      }
      if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR && errno != EACCES) {
        if (errno == EBUSY) return FailEnter(ShowHere(name), EXDEV);
        return FailPath("remove directory", ShowHere(name), errno);
      }
      if (errno == ENOTDIR) {
        if (unlink_errno != 0 && unlink_errno != EISDIR) {
          return FailPath("remove", ShowHere(name), unlink_errno);
        }
        type = DT_UNKNOWN;
        continue;
      }
      if (stack_.size() >= kMaxDepth) {
        const std::string up = absl::StrCat(".coam-rm-", RandomName());
        if (renameat(here.fd(), name.c_str(), stack_.front().fd(), up.c_str()) == 0) {
          rewinddir(stack_.front().stream.get());
          return absl::OkStatus();
        }
        if (errno == ENOENT) return absl::OkStatus();
        if (errno != EXDEV) return FailPath("remove", ShowHere(name), errno);
      }
      Level next;
      const int e = Enter(here.fd(), name, &next);
      if (e == 0) {
        stack_.push_back(std::move(next));
        return absl::OkStatus();
      }
      if (e == ENOENT) return absl::OkStatus();
      if (e != ENOTDIR && e != ELOOP) return FailEnter(ShowHere(name), e);
      type = DT_UNKNOWN;  // swapped for a link or file: remove that
    }
    return Fail("core.aborted") << "remove " << ShowPath(ShowHere(name))
                                << ": it changes faster than it can be removed";
  }

  const Op& op_;
  bool walk_;
  int top_fd_ = -1;
  std::string show_;
  std::vector<Level> stack_;
};

}  // namespace

absl::Status Dir::RemoveAll(const Op& op, std::string_view path) const {
  absl::StatusOr<At> at = Locate(path, "remove", true);
  if (!at.ok()) {
    return HasReason(at.status(), "core.not_found") ? absl::OkStatus() : at.status();
  }
  Remover remover(op, walk_);
  if (at->leaf == ".") return remover.Empty(at->fd, PathOf(path));
  return remover.Remove(at->fd, at->leaf, PathOf(path));
}

}  // namespace coaming::base
