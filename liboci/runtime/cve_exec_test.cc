// Attacks on what joins a hostile container, one test for each; the numbers are theirs.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::TestBundle;

// Runs `words` in the container and gives what they print.
std::string ExecOut(Container& c, std::vector<std::string> words) {
  base::Op op;
  ExecOptions o;
  o.process = c.DefaultExecProcess(std::move(words));
  o.in.kind = o.err.kind = Stdio::Kind::kNull;
  o.out.kind = Stdio::Kind::kPipe;
  std::unique_ptr<ExecProcess> p = REQUIRE_VALUE(c.Exec(op, o));
  std::string out = testing::ReadAll(p->TakeStdio(1).get());
  REQUIRE_OK(p->Wait(op));
  return out;
}

TEST_CASE("CVE-2019-5736: a container that gets hold of the helper's file cannot write to it",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  // Until it is started, the container's first process is the helper.
  std::unique_ptr<Container> c =
      REQUIRE_VALUE(runtime->Create(op, b.Options(TestBundle::SpecOf({"sleep", "1000"}))));
  ExecOptions o;
  o.process = c->DefaultExecProcess(
      {"sh", "-c",
       "exec 3</proc/1/exe || exit; echo held; read go; "
       "echo x > /proc/self/fd/3 && echo written; echo x 1<> /proc/self/fd/3 && echo written; "
       "echo done"});
  o.in.kind = o.out.kind = Stdio::Kind::kPipe;
  o.err.kind = Stdio::Kind::kNull;
  std::unique_ptr<ExecProcess> attacker = REQUIRE_VALUE(c->Exec(op, o));
  base::UniqueFd in = attacker->TakeStdio(0), out = attacker->TakeStdio(1);
  char buffer[8] = {};
  // It may be refused already here.
  if (read(out.get(), buffer, 5) == 5) REQUIRE(std::string_view(buffer, 5) == "held\n");
  // Now nobody runs the file any more, and only its seals protect it.
  REQUIRE_OK(c->Start(op));
  REQUIRE(write(in.get(), "\n", 1) == 1);
  REQUIRE(testing::ReadAll(out.get()) == "done\n");
  REQUIRE_OK(attacker->Wait(op));
  REQUIRE_OK(c->Delete(op, true));
  REQUIRE(b.RunArgs({"echo", "still works"}).out == "still works\n");
}

TEST_CASE("CVE-2016-9962: the descriptors of what joins a container cannot be reached from inside",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  CreateOptions options = b.Options(TestBundle::SpecOf({"sleep", "1000"}));
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, options));
  int seen = 0;
  for (uint32_t step = 0;; ++step) {
    std::unique_ptr<Container> joined = REQUIRE_VALUE(b.NewRuntime(step, true)->Open(options.id));
    std::atomic<bool> done{false};
    absl::Status status;
    std::thread host([&] {
      base::Op theirs;
      ExecOptions o;
      o.process = joined->DefaultExecProcess({"true"});
      absl::StatusOr<std::unique_ptr<ExecProcess>> p = joined->Exec(theirs, o);
      status = p.status();
      if (p.ok()) (*p)->Wait(theirs).IgnoreError();
      done = true;
    });
    siginfo_t stopped = {};
    while (!done && stopped.si_pid == 0) {
      if (waitid(P_ALL, 0, &stopped, WSTOPPED | WNOHANG) != 0) stopped.si_pid = 0;
      if (stopped.si_pid == 0) poll(nullptr, 0, 1);
    }
    if (stopped.si_pid == 0) {
      host.join();
      REQUIRE_OK(status);
      break;  // past the last step
    }
    const std::string out = ExecOut(
        *c,
        {"sh", "-c",
         "for p in /proc/[0-9]*; do [ $p = /proc/1 -o $p = /proc/$$ ] && continue; "
         "[ -d $p ] && echo there; for f in $p/fd/* $p/exe $p/root; do readlink $f; done; done"});
    kill(stopped.si_pid, SIGCONT);
    host.join();
    INFO("step " << step << ": " << out);
    CHECK((out == "" || out == "there\n"));
    seen += out == "there\n";
    REQUIRE_OK(status);
  }
  REQUIRE(seen > 5);  // it was inside for the later steps
  REQUIRE_OK(c->Delete(op, true));
}

TEST_CASE("CVE-2024-21626: exec does not start in a directory of the host",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::unique_ptr<Container> c =
      REQUIRE_VALUE(b.NewRuntime()->Run(op, b.Options(TestBundle::SpecOf({"sleep", "1000"}))));
  for (int fd = 3; fd < 16; ++fd)
    for (const char* how : {"/proc/self/fd/", "/proc/self/fd/../fd/", "/proc/thread-self/fd/"}) {
      ExecOptions o;
      o.process = c->DefaultExecProcess({"true"});
      o.process.cwd = absl::StrCat(how, fd);
      INFO(o.process.cwd);
      REQUIRE_REASON(c->Exec(op, o), "run.cwd");
    }
  REQUIRE(ExecOut(*c, {"sh", "-c", "echo /proc/self/fd/*"}) ==
          "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n");
  REQUIRE_OK(c->Delete(op, true));
}

TEST_CASE("CVE-2022-29162: what exec is given is neither inheritable nor ambient",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::unique_ptr<Container> c =
      REQUIRE_VALUE(b.NewRuntime()->Run(op, b.Options(TestBundle::SpecOf({"sleep", "1000"}))));
  const std::string out = ExecOut(*c, {"grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"});
  REQUIRE(out == "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
  REQUIRE_OK(c->Delete(op, true));
}

}  // namespace
}  // namespace coaming::run
