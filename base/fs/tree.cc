#include "base/fs/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/fs/path_error.h"

namespace coaming::base {
namespace {

// A directory whose entries are being visited.
struct Frame {
  std::unique_ptr<Dir> dir;
  std::vector<DirEntry> entries;
  size_t next = 0;
  std::string path;  // "" or "a/b"
};

bool Vanished(const absl::Status& s) { return HasReason(s, "core.not_found"); }

}  // namespace

absl::Status WalkTree(const Op& op, const Dir& dir,
                      const std::function<absl::Status(const TreeEntry&, bool* skip)>& visit) {
  COAM_ASSIGN_OR_RETURN(struct stat top, dir.Stat(""));
  bool skip = false;
  COAM_RETURN_IF_ERROR(visit(TreeEntry{"", &dir, "", top}, &skip));
  if (skip) return absl::OkStatus();
  std::vector<Frame> stack;
  int64_t left = op.limits().unpacked_files;
  {
    Frame first;
    COAM_ASSIGN_OR_RETURN(Dir copy, dir.OpenDir(""));
    first.dir = std::make_unique<Dir>(std::move(copy));
    COAM_ASSIGN_OR_RETURN(first.entries, first.dir->List("", left));
    stack.push_back(std::move(first));
  }
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next == frame.entries.size()) {
      stack.pop_back();
      continue;
    }
    COAM_RETURN_IF_ERROR(op.Check());
    const std::string leaf = std::move(frame.entries[frame.next++].name);
    if (--left < 0) {
      return FailLimit("unpacked_files", op.limits().unpacked_files)
             << ShowPath(dir.name()) << " holds more files";
    }
    const std::string path = JoinPath(frame.path, leaf);
    if (static_cast<int64_t>(path.size()) > op.limits().path_bytes) {
      return FailLimit("path_bytes", op.limits().path_bytes)
             << ShowPath(dir.PathOf(path)) << " is deeper than is allowed";
    }
    absl::StatusOr<struct stat> st = frame.dir->Stat(leaf);
    if (!st.ok()) {
      if (Vanished(st.status())) continue;
      return st.status();
    }
    skip = false;
    COAM_RETURN_IF_ERROR(visit(TreeEntry{path, frame.dir.get(), leaf, *st}, &skip));
    if (!S_ISDIR(st->st_mode) || skip) continue;
    absl::StatusOr<Dir> sub = frame.dir->OpenDir(leaf, /*follow_last=*/false);
    if (!sub.ok()) {
      if (Vanished(sub.status())) continue;
      return sub.status();
    }
    Frame next;
    next.path = path;
    next.dir = std::make_unique<Dir>(*std::move(sub));
    COAM_ASSIGN_OR_RETURN(next.entries, next.dir->List("", left));
    stack.push_back(std::move(next));
  }
  return absl::OkStatus();
}

namespace {

class Copier {
 public:
  Copier(const Op& op, const Dir& to, const CopyTreeOptions& options)
      : op_(op), to_(to), options_(options) {}

  absl::Status Visit(const TreeEntry& e) {
    COAM_RETURN_IF_ERROR(Make(e));
    if (!S_ISDIR(e.stat.st_mode)) return Dress(e);
    later_.push_back({std::string(e.path), e.stat});
    return CopyOwnerAndXattrs(e);
  }

  // Directories get mode and times at last, deepest first: filling them changes both.
  absl::Status Finish() {
    for (auto it = later_.rbegin(); it != later_.rend(); ++it) {
      COAM_RETURN_IF_ERROR(to_.Chmod(it->path, it->stat.st_mode & 07777));
      if (options_.times) {
        COAM_RETURN_IF_ERROR(to_.SetTimes(it->path, it->stat.st_atim, it->stat.st_mtim));
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Later {
    std::string path;
    struct stat stat;
  };

  absl::Status Make(const TreeEntry& e) {
    if (e.path.empty()) return absl::OkStatus();
    absl::StatusOr<struct stat> there = to_.Stat(e.path);
    if (there.ok()) {
      if (S_ISDIR(there->st_mode) && S_ISDIR(e.stat.st_mode)) return absl::OkStatus();
      COAM_RETURN_IF_ERROR(to_.RemoveAll(op_, e.path));
    } else if (!HasReason(there.status(), "core.not_found")) {
      return there.status();
    }
    if (!S_ISDIR(e.stat.st_mode) && e.stat.st_nlink > 1) {
      auto [it, fresh] = links_.emplace(std::make_pair(e.stat.st_dev, e.stat.st_ino), e.path);
      if (!fresh) return to_.Link(to_, it->second, e.path);
    }
    switch (e.stat.st_mode & S_IFMT) {
      case S_IFDIR: return to_.MakeDir(e.path, 0700);
      case S_IFLNK: {
        COAM_ASSIGN_OR_RETURN(std::string target, e.dir->ReadLink(e.leaf));
        return to_.Symlink(target, e.path);
      }
      case S_IFREG: {
        COAM_ASSIGN_OR_RETURN(UniqueFd in,
                              e.dir->OpenFile(e.leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
        COAM_ASSIGN_OR_RETURN(UniqueFd out, to_.Create(e.path, 0600));
        return CopyFd(op_, in.get(), e.dir->PathOf(e.leaf), out.get(), to_.PathOf(e.path)).status();
      }
      default: return to_.MakeNode(e.path, e.stat.st_mode, e.stat.st_rdev);
    }
  }

  absl::Status CopyOwnerAndXattrs(const TreeEntry& e) {
    if (options_.owners) COAM_RETURN_IF_ERROR(to_.Chown(e.path, e.stat.st_uid, e.stat.st_gid));
    if (!options_.xattrs) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(auto xattrs, e.dir->ListXattrs(e.leaf, op_.limits().xattr_bytes));
    for (const auto& [name, value] : xattrs) {
      COAM_RETURN_IF_ERROR(to_.SetXattr(e.path, name, value));
    }
    return absl::OkStatus();
  }

  absl::Status Dress(const TreeEntry& e) {
    COAM_RETURN_IF_ERROR(CopyOwnerAndXattrs(e));
    if (!S_ISLNK(e.stat.st_mode)) {
      COAM_RETURN_IF_ERROR(to_.Chmod(e.path, e.stat.st_mode & 07777));
    }
    if (options_.times) {
      COAM_RETURN_IF_ERROR(to_.SetTimes(e.path, e.stat.st_atim, e.stat.st_mtim));
    }
    return absl::OkStatus();
  }

  const Op& op_;
  const Dir& to_;
  const CopyTreeOptions& options_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::vector<Later> later_;
};

}  // namespace

absl::Status CopyTree(const Op& op, const Dir& from, const Dir& to,
                      const CopyTreeOptions& options) {
  Copier copier(op, to, options);
  COAM_RETURN_IF_ERROR(
      WalkTree(op, from, [&](const TreeEntry& e, bool*) { return copier.Visit(e); }));
  return copier.Finish();
}

std::string RandomName(size_t bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes * 2);
  unsigned char block[64];
  while (bytes > 0) {
    const size_t want = bytes < sizeof block ? bytes : sizeof block;
    const ssize_t n = getrandom(block, want, 0);
    if (n <= 0) continue;  // EINTR
    for (ssize_t i = 0; i < n; ++i) {
      out += kHex[block[i] >> 4];
      out += kHex[block[i] & 15];
    }
    bytes -= static_cast<size_t>(n);
  }
  return out;
}

TempDir::TempDir(TempDir&& other) noexcept
    : parent_(std::move(other.parent_)),
      dir_(std::move(other.dir_)),
      leaf_(std::exchange(other.leaf_, "")) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  if (this != &other) {
    Remove().IgnoreError();
    parent_ = std::move(other.parent_);
    dir_ = std::move(other.dir_);
    leaf_ = std::exchange(other.leaf_, "");
  }
  return *this;
}

TempDir::~TempDir() { Remove().IgnoreError(); }

absl::StatusOr<TempDir> TempDir::New(const Dir& parent, std::string_view prefix) {
  TempDir temp;
  COAM_ASSIGN_OR_RETURN(temp.parent_, parent.Clone());
  for (int i = 0;; ++i) {
    const std::string leaf = absl::StrCat(prefix, "-", RandomName());
    const absl::Status made = parent.MakeDir(leaf, 0700);
    if (made.ok()) {
      temp.leaf_ = leaf;
      COAM_ASSIGN_OR_RETURN(temp.dir_, temp.parent_.OpenDir(leaf, /*follow_last=*/false));
      return temp;
    }
    if (!HasReason(made, "core.exists") || i == 8) return made;
  }
}

absl::StatusOr<TempDir> TempDir::New(std::string_view host_parent, std::string_view prefix) {
  COAM_ASSIGN_OR_RETURN(Dir parent, Dir::Open(host_parent));
  return New(parent, prefix);
}

absl::Status TempDir::Remove() {
  if (leaf_.empty()) return absl::OkStatus();
  dir_ = Dir();
  return parent_.RemoveAll(Op(), std::exchange(leaf_, ""));
}

}  // namespace coaming::base
