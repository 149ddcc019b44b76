#include "liboci/runtime/facts.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/core/op.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

bool CgroupHierarchy::Has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

bool HostFacts::has_v1() const {
  return std::any_of(cgroups.begin(), cgroups.end(),
                     [](const CgroupHierarchy& h) { return !h.v2; });
}

const CgroupHierarchy* HostFacts::v2() const {
  for (const CgroupHierarchy& h : cgroups)
    if (h.v2) return &h;
  return nullptr;
}

const CgroupHierarchy* HostFacts::FindV1(std::string_view controller) const {
  for (const CgroupHierarchy& h : cgroups)
    if (!h.v2 && h.Has(controller)) return &h;
  return nullptr;
}

std::vector<CgroupHierarchy> ParseCgroupMounts(std::string_view mountinfo) {
  constexpr std::string_view kNotControllers[] = {"rw",
                                                  "ro",
                                                  "clone_children",
                                                  "xattr",
                                                  "noprefix",
                                                  "cpuset_v2_mode",
                                                  "favordynmods",
                                                  "nsdelegate",
                                                  "memory_recursiveprot",
                                                  "memory_localevents"};
  std::vector<CgroupHierarchy> found;
  for (std::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    std::vector<std::string_view> f = absl::StrSplit(line, ' ');
    size_t dash = 6;
    while (dash < f.size() && f[dash] != "-") ++dash;
    if (dash + 3 >= f.size()) continue;
    std::string_view type = f[dash + 1];
    // A bind of some lower cgroup is not a hierarchy's root to work from.
    if ((type != "cgroup" && type != "cgroup2") || f[3] != "/") continue;
    CgroupHierarchy h;
    h.v2 = type == "cgroup2";
    h.mount = std::string(f[4]);
    h.name = h.mount.substr(h.mount.rfind('/') + 1);
    if (!h.v2)
      for (std::string_view option : absl::StrSplit(f[dash + 3], ','))
        if (std::find(std::begin(kNotControllers), std::end(kNotControllers), option) ==
                std::end(kNotControllers) &&
            !absl::StartsWith(option, "release_agent="))
          h.controllers.emplace_back(option);
    bool again = std::any_of(found.begin(), found.end(), [&h](const CgroupHierarchy& o) {
      return o.v2 == h.v2 && o.controllers == h.controllers;
    });
    if (!again) found.push_back(std::move(h));
  }
  return found;
}

bool HostIsUnified() {
  struct statfs fs = {};
  return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == 0x63677270 /* CGROUP2_SUPER_MAGIC */;
}

std::string ParseMountOf(std::string_view mountinfo, std::string_view type) {
  for (std::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    std::vector<std::string_view> f = absl::StrSplit(line, ' ');
    for (size_t dash = 6; dash + 1 < f.size(); ++dash)
      if (f[dash] == "-" && f[dash + 1] == type && f[3] == "/") return std::string(f[4]);
  }
  return "";
}

absl::StatusOr<HostFacts> ReadHostFacts() {
  HostFacts facts;
  COAM_ASSIGN_OR_RETURN(std::string mounts, ReadKernelFile("/proc/self/mountinfo"));
  facts.cgroups = ParseCgroupMounts(mounts);
  for (CgroupHierarchy& h : facts.cgroups) {
    if (!h.v2) continue;
    facts.unified = h.mount == "/sys/fs/cgroup";
    absl::StatusOr<std::string> list = ReadKernelFile(h.mount + "/cgroup.controllers");
    if (list.ok()) h.controllers = absl::StrSplit(*list, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  }
  facts.resctrl = ParseMountOf(mounts, "resctrl");
  facts.selinux = !ParseMountOf(mounts, "selinuxfs").empty();
  absl::StatusOr<std::string> on = ReadKernelFile("/sys/module/apparmor/parameters/enabled");
  facts.apparmor = on.ok() && absl::StartsWith(*on, "Y");
  facts.apparmor_own_files =
      faccessat(AT_FDCWD, "/proc/self/attr/apparmor/exec", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  facts.euid = geteuid();
  facts.egid = getegid();
  struct utsname name = {};
  if (uname(&name) == 0) facts.kernel = name.release;
  return facts;
}

}  // namespace coaming::run
