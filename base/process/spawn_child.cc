// Runs in the child of a spawn, between clone and exec, on the parent's memory. Plain C: no library
// call but syscall(2) itself, no allocation, no lock. tests/abi holds the list of symbols it may use.
#include "base/process/spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coaming::base::internal {
namespace {

constexpr int kSignals = 64;

// The kernel's own struct sigaction, as rt_sigaction(2) wants it.
struct KernelSigaction {
  void* handler;
  unsigned long flags;
  void* restorer;
  unsigned long mask;
};

int Failed(SpawnBlock* b, SpawnStep step) {
  b->failed_errno = errno;
  b->failed_step = step;
  return 127;
}

// Marks every descriptor from `low` to `high` close-on-exec.
int MarkRange(unsigned low, unsigned high) {
  if (low > high) return 0;
  if (syscall(SYS_close_range, low, high, CLOSE_RANGE_CLOEXEC) == 0) return 0;
  if (errno != ENOSYS && errno != EINVAL && errno != EPERM) return -1;
  // Before Linux 5.11: go through the table of this process.
  const long dir =
      syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (dir < 0) return -1;
  char buffer[1024] __attribute__((aligned(8)));
  for (;;) {
    const long n = syscall(SYS_getdents64, dir, buffer, sizeof buffer);
    if (n <= 0) {
      syscall(SYS_close, dir);
      return n == 0 ? 0 : -1;
    }
    for (long at = 0; at < n;) {
      // struct linux_dirent64: u64 inode, s64 offset, u16 length, u8 type, name.
      const unsigned length = static_cast<unsigned char>(buffer[at + 16]) |
                              static_cast<unsigned>(static_cast<unsigned char>(buffer[at + 17]))
                                  << 8;
      const char* name = buffer + at + 19;
      unsigned fd = 0;
      bool number = *name != '\0';
      for (; *name != '\0'; ++name) {
        if (*name < '0' || *name > '9') {
          number = false;
          break;
        }
        fd = fd * 10 + static_cast<unsigned>(*name - '0');
      }
      if (number && fd >= low && fd <= high) syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
      at += static_cast<long>(length);
    }
  }
}

// Copies the descriptors out of the way of every target.
int MoveFds(SpawnBlock* b, int* program_fd, int* cwd_fd) {
  for (int i = 0; i < b->n_fds; ++i) {
    const long fd = syscall(SYS_fcntl, b->sources[i], F_DUPFD_CLOEXEC, b->first_free);
    if (fd < 0) return -1;
    b->moved[i] = static_cast<int>(fd);
  }
  if (*program_fd >= 0) {
    const long fd = syscall(SYS_fcntl, *program_fd, F_DUPFD_CLOEXEC, b->first_free);
    if (fd < 0) return -1;
    *program_fd = static_cast<int>(fd);
  }
  if (*cwd_fd >= 0) {
    const long fd = syscall(SYS_fcntl, *cwd_fd, F_DUPFD_CLOEXEC, b->first_free);
    if (fd < 0) return -1;
    *cwd_fd = static_cast<int>(fd);
  }
  return 0;
}

// Puts them where they belong and marks all others close-on-exec.
int PlaceFds(const SpawnBlock* b) {
  for (int i = 0; i < b->n_fds; ++i) {
    if (syscall(SYS_dup3, b->moved[i], b->targets[i], 0) < 0) return -1;
  }
  unsigned low = 3;
  for (int i = 0; i < b->n_fds; ++i) {
    const unsigned target = static_cast<unsigned>(b->targets[i]);
    if (target < 3) continue;
    if (target > low && MarkRange(low, target - 1) != 0) return -1;
    low = target + 1;
  }
  return MarkRange(low, ~0u);
}

int OpenNull(const SpawnBlock* b) {
  for (int fd = 0; fd < 3; ++fd) {
    if ((b->null_mask & (1 << fd)) == 0) continue;
    const long null = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    if (null < 0) return -1;
    if (null != fd) {
      if (syscall(SYS_dup3, null, fd, 0) < 0) return -1;
      syscall(SYS_close, null);
    }
  }
  return 0;
}

}  // namespace

int SpawnChild(void* block) {
  SpawnBlock* b = static_cast<SpawnBlock*>(block);
  int program_fd = b->program_fd;
  int cwd_fd = b->cwd_fd;
  // No handler of the host may run here; what it ignores must not stay ignored over the exec.
  KernelSigaction by_default = {nullptr, 0, nullptr, 0};
  for (int s = 1; s <= kSignals; ++s) {
    if (s == SIGKILL || s == SIGSTOP) continue;
    if (syscall(SYS_rt_sigaction, s, &by_default, nullptr, sizeof(unsigned long)) != 0 &&
        errno != EINVAL) {
      return Failed(b, kSpawnSignals);
    }
  }
  if (b->death_signal != 0) {
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, b->death_signal, 0, 0, 0) != 0) {
      return Failed(b, kSpawnParentDeath);
    }
  }
  if (b->new_session) {
    if (syscall(SYS_setsid) < 0) return Failed(b, kSpawnSession);
  } else if (b->new_group) {
    if (syscall(SYS_setpgid, 0, 0) != 0) return Failed(b, kSpawnGroup);
  }
  if (b->cgroup_procs_fd >= 0 && syscall(SYS_write, b->cgroup_procs_fd, "0", 1) != 1) {
    return Failed(b, kSpawnCgroup);
  }
  if (MoveFds(b, &program_fd, &cwd_fd) != 0) return Failed(b, kSpawnFds);
  if (OpenNull(b) != 0) return Failed(b, kSpawnNull);
  if (PlaceFds(b) != 0) return Failed(b, kSpawnFds);
  if (cwd_fd >= 0 && syscall(SYS_fchdir, cwd_fd) != 0) return Failed(b, kSpawnChdir);
  if (b->cwd != nullptr && syscall(SYS_chdir, b->cwd) != 0) return Failed(b, kSpawnChdir);
  const unsigned long none = 0;
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none) != 0) {
    return Failed(b, kSpawnSignals);
  }
  if (b->program != nullptr) {
    syscall(SYS_execve, b->program, b->argv, b->env);
  } else {
    syscall(SYS_execveat, program_fd, "", b->argv, b->env, AT_EMPTY_PATH);
  }
  return Failed(b, kSpawnExec);
}

}  // namespace coaming::base::internal
