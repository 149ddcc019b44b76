#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/fork_guard.h"
#include "base/core/status_macros.h"
#include "base/process/process.h"
#include "base/process/spawn_child.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace coaming::base {
namespace {

using internal::SpawnBlock;

constexpr size_t kChildStack = 64 << 10;  // below it one page that may not be touched
constexpr int kBusyTries = 6;             // "text file busy": another thread is about to exec

// clone_args as of Linux 5.7, with the cgroup; the header in use may be older.
struct CloneArgs {
  alignas(8) uint64_t flags;
  uint64_t pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
      cgroup;
};

// All signals of this thread are blocked while it lives, those of the C library included.
class SignalBlock {
 public:
  SignalBlock() {
    const uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_, sizeof old_);
  }
  ~SignalBlock() { syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_, nullptr, sizeof old_); }

 private:
  uint64_t old_ = 0;
};

class ChildStack {
 public:
  ChildStack() {
    void* p = mmap(nullptr, kChildStack + kGuard, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return;
    base_ = static_cast<char*>(p);
    if (mprotect(base_ + kGuard, kChildStack, PROT_READ | PROT_WRITE) != 0) {
      munmap(base_, kChildStack + kGuard);
      base_ = nullptr;
    }
  }
  ~ChildStack() {
    if (base_ != nullptr) munmap(base_, kChildStack + kGuard);
  }
  bool ok() const { return base_ != nullptr; }
  char* low() const { return base_ + kGuard; }
  char* top() const { return base_ + kGuard + kChildStack; }

 private:
  static constexpr size_t kGuard = 4096 * 16;  // a page of any architecture
  char* base_ = nullptr;
};

// clone3 whose child runs fn(arg) on a stack of its own and ends with what fn returns. Gives the pid
// or a negative errno; -ENOSYS also where there is no code for the architecture.
long Clone3(CloneArgs* args, int (*fn)(void*), void* arg) {
#if defined(__x86_64__)
  long result;
  register int (*fn_reg)(void*) __asm__("r12") = fn;
  register void* arg_reg __asm__("r13") = arg;
  __asm__ volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r13, %%rdi\n\t"
      "callq *%%r12\n\t"
      "movl %%eax, %%edi\n\t"
      "movl %[exit], %%eax\n\t"
      "syscall\n\t"
      "hlt\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), "r"(fn_reg),
        "r"(arg_reg), [exit] "i"(SYS_exit)
      : "rcx", "r11", "memory", "cc");
  return result;
#elif defined(__aarch64__)
  register long x0 __asm__("x0") = reinterpret_cast<long>(args);
  register long x1 __asm__("x1") = sizeof *args;
  register long x8 __asm__("x8") = SYS_clone3;
  register int (*fn_reg)(void*) __asm__("x10") = fn;
  register void* arg_reg __asm__("x11") = arg;
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, x11\n\t"
      "blr x10\n\t"
      "mov x8, %[exit]\n\t"
      "svc #0\n\t"
      "1:\n\t"
      : "+r"(x0)
      : "r"(x1), "r"(x8), "r"(fn_reg), "r"(arg_reg), [exit] "i"(SYS_exit)
      : "memory", "cc", "x30");
  return x0;
#else
  return -ENOSYS;
#endif
}

// What Spawn prepares once and tries until the file is no longer busy.
struct Prepared {
  std::vector<char*> argv, env;
  std::vector<int> sources, targets, moved;
  SpawnBlock block{};
  UniqueFd cgroup_procs;
};

char* Borrow(const std::string& s) { return const_cast<char*>(s.c_str()); }

absl::Status Prepare(const SpawnOptions& o, Prepared* p) {
  if (o.program.empty() == (o.program_fd < 0)) {
    return Fail("core.invalid_argument") << "start a program: give either a path or a descriptor";
  }
  for (const auto* list : {&o.argv, &o.env}) {
    for (const std::string& s : *list) {
      if (s.find('\0') != std::string::npos) {
        return Fail("core.invalid_argument")
               << "start " << o.program << ": an argument or variable holds a zero byte";
      }
    }
  }
  for (const std::string* s : {&o.program, &o.cwd}) {
    if (s->find('\0') != std::string::npos) {
      return Fail("core.invalid_argument") << "start a program: a path holds a zero byte";
    }
  }
  for (const std::string& s : o.argv) p->argv.push_back(Borrow(s));
  if (o.argv.empty()) p->argv.push_back(Borrow(o.program));
  p->argv.push_back(nullptr);
  for (const std::string& s : o.env) p->env.push_back(Borrow(s));
  p->env.push_back(nullptr);

  std::vector<FdMapping> fds = o.fds;
  std::sort(fds.begin(), fds.end(),
            [](const FdMapping& a, const FdMapping& b) { return a.target < b.target; });
  SpawnBlock& b = p->block;
  b.null_mask = 7;
  b.first_free = 3;
  for (size_t i = 0; i < fds.size(); ++i) {
    if (fds[i].source < 0 || fds[i].target < 0 || fds[i].target > (1 << 20) ||
        (i > 0 && fds[i].target == fds[i - 1].target)) {
      return Fail("core.invalid_argument") << "start " << o.program << ": descriptor "
                                           << fds[i].source << " cannot become " << fds[i].target;
    }
    if (fds[i].target < 3) b.null_mask &= ~(1 << fds[i].target);
    p->sources.push_back(fds[i].source);
    p->targets.push_back(fds[i].target);
    b.first_free = std::max(b.first_free, fds[i].target + 1);
  }
  p->moved.resize(fds.size() + 1);
  b.program = o.program.empty() ? nullptr : o.program.c_str();
  b.program_fd = o.program_fd;
  b.argv = p->argv.data();
  b.env = p->env.data();
  b.sources = p->sources.data();
  b.targets = p->targets.data();
  b.moved = p->moved.data();
  b.n_fds = static_cast<int>(fds.size());
  b.cwd_fd = o.cwd_fd;
  b.cwd = o.cwd.empty() ? nullptr : o.cwd.c_str();
  b.cgroup_procs_fd = -1;
  b.new_session = o.new_session;
  b.new_group = o.new_process_group;
  b.death_signal = o.parent_death_signal;
  return absl::OkStatus();
}

const char* StepName(int step) {
  switch (step) {
    case internal::kSpawnParentDeath: return "parent_death";
    case internal::kSpawnSession: return "session";
    case internal::kSpawnGroup: return "process_group";
    case internal::kSpawnCgroup: return "cgroup";
    case internal::kSpawnChdir: return "chdir";
    case internal::kSpawnFds: return "fds";
    case internal::kSpawnNull: return "dev_null";
    case internal::kSpawnSignals: return "signals";
    default: return "exec";
  }
}

absl::Status FailStep(const SpawnOptions& o, int step, int e) {
  std::string_view reason = "process.spawn";
  if (step == internal::kSpawnExec) {
    if (e == ENOENT) reason = "core.not_found";
    if (e == EACCES || e == EPERM) reason = "core.permission";
  }
  std::string what = o.program.empty() ? absl::StrCat("descriptor ", o.program_fd) : o.program;
  if (step == internal::kSpawnChdir) {
    absl::StrAppend(&what, ": enter ", o.cwd.empty() ? "the working directory" : o.cwd);
  } else if (step != internal::kSpawnExec) {
    absl::StrAppend(&what, " (", StepName(step), ")");
  }
  return FailErrno(reason, e).Detail("spawn.step", StepName(step)) << "start " << what;
}

// One clone. Gives the pid or a negative errno.
long CloneOnce(const SpawnOptions& o, Prepared* p, int* pidfd) {
  ChildStack stack;
  if (!stack.ok()) return -ENOMEM;
  SpawnBlock& b = p->block;
  b.failed_step = internal::kSpawnNone;
  b.failed_errno = 0;
  CloneArgs args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  args.exit_signal = 0;  // no SIGCHLD for a child that never came to exec
  args.stack = reinterpret_cast<uint64_t>(stack.low());
  args.stack_size = kChildStack;
  if (o.cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(o.cgroup_fd);
  }
  int cancel_state = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
  long pid;
  {
    SignalBlock block;
    pid = Clone3(&args, internal::SpawnChild, &b);
    // Containers' seccomp filters often deny clone3 as unknown; before Linux 5.7 there is no birth
    // into a cgroup. The child then moves itself before it does anything else.
    if (pid == -ENOSYS || (o.cgroup_fd >= 0 && (pid == -EINVAL || pid == -E2BIG))) {
      if (o.cgroup_fd >= 0 && !p->cgroup_procs.ok()) {
        const long fd = syscall(SYS_openat, o.cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0);
        p->cgroup_procs.Reset(static_cast<int>(fd));
        b.cgroup_procs_fd = p->cgroup_procs.get();
      }
      if (o.cgroup_fd >= 0 && !p->cgroup_procs.ok()) {
        pid = -errno;
      } else {
        const int r = clone(internal::SpawnChild, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
                            &b, pidfd);
        pid = r < 0 ? -errno : r;
      }
    }
  }
  pthread_setcancelstate(cancel_state, nullptr);
  return pid;
}

}  // namespace

absl::StatusOr<Child> Spawn(const Op& op, const SpawnOptions& options) {
  COAM_RETURN_IF_ERROR(CheckNotForked());
  COAM_RETURN_IF_ERROR(op.Check());
  Prepared prepared;
  COAM_RETURN_IF_ERROR(Prepare(options, &prepared));
  for (int attempt = 0;; ++attempt) {
    int raw_pidfd = -1;
    const long pid = CloneOnce(options, &prepared, &raw_pidfd);
    if (pid < 0) {
      const int e = static_cast<int>(-pid);
      const std::string_view reason = e == ENOMEM ? "core.no_memory" : "process.spawn";
      return FailErrno(reason, e).Detail("spawn.step", "clone") << "start " << options.program;
    }
    absl::StatusOr<UniqueFd> pidfd = HighFd(raw_pidfd);
    const int step = prepared.block.failed_step, e = prepared.block.failed_errno;
    if (step == internal::kSpawnNone) {
      COAM_RETURN_IF_ERROR(pidfd.status());
      return Child(*std::move(pidfd), static_cast<pid_t>(pid));
    }
    // It never ran anything and told nobody; take it away. __WALL: it has no exit signal.
    siginfo_t info;
    while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    if (step == internal::kSpawnExec && e == ETXTBSY && attempt < kBusyTries) {
      // Another thread of the host forked while it wrote the file; its child execs in a moment.
      Op pause = op;
      pause.set_deadline(Deadline::Earlier(op.deadline(), Deadline::AfterMs(1 << attempt)));
      (void)WaitFd(pause, -1, 0);
      COAM_RETURN_IF_ERROR(op.Check());
      continue;
    }
    return FailStep(options, step, e);
  }
}

}  // namespace coaming::base
