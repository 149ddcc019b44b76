/* User, groups, capabilities, no_new_privs, seccomp. */
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "liboci/runtime/launch/helper.h"

static long bounding(uint64_t keep) {
  for (int cap = 0; cap < 64; cap++) {
    if (keep >> cap & 1) continue;
    long r = sys_prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0);
    if (r == -EINVAL) return 0; /* past the kernel's last */
    if (r < 0) return r;
  }
  return 0;
}

static long read_caps(struct __user_cap_data_struct data[2]) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return SYS2(__NR_capget, &header, data);
}

/* A program that opens /dev/stdout needs the pipe behind it to be its user's. */
static void own_pipes(uint64_t uid, uint64_t gid) {
  for (int fd = 0; fd < 3; fd++) {
    struct statx st;
    if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_UID, &st) == 0 &&
        (st.stx_mode & MODE_TYPE) == MODE_FIFO && st.stx_uid != uid)
      SYS3(__NR_fchown, fd, uid, gid);
  }
}

static long set_user(const struct coam_step *s) {
  long r;
  if (s->n[0] != 0) own_pipes(s->n[0], s->n[1]);
  if (!(s->flags & 1)) {
    r = SYS2(__NR_setgroups, s->n[2], plan_text(s->s[1]));
    if (r < 0) return r;
  }
  r = SYS3(__NR_setresgid, s->n[1], s->n[1], s->n[1]);
  if (r < 0) return r;
  r = sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0);
  if (r == 0) r = SYS3(__NR_setresuid, s->n[0], s->n[0], s->n[0]);
  if (r == 0) r = sys_prctl(PR_SET_KEEPCAPS, 0, 0, 0);
  return r;
}

static long set_caps(const struct coam_step *s) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  long r = read_caps(data);
  if (r < 0) return r;
  uint64_t have = data[0].permitted | (uint64_t)data[1].permitted << 32;
  uint64_t permitted = s->n[1] & have, effective = s->n[0] & permitted;
  if (permitted != s->n[1] || effective != s->n[0])
    note(-EPERM, "some capabilities are not this host's to give");
  uint64_t inheritable = s->n[2];
  for (int i = 0; i < 2; i++) {
    data[i].effective = (uint32_t)(effective >> (32 * i));
    data[i].permitted = (uint32_t)(permitted >> (32 * i));
    data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
  }
  r = SYS2(__NR_capset, &header, data);
  if (r == -EPERM && (inheritable & ~have) != 0) {
    inheritable &= have;
    for (int i = 0; i < 2; i++) data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
    r = SYS2(__NR_capset, &header, data);
  }
  if (r < 0) return r;
  r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0);
  if (r < 0 && r != -EINVAL) return r;
  uint64_t ambient = s->n[3];
  for (int cap = 0; cap < 64 && ambient >> cap; cap++)
    if (ambient >> cap & 1) {
      r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0);
      if (r < 0) note(r, "an ambient capability is not permitted and inheritable");
    }
  return 0;
}

static long set_filter(const struct coam_step *s) {
  struct sock_fprog program = {(unsigned short)s->n[0], (struct sock_filter *)plan_text(s->s[1])};
  long r = SYS3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, s->n[1], &program);
  if (r < 0 || !(s->flags & 1)) return r < 0 ? r : 0;
  int listener = (int)r;
  r = report(COAM_REPORT_SECCOMP, 0, NULL, listener);
  sys_close(listener);
  return r;
}

long step_privileges(const struct coam_step *s) {
  switch (s->op) {
    case COAM_OP_BOUNDING: return bounding(s->n[0]);
    case COAM_OP_USER: return set_user(s);
    case COAM_OP_CAPS: return set_caps(s);
    case COAM_OP_NO_NEW_PRIVS: return sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0);
    case COAM_OP_SECCOMP: return set_filter(s);
    default: return -ENOSYS;
  }
}
