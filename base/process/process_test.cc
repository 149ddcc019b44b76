#include "base/process/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::TempTree;

ProgramSpec Sh(std::string script) {
  ProgramSpec s;
  s.program = "/bin/sh";
  s.argv = {"sh", "-c", std::move(script)};
  s.env = {"PATH=/usr/bin:/bin"};
  return s;
}

SpawnOptions Spawned(std::string script) {
  SpawnOptions s;
  s.program = "/bin/sh";
  s.argv = {"sh", "-c", std::move(script)};
  s.env = {"PATH=/usr/bin:/bin"};
  return s;
}

TEST_CASE("run: arguments, environment, input and both outputs are exact", "[base][process]") {
  ProgramSpec s = Sh("cat; printf '%s|' \"$@\"; env >&2; exit 3");
  s.argv.insert(s.argv.end(), {"sh", "a b", "", "c'\"\n$d"});
  s.env.push_back("X=1\n2");
  s.stdin_bytes = "in\n";
  ProgramResult r = REQUIRE_VALUE(RunProgram(Op(), s));
  CHECK(r.status == ExitStatus{3, 0, false});
  CHECK(r.out == "in\na b||c'\"\n$d|");
  CHECK(r.err.find("X=1\n2\n") != std::string::npos);
  CHECK(r.err.find("HOME=") == std::string::npos);
  CHECK(REQUIRE_VALUE(RunProgram(Op(), Sh("kill -9 $$"))).status.ToString() ==
        "killed by signal 9 (SIGKILL)");
  CHECK(REQUIRE_VALUE(RunProgram(Op(), Sh("kill -15 $$"))).status.ShellCode() == 143);
}

TEST_CASE("run: much output on both pipes at once does not deadlock", "[base][process]") {
  ProgramSpec s =
      Sh("head -c 3000000 /dev/zero & head -c 3000000 /dev/zero >&2 & wait; cat | wc -c");
  s.stdin_bytes.assign(2'000'000, 'i');
  ProgramResult r = REQUIRE_VALUE(RunProgram(Op(), s));
  CHECK(r.out.size() == 3'000'000 + strlen("2000000\n"));
  CHECK(r.err.size() < (70 << 10));
  CHECK(r.err.find("bytes left out") != std::string::npos);
}

TEST_CASE("run: too much output is a limit and ends the program", "[base][process]") {
  ProgramSpec s = Sh("echo $$ >&2; exec cat /dev/zero");
  s.max_stdout = 1000;
  const auto r = RunProgram(Op(), s);
  REQUIRE_REASON(r, "core.limit");
  const int pid = std::stoi(std::string(GetError(r.status()).Detail("stderr")));
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE("run: a cancel kills the program and grandchildren that hold the pipes",
          "[base][process]") {
  auto cancel = REQUIRE_VALUE(Cancel::New());
  Op op;
  op.set_cancel(cancel.get());
  TempTree tree;
  // The grandchild tells when it runs by opening the FIFO.
  const std::string fifo = tree / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  ProgramSpec s = Sh("(echo $$ > " + fifo + "; sleep 1000) & echo out; exit 0");
  s.linger_ms = 1'000'000;
  std::string pid_text;
  std::thread firer([&] {
    const int fd = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
    char c;
    while (read(fd, &c, 1) == 1) pid_text += c;
    close(fd);
    cancel->Fire();
  });
  REQUIRE_REASON(RunProgram(op, s), "core.cancelled");
  firer.join();
  // The group is gone: its leader's number names nobody.
  const int group = std::stoi(pid_text);
  while (kill(-group, 0) == 0) sched_yield();  // zombies of ours are reaped by init
  CHECK(errno == ESRCH);
}

TEST_CASE("run: a deadline ends a program that ignores SIGTERM", "[base][process]") {
  Op op;
  op.set_deadline(Deadline::AfterMs(50));
  REQUIRE_REASON(RunProgram(op, Sh("trap '' TERM; while :; do sleep 100; done")),
                 "core.deadline_exceeded");
}

TEST_CASE("run: a daemon left behind does not keep us longer than the linger", "[base][process]") {
  ProgramSpec s = Sh("sleep 30 & echo $!; exit 0");
  s.linger_ms = 20;
  ProgramResult r = REQUIRE_VALUE(RunProgram(Op(), s));
  CHECK(r.status.ok());
  CHECK(kill(std::stoi(r.out), SIGKILL) == 0);
}

TEST_CASE("spawn: a failed start says which step and why, and leaves no child", "[base][process]") {
  TempTree tree;
  const std::string plain = tree.Write("plain", "x", 0644);
  const std::string bad = tree.Write("bad", "not a program", 0755);
  SpawnOptions s;
  s.program = tree / "none";
  REQUIRE_REASON(Spawn(Op(), s), "core.not_found");
  s.program = plain;
  REQUIRE_REASON(Spawn(Op(), s), "core.permission");
  s.program = bad;
  const auto format = Spawn(Op(), s);
  REQUIRE_REASON(format, "process.spawn");
  CHECK(GetError(format.status()).sys_errno == ENOEXEC);
  CHECK(GetError(format.status()).message.find(bad) != std::string::npos);
  s.program = "/bin/true";
  s.cwd = tree / "none";
  const auto cwd = Spawn(Op(), s);
  REQUIRE_REASON(cwd, "process.spawn");
  CHECK(GetError(cwd.status()).Detail("spawn.step") == "chdir");
  s.cwd.clear();
  s.fds = {{999, 5}};
  const auto fds = Spawn(Op(), s);
  REQUIRE_REASON(fds, "process.spawn");
  CHECK(GetError(fds.status()).Detail("spawn.step") == "fds");
  s.fds = {{0, 5}, {1, 5}};
  REQUIRE_REASON(Spawn(Op(), s), "core.invalid_argument");
  REQUIRE_REASON(Spawn(Op(), {}), "core.invalid_argument");
  REQUIRE_REASON(Spawn(Op(), {.program = "/bin/true", .argv = {std::string("a\0b", 3)}}),
                 "core.invalid_argument");
  CHECK(waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("spawn: the child has the mapped descriptors and no other", "[base][process]") {
  TempTree tree;
  // One that somebody forgot to mark close-on-exec.
  const int leaky = open(tree.Write("leak", "x").c_str(), O_RDONLY);
  const int high = fcntl(leaky, F_DUPFD, 700);
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  SpawnOptions s = Spawned("ls /proc/self/fd; readlink /proc/$$/fd/0 /proc/$$/fd/2 /proc/$$/fd/7");
  // A swap: each source is the other's target.
  s.fds = {{fds[1], 1}, {leaky, 7}, {high, leaky}};
  Child child = REQUIRE_VALUE(Spawn(Op(), s));
  close(fds[1]);
  std::string out;
  char c;
  while (read(fds[0], &c, 1) == 1) out += c;
  close(fds[0]);
  close(high);
  close(leaky);
  CHECK(REQUIRE_VALUE(child.Wait(Op())).ok());
  std::vector<std::string> want = {"0", "1", "2", "7", std::to_string(leaky)};
  // ls has opened the directory as the lowest free one.
  int own = 3;
  while (own == leaky || own == 7) ++own;
  want.push_back(std::to_string(own));
  std::sort(want.begin(), want.end(),
            [](const std::string& a, const std::string& b) { return std::stoi(a) < std::stoi(b); });
  std::string text;
  for (const std::string& w : want) text += w + "\n";
  text += "/dev/null\n/dev/null\n" + (tree / "leak") + "\n";
  CHECK(out == text);
}

TEST_CASE("spawn: signals are at their default and unblocked, and the host's mask is restored",
          "[base][process]") {
  struct sigaction ignore {
  }, old_pipe, old_usr;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &old_pipe);
  sigaction(SIGUSR1, &ignore, &old_usr);
  sigset_t some, before, after;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR2);
  sigaddset(&some, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &some, &before);
  ProgramResult r = REQUIRE_VALUE(RunProgram(Op(), Sh("exec cat /proc/self/status")));
  pthread_sigmask(SIG_SETMASK, &before, &after);
  sigaction(SIGPIPE, &old_pipe, nullptr);
  sigaction(SIGUSR1, &old_usr, nullptr);
  CHECK(r.out.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                   "SigCgt:\t0000000000000000\n") != std::string::npos);
  CHECK(sigismember(&after, SIGUSR2) == 1);
  CHECK(sigismember(&after, SIGINT) == sigismember(&before, SIGINT));
}

TEST_CASE("spawn: by descriptor, in a directory, in a session of its own", "[base][process]") {
  TempTree tree;
  tree.MakeDir("dir");
  const int dir = open((tree / "dir").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int program = open("/bin/sh", O_PATH | O_CLOEXEC);
  SpawnOptions s = Spawned("pwd > out; ps -o sid= -p $$ | tr -d ' ' >> out; echo $$ >> out");
  s.program.clear();
  s.program_fd = program;
  s.cwd_fd = dir;
  s.new_session = true;
  Child child = REQUIRE_VALUE(Spawn(Op(), s));
  close(dir);
  close(program);
  REQUIRE(REQUIRE_VALUE(child.Wait(Op())).ok());
  const std::string pid = std::to_string(child.pid());
  const std::string out = tree.Read("dir/out");
  CHECK(out.find((tree / "dir") + "\n") == 0);
  CHECK(out.substr(out.size() - pid.size() - 1) == pid + "\n");
  if (!testing::ProgramPath("ps").empty()) {
    CHECK(out == (tree / "dir") + "\n" + pid + "\n" + pid + "\n");
  }
}

TEST_CASE("spawn: the child dies with the thread that made it, if asked", "[base][process]") {
  Child child;
  std::thread t([&] {
    SpawnOptions s = Spawned("exec sleep 1000");
    s.parent_death_signal = SIGKILL;
    child = REQUIRE_VALUE(Spawn(Op(), s));
  });
  t.join();
  CHECK(REQUIRE_VALUE(child.Wait(Op())).signal == SIGKILL);
}

TEST_CASE("wait: cancel and deadline leave the child running", "[base][process]") {
  Child child = REQUIRE_VALUE(Spawn(Op(), Spawned("exec sleep 1000")));
  CHECK_FALSE(REQUIRE_VALUE(child.TryWait()).has_value());
  auto cancel = REQUIRE_VALUE(Cancel::New());
  cancel->Fire();
  Op op;
  op.set_cancel(cancel.get());
  REQUIRE_REASON(child.Wait(op), "core.cancelled");
  Op late;
  late.set_deadline(Deadline::AtNs(1));
  REQUIRE_REASON(child.Wait(late), "core.deadline_exceeded");
  REQUIRE_OK(child.Signal(0));
  CHECK(REQUIRE_VALUE(child.KillAndWait()).signal == SIGKILL);
  CHECK(REQUIRE_VALUE(child.Wait(Op())).signal == SIGKILL);  // asked again
  REQUIRE_OK(child.Signal(SIGTERM));                         // gone already
}

// The ladder of DESIGN 2.10: somebody else has reaped the child.
TEST_CASE("wait: the status survives a host that ignores SIGCHLD", "[base][process]") {
  struct sigaction ignore {
  }, old;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignore, &old);
  absl::StatusOr<ProgramResult> r = RunProgram(Op(), Sh("exit 7"));
  sigaction(SIGCHLD, &old, nullptr);
  if (testing::KernelHasPidfdInfo()) {
    CHECK(REQUIRE_VALUE(r).status == ExitStatus{7, 0, false});
  } else {
    REQUIRE_REASON(r, "process.status_taken");
  }
}

TEST_CASE("wait: the status survives a thread that reaps everything", "[base][process]") {
  std::atomic<bool> stop{false};
  std::thread reaper([&] {
    while (!stop) {
      if (waitpid(-1, nullptr, WNOHANG) <= 0) sched_yield();
    }
  });
  for (int i = 0; i < 20; ++i) {
    absl::StatusOr<ProgramResult> r = RunProgram(Op(), Sh("exit " + std::to_string(i)));
    if (testing::KernelHasPidfdInfo()) {
      CHECK(REQUIRE_VALUE(r).status.code == i);
    } else if (!r.ok()) {
      REQUIRE_REASON(r, "process.status_taken");
    }
    absl::StatusOr<ProgramResult> killed = RunProgram(Op(), Sh("kill -6 $$"));
    if (testing::KernelHasPidfdInfo()) CHECK(REQUIRE_VALUE(killed).status.signal == 6);
  }
  stop = true;
  reaper.join();
}

TEST_CASE("spawn: a failed exec raises no SIGCHLD in the host", "[base][process]") {
  static std::atomic<int> seen{0};
  struct sigaction count {
  }, old;
  count.sa_handler = [](int) { ++seen; };
  sigaction(SIGCHLD, &count, &old);
  seen = 0;
  REQUIRE_FALSE(Spawn(Op(), {.program = "/none"}).ok());
  CHECK(seen == 0);
  REQUIRE_OK(RunProgram(Op(), Sh(":")));
  CHECK(seen == 1);  // the handler does work
  sigaction(SIGCHLD, &old, nullptr);
}

TEST_CASE("spawn: works beside threads that allocate, and leaks nothing", "[base][process]") {
  const std::vector<int> before = testing::OpenFds();
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int t = 0; t < 8; ++t) {
    busy.emplace_back([&] {
      while (!stop) delete[] new char[1 + static_cast<size_t>(rand()) % 5000];
    });
  }
  for (int i = 0; i < 100; ++i) REQUIRE_OK(RunProgram(Op(), {.program = "/bin/true"}));
  stop = true;
  for (std::thread& t : busy) t.join();
  CHECK(testing::OpenFds() == before);
  CHECK(waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("spawn: a file that another thread's child still writes is tried again",
          "[base][process]") {
  TempTree tree;
  const std::string path = tree.Write("prog", "", 0755);
  std::string out;
  REQUIRE(testing::Shell("cp /bin/true " + path, &out) == 0);
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE_REASON(RunProgram(Op(), {.program = path}), "process.spawn");  // it stays busy
  std::thread closer([&] { close(fd); });
  REQUIRE_OK(RunProgram(Op(), {.program = path}));
  closer.join();
}

TEST_CASE("lookup: the first that may be executed, in the order given", "[base][process]") {
  TempTree tree;
  tree.Write("a/x", "", 0644);
  tree.Write("b/x", "", 0755);
  tree.Write("c/x", "", 0755);
  tree.MakeDir("a/dir");
  const std::vector<std::string> dirs = {tree / "none", tree / "a", tree / "b/", tree / "c"};
  CHECK(REQUIRE_VALUE(FindProgram("x", dirs)) == tree / "b/x");
  const auto none = FindProgram("y", dirs);
  REQUIRE_REASON(none, "core.not_found");
  CHECK(GetError(none.status()).message.find(tree / "c") != std::string::npos);
  REQUIRE_REASON(FindProgram("dir", dirs), "core.not_found");
  REQUIRE_REASON(FindProgram("x", {}), "core.not_found");
  REQUIRE_REASON(FindProgram("x", {{tree / "a"}}), "core.permission");
  for (const char* bad : {"", ".", "..", "a/x", "/bin/sh"}) {
    REQUIRE_REASON(FindProgram(bad, dirs), "core.invalid_argument");
  }
  CHECK(SplitSearchPath(":/a::/b:") == std::vector<std::string>{"/a", "/b"});
}

// A cgroup v2 hierarchy without a place in the tree of mounts; -1 if there is none.
int DetachedCgroup2() {
  const int context = static_cast<int>(syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC));
  if (context < 0) return -1;
  int mount = -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    mount = static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  }
  close(context);
  return mount;
}

TEST_CASE("spawn: born into a cgroup", "[base][process][root]") {
  COAM_NEEDS_ROOT();
  const int root = DetachedCgroup2();
  COAM_NEEDS(root >= 0, "needs cgroup v2");
  const std::string name = "coam-test-" + std::to_string(getpid());
  COAM_NEEDS(mkdirat(root, name.c_str(), 0755) == 0, "cannot make a cgroup");
  const int fd = openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  SpawnOptions s = Spawned("exec grep -q '^0::.*/" + name + "$' /proc/self/cgroup");
  s.cgroup_fd = fd;
  Child child = REQUIRE_VALUE(Spawn(Op(), s));
  CHECK(REQUIRE_VALUE(child.Wait(Op())).ok());
  close(fd);
  CHECK(unlinkat(root, name.c_str(), AT_REMOVEDIR) == 0);
  close(root);
}

}  // namespace
}  // namespace coaming::base
