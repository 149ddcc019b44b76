#include "liboci/layer/cursor.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"

namespace coaming::oci {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's own

absl::Status ReadLevel(TreeLevel* level) {
  struct stat st;
  if (fstat(level->dir.fd(), &st) != 0) {
    return base::FailPath("look at", level->dir.name(), errno);
  }
  level->modified = st.st_mtim;
  level->has_time = true;
  level->set_gid = (st.st_mode & S_ISGID) != 0;
  return absl::OkStatus();
}

}  // namespace

absl::Status TreeCursor::Open() {
  // A secret key: nobody can prepare names that collide. Without randomness the address serves.
  if (getrandom(&key_, sizeof key_, 0) != static_cast<ssize_t>(sizeof key_)) {
    key_ = reinterpret_cast<uintptr_t>(this) * 0x9e3779b97f4a7c15u;
  }
  levels_.clear();
  last_path_valid_ = false;
  TreeLevel root;
  COAM_ASSIGN_OR_RETURN(root.dir, root_.Clone());
  root.hash = key_ | 1;
  COAM_RETURN_IF_ERROR(ReadLevel(&root));
  levels_.push_back(std::move(root));
  return absl::OkStatus();
}

uint64_t TreeCursor::ChildHash(uint64_t parent, std::string_view name) const {
  // FNV-like over 8 bytes at a time with strong mixing, keyed by the parent and a secret.
  uint64_t h = parent ^ (key_ + name.size() * 0x9e3779b97f4a7c15u);
  const auto mix = [&h](uint64_t word) {
    h ^= word;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 29;
    h *= 0x94d049bb133111ebu;
    h ^= h >> 32;
  };
  while (!name.empty()) {
    uint64_t word = 0;
    size_t n = name.size() < 8 ? name.size() : 8;
    for (size_t i = 0; i < n; ++i) word |= uint64_t{static_cast<unsigned char>(name[i])} << (8 * i);
    mix(word);
    name.remove_prefix(n);
  }
  mix(key_);
  return h;
}

absl::Status TreeCursor::Pop() {
  TreeLevel& level = levels_.back();
  absl::Status status;
  if (level.dirty && level.has_time) {
    const timespec times[2] = {level.modified, level.modified};
    if (futimens(level.dir.fd(), times) != 0 && errno != EPERM) {
      status = base::FailPath("set the times of", level.dir.name(), errno);
    }
  }
  levels_.pop_back();
  return status;
}

absl::Status TreeCursor::Push(std::string_view name, bool make, std::vector<std::string>* rest,
                              int* links) {
  TreeLevel& parent = levels_.back();
  absl::StatusOr<base::Dir> dir = parent.dir.OpenDir(name, /*follow_last=*/false);
  TreeLevel level;
  level.hash = ChildHash(parent.hash, name);
  if (!dir.ok()) {
    bool missing = base::HasReason(dir.status(), "core.not_found");
    if (!missing) {
      absl::StatusOr<struct stat> st = parent.dir.Stat(name);
      if (!st.ok()) return dir.status();
      if (S_ISDIR(st->st_mode)) return dir.status();
      if (S_ISLNK(st->st_mode)) {
        if (++*links > kMaxLinks) {
          return base::Fail("fs.loop")
                 << base::ShowPath(parent.dir.PathOf(name)) << ": links go round in circles";
        }
        COAM_ASSIGN_OR_RETURN(std::string target, parent.dir.ReadLink(name));
        if (target.starts_with('/')) {
          while (levels_.size() > 1) COAM_RETURN_IF_ERROR(Pop());
        }
        // What is still to walk is a stack with its next part at the end.
        std::vector<std::string_view> parts = absl::StrSplit(target, '/', absl::SkipEmpty());
        for (size_t i = parts.size(); i-- > 0;) rest->emplace_back(parts[i]);
        return absl::OkStatus();
      }
      if (!make) {
        return base::Fail("core.not_found")
               << base::ShowPath(parent.dir.PathOf(name)) << " is no directory";
      }
      COAM_RETURN_IF_ERROR(parent.dir.Unlink(name));
    } else if (!make) {
      return dir.status();
    }
    COAM_RETURN_IF_ERROR(parent.dir.MakeDir(name, 0755));
    parent.dirty = true;
    made_.push_back(level.hash);
    COAM_ASSIGN_OR_RETURN(level.dir, parent.dir.OpenDir(name, false));
  } else {
    level.dir = *std::move(dir);
    COAM_RETURN_IF_ERROR(ReadLevel(&level));
  }
  level.name = name;
  levels_.push_back(std::move(level));
  return absl::OkStatus();
}

absl::StatusOr<TreeLevel*> TreeCursor::Enter(std::string_view path, bool make) {
  if (last_path_valid_ && path == last_path_) return &levels_.back();
  last_path_valid_ = false;
  // What stays open: the levels whose names are the path's first parts.
  size_t depth = 1;
  std::string_view left = path;
  while (!left.empty() && depth < levels_.size()) {
    size_t slash = left.find('/');
    if (levels_[depth].name != left.substr(0, slash)) break;
    left = slash == std::string_view::npos ? std::string_view() : left.substr(slash + 1);
    ++depth;
  }
  while (levels_.size() > depth) COAM_RETURN_IF_ERROR(Pop());
  std::vector<std::string> rest;
  std::vector<std::string_view> parts = absl::StrSplit(left, '/', absl::SkipEmpty());
  for (size_t i = parts.size(); i-- > 0;) rest.emplace_back(parts[i]);
  int links = 0;
  while (!rest.empty()) {
    std::string name = std::move(rest.back());
    rest.pop_back();
    if (name == ".") continue;
    if (name == "..") {
      if (levels_.size() > 1) COAM_RETURN_IF_ERROR(Pop());
      continue;
    }
    COAM_RETURN_IF_ERROR(Push(name, make, &rest, &links));
    if (static_cast<int64_t>(levels_.size()) > op_.limits().path_bytes / 2) {
      return base::FailLimit("path_bytes", op_.limits().path_bytes)
             << base::ShowPath(path) << " is nested too deep";
    }
  }
  last_path_ = path;
  last_path_valid_ = true;
  return &levels_.back();
}

TreeLevel* TreeCursor::Child(const TreeLevel& level, std::string_view name) {
  for (size_t i = 0; i + 1 < levels_.size(); ++i) {
    if (&levels_[i] == &level) return levels_[i + 1].name == name ? &levels_[i + 1] : nullptr;
  }
  return nullptr;
}

void TreeCursor::Forget(const TreeLevel& level, std::string_view name) {
  last_path_valid_ = false;
  for (size_t i = 0; i + 1 < levels_.size(); ++i) {
    if (&levels_[i] != &level) continue;
    if (levels_[i + 1].name == name) levels_.erase(levels_.begin() + i + 1, levels_.end());
    return;
  }
}

absl::Status TreeCursor::Leave() {
  absl::Status first;
  while (!levels_.empty()) {
    absl::Status status = Pop();
    if (first.ok()) first = status;
  }
  last_path_valid_ = false;
  return first;
}

}  // namespace coaming::oci
