#include "liboci/layer/attributes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"

namespace coaming::oci {
namespace {

bool IsHostXattr(std::string_view name) {
  constexpr std::string_view kNames[] = {"security.selinux", "security.ima", "security.evm",
                                         "system.nfs4_acl"};
  if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) return true;
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

bool HasXattr(const base::TarEntry& entry, std::string_view name) {
  return std::any_of(entry.xattrs.begin(), entry.xattrs.end(),
                     [&](const auto& pair) { return pair.first == name; });
}

}  // namespace

Attributes::Attributes(const base::Op& op, const ApplyOptions& options)
    : op_(op), options_(options), uid_(geteuid()), gid_(getegid()) {}

void Attributes::NoteOnce(bool* said, std::string_view reason, std::string_view subject,
                          std::string_view text) {
  if (*said) return;
  *said = true;
  op_.AddNote(reason, subject, text);
}

timespec Attributes::TimeOf(const base::TarEntry& entry) {
  return timespec{static_cast<time_t>(entry.mtime.seconds), entry.mtime.nanoseconds};
}

mode_t Attributes::ModeOf(const base::TarEntry& entry) const {
  mode_t mode = entry.mode & 07777;
  // A set-id program of somebody else must not become the caller's.
  if (options_.ids.all_to_caller)
    mode &= ~static_cast<mode_t>(entry.uid == 0 && entry.gid == 0 ? 0 : S_ISUID | S_ISGID);
  return mode;
}

absl::StatusOr<Owner> Attributes::OwnerOf(const base::TarEntry& entry) const {
  if (options_.ids.all_to_caller) return Owner{uid_, gid_};
  std::optional<uint32_t> uid = options_.ids.HostUid(entry.uid);
  std::optional<uint32_t> gid = options_.ids.HostGid(entry.gid);
  if (!uid.has_value() || !gid.has_value()) {
    return base::Fail("oci.owner") << base::ShowPath(entry.path) << " belongs to " << entry.uid
                                   << ":" << entry.gid << ", which the id mapping does not have";
  }
  return Owner{*uid, *gid};
}

absl::Status Attributes::SetXattrs(const base::Dir& dir, std::string_view leaf, int fd,
                                   const base::TarEntry& entry) {
  if (!options_.xattrs) return absl::OkStatus();
  for (const auto& [name, value] : entry.xattrs) {
    if (IsHostXattr(name)) continue;
    int failed = 0;
    if (fd >= 0) {
      if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) failed = errno;
    } else {
      absl::Status status = dir.SetXattr(leaf, name, value);
      if (!status.ok()) failed = base::GetError(status).sys_errno;
      if (!status.ok() && failed == 0) return status;
    }
    if (failed == 0) continue;
    std::string subject = base::ShowPath(entry.path);
    if (failed == ENOTSUP) {
      NoteOnce(
          &said_unsupported_, "oci.layer.xattr", subject,
          absl::StrCat("the file system does not take ", name, "; it and others are left out"));
    } else if (failed == EPERM || failed == EACCES) {
      NoteOnce(&said_refused_, "oci.layer.xattr", subject,
               absl::StrCat("the kernel refuses ", name, "; it and others are left out"));
    } else {
      return base::FailPath(absl::StrCat("set ", name, " of"), dir.PathOf(leaf), failed);
    }
  }
  return absl::OkStatus();
}

absl::Status Attributes::ClearXattrs(const base::Dir& dir, const base::TarEntry& entry) {
  if (!options_.xattrs) return absl::OkStatus();
  char names[4096];
  ssize_t n = flistxattr(dir.fd(), names, sizeof names);
  if (n == 0 || (n < 0 && errno != ERANGE)) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto have, dir.ListXattrs("", op_.limits().xattr_bytes));
  for (const auto& [name, value] : have) {
    if (IsHostXattr(name) || HasXattr(entry, name)) continue;
    if (name.starts_with("system.")) continue;  // ACLs made by the file system itself
    absl::Status status = dir.RemoveXattr("", name);
    if (!status.ok() && !base::HasReason(status, "core.permission")) return status;
  }
  return absl::OkStatus();
}

absl::Status Attributes::SetOnFile(int fd, const base::TarEntry& entry, const base::Dir& dir,
                                   std::string_view leaf, bool set_gid_parent) {
  COAM_ASSIGN_OR_RETURN(Owner owner, OwnerOf(entry));
  if (owner.uid != uid_ || owner.gid != gid_ || set_gid_parent) {
    if (fchown(fd, owner.uid, owner.gid) != 0) {
      return base::FailPath("change the owner of", dir.PathOf(leaf), errno);
    }
    mode_t mode = ModeOf(entry);
    if ((mode & (S_ISUID | S_ISGID)) != 0 && fchmod(fd, mode) != 0) {
      return base::FailPath("set the mode of", dir.PathOf(leaf), errno);
    }
  }
  if (!entry.xattrs.empty()) COAM_RETURN_IF_ERROR(SetXattrs(dir, leaf, fd, entry));
  const timespec times[2] = {TimeOf(entry), TimeOf(entry)};
  if (futimens(fd, times) != 0) {
    return base::FailPath("set the times of", dir.PathOf(leaf), errno);
  }
  return absl::OkStatus();
}

absl::Status Attributes::SetOnDirectory(const base::Dir& dir, const base::TarEntry& entry,
                                        bool existed) {
  COAM_ASSIGN_OR_RETURN(Owner owner, OwnerOf(entry));
  struct stat st;
  if (fstat(dir.fd(), &st) != 0) return base::FailPath("look at", dir.name(), errno);
  if ((st.st_uid != owner.uid || st.st_gid != owner.gid) &&
      fchown(dir.fd(), owner.uid, owner.gid) != 0) {
    return base::FailPath("change the owner of", dir.name(), errno);
  }
  if (fchmod(dir.fd(), ModeOf(entry)) != 0) {
    return base::FailPath("set the mode of", dir.name(), errno);
  }
  if (existed) COAM_RETURN_IF_ERROR(ClearXattrs(dir, entry));
  if (entry.xattrs.empty()) return absl::OkStatus();
  return SetXattrs(dir, "", dir.fd(), entry);
}

absl::Status Attributes::SetOnNode(const base::Dir& dir, std::string_view leaf,
                                   const base::TarEntry& entry) {
  COAM_ASSIGN_OR_RETURN(Owner owner, OwnerOf(entry));
  COAM_RETURN_IF_ERROR(dir.Chown(leaf, owner.uid, owner.gid));
  if (entry.type != base::TarType::kSymlink) {
    COAM_RETURN_IF_ERROR(dir.Chmod(leaf, ModeOf(entry)));
  }
  if (!entry.xattrs.empty()) COAM_RETURN_IF_ERROR(SetXattrs(dir, leaf, -1, entry));
  return dir.SetTimes(leaf, TimeOf(entry), TimeOf(entry));
}

}  // namespace coaming::oci
