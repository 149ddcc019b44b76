// A program of a given size that starts containers when it is told to: the host of bench/start.py.
//
//   host BUNDLE STATE_ROOT MIB
//
// MIB is how much memory it holds and has touched besides its own. A line on standard input is a task,
// and gets one line of answer:
//   own             start the bundle by the library in this process, wait, delete   "MILLISECONDS"
//   spawn COMMAND   posix_spawn, wait                                               "MILLISECONDS"
//   fork COMMAND    fork and exec, wait                                             "MILLISECONDS"
//   memory          "RSS_KIB HELPER_KIB GROWTH_KIB": resident memory of this process; and, read while it
//                   holds a created container, of the helper, and what this process has grown by
// COMMAND is split at blanks. Anything that fails answers "failed: WHY".
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "liboci/runtime/executor.h"

namespace {

namespace run = coaming::run;

double NowMs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

std::string Why(const absl::Status& s) { return coaming::base::GetError(s).message; }

// Resident memory, counted page by page: the kernel's running figure is coarse for small processes.
long ResidentKib(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/smaps_rollup");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("Rss:", 0) == 0) return atol(line.c_str() + 4);
  }
  return 0;
}

class Host {
 public:
  Host(std::string bundle, std::shared_ptr<run::Runtime> runtime)
      : bundle_(std::move(bundle)), runtime_(std::move(runtime)) {}

  std::string Own() {
    const double start = NowMs();
    auto c = runtime_->Run(op_, Options());
    if (!c.ok()) return "failed: " + Why(c.status());
    auto status = (*c)->Wait(op_);
    if (!status.ok()) return "failed: " + Why(status.status());
    if (absl::Status s = (*c)->Delete(op_, false); !s.ok()) return "failed: " + Why(s);
    if (status->code != 0) return "failed: exit code " + std::to_string(status->code);
    return std::to_string(NowMs() - start);
  }

  std::string Memory() {
    const long rss = ResidentKib("self");
    auto c = runtime_->Create(op_, Options());
    if (!c.ok()) return "failed: " + Why(c.status());
    const long helper = ResidentKib(std::to_string((*c)->pid()));
    const long growth = ResidentKib("self") - rss;
    if (absl::Status s = (*c)->Start(op_); !s.ok()) return "failed: " + Why(s);
    if (auto s = (*c)->Wait(op_); !s.ok()) return "failed: " + Why(s.status());
    if (absl::Status s = (*c)->Delete(op_, false); !s.ok()) return "failed: " + Why(s);
    return std::to_string(rss) + " " + std::to_string(helper) + " " + std::to_string(growth);
  }

  std::string Command(bool forks, std::istream& words) {
    std::vector<std::string> all;
    for (std::string word; words >> word;) all.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (all.empty()) return "failed: no command";
    const double start = NowMs();
    pid_t pid = -1;
    if (forks) {
      pid = fork();
      if (pid == 0) {
        execvp(argv[0], argv.data());
        _exit(127);
      }
    } else if (posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) {
      pid = -1;
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return "failed: no process";
    if (status != 0) return "failed: wait status " + std::to_string(status);
    return std::to_string(NowMs() - start);
  }

 private:
  run::CreateOptions Options() {
    run::CreateOptions o;
    o.id = "bench-" + std::to_string(getpid()) + "-" + std::to_string(++count_);
    o.bundle = bundle_;
    // Standard input and output carry the tasks.
    o.in.kind = o.out.kind = run::Stdio::Kind::kNull;
    return o;
  }

  const coaming::base::Op op_;
  const std::string bundle_;
  const std::shared_ptr<run::Runtime> runtime_;
  int count_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: host BUNDLE STATE_ROOT MIB\n");
    return 2;
  }
  if (const size_t size = static_cast<size_t>(atol(argv[3])) << 20; size > 0) {
    void* held = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (held == MAP_FAILED) return 1;
    madvise(held, size, MADV_NOHUGEPAGE);  // pages of one size, on every machine
    memset(held, 1, size);
  }
  run::RuntimeOptions options;
  options.state_root = argv[2];
  options.cgroup_parent = "/coaming-bench";
  auto runtime = run::Runtime::New(options);
  if (!runtime.ok()) {
    fprintf(stderr, "host: %s\n", Why(runtime.status()).c_str());
    return 1;
  }
  Host host(argv[1], *runtime);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string task;
    words >> task;
    std::string answer = "failed: no such task";
    if (task == "own") answer = host.Own();
    if (task == "memory") answer = host.Memory();
    if (task == "spawn" || task == "fork") answer = host.Command(task == "fork", words);
    std::cout << answer << std::endl;
  }
  return 0;
}
