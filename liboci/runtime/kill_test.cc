// kill -9 at every step: of the launch helper, by a flavour that dies at a given one; of the host, at
// each of its system calls, by ptrace. Whatever died, `delete --force` leaves nothing behind.
#include <linux/ptrace.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::LeftBehind;
using testing::TestBundle;

// A system call that the library does not make: from here on they are counted.
void Mark() { syscall(SYS_getpgid, 0); }

long Trace(unsigned request, pid_t pid, uintptr_t address, void* data) {
  return syscall(SYS_ptrace, request, pid, address, data);
}

// Runs `work` in a child that is killed before its n-th call after Mark, from 0. False if it ended by
// itself before that.
bool KilledAt(int n, const std::function<bool()>& work) {
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Trace(PTRACE_TRACEME, 0, 0, nullptr);
    raise(SIGSTOP);
    _exit(work() ? 0 : 9);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(Trace(PTRACE_SETOPTIONS, child, 0,
                reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0);
  bool marked = false;
  int signal = 0;
  for (;;) {
    REQUIRE(Trace(PTRACE_SYSCALL, child, 0, reinterpret_cast<void*>(intptr_t{signal})) == 0);
    REQUIRE(waitpid(child, &status, __WALL) == child);
    if (WIFEXITED(status)) {
      REQUIRE(WEXITSTATUS(status) == 0);
      return false;
    }
    REQUIRE(WIFSTOPPED(status));
    signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
    if (signal != 0) continue;
    ptrace_syscall_info info = {};
    REQUIRE(Trace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (info.entry.nr == SYS_getpgid) {
      marked = true;
    } else if (marked && n-- == 0) {
      kill(child, SIGKILL);
      REQUIRE(waitpid(child, &status, __WALL) == child);
      return true;
    }
  }
}

Spec SpecOf(std::vector<std::string> args, bool user_namespace) {
  Spec s = TestBundle::SpecOf(std::move(args));
  if (user_namespace) {
    s.linux_.namespaces.push_back({"user", ""});
    s.linux_.uid_mappings = s.linux_.gid_mappings = {{0, 100000, 65536}};
  }
  return s;
}

CreateOptions Quiet(CreateOptions o) {
  o.in.kind = o.out.kind = o.err.kind = Stdio::Kind::kNull;
  return o;
}

// Another process deletes what is left of `id` with force, while this one reaps: all orphans come here,
// and a pid namespace ends only when its processes have been reaped. Then nothing may be left; a process
// that lives on is waited for ten seconds.
void RequireClean(const TestBundle& b, const std::shared_ptr<Runtime>& runtime,
                  const std::string& id) {
  pid_t remover = fork();
  REQUIRE(remover >= 0);
  if (remover == 0) _exit(runtime->Remove(base::Op(), id, /*force=*/true).ok() ? 0 : 1);
  int removed = -1;
  pid_t pid = 0;
  for (int i = 0; i < 10000 && pid >= 0; ++i) {
    int status;
    pid = waitpid(-1, &status, WNOHANG | __WALL);
    if (pid == remover) removed = status;
    if (pid == 0) poll(nullptr, 0, 1);
  }
  REQUIRE(pid < 0);  // nobody is left
  REQUIRE(removed == 0);
  REQUIRE(LeftBehind(b, id) == "");
}

TEST_CASE("kill -9 of the helper at every step of create and start leaves nothing behind",
          "[liboci][runtime][root][slow]") {
  COAM_NEEDS_CONTAINERS();
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  TestBundle b;
  std::shared_ptr<Runtime> sane = b.NewRuntime();
  for (bool user : {false, true}) {
    Spec s = SpecOf({"true"}, user);
    uint32_t step = 0;
    for (bool whole = false; !whole; ++step) {
      INFO("step " << step << " of a run" << (user ? " with a user namespace" : ""));
      std::shared_ptr<Runtime> deadly = b.NewRuntime(step, false);
      base::Op op;
      CreateOptions o = Quiet(b.Options(s));
      absl::StatusOr<std::unique_ptr<Container>> run = deadly->Run(op, o);
      // Killed once all is prepared, it is the program that was killed.
      whole = run.ok() && REQUIRE_VALUE((*run)->Wait(op)).code == 0;
      RequireClean(b, sane, o.id);
      // The same by create and start: the late steps are in start.
      o = Quiet(b.Options(s));
      absl::StatusOr<std::unique_ptr<Container>> created = deadly->Create(op, o);
      if (created.ok() && (*created)->Start(op).ok())
        REQUIRE((REQUIRE_VALUE((*created)->Wait(op)).code == 0) == whole);
      else REQUIRE(!whole);
      RequireClean(b, sane, o.id);
      REQUIRE(step < 200);
    }
    REQUIRE(step > 20);
  }
}

TEST_CASE("kill -9 of the helper at every step of exec leaves nothing behind",
          "[liboci][runtime][root][slow]") {
  COAM_NEEDS_CONTAINERS();
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  TestBundle b;
  std::shared_ptr<Runtime> sane = b.NewRuntime();
  base::Op op;
  CreateOptions o = Quiet(b.Options(SpecOf({"sleep", "1000"}, false)));
  std::unique_ptr<Container> c = REQUIRE_VALUE(sane->Run(op, o));
  uint32_t step = 0;
  for (bool whole = false; !whole; ++step) {
    INFO("step " << step);
    std::unique_ptr<Container> again = REQUIRE_VALUE(b.NewRuntime(step, false)->Open(o.id));
    ExecOptions e;
    e.in.kind = e.out.kind = e.err.kind = Stdio::Kind::kNull;
    e.process = again->DefaultExecProcess({"true"});
    absl::StatusOr<std::unique_ptr<ExecProcess>> p = again->Exec(op, e);
    whole = p.ok() && REQUIRE_VALUE((*p)->Wait(op)).code == 0;
    // The container itself lives, alone.
    REQUIRE(REQUIRE_VALUE(c->Pids()).size() == 1);
    REQUIRE(step < 200);
  }
  REQUIRE(step > 10);
  RequireClean(b, sane, o.id);
}

TEST_CASE("kill -9 of the host at every system call of create, start, exec and delete",
          "[liboci][runtime][root][slow]") {
  COAM_NEEDS_CONTAINERS();
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  TestBundle b;
  std::shared_ptr<Runtime> sane = b.NewRuntime();
  base::Op op;
  CreateOptions o;
  const auto open = [&] { return b.NewRuntime()->Open(o.id); };

  // What is done first by this process, and what by the one that is killed.
  struct Row {
    const char* name;
    std::function<bool()> before, killed;
  };
  const auto create = [&] { return sane->Create(op, o).ok(); };
  const auto run = [&] { return sane->Run(op, o).ok(); };
  const Row rows[] = {
      {"create", [] { return true; },
       [&] {
         std::shared_ptr<Runtime> runtime = b.NewRuntime();
         Mark();
         return runtime->Create(op, o).ok();
       }},
      {"run", [] { return true; },
       [&] {
         std::shared_ptr<Runtime> runtime = b.NewRuntime();
         Mark();
         return runtime->Run(op, o).ok();
       }},
      {"start", create,
       [&] {
         absl::StatusOr<std::unique_ptr<Container>> c = open();
         Mark();
         return (*c)->Start(op).ok();
       }},
      {"exec", run,
       [&] {
         absl::StatusOr<std::unique_ptr<Container>> c = open();
         ExecOptions e;
         e.in.kind = e.out.kind = e.err.kind = Stdio::Kind::kNull;
         e.process = (*c)->DefaultExecProcess({"sleep", "1000"});
         Mark();
         return (*c)->Exec(op, e).ok();
       }},
      {"delete", run,
       [&] {
         absl::StatusOr<std::unique_ptr<Container>> c = open();
         Mark();
         return (*c)->Delete(op, true).ok();
       }},
  };
  for (const Row& row : rows) {
    int n = 0;
    for (bool killed = true; killed; ++n) {
      INFO("call " << n << " of " << row.name);
      o = Quiet(b.Options(SpecOf({"sleep", "1000"}, n % 2 == 1)));
      REQUIRE(row.before());
      killed = KilledAt(n, row.killed);
      RequireClean(b, sane, o.id);
    }
    INFO(row.name);
    REQUIRE(n > 5);
  }
}

}  // namespace
}  // namespace coaming::run
