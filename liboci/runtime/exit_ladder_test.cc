// How a container's status is found when others in the host take it first: one test for each rung of the
// ladder. (The rung of the monitor's record is in the monitor's own tests.)
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::TestBundle;

std::unique_ptr<Container> Start(const TestBundle& b, std::vector<std::string> args) {
  CreateOptions o = b.Options(TestBundle::SpecOf(std::move(args)));
  o.in.kind = o.out.kind = o.err.kind = Stdio::Kind::kNull;
  return REQUIRE_VALUE(b.NewRuntime()->Run(base::Op(), o));
}

void AwaitEnd(const Container& c) {
  pollfd p = {c.poll_fd(), POLLIN, 0};
  REQUIRE(poll(&p, 1, 10000) == 1);
}

// What a daemon's reap-all loop does with a child of ours.
int ReapAsTheHostWould(const Container& c) {
  AwaitEnd(c);
  int status = 0;
  REQUIRE(waitpid(-1, &status, 0) == c.pid());
  return status;
}

// From here on this process's kernel does not tell of processes that are gone (before 6.15). For a
// child of the test, since a filter stays.
bool ForgetPidfdInfo() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xff0b, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {std::size(code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

template <typename Work>
int InChild(Work work) {
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    try {
      _exit(work());
    } catch (...) {  // a REQUIRE
      _exit(99);
    }
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST_CASE("exit ladder 1: the pidfd gives the status, whatever other children the host has",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::unique_ptr<Container> c = Start(b, {"sh", "-c", "exit 7"});
  pid_t other = fork();
  if (other == 0) _exit(3);
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 7);
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 7);  // and again
  int status = 0;
  REQUIRE(waitpid(-1, &status, 0) == other);  // untouched
  REQUIRE(WEXITSTATUS(status) == 3);
  REQUIRE_OK(c->Delete(op, false));
  c = Start(b, {"sh", "-c", "kill -SEGV $$; sleep 1000"});
  REQUIRE_OK(c->Kill(SIGTERM));  // the first process of a pid namespace takes only what it handles
  REQUIRE_OK(c->Kill(SIGKILL));
  ExitStatus killed = REQUIRE_VALUE(c->Wait(op));
  REQUIRE(killed.signal == SIGKILL);
  REQUIRE(killed.code == 128 + SIGKILL);
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("exit ladder 2: the kernel still tells when the host has reaped the child itself",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  COAM_NEEDS(base::testing::KernelHasPidfdInfo(), "needs Linux 6.15");
  TestBundle b;
  base::Op op;
  std::unique_ptr<Container> c = Start(b, {"sh", "-c", "exit 9"});
  REQUIRE(WEXITSTATUS(ReapAsTheHostWould(*c)) == 9);
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 9);
  REQUIRE_OK(c->Delete(op, false));
  // A host that ignores its children.
  struct sigaction ignore = {}, before;
  ignore.sa_handler = SIG_IGN;
  REQUIRE(sigaction(SIGCHLD, &ignore, &before) == 0);
  c = Start(b, {"sh", "-c", "exit 11"});
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 11);
  REQUIRE(sigaction(SIGCHLD, &before, nullptr) == 0);
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("exit ladder 4 and 5: what the host feeds counts, and else the loss is said",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  REQUIRE(InChild([&] {
            if (!ForgetPidfdInfo()) return 1;
            base::Op op;
            std::unique_ptr<Container> c = Start(b, {"sh", "-c", "exit 13"});
            int status = ReapAsTheHostWould(*c);
            c->FeedStatus(status);
            absl::StatusOr<ExitStatus> fed = c->Wait(op);
            if (!fed.ok() || fed->code != 13 || !c->Delete(op, false).ok()) return 2;
            c = Start(b, {"true"});
            ReapAsTheHostWould(*c);
            absl::StatusOr<ExitStatus> lost = c->Wait(op);
            if (!base::HasReason(lost.status(), "run.status_taken")) return 3;
            return c->Delete(op, false).ok() ? 0 : 4;
          }) == 0);
}

}  // namespace
}  // namespace coaming::run
