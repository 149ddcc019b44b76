// Waiting for and signalling a process by its pidfd.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/process/process.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

namespace coaming::base {
namespace {

constexpr int kPidfdType = 3;                      // P_PIDFD; the C library's enum may lack it
constexpr unsigned kSignalProcessGroup = 1u << 2;  // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9

// struct pidfd_info of Linux 6.15, which answers after the process was reaped, too.
struct PidfdInfo {
  uint64_t mask, cgroupid;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr uint64_t kInfoExit = 1u << 3;
constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, PidfdInfo);

bool AskPidfd(int pidfd, int* wstatus) {
  PidfdInfo info;
  memset(&info, 0, sizeof info);
  info.mask = kInfoExit;
  if (ioctl(pidfd, kGetInfo, &info) != 0 || (info.mask & kInfoExit) == 0) return false;
  *wstatus = info.exit_code;
  return true;
}

// 0: ended, *out is set; EAGAIN: runs; ECHILD: the status is lost; else an errno.
int Reap(int pidfd, ExitStatus* out) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  int r;
  do {
    r = waitid(static_cast<idtype_t>(kPidfdType), static_cast<id_t>(pidfd), &info,
               WEXITED | WNOHANG | __WALL);
  } while (r != 0 && errno == EINTR);
  if (r == 0) {
    if (info.si_pid == 0) return EAGAIN;
    if (info.si_code == CLD_EXITED) {
      *out = {info.si_status, 0, false};
    } else {
      *out = {0, info.si_status, info.si_code == CLD_DUMPED};
    }
    return 0;
  }
  if (errno != ECHILD) return errno;
  // Not our child, or reaped by somebody else. Has it ended at all?
  pollfd p{pidfd, POLLIN, 0};
  if (poll(&p, 1, 0) == 0) return EAGAIN;
  int wstatus = 0;
  if (AskPidfd(pidfd, &wstatus)) {
    *out = ExitStatus::FromWait(wstatus);
    return 0;
  }
  return ECHILD;
}

absl::Status FailReap(pid_t pid, int e) {
  if (e == ECHILD) {
    return Fail("process.status_taken")
           << "wait for process " << pid << ": somebody else took its exit status";
  }
  return FailErrno("core.io", e) << "wait for process " << pid;
}

}  // namespace

absl::StatusOr<ExitStatus> WaitPidfd(const Op& op, int pidfd, pid_t pid) {
  for (;;) {
    ExitStatus status;
    const int e = Reap(pidfd, &status);
    if (e == 0) return status;
    if (e != EAGAIN) return FailReap(pid, e);
    COAM_RETURN_IF_ERROR(WaitFd(op, pidfd, POLLIN));
  }
}

absl::StatusOr<ExitStatus> Child::Wait(const Op& op) {
  if (status_.has_value()) return *status_;
  if (!pidfd_.ok()) return Fail("core.state") << "wait for a process: there is none";
  COAM_ASSIGN_OR_RETURN(ExitStatus status, WaitPidfd(op, pidfd_.get(), pid_));
  status_ = status;
  return status;
}

absl::StatusOr<std::optional<ExitStatus>> Child::TryWait() {
  if (status_.has_value()) return status_;
  if (!pidfd_.ok()) return Fail("core.state") << "wait for a process: there is none";
  ExitStatus status;
  const int e = Reap(pidfd_.get(), &status);
  if (e == EAGAIN) return std::optional<ExitStatus>();
  if (e != 0) return FailReap(pid_, e);
  status_ = status;
  return status_;
}

absl::Status Child::Signal(int signal) const {
  if (!pidfd_.ok()) return Fail("core.state") << "signal a process: there is none";
  if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0 || errno == ESRCH) {
    return absl::OkStatus();
  }
  const int e = errno;
  const std::string_view reason = e == EPERM    ? "core.permission"
                                  : e == EINVAL ? "core.invalid_argument"
                                                : "core.io";
  return FailErrno(reason, e) << "send " << SignalName(signal) << " to process " << pid_;
}

absl::Status Child::SignalGroup(int signal) const {
  if (!pidfd_.ok()) return Fail("core.state") << "signal a process group: there is none";
  if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, kSignalProcessGroup) == 0 ||
      errno == ESRCH) {
    return absl::OkStatus();
  }
  // Before Linux 6.9. The number is the group's as long as the leader is not reaped.
  if (errno == EINVAL &&
      (status_.has_value() || pid_ <= 1 || ::kill(-pid_, signal) == 0 || errno == ESRCH)) {
    return absl::OkStatus();
  }
  const int e = errno;
  return FailErrno(e == EPERM ? "core.permission" : "core.io", e)
         << "send " << SignalName(signal) << " to process group " << pid_;
}

absl::StatusOr<ExitStatus> Child::KillAndWait() {
  if (status_.has_value()) return *status_;
  COAM_RETURN_IF_ERROR(Signal(SIGKILL));
  return Wait(Op());
}

}  // namespace coaming::base
