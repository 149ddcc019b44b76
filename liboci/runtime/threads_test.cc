// Many containers at once from many threads of one host.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/status_macros.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/events.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::TestBundle;

// One life: create, start, wait, delete; the third of each four under a monitor with a log, the
// fourth with an exec and a kill. Catch2 is not for threads: failures come as text.
absl::Status Live(Runtime* runtime, const TestBundle& b, int thread, int round) {
  base::Op op;
  const int code = (thread * 7 + round) % 200;
  const int kind = (thread + round) % 4;
  CreateOptions o = b.Options(TestBundle::SpecOf(
      {"sh", "-c", kind == 3 ? "sleep 100" : absl::StrCat("echo x; exit ", code)}));
  o.in.kind = o.out.kind = o.err.kind = Stdio::Kind::kNull;
  if (kind == 2) {
    o.out.kind = Stdio::Kind::kInherit;
    o.monitor.log_path = b.tree() / absl::StrCat("log-", thread);
  }
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<Container> c, runtime->Create(op, o));
  COAM_RETURN_IF_ERROR(c->Start(op));
  if (kind == 3) {
    ExecOptions e;
    e.process = c->DefaultExecProcess({"sh", "-c", absl::StrCat("exit ", code)});
    e.in.kind = e.out.kind = e.err.kind = Stdio::Kind::kNull;
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<ExecProcess> p, c->Exec(op, e));
    COAM_ASSIGN_OR_RETURN(ExitStatus status, p->Wait(op));
    if (status.code != code) return absl::UnknownError(absl::StrCat("exec gave ", status.code));
    COAM_RETURN_IF_ERROR(c->Kill(SIGKILL));
  }
  COAM_ASSIGN_OR_RETURN(ExitStatus status, c->Wait(op));
  if (status.code != (kind == 3 ? 137 : code))
    return absl::UnknownError(absl::StrCat(o.id, " gave ", status.code, ", not ", code));
  return c->Delete(op, false);
}

TEST_CASE("threads: fifty at once make, run and delete containers, and nothing is left",
          "[liboci][runtime][root][slow]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  constexpr int kThreads = 50, kRounds = 4;
  const std::vector<int> before = base::testing::OpenFds();
  {
    std::shared_ptr<Runtime> runtime = b.NewRuntime();
    std::unique_ptr<Events> events = REQUIRE_VALUE(runtime->Watch(""));
    std::vector<absl::Status> results(kThreads);
    std::atomic<int> running{kThreads};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int round = 0; round < kRounds && results[t].ok(); ++round)
          results[t] = Live(runtime.get(), b, t, round);
        --running;
      });
    // Meanwhile somebody lists, and somebody watches.
    int deleted = 0, exited = 0, known = 0;
    auto take = [&] {
      for (;;) {
        const std::optional<Event> e = REQUIRE_VALUE(events->Next());
        if (!e) return;
        deleted += e->type == "deleted";
        exited += e->type == "exited";
        known += e->type == "exited" && e->status.has_value();
      }
    };
    while (running > 0) {
      REQUIRE_OK(runtime->List());
      take();
    }
    for (std::thread& t : threads) t.join();
    for (const absl::Status& s : results) REQUIRE_OK(s);
    base::Op op;
    op.set_deadline(base::Deadline::AfterMs(20000));
    for (take(); deleted < kThreads * kRounds; take())
      REQUIRE_OK(base::WaitFd(op, events->poll_fd(), POLLIN));
    REQUIRE(deleted == kThreads * kRounds);
    REQUIRE(exited == kThreads * kRounds);
    REQUIRE(known == kThreads * kRounds);
    REQUIRE(REQUIRE_VALUE(runtime->List()).empty());
  }
  REQUIRE(base::testing::OpenFds() == before);
  REQUIRE(waitpid(-1, nullptr, WNOHANG) == -1);
  REQUIRE(errno == ECHILD);
  std::string left;
  base::testing::Shell(absl::StrCat("find /sys/fs/cgroup -maxdepth 4 -path '*coaming-test/t-",
                                    getpid(), "-*'; ls -A ", b.tree() / "state"),
                       &left);
  REQUIRE(left.empty());
}

}  // namespace
}  // namespace coaming::run
