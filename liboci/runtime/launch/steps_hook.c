/* Hooks that run in the container's namespaces: createContainer and startContainer. */
#include <linux/wait.h>

#include "liboci/runtime/launch/helper.h"

struct kernel_timespec {
  long long seconds, nanoseconds;
};
struct poll_entry {
  int fd;
  short events, revents;
};

/* The state text with this process's pid, as the container sees it, put at its place. */
static void feed_state(int to, const struct coam_step *s) {
  const char *state = plan_text(s->s[3]);
  char digits[24];
  number_append(digits, digits + sizeof digits, SYS0(__NR_getpid));
  size_t place = (size_t)s->n[4], n = text_length(digits);
  sys_write(to, state, place);
  sys_write(to, digits, n);
  sys_write(to, state + place, (size_t)s->n[3] - place);
}

long step_hook(const struct coam_step *s) {
  int in[2], pidfd = -1;
  char **argv = plan_vector(s->s[1], s->n[1]), **envp;
  envp = (s->flags & 1 ? plan_environment : plan_vector)(s->s[2], s->n[2]);
  if (!argv || !envp) return -E2BIG;
  long r = SYS2(__NR_pipe2, in, O_CLOEXEC);
  if (r < 0) return r;
  /* Both ends of the pipe stay open here while the state is written: a hook that does not read
   * cannot raise SIGPIPE, and a state larger than the pipe cannot block. */
  SYS3(__NR_fcntl, in[1], 1031 /* F_SETPIPE_SZ */, 1 << 20);
  SYS3(__NR_fcntl, in[1], F_SETFL, O_NONBLOCK);
  feed_state(in[1], s);
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.flags = CLONE_PIDFD;
  args.pidfd = (uint64_t)(uintptr_t)&pidfd;
  args.exit_signal = SIGCHLD;
  long pid = SYS2(__NR_clone3, &args, 88);
  if (pid < 0) return pid;
  if (pid == 0) {
    sys_dup3(in[0], 0, 0);
    SYS3(__NR_close_range, helper.plan->fd_base, ~0u, 0);
    SYS3(__NR_execve, plan_text(s->s[0]), argv, envp);
    sys_exit(127);
  }
  sys_close(in[0]);
  sys_close(in[1]);
  struct poll_entry entry = {pidfd, 1 /* POLLIN */, 0};
  struct kernel_timespec limit = {(long long)s->n[0], 0};
  do r = SYS5(__NR_ppoll, &entry, 1, s->n[0] ? &limit : NULL, NULL, 8);
  while (r == -EINTR);
  sys_close(pidfd);
  int status = 0, timed_out = r == 0;
  if (timed_out) SYS2(__NR_kill, pid, SIGKILL);
  do r = SYS4(__NR_wait4, pid, &status, 0x40000000 /* __WALL */, NULL);
  while (r == -EINTR);
  if (timed_out) {
    detail("it ran past its timeout", NULL);
    return -ETIMEDOUT;
  }
  if (status == 0) return 0;
  const char *end = helper.text + sizeof helper.text;
  if ((status & 0x7f) == 0)
    number_append(text_append(helper.text, end, "it exited with "), end, status >> 8 & 0xff);
  else number_append(text_append(helper.text, end, "it was killed by signal "), end, status & 0x7f);
  return -ECHILD;
}
