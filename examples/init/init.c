/* init: a first process that runs containers and nothing else, on the executor's flavour of coaming.
 *
 *   /init                 mounts what a system needs, starts every bundle below /services, and stays
 *
 * A service is a bundle /services/NAME; with a file "restart" in it, it is started again when it ends.
 * SIGTERM powers the machine off, SIGINT (ctrl-alt-del) reboots it; when no service is left it powers
 * off as well. It is linked statically against libcoaming-run: no file but itself is needed to boot.
 * In a pid namespace it works as in a machine.
 *
 * Shows: an event loop over containers' descriptors; a host that reaps all children itself and passes
 * their status on; a container root in an initramfs; leaving nothing behind. */
#include <coaming/run.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVICES "/services"
#define MOST 64
#define GRACE_SECONDS 5
#define RAMFS 0x858458f6L
#define TMPFS 0x01021994L

struct service {
  char name[64];
  int restart;
  coam_run_container *container; /* NULL: not running */
  time_t started;
};
static struct service services[MOST];
static int count, epoll = -1, ending, how_to_end = RB_POWER_OFF;
static coam_run_runtime *runtime;

static void say(const char *what, const char *of, const char *why) {
  printf("init: %s %s%s%s\n", what, of, why[0] ? ": " : "", why);
  fflush(stdout);
}

static void complain(const char *what, const char *of, coam_error **error) {
  say(what, of, coam_error_message(*error).data);
  coam_error_free(*error);
  *error = NULL;
}

/* ---- The system --------------------------------------------------------------------------------- */

static void mount_all(void) {
  static const struct {
    const char *type, *target, *data;
    unsigned long flags;
  } mounts[] = {{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
                {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
                {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
                {"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
                {"cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC}};
  struct stat above, here;
  char parent[64];
  size_t i;
  for (i = 0; i < sizeof mounts / sizeof *mounts; ++i) {
    mkdir(mounts[i].target, 0755);
    /* What is mounted already stays: a container manager or an initramfs may have been here. */
    snprintf(parent, sizeof parent, "%s/..", mounts[i].target);
    if (stat(mounts[i].target, &here) == 0 && stat(parent, &above) == 0 &&
        here.st_dev != above.st_dev)
      continue;
    if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data) !=
        0)
      say("mounting", mounts[i].target, strerror(errno));
  }
}

/* ---- Services ----------------------------------------------------------------------------------- */

static void find_services(void) {
  DIR *dir = opendir(SERVICES);
  struct dirent *entry;
  char path[400];
  struct stat st;
  if (dir == NULL) return;
  while ((entry = readdir(dir)) != NULL && count < MOST) {
    if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof services[0].name) continue;
    snprintf(path, sizeof path, "%s/%s/config.json", SERVICES, entry->d_name);
    if (stat(path, &st) != 0) continue;
    snprintf(path, sizeof path, "%s/%s/restart", SERVICES, entry->d_name);
    services[count].restart = stat(path, &st) == 0;
    strcpy(services[count].name, entry->d_name);
    ++count;
  }
  closedir(dir);
}

static void start(struct service *s) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_options) options = NULL;
  struct epoll_event event;
  struct statfs root;
  char path[400];
  s->started = time(NULL);
  snprintf(path, sizeof path, "%s/%s", SERVICES, s->name);
  if (coam_options_new("run.create", &options, &error) != COAM_OK ||
      coam_options_set(options, "bundle", path, &error) != COAM_OK ||
      /* The root of an initramfs cannot be pivoted away from. */
      (statfs("/", &root) == 0 && ((long)root.f_type == RAMFS || (long)root.f_type == TMPFS) &&
       coam_options_set(options, "no-pivot", "true", &error) != COAM_OK) ||
      coam_run_container_run(runtime, NULL, s->name, options, &s->container, &error) != COAM_OK) {
    complain("starting", s->name, &error);
    s->container = NULL;
    return;
  }
  event.events = EPOLLIN;
  event.data.ptr = s;
  epoll_ctl(epoll, EPOLL_CTL_ADD, coam_run_container_fd(s->container), &event);
  say("started", s->name, "");
}

static void ended(struct service *s) {
  coam_error *error = NULL;
  int32_t code = -1;
  char text[32];
  epoll_ctl(epoll, EPOLL_CTL_DEL, coam_run_container_fd(s->container), NULL);
  if (coam_run_container_wait(s->container, NULL, &code, NULL, &error) != COAM_OK)
    complain("waiting for", s->name, &error);
  if (coam_run_container_delete(s->container, NULL, 1, NULL, &error) != COAM_OK)
    complain("deleting", s->name, &error);
  coam_run_container_free(s->container);
  s->container = NULL;
  snprintf(text, sizeof text, "status %d", (int)code);
  say("ended", s->name, text);
}

static int running(void) {
  int i, n = 0;
  for (i = 0; i < count; ++i) n += services[i].container != NULL;
  return n;
}

/* Starts again what is to run for ever; what ends at once is given a second's rest. True: some wait. */
static int restart(void) {
  int i, waiting = 0;
  for (i = 0; i < count && !ending; ++i) {
    struct service *s = &services[i];
    if (s->container != NULL || !s->restart) continue;
    if (time(NULL) > s->started) start(s);
    waiting |= s->container == NULL;
  }
  return waiting;
}

/* ---- Children ----------------------------------------------------------------------------------- */

/* Everything without a parent is this process's to reap; what coaming waits for is passed on. */
static void reap(void) {
  int status, i;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (i = 0; i < count; ++i)
      if (services[i].container != NULL && coam_run_container_pid(services[i].container) == pid)
        coam_run_container_feed_status(services[i].container, status);
}

static void end_all(int signal) {
  int i;
  for (i = 0; i < count; ++i)
    if (services[i].container != NULL &&
        coam_run_container_kill(services[i].container, signal, 1, NULL) != COAM_OK)
      say("signalling", services[i].name, "it has ended");
}

static void finish(void) {
  int i;
  for (i = 0; i < count; ++i)
    if (services[i].container != NULL) ended(&services[i]); /* deletes by force */
  coam_run_runtime_free(runtime);
  say("all services have ended", "", "");
  sync();
  umount2("/sys/fs/cgroup", MNT_DETACH);
  umount2("/run", MNT_DETACH);
  reboot(how_to_end);
  _exit(0); /* a pid namespace whose owner may not reboot */
}

/* ---- The loop ----------------------------------------------------------------------------------- */

static void on_signal(int fd, int timer) {
  struct signalfd_siginfo info;
  struct itimerspec grace = {{0, 0}, {GRACE_SECONDS, 0}};
  while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      reap();
    } else if (!ending) {
      ending = 1;
      how_to_end = info.ssi_signo == SIGINT ? RB_AUTOBOOT : RB_POWER_OFF;
      say("shutting down", "", "");
      end_all(SIGTERM);
      timerfd_settime(timer, 0, &grace, NULL);
    }
  }
}

int main(void) {
  COAM_AUTO(coam_error) error = NULL;
  struct epoll_event event = {EPOLLIN, {NULL}};
  struct itimerspec soon = {{0, 0}, {1, 0}};
  sigset_t signals;
  uint64_t ticks;
  int signal_fd, timer, i, expired, waiting;

  if (getpid() != 1) {
    fprintf(stderr, "init: meant to be the first process of a machine or a pid namespace\n");
    return 2;
  }
  mount_all();
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  reboot(RB_DISABLE_CAD); /* ctrl-alt-del comes as SIGINT */
  signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  event.data.ptr = &signal_fd;
  epoll_ctl(epoll, EPOLL_CTL_ADD, signal_fd, &event);
  event.data.ptr = &timer;
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);

  if (coam_run_runtime_new(NULL, &runtime, &error) != COAM_OK) {
    complain("opening", "the executor", &error);
    return 1;
  }
  find_services();
  for (i = 0; i < count; ++i) start(&services[i]);
  waiting = restart();
  while (running() > 0 || waiting) {
    expired = 0;
    if (waiting && !ending) timerfd_settime(timer, 0, &soon, NULL);
    if (epoll_wait(epoll, &event, 1, -1) == 1) {
      if (event.data.ptr == &signal_fd) on_signal(signal_fd, timer);
      else if (event.data.ptr == &timer) expired = read(timer, &ticks, sizeof ticks) > 0;
      else ended((struct service *)event.data.ptr);
    }
    if (expired && ending) break; /* patience is at its end */
    waiting = restart();
  }
  finish();
  return 0;
}
