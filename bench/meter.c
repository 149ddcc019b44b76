// Runs one command and tells what it took: "SECONDS CPU_SECONDS PEAK_KIB STATUS" on standard output.
//   meter COMMAND [ARG...]
// Standard output of the command goes to /dev/null. CPU covers all that it waited for; the peak is of
// its largest process. The kernel counts the memory that a process had before exec as well, so a
// command must be measured from a small program: this one, static, adds under 1 MiB.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const double start = now();
  const pid_t pid = vfork();
  if (pid == 0) {
    dup2(null, 1);
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  struct rusage used;
  if (pid < 0 || wait4(pid, &status, 0, &used) != pid) return 1;
  printf("%.6f %.6f %ld %d\n", now() - start,
         (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
             (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6,
         used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
