/* run_bundle: run a container from a host that has eight busy threads, and give its exit status.
 *
 *   run_bundle BUNDLE [ID]
 *
 * The library starts the container without forking this process, installs no signal handler and leaves
 * the threads alone. Shows: create and start as two steps, a pipe for the output, a deadline, delete. */
#include <coaming/run.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile int stop;

/* What a daemon's thread does: allocate, work, let go. */
static void *busy(void *unused) {
  (void)unused;
  while (!stop) {
    char *p = (char *)malloc(1000);
    if (p != NULL) p[0] = 1;
    free(p);
  }
  return NULL;
}

static int fail(const coam_error *error) {
  fprintf(stderr, "run_bundle: %s\n", coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_options) where = NULL;
  COAM_AUTO(coam_options) how = NULL;
  COAM_AUTO(coam_options) until = NULL;
  COAM_AUTO(coam_run_runtime) runtime = NULL;
  COAM_AUTO(coam_run_container) container = NULL;
  pthread_t threads[8];
  const char *state = getenv("RUN_BUNDLE_STATE");
  struct timespec now;
  char buffer[4096];
  int32_t code = 0, status = 0;
  ssize_t n;
  int i, out;

  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: run_bundle BUNDLE [ID]\n");
    return 2;
  }
  for (i = 0; i < 8; ++i)
    if (pthread_create(&threads[i], NULL, busy, NULL) != 0) return 1;

  if (coam_options_new("run.runtime", &where, &error) != COAM_OK ||
      coam_options_set(where, "state-root", state != NULL ? state : "/run/run_bundle", &error) !=
          COAM_OK ||
      coam_run_runtime_new(where, &runtime, &error) != COAM_OK ||
      coam_options_new("run.create", &how, &error) != COAM_OK ||
      coam_options_set(how, "bundle", argv[1], &error) != COAM_OK ||
      coam_options_set(how, "stdout", "pipe", &error) != COAM_OK ||
      coam_run_container_create(runtime, NULL, argc > 2 ? argv[2] : "run-bundle", how, &container,
                                &error) != COAM_OK) {
    return fail(error);
  }
  printf("created: process %lld\n", (long long)coam_run_container_pid(container));

  /* A minute for the whole of start and wait. */
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (coam_options_new("run.wait", &until, &error) != COAM_OK) return fail(error);
  coam_options_set_deadline(until, ((int64_t)now.tv_sec + 60) * 1000000000);
  code = coam_run_container_start(container, until, &error);
  if (code == COAM_OK) {
    out = coam_run_container_take_stdio(container, 1);
    while ((n = read(out, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)n, stdout);
    close(out);
    code = coam_run_container_wait(container, until, &status, NULL, &error);
  }
  stop = 1;
  for (i = 0; i < 8; ++i) pthread_join(threads[i], NULL);
  if (code != COAM_OK) status = fail(error);

  /* Whatever happened: nothing is left. */
  if (coam_run_container_delete(container, NULL, 1, NULL, NULL) != COAM_OK)
    fprintf(stderr, "run_bundle: the container could not be deleted\n");
  printf("status: %d\n", (int)status);
  return status;
}
