/* The host witness: what a C call did to the process it ran in (DESIGN 2.9).
 *
 * The wrappers that make_witness.py writes call witness_before and witness_after round each function
 * of the ABI. Loaded by LD_PRELOAD, so any program or Python test becomes a witness test. Findings go
 * to the file named by COAM_WITNESS_OUT: "call NAME" once, "differs NAME WHAT BEFORE AFTER" each time.
 */
#define _GNU_SOURCE
#include "tests/capi/witness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread int depth;

static void report(const char *format, const char *a, const char *b, const char *c, const char *d) {
  const char *path = getenv("COAM_WITNESS_OUT");
  if (path == NULL) return;
  char line[1024];
  const int n = snprintf(line, sizeof line, format, a, b, c, d);
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  if (write(fd, line, n < (int)sizeof line ? n : (int)sizeof line - 1) < 0) abort();
  close(fd);
}

static unsigned long hash(unsigned long h, const void *data, size_t size) {
  const unsigned char *p = data;
  for (size_t i = 0; i < size; i++) h = (h ^ p[i]) * 1099511628211UL;
  return h;
}

/* Umask, thread count and signal state as the kernel tells them; nothing is changed by asking. */
static void read_status(struct witness *w) {
  char text[4096];
  const int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return;
  text[n] = 0;
  const struct {
    const char *key;
    char *to;
    size_t size;
  } want[] = {{"\nUmask:\t", w->umask, sizeof w->umask},
              {"\nSigBlk:\t", w->blocked, sizeof w->blocked},
              {"\nSigIgn:\t", w->ignored, sizeof w->ignored},
              {"\nSigCgt:\t", w->caught, sizeof w->caught},
              {"\nNoNewPrivs:\t", w->no_new_privs, sizeof w->no_new_privs},
              {"\nUid:\t", w->uid, sizeof w->uid},
              {"\nGid:\t", w->gid, sizeof w->gid},
              {"\nThreads:\t", w->threads, sizeof w->threads}};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    const char *at = strstr(text, want[i].key);
    if (at == NULL) continue;
    at += strlen(want[i].key);
    const size_t length = strcspn(at, "\n");
    snprintf(want[i].to, want[i].size, "%.*s", (int)length, at);
  }
  /* Signals 32 and 33 are the C library's own: it catches them once a process has a second thread. */
  char *const own[] = {w->caught, w->ignored};
  for (size_t i = 0; i < 2; i++) {
    const unsigned long set = strtoul(own[i], NULL, 16) & ~((1UL << 31) | (1UL << 32));
    snprintf(own[i], sizeof w->caught, "%016lx", set);
  }
}

static void read_fds(struct witness *w) {
  DIR *dir = opendir("/proc/self/fd");
  if (dir == NULL) return;
  const int own = dirfd(dir);
  struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == own) continue;
    if (fd < WITNESS_FDS) w->fds[fd] = (fcntl(fd, F_GETFD) & FD_CLOEXEC) ? 2 : 1;
  }
  closedir(dir);
}

static void take(struct witness *w) {
  memset(w, 0, sizeof *w);
  read_status(w);
  read_fds(w);
  if (getcwd(w->cwd, sizeof w->cwd) == NULL) w->cwd[0] = 0;
  snprintf(w->locale, sizeof w->locale, "%s", setlocale(LC_ALL, NULL));
  w->environment = 14695981039346656037UL;
  for (char **e = environ; e != NULL && *e != NULL; e++) {
    w->environment = hash(w->environment, *e, strlen(*e) + 1);
  }
  w->limits = 14695981039346656037UL;
  for (int i = 0; i < RLIM_NLIMITS; i++) {
    struct rlimit limit = {0, 0};
    getrlimit((__rlimit_resource_t)i, &limit);
    w->limits = hash(w->limits, &limit, sizeof limit);
  }
  w->handlers = 14695981039346656037UL;
  for (int i = 1; i < 65; i++) {
    if (i == 32 || i == 33) continue;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (sigaction(i, NULL, &action) != 0) continue;
    w->handlers = hash(w->handlers, &action.sa_handler, sizeof action.sa_handler);
    w->handlers = hash(w->handlers, &action.sa_flags, sizeof action.sa_flags);
  }
  int subreaper = 0;
  prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
  w->subreaper = subreaper;
  w->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  w->priority = getpriority(PRIO_PROCESS, 0);
}

static void differs(const char *name, const char *what, const char *before, const char *after) {
  if (strcmp(before, after) != 0) report("differs %s %s %s %s\n", name, what, before, after);
}

static void differs_number(const char *name, const char *what, unsigned long before,
                           unsigned long after) {
  char a[32], b[32];
  snprintf(a, sizeof a, "%lu", before);
  snprintf(b, sizeof b, "%lu", after);
  differs(name, what, a, b);
}

static int ends_with(const char *name, const char *end) {
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

void witness_before(struct witness *w, const char *name, int *seen) {
  const int saved = errno;
  pthread_mutex_lock(&mutex);
  if (!*seen) {
    *seen = 1;
    report("call %s\n", name, "", "", "");
  }
  pthread_mutex_unlock(&mutex);
  if (depth++ == 0) take(w);
  errno = saved;
}

void witness_after(const struct witness *before, const char *name) {
  if (--depth != 0) return;
  const int saved = errno;
  struct witness after;
  take(&after);
  differs(name, "umask", before->umask, after.umask);
  differs(name, "blocked-signals", before->blocked, after.blocked);
  differs(name, "ignored-signals", before->ignored, after.ignored);
  differs(name, "caught-signals", before->caught, after.caught);
  differs(name, "no_new_privs", before->no_new_privs, after.no_new_privs);
  differs(name, "uid", before->uid, after.uid);
  differs(name, "gid", before->gid, after.gid);
  differs(name, "cwd", before->cwd, after.cwd);
  differs(name, "locale", before->locale, after.locale);
  differs_number(name, "environment", before->environment, after.environment);
  differs_number(name, "limits", before->limits, after.limits);
  differs_number(name, "handlers", before->handlers, after.handlers);
  differs_number(name, "subreaper", (unsigned long)before->subreaper,
                 (unsigned long)after.subreaper);
  differs_number(name, "dumpable", (unsigned long)before->dumpable, (unsigned long)after.dumpable);
  differs_number(name, "priority", (unsigned long)before->priority, (unsigned long)after.priority);
  /* Only a call that starts a job may leave a thread behind. Where other threads work already, they
   * may start some of their own meanwhile. */
  const int threads_before = atoi(before->threads), threads_after = atoi(after.threads);
  if (threads_before == 1 && threads_after > 1 && !ends_with(name, "_start")) {
    differs(name, "threads", before->threads, after.threads);
  }
  /* Other threads open descriptors of their own while we look. */
  if (threads_before == 1 && threads_after == 1) {
    for (int fd = 0; fd < WITNESS_FDS; fd++) {
      char number[16];
      snprintf(number, sizeof number, "%d", fd);
      if (after.fds[fd] == 1 && before->fds[fd] != 1) {
        report("differs %s inheritable-descriptor %s -\n", name, number, "", "");
      }
      if (after.fds[fd] != 0 && before->fds[fd] == 0 && fd < 3) {
        report("differs %s standard-descriptor %s -\n", name, number, "", "");
      }
      /* What the host had open must stay; the library's own may go with free and close. */
      if (before->fds[fd] == 1 && after.fds[fd] == 0) {
        report("differs %s closed-descriptor %s -\n", name, number, "", "");
      }
    }
  }
  errno = saved;
}
