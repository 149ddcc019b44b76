/* The system calls of the helper, without a C library: each returns a value or -errno. */
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_SYS_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_SYS_H_

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
}
#elif defined(__aarch64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#else
#error "coaming-launch knows x86-64 and aarch64"
#endif

#define SYS0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define SYS2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS5(n, a, b, c, d, e) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

struct sys_iovec {
  void *base;
  size_t len;
};
struct sys_msghdr {
  void *name;
  int namelen;
  struct sys_iovec *iov;
  size_t iovlen;
  void *control;
  size_t controllen;
  int flags;
};
struct sys_cmsg_fd {
  size_t len;
  int level, type;
  int fd;
  int pad;
};
struct sys_statfs {
  long type;
  long rest[15];
};

static inline long sys_close(int fd) { return SYS1(__NR_close, fd); }
static inline long sys_openat(int dir, const char *p, int flags, int mode) {
  return SYS4(__NR_openat, dir, p, flags, mode);
}
static inline long sys_write(int fd, const void *p, size_t n) { return SYS3(__NR_write, fd, p, n); }
static inline long sys_read(int fd, void *p, size_t n) { return SYS3(__NR_read, fd, p, n); }
static inline long sys_mount(const char *src, const char *dst, const char *type,
                             unsigned long flags, const char *data) {
  return SYS5(__NR_mount, src, dst, type, flags, data);
}
static inline long sys_open_tree(int dir, const char *p, unsigned flags) {
  return SYS3(__NR_open_tree, dir, p, flags);
}
static inline long sys_move_mount(int from, const char *fp, int to, const char *tp,
                                  unsigned flags) {
  return SYS5(__NR_move_mount, from, fp, to, tp, flags);
}
static inline long sys_mount_setattr(int fd, unsigned flags, struct mount_attr *attr) {
  return SYS5(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | flags, attr, sizeof *attr);
}
static inline long sys_prctl(int op, unsigned long a, unsigned long b, unsigned long c) {
  return SYS5(__NR_prctl, op, a, b, c, 0);
}
static inline long sys_statx(int fd, const char *p, int flags, unsigned mask, struct statx *st) {
  return SYS5(__NR_statx, fd, p, flags, mask, st);
}
static inline long sys_ioctl(int fd, unsigned long op, void *arg) {
  return SYS3(__NR_ioctl, fd, op, arg);
}
static inline long sys_dup3(int from, int to, int flags) {
  return from == to ? to : SYS3(__NR_dup3, from, to, flags);
}
static inline void __attribute__((noreturn)) sys_exit(int code) {
  for (;;) SYS1(__NR_exit_group, code);
}

#endif /* COAMING_LIBOCI_RUNTIME_LAUNCH_SYS_H_ */
