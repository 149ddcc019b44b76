/* The last stretch: working directory, waiting for start, and the program itself. */
#include "liboci/runtime/launch/helper.h"

#define MAX_WORDS 65536

/* Builds a NULL-ended vector from `count` strings that follow one another. */
static char **words_of(uint32_t offset, uint64_t count, int room) {
  static char **next, **limit;
  if (!next) {
    long m = sys6(__NR_mmap, 0, 2 * MAX_WORDS * (long)sizeof(char *), 3, 0x22, -1, 0);
    if (m < 0 && m > -4096) return NULL;
    next = (char **)m;
    limit = next + 2 * MAX_WORDS;
  }
  if (count + 2 > (uint64_t)(limit - next)) return NULL;
  char **v = next;
  char *p = (char *)plan_text(offset);
  for (uint64_t i = 0; i < count; i++) {
    v[i] = p;
    p += text_length(p) + 1;
  }
  if (room) v[count++] = helper.home;
  v[count] = NULL;
  next += count + 1;
  return v;
}

char **plan_vector(uint32_t offset, uint64_t count) { return words_of(offset, count, 0); }

char **plan_environment(uint32_t offset, uint64_t count) {
  return words_of(offset, count, helper.home[0] != 0);
}

static long change_directory(const struct coam_step *s) {
  char buffer[4096];
  if (helper.in_directory) return 0;
  /* The helper's own directories must not be there for a path such as /proc/self/fd/N. */
  forget_parent();
  helper.root = helper.mask_dir = -1;
  SYS3(__NR_close_range, helper.plan->fd_base + helper.plan->nslots, ~0u, 0);
  long r = SYS1(__NR_chdir, plan_text(s->s[1]));
  if (r == -EACCES && (s->flags & 1)) return 0;
  if (r < 0) return r;
  /* A path such as /proc/self/fd/N may lead out of the root: the kernel then says so. */
  r = SYS2(__NR_getcwd, buffer, sizeof buffer);
  if (r < 0) return r;
  if (buffer[0] != '/') {
    detail("the directory lies outside of the container's root", NULL);
    return -EPERM;
  }
  helper.in_directory = 1;
  return 0;
}

static long runnable(const char *path) {
  struct statx st;
  long r = sys_statx(AT_FDCWD, path, 0, STATX_TYPE, &st);
  if (r < 0) return r;
  if ((st.stx_mode & MODE_TYPE) == MODE_DIR) return -EACCES;
  return SYS3(__NR_faccessat, AT_FDCWD, path, 1 /* X_OK */);
}

static long look_up(const char *name, const char *path) {
  long r = -ENOENT, denied = 0;
  for (const char *p = name; *p; p++)
    if (*p == '/') {
      helper.program = name;
      r = runnable(name);
      if (r < 0) detail(name, NULL);
      return r;
    }
  char *buffer = helper.program_buffer;
  const char *end = buffer + sizeof helper.program_buffer;
  while (path && *name) {
    size_t n = 0;
    while (path[n] && path[n] != ':') n++;
    if (n + text_length(name) + 3 < sizeof helper.program_buffer) {
      memcpy(buffer, path, n);
      buffer[n] = 0;
      char *p = buffer + n;
      if (n == 0) p = text_append(p, end, ".");
      p = text_append(p, end, "/");
      text_append(p, end, name);
      r = runnable(buffer);
      if (r == 0) {
        helper.program = buffer;
        return 0;
      }
      if (r != -ENOENT && r != -ENOTDIR) denied = r;
    }
    if (!path[n]) break;
    path += n + 1;
  }
  detail(name, *name ? " is not on the PATH" : "the program's name is empty");
  return denied ? denied : -ENOENT;
}

static long ready(const struct coam_step *s) {
  long r;
  if (!(s->flags & 1)) return wait_for('g');
  r = report(COAM_REPORT_READY, 0, NULL, -1);
  if (r < 0) return r;
  /* From the host's word on this process is on record and may be found again. */
  r = wait_for('k');
  if (r < 0) return r;
  sys_close(slot_fd(COAM_SLOT_SYNC));
  for (;;) {
    int c = (int)SYS4(__NR_accept4, slot_fd(COAM_SLOT_LISTEN), NULL, NULL, O_CLOEXEC);
    if (c == -EINTR || c == -ECONNABORTED) continue;
    if (c < 0) return c;
    char order = 0;
    do r = sys_read(c, &order, 1);
    while (r == -EINTR);
    if (r == 1 && order == 'g') {
      r = sys_dup3(c, slot_fd(COAM_SLOT_SYNC), O_CLOEXEC);
      sys_close(c);
      sys_close(slot_fd(COAM_SLOT_LISTEN));
      return r < 0 ? r : 0;
    }
    sys_close(c);
  }
}

static long execute(const struct coam_step *s) {
  static char listen_pid[40];
  char **argv = plan_vector(s->s[1], s->n[1]), **envp = plan_environment(s->s[2], s->n[2]);
  if (!argv || !envp || s->n[1] == 0) return -E2BIG;
  /* Who takes sockets over compares this with its own pid, which is known here alone. */
  for (char **e = envp; (s->flags & 1) && *e; e++)
    if (text_equal(*e, "LISTEN_PID=")) {
      const char *end = listen_pid + sizeof listen_pid;
      number_append(text_append(listen_pid, end, *e), end, SYS0(__NR_getpid));
      *e = listen_pid;
    }
  if (!helper.program) helper.program = argv[0];
  unsigned first = helper.plan->fd_base;
  SYS3(__NR_close_range, first + 1, ~0u, 0);
  SYS3(__NR_fcntl, first, F_SETFD, 1 /* FD_CLOEXEC */);
  long r = SYS3(__NR_execve, helper.program, argv, envp);
  detail(helper.program, NULL);
  return r;
}

/* First process of an infrastructure container: reaps, and ends on SIGTERM or SIGINT. */
static long pause_here(void) {
  uint64_t set = 1ull << (SIGCHLD - 1) | 1ull << (SIGTERM - 1) | 1ull << (SIGINT - 1);
  SYS4(__NR_rt_sigprocmask, SIG_BLOCK, &set, 0, 8);
  sys_prctl(PR_SET_NAME, (unsigned long)"coaming-pause", 0, 0);
  SYS3(__NR_close_range, helper.plan->fd_base, ~0u, 0);
  for (;;) {
    long signal = SYS4(__NR_rt_sigtimedwait, &set, NULL, NULL, 8);
    if (signal == SIGTERM || signal == SIGINT) sys_exit(0);
    int status;
    while (SYS4(__NR_wait4, -1, &status, 1 /* WNOHANG */, NULL) > 0) {
    }
  }
}

long step_program(const struct coam_step *s) {
  switch (s->op) {
    case COAM_OP_CHDIR: return change_directory(s);
    case COAM_OP_READY: return ready(s);
    case COAM_OP_HOME: find_home(s->n[0]); return 0;
    case COAM_OP_LOOKUP: return look_up(plan_text(s->s[1]), plan_text(s->s[3]));
    case COAM_OP_EXEC: return execute(s);
    case COAM_OP_PAUSE: return pause_here();
    default: return -ENOSYS;
  }
}
