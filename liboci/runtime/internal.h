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

struct ProcessRep;

struct RuntimeRep {
  RuntimeOptions options;
  HostFacts facts;
  std::unique_ptr<CgroupHost> cgroups;
  StateStore store;
  base::UniqueFd launcher;
  std::unique_ptr<FilterCache> filters;

  // Processes that this host has added to containers and that have not been reaped yet. The kernel
  // lets the first process of a pid namespace end only after them.
  absl::Mutex mutex;
  std::vector<std::pair<std::string, std::shared_ptr<ProcessRep>>> added ABSL_GUARDED_BY(mutex);
  // ReapAdded keeps the status of those of `id` that have ended; true if others are still there.
  bool ReapAdded(std::string_view id);
};

// A child process, its descriptors, and how it ended.
struct ProcessRep {
  pid_t pid = 0;
  base::UniqueFd pidfd, console;
  base::UniqueFd stdio[3];
  absl::Mutex mutex;
  std::optional<ExitStatus> status ABSL_GUARDED_BY(mutex);
  // Under a monitor: its own pidfd (none: it has ended) and the directory of its record.
  bool monitored = false;
  base::UniqueFd monitor_pidfd;
  int record_dir = -1;

  absl::StatusOr<ExitStatus> Wait(const base::Op& op);
  absl::StatusOr<std::optional<ExitStatus>> TryWait();
  void Feed(int wait_status);
  // Take sets `status` of an ended process, by the ladder: the monitor's record, waitid, what the
  // kernel keeps (6.15). run.status_taken.
  absl::Status Take(bool block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool Ended() const;  // by the pidfd; true if there is none
  // Peek gives the status of an ended process, if it can be known, and leaves it there to be waited for.
  std::optional<ExitStatus> Peek();
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
// With `relay` what is inherited of the outputs goes to the monitor.
absl::StatusOr<Stdios> OpenStdio(const LaunchOptions& options, bool terminal, bool relay = false);

// ReapPidfd takes the status of a child by its pidfd, or what the kernel still tells of a process
// that somebody else has reaped. With `keep` it stays there for its owner.
absl::StatusOr<std::optional<ExitStatus>> ReapPidfd(int pidfd, bool block, bool keep = false);
ExitStatus FromWaitStatus(int wait_status);

// Monitor is the host's side of one monitor before the launch.
struct Monitor {
  MonitorPlan plan;
  std::string log_path;             // absolute
  std::string notify_dir;           // STATE/ID/notify; empty: none
  std::vector<base::UniqueFd> fds;  // by COAM_MONITOR_*_FD
};
// PlanMonitor decides whether there is one, and what it has to do. Pure.
absl::StatusOr<Monitor> PlanMonitor(const CreateOptions& options, bool terminal,
                                    const std::string& state_root);
// OpenMonitor makes its descriptors; takes the pipe ends of `stdio` that it relays.
absl::Status OpenMonitor(const CreateOptions& options, int state_dir, Stdios* stdio,
                         Monitor* monitor);
// ReadExit gives the status that a monitor has left in a container's directory.
std::optional<ExitStatus> ReadExit(int state_dir);

// The environment of socket activation. LISTEN_PID gets its value at the last moment.
void AddListenEnv(const LaunchOptions& options, std::vector<std::string>* env);

// RunHooks runs hooks on the host with `state` on their input; the first failure stops them unless
// `go_on`, which gathers failures as notes.
absl::Status RunHooks(const base::Op& op, const RuntimeRep& host, const std::vector<Hook>& hooks,
                      std::string_view kind, const std::string& state, const std::string& bundle,
                      bool go_on);

// WriteIdMaps fills uid_map and gid_map of `pid`.
absl::Status WriteIdMaps(const base::Op& op, const RuntimeRep& host, const Spec& spec, pid_t pid);

// SendConsole hands a pty master to whoever listens at `path` (runc's protocol).
absl::Status SendConsole(const std::string& path, int master, const std::string& name);
// SendPidfd hands a pidfd to whoever listens at `path`, as SendConsole does.
absl::Status SendPidfd(const std::string& path, int pidfd);
// SendSeccomp hands a listener to the agent at linux.seccomp.listenerPath.
absl::Status SendSeccomp(const Spec& spec, const std::string& state, pid_t pid, int listener);
// Announce tells listeners (events.h) what happened to a container.
void Announce(const RuntimeRep& host, std::string_view type, const Record& record, int pidfd = -1,
              const std::optional<ExitStatus>& status = {});
// OpenProcess gives the pidfd of a recorded process; none if it has ended.
base::UniqueFd OpenProcess(pid_t pid, uint64_t identity);
absl::Status WritePidFile(const base::Op& op, const std::string& path, pid_t pid);

}  // namespace coaming::run::internal

#endif  // COAMING_LIBOCI_RUNTIME_INTERNAL_H_
