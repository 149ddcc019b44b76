// Runtime creates, starts, watches and removes containers from runtime-spec bundles.
//
// The host compiles (spec, host facts) into a launch plan (plan.h), seals it in a memfd and spawns
// the static helper coaming-launch straight into the new namespaces and cgroup; the helper carries
// the steps out and names the one that failed (reason run.*, message "mounting tmpfs on /dev/shm
// (step 14): Permission denied"). Specification: runtime-spec 1.3, runtime.md.
//
//   COAM_ASSIGN_OR_RETURN(auto runtime, run::Runtime::New({}));
//   run::CreateOptions o;
//   o.id = "web", o.bundle = "/bundles/web";
//   COAM_ASSIGN_OR_RETURN(auto c, runtime->Run(op, o));     // Create + Start
//   COAM_ASSIGN_OR_RETURN(run::ExitStatus s, c->Wait(op));
//   COAM_RETURN_IF_ERROR(c->Delete(op, false));
//
// Ownership: Container and ExecProcess keep the Runtime alive; destroying them kills nothing and
// removes nothing. Threads: Runtime [shared]; Container and ExecProcess [shared] as well, Wait may
// run beside Kill. The library never forks, never installs a handler, never calls waitpid(-1); a
// container process is a child of the calling process and is reaped only through its own pidfd, or
// the child of its monitor, a small static process that keeps its exit status, log and terminal when
// the host goes (CreateOptions::monitor).
// A kill -9 of the host at any moment leaves a state directory that Open + Delete(force) cleans.
// Hostile input: bundle and root file system are hostile; ids and paths from them are checked.
#ifndef COAMING_LIBOCI_RUNTIME_EXECUTOR_H_
#define COAMING_LIBOCI_RUNTIME_EXECUTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/stats.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

enum class CgroupDriver { kCgroupfs, kDisabled };

struct RuntimeOptions {
  std::string state_root = "/run/coaming";  // one directory per container; made with mode 0700
  std::string launcher;                     // installed coaming-launch; empty: the embedded copy
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
  std::string cgroup_parent = "/coaming";  // for a missing or relative cgroupsPath
  std::string seccomp_cache;               // directory for compiled filters; empty: memory only
  // AppArmor and SELinux labels that this kernel lacks are left out with a note, as crun does; else
  // they are errors.
  bool lenient_labels = false;
  std::vector<std::string> hook_env;  // of hooks that the configuration gives no environment
};

// Where one of the container's standard descriptors goes.
struct Stdio {
  enum class Kind {
    kInherit,  // the caller's own 0, 1 or 2
    kNull,     // /dev/null
    kPipe,     // a new pipe; the caller's end is Container::TakeStdio
    kFd,       // `fd`, borrowed for the call
    kFile,     // `path`, appended to (input: read); made with mode 0600
    kRelay,    // the monitor: its log and those who attach; input comes from those who attach
  };
  Kind kind = Kind::kInherit;
  int fd = -1;
  std::string path;
};

// A descriptor the program gets: `fd` of the host (borrowed for the call) as number `target` (> 2).
struct PassFd {
  int fd = -1;
  int target = -1;
};

// A listening socket for the program, by the protocol of socket activation (sd_listen_fds).
struct ListenFd {
  int fd = -1;       // borrowed for the call
  std::string name;  // for LISTEN_FDNAMES
};

// What a caller's hook sees when the namespaces exist and nothing else has happened yet.
struct NamespacesReady {
  std::string_view id;
  pid_t pid = 0;           // in the host's view
  int pidfd = -1;          // borrowed
  std::string netns_path;  // "/proc/PID/ns/net" (or the joined path)
  std::string state_json;  // state document, status "created"
};

// Options common to create and exec.
struct LaunchOptions {
  Stdio in, out, err;          // ignored when the process has a terminal
  std::string console_socket;  // send the pty master there (runc's protocol); else TakeConsole
  std::string pidfd_socket;    // send a pidfd of the process there in the same way; empty: not
  std::vector<PassFd> pass_fds;
  std::vector<ListenFd> listen_fds;  // become 3, 4, ...; LISTEN_FDS, _PID and _FDNAMES are set
  std::string pid_file;              // written atomically; empty: none
  bool no_new_keyring = false;
};

// The monitor outlives the host: a container opened anew still has its exit status, its log goes on,
// and its terminal can be attached to. Implied by a log, a relay and a notify socket. It stays in the
// host's cgroup and namespaces, and ends with its container.
struct MonitorOptions {
  bool on = false;
  // Log of output and errors ("2026-01-02T03:04:05.678901234Z stdout F text", the form of the CRI),
  // made with mode 0640. What would be inherited is relayed then.
  std::string log_path;
  int64_t log_max_size = 0;  // bytes, 0: any; a larger one becomes PATH.1, PATH.1 PATH.2, ...
  int log_max_files = 5;     // with the current one
};

struct CreateOptions : LaunchOptions {
  std::string id;                // letters, digits, _ + - . ; not starting with a dot
  std::string bundle;            // directory; relative root.path and bind sources start there
  std::optional<Spec> spec;      // instead of BUNDLE/config.json
  std::vector<std::string> env;  // "NAME=value", over the configuration's
  bool no_pivot = false;         // move the root with MS_MOVE + chroot (ramfs hosts)
  // The program is the launcher itself, which sleeps, reaps children and ends on SIGTERM or SIGINT:
  // an infrastructure container for a pod. `spec.process` may then be absent, and spec.root too if
  // no mount namespace is new.
  bool pause = false;
  MonitorOptions monitor;
  // The service manager's socket (NOTIFY_SOCKET of the host): the program gets one of its own, and
  // what it says there is passed on, with MAINPID as the host sees it and without descriptors.
  std::string notify_socket;
  // Called on the calling thread after createRuntime hooks and before the root is changed (CNI goes
  // here). A failure undoes the creation and is returned.
  std::function<absl::Status(const NamespacesReady&)> on_namespaces;
};

struct ExecOptions : LaunchOptions {
  Process process;  // complete; see Container::DefaultExecProcess
  bool ignore_paused = false;
  // Below the container's cgroup: "PATH", or several "CONTROLLER[,CONTROLLER]:PATH" on v1; empty:
  // the container's own.
  std::vector<std::string> cgroups;
};

struct ExitStatus {
  int code = 0;    // exit code, or 128 + signal
  int signal = 0;  // non-zero if killed
  bool core_dumped = false;
};

// "creating" "created" "running" "paused" "stopped"
enum class Status { kCreating, kCreated, kRunning, kPaused, kStopped };
std::string_view StatusName(Status status);

struct ContainerInfo {
  std::string id, bundle, rootfs, owner;
  Status status = Status::kStopped;
  pid_t pid = 0;           // 0 when stopped
  int64_t created_ns = 0;  // CLOCK_REALTIME
  StringMap annotations;
  std::string cgroup_path;  // below each hierarchy
  std::string log;          // of its monitor; empty: none
  bool monitored = false;
  std::optional<ExitStatus> exit;  // of a stopped one, where it is known
};

class Attachment;  // attach.h
class Events;      // events.h
class Runtime;
class Plan;

namespace internal {
struct ContainerRep;
struct ProcessRep;
struct RuntimeRep;
}  // namespace internal

// A process added to a running container. It is a child of the caller.
class ExecProcess {
 public:
  ~ExecProcess();
  pid_t pid() const;
  // Readable when the process has ended. Borrowed.
  int poll_fd() const;
  // The caller's end of a kPipe descriptor (0 = the writing end of its input); empty if none.
  base::UniqueFd TakeStdio(int which);
  base::UniqueFd TakeConsole();
  absl::Status Kill(int signal);
  // Wait fails with run.status_taken if somebody else reaped the child and the kernel cannot tell.
  absl::StatusOr<ExitStatus> Wait(const base::Op& op);
  absl::StatusOr<std::optional<ExitStatus>> TryWait();
  // For hosts that reap all children themselves: the status they got for pid().
  void FeedStatus(int wait_status);

 private:
  friend class Container;
  ExecProcess(std::shared_ptr<Runtime> runtime, std::shared_ptr<internal::ProcessRep> rep);
  std::shared_ptr<Runtime> runtime_;
  std::shared_ptr<internal::ProcessRep> rep_;
};

class Container {
 public:
  ~Container();
  const std::string& id() const;
  // Host pid of the container's first process.
  pid_t pid() const;
  // Readable when that process has ended. Borrowed; -1 if it had ended when the object was made.
  int poll_fd() const;
  base::UniqueFd TakeStdio(int which);
  // The pty master, when the process has a terminal and no console_socket was given.
  base::UniqueFd TakeConsole();

  // Start lets a created container run its program. Fails with run.state unless it is created, and
  // with the failed step (run.exec, ...) if the program cannot be started; the container is then
  // stopped.
  absl::Status Start(const base::Op& op);
  // Kill sends a signal to the first process, or to every process when `all`. run.state if stopped.
  absl::Status Kill(int signal, bool all = false);
  // Delete removes cgroups and state and runs poststop hooks. run.state unless stopped (or created);
  // `force` kills first. Undoes only what Create made.
  absl::Status Delete(const base::Op& op, bool force);
  absl::StatusOr<ExitStatus> Wait(const base::Op& op);
  absl::StatusOr<std::optional<ExitStatus>> TryWait();
  void FeedStatus(int wait_status);

  // Attach gives a reader of what a monitored container writes from now on, and a writer of its
  // input. Any number of them up to 16. run.monitor: it has none, or it is gone.
  absl::StatusOr<std::unique_ptr<Attachment>> Attach(const base::Op& op) const;
  // Resize sets the size of the terminal that the monitor holds.
  absl::Status Resize(int rows, int columns) const;
  // ReopenLog makes the monitor open its log by name again, after a rotation by somebody else.
  absl::Status ReopenLog() const;

  absl::StatusOr<ContainerInfo> Info() const;
  absl::StatusOr<std::string> StateJson() const;
  const Spec& spec() const;

  absl::Status Pause();
  absl::Status Resume();
  absl::Status Update(const Resources& resources);
  absl::StatusOr<Stats> ReadStats() const;
  // Host pids of all processes, ascending.
  absl::StatusOr<std::vector<pid_t>> Pids() const;

  // DefaultExecProcess is the spec's process with other `args` and without a terminal.
  Process DefaultExecProcess(std::vector<std::string> args) const;
  absl::StatusOr<std::unique_ptr<ExecProcess>> Exec(const base::Op& op, const ExecOptions& options);

 private:
  friend class Runtime;
  explicit Container(std::unique_ptr<internal::ContainerRep> rep);
  std::unique_ptr<internal::ContainerRep> rep_;
};

class Runtime : public std::enable_shared_from_this<Runtime> {
 public:
  // Errors: core.io, core.permission (state root), run.launcher.
  static absl::StatusOr<std::shared_ptr<Runtime>> New(const RuntimeOptions& options);
  ~Runtime();

  // Create builds the container up to its program. On failure nothing is left behind.
  absl::StatusOr<std::unique_ptr<Container>> Create(const base::Op& op,
                                                    const CreateOptions& options);
  // Run is Create and Start with one hand-shake less.
  absl::StatusOr<std::unique_ptr<Container>> Run(const base::Op& op, const CreateOptions& options);
  // Open finds a container made before, by this process or another. run.not_found.
  absl::StatusOr<std::unique_ptr<Container>> Open(std::string_view id);
  // List tells of every container under the state root; broken ones are stopped ones.
  absl::StatusOr<std::vector<ContainerInfo>> List();
  // Remove is Open + Delete; with `force` an unknown id is no error, and what a killed host left of
  // a half-made container is cleaned up.
  absl::Status Remove(const base::Op& op, std::string_view id, bool force);

  // Watch gives the events of container `id`, or of all if it is empty, from now on.
  absl::StatusOr<std::unique_ptr<Events>> Watch(std::string_view id);

  // PrintPlan compiles the plan of `options` and renders it, one numbered step a line.
  absl::StatusOr<std::string> PrintPlan(const CreateOptions& options);

 private:
  explicit Runtime(std::unique_ptr<internal::RuntimeRep> rep);
  std::unique_ptr<internal::RuntimeRep> rep_;
};

// One line of `coam probe`: whether this kernel and user can do what a step needs.
struct ProbeLine {
  std::string name;  // "run.cgroup.v2", "run.userns", "run.memfd_exec", ...
  bool works = false;
  std::string detail;  // why not, or which way is taken
  std::string hint;    // how to allow it; empty when it works
};
std::vector<ProbeLine> Probe();
std::string ProbeToJson(const std::vector<ProbeLine>& lines);          // schema "coam.run.probe.v1"
std::string ListToJson(const std::vector<ContainerInfo>& containers);  // "coam.run.list.v1"

// FeaturesDocument is the features.md document of this build: what the code can do, not the host.
std::string FeaturesDocument(std::string_view indent = "  ");

// SignalNumber reads "TERM", "SIGTERM", "15", "RTMIN+3"; -1 if there is no such signal.
int SignalNumber(std::string_view text);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_EXECUTOR_H_
