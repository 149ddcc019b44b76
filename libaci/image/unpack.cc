#include "libaci/image/unpack.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"

namespace coaming::aci {
namespace {

timespec Time(const base::TarTime& t) {
  return timespec{static_cast<time_t>(t.seconds), t.nanoseconds};
}

bool IsNotDirectory(const absl::Status& status) {
  return base::HasReason(status, "fs.loop") || base::HasReason(status, "fs.not_directory") ||
         base::HasReason(status, "fs.escape");
}

absl::Status WriteAt(int fd, std::string_view bytes, int64_t offset, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::FailPath("write", name, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return absl::OkStatus();
}

}  // namespace

struct Unpacker::Rep {
  Rep(const base::Dir& r, const UnpackOptions& o, const base::Op& p) : root(r), options(o), op(p) {}

  const base::Dir& root;
  const UnpackOptions options;
  const base::Op& op;
  std::string parent_path;  // of `parent`, if it is open
  base::Dir parent;
  struct DirEnd {
    std::string path;
    timespec modified;
    mode_t mode;
    bool set_mode;
  };
  std::vector<DirEnd> ends;
  bool owner_noted = false;

  bool owners() const { return options.keep_owner; }
  void Forget() { parent = base::Dir(); }

  // The directory `path`; what is missing is made, what is no directory is replaced by one.
  absl::Status OpenParent(const std::string& path) {
    if (parent.ok() && parent_path == path) return absl::OkStatus();
    Forget();
    absl::StatusOr<base::Dir> whole = root.OpenDir(path);
    if (!whole.ok()) {
      if (!base::HasReason(whole.status(), "core.not_found") && !IsNotDirectory(whole.status())) {
        return whole.status();
      }
      whole = MakeParents(path);
      COAM_RETURN_IF_ERROR(whole.status());
    }
    parent = *std::move(whole);
    parent_path = path;
    return absl::OkStatus();
  }

  absl::StatusOr<base::Dir> MakeParents(const std::string& path) {
    COAM_ASSIGN_OR_RETURN(base::Dir at, root.Clone());
    size_t begin = 0;
    while (begin < path.size()) {
      const size_t slash = std::min(path.find('/', begin), path.size());
      const std::string part = path.substr(begin, slash - begin);
      begin = slash + 1;
      absl::StatusOr<base::Dir> next = at.OpenDir(part, /*follow_last=*/false);
      if (!next.ok()) {
        if (IsNotDirectory(next.status())) {
          COAM_RETURN_IF_ERROR(at.Unlink(part));
        } else if (!base::HasReason(next.status(), "core.not_found")) {
          return next.status();
        }
        COAM_RETURN_IF_ERROR(at.MakeDir(part, 0755));
        if (owners()) COAM_RETURN_IF_ERROR(Owner(at.Chown(part, 0, 0), part));
        next = at.OpenDir(part, /*follow_last=*/false);
        COAM_RETURN_IF_ERROR(next.status());
      }
      at = *std::move(next);
    }
    return at;
  }

  // A refused change of owner is a note: the files then belong to the caller. (A user namespace
  // answers EINVAL for an ID that it does not map.)
  absl::Status Owner(const absl::Status& status, std::string_view path) {
    if (status.ok() || (!base::HasReason(status, "core.permission") &&
                        base::GetError(status).sys_errno != EINVAL)) {
      return status;
    }
    if (!owner_noted) {
      owner_noted = true;
      op.AddNote("aci.owner_dropped", path, "owners could not be set: files belong to the caller");
    }
    return absl::OkStatus();
  }

  absl::Status Xattr(const absl::Status& status, std::string_view path, std::string_view name) {
    if (status.ok()) return status;
    const int code = base::GetError(status).sys_errno;
    if (code != EPERM && code != EACCES && code != EOPNOTSUPP) return status;
    op.AddNote("aci.xattr_dropped", path, absl::StrCat("attribute ", name, " could not be set"));
    return absl::OkStatus();
  }

  absl::Status Clear(const std::string& leaf) {
    absl::Status status = parent.Unlink(leaf);
    if (status.ok() || base::HasReason(status, "core.not_found")) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(struct stat st, parent.Stat(leaf));
    if (!S_ISDIR(st.st_mode)) return status;
    return parent.RemoveAll(op, leaf);
  }

  absl::Status Properties(const base::TarEntry& e, const std::string& leaf,
                          const std::string& path) {
    if (owners()) {
      COAM_RETURN_IF_ERROR(
          Owner(parent.Chown(leaf, static_cast<uid_t>(e.uid), static_cast<gid_t>(e.gid)), path));
    }
    if (e.type != base::TarType::kSymlink && e.type != base::TarType::kDirectory) {
      COAM_RETURN_IF_ERROR(parent.Chmod(leaf, e.mode & 07777));
    }
    for (const auto& [name, value] : e.xattrs) {
      COAM_RETURN_IF_ERROR(Xattr(parent.SetXattr(leaf, name, value), path, name));
    }
    return absl::OkStatus();
  }

  absl::Status PutFile(const base::TarEntry& e, const std::string& leaf, const std::string& path,
                       base::TarReader& tar) {
    absl::StatusOr<base::UniqueFd> made = parent.Create(leaf, 0600);
    if (!made.ok() && base::HasReason(made.status(), "core.exists")) {
      COAM_RETURN_IF_ERROR(Clear(leaf));
      made = parent.Create(leaf, 0600);
    }
    COAM_RETURN_IF_ERROR(made.status());
    const int fd = made->get();
    // The entry dies with the next one: keep what is needed after its data.
    const bool sparse = e.sparse;
    const int64_t size = e.size;
    for (;;) {
      COAM_RETURN_IF_ERROR(op.Check());
      COAM_ASSIGN_OR_RETURN(base::TarReader::Block block, tar.ReadRegion());
      if (block.bytes.empty()) break;
      COAM_RETURN_IF_ERROR(WriteAt(fd, block.bytes, block.offset, path));
    }
    if (sparse && ftruncate(fd, size) != 0) return base::FailPath("write", path, errno);
    if (owners() && fchown(fd, static_cast<uid_t>(e.uid), static_cast<gid_t>(e.gid)) != 0) {
      COAM_RETURN_IF_ERROR(Owner(base::FailPath("change owner of", path, errno), path));
    }
    for (const auto& [name, value] : e.xattrs) {
      if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) {
        COAM_RETURN_IF_ERROR(Xattr(base::FailPath("set attribute of", path, errno), path, name));
      }
    }
    if (fchmod(fd, e.mode & 07777) != 0) return base::FailPath("change mode of", path, errno);
    const timespec times[2] = {Time(e.atime.value_or(e.mtime)), Time(e.mtime)};
    if (futimens(fd, times) != 0) return base::FailPath("set times of", path, errno);
    return absl::OkStatus();
  }

  absl::Status PutDirectory(const base::TarEntry& e, const std::string& leaf,
                            const std::string& path) {
    const mode_t mode = e.mode & 07777;
    const mode_t usable = mode | 0700;
    absl::Status status = parent.MakeDir(leaf, usable);
    if (base::HasReason(status, "core.exists")) {
      COAM_ASSIGN_OR_RETURN(struct stat st, parent.Stat(leaf));
      if (S_ISDIR(st.st_mode)) {
        COAM_ASSIGN_OR_RETURN(auto old, parent.ListXattrs(leaf, op.limits().xattr_bytes));
        for (const auto& [name, value] : old) {
          if (name.rfind("user.", 0) == 0) COAM_RETURN_IF_ERROR(parent.RemoveXattr(leaf, name));
        }
        status = parent.Chmod(leaf, usable);
      } else {
        COAM_RETURN_IF_ERROR(parent.Unlink(leaf));
        status = parent.MakeDir(leaf, usable);
      }
    }
    COAM_RETURN_IF_ERROR(status);
    COAM_RETURN_IF_ERROR(Properties(e, leaf, path));
    // A change of owner clears set-id bits; a mode that shuts the owner out waits for the end.
    const bool late = usable != mode;
    if (!late && (mode & 07000) != 0) COAM_RETURN_IF_ERROR(parent.Chmod(leaf, mode));
    ends.push_back({path, Time(e.mtime), mode, late});
    return absl::OkStatus();
  }
};

Unpacker::Unpacker(const base::Dir& root, const UnpackOptions& options, const base::Op& op)
    : rep_(std::make_unique<Rep>(root, options, op)) {}
Unpacker::~Unpacker() = default;

absl::Status Unpacker::Put(const base::TarEntry& entry, const std::string& path,
                           const std::string& target, base::TarReader& tar) {
  Rep& r = *rep_;
  if (path.empty()) {  // the root itself
    if (r.owners()) {
      if (fchown(r.root.fd(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0) {
        COAM_RETURN_IF_ERROR(r.Owner(base::FailPath("change owner of", r.root.name(), errno), "/"));
      }
    }
    const mode_t mode = entry.mode & 07777;
    if (fchmod(r.root.fd(), mode | 0700) != 0) {
      return base::FailPath("change mode of", r.root.name(), errno);
    }
    for (const auto& [name, value] : entry.xattrs) {
      if (fsetxattr(r.root.fd(), name.c_str(), value.data(), value.size(), 0) != 0) {
        COAM_RETURN_IF_ERROR(
            r.Xattr(base::FailPath("set attribute of", r.root.name(), errno), "/", name));
      }
    }
    r.ends.push_back({"", Time(entry.mtime), mode, (mode & 0700) != 0700});
    return absl::OkStatus();
  }
  const size_t slash = path.rfind('/');
  const std::string leaf = slash == std::string::npos ? path : path.substr(slash + 1);
  COAM_RETURN_IF_ERROR(r.OpenParent(slash == std::string::npos ? "" : path.substr(0, slash)));

  const auto again = [&](absl::Status status, auto make) -> absl::Status {
    if (!base::HasReason(status, "core.exists")) return status;
    COAM_RETURN_IF_ERROR(r.Clear(leaf));
    return make();
  };
  switch (entry.type) {
    case base::TarType::kFile: return r.PutFile(entry, leaf, path, tar);
    case base::TarType::kDirectory: return r.PutDirectory(entry, leaf, path);
    case base::TarType::kSymlink: {
      const auto make = [&] { return r.parent.Symlink(entry.link, leaf); };
      COAM_RETURN_IF_ERROR(again(make(), make));
      COAM_RETURN_IF_ERROR(r.Properties(entry, leaf, path));
      return r.parent.SetTimes(leaf, Time(entry.mtime), Time(entry.mtime));
    }
    case base::TarType::kHardlink: {
      const auto make = [&] { return r.parent.Link(r.root, target, leaf); };
      return again(make(), make);
    }
    case base::TarType::kCharDevice:
    case base::TarType::kBlockDevice:
    case base::TarType::kFifo: {
      const mode_t kind = entry.type == base::TarType::kCharDevice    ? S_IFCHR
                          : entry.type == base::TarType::kBlockDevice ? S_IFBLK
                                                                      : S_IFIFO;
      const dev_t device =
          entry.type == base::TarType::kFifo ? 0 : makedev(entry.dev_major, entry.dev_minor);
      const auto make = [&] { return r.parent.MakeNode(leaf, kind | 0600, device); };
      const absl::Status status = again(make(), make);
      if (base::HasReason(status, "core.permission")) {
        r.op.AddNote("aci.device_left_out", path, "the device could not be made");
        return absl::OkStatus();
      }
      COAM_RETURN_IF_ERROR(status);
      COAM_RETURN_IF_ERROR(r.Properties(entry, leaf, path));
      return r.parent.SetTimes(leaf, Time(entry.mtime), Time(entry.mtime));
    }
  }
  return absl::OkStatus();
}

absl::Status Unpacker::Finish() {
  Rep& r = *rep_;
  r.Forget();
  for (auto it = r.ends.rbegin(); it != r.ends.rend(); ++it) {
    COAM_RETURN_IF_ERROR(r.op.Check());
    absl::Status status;
    if (it->path.empty()) {
      const timespec times[2] = {it->modified, it->modified};
      if (it->set_mode && fchmod(r.root.fd(), it->mode) != 0) {
        status = base::FailPath("change mode of", r.root.name(), errno);
      } else if (futimens(r.root.fd(), times) != 0) {
        status = base::FailPath("set times of", r.root.name(), errno);
      }
    } else {
      status = r.root.SetTimes(it->path, it->modified, it->modified);
      if (status.ok() && it->set_mode) status = r.root.Chmod(it->path, it->mode);
    }
    // A directory may have been replaced by a later image.
    if (!status.ok() && !base::HasReason(status, "core.not_found") && !IsNotDirectory(status)) {
      return status;
    }
  }
  r.ends.clear();
  return absl::OkStatus();
}

}  // namespace coaming::aci
