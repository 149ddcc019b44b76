#include "liboci/runtime/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

absl::StatusOr<std::unique_ptr<CgroupHost>> CgroupHost::Open(const HostFacts& facts) {
  auto host = std::make_unique<CgroupHost>();
  host->unified = facts.unified;
  for (const CgroupHierarchy& h : facts.cgroups) {
    absl::StatusOr<base::Dir> root = base::Dir::Open(h.mount);
    if (!root.ok()) continue;  // not ours to see; a use of it says so
    if ((!h.v2 || facts.unified) && faccessat(AT_FDCWD, h.mount.c_str(), W_OK, AT_EACCESS) != 0)
      host->writable = false;
    host->trees.push_back({h, *std::move(root)});
  }
  return host;
}

absl::StatusOr<std::string> CleanCgroupPath(std::string_view parent, std::string_view path,
                                            std::string_view id) {
  std::string whole = path.empty()                  ? absl::StrCat(parent, "/", id)
                      : absl::StartsWith(path, "/") ? std::string(path)
                                                    : absl::StrCat(parent, "/", path);
  std::vector<std::string_view> parts;
  for (std::string_view part : absl::StrSplit(whole, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == ".." || absl::StrContains(part, '\0') || absl::StrContains(part, '\n'))
      return base::Fail("run.spec").Detail("spec.member", "linux.cgroupsPath")
             << "linux.cgroupsPath: \"" << path << "\" leads out of the hierarchy";
    parts.push_back(part);
  }
  if (parts.empty())
    return base::Fail("run.spec").Detail("spec.member", "linux.cgroupsPath")
           << "linux.cgroupsPath: the root of the hierarchy is not for containers";
  return absl::StrJoin(parts, "/");
}

const CgroupHost::Tree* Cgroups::V1(std::string_view controller) const {
  for (const CgroupHost::Tree& t : host_->trees)
    if (!t.facts.v2 && t.facts.Has(controller)) return &t;
  return nullptr;
}

bool Cgroups::Uses(const CgroupHost::Tree& tree) const { return !tree.facts.v2 || host_->unified; }

absl::Status Cgroups::Set(const CgroupHost::Tree& tree, std::string_view file,
                          std::string_view value) const {
  int error = WriteAt(tree.root.fd(), File(file), value);
  if (error == 0) return absl::OkStatus();
  return base::FailErrno("run.cgroup", error)
         << "writing \"" << value << "\" to " << tree.facts.mount << "/" << File(file);
}

namespace {

// An empty cpuset takes no process, and only a parent that was told to hands its own on. So whatever
// is empty from the top to `path`, which others may have made, takes over what lies above it.
void FillCpusets(int dir, const std::string& path) {
  auto empty = [dir](const std::string& file) {
    std::string value;
    int error = 0;
    return ReadAt(dir, file, &value, &error) && value.size() <= 1;
  };
  if (!empty(path + "/cpuset.cpus") && !empty(path + "/cpuset.mems")) return;
  std::string above;  // with its slash, or empty for the root
  for (size_t slash = path.find('/');; slash = path.find('/', slash + 1)) {
    const std::string at = path.substr(0, slash) + "/";
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
      std::string value;
      int error = 0;
      if (empty(at + file) && ReadAt(dir, above + file, &value, &error))
        WriteAt(dir, at + file, value);
    }
    if (slash == std::string::npos) return;
    WriteAt(dir, at + "cgroup.clone_children", "1");
    above = at;
  }
}

}  // namespace

absl::Status Cgroups::Make(const CgroupHost::Tree& tree) const {
  int dir = tree.root.fd();
  bool made = mkdirat(dir, path_.c_str(), 0755) == 0 || errno == EEXIST;
  if (!made && errno == ENOENT) {
    for (size_t slash = path_.find('/'); slash != std::string::npos;
         slash = path_.find('/', slash + 1)) {
      if (mkdirat(dir, path_.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) break;
    }
    made = mkdirat(dir, path_.c_str(), 0755) == 0 || errno == EEXIST;
  }
  if (!made)
    return base::FailErrno("run.cgroup", errno) << "making " << tree.facts.mount << "/" << path_;
  if (!tree.facts.v2 && tree.facts.Has("cpuset")) FillCpusets(dir, path_);
  return absl::OkStatus();
}

absl::Status Cgroups::Create(const Resources* resources, std::vector<std::string>* warnings) {
  absl::Status s;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    s = Make(t);
    if (!s.ok()) break;
  }
  if (s.ok() && resources != nullptr) s = Apply(*resources, false, warnings);
  if (!s.ok()) Remove().IgnoreError();
  return s;
}

absl::Status Cgroups::Apply(const Resources& r, bool update, std::vector<std::string>* warnings) {
  if (host_->unified) return ApplyV2(r, update, warnings);
  return ApplyV1(r, update, warnings);
}

absl::Status Cgroups::Attach(pid_t pid, bool born_in_v2) const {
  std::string text = absl::StrCat(pid);
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t) || (t.facts.v2 && born_in_v2)) continue;
    int error = WriteAt(t.root.fd(), File("cgroup.procs"), text);
    if (error == ESRCH) return absl::OkStatus();  // ended already: its end tells why
    if (error != 0)
      return base::FailErrno("run.cgroup", error)
             << "moving process " << pid << " into " << t.facts.mount << "/" << path_;
  }
  return absl::OkStatus();
}

base::UniqueFd Cgroups::BirthFd() const {
  if (!host_->unified) return base::UniqueFd();
  for (const CgroupHost::Tree& t : host_->trees)
    if (t.facts.v2) {
      int fd = OpenAt(t.root.fd(), path_.c_str(), O_PATH | O_DIRECTORY);
      return base::UniqueFd(fd < 0 ? -1 : fd);
    }
  return base::UniqueFd();
}

absl::Status Cgroups::Remove() const {
  absl::Status first;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    int wait_us = 20, waited_us = 0;
    while (unlinkat(t.root.fd(), path_.c_str(), AT_REMOVEDIR) != 0) {
      if (errno == ENOENT) break;
      // The kernel lets go of the last process a moment after its end.
      if (errno == EBUSY && waited_us < 1000000) {
        struct timespec pause = {0, wait_us * 1000};
        ppoll(nullptr, 0, &pause, nullptr);
        waited_us += wait_us;
        wait_us = std::min(wait_us * 2, 10000);
        continue;
      }
      if (first.ok())
        first = base::FailErrno("run.cgroup", errno)
                << "removing " << t.facts.mount << "/" << path_;
      break;
    }
  }
  return first;
}

absl::StatusOr<std::vector<pid_t>> Cgroups::Pids() const {
  const CgroupHost::Tree* tree = V1("pids");
  for (const CgroupHost::Tree& t : host_->trees)
    if (tree == nullptr && Uses(t)) tree = &t;
  std::vector<pid_t> pids;
  if (tree == nullptr) return pids;
  std::string text;
  int error = 0;
  if (!ReadAt(tree->root.fd(), File("cgroup.procs"), &text, &error)) {
    if (error == ENOENT) return pids;
    return base::FailErrno("run.cgroup", error)
           << "reading " << tree->facts.mount << "/" << File("cgroup.procs");
  }
  for (std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

absl::Status Cgroups::Signal(int signal) const {
  COAM_ASSIGN_OR_RETURN(std::vector<pid_t> pids, Pids());
  for (pid_t pid : pids)
    if (kill(pid, signal) != 0 && errno != ESRCH)
      return base::FailErrno("run.kill", errno) << "signalling process " << pid;
  return absl::OkStatus();
}

absl::Status Cgroups::KillAll() const {
  if (host_->unified)
    for (const CgroupHost::Tree& t : host_->trees)
      if (t.facts.v2 && WriteAt(t.root.fd(), File("cgroup.kill"), "1") == 0)
        return absl::OkStatus();
  for (int round = 0; round < 100; ++round) {
    COAM_ASSIGN_OR_RETURN(std::vector<pid_t> pids, Pids());
    if (pids.empty()) return absl::OkStatus();
    for (pid_t pid : pids) kill(pid, SIGKILL);
    // A frozen process takes its signal only when thawed.
    Freeze(false).IgnoreError();
    struct timespec pause = {0, 1000000};
    ppoll(nullptr, 0, &pause, nullptr);
  }
  return base::Fail("run.kill") << "processes of " << path_ << " do not end";
}

absl::Status Cgroups::Freeze(bool frozen) const {
  bool found = false;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    if (t.facts.v2) {
      COAM_RETURN_IF_ERROR(Set(t, "cgroup.freeze", frozen ? "1" : "0"));
    } else if (t.facts.Has("freezer")) {
      COAM_RETURN_IF_ERROR(Set(t, "freezer.state", frozen ? "FROZEN" : "THAWED"));
    } else {
      continue;
    }
    found = true;
    // Freezing takes a moment: processes are stopped one by one.
    for (int round = 0; round < 2000 && Frozen() != frozen; ++round) {
      struct timespec pause = {0, 500000};
      ppoll(nullptr, 0, &pause, nullptr);
      if (!t.facts.v2 && frozen && round % 50 == 49)
        WriteAt(t.root.fd(), File("freezer.state"), "FROZEN");
    }
    if (Frozen() != frozen)
      return base::Fail("run.cgroup")
             << "freezing " << t.facts.mount << "/" << path_ << ": it does not settle";
  }
  if (!found)
    return base::Fail("run.unsupported") << "pausing needs a freezer cgroup, which this host lacks";
  return absl::OkStatus();
}

bool Cgroups::Frozen() const {
  std::string text;
  int error = 0;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    if (t.facts.v2) {
      return ReadAt(t.root.fd(), File("cgroup.events"), &text, &error) &&
             absl::StrContains(text, "frozen 1");
    }
    if (t.facts.Has("freezer"))
      return ReadAt(t.root.fd(), File("freezer.state"), &text, &error) &&
             absl::StartsWith(text, "FROZEN");
  }
  return false;
}

}  // namespace coaming::run
