#include "liboci/runtime/mount_options.h"

#include <linux/mount.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace coaming::run {

namespace {

constexpr uint64_t kNoSymFollow = 256;  // MS_NOSYMFOLLOW

struct FlagRow {
  std::string_view name;
  bool clear;
  uint64_t flag;
  uint64_t attr;       // its mount attribute, if it has one
  uint64_t attr_mask;  // cleared first (the access-time modes exclude one another)
};
constexpr uint64_t kAtime = MOUNT_ATTR__ATIME;
constexpr FlagRow kFlags[] = {
    {"async", true, MS_SYNCHRONOUS, 0, 0},
    {"atime", true, MS_NOATIME, MOUNT_ATTR_NOATIME, kAtime},
    {"defaults", false, 0, 0, 0},
    {"dev", true, MS_NODEV, MOUNT_ATTR_NODEV, 0},
    {"diratime", true, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 0},
    {"dirsync", false, MS_DIRSYNC, 0, 0},
    {"exec", true, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 0},
    {"iversion", false, MS_I_VERSION, 0, 0},
    {"lazytime", false, MS_LAZYTIME, 0, 0},
    {"loud", true, MS_SILENT, 0, 0},
    {"mand", false, MS_MANDLOCK, 0, 0},
    {"noatime", false, MS_NOATIME, MOUNT_ATTR_NOATIME, kAtime},
    {"nodev", false, MS_NODEV, MOUNT_ATTR_NODEV, 0},
    {"nodiratime", false, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, 0},
    {"noexec", false, MS_NOEXEC, MOUNT_ATTR_NOEXEC, 0},
    {"noiversion", true, MS_I_VERSION, 0, 0},
    {"nolazytime", true, MS_LAZYTIME, 0, 0},
    {"nomand", true, MS_MANDLOCK, 0, 0},
    {"norelatime", true, MS_RELATIME, 0, kAtime},
    {"nostrictatime", true, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, kAtime},
    {"nosuid", false, MS_NOSUID, MOUNT_ATTR_NOSUID, 0},
    {"nosymfollow", false, kNoSymFollow, MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"relatime", false, MS_RELATIME, 0, kAtime},
    {"ro", false, MS_RDONLY, MOUNT_ATTR_RDONLY, 0},
    {"rw", true, MS_RDONLY, MOUNT_ATTR_RDONLY, 0},
    {"silent", false, MS_SILENT, 0, 0},
    {"strictatime", false, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, kAtime},
    {"suid", true, MS_NOSUID, MOUNT_ATTR_NOSUID, 0},
    {"symfollow", true, kNoSymFollow, MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"sync", false, MS_SYNCHRONOUS, 0, 0},
};

struct RecursiveRow {
  std::string_view name;
  bool clear;
  uint64_t attr, mask;
};
constexpr RecursiveRow kRecursive[] = {
    {"ratime", true, MOUNT_ATTR_NOATIME, kAtime},
    {"rdev", true, MOUNT_ATTR_NODEV, 0},
    {"rdiratime", true, MOUNT_ATTR_NODIRATIME, 0},
    {"rexec", true, MOUNT_ATTR_NOEXEC, 0},
    {"rnoatime", false, MOUNT_ATTR_NOATIME, kAtime},
    {"rnodev", false, MOUNT_ATTR_NODEV, 0},
    {"rnodiratime", false, MOUNT_ATTR_NODIRATIME, 0},
    {"rnoexec", false, MOUNT_ATTR_NOEXEC, 0},
    {"rnorelatime", true, 0, kAtime},
    {"rnostrictatime", true, MOUNT_ATTR_STRICTATIME, kAtime},
    {"rnosuid", false, MOUNT_ATTR_NOSUID, 0},
    {"rnosymfollow", false, MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"rrelatime", false, 0, kAtime},
    {"rro", false, MOUNT_ATTR_RDONLY, 0},
    {"rrw", true, MOUNT_ATTR_RDONLY, 0},
    {"rstrictatime", false, MOUNT_ATTR_STRICTATIME, kAtime},
    {"rsuid", true, MOUNT_ATTR_NOSUID, 0},
    {"rsymfollow", true, MOUNT_ATTR_NOSYMFOLLOW, 0},
};

struct PropagationRow {
  std::string_view name;
  uint64_t flags;
};
constexpr PropagationRow kPropagation[] = {
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"rshared", MS_SHARED | MS_REC},
    {"rslave", MS_SLAVE | MS_REC},
    {"runbindable", MS_UNBINDABLE | MS_REC},
    {"shared", MS_SHARED},
    {"slave", MS_SLAVE},
    {"unbindable", MS_UNBINDABLE},
};

struct ToggleRow {
  std::string_view name;
  bool MountOptions::*first;
  bool MountOptions::*second;
};
constexpr ToggleRow kToggles[] = {
    {"bind", &MountOptions::bind, nullptr},
    {"copy-symlink", &MountOptions::copy_symlink, nullptr},
    {"dest-nofollow", &MountOptions::destination_nofollow, nullptr},
    {"idmap", &MountOptions::idmap, nullptr},
    {"rbind", &MountOptions::bind, &MountOptions::recursive},
    {"remount", &MountOptions::remount, nullptr},
    {"ridmap", &MountOptions::idmap, &MountOptions::idmap_recursive},
    {"src-nofollow", &MountOptions::source_nofollow, nullptr},
    {"tmpcopyup", &MountOptions::copy_up, nullptr},
};

bool Take(std::string_view option, MountOptions* out) {
  for (const FlagRow& row : kFlags)
    if (row.name == option) {
      out->flags = row.clear ? out->flags & ~row.flag : out->flags | row.flag;
      if (row.attr_mask) out->attr_set &= ~row.attr_mask;
      // A later word wins over an earlier one.
      out->attr_set = row.clear ? out->attr_set & ~row.attr : out->attr_set | row.attr;
      out->attr_clear |= row.attr_mask | (row.clear ? row.attr : 0);
      if (!row.clear) out->attr_clear &= ~(row.attr & ~row.attr_mask);
      return true;
    }
  for (const RecursiveRow& row : kRecursive)
    if (row.name == option) {
      if (row.mask) out->all_set &= ~row.mask;
      out->all_set = row.clear ? out->all_set & ~row.attr : out->all_set | row.attr;
      out->all_clear |= row.mask | (row.clear ? row.attr : 0);
      if (!row.clear) out->all_clear &= ~(row.attr & ~row.mask);
      return true;
    }
  for (const PropagationRow& row : kPropagation)
    if (row.name == option) {
      out->propagation = row.flags;
      return true;
    }
  for (const ToggleRow& row : kToggles)
    if (row.name == option) {
      out->*row.first = true;
      if (row.second != nullptr) out->*row.second = true;
      return true;
    }
  return false;
}

}  // namespace

MountOptions ParseMountOptions(const std::vector<std::string>& options) {
  MountOptions out;
  for (const std::string& option : options) {
    std::string_view ranges = option;
    const bool ridmap = absl::ConsumePrefix(&ranges, "ridmap=");
    if (ridmap || absl::ConsumePrefix(&ranges, "idmap=")) {
      out.idmap = true;
      out.idmap_recursive = out.idmap_recursive || ridmap;
      out.idmap_ranges = std::string(ranges);
      continue;
    }
    if (!Take(option, &out)) absl::StrAppend(&out.data, out.data.empty() ? "" : ",", option);
  }
  return out;
}

std::vector<std::string> KnownMountOptions() {
  std::vector<std::string> names;
  for (const FlagRow& row : kFlags) names.emplace_back(row.name);
  for (const RecursiveRow& row : kRecursive) names.emplace_back(row.name);
  for (const PropagationRow& row : kPropagation) names.emplace_back(row.name);
  for (const ToggleRow& row : kToggles) names.emplace_back(row.name);
  return names;
}

}  // namespace coaming::run
