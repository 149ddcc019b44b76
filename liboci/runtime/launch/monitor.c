/* The monitor: a helper that stays beside its container when the host may go. It is the parent of the
 * container's process, keeps its exit status on record, writes its log, serves whoever attaches, and
 * forwards what it tells the service manager. It lives in the host's own namespaces and cgroup, and
 * nothing in it ever waits for a reader: one that does not keep up is dropped. */
#include <linux/wait.h>

#include "liboci/runtime/launch/helper.h"

#define CLIENTS 16
#define POLLIN 1
#define POLLOUT 4
#define MSG_PEEK 2
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define TIOCSWINSZ 0x5414

struct poll_entry {
  int fd;
  short events, revents;
};
enum { AT_SIGNAL, AT_CHANNEL, AT_OUT, AT_ERR, AT_IN, AT_LISTEN, AT_NOTIFY, AT_CLIENTS };

static struct {
  uint32_t flags;
  long child; /* the process that becomes the program */
  int state_dir, channel, listener, input, output[2], notify, notify_host;
  int has_status, ended, input_closes, hung_up;
  int status;
  struct {
    int fd, reads;
    int waits; /* has input for a program that takes none now */
  } client[CLIENTS];
  struct poll_entry poll[AT_CLIENTS + CLIENTS];
  struct log_line line[2];
  char pending[COAM_ATTACH_MAX]; /* input that the program has not taken yet */
  size_t pending_from, pending_used;
  char buffer[1 + COAM_ATTACH_MAX];
} m;

static void drop(int *fd) {
  if (*fd >= 0) sys_close(*fd);
  *fd = -1;
}

static long send_packet(int fd, const void *bytes, size_t size) {
  long n;
  do n = sys6(__NR_sendto, fd, (long)bytes, (long)size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
  while (n == -EINTR);
  return n;
}

/* ---- Output ------------------------------------------------------------------------------------- */

/* Reads a block of one stream and passes it on. 0: nothing is there now; < 0: the end. */
static long relay(int which) {
  long n = sys_read(m.output[which], m.buffer + 1, COAM_ATTACH_MAX);
  if (n == -EAGAIN || n == -EINTR) return 0;
  if (n <= 0) return n < 0 ? n : -ENODATA;
  if (m.flags & COAM_MONITOR_LOG) log_bytes(&m.line[which], m.buffer + 1, (size_t)n);
  m.buffer[0] = (char)(1 + which);
  for (int i = 0; i < CLIENTS; i++)
    if (m.client[i].reads && send_packet(m.client[i].fd, m.buffer, (size_t)n + 1) < 0) {
      m.client[i].reads = 0;
      drop(&m.client[i].fd);
    }
  return 1;
}

static void relay_ready(int which) {
  if (relay(which) >= 0) return;
  log_end(&m.line[which]);
  /* A terminal that nobody has open (EIO) may be opened again: it is looked at now and then. */
  if (m.flags & COAM_MONITOR_TERMINAL) m.hung_up = 1;
  else drop(&m.output[which]);
}

/* What was written before the end; a straggler that writes on is not waited for. */
static void drain(void) {
  for (int which = 0; which < 2; which++) {
    for (int blocks = 0; blocks < 256 && m.output[which] >= 0 && relay(which) > 0;) blocks++;
    log_end(&m.line[which]);
  }
}

/* ---- Input -------------------------------------------------------------------------------------- */

static void feed_input(void) {
  static const char end_of_file = 4;
  while (m.input >= 0 && m.pending_used > 0) {
    long n = sys_write(m.input, m.pending + m.pending_from, m.pending_used);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) return;
    if (n < 0) m.input_closes = 1; /* nobody reads it any more */
    if (n < 0) n = (long)m.pending_used;
    m.pending_from += (size_t)n;
    m.pending_used -= (size_t)n;
  }
  if (!m.input_closes) return;
  m.input_closes = 0;
  if (m.flags & COAM_MONITOR_TERMINAL) sys_write(m.input, &end_of_file, 1);
  else drop(&m.input);
}

/* ---- Those who attach --------------------------------------------------------------------------- */

static void reply(int i, long result) {
  char packet[5] = {COAM_ATTACH_REPLY};
  int error = (int)-result;
  memcpy(packet + 1, &error, sizeof error);
  send_packet(m.client[i].fd, packet, sizeof packet);
}

static void serve(int i) {
  int *fd = &m.client[i].fd;
  char kind = 0;
  /* Input is left in its writer's socket while earlier input waits: the others go on. */
  sys6(__NR_recvfrom, *fd, (long)&kind, 1, MSG_DONTWAIT | MSG_PEEK, 0, 0);
  if (m.pending_used > 0 && (kind == COAM_ATTACH_INPUT || kind == COAM_ATTACH_CLOSE)) {
    m.client[i].waits = 1;
    return;
  }
  long n = sys6(__NR_recvfrom, *fd, (long)m.buffer, sizeof m.buffer, MSG_DONTWAIT, 0, 0);
  if (n == -EAGAIN || n == -EINTR) return;
  if (n <= 0) {
    m.client[i].reads = 0;
    drop(fd);
    return;
  }
  long r = 0;
  switch (m.buffer[0]) {
    case COAM_ATTACH_OUTPUT:
      m.client[i].reads = 1;
      reply(i, 0);
      break;
    case COAM_ATTACH_INPUT:
      if (m.input < 0) break;
      memcpy(m.pending, m.buffer + 1, (size_t)n - 1);
      m.pending_from = 0;
      m.pending_used = (size_t)n - 1;
      feed_input();
      break;
    case COAM_ATTACH_CLOSE:
      m.input_closes = 1;
      feed_input();
      break;
    case COAM_ATTACH_SIZE: {
      unsigned short size[4] = {0, 0, 0, 0};
      if (!(m.flags & COAM_MONITOR_TERMINAL) || n != 5) r = -ENOTTY;
      else memcpy(size, m.buffer + 1, 4), r = sys_ioctl(m.input, TIOCSWINSZ, size);
      reply(i, r);
      break;
    }
    case COAM_ATTACH_REOPEN: reply(i, m.flags & COAM_MONITOR_LOG ? log_reopen() : -ENOENT); break;
    default: m.client[i].reads = 0; drop(fd);
  }
}

static void take_client(void) {
  int fd = (int)SYS4(__NR_accept4, m.listener, NULL, NULL, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return;
  int room = 1 << 20; /* beyond the system's limit where that is allowed */
  if (SYS5(__NR_setsockopt, fd, 1 /* SOL_SOCKET */, 32 /* SO_SNDBUFFORCE */, &room, sizeof room) <
      0)
    SYS5(__NR_setsockopt, fd, 1, 7 /* SO_SNDBUF */, &room, sizeof room);
  for (int i = 0; i < CLIENTS; i++)
    if (m.client[i].fd < 0) {
      m.client[i].fd = fd;
      m.client[i].reads = m.client[i].waits = 0;
      return;
    }
  sys_close(fd);
}

/* ---- sd_notify ---------------------------------------------------------------------------------- */

static int begins(const char *line, size_t size, const char *with) {
  size_t n = text_length(with);
  if (size < n) return 0;
  for (size_t i = 0; i < n; i++)
    if (line[i] != with[i]) return 0;
  return 1;
}

/* A pid of the container, or a descriptor to keep, means nothing to the service manager. */
static int is_private(const char *line, size_t size) {
  static const char *const kinds[] = {"MAINPID", "FDSTORE",  "FDNAME",
                                      "FDPOLL",  "BARRIER=", "NOTIFYACCESS="};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (begins(line, size, kinds[i])) return 1;
  return 0;
}

static void forward_notice(void) {
  char in[4096], out[4096 + 64], control[1024] __attribute__((aligned(8)));
  struct sys_iovec iov = {in, sizeof in};
  struct sys_msghdr h = {0, 0, &iov, 1, control, sizeof control, 0};
  long n = SYS3(__NR_recvmsg, m.notify, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return;
  /* Descriptors that came along (FDSTORE, BARRIER) are let go: that ends a barrier. */
  for (size_t at = 0; at + 16 <= h.controllen;) {
    size_t length;
    int kind[2];
    memcpy(&length, control + at, sizeof length);
    memcpy(kind, control + at + 8, sizeof kind);
    if (length < 16 || at + length > h.controllen) break;
    for (size_t f = 16; kind[0] == 1 && kind[1] == 1 && f + 4 <= length; f += 4) {
      int fd;
      memcpy(&fd, control + at + f, sizeof fd);
      sys_close(fd);
    }
    at += (length + 7) & ~(size_t)7;
  }
  size_t used = 0;
  for (long from = 0; from < n;) {
    long to = from;
    while (to < n && in[to] != '\n') to++;
    size_t size = (size_t)(to - from);
    if (size > 0 && !is_private(in + from, size)) {
      if (begins(in + from, size, "READY=1")) {
        char *p = text_append(out + used, out + sizeof out, "MAINPID=");
        p = number_append(p, out + sizeof out, m.child);
        p = text_append(p, out + sizeof out, "\n");
        used = (size_t)(p - out);
      }
      memcpy(out + used, in + from, size);
      used += size;
      out[used++] = '\n';
    }
    from = to + 1;
  }
  if (used > 0) send_packet(m.notify_host, out, used - 1);
}

/* ---- The container's process -------------------------------------------------------------------- */

static void reap(void) {
  int status;
  for (;;) {
    long pid = SYS4(__NR_wait4, -1, &status, 1 /* WNOHANG */ | 0x40000000 /* __WALL */, NULL);
    if (pid == -EINTR) continue;
    if (pid == -ECHILD) m.ended = 1;
    if (pid <= 0) return;
    /* Of two stages the first one's end counts only if there is no other. */
    if (pid == m.child || !m.has_status) m.status = status;
    m.has_status = 1;
  }
}

/* The child tells of the process that goes on, and hands the terminal over. */
static int hear_child(void) {
  struct coam_report r;
  char text[64];
  struct sys_cmsg_fd control = {0, 0, 0, -1, 0};
  struct sys_iovec iov[2] = {{&r, sizeof r}, {text, sizeof text}};
  struct sys_msghdr h = {0, 0, iov, 2, &control, sizeof control, 0};
  long n = SYS3(__NR_recvmsg, m.channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n == -EAGAIN || n == -EINTR) return 0;
  if (n <= 0) {
    drop(&m.channel);
    return 0;
  }
  if (r.kind == COAM_REPORT_CHILD) m.child = r.value;
  if (r.kind == COAM_REPORT_CONSOLE && control.fd >= 0) {
    SYS3(__NR_fcntl, control.fd, F_SETFL, O_NONBLOCK | O_RDWR);
    m.output[0] = m.input = control.fd;
  }
  return 1;
}

/* The record appears under its name in one step. */
static void write_status(void) {
  char text[64];
  long now[2] = {0, 0};
  SYS2(__NR_clock_gettime, 0, now);
  const char *end = text + sizeof text;
  char *p = number_append(text, end, m.status);
  p = number_append(text_append(p, end, " "), end, now[0] * 1000000000 + now[1]);
  long fd = sys_openat(m.state_dir, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return; /* the container was deleted */
  sys_write((int)fd, text, (size_t)(p - text));
  sys_close((int)fd);
  SYS5(__NR_renameat2, m.state_dir, "exit.new", m.state_dir, "exit", 0);
}

static void finish(void) {
  char packet[5] = {COAM_ATTACH_END};
  drain();
  log_flush();
  write_status();
  memcpy(packet + 1, &m.status, sizeof m.status);
  for (int i = 0; i < CLIENTS; i++)
    if (m.client[i].fd >= 0) send_packet(m.client[i].fd, packet, sizeof packet);
  sys_exit(0);
}

static int monitor_slot(const struct coam_step *s, uint32_t flag, int which) {
  return flag == 0 || (s->flags & flag) ? slot_fd(s->n[1] + (uint64_t)which) : -1;
}

/* Everything but its own descriptors belongs to the program, which must see its pipes end. */
static void close_others(const struct coam_step *s) {
  for (uint32_t i = 0; i < helper.plan->nslots; i++)
    if (i < s->n[1] || i >= s->n[1] + COAM_MONITOR_SLOTS) sys_close(slot_fd(i));
  if (helper.plan->fd_base > 0) SYS3(__NR_close_range, 0, helper.plan->fd_base - 1, 0);
}

void monitor_main(const struct coam_step *s, int channel, long child) {
  uint64_t signals = 1ull << (SIGCHLD - 1);
  sys_prctl(PR_SET_NAME, (unsigned long)"coaming-monitor", 0, 0);
  SYS1(__NR_chdir, "/");
  close_others(s);
  m.flags = s->flags;
  m.child = child;
  m.channel = channel;
  m.state_dir = monitor_slot(s, 0, COAM_MONITOR_STATE_DIR);
  m.listener = monitor_slot(s, COAM_MONITOR_ATTACH, COAM_MONITOR_ATTACH_FD);
  m.input = monitor_slot(s, COAM_MONITOR_IN, COAM_MONITOR_IN_FD);
  m.notify = monitor_slot(s, COAM_MONITOR_NOTIFY, COAM_MONITOR_NOTIFY_FD);
  m.notify_host = monitor_slot(s, COAM_MONITOR_NOTIFY, COAM_MONITOR_NOTIFY_HOST_FD);
  m.line[0].stream = "stdout";
  m.line[1].stream = "stderr";
  for (int i = 0; i < CLIENTS; i++) m.client[i].fd = -1;
  m.poll[AT_SIGNAL].fd = (int)SYS4(__NR_signalfd4, -1, &signals, 8, O_CLOEXEC | O_NONBLOCK);
  m.output[0] = monitor_slot(s, COAM_MONITOR_OUT, COAM_MONITOR_OUT_FD);
  m.output[1] = monitor_slot(s, COAM_MONITOR_ERR, COAM_MONITOR_ERR_FD);
  for (int i = 0; i < 2; i++)
    if (m.output[i] >= 0) SYS3(__NR_fcntl, m.output[i], F_SETFL, O_NONBLOCK);
  if (m.input >= 0) SYS3(__NR_fcntl, m.input, F_SETFL, O_NONBLOCK | O_WRONLY);
  for (;;) {
    struct {
      long seconds, nanoseconds;
    } look = {0, 200000000};
    for (int at = 0; at < AT_CLIENTS; at++) m.poll[at].events = POLLIN;
    m.poll[AT_CHANNEL].fd = m.channel;
    m.poll[AT_OUT].fd = m.hung_up ? -1 : m.output[0];
    m.poll[AT_ERR].fd = m.output[1];
    m.poll[AT_LISTEN].fd = m.listener;
    m.poll[AT_NOTIFY].fd = m.notify;
    m.poll[AT_IN].fd = m.pending_used > 0 ? m.input : -1;
    m.poll[AT_IN].events = POLLOUT;
    for (int i = 0; i < CLIENTS; i++) {
      m.client[i].waits &= m.pending_used > 0;
      m.poll[AT_CLIENTS + i].fd = m.client[i].waits ? -1 : m.client[i].fd;
      m.poll[AT_CLIENTS + i].events = POLLIN;
    }
    if (SYS5(__NR_ppoll, m.poll, AT_CLIENTS + CLIENTS, m.hung_up ? &look : NULL, NULL, 8) < 0)
      continue;
    m.hung_up = 0;
    while (m.channel >= 0 && hear_child()) {
    }
    if (m.poll[AT_OUT].revents) relay_ready(0);
    if (m.poll[AT_ERR].revents) relay_ready(1);
    log_flush();
    if (m.poll[AT_IN].revents) feed_input();
    if (m.poll[AT_NOTIFY].revents) forward_notice();
    for (int i = 0; i < CLIENTS; i++)
      if (m.poll[AT_CLIENTS + i].revents && m.client[i].fd >= 0) serve(i);
    if (m.poll[AT_LISTEN].revents) take_client();
    if (m.poll[AT_SIGNAL].revents) {
      char info[128];
      while (sys_read(m.poll[AT_SIGNAL].fd, info, sizeof info) > 0) {
      }
      reap();
      if (m.ended) finish();
    }
  }
}

/* Three processes: the one that the host has spawned ends at once, so that the monitor is nobody's
 * child who would have to reap it; the monitor stays; its child carries the plan on. */
long step_monitor(const struct coam_step *s) {
  struct clone_args args;
  int pidfd = -1, pair[2];
  memset(&args, 0, sizeof args);
  args.flags = CLONE_PIDFD;
  args.pidfd = (uint64_t)(uintptr_t)&pidfd;
  long pid = SYS2(__NR_clone3, &args, 88);
  if (pid < 0) return pid;
  if (pid > 0) {
    long r = report(COAM_REPORT_MONITOR, (int32_t)pid, NULL, pidfd);
    if (r < 0) SYS2(__NR_kill, pid, SIGKILL);
    sys_exit(0);
  }
  uint64_t all = ~0ull, none = 0;
  SYS4(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
  SYS0(__NR_setsid);
  long r = SYS4(__NR_socketpair, 1 /* AF_UNIX */, 5 | O_CLOEXEC | O_NONBLOCK, 0, pair);
  if (r < 0) return r;
  if (s->flags & COAM_MONITOR_LOG) {
    r = log_open(slot_fd(s->n[1] + COAM_MONITOR_LOG_DIR), plan_text(s->s[0]), s->n[2], s->n[3]);
    if (r < 0) {
      detail("the log ", plan_text(s->s[0]));
      return r;
    }
  }
  args.flags = s->n[0] | CLONE_PIDFD;
  args.exit_signal = SIGCHLD;
  pid = SYS2(__NR_clone3, &args, 88);
  if (pid < 0) return pid;
  if (pid == 0) {
    SYS4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    sys_close(pair[0]);
    log_close();
    helper.monitor = pair[1];
    return 0;
  }
  sys_close(pair[1]);
  r = report(COAM_REPORT_CHILD, (int32_t)pid, NULL, pidfd);
  if (r < 0) SYS2(__NR_kill, pid, SIGKILL);
  sys_close(pidfd);
  monitor_main(s, pair[0], (s->flags & COAM_MONITOR_TWO_STAGE) ? 0 : pid);
}
