/* Settings of the process and of its namespaces. /proc here is the host's own, still in reach
 * before the root is changed: a container's /proc is never written through. */
#include <linux/magic.h>

#include "liboci/runtime/launch/helper.h"

static long write_below(int proc, const char *path, const char *value) {
  struct sys_statfs fs;
  long r = SYS2(__NR_fstatfs, proc, &fs);
  if (r == 0 && fs.type != PROC_SUPER_MAGIC) {
    detail("/proc is not procfs", NULL);
    r = -ENODEV;
  }
  if (r == 0) {
    /* "self" is a link of procfs itself, so links are followed, but none out of this mount. */
    struct open_how how = {O_WRONLY | O_CLOEXEC, 0,
                           RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS};
    r = SYS4(__NR_openat2, proc, path, &how, sizeof how);
    if (r >= 0) {
      int fd = (int)r;
      r = sys_write(fd, value, text_length(value));
      if (r >= 0) r = 0;
      sys_close(fd);
    }
  }
  return r;
}

static long proc_write(const char *path, const char *value) {
  int proc = (int)sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (proc < 0) return proc;
  long r = write_below(proc, path, value);
  sys_close(proc);
  return r;
}

static long loopback_up(void) {
  struct {
    char name[16];
    short flags;
    char rest[22];
  } request = {"lo", 0, {0}};
  int fd = (int)SYS3(__NR_socket, 1 /* AF_UNIX */, 2 /* SOCK_DGRAM */ | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long r = sys_ioctl(fd, 0x8913 /* SIOCGIFFLAGS */, &request);
  if (r == 0 && !(request.flags & 1)) {
    request.flags |= 1;
    r = sys_ioctl(fd, 0x8914 /* SIOCSIFFLAGS */, &request);
  }
  sys_close(fd);
  return r == -ENODEV ? 0 : r;
}

long step_settings(const struct coam_step *s) {
  uint64_t limit[2];
  const char *text = plan_text(s->s[1]);
  switch (s->op) {
    case COAM_OP_PROC_WRITE: return proc_write(text, plan_text(s->s[2]));
    case COAM_OP_HOSTNAME: return SYS2(__NR_sethostname, text, text_length(text));
    case COAM_OP_DOMAINNAME: return SYS2(__NR_setdomainname, text, text_length(text));
    case COAM_OP_RLIMIT:
      limit[0] = s->n[1];
      limit[1] = s->n[2];
      return SYS4(__NR_prlimit64, 0, s->n[0], limit, NULL);
    case COAM_OP_SCHEDULER: return SYS3(__NR_sched_setattr, 0, text, 0);
    case COAM_OP_IOPRIO: return SYS3(__NR_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, s->n[0]);
    case COAM_OP_AFFINITY: {
      long r = SYS3(__NR_sched_setaffinity, 0, s->n[0], text);
      return r < 0 ? r : 0;
    }
    case COAM_OP_MEMPOLICY: return SYS3(__NR_set_mempolicy, s->n[0], text, s->n[1]);
    case COAM_OP_PERSONALITY: {
      long r = SYS1(__NR_personality, s->n[0]);
      return r < 0 ? r : 0;
    }
    case COAM_OP_UMASK: SYS1(__NR_umask, s->n[0]); return 0;
    case COAM_OP_LABEL_EXEC:
      /* By the host's procfs: the container's own could send it elsewhere. */
      return write_below(slot_fd(s->n[0]), text, plan_text(s->s[2]));
    case COAM_OP_LOOPBACK: return loopback_up();
    default: return -ENOSYS;
  }
}
