// Session is the host's side of one launch: it seals the plan, spawns the helper with it, and speaks
// with it until the program runs or a step has failed.
//
// Ownership: owns the sync socket and the pidfd of the process that becomes the program. Dropping a
// Session neither kills nor waits; Abort does. Threads: [single].
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_SESSION_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_SESSION_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/plan.h"

namespace coaming::run {

// A file descriptor that is the sealed helper (or its installed file), for execveat.
// Errors: run.launcher.
absl::StatusOr<base::UniqueFd> OpenLauncher(const std::string& installed);

struct Report {
  bool end = false;  // the socket is closed: the program runs, or the process is gone
  uint32_t kind = 0, step = 0;
  int32_t value = 0;
  std::string text;
  base::UniqueFd fd;
};

// ReadReport waits for the next report on `sync`.
absl::StatusOr<Report> ReadReport(const base::Op& op, int sync);

class Session {
 public:
  struct Options {
    const Plan* plan = nullptr;  // borrowed for the session
    int helper_fd = -1;
    std::vector<PassFd> fds;  // 0, 1, 2 and those passed; borrowed
    int listen_fd = -1;
    int cgroup_fd = -1;
    int join_pidfd = -1;
    std::vector<int> monitor_fds;  // by COAM_MONITOR_*_FD, -1 for none; borrowed
  };
  static absl::StatusOr<std::unique_ptr<Session>> Start(const Options& options);

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  base::UniqueFd TakePidfd() { return std::move(pidfd_); }
  // Under a monitor, from the first report on: the monitor's own. It is nobody's child to reap.
  pid_t monitor_pid() const { return monitor_pid_; }
  base::UniqueFd TakeMonitorPidfd() { return std::move(monitor_pidfd_); }
  int monitor_pidfd() const { return monitor_pidfd_.get(); }
  // The process that becomes the program is not known before a COAM_REPORT_CHILD.
  bool child_due() const { return child_due_; }

  // Next waits for a report. With COAM_REPORT_CHILD pid and pidfd become the child's; it comes first
  // whatever the child itself has said meanwhile.
  absl::StatusOr<Report> Next(const base::Op& op);
  // Order sends one byte; a helper that is gone is noticed at the next report.
  void Order(char what);
  // Abort kills what was spawned and reaps it.
  void Abort();

 private:
  absl::StatusOr<Report> Read(const base::Op& op);
  const Plan* plan_ = nullptr;
  bool Due() const { return child_due_ || monitor_due_; }
  bool child_due_ = false;    // the process that becomes the program is still to be told of
  bool monitor_due_ = false;  // and so is the monitor
  bool monitored_ = false;
  std::vector<Report> early_;
  pid_t pid_ = 0, monitor_pid_ = 0;
  // What was spawned, unless it is the program's process.
  base::UniqueFd spawned_;
  base::UniqueFd pidfd_, monitor_pidfd_, sync_;
};

// StepError turns an error report into a failed status: "mounting tmpfs on /dev/shm (step 14):
// Permission denied", with the step's reason. A null plan (started by another process) gives the
// number alone.
absl::Status StepError(const Plan* plan, const Report& report);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_LAUNCH_SESSION_H_
