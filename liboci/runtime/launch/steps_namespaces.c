/* Namespaces, ids, and the hand-shakes with the host that go with them. */
#include "liboci/runtime/launch/helper.h"

/* Goes on in a new process that is a sibling: the host (or the monitor) is its parent. The old one
 * reports and ends. */
static long step_clone(uint64_t flags) {
  int pidfd = -1;
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.flags = flags | CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = (uint64_t)(uintptr_t)&pidfd;
  long pid = SYS2(__NR_clone3, &args, 88 /* through cgroup */);
  if (pid < 0) return pid;
  if (pid == 0) return 0;
  if (helper.monitor >= 0) report_to(helper.monitor, COAM_REPORT_CHILD, (int32_t)pid, NULL, -1);
  long r = report(COAM_REPORT_CHILD, (int32_t)pid, NULL, pidfd);
  if (r < 0) SYS2(__NR_kill, pid, SIGKILL);
  sys_exit(0);
}

static long wait_host(int with_network) {
  int fd = -1;
  if (with_network) {
    fd = (int)SYS3(__NR_socket, 16 /* AF_NETLINK */, 3 /* SOCK_RAW */ | O_CLOEXEC, 0);
    if (fd < 0) return fd;
  }
  long r = report(COAM_REPORT_NAMESPACES, 0, NULL, fd);
  if (fd >= 0) sys_close(fd);
  return r < 0 ? r : wait_for('h');
}

long step_namespaces(const struct coam_step *s) {
  long r;
  switch (s->op) {
    case COAM_OP_JOIN:
      r = SYS2(__NR_setns, slot_fd(s->n[0]), s->n[1]);
      return (s->flags & 1) && r == -EPERM ? 0 : r;
    case COAM_OP_JOIN_PIDFD: return SYS2(__NR_setns, slot_fd(s->n[0]), s->n[1]);
    case COAM_OP_UNSHARE: return SYS1(__NR_unshare, s->n[0]);
    case COAM_OP_MONITOR: return step_monitor(s);
    case COAM_OP_CLONE: return step_clone(s->n[0]);
    case COAM_OP_WAIT_MAPS:
      r = report(COAM_REPORT_MAPS, 0, NULL, -1);
      return r < 0 ? r : wait_for('m');
    case COAM_OP_SET_IDS:
      if (s->flags & 1) {
        r = SYS2(__NR_setgroups, 0, NULL);
        if (r < 0 && r != -EPERM) return r;
      }
      r = SYS3(__NR_setresgid, s->n[1], s->n[1], s->n[1]);
      return r < 0 ? r : SYS3(__NR_setresuid, s->n[0], s->n[0], s->n[0]);
    case COAM_OP_WAIT_CGROUP: return wait_for('c');
    case COAM_OP_WAIT_HOST: return wait_host(s->flags & 1);
    case COAM_OP_SETSID:
      r = SYS0(__NR_setsid);
      return r == -EPERM ? 0 : r < 0 ? r : 0; /* a leader already */
    case COAM_OP_KEYRING:
      r = SYS2(__NR_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, plan_text(s->s[0]));
      /* No keyrings in this kernel, refused by a filter, or the quota is used up: go without. */
      if (r < 0) note(r, "no session keyring");
      return 0;
    case COAM_OP_DUMPABLE: return sys_prctl(PR_SET_DUMPABLE, s->n[0], 0, 0);
    default: return -ENOSYS;
  }
}
