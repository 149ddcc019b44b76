// Runs between clone and exec, on memory shared with the host: raw system calls, no library.
#include "liboci/runtime/launch/spawn_child.h"

#include <asm/unistd.h>
#include <linux/sched.h>
#include <stddef.h>

namespace coaming::run::internal {

namespace {

constexpr long kCloexec = 02000000;
constexpr long kEmptyPath = 0x1000;
constexpr uint64_t kClearSighand = 0x100000000ull;
constexpr uint64_t kIntoCgroup = 0x200000000ull;

// The kernel's struct clone_args through `cgroup` (VER2).
struct CloneArgs {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};

inline long Sys(long n, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return r;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
#else
#error "unknown architecture"
#endif
}
inline long P(const void* p) { return reinterpret_cast<long>(p); }

void Number(char* to, int value) {
  char digits[12];
  int n = 0;
  do digits[n++] = static_cast<char>('0' + value % 10);
  while ((value /= 10) != 0);
  while (n > 0) *to++ = digits[--n];
  *to = 0;
}

// Two passes, so that no source is overwritten by an earlier target.
[[noreturn]] void Child(void* data) {
  SpawnBlock* b = static_cast<SpawnBlock*>(data);
  long r = 0;
  for (int i = 0; i < b->n && r >= 0; ++i)
    r = Sys(__NR_dup3, b->sources[i], b->scratch + 1 + i, kCloexec, 0, 0);
  if (r >= 0) r = Sys(__NR_dup3, b->helper_fd, b->scratch, kCloexec, 0, 0);
  for (int i = 0; i < b->n && r >= 0; ++i)
    r = Sys(__NR_dup3, b->scratch + 1 + i, b->targets[i], 0, 0, 0);
  // What lies between the program's descriptors is the host's, and not for the helper.
  int from = 0;
  for (int i = 0; i < b->n && r >= 0; ++i) {
    if (b->targets[i] > from) r = Sys(__NR_close_range, from, b->targets[i] - 1, 0, 0, 0);
    from = b->targets[i] + 1;
  }
  if (r >= 0) {
    char name[] = "coaming-launch";
    char number[12];
    Number(number, b->plan_fd_number);
    char* argv[] = {name, number, nullptr};
    char* envp[] = {nullptr};
    r = Sys(__NR_execveat, b->scratch, P(""), P(argv), P(envp), kEmptyPath);
  }
  b->failed_errno = static_cast<int>(-r);
  b->failed_exec = 1;
  for (;;) Sys(__NR_exit, 125, 0, 0, 0, 0);
}

// clone3 with a stack of the child's own; the parent returns, the child calls `function(data)`.
long Clone(const CloneArgs* args, size_t size, void (*function)(void*), void* data) {
#if defined(__x86_64__)
  long r;
  register void (*fn)(void*) __asm__("r12") = function;
  register void* arg __asm__("r13") = data;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "and $-16, %%rsp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "hlt\n"
      "1:"
      : "=a"(r)
      : "a"(static_cast<long>(__NR_clone3)), "D"(args), "S"(size), "r"(fn), "r"(arg)
      : "rcx", "r11", "memory");
  return r;
#else
  register long x8 __asm__("x8") = __NR_clone3;
  register long x0 __asm__("x0") = P(args);
  register long x1 __asm__("x1") = static_cast<long>(size);
  register long x10 __asm__("x10") = reinterpret_cast<long>(function);
  register long x11 __asm__("x11") = P(data);
  __asm__ volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, x11\n\t"
      "blr x10\n\t"
      "brk #1\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x10), "r"(x11)
      : "memory");
  return x0;
#endif
}

}  // namespace

int SpawnHelper(SpawnBlock* b) {
  alignas(16) char stack[4096];
  b->failed_errno = 0;
  b->failed_exec = 0;
  b->pidfd = -1;
  CloneArgs args = {};
  args.flags = b->flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | kClearSighand;
  args.pidfd = static_cast<uint64_t>(P(&b->pidfd));
  args.exit_signal = 17;  // SIGCHLD
  args.stack = static_cast<uint64_t>(P(stack));
  args.stack_size = sizeof stack;
  if (b->cgroup_fd >= 0) {
    args.flags |= kIntoCgroup;
    args.cgroup = static_cast<uint64_t>(b->cgroup_fd);
  }
  long pid = Clone(&args, sizeof args, Child, b);
  if (pid < 0) {
    b->failed_errno = static_cast<int>(-pid);
    return -1;
  }
  return static_cast<int>(pid);
}

}  // namespace coaming::run::internal
