#include "liboci/layer/diff.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/archive/tar.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/path_error.h"
#include "base/stream/stream.h"

namespace coaming::oci {
namespace {

// Xattrs that belong to the host, not to the image.
bool IsHostXattr(std::string_view name) {
  return name == "security.selinux" || name == "security.ima" || name == "security.evm" ||
         name == "system.nfs4_acl" || name.starts_with("trusted.overlay.") ||
         name.starts_with("user.overlay.");
}

using Xattrs = std::vector<std::pair<std::string, std::string>>;

class LayerWriter {
 public:
  LayerWriter(const base::Op& op, const LayerOptions& options, base::TarWriter* tar)
      : op_(op), options_(options), tar_(tar), block_(base::kBlockBytes, '\0') {}

  absl::Status WriteTree(const base::Dir& dir, const std::string& path) {
    COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, dir.List());
    for (const base::DirEntry& e : entries) {
      COAM_ASSIGN_OR_RETURN(struct stat st, dir.Stat(e.name));
      std::string child_path = absl::StrCat(path, e.name);
      COAM_RETURN_IF_ERROR(WriteEntry(dir, e.name, child_path, st));
      if (!S_ISDIR(st.st_mode)) continue;
      COAM_ASSIGN_OR_RETURN(base::Dir child, dir.OpenDir(e.name, /*follow_last=*/false));
      COAM_RETURN_IF_ERROR(WriteTree(child, child_path + "/"));
    }
    return absl::OkStatus();
  }

  // What makes the directory `lower` into `upper`.
  absl::Status Diff(const base::Dir& lower, const base::Dir& upper, const std::string& path) {
    COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> old_entries, lower.List());
    COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> new_entries, upper.List());
    const auto by_name = [](const base::DirEntry& a, const base::DirEntry& b) {
      return a.name < b.name;
    };
    for (const base::DirEntry& e : old_entries) {  // whiteouts come before their siblings
      if (std::binary_search(new_entries.begin(), new_entries.end(), e, by_name)) continue;
      COAM_RETURN_IF_ERROR(Whiteout(path, e.name));
    }
    for (const base::DirEntry& e : new_entries) {
      COAM_RETURN_IF_ERROR(op_.Check());
      COAM_ASSIGN_OR_RETURN(struct stat st, upper.Stat(e.name));
      std::string child_path = absl::StrCat(path, e.name);
      bool had = std::binary_search(old_entries.begin(), old_entries.end(), e, by_name);
      bool same = false, both_directories = false;
      if (had) {
        COAM_ASSIGN_OR_RETURN(struct stat old, lower.Stat(e.name));
        both_directories = S_ISDIR(old.st_mode) && S_ISDIR(st.st_mode);
        COAM_ASSIGN_OR_RETURN(same, Same(lower, old, upper, st, e.name));
      }
      if (!same) COAM_RETURN_IF_ERROR(WriteEntry(upper, e.name, child_path, st));
      if (!S_ISDIR(st.st_mode)) continue;
      COAM_ASSIGN_OR_RETURN(base::Dir child, upper.OpenDir(e.name, false));
      if (!both_directories) {
        COAM_RETURN_IF_ERROR(WriteTree(child, child_path + "/"));
        continue;
      }
      COAM_ASSIGN_OR_RETURN(base::Dir old_child, lower.OpenDir(e.name, false));
      COAM_RETURN_IF_ERROR(Diff(old_child, child, child_path + "/"));
    }
    return absl::OkStatus();
  }

  // The directories of the prefix, and the root's own entry if the tree becomes the image's root.
  absl::Status WritePrefix(const base::Dir& tree, std::string* prefix) {
    std::string_view rest = options_.prefix;
    while (!rest.empty()) {
      size_t slash = rest.find('/');
      std::string_view part = rest.substr(0, slash);
      rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        return base::Fail("core.invalid_argument")
               << "the place \"" << options_.prefix << "\" in the image holds \"..\"";
      }
      absl::StrAppend(prefix, part, "/");
      base::TarEntry entry;
      entry.path = *prefix;
      entry.type = base::TarType::kDirectory;
      entry.mode = 0755;
      if (options_.clamp_mtime.has_value()) entry.mtime.seconds = *options_.clamp_mtime;
      entry.uid = options_.uid.value_or(0);
      entry.gid = options_.gid.value_or(0);
      COAM_RETURN_IF_ERROR(tar_->Add(entry));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Count() {
    if (++entries_ > op_.limits().unpacked_files) {
      return base::FailLimit("unpacked_files", op_.limits().unpacked_files)
             << "the tree has more than " << op_.limits().unpacked_files << " entries";
    }
    return op_.Check();
  }

  absl::Status Whiteout(const std::string& path, std::string_view name) {
    COAM_RETURN_IF_ERROR(Count());
    base::TarEntry entry;
    entry.path = absl::StrCat(path, ".wh.", name);
    entry.mode = 0;
    if (options_.clamp_mtime.has_value()) entry.mtime.seconds = *options_.clamp_mtime;
    return tar_->Add(entry);
  }

  absl::StatusOr<Xattrs> ReadXattrs(const base::Dir& dir, const std::string& name) {
    if (!options_.xattrs) return Xattrs();
    COAM_ASSIGN_OR_RETURN(Xattrs all, dir.ListXattrs(name, op_.limits().xattr_bytes));
    all.erase(
        std::remove_if(all.begin(), all.end(), [](const auto& x) { return IsHostXattr(x.first); }),
        all.end());
    return all;
  }

  int64_t TimeOf(const struct stat& st) const {
    int64_t t = st.st_mtim.tv_sec;
    return options_.clamp_mtime.has_value() ? std::min(t, *options_.clamp_mtime) : t;
  }

  absl::StatusOr<bool> Same(const base::Dir& lower, const struct stat& old, const base::Dir& upper,
                            const struct stat& now, const std::string& name) {
    if (old.st_mode != now.st_mode || old.st_uid != now.st_uid || old.st_gid != now.st_gid) {
      return false;
    }
    if (TimeOf(old) != TimeOf(now)) return false;
    if ((S_ISCHR(now.st_mode) || S_ISBLK(now.st_mode)) && old.st_rdev != now.st_rdev) return false;
    COAM_ASSIGN_OR_RETURN(Xattrs old_xattrs, ReadXattrs(lower, name));
    COAM_ASSIGN_OR_RETURN(Xattrs new_xattrs, ReadXattrs(upper, name));
    if (old_xattrs != new_xattrs) return false;
    if (S_ISLNK(now.st_mode)) {
      COAM_ASSIGN_OR_RETURN(std::string old_target, lower.ReadLink(name));
      COAM_ASSIGN_OR_RETURN(std::string new_target, upper.ReadLink(name));
      return old_target == new_target;
    }
    if (!S_ISREG(now.st_mode)) return true;
    if (old.st_size != now.st_size) return false;
    if (old.st_dev == now.st_dev && old.st_ino == now.st_ino) return true;
    // Whole seconds are all that a layer keeps, so an equal time proves little.
    if (old.st_mtim.tv_nsec == now.st_mtim.tv_nsec && old.st_mtim.tv_nsec != 0) return true;
    return SameBytes(lower, upper, name);
  }

  absl::StatusOr<bool> SameBytes(const base::Dir& lower, const base::Dir& upper,
                                 const std::string& name) {
    COAM_ASSIGN_OR_RETURN(base::UniqueFd a, lower.OpenFile(name, O_RDONLY | O_NOFOLLOW));
    COAM_ASSIGN_OR_RETURN(base::UniqueFd b, upper.OpenFile(name, O_RDONLY | O_NOFOLLOW));
    base::FdReader ra(op_, std::move(a), lower.PathOf(name));
    base::FdReader rb(op_, std::move(b), upper.PathOf(name));
    std::string other(block_.size(), '\0');
    while (true) {
      COAM_ASSIGN_OR_RETURN(size_t na, base::ReadFull(ra, std::span<char>(block_)));
      COAM_ASSIGN_OR_RETURN(size_t nb, base::ReadFull(rb, std::span<char>(other)));
      if (na != nb || block_.compare(0, na, other, 0, nb) != 0) return false;
      if (na == 0) return true;
    }
  }

  absl::Status WriteEntry(const base::Dir& dir, const std::string& name, const std::string& path,
                          const struct stat& st) {
    COAM_RETURN_IF_ERROR(Count());
    base::TarEntry entry;
    entry.path = path;
    entry.mode = st.st_mode & 07777;
    entry.mtime.seconds = TimeOf(st);
    std::optional<int64_t> uid =
        options_.uid.has_value() ? options_.uid : options_.ids.ContainerUid(st.st_uid);
    std::optional<int64_t> gid =
        options_.gid.has_value() ? options_.gid : options_.ids.ContainerGid(st.st_gid);
    if (!uid.has_value() || !gid.has_value()) {
      return base::Fail("oci.owner") << base::ShowPath(path) << " belongs to " << st.st_uid << ":"
                                     << st.st_gid << ", which the id mapping does not have";
    }
    entry.uid = *uid;
    entry.gid = *gid;
    COAM_ASSIGN_OR_RETURN(entry.xattrs, ReadXattrs(dir, name));
    switch (st.st_mode & S_IFMT) {
      case S_IFDIR:
        entry.type = base::TarType::kDirectory;
        entry.path += "/";
        return tar_->Add(entry);
      case S_IFLNK: {
        entry.type = base::TarType::kSymlink;
        COAM_ASSIGN_OR_RETURN(entry.link, dir.ReadLink(name));
        return tar_->Add(entry);
      }
      case S_IFCHR:
      case S_IFBLK:
        entry.type = S_ISCHR(st.st_mode) ? base::TarType::kCharDevice : base::TarType::kBlockDevice;
        entry.dev_major = major(st.st_rdev);
        entry.dev_minor = minor(st.st_rdev);
        return tar_->Add(entry);
      case S_IFIFO: entry.type = base::TarType::kFifo; return tar_->Add(entry);
      case S_IFREG: break;
      default:
        op_.AddNote("oci.layer.socket", path, "a socket cannot be in a layer and is left out");
        return absl::OkStatus();
    }
    if (st.st_nlink > 1) {
      auto [first, added] = links_.emplace(std::make_pair(st.st_dev, st.st_ino), path);
      if (!added) {
        entry.type = base::TarType::kHardlink;
        entry.link = first->second;
        return tar_->Add(entry);
      }
    }
    return WriteFile(dir, name, std::move(entry), st);
  }

  absl::Status WriteFile(const base::Dir& dir, const std::string& name, base::TarEntry entry,
                         const struct stat& st) {
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd,
                          dir.OpenFile(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat now;
    if (fstat(fd.get(), &now) != 0 || !S_ISREG(now.st_mode) || now.st_ino != st.st_ino) {
      return base::Fail("core.aborted") << dir.PathOf(name) << " was replaced while it was read";
    }
    entry.size = now.st_size;
    COAM_RETURN_IF_ERROR(tar_->Add(entry));
    base::FdReader reader(op_, std::move(fd), dir.PathOf(name));
    int64_t left = entry.size;
    while (left > 0) {
      size_t want = static_cast<size_t>(std::min<int64_t>(left, int64_t(block_.size())));
      COAM_ASSIGN_OR_RETURN(size_t n, reader.Read(std::span<char>(block_.data(), want)));
      if (n == 0) {
        return base::Fail("core.aborted") << dir.PathOf(name) << " grew shorter while it was read";
      }
      COAM_RETURN_IF_ERROR(tar_->Write(std::string_view(block_.data(), n)));
      left -= static_cast<int64_t>(n);
    }
    return absl::OkStatus();
  }

  const base::Op& op_;
  const LayerOptions& options_;
  base::TarWriter* tar_;
  std::string block_;
  int64_t entries_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;  // the first name of each
};

}  // namespace

absl::Status WriteLayer(const base::Op& op, const base::Dir& tree, base::Writer* out,
                        const LayerOptions& options) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::TarWriter> tar, base::TarWriter::New(out));
  LayerWriter writer(op, options, tar.get());
  std::string prefix;
  COAM_RETURN_IF_ERROR(writer.WritePrefix(tree, &prefix));
  COAM_RETURN_IF_ERROR(writer.WriteTree(tree, prefix));
  return tar->Finish();
}

absl::Status DiffLayer(const base::Op& op, const base::Dir& lower, const base::Dir& upper,
                       base::Writer* out, const LayerOptions& options) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::TarWriter> tar, base::TarWriter::New(out));
  LayerWriter writer(op, options, tar.get());
  std::string prefix;
  COAM_RETURN_IF_ERROR(writer.WritePrefix(upper, &prefix));
  COAM_RETURN_IF_ERROR(writer.Diff(lower, upper, prefix));
  return tar->Finish();
}

}  // namespace coaming::oci
