// Cgroups of one container: made, set, joined, watched, frozen, emptied and removed, on v1, v2 and
// hybrid hosts alike.
//
// On a host with v1 hierarchies (hybrid too) the container gets a directory in each of them, and one
// in the v2 tree only for controllers that live there; on a unified host one directory. Hierarchy
// roots are opened once per Runtime. config-linux.md "Control groups".
// Ownership: borrows the CgroupHost. Threads: [immutable] but for the kernel's own state.
// Hostile input: the path comes from the configuration and is checked by CleanCgroupPath.
#ifndef COAMING_LIBOCI_RUNTIME_CGROUPS_H_
#define COAMING_LIBOCI_RUNTIME_CGROUPS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/facts.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

// The hierarchies of the host, opened.
struct CgroupHost {
  struct Tree {
    CgroupHierarchy facts;
    base::Dir root;
  };
  std::vector<Tree> trees;
  bool unified = false;
  bool writable = true;  // this user may make cgroups in every tree that is used
  static absl::StatusOr<std::unique_ptr<CgroupHost>> Open(const HostFacts& facts);
};

// CleanCgroupPath joins `parent` and a configured path into one without "..", ".", or empty parts,
// without a leading slash. An absolute `path` stands for itself. Errors: run.spec.
absl::StatusOr<std::string> CleanCgroupPath(std::string_view parent, std::string_view path,
                                            std::string_view id);

class Cgroups {
 public:
  Cgroups(const CgroupHost* host, std::string path) : host_(host), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Create makes the directories and sets `resources` (may be null). run.cgroup; what it made is
  // gone again on failure.
  absl::Status Create(const Resources* resources, std::vector<std::string>* warnings);
  absl::Status Apply(const Resources& resources, bool update, std::vector<std::string>* warnings);
  // Attach moves one process in, everywhere but where it was born in (`born_in_v2`).
  absl::Status Attach(pid_t pid, bool born_in_v2) const;
  // Below reads where a further process goes: "PATH" for every hierarchy, or one or more
  // "CONTROLLER[,CONTROLLER]:PATH"; a path below this cgroup for each tree of the host.
  // Errors: core.invalid_argument.
  absl::StatusOr<std::vector<std::string>> Below(const std::vector<std::string>& wanted) const;
  // AttachBelow moves one process to what Below told. run.cgroup (detail: the missing directory).
  absl::Status AttachBelow(pid_t pid, const std::vector<std::string>& paths) const;
  // The v2 directory to be born in when that is the only tree, else an empty descriptor.
  base::UniqueFd BirthFd() const;
  // Remove takes the directories away once they are empty; waits up to a second for the kernel to
  // let go of the last process. What other people made below stays, and their parents with it.
  absl::Status Remove() const;
  absl::StatusOr<std::vector<pid_t>> Pids() const;
  // KillAll sends SIGKILL to everything inside until nothing is left.
  absl::Status KillAll() const;
  // Signal sends to every process inside.
  absl::Status Signal(int signal) const;
  absl::Status Freeze(bool frozen) const;
  bool Frozen() const;
  absl::StatusOr<Stats> ReadStats() const;
  // OomFd gives a descriptor that turns readable when the kernel runs out of the container's memory:
  // an eventfd on v1, an inotify descriptor on v2; none without a memory controller.
  base::UniqueFd OomFd() const;
  // OomKills counts the processes killed for that so far; -1 where the host does not tell.
  int64_t OomKills() const;

 private:
  const CgroupHost::Tree* V1(std::string_view controller) const;
  bool Uses(const CgroupHost::Tree& tree) const;
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }
  absl::Status Make(const CgroupHost::Tree& tree) const;
  absl::Status Set(const CgroupHost::Tree& tree, std::string_view file,
                   std::string_view value) const;
  absl::Status ApplyV1(const Resources& r, bool update, std::vector<std::string>* warnings);
  absl::Status ApplyV2(const Resources& r, bool update, std::vector<std::string>* warnings);
  absl::Status ApplyDevicesV1(const std::vector<DeviceRule>& rules, bool update);
  absl::Status ApplyDevicesV2(const CgroupHost::Tree& tree, const std::vector<DeviceRule>& rules,
                              std::vector<std::string>* warnings);
  const CgroupHost* host_;
  std::string path_;
};

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_CGROUPS_H_
