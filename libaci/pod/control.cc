// What is done to a pod from outside: stop, enter, remove.
#include <signal.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/lock.h"
#include "libaci/pod/pod_rep.h"

namespace coaming::aci {
namespace {

absl::StatusOr<PodDir> OpenIn(const base::Dir& root, std::string_view prefix, PodState* state) {
  COAM_ASSIGN_OR_RETURN(const std::string uuid, PodDir::Resolve(root, prefix));
  COAM_ASSIGN_OR_RETURN(PodDir pod, PodDir::Open(root, uuid));
  COAM_ASSIGN_OR_RETURN(*state, pod.State());
  return pod;
}

absl::Status NotRunning(const PodDir& pod, PodState state) {
  return base::Fail("pod.state") << "pod " << pod.uuid() << " is " << PodStateName(state)
                                 << ", not running";
}

}  // namespace

absl::Status Pods::Stop(const base::Op& op, std::string_view prefix, bool force) {
  PodState state;
  COAM_ASSIGN_OR_RETURN(const PodDir pod, OpenIn(rep_->root, prefix, &state));
  if (state != PodState::kRunning) return NotRunning(pod, state);
  COAM_ASSIGN_OR_RETURN(
      const std::optional<base::FileLock> abandoned,
      base::FileLock::TryAcquire(pod.dir(), kSupervisorFile, base::LockMode::kExclusive));
  // Nobody is there to see the apps end and to take the pod down: do both.
  if (abandoned.has_value()) return internal::TakeDown(op, rep_->options, pod);
  COAM_ASSIGN_OR_RETURN(const auto runtime, internal::PodRuntime(rep_->options, pod));
  COAM_ASSIGN_OR_RETURN(const std::vector<run::ContainerInfo> all, runtime->List());
  for (const run::ContainerInfo& info : all) {
    if (info.id == kInfraId || info.pid == 0) continue;
    absl::StatusOr<std::unique_ptr<run::Container>> container = runtime->Open(info.id);
    if (!container.ok()) continue;  // it ended meanwhile
    const absl::Status killed = (*container)->Kill(force ? SIGKILL : SIGTERM, force);
    if (!killed.ok() && !base::HasReason(killed, "run.state")) return killed;
  }
  return absl::OkStatus();
}

absl::Status Pods::Remove(const base::Op& op, std::string_view prefix) {
  PodState state;
  COAM_ASSIGN_OR_RETURN(PodDir pod, OpenIn(rep_->root, prefix, &state));
  if (state == PodState::kRunning || state == PodState::kPreparing) {
    return base::Fail("pod.state").Hint("stop it first")
           << "pod " << pod.uuid() << " is " << PodStateName(state);
  }
  COAM_ASSIGN_OR_RETURN(const bool locked, pod.TryLock());
  if (!locked) return base::Fail("core.aborted") << "pod " << pod.uuid() << " is in use";
  COAM_RETURN_IF_ERROR(internal::TakeDown(op, rep_->options, pod));
  if (pod.place() != "garbage") COAM_RETURN_IF_ERROR(pod.Move(rep_->root, "garbage"));
  return pod.Remove(op, rep_->root);
}

struct Entered::Rep {
  std::shared_ptr<run::Runtime> runtime;
  std::unique_ptr<run::Container> container;
  std::unique_ptr<run::ExecProcess> process;
};

Entered::Entered(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Entered::~Entered() = default;

int Entered::poll_fd() const { return rep_->process->poll_fd(); }
base::UniqueFd Entered::TakeConsole() { return rep_->process->TakeConsole(); }
absl::Status Entered::Kill(int signal) { return rep_->process->Kill(signal); }

absl::StatusOr<int> Entered::Wait(const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(const run::ExitStatus status, rep_->process->Wait(op));
  return status.code;
}

absl::StatusOr<std::unique_ptr<Entered>> Pods::Enter(const base::Op& op, std::string_view prefix,
                                                     std::string_view app,
                                                     const std::vector<std::string>& args,
                                                     bool terminal) {
  PodState state;
  COAM_ASSIGN_OR_RETURN(const PodDir pod, OpenIn(rep_->root, prefix, &state));
  if (state != PodState::kRunning) return NotRunning(pod, state);
  if (args.empty()) return base::Fail("core.invalid_argument") << "no program to enter with";
  COAM_ASSIGN_OR_RETURN(const PodManifest manifest, internal::ReadManifest(op, pod));
  if (app.empty() && manifest.apps.size() != 1) {
    std::string names;
    for (const RuntimeApp& one : manifest.apps) absl::StrAppend(&names, " ", one.name);
    return base::Fail("pod.app").Hint("name one of them with --app")
           << "pod " << pod.uuid() << " has several apps:" << names;
  }
  const std::string name(app.empty() ? manifest.apps.front().name : app);
  if (manifest.FindApp(name) == nullptr) {
    return base::Fail("pod.app") << "pod " << pod.uuid() << " has no app '" << name << "'";
  }
  auto rep = std::make_unique<Entered::Rep>();
  COAM_ASSIGN_OR_RETURN(rep->runtime, internal::PodRuntime(rep_->options, pod));
  COAM_ASSIGN_OR_RETURN(rep->container, rep->runtime->Open(name));
  run::ExecOptions exec;
  exec.process = rep->container->DefaultExecProcess(args);
  exec.process.terminal = terminal;
  // The one who enters is the administrator, wherever the app runs.
  exec.process.user = {};
  exec.process.cwd = "/";
  COAM_ASSIGN_OR_RETURN(rep->process, rep->container->Exec(op, exec));
  return std::unique_ptr<Entered>(new Entered(std::move(rep)));
}

}  // namespace coaming::aci
