// Running a pod from its start to its end, in the process that started it.
#include <signal.h>
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/pod_rep.h"
#include "libaci/pod/pod_run.h"

namespace coaming::aci {
namespace {

// What an app that is still running when its pod ends gets before it is killed.
constexpr int64_t kStopGraceMs = 10'000;

absl::Status Record(const base::Op& op, Pod::Rep* pod, RunningApp* app, int code) {
  app->exit_code = code;
  return internal::WriteStatus(op, pod->dir, app->name, {code, op.clock().RealtimeNs()});
}

// Takes the statuses of apps that have ended; true once the pod has ended.
absl::StatusOr<bool> Reap(const base::Op& op, Pod::Rep* pod) {
  bool all = true;
  bool failed = false;
  for (RunningApp& app : pod->apps) {
    if (!app.exit_code.has_value()) {
      COAM_ASSIGN_OR_RETURN(const std::optional<run::ExitStatus> status, app.container->TryWait());
      if (status.has_value()) {
        epoll_ctl(pod->epoll.get(), EPOLL_CTL_DEL, app.container->poll_fd(), nullptr);
        COAM_RETURN_IF_ERROR(Record(op, pod, &app, status->code));
        if (status->code != 0 && !pod->result.has_value()) pod->result = status->code;
      }
    }
    all &= app.exit_code.has_value();
    failed |= app.exit_code.value_or(0) != 0;
  }
  if (all || failed) return true;
  // Without its namespaces' holder the pod is over.
  COAM_ASSIGN_OR_RETURN(const std::optional<run::ExitStatus> infra, pod->infra->TryWait());
  return infra.has_value();
}

void SignalApps(Pod::Rep* pod, int signal) {
  for (RunningApp& app : pod->apps) {
    // One that ends at this moment has nothing to be told.
    if (!app.exit_code.has_value()) app.container->Kill(signal).IgnoreError();
  }
}

absl::Status WaitApps(const base::Op& op, Pod::Rep* pod) {
  for (RunningApp& app : pod->apps) {
    if (app.exit_code.has_value()) continue;
    COAM_ASSIGN_OR_RETURN(const run::ExitStatus status, app.container->Wait(op));
    COAM_RETURN_IF_ERROR(Record(op, pod, &app, status.code));
  }
  return absl::OkStatus();
}

// Ends what runs, runs the post-stop handlers and takes the pod down. Goes on after failures: the
// caller's deadline or cancel must not leave a pod half up.
absl::Status Finish(Pod::Rep* pod, int64_t grace_ms) {
  const base::Op op;
  absl::Status first;
  SignalApps(pod, SIGTERM);
  base::Op patient;
  patient.set_deadline(base::Deadline::AfterMs(grace_ms));
  if (absl::Status ended = WaitApps(patient, pod); !ended.ok()) {
    SignalApps(pod, SIGKILL);
    first = WaitApps(op, pod);
  }
  for (RunningApp& app : pod->apps) {
    if (!app.post_stop.has_value()) continue;
    // Best effort, as the specification says.
    RunHandler(patient, *pod->runtime, absl::StrCat(app.name, "_post-stop"), *app.post_stop,
               absl::StrCat(pod->dir.path(), "/apps/", app.name))
        .IgnoreError();
  }
  const absl::Status down = internal::TakeDown(op, pod->options, pod->dir);
  if (first.ok()) first = down;
  pod->supervisor.Release();
  pod->dir.Unlock();
  return first;
}

absl::StatusOr<int> End(Pod::Rep* pod, int64_t grace_ms) {
  const absl::Status status = Finish(pod, grace_ms);
  if (!pod->result.has_value()) pod->result = 0;
  COAM_RETURN_IF_ERROR(base::Wrap(status, absl::StrCat("end pod ", pod->dir.uuid())));
  return *pod->result;
}

}  // namespace

Pod::Pod(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Pod::~Pod() = default;

const std::string& Pod::uuid() const { return rep_->dir.uuid(); }
int Pod::poll_fd() const { return rep_->epoll.get(); }

base::UniqueFd Pod::TakeConsole() {
  return rep_->apps.empty() ? base::UniqueFd() : rep_->apps.front().container->TakeConsole();
}

absl::StatusOr<std::optional<int>> Pod::Poll(const base::Op& op) {
  if (rep_->dir.lock_fd() < 0) return rep_->result;  // it has ended
  COAM_ASSIGN_OR_RETURN(const bool ended, Reap(op, rep_.get()));
  if (!ended) return std::optional<int>();
  COAM_ASSIGN_OR_RETURN(const int code, End(rep_.get(), kStopGraceMs));
  return std::optional<int>(code);
}

absl::StatusOr<int> Pod::Wait(const base::Op& op) {
  for (;;) {
    COAM_ASSIGN_OR_RETURN(const std::optional<int> code, Poll(op));
    if (code.has_value()) return *code;
    COAM_RETURN_IF_ERROR(base::WaitFd(op, rep_->epoll.get(), EPOLLIN));
  }
}

absl::StatusOr<int> Pod::Shutdown(const base::Op& op, int64_t grace_ms) {
  if (rep_->dir.lock_fd() < 0) return rep_->result.value_or(0);
  COAM_RETURN_IF_ERROR(Reap(op, rep_.get()).status());
  return End(rep_.get(), grace_ms);
}

absl::StatusOr<std::unique_ptr<Pod>> Pods::Run(const base::Op& op, std::string_view uuid,
                                               const RunRequest& request) {
  COAM_ASSIGN_OR_RETURN(const std::string full, Resolve(uuid));
  COAM_ASSIGN_OR_RETURN(PodDir dir, PodDir::Open(rep_->root, full));
  if (dir.place() != "prepared") {
    COAM_ASSIGN_OR_RETURN(const PodState state, dir.State());
    return base::Fail("pod.state").Hint("prepare a new pod: each runs once")
           << "pod " << full << " is " << PodStateName(state) << ", not prepared";
  }
  COAM_ASSIGN_OR_RETURN(const bool locked, dir.TryLock());
  if (!locked) return base::Fail("core.aborted") << "pod " << full << " is in use";
  COAM_RETURN_IF_ERROR(dir.Move(rep_->root, "run"));
  auto pod = std::make_unique<Pod::Rep>(std::move(dir));
  pod->pods = shared_from_this();
  pod->options = rep_->options;
  COAM_ASSIGN_OR_RETURN(
      pod->supervisor,
      base::FileLock::Acquire(op, pod->dir.dir(), kSupervisorFile, base::LockMode::kExclusive));
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return base::FailErrno("core.io", errno) << "make an epoll descriptor";
  COAM_ASSIGN_OR_RETURN(pod->epoll, base::HighFd(epoll));
  COAM_ASSIGN_OR_RETURN(pod->runtime, internal::PodRuntime(pod->options, pod->dir));
  const absl::Status started = StartPod(op, pod.get(), request);
  if (!started.ok()) {
    const absl::Status down = internal::TakeDown(base::Op(), pod->options, pod->dir);
    if (!down.ok()) op.AddNote("pod.left", full, base::GetError(down).message);
    return base::Wrap(started, absl::StrCat("run pod ", full));
  }
  return std::unique_ptr<Pod>(new Pod(std::move(pod)));
}

}  // namespace coaming::aci
