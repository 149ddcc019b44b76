// Process starts programs, waits for them and ends them: vfork-style spawn (the cost does not grow with
// the host), pidfds throughout, no SIGCHLD, no fork. It knows nothing of containers.
//
//   base::SpawnOptions s;
//   s.program = "/usr/bin/tar";
//   s.argv = {"tar", "-tf", "-"};
//   s.fds = {{pipe_end.get(), 0}};
//   COAM_ASSIGN_OR_RETURN(base::Child child, base::Spawn(op, s));
//   COAM_ASSIGN_OR_RETURN(base::ExitStatus status, child.Wait(op));
//
// How it works (DESIGN 2.10): clone3 with CLONE_VM | CLONE_VFORK | CLONE_PIDFD while this thread blocks
// all signals; the code between clone and exec (spawn_child.cc) is plain C and calls nothing but
// system calls. A failed exec is reported with its errno; no SIGCHLD reaches the host for it.
//
// What the child gets: exactly the argv and env given; 0, 1, 2 from /dev/null unless mapped; no other
// descriptor than the mapped ones, whatever the host forgot to mark close-on-exec; all signals at
// their default and unblocked; the host's working directory unless one is given.
//
// Threads: Spawn from any; a Child is [single]. No state in the host changes. Hostile input: none is
// read here; RunProgram bounds what it reads from the program.
#ifndef COAMING_BASE_PROCESS_PROCESS_H_
#define COAMING_BASE_PROCESS_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"

namespace coaming::base {

// How a process ended.
struct ExitStatus {
  int code = 0;    // of exit(), when signal is 0
  int signal = 0;  // that killed it, or 0
  bool core_dumped = false;

  bool ok() const { return code == 0 && signal == 0; }
  // ShellCode is what a shell would say: the code, or 128 + signal.
  int ShellCode() const { return signal != 0 ? 128 + signal : code; }
  std::string ToString() const;  // "exit status 3", "killed by signal 9 (SIGKILL)"
  // FromWait reads what waitpid(2) gives.
  static ExitStatus FromWait(int wstatus);
  bool operator==(const ExitStatus&) const = default;
};

// One descriptor of the child: `target` there is `source` here (borrowed).
struct FdMapping {
  int source = -1;
  int target = -1;
};

struct SpawnOptions {
  // A path, absolute or relative to the child's working directory (no search: see FindProgram)...
  std::string program;
  // ... or an open file (execveat). A script ("#!") cannot be run that way. Borrowed.
  int program_fd = -1;
  std::vector<std::string> argv;  // empty: {program}
  std::vector<std::string> env;   // "NAME=value", exactly these
  std::vector<FdMapping> fds;     // targets are distinct
  int cwd_fd = -1;                // working directory, or:
  std::string cwd;                // "": the host's
  int cgroup_fd = -1;             // a cgroup v2 directory to be born in
  bool new_session = false;       // setsid
  bool new_process_group = false;
  // Signal sent to the child when the *thread* that spawned it ends; 0 for none.
  int parent_death_signal = 0;
};

class Child {
 public:
  Child() = default;  // none
  // FromPidfd takes a process that somebody else started.
  Child(UniqueFd pidfd, pid_t pid) : pidfd_(std::move(pidfd)), pid_(pid) {}
  Child(Child&&) = default;
  Child& operator=(Child&&) = default;
  // Destruction neither kills nor waits: an unwaited child of ours stays a zombie until the host ends
  // or reaps it. Use KillAndWait.

  bool ok() const { return pidfd_.ok(); }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable when it has ended
  UniqueFd TakePidfd() { return std::move(pidfd_); }

  // Wait waits for the end and reaps. The status comes from waitid, else, when somebody else reaped
  // it (a reap-all loop, SIGCHLD ignored), from the pidfd (Linux 6.15), else process.status_taken.
  // Errors: core.cancelled, core.deadline_exceeded (the child lives on), process.status_taken.
  absl::StatusOr<ExitStatus> Wait(const Op& op);
  // TryWait gives nullopt while it runs.
  absl::StatusOr<std::optional<ExitStatus>> TryWait();
  // Signal sends by pidfd: never to a stranger who got the pid. Ended already: OK.
  absl::Status Signal(int signal) const;
  // SignalGroup sends to the process group, which must be the child's own (new_session or
  // new_process_group).
  absl::Status SignalGroup(int signal) const;
  // KillAndWait sends SIGKILL and reaps; no cancel: a killed process ends.
  absl::StatusOr<ExitStatus> KillAndWait();

 private:
  UniqueFd pidfd_;
  pid_t pid_ = -1;
  std::optional<ExitStatus> status_;
};

// Spawn starts a program. Errors: core.not_found and core.permission if it is not there or may not be
// executed; process.spawn for the rest; details spawn.step ("exec", "chdir", "fds", ...).
absl::StatusOr<Child> Spawn(const Op& op, const SpawnOptions& options);

// WaitPidfd waits for a process known only by pidfd, as Child::Wait does; `pid` for messages.
absl::StatusOr<ExitStatus> WaitPidfd(const Op& op, int pidfd, pid_t pid);

// --- run to the end ------------------------------------------------------------------------------

struct ProgramSpec {
  std::string program;  // a path
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string stdin_bytes;  // given as a regular file at offset 0 (a memfd)
  std::string cwd;          // "": the host's
  int cwd_fd = -1;
  std::vector<FdMapping> fds;     // targets of 3 and above
  int64_t max_stdout = -1;        // -1: plugin_output_bytes of the op's limits; more is core.limit
  int64_t max_stderr = 64 << 10;  // more is dropped from the middle
  // After the program's end its grandchildren may still hold the pipes: how long to read on.
  int linger_ms = 1000;
};

struct ProgramResult {
  ExitStatus status;
  std::string out;
  std::string err;
};

// RunProgram starts a program in a session of its own, feeds it, gathers what it prints and waits. A
// program that fails is not an error here: look at status. On cancel, deadline or too much output the
// program and the processes of its session's group are killed, also grandchildren that keep the pipes.
absl::StatusOr<ProgramResult> RunProgram(const Op& op, const ProgramSpec& spec);

// --- looking for a program -----------------------------------------------------------------------

// FindProgram gives the first "DIR/NAME" that is a regular file and may be executed by this process. A
// name with a slash, an empty one or "." or "..": core.invalid_argument. None: core.not_found, which
// lists the directories. The environment is not read: the caller brings the directories.
absl::StatusOr<std::string> FindProgram(std::string_view name, std::span<const std::string> dirs);
// SplitSearchPath splits "a:b:c" (a PATH value the caller got somewhere); empty parts are left out.
std::vector<std::string> SplitSearchPath(std::string_view path);
// SignalName gives "SIGTERM" for 15, "SIGRTMIN+1", or "signal 99".
std::string SignalName(int signal);

}  // namespace coaming::base

#endif  // COAMING_BASE_PROCESS_PROCESS_H_
