// Whole trees: walk one in a fixed order, copy one, and a temporary directory.
//
// Links are never followed; what changes under our hands leads to an error or a missed entry, never
// outside. Threads: [single]. Limits: unpacked_files of the op, and path_bytes.
#ifndef COAMING_BASE_FS_TREE_H_
#define COAMING_BASE_FS_TREE_H_

#include <sys/stat.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/fs/dir.h"

namespace coaming::base {

struct TreeEntry {
  std::string_view path;  // relative to the start, "a/b"; "" is the start itself
  const Dir* dir;         // the directory that holds it; of the start: itself
  std::string_view leaf;  // its name in `dir`; "" for the start
  struct stat stat;
};

// WalkTree visits `dir` and all beneath it, a directory before its entries, those sorted by bytes. A
// visitor's error ends the walk and is returned. `skip`, if set by the visitor, leaves a directory's
// contents out.
absl::Status WalkTree(const Op& op, const Dir& dir,
                      const std::function<absl::Status(const TreeEntry&, bool* skip)>& visit);

struct CopyTreeOptions {
  bool owners = true;  // keep uid and gid (needs privilege; without: files are the caller's)
  bool xattrs = true;
  bool times = true;
};
// CopyTree copies the contents of `from` into the directory `to`: kinds, modes, hard links among
// them, link targets, devices. What is there by the same name is replaced, except that directories
// are merged.
absl::Status CopyTree(const Op& op, const Dir& from, const Dir& to,
                      const CopyTreeOptions& options = {});

// TempDir is a fresh directory, mode 0700, removed with all it holds when it dies.
class TempDir {
 public:
  TempDir() = default;
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();
  // New makes "PREFIX-RANDOM" in `parent`.
  static absl::StatusOr<TempDir> New(const Dir& parent, std::string_view prefix);
  static absl::StatusOr<TempDir> New(std::string_view host_parent, std::string_view prefix);

  const Dir& dir() const { return dir_; }
  const std::string& leaf() const { return leaf_; }
  std::string path() const { return parent_.PathOf(leaf_); }
  // Keep gives the directory up: it stays.
  void Keep() { leaf_.clear(); }
  // Remove removes it now and tells how that went.
  absl::Status Remove();

 private:
  Dir parent_, dir_;
  std::string leaf_;
};

// RandomName is `bytes` random bytes in lower-case hex.
std::string RandomName(size_t bytes = 8);

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_TREE_H_
