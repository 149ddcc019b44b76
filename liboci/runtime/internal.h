// What the executor's objects hold. Private to liboci/runtime.
#ifndef COAMING_LIBOCI_RUNTIME_INTERNAL_H_
#define COAMING_LIBOCI_RUNTIME_INTERNAL_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/facts.h"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/runtime/launch/session.h"
#include "liboci/runtime/resctrl.h"
#include "liboci/runtime/seccomp.h"
#include "liboci/runtime/state.h"

namespace coaming::run::internal {

struct RuntimeRep {
  RuntimeOptions options;
  HostFacts facts;
  std::unique_ptr<CgroupHost> cgroups;
  StateStore store;
  base::UniqueFd launcher;
  std::unique_ptr<FilterCache> filters;
};

// A child process, its descriptors, and how it ended.
struct ProcessRep {
  std::shared_ptr<Runtime> runtime;
  pid_t pid = 0;
  base::UniqueFd pidfd, console;
  base::UniqueFd stdio[3];
  absl::Mutex mutex;
  std::optional<ExitStatus> status ABSL_GUARDED_BY(mutex);

  absl::StatusOr<ExitStatus> Wait(const base::Op& op);
  absl::StatusOr<std::optional<ExitStatus>> TryWait();
  void Feed(int wait_status);
  bool Ended() const;  // by the pidfd; true if there is none
};

struct ContainerRep {
  std::shared_ptr<Runtime> runtime;
  RuntimeRep* host = nullptr;
  Record record;
  Spec spec;
  ProcessRep process;
  base::UniqueFd dir;
  // For the words of a failed start; null when another process made the container.
  std::unique_ptr<Plan> plan;
  base::UniqueFd seccomp_listener;

  Cgroups cgroups() const { return Cgroups(host->cgroups.get(), record.cgroup_path); }
  Resctrl resctrl() const {
    return Resctrl(host->facts.resctrl, spec.linux_.intel_rdt ? &*spec.linux_.intel_rdt : nullptr,
                   record.id);
  }
  bool has_cgroups() const { return !record.cgroup_path.empty(); }
  Status CurrentStatus() const;
  std::string StateText(Status status) const;
};

// Everything of one launch that lives on the host's side.
struct Stdios {
  base::UniqueFd theirs[3];  // what the program gets
  base::UniqueFd ours[3];    // pipe ends
  std::vector<PassFd> map;
};
absl::StatusOr<Stdios> OpenStdio(const LaunchOptions& options, bool terminal);

// WaitExit waits for a child by its pidfd: the ladder of DESIGN 2.10.
absl::StatusOr<std::optional<ExitStatus>> ReapPidfd(int pidfd, bool block);

// RunHooks runs hooks on the host with `state` on their input; the first failure stops them unless
// `go_on`, which gathers failures as notes.
absl::Status RunHooks(const base::Op& op, const std::vector<Hook>& hooks, std::string_view kind,
                      const std::string& state, const std::string& bundle, bool go_on);

// WriteIdMaps fills uid_map and gid_map of `pid`.
absl::Status WriteIdMaps(const base::Op& op, const RuntimeRep& host, const Spec& spec, pid_t pid);

// SendConsole hands a pty master to whoever listens at `path` (runc's protocol).
absl::Status SendConsole(const std::string& path, int master, const std::string& name);
// SendPidfd hands a pidfd to whoever listens at `path`, as SendConsole does.
absl::Status SendPidfd(const std::string& path, int pidfd);
// SendSeccomp hands a listener to the agent at linux.seccomp.listenerPath.
absl::Status SendSeccomp(const Spec& spec, const std::string& state, pid_t pid, int listener);
absl::Status WritePidFile(const base::Op& op, const std::string& path, pid_t pid);

}  // namespace coaming::run::internal

#endif  // COAMING_LIBOCI_RUNTIME_INTERNAL_H_
