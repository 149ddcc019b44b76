// A container after its creation: start, signals, state, removal.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/launch/plan_format.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

using internal::ContainerRep;

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kCreating: return "creating";
    case Status::kCreated: return "created";
    case Status::kRunning: return "running";
    case Status::kPaused: return "paused";
    case Status::kStopped: return "stopped";
  }
  return "stopped";
}

Status ContainerRep::CurrentStatus() const {
  if (process.Ended()) return Status::kStopped;
  if (faccessat(dir.get(), "start", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return Status::kCreated;
  if (has_cgroups() && cgroups().Frozen()) return Status::kPaused;
  return Status::kRunning;
}

std::string ContainerRep::StateText(Status status) const {
  StateDocument s;
  s.id = record.id;
  s.status = std::string(StatusName(status));
  s.pid = status == Status::kStopped ? 0 : record.pid;
  s.bundle = record.bundle;
  s.annotations = spec.annotations;
  return WriteState(s);
}

namespace {

// Waits for the end of the first process, and reaps what this host has added meanwhile: without that
// the end might never come.
absl::Status WaitEnd(const base::Op& op, ContainerRep* c) {
  constexpr int64_t kLookMs = 50;
  while (c->process.pidfd.ok() && c->host->ReapAdded(c->record.id)) {
    base::Op slice = op;
    slice.set_deadline(
        base::Deadline::Earlier(op.deadline(), base::Deadline::AfterMs(kLookMs, op.clock())));
    absl::Status ended = base::WaitFd(slice, c->process.pidfd.get(), POLLIN);
    if (ended.ok()) return ended;
    COAM_RETURN_IF_ERROR(op.Check());
  }
  return c->process.pidfd.ok() ? base::WaitFd(op, c->process.pidfd.get(), POLLIN)
                               : absl::OkStatus();
}

}  // namespace

Container::Container(std::unique_ptr<ContainerRep> rep) : rep_(std::move(rep)) {}
Container::~Container() = default;
const std::string& Container::id() const { return rep_->record.id; }
pid_t Container::pid() const { return rep_->record.pid; }
int Container::poll_fd() const { return rep_->process.pidfd.get(); }
base::UniqueFd Container::TakeStdio(int which) {
  return which >= 0 && which < 3 ? std::move(rep_->process.stdio[which]) : base::UniqueFd();
}
base::UniqueFd Container::TakeConsole() { return std::move(rep_->process.console); }
const Spec& Container::spec() const { return rep_->spec; }
absl::StatusOr<ExitStatus> Container::Wait(const base::Op& op) {
  COAM_RETURN_IF_ERROR(WaitEnd(op, rep_.get()));
  return rep_->process.Wait(op);
}
absl::StatusOr<std::optional<ExitStatus>> Container::TryWait() { return rep_->process.TryWait(); }
void Container::FeedStatus(int wait_status) { rep_->process.Feed(wait_status); }

namespace {

absl::Status WrongState(const ContainerRep& c, std::string_view action, std::string_view wants) {
  std::string_view is = StatusName(c.CurrentStatus());
  return base::Fail("run.state").Detail("run.status", is)
         << action << " container \"" << c.record.id << "\": it is " << is << ", not " << wants;
}

}  // namespace

absl::Status Container::Start(const base::Op& op) {
  ContainerRep& c = *rep_;
  if (c.CurrentStatus() != Status::kCreated) return WrongState(c, "starting", "created");
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", c.dir.get(), "/start");
  memcpy(address.sun_path, path.data(), path.size());
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd s, base::HighFd(fd));
  if (connect(s.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return WrongState(c, "starting", "created");
    return base::FailErrno("core.io", errno) << "reaching the container's start socket";
  }
  // Whoever takes the name away is the one that starts it.
  if (unlinkat(c.dir.get(), "start", 0) != 0) return WrongState(c, "starting", "created");
  char go = 'g';
  ssize_t n;
  do n = send(s.get(), &go, 1, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  for (;;) {
    COAM_ASSIGN_OR_RETURN(Report r, ReadReport(op, s.get()));
    if (r.end) break;
    if (r.kind == COAM_REPORT_ERROR) {
      // The words come from the plan, which is compiled again if another process made the container.
      return StepError(c.plan.get(), r);
    }
    if (r.kind == COAM_REPORT_SECCOMP)
      COAM_RETURN_IF_ERROR(
          internal::SendSeccomp(c.spec, c.StateText(Status::kCreated), c.record.pid, r.fd.get()));
    if (r.kind == COAM_REPORT_NOTE)
      op.AddNote("run.launch", c.record.id, absl::StrCat(r.text, ": ", base::ErrnoText(r.value)));
  }
  internal::Announce(*c.host, "started", c.record);
  if (!c.spec.hooks.poststart.empty()) {
    absl::Status hooks = internal::RunHooks(op, *c.host, c.spec.hooks.poststart, "poststart",
                                            c.StateText(Status::kRunning), c.record.bundle, false);
    if (!hooks.ok()) {
      // Since 1.3 a poststart hook that fails ends the container and deletes it.
      Delete(base::Op(), /*force=*/true).IgnoreError();
      return hooks;
    }
  }
  return absl::OkStatus();
}

absl::Status Container::Kill(int signal, bool all) {
  ContainerRep& c = *rep_;
  if (signal < 0 || signal > 64)
    return base::Fail("core.invalid_argument") << "there is no signal " << signal;
  // Without a pid namespace of its own the container lives on when its first process is killed.
  const Namespace* pid_ns = c.spec.FindNamespace("pid");
  const bool shared_pids = pid_ns == nullptr || !pid_ns->path.empty();
  if (c.has_cgroups() && (all || (signal == SIGKILL && shared_pids))) {
    Cgroups cgroups = c.cgroups();
    if (c.process.Ended()) {
      COAM_ASSIGN_OR_RETURN(const std::vector<pid_t> left, cgroups.Pids());
      if (left.empty())
        return base::Fail("run.state").Detail("run.status", "stopped")
               << "signalling container \"" << c.record.id << "\": it is stopped, not running";
    }
    return signal == SIGKILL ? cgroups.KillAll() : cgroups.Signal(signal);
  }
  if (c.process.Ended()) {
    return base::Fail("run.state").Detail("run.status", "stopped")
           << "signalling container \"" << c.record.id << "\": it is stopped, not running";
  }
  if (syscall(SYS_pidfd_send_signal, c.process.pidfd.get(), signal, nullptr, 0) != 0)
    return base::FailErrno(errno == ESRCH ? "run.state" : "run.kill", errno)
           << "signalling container \"" << c.record.id << "\"";
  // A frozen process takes even SIGKILL only when thawed.
  if (signal == SIGKILL && c.has_cgroups() && c.cgroups().Frozen())
    c.cgroups().Freeze(false).IgnoreError();
  return absl::OkStatus();
}

absl::Status Container::Delete(const base::Op& op, bool force) {
  ContainerRep& c = *rep_;
  Status status = c.CurrentStatus();
  if (status == Status::kRunning || status == Status::kPaused) {
    if (!force) return WrongState(c, "deleting", "stopped");
  }
  if (status != Status::kStopped) {
    if (status == Status::kPaused) c.cgroups().Freeze(false).IgnoreError();
    syscall(SYS_pidfd_send_signal, c.process.pidfd.get(), SIGKILL, nullptr, 0);
    // A killed process ends, unless somebody has frozen it in a cgroup of their own or does not reap
    // what it waits for.
    base::Op patient;
    patient.set_deadline(base::Deadline::AfterMs(10'000, patient.clock()));
    if (!WaitEnd(patient, &c).ok())
      return base::Fail("run.kill") << "process " << c.record.pid << " of container \""
                                    << c.record.id << "\" was killed and does not end";
  }
  // Reaped if it is ours and nobody has waited; a monitor has ended with its container, or does now.
  absl::StatusOr<std::optional<ExitStatus>> exit = c.process.TryWait();
  if (c.process.monitor_pidfd.ok())
    syscall(SYS_pidfd_send_signal, c.process.monitor_pidfd.get(), SIGKILL, nullptr, 0);
  if (c.has_cgroups()) {
    Cgroups cgroups = c.cgroups();
    // Without a pid namespace of its own, children may have outlived the first process.
    const Namespace* pid_ns = c.spec.FindNamespace("pid");
    if (pid_ns == nullptr || !pid_ns->path.empty() || c.record.pid == 0) {
      COAM_RETURN_IF_ERROR(cgroups.KillAll());
    }
    absl::Status removed = cgroups.Remove();
    if (!removed.ok()) {
      COAM_RETURN_IF_ERROR(cgroups.KillAll());
      removed = cgroups.Remove();
      if (!removed.ok()) op.AddNote("run.cgroup", c.record.id, base::GetError(removed).message);
    }
  }
  if (absl::Status s = c.resctrl().Remove(); !s.ok())
    op.AddNote("run.rdt", c.record.id, base::GetError(s).message);
  COAM_RETURN_IF_ERROR(c.host->store.Remove(c.record.id));
  internal::Announce(*c.host, "deleted", c.record, -1, exit.ok() ? *exit : std::nullopt);
  return internal::RunHooks(op, *c.host, c.spec.hooks.poststop, "poststop",
                            c.StateText(Status::kStopped), c.record.bundle, true);
}

absl::StatusOr<ContainerInfo> Container::Info() const {
  const ContainerRep& c = *rep_;
  ContainerInfo info;
  info.id = c.record.id;
  info.bundle = c.record.bundle;
  info.rootfs = c.record.rootfs;
  info.owner = c.record.owner;
  info.status = c.CurrentStatus();
  info.pid = info.status == Status::kStopped ? 0 : c.record.pid;
  info.created_ns = c.record.created_ns;
  info.annotations = c.spec.annotations;
  info.cgroup_path = c.record.cgroup_path;
  info.log = c.record.log;
  info.monitored = c.record.monitor != 0;
  if (info.status == Status::kStopped) info.exit = rep_->process.Peek();
  return info;
}

absl::StatusOr<std::string> Container::StateJson() const {
  const ContainerRep& c = *rep_;
  StateDocument s;
  Status status = c.CurrentStatus();
  s.id = c.record.id;
  s.status = std::string(StatusName(status));
  s.pid = status == Status::kStopped ? 0 : c.record.pid;
  s.bundle = c.record.bundle;
  s.rootfs = c.record.rootfs;
  s.created = base::FormatRfc3339(c.record.created_ns);
  s.owner = c.record.owner == "root" ? "" : c.record.owner;
  s.annotations = c.spec.annotations;
  return WriteState(s, "  ");
}

absl::Status Container::Pause() {
  ContainerRep& c = *rep_;
  Status status = c.CurrentStatus();
  if (status != Status::kRunning && status != Status::kCreated)
    return WrongState(c, "pausing", "running");
  if (!c.has_cgroups())
    return base::Fail("run.unsupported") << "pausing needs cgroups, which this container lacks";
  COAM_RETURN_IF_ERROR(c.cgroups().Freeze(true));
  internal::Announce(*c.host, "paused", c.record);
  return absl::OkStatus();
}

absl::Status Container::Resume() {
  ContainerRep& c = *rep_;
  if (!c.has_cgroups() || !c.cgroups().Frozen()) return WrongState(c, "resuming", "paused");
  COAM_RETURN_IF_ERROR(c.cgroups().Freeze(false));
  internal::Announce(*c.host, "resumed", c.record);
  return absl::OkStatus();
}

absl::Status Container::Update(const Resources& resources) {
  ContainerRep& c = *rep_;
  if (c.process.Ended()) return WrongState(c, "updating", "running");
  if (!c.has_cgroups())
    return base::Fail("run.unsupported") << "limits need cgroups, which this container lacks";
  return c.cgroups().Apply(resources, /*update=*/true, nullptr);
}

absl::StatusOr<Stats> Container::ReadStats() const {
  if (!rep_->has_cgroups()) return Stats();
  return rep_->cgroups().ReadStats();
}

absl::StatusOr<std::vector<pid_t>> Container::Pids() const {
  const ContainerRep& c = *rep_;
  if (c.has_cgroups()) return c.cgroups().Pids();
  std::vector<pid_t> pids;
  if (!c.process.Ended()) pids.push_back(c.record.pid);
  return pids;
}

Process Container::DefaultExecProcess(std::vector<std::string> args) const {
  Process p = rep_->spec.process.value_or(Process());
  p.args = std::move(args);
  p.terminal = false;
  return p;
}

}  // namespace coaming::run
