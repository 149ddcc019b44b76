#include "base/fs/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/fs/path_error.h"
#include "base/fs/resolve.h"
#include "base/fs/tree.h"

namespace coaming::base {
namespace {

std::string TemporaryName() { return absl::StrCat(".coam-", RandomName(), ".tmp"); }

}  // namespace

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      parent_(std::move(other.parent_)),
      leaf_(std::move(other.leaf_)),
      temp_(std::exchange(other.temp_, "")),
      show_(std::move(other.show_)),
      options_(other.options_) {}

AtomicFile::~AtomicFile() {
  if (!temp_.empty()) unlinkat(parent_.fd(), temp_.c_str(), 0);
}

absl::StatusOr<AtomicFile> AtomicFile::New(const Dir& dir, std::string_view path,
                                           const WriteFileOptions& options) {
  AtomicFile file;
  file.show_ = dir.PathOf(path);
  file.options_ = options;
  COAM_ASSIGN_OR_RETURN(Dir::Leaf leaf, dir.OpenParent(path));
  file.parent_ = std::move(leaf.dir);
  file.leaf_ = std::move(leaf.name);
  const int fd = internal::OpenPlain(file.parent_.fd(), ".", O_TMPFILE | O_RDWR, 0600);
  if (fd >= 0) {
    file.fd_.Reset(fd);
    return file;
  }
  if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL && fd != -ENOENT) {
    return FailPath("write", file.show_, -fd);
  }
  COAM_RETURN_IF_ERROR(file.MakeNamed());
  return file;
}

absl::Status AtomicFile::MakeNamed() {
  for (int i = 0; i < 8; ++i) {
    const std::string name = TemporaryName();
    const int fd = internal::OpenPlain(parent_.fd(), name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
      fd_.Reset(fd);
      temp_ = name;
      return absl::OkStatus();
    }
    if (fd != -EEXIST) return FailPath("write", show_, -fd);
  }
  return FailPath("write", show_, EEXIST);
}

// Gives an unnamed file a name; errno stays set after a failure.
absl::Status AtomicFile::LinkAs(const std::string& leaf) {
  if (linkat(fd_.get(), "", parent_.fd(), leaf.c_str(), AT_EMPTY_PATH) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST) return FailPath("write", show_, EEXIST);
  // Without CAP_DAC_READ_SEARCH the empty path is not allowed.
  if (linkat(AT_FDCWD, FdPath(fd_.get()).c_str(), parent_.fd(), leaf.c_str(), AT_SYMLINK_FOLLOW) ==
      0) {
    return absl::OkStatus();
  }
  return FailPath("write", show_, errno);
}

absl::Status AtomicFile::Commit() {
  if (!fd_.ok()) return Fail("core.state") << "write " << ShowPath(show_) << ": already done";
  if (options_.uid.has_value() || options_.gid.has_value()) {
    if (fchown(fd_.get(), options_.uid.value_or(static_cast<uid_t>(-1)),
               options_.gid.value_or(static_cast<gid_t>(-1))) != 0) {
      return FailPath("set the owner of", show_, errno);
    }
  }
  if (fchmod(fd_.get(), options_.mode & 07777) != 0) {
    return FailPath("set the mode of", show_, errno);
  }
  if (options_.sync) COAM_RETURN_IF_ERROR(SyncFd(fd_.get(), show_));

  if (temp_.empty()) {
    absl::Status linked = LinkAs(leaf_);
    if (!linked.ok() && (options_.exclusive || !HasReason(linked, "core.exists"))) return linked;
    if (!linked.ok()) {
      for (int i = 0; i < 8 && !linked.ok(); ++i) {
        const std::string name = TemporaryName();
        linked = LinkAs(name);
        if (linked.ok()) temp_ = name;
        if (!linked.ok() && !HasReason(linked, "core.exists")) break;
      }
      COAM_RETURN_IF_ERROR(linked);
    }
  }
  if (!temp_.empty()) {
    if (options_.exclusive) {
      if (linkat(parent_.fd(), temp_.c_str(), parent_.fd(), leaf_.c_str(), 0) != 0) {
        return FailPath("write", show_, errno);
      }
      unlinkat(parent_.fd(), temp_.c_str(), 0);
    } else if (renameat(parent_.fd(), temp_.c_str(), parent_.fd(), leaf_.c_str()) != 0) {
      return FailPath("write", show_, errno);  // the destructor removes the temporary name
    }
    temp_.clear();
  }
  fd_.Reset();
  return options_.sync ? parent_.Sync() : absl::OkStatus();
}

}  // namespace coaming::base
