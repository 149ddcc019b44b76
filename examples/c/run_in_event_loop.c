/* run_in_event_loop: three containers in one epoll loop, without a thread and without SIGCHLD.
 *
 *   run_in_event_loop BUNDLE
 *
 * Each container has a descriptor that becomes readable at its end, and a pipe with its output: an event
 * loop (sd-event, GLib, libuv) takes both as it takes any other. */
#include <coaming/run.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define COUNT 3

static int fail(const coam_error *error) {
  fprintf(stderr, "run_in_event_loop: %s\n", coam_error_message(error).data);
  return coam_error_exit_code(error);
}

/* Even numbers are outputs, odd ones are ends. */
static int watch(int epoll, int fd, uint32_t number) {
  struct epoll_event event;
  event.events = EPOLLIN;
  event.data.u32 = number;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_options) where = NULL;
  COAM_AUTO(coam_options) how = NULL;
  COAM_AUTO(coam_run_runtime) runtime = NULL;
  coam_run_container *containers[COUNT] = {NULL, NULL, NULL};
  const char *state = getenv("RUN_BUNDLE_STATE");
  int outputs[COUNT], epoll = epoll_create1(EPOLL_CLOEXEC), open = 0, result = 0;
  uint32_t i;

  if (argc != 2 || epoll < 0) {
    fprintf(stderr, "usage: run_in_event_loop BUNDLE\n");
    return 2;
  }
  if (coam_options_new("run.runtime", &where, &error) != COAM_OK ||
      coam_options_set(where, "state-root", state != NULL ? state : "/run/run_in_event_loop",
                       &error) != COAM_OK ||
      coam_run_runtime_new(where, &runtime, &error) != COAM_OK ||
      coam_options_new("run.create", &how, &error) != COAM_OK ||
      coam_options_set(how, "bundle", argv[1], &error) != COAM_OK ||
      coam_options_set(how, "stdout", "pipe", &error) != COAM_OK) {
    return fail(error);
  }
  for (i = 0; i < COUNT; ++i) {
    char id[32];
    snprintf(id, sizeof id, "loop-%d-%u", (int)getpid(), (unsigned)i);
    if (coam_run_container_run(runtime, NULL, id, how, &containers[i], &error) != COAM_OK) {
      result = fail(error);
      break;
    }
    outputs[i] = coam_run_container_take_stdio(containers[i], 1);
    if (watch(epoll, outputs[i], 2 * i) != 0 ||
        watch(epoll, coam_run_container_fd(containers[i]), 2 * i + 1) != 0)
      return 1;
    open += 2;
  }
  while (open > 0 && result == 0) {
    struct epoll_event event;
    char buffer[4096];
    int32_t status = 0;
    ssize_t n;
    if (epoll_wait(epoll, &event, 1, -1) != 1) continue;
    i = event.data.u32 / 2;
    if (event.data.u32 % 2 == 0) {
      n = read(outputs[i], buffer, sizeof buffer);
      if (n > 0) {
        printf("%u says: %.*s", (unsigned)i, (int)n, buffer);
        continue;
      }
      close(outputs[i]);
    } else {
      /* Readable: the wait does not block. */
      epoll_ctl(epoll, EPOLL_CTL_DEL, coam_run_container_fd(containers[i]), NULL);
      if (coam_run_container_wait(containers[i], NULL, &status, NULL, &error) != COAM_OK)
        result = fail(error);
      printf("%u ended with %d\n", (unsigned)i, (int)status);
    }
    --open;
  }
  for (i = 0; i < COUNT; ++i) {
    if (containers[i] != NULL &&
        coam_run_container_delete(containers[i], NULL, 1, NULL, NULL) != COAM_OK)
      result = 1;
    coam_run_container_free(containers[i]);
  }
  close(epoll);
  return result;
}
