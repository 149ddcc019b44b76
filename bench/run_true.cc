// Starting a container, measured: the library in this process, beside the floor (what must be done and
// nothing else), crun and runc, taking turns; medians, ratios, peak memory.
//
//   run_true BUNDLE N [--ballast MIB] [--threads N] [NAME=COMMAND...]
//
// A COMMAND is split at spaces; "{id}" in it becomes a fresh id. `bench/run_bench` makes the bundle,
// builds the floor and calls this. Times are wall clock from outside, as a caller feels them.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

struct Contender {
  std::string name, command;
  std::vector<double> ms;
  long peak_kib = 0;
  int failed = 0;
};

double Median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int Command(const Contender& c, int turn, long* peak_kib) {
  std::vector<std::string> words;
  std::string word;
  for (const char ch : c.command + " ") {
    if (ch != ' ') {
      word += ch;
      continue;
    }
    if (const size_t at = word.find("{id}"); at != std::string::npos)
      word.replace(at, 4, "bench-" + std::to_string(getpid()) + "-" + std::to_string(turn));
    if (!word.empty()) words.push_back(word);
    word.clear();
  }
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  *peak_kib = std::max(*peak_kib, usage.ru_maxrss);
  return status;
}

bool Fail(const char* what, const absl::Status& s) {
  fprintf(stderr, "run_true: %s: %s\n", what, coaming::base::GetError(s).message.c_str());
  return false;
}

bool Ours(run::Runtime& runtime, const std::string& bundle, int turn) {
  coaming::base::Op op;
  run::CreateOptions o;
  o.id = "bench-own-" + std::to_string(getpid()) + "-" + std::to_string(turn);
  o.bundle = bundle;
  auto c = runtime.Run(op, o);
  if (!c.ok()) return Fail("run", c.status());
  auto status = (*c)->Wait(op);
  if (!status.ok()) return Fail("wait", status.status());
  if (absl::Status s = (*c)->Delete(op, false); !s.ok()) return Fail("delete", s);
  return status->code == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: run_true BUNDLE N [--ballast MIB] [--threads N] [NAME=COMMAND...]\n");
    return 2;
  }
  const std::string bundle = argv[1];
  const int n = atoi(argv[2]);
  size_t ballast = 0;
  int threads = 0;
  std::vector<Contender> all;
  all.push_back({"coaming (in process)", "", {}, 0, 0});
  for (int i = 3; i < argc; ++i) {
    if (strcmp(argv[i], "--ballast") == 0 && i + 1 < argc) {
      ballast = static_cast<size_t>(atol(argv[++i])) << 20;
    } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = atoi(argv[++i]);
    } else if (const char* eq = strchr(argv[i], '=')) {
      all.push_back({std::string(argv[i], static_cast<size_t>(eq - argv[i])), eq + 1, {}, 0, 0});
    }
  }
  if (ballast > 0) {
    char* p = static_cast<char*>(
        mmap(nullptr, ballast, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t at = 0; at < ballast; at += 4096) p[at] = 1;
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < threads; ++i)
    busy.emplace_back([&stop] {
      while (!stop) {
        std::string s(static_cast<size_t>(rand() % 10000), 'x');
        usleep(200);
      }
    });
  run::RuntimeOptions options;
  options.state_root = "/dev/shm/coaming-bench";  // a tmpfs, as /run is where systemd boots
  options.cgroup_parent = "/coaming-bench";
  auto runtime = run::Runtime::New(options);
  if (!runtime.ok()) {
    Fail("open", runtime.status());
    return 1;
  }
  for (int turn = -2; turn < n; ++turn) {  // two to warm up
    for (Contender& c : all) {
      const double start = NowMs();
      const bool ok = c.command.empty() ? Ours(**runtime, bundle, turn + 2)
                                        : Command(c, turn + 2, &c.peak_kib) == 0;
      const double took = NowMs() - start;
      if (!ok) ++c.failed;
      else if (turn >= 0) c.ms.push_back(took);
    }
  }
  stop = true;
  for (std::thread& t : busy) t.join();
  rusage self{};
  getrusage(RUSAGE_CHILDREN, &self);
  const double floor = all.size() > 1 ? Median(all[1].ms) : 0;
  printf("%-24s %9s %9s %9s %9s %7s\n", "run true", "median ms", "min ms", "x floor", "peak MiB",
         "failed");
  for (const Contender& c : all) {
    const double median = Median(c.ms);
    const double least = c.ms.empty() ? 0 : *std::min_element(c.ms.begin(), c.ms.end());
    printf("%-24s %9.2f %9.2f %9.2f %9.1f %7d\n", c.name.c_str(), median, least,
           floor > 0 ? median / floor : 0, c.peak_kib / 1024.0, c.failed);
  }
  return 0;
}
