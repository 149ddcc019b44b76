// Child processes: waiting for them without SIGCHLD, their standard descriptors, and their terminals.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {
namespace internal {

namespace {

// Linux 6.15: what a pidfd tells of a process that somebody else has reaped.
struct PidfdInfo {
  uint64_t mask, cgroupid;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
constexpr uint64_t kInfoExit = 1u << 3;
#define COAM_PIDFD_GET_INFO _IOWR(0xFF, 11, PidfdInfo)

// How long a monitor may take from the end of its container to its record.
constexpr int64_t kMonitorGraceMs = 2000;

}  // namespace

ExitStatus FromWaitStatus(int w) {
  ExitStatus s;
  if (WIFSIGNALED(w)) {
    s.signal = WTERMSIG(w);
    s.core_dumped = WCOREDUMP(w);
    s.code = 128 + s.signal;
  } else {
    s.code = WEXITSTATUS(w);
  }
  return s;
}

base::UniqueFd OpenProcess(pid_t pid, uint64_t identity) {
  if (pid <= 0) return {};
  absl::StatusOr<base::UniqueFd> pidfd =
      base::HighFd(static_cast<int>(syscall(434 /* pidfd_open */, pid, 0)));
  // The number may be another process's by now.
  if (!pidfd.ok() || IdentityOf(pidfd->get(), pid) != identity) return {};
  return *std::move(pidfd);
}

absl::StatusOr<std::optional<ExitStatus>> ReapPidfd(int pidfd, bool block, bool keep) {
  siginfo_t info = {};
  int r, flags = WEXITED | __WALL | (block ? 0 : WNOHANG) | (keep ? WNOWAIT : 0);
  do r = waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, flags);
  while (r < 0 && errno == EINTR);
  if (r == 0) {
    if (info.si_pid == 0) return std::optional<ExitStatus>();
    ExitStatus s;
    s.code = info.si_status;
    if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
      s.signal = info.si_status;
      s.code = 128 + s.signal;
      s.core_dumped = info.si_code == CLD_DUMPED;
    }
    return std::optional<ExitStatus>(s);
  }
  if (errno != ECHILD) return base::FailErrno("core.io", errno) << "waiting for a process";
  // Not ours, or reaped by somebody else. Has it ended at all?
  struct pollfd p = {pidfd, POLLIN, 0};
  if (!block && poll(&p, 1, 0) == 0) return std::optional<ExitStatus>();
  PidfdInfo get = {};
  get.mask = kInfoExit;
  if (ioctl(pidfd, COAM_PIDFD_GET_INFO, &get) == 0 && (get.mask & kInfoExit) != 0)
    return std::optional<ExitStatus>(FromWaitStatus(get.exit_code));
  return base::Fail("run.status_taken")
         << "the exit status of the process was taken by another part of the host";
}

absl::StatusOr<ExitStatus> ProcessRep::Wait(const base::Op& op) {
  {
    absl::MutexLock lock(&mutex);
    if (status) return *status;
  }
  if (pidfd.ok()) COAM_RETURN_IF_ERROR(base::WaitFd(op, pidfd.get(), POLLIN));
  if (monitor_pidfd.ok()) {
    base::Op limited = op;
    limited.set_deadline(base::Deadline::Earlier(
        op.deadline(), base::Deadline::AfterMs(kMonitorGraceMs, op.clock())));
    absl::Status ended = base::WaitFd(limited, monitor_pidfd.get(), POLLIN);
    if (!ended.ok()) COAM_RETURN_IF_ERROR(op.Check());
  }
  absl::MutexLock lock(&mutex);
  if (status) return *status;
  COAM_RETURN_IF_ERROR(Take(true));
  return *status;
}

absl::Status ProcessRep::Take(bool block) {
  if (monitored) status = ReadExit(record_dir);
  if (status) return absl::OkStatus();
  if (!pidfd.ok())
    return base::Fail("run.status_taken")
           << "the process had ended before this object was made: its status is not known";
  COAM_ASSIGN_OR_RETURN(status, ReapPidfd(pidfd.get(), block));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ExitStatus>> ProcessRep::TryWait() {
  absl::MutexLock lock(&mutex);
  if (status) return status;
  if (!monitored) {
    if (!pidfd.ok()) return status;
    COAM_RETURN_IF_ERROR(Take(false));
    return status;
  }
  if (!Ended()) return status;
  if (monitor_pidfd.ok()) {
    base::Op limited;
    limited.set_deadline(base::Deadline::AfterMs(kMonitorGraceMs));
    base::WaitFd(limited, monitor_pidfd.get(), POLLIN).IgnoreError();
  }
  COAM_RETURN_IF_ERROR(Take(false));
  return status;
}

bool RuntimeRep::ReapAdded(std::string_view id) {
  absl::MutexLock lock(&mutex);
  bool more = false;
  std::erase_if(added, [&](const auto& entry) {
    if (entry.first != id) return false;
    absl::StatusOr<std::optional<ExitStatus>> status = entry.second->TryWait();
    const bool there = status.ok() && !status->has_value();
    more |= there;
    return !there;
  });
  return more;
}

std::optional<ExitStatus> ProcessRep::Peek() {
  absl::MutexLock lock(&mutex);
  if (status || !Ended()) return status;
  if (monitored) return ReadExit(record_dir);
  if (!pidfd.ok()) return std::nullopt;
  absl::StatusOr<std::optional<ExitStatus>> got = ReapPidfd(pidfd.get(), false, /*keep=*/true);
  return got.ok() ? *got : std::nullopt;
}

void ProcessRep::Feed(int wait_status) {
  absl::MutexLock lock(&mutex);
  if (!status) status = FromWaitStatus(wait_status);
}

bool ProcessRep::Ended() const {
  if (!pidfd.ok()) return true;
  struct pollfd p = {pidfd.get(), POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

absl::StatusOr<Stdios> OpenStdio(const LaunchOptions& options, bool terminal, bool relay) {
  Stdios out;
  const Stdio* wanted[3] = {&options.in, &options.out, &options.err};
  for (int i = 0; i < 3; ++i) {
    const Stdio& s = *wanted[i];
    Stdio::Kind kind = terminal ? Stdio::Kind::kNull : s.kind;
    int fd = -1;
    if (kind == Stdio::Kind::kInherit && relay && i != 0) kind = Stdio::Kind::kRelay;
    if (kind == Stdio::Kind::kInherit && fcntl(i, F_GETFD) < 0) kind = Stdio::Kind::kNull;
    switch (kind) {
      case Stdio::Kind::kInherit: fd = i; break;
      case Stdio::Kind::kFd:
        if (fcntl(s.fd, F_GETFD) < 0)
          return base::FailErrno("core.invalid_argument", errno)
                 << "standard descriptor " << i << " is to be " << s.fd;
        fd = s.fd;
        break;
      case Stdio::Kind::kNull:
      case Stdio::Kind::kFile: {
        const char* path = kind == Stdio::Kind::kNull ? "/dev/null" : s.path.c_str();
        int flags = kind == Stdio::Kind::kNull ? O_RDWR : i == 0 ? O_RDONLY : O_WRONLY | O_APPEND;
        int opened = OpenAt(AT_FDCWD, path, flags);
        if (opened == -ENOENT && i != 0 && kind == Stdio::Kind::kFile)
          opened = openat(AT_FDCWD, path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (opened < 0)
          return base::FailErrno("core.io", opened == -1 ? errno : -opened) << "opening " << path;
        out.theirs[i].Reset(opened);
        fd = opened;
        break;
      }
      case Stdio::Kind::kRelay:
      case Stdio::Kind::kPipe: {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
          return base::FailErrno("core.io", errno) << "making a pipe";
        COAM_ASSIGN_OR_RETURN(out.theirs[i], base::HighFd(ends[i == 0 ? 0 : 1]));
        COAM_ASSIGN_OR_RETURN(out.ours[i], base::HighFd(ends[i == 0 ? 1 : 0]));
        fd = out.theirs[i].get();
        break;
      }
    }
    out.map.push_back({fd, i});
  }
  std::vector<PassFd> passed = options.pass_fds;
  for (size_t i = 0; i < options.listen_fds.size(); ++i)
    passed.push_back({options.listen_fds[i].fd, static_cast<int>(3 + i)});
  for (const PassFd& p : passed) {
    if (p.target < 3 || p.target > 65535 || fcntl(p.fd, F_GETFD) < 0)
      return base::Fail("core.invalid_argument")
             << "descriptor " << p.fd << " cannot be passed as number " << p.target;
    for (const PassFd& other : out.map)
      if (other.target == p.target)
        return base::Fail("core.invalid_argument")
               << "two descriptors are to be passed as number " << p.target;
    out.map.push_back(p);
  }
  return out;
}

namespace {

absl::StatusOr<base::UniqueFd> ConnectTo(const std::string& path, std::string_view what) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return base::Fail("core.invalid_argument") << what << " " << path << ": the path is too long";
  memcpy(address.sun_path, path.data(), path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd owner, base::HighFd(fd));
  if (connect(owner.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0)
    return base::FailErrno("run.console", errno) << "connecting to " << what << " " << path;
  return owner;
}

absl::Status SendWithFd(int socket, std::string_view bytes, int fd, std::string_view what) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct iovec iov = {const_cast<char*>(bytes.data()), bytes.size()};
  struct msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  ssize_t n;
  do n = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(bytes.size()))
    return base::FailErrno("run.console", n < 0 ? errno : EIO) << "sending to " << what;
  return absl::OkStatus();
}

}  // namespace

absl::Status SendConsole(const std::string& path, int master, const std::string& name) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd s, ConnectTo(path, "the console socket"));
  return SendWithFd(s.get(), name.empty() ? "/dev/ptmx" : name, master, "the console socket");
}

absl::Status SendPidfd(const std::string& path, int pidfd) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd s, ConnectTo(path, "the pidfd socket"));
  return SendWithFd(s.get(), "pidfd", pidfd, "the pidfd socket");
}

void AddListenEnv(const LaunchOptions& options, std::vector<std::string>* env) {
  if (options.listen_fds.empty()) return;
  std::erase_if(*env, [](const std::string& e) { return absl::StartsWith(e, "LISTEN_"); });
  std::vector<std::string> names;
  bool named = false;
  for (const ListenFd& l : options.listen_fds) {
    named |= !l.name.empty();
    names.push_back(l.name.empty() ? "unknown" : l.name);
  }
  env->push_back(absl::StrCat("LISTEN_FDS=", options.listen_fds.size()));
  env->push_back("LISTEN_PID=");
  if (named) env->push_back(absl::StrCat("LISTEN_FDNAMES=", absl::StrJoin(names, ":")));
}

absl::Status WritePidFile(const base::Op& op, const std::string& path, pid_t pid) {
  size_t slash = path.rfind('/');
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::Open(slash == std::string::npos ? "."
                                                       : slash == 0               ? "/"
                                                                    : path.substr(0, slash)));
  return dir.WriteFile(op, slash == std::string::npos ? path : path.substr(slash + 1),
                       absl::StrCat(pid), {.mode = 0644});
}

}  // namespace internal

ExecProcess::ExecProcess(std::shared_ptr<Runtime> runtime,
                         std::shared_ptr<internal::ProcessRep> rep)
    : runtime_(std::move(runtime)), rep_(std::move(rep)) {}
ExecProcess::~ExecProcess() = default;
pid_t ExecProcess::pid() const { return rep_->pid; }
int ExecProcess::poll_fd() const { return rep_->pidfd.get(); }
base::UniqueFd ExecProcess::TakeStdio(int which) {
  return which >= 0 && which < 3 ? std::move(rep_->stdio[which]) : base::UniqueFd();
}
base::UniqueFd ExecProcess::TakeConsole() { return std::move(rep_->console); }
absl::StatusOr<ExitStatus> ExecProcess::Wait(const base::Op& op) { return rep_->Wait(op); }
absl::StatusOr<std::optional<ExitStatus>> ExecProcess::TryWait() { return rep_->TryWait(); }
void ExecProcess::FeedStatus(int wait_status) { rep_->Feed(wait_status); }
absl::Status ExecProcess::Kill(int signal) {
  if (syscall(SYS_pidfd_send_signal, rep_->pidfd.get(), signal, nullptr, 0) == 0)
    return absl::OkStatus();
  return base::FailErrno(errno == ESRCH ? "run.state" : "run.kill", errno)
         << "signalling process " << rep_->pid;
}

}  // namespace coaming::run
