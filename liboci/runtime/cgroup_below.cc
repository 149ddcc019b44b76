// Joining cgroups below a container's own, hierarchy by hierarchy: `exec --cgroup`.
#include <errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

absl::StatusOr<std::vector<std::string>> Cgroups::Below(
    const std::vector<std::string>& wanted) const {
  std::vector<std::string> paths(host_->trees.size());
  for (const std::string& text : wanted) {
    const size_t colon = text.find(':');
    std::string path = colon == std::string::npos ? text : text.substr(colon + 1);
    if (colon == std::string::npos && wanted.size() != 1)
      return base::Fail("core.invalid_argument")
             << "cgroup: \"" << text << "\" names no controller, and it is not the only one";
    for (const std::string_view part : absl::StrSplit(path, '/'))
      if (part == "..")
        return base::Fail("core.invalid_argument")
               << "cgroup: bad sub cgroup path \"" << path << "\": it leads out of the container's";
    while (!path.empty() && path.back() == '/') path.pop_back();
    while (!path.empty() && path.front() == '/') path.erase(0, 1);
    if (colon == std::string::npos) {
      std::fill(paths.begin(), paths.end(), path);
      continue;
    }
    for (const std::string_view controller : absl::StrSplit(text.substr(0, colon), ',')) {
      bool found = false;
      for (size_t i = 0; i < paths.size(); ++i) {
        const CgroupHost::Tree& t = host_->trees[i];
        if (!Uses(t) || !t.facts.Has(controller)) continue;
        paths[i] = path;
        found = true;
      }
      if (!found)
        return base::Fail("core.invalid_argument")
               << "cgroup: unknown controller \"" << controller << "\"";
    }
  }
  return paths;
}

absl::Status Cgroups::AttachBelow(pid_t pid, const std::vector<std::string>& paths) const {
  const std::string text = absl::StrCat(pid);
  for (size_t i = 0; i < paths.size(); ++i) {
    const CgroupHost::Tree& t = host_->trees[i];
    if (!Uses(t)) continue;
    const std::string place = paths[i].empty() ? path_ : absl::StrCat(path_, "/", paths[i]);
    const int error = WriteAt(t.root.fd(), absl::StrCat(place, "/cgroup.procs"), text);
    if (error == ESRCH) return absl::OkStatus();  // ended already: its end tells why
    if (error != 0)
      return base::FailErrno("run.cgroup", error)
             << "adding pid " << pid << " to cgroups: " << t.facts.mount << "/" << place;
  }
  return absl::OkStatus();
}

}  // namespace coaming::run
