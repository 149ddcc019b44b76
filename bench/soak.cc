// The executor under load from one host process: many runs in a row, in a row and at once, from a large
// host with busy threads. Ends with what is left over, which must be nothing.
//
//   soak BUNDLE [--runs N] [--ballast MIB] [--busy THREADS] [--at-once N]
//
// Root. BUNDLE is any whose program ends by itself with 0, such as /bin/true. Exit status 1 if a run
// fails or anything leaks.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "liboci/runtime/executor.h"

namespace {

namespace run = coaming::run;

double NowMs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

int Entries(const char* path) {
  int n = 0;
  if (DIR* dir = opendir(path)) {
    while (const dirent* e = readdir(dir)) n += e->d_name[0] != '.';
    closedir(dir);
  }
  return n;
}

long ResidentKib() {
  long pages = 0, resident = 0;
  if (FILE* f = fopen("/proc/self/statm", "r")) {
    if (fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    fclose(f);
  }
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// Cgroups below this program's own in every tree.
int Cgroups(const std::string& parent) {
  int n = 0;
  const std::string command =
      "find /sys/fs/cgroup -mindepth 2 -type d -path '*" + parent + "/*' | wc -l";
  if (FILE* p = popen(command.c_str(), "r")) {
    if (fscanf(p, "%d", &n) != 1) n = -1;
    pclose(p);
  }
  return n;
}

std::atomic<int> failures{0};

double Once(run::Runtime& runtime, const std::string& bundle, int number) {
  coaming::base::Op op;
  run::CreateOptions o;
  o.id = "soak-" + std::to_string(getpid()) + "-" + std::to_string(number);
  o.bundle = bundle;
  o.in.kind = o.out.kind = o.err.kind = run::Stdio::Kind::kNull;
  const double start = NowMs();
  auto c = runtime.Run(op, o);
  absl::Status s = c.status();
  if (s.ok()) {
    auto status = (*c)->Wait(op);
    s = status.status();
    if (status.ok() && status->code != 0) ++failures;
  }
  if (s.ok()) s = (*c)->Delete(op, false);
  if (!s.ok() && failures++ < 5)
    fprintf(stderr, "soak: run %d: %s\n", number, coaming::base::GetError(s).message.c_str());
  return NowMs() - start;
}

void Print(const char* what, std::vector<double> ms, double whole) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&ms](double part) {
    return ms[std::min(ms.size() - 1, static_cast<size_t>(part * static_cast<double>(ms.size())))];
  };
  printf("%-28s %6zu runs in %8.0f ms: %6.2f each; median %6.2f, p99 %6.2f, most %6.2f\n", what,
         ms.size(), whole, whole / static_cast<double>(ms.size()), at(0.5), at(0.99), ms.back());
  fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr,
            "usage: soak BUNDLE [--runs N] [--ballast MIB] [--busy THREADS] [--at-once N]\n");
    return 2;
  }
  const std::string bundle = argv[1];
  int runs = 10000, busy = 64, at_once = 100;
  size_t ballast = 4096;
  for (int i = 2; i + 1 < argc; i += 2) {
    const int value = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--runs") == 0) runs = value;
    if (strcmp(argv[i], "--busy") == 0) busy = value;
    if (strcmp(argv[i], "--at-once") == 0) at_once = value;
    if (strcmp(argv[i], "--ballast") == 0) ballast = static_cast<size_t>(value);
  }
  run::RuntimeOptions options;
  options.state_root = "/dev/shm/coaming-soak-" + std::to_string(getpid());
  options.cgroup_parent = "/coaming-soak-" + std::to_string(getpid());
  auto runtime = run::Runtime::New(options);
  if (!runtime.ok()) {
    fprintf(stderr, "soak: %s\n", coaming::base::GetError(runtime.status()).message.c_str());
    return 1;
  }
  int number = 0;
  const auto in_a_row = [&](const char* what, int n) {
    std::vector<double> ms;
    const double start = NowMs();
    for (int i = 0; i < n; ++i) ms.push_back(Once(**runtime, bundle, number++));
    Print(what, std::move(ms), NowMs() - start);
  };
  in_a_row("100 in a row, small host", 100);
  if (ballast > 0) {
    char* p = static_cast<char*>(
        mmap(nullptr, ballast << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (p == MAP_FAILED) return 1;
    for (size_t at = 0; at < ballast << 20; at += 4096) p[at] = 1;
  }
  in_a_row("100 in a row, large host", 100);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < busy; ++i)
    threads.emplace_back([&stop, i] {
      unsigned seed = static_cast<unsigned>(i);
      while (!stop) {
        std::string s(static_cast<size_t>(rand_r(&seed) % 10000), 'x');
        usleep(200);
      }
    });
  in_a_row("100 in a row, busy host", 100);
  const int fds = Entries("/proc/self/fd");
  const long before = ResidentKib();
  {
    std::vector<double> ms(static_cast<size_t>(at_once));
    std::vector<std::thread> all;
    const double start = NowMs();
    for (size_t i = 0; i < ms.size(); ++i)
      all.emplace_back(
          [&, i, n = number + static_cast<int>(i)] { ms[i] = Once(**runtime, bundle, n); });
    for (std::thread& t : all) t.join();
    number += at_once;
    Print("at once, busy host", std::move(ms), NowMs() - start);
  }
  in_a_row("in a row, busy host", runs);
  stop = true;
  for (std::thread& t : threads) t.join();
  const bool children = waitpid(-1, nullptr, WNOHANG | __WALL) >= 0;
  const int new_fds = Entries("/proc/self/fd") - fds;
  const int states = Entries(options.state_root.c_str()), cgroups = Cgroups(options.cgroup_parent);
  const long grown = ResidentKib() - before;
  printf("failed %d; left: children %s, descriptors %d, states %d, cgroups %d; grown by %ld KiB\n",
         failures.load(), children ? "yes" : "none", new_fds, states, cgroups, grown);
  rmdir(options.state_root.c_str());
  const std::string clean = "find /sys/fs/cgroup -depth -type d -path '*" + options.cgroup_parent +
                            "' -exec rmdir {} + 2>/dev/null";
  if (system(clean.c_str()) != 0) fprintf(stderr, "soak: cgroups are left\n");
  return failures == 0 && !children && new_fds <= 0 && states == 0 && cgroups == 0 ? 0 : 1;
}
