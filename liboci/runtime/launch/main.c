/* coaming-launch: carries out a sealed launch plan, step by step, and becomes the program.
 *
 * Started by the host with the plan's descriptor number as its argument. It reports over the sync
 * socket; on failure {step, errno, detail}, on success it is gone by exec and the socket closes.
 * It trusts the plan (sealed by the host) and nothing in the container's root.
 */
#include "liboci/runtime/launch/helper.h"

struct helper helper = {.root = -1, .mask_dir = -1, .monitor = -1};

int slot_fd(uint64_t slot) { return (int)(helper.plan->fd_base + (uint32_t)slot); }

const char *plan_text(uint32_t offset) {
  return offset == 0 ? NULL : (const char *)helper.plan + offset;
}

long report_to(int socket, uint32_t kind, int32_t value, const char *text, int fd) {
  struct coam_report r = {kind, helper.step, value, 0};
  size_t size = text ? text_length(text) : 0;
  if (size > COAM_REPORT_MAX) size = COAM_REPORT_MAX;
  r.size = (uint32_t)size;
  struct sys_iovec iov[2] = {{&r, sizeof r}, {(void *)text, size}};
  struct sys_cmsg_fd control = {sizeof(size_t) + 2 * sizeof(int) + sizeof(int), 1, 1, fd, 0};
  struct sys_msghdr m = {0, 0, iov, size ? 2 : 1, 0, 0, 0};
  if (fd >= 0) m.control = &control, m.controllen = sizeof control;
  long n;
  do n = SYS3(__NR_sendmsg, socket, &m, 0x4000 /* MSG_NOSIGNAL */);
  while (n == -EINTR);
  return n < 0 ? n : 0;
}

long report(uint32_t kind, int32_t value, const char *text, int fd) {
  return report_to(slot_fd(COAM_SLOT_SYNC), kind, value, text, fd);
}

void note(long negative_errno, const char *text) {
  report(COAM_REPORT_NOTE, (int32_t)-negative_errno, text, -1);
}

void detail(const char *a, const char *b) {
  const char *end = helper.text + sizeof helper.text;
  char *p = text_append(helper.text, end, a);
  if (b) text_append(p, end, b);
}

/* Reads the host's next order; a host that is gone ends the helper. */
long wait_for(char want) {
  char c;
  long n;
  for (;;) {
    n = sys_read(slot_fd(COAM_SLOT_SYNC), &c, 1);
    if (n == -EINTR) continue;
    if (n <= 0) sys_exit(125);
    if (c == want) return 0;
    return -EPROTO;
  }
}

static long carry_out(const struct coam_step *s) {
  if (s->op < 20) return step_namespaces(s);
  if (s->op == COAM_OP_CONSOLE) return step_console(s);
  if (s->op < 50) return step_mounts(s);
  if (s->op < 70) return step_settings(s);
  if (s->op < 90) return step_privileges(s);
  if (s->op == COAM_OP_HOOK) return step_hook(s);
  return step_program(s);
}

static int plan_is_sound(const struct coam_plan_header *h, uint64_t size) {
  if (size < sizeof *h || h->magic != COAM_PLAN_MAGIC || h->version != COAM_PLAN_VERSION) return 0;
  if (h->size != size || h->nsteps > 65536 || h->fd_base > (1u << 20)) return 0;
  uint64_t bytes = sizeof *h + (uint64_t)h->nsteps * sizeof(struct coam_step);
  if (bytes >= size || ((const char *)h)[size - 1] != 0) return 0;
  const struct coam_step *s = (const struct coam_step *)(h + 1);
  for (uint32_t i = 0; i < h->nsteps; i++)
    for (int k = 0; k < 4; k++)
      if (s[i].s[k] != 0 && (s[i].s[k] < bytes || s[i].s[k] >= size)) return 0;
  return 1;
}

/* Signals: nothing blocked, nothing ignored; SIGPIPE stays ignored until the program starts. */
static void reset_signals(void) {
  uint64_t none = 0;
  struct {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
  } action = {0, 0, 0, 0};
  for (int i = 1; i <= 64; i++)
    if (i != SIGKILL && i != SIGSTOP) SYS4(__NR_rt_sigaction, i, &action, 0, 8);
  SYS4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
}

#ifdef COAM_LAUNCH_STOPS
/* A flavour for tests alone: it is killed (or stopped) at the step that the test has written here. The
 * first process of a pid namespace takes no SIGKILL from itself, but dies of a fault. */
static volatile struct {
  char name[24];
  uint32_t step, stop;
} stops = {"coaming-launch stops at", ~0u, 0};
static void may_stop(void) {
  if (helper.step != stops.step) return;
  if (!stops.stop) __builtin_trap();
  SYS2(__NR_kill, SYS0(__NR_getpid), SIGSTOP);
}
#else
static void may_stop(void) {}
#endif

__attribute__((noreturn, used)) void helper_main(long *stack) {
  const char *number = stack[0] > 1 ? (const char *)stack[2] : "";
  int fd = 0;
  while (*number >= '0' && *number <= '9') fd = fd * 10 + (*number++ - '0');
  struct statx st;
  if (fd < 3 || sys_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) < 0) sys_exit(125);
  if (st.stx_size > (1u << 28)) sys_exit(125);
  long map = sys6(__NR_mmap, 0, (long)st.stx_size, 1 /* PROT_READ */, 2 /* MAP_PRIVATE */, fd, 0);
  if (map < 0 && map > -4096) sys_exit(125);
  helper.plan = (const struct coam_plan_header *)map;
  if (!plan_is_sound(helper.plan, st.stx_size)) sys_exit(125);
  helper.steps = (const struct coam_step *)(helper.plan + 1);
  SYS3(__NR_close_range, helper.plan->fd_base + helper.plan->nslots, ~0u, 0);
  reset_signals();
  SYS1(__NR_umask, 0);
  for (; helper.step < helper.plan->nsteps; helper.step++) {
    helper.text[0] = 0;
    may_stop();
    long r = carry_out(&helper.steps[helper.step]);
    if (r != 0) {
      report(COAM_REPORT_ERROR, (int32_t)-r, helper.text, -1);
      sys_exit(125);
    }
  }
  sys_exit(125); /* a plan ends in EXEC or PAUSE */
}

#if defined(__x86_64__)
__asm__(
    ".globl _start\n_start:\n\txor %ebp,%ebp\n\tmov %rsp,%rdi\n\tand $-16,%rsp\n\tcall "
    "helper_main\n"
    "\thlt\n");
#else
__asm__(".globl _start\n_start:\n\tmov x29,#0\n\tmov x0,sp\n\tbl helper_main\n\tbrk #1\n");
#endif
