// Dir is an open directory and everything that may be done beneath it. It is the one place in coaming
// that turns names into files: every call takes a path relative to the directory and resolves it with
// openat2(2), or with a walk of our own, component by component, where the kernel has no openat2.
//
//   COAM_ASSIGN_OR_RETURN(base::Dir root, base::Dir::Open(host_path));           // "/var/lib/coaming"
//   COAM_RETURN_IF_ERROR(root.MakeDirs("blobs/sha256", 0755));
//   COAM_RETURN_IF_ERROR(root.WriteFile(op, "index.json", text, {.mode = 0644}));  // atomic
//   COAM_ASSIGN_OR_RETURN(std::string text, root.ReadFile("index.json", 4 << 20, "manifest_bytes"));
//
// Resolution. Containment::kBeneath: ".." above the directory and absolute links are refused
// (fs.escape). kInRoot: the directory is "/", as in a chroot: absolute links and ".." stay inside.
// kNoLinks: no symbolic link in any component. Magic links of /proc are never followed. A path that
// starts with "/" is refused by kBeneath and kNoLinks, and read from the root by kInRoot. "" and "."
// name the directory itself where that makes sense.
//
// The last component: calls that make, remove, change or look (Stat, Create, Chown, ...) never follow
// a link there; OpenFile, OpenDir, ReadFile follow it, within the containment, unless O_NOFOLLOW is
// given. A path of one component costs one system call: callers that work on many files of a directory
// (unpackers) keep the Dir of that directory and pass leaf names.
//
// Modes are exact: made with the mode and then fchmod, so that neither the host's umask counts nor is
// it touched. Errors name the whole path; reasons as ReasonOfErrno (path_error.h) says.
//
// Ownership: movable; descriptors are O_CLOEXEC and at least 3. Threads: const calls may run at the
// same time from several threads. Hostile input: names and links beneath may be changed by an attacker
// while we work; no call ever acts on anything outside the directory (tested with a racing thread).
#ifndef COAMING_BASE_FS_DIR_H_
#define COAMING_BASE_FS_DIR_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"

namespace coaming::base {

enum class Containment { kBeneath, kInRoot, kNoLinks };

// One entry of a directory, without "." and "..".
struct DirEntry {
  std::string name;
  unsigned char type = 0;  // DT_REG, DT_DIR, DT_LNK, ...; never DT_UNKNOWN
  uint64_t inode = 0;
};

struct WriteFileOptions {
  mode_t mode = 0644;
  bool sync = false;       // fsync the file and its directory
  bool exclusive = false;  // core.exists if the name is taken; otherwise it is replaced
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

// A number of nanoseconds for UTIME_OMIT.
inline constexpr timespec kKeepTime{0, UTIME_OMIT};

class Dir {
 public:
  Dir() = default;  // holds nothing
  Dir(Dir&&) = default;
  Dir& operator=(Dir&&) = default;

  // Open opens a directory of the host by a path that the *host* chose (absolute, or relative to its
  // working directory); links in it are followed as anywhere. Never pass it bytes from an image.
  static absl::StatusOr<Dir> Open(std::string_view host_path,
                                  Containment containment = Containment::kBeneath);
  // OpenOrMake is Open, but makes the directory and its missing parents with `mode` first.
  static absl::StatusOr<Dir> OpenOrMake(std::string_view host_path, mode_t mode,
                                        Containment containment = Containment::kBeneath);
  // FromFd takes an open directory; `name` is what errors call it.
  static absl::StatusOr<Dir> FromFd(UniqueFd fd, std::string_view name,
                                    Containment containment = Containment::kBeneath);

  bool ok() const { return fd_.ok(); }
  int fd() const { return fd_.get(); }  // borrowed; may be O_PATH where it cannot be read
  const std::string& name() const { return name_; }
  Containment containment() const { return containment_; }
  // Clone makes a second handle of the same directory.
  absl::StatusOr<Dir> Clone() const;
  // PathOf is the directory's name joined with `path`, for messages and logs only.
  std::string PathOf(std::string_view path) const;
  // ForceWalk makes this Dir, and those opened from it, use the walk of our own as if the kernel had
  // no openat2. For tests.
  void ForceWalk(bool on = true) { walk_ = on; }

  // --- opening ---------------------------------------------------------------------------------

  // OpenFile opens with O_* `flags` (O_CLOEXEC, O_NOCTTY are added; with O_CREAT a *new* file gets
  // exactly `mode`). A FIFO or device is opened as it is: add O_NONBLOCK, or use ReadFile, which
  // takes only regular files.
  absl::StatusOr<UniqueFd> OpenFile(std::string_view path, int flags, mode_t mode = 0) const;
  // OpenDir opens a directory beneath, with the same containment. With kInRoot the new Dir has itself
  // as its root.
  absl::StatusOr<Dir> OpenDir(std::string_view path, bool follow_last = true) const;
  // Parent of a path: the directory that holds its last component, and that component. The leaf is
  // never empty, ".", ".." or with a slash (core.invalid_argument).
  struct Leaf;
  absl::StatusOr<Leaf> OpenParent(std::string_view path) const;
  // OpenPath gives an O_PATH descriptor, of a link itself if `follow_last` is false.
  absl::StatusOr<UniqueFd> OpenPath(std::string_view path, bool follow_last) const;

  // --- whole files -----------------------------------------------------------------------------

  // ReadFile reads a regular file whole; more than `max` bytes: core.limit with `limit_name`; not
  // regular: core.state.
  absl::StatusOr<std::string> ReadFile(std::string_view path, int64_t max,
                                       std::string_view limit_name) const;
  // WriteFile puts `bytes` under `path` in one step: readers see the old file, the new one or none,
  // never a part. A failure leaves the old one and no temporary file.
  absl::Status WriteFile(const Op& op, std::string_view path, std::string_view bytes,
                         const WriteFileOptions& options = {}) const;
  // Create makes a new regular file for reading and writing with exactly `mode`; core.exists if
  // anything (also a link) has the name.
  absl::StatusOr<UniqueFd> Create(std::string_view path, mode_t mode) const;

  // --- making, moving, removing ----------------------------------------------------------------

  absl::Status MakeDir(std::string_view path, mode_t mode) const;  // core.exists if there is one
  // MakeDirs makes what is missing of the path and is content with directories that are there (whose
  // mode stays). Gives the last one.
  absl::StatusOr<Dir> MakeDirs(std::string_view path, mode_t mode) const;
  absl::Status Symlink(std::string_view target, std::string_view path) const;
  // Link makes `path` in this Dir a hard link to `from` in `from_dir`; a link there is linked itself.
  absl::Status Link(const Dir& from_dir, std::string_view from, std::string_view path) const;
  // MakeNode makes a FIFO, socket or device: `mode` is S_IFIFO | 0644 and so on.
  absl::Status MakeNode(std::string_view path, mode_t mode, dev_t device) const;
  // Rename moves within this Dir; `flags` as renameat2 (RENAME_NOREPLACE, RENAME_EXCHANGE).
  absl::Status Rename(std::string_view from, std::string_view to, unsigned flags = 0) const;
  absl::Status RenameTo(std::string_view from, const Dir& to_dir, std::string_view to,
                        unsigned flags = 0) const;
  absl::Status Unlink(std::string_view path) const;     // not a directory
  absl::Status RemoveDir(std::string_view path) const;  // an empty directory
  // RemoveAll removes `path` and all beneath it. Links are removed, not followed; a mount point is
  // never entered (core.state); directories without permission bits are opened up. Missing: OK.
  // `path` "" removes the contents and keeps the directory.
  absl::Status RemoveAll(const Op& op, std::string_view path) const;

  // --- looking ---------------------------------------------------------------------------------

  absl::StatusOr<struct stat> Stat(std::string_view path, bool follow_last = false) const;
  // Exists is true if anything, a dangling link too, has the name; other failures are errors.
  absl::StatusOr<bool> Exists(std::string_view path) const;
  absl::StatusOr<std::string> ReadLink(std::string_view path) const;
  // List gives the entries sorted by bytes; more than `max`: core.limit "directory_entries".
  absl::StatusOr<std::vector<DirEntry>> List(std::string_view path = "",
                                             int64_t max = 10'000'000) const;

  // --- changing (never through a link in the last component) -------------------------------------

  absl::Status Chmod(std::string_view path, mode_t mode) const;  // core.state for a link
  absl::Status Chown(std::string_view path, uid_t uid, gid_t gid) const;
  absl::Status SetTimes(std::string_view path, timespec accessed, timespec modified) const;
  absl::Status SetXattr(std::string_view path, std::string_view name, std::string_view value) const;
  absl::Status RemoveXattr(std::string_view path, std::string_view name) const;
  // nullopt if the file has no such attribute or the file system has none at all.
  absl::StatusOr<std::optional<std::string>> GetXattr(std::string_view path,
                                                      std::string_view name) const;
  // ListXattrs gives names and values, sorted; at most `max_bytes` in sum (core.limit xattr_bytes).
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ListXattrs(
      std::string_view path, int64_t max_bytes = 1 << 20) const;

  // Sync writes the directory's entries to disk (fsync). Best effort where it cannot be.
  absl::Status Sync() const;

 private:
  friend class AtomicFile;
  Dir(UniqueFd fd, std::string name, Containment containment, bool walk)
      : fd_(std::move(fd)), name_(std::move(name)), containment_(containment), walk_(walk) {}
  struct At;  // a directory descriptor, own or borrowed, and a leaf
  absl::StatusOr<At> Locate(std::string_view path, std::string_view action, bool allow_self) const;
  absl::StatusOr<std::string> XattrPath(const At& at) const;

  UniqueFd fd_;
  std::string name_;
  Containment containment_ = Containment::kBeneath;
  bool walk_ = false;
};

struct Dir::Leaf {
  Dir dir;
  std::string name;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_DIR_H_
