#include "liboci/runtime/executor.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::TestBundle;

TEST_CASE("run: a program runs in its own namespaces and its status comes back",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  TestBundle::Result r =
      b.RunArgs({"sh", "-c", "echo out; echo err >&2; echo pid $$; hostname; exit 7"});
  REQUIRE(r.status.code == 7);
  REQUIRE(r.out == "out\npid 1\nrunc\n");
  REQUIRE(r.err == "err\n");
}

TEST_CASE("run: nothing is left of a container that was deleted", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::vector<int> before = base::testing::OpenFds();
  std::string mounts_before, mounts_after;
  base::testing::Shell("cat /proc/self/mounts", &mounts_before);
  REQUIRE(b.RunArgs({"true"}).status.code == 0);
  base::testing::Shell("cat /proc/self/mounts", &mounts_after);
  REQUIRE(mounts_before == mounts_after);
  REQUIRE(base::testing::OpenFds() == before);
  std::string found;
  base::testing::Shell(
      absl::StrCat("find /sys/fs/cgroup -maxdepth 4 -path '*coaming-test/t-", getpid(), "-*'"),
      &found);
  REQUIRE(found.empty());
  base::testing::Shell(absl::StrCat("ls ", b.tree() / "state"), &found);
  REQUIRE(found.empty());
}

TEST_CASE("exec: a process that nobody waits for does not keep its container from ending",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(60000));
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  for (bool wait : {true, false}) {
    std::unique_ptr<Container> c =
        REQUIRE_VALUE(runtime->Run(op, b.Options(TestBundle::SpecOf({"sleep", "100"}))));
    ExecOptions e;
    e.process = c->DefaultExecProcess({"sleep", "100"});
    std::unique_ptr<ExecProcess> held = REQUIRE_VALUE(c->Exec(op, e));
    REQUIRE_VALUE(c->Exec(op, e)).reset();
    if (wait) {
      REQUIRE_OK(c->Kill(SIGKILL));
      REQUIRE(REQUIRE_VALUE(c->Wait(op)).signal == SIGKILL);
    }
    REQUIRE_OK(c->Delete(op, true));
    REQUIRE(REQUIRE_VALUE(held->Wait(op)).signal == SIGKILL);
  }
}

TEST_CASE("create: the program waits for start, also from another object",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  base::Op op;
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "echo hello; sleep 100"}));
  o.out.kind = Stdio::Kind::kPipe;
  std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Create(op, o));
  REQUIRE(REQUIRE_VALUE(c->Info()).status == Status::kCreated);
  REQUIRE_REASON(runtime->Create(op, o), "run.exists");
  REQUIRE(c->TryWait()->has_value() == false);

  std::unique_ptr<Container> other = REQUIRE_VALUE(b.NewRuntime()->Open(o.id));
  REQUIRE_OK(other->Start(op));
  REQUIRE_REASON(c->Start(op), "run.state");
  base::UniqueFd out = c->TakeStdio(1);
  char text[6] = {};
  REQUIRE(read(out.get(), text, 6) == 6);
  REQUIRE(std::string(text, 6) == "hello\n");
  REQUIRE(REQUIRE_VALUE(c->Info()).status == Status::kRunning);
  REQUIRE_REASON(c->Delete(op, false), "run.state");
  REQUIRE_OK(c->Kill(SIGKILL));
  ExitStatus s = REQUIRE_VALUE(c->Wait(op));
  REQUIRE(s.signal == SIGKILL);
  REQUIRE(s.code == 137);
  REQUIRE(REQUIRE_VALUE(other->Info()).status == Status::kStopped);
  REQUIRE_REASON(c->Kill(SIGTERM), "run.state");
  REQUIRE_OK(c->Delete(op, false));
  REQUIRE_REASON(runtime->Open(o.id), "run.not_found");
}

TEST_CASE("exec: a process joins all namespaces and cgroups of the container",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  base::Op op;
  std::unique_ptr<Container> c =
      REQUIRE_VALUE(runtime->Run(op, b.Options(TestBundle::SpecOf({"sleep", "100"}))));
  ExecOptions e;
  e.process = c->DefaultExecProcess(
      {"sh", "-c",
       "hostname; readlink /proc/self/ns/net; readlink /proc/1/ns/net; cat /proc/self/cgroup "
       "/proc/1/cgroup; exit 3"});
  e.out.kind = Stdio::Kind::kPipe;
  std::unique_ptr<ExecProcess> p = REQUIRE_VALUE(c->Exec(op, e));
  std::string out = testing::ReadAll(p->TakeStdio(1).get());
  REQUIRE(REQUIRE_VALUE(p->Wait(op)).code == 3);
  std::vector<std::string> lines;
  for (size_t at = 0; at < out.size();) {
    size_t end = out.find('\n', at);
    lines.push_back(out.substr(at, end - at));
    at = end + 1;
  }
  REQUIRE(lines[0] == "runc");
  REQUIRE(lines[1] == lines[2]);
  size_t half = (lines.size() - 3) / 2;
  for (size_t i = 0; i < half; ++i) REQUIRE(lines[3 + i] == lines[3 + half + i]);
  REQUIRE(REQUIRE_VALUE(c->Pids()).size() == 1);
  REQUIRE_OK(c->Pause());
  REQUIRE(REQUIRE_VALUE(c->Info()).status == Status::kPaused);
  REQUIRE_REASON(c->Exec(op, e), "run.state");
  REQUIRE_OK(c->Resume());
  REQUIRE_REASON(c->Resume(), "run.state");
  REQUIRE_OK(c->Delete(op, /*force=*/true));
}

TEST_CASE("run: a failed step is named with its number and reason", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  base::Op op;
  Spec s = TestBundle::SpecOf({"true"});
  Mount m;
  m.destination = "/mnt";
  m.type = "tmpfs";
  m.options = {"no_such_option=1"};
  s.mounts.push_back(m);
  auto c = runtime->Run(op, b.Options(s));
  REQUIRE_REASON(c, "run.mount");
  base::Error e = base::GetError(c.status());
  REQUIRE(absl::StartsWith(e.message, "mounting tmpfs on /mnt (step "));
  REQUIRE(absl::EndsWith(e.message, "): Invalid argument"));

  REQUIRE_REASON(runtime->Run(op, b.Options(TestBundle::SpecOf({"/no/such/program"}))),
                 "run.exec_not_found");
  REQUIRE_REASON(runtime->Create(op, b.Options(TestBundle::SpecOf({"nothing"}))),
                 "run.exec_not_found");
  REQUIRE_REASON(runtime->Run(op, b.Options(TestBundle::SpecOf({"/etc/passwd"}))), "run.exec");
  s = TestBundle::SpecOf({"true"});
  s.process->cwd = "/etc/passwd";  // no directory; one that is missing is made
  REQUIRE_REASON(runtime->Run(op, b.Options(s)), "run.cwd");
  s = TestBundle::SpecOf({"true"});
  s.linux_.sysctl["vm.swappiness"] = "1";
  REQUIRE_REASON(runtime->Run(op, b.Options(s)), "run.spec");
  CreateOptions o = b.Options(TestBundle::SpecOf({"true"}));
  o.id = "../x";
  REQUIRE_REASON(runtime->Run(op, o), "run.id");
  REQUIRE(REQUIRE_VALUE(runtime->List()).empty());
}

TEST_CASE("run: a user namespace maps the program's ids", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Spec s = TestBundle::SpecOf({"sh", "-c", "id -u; cat /proc/self/uid_map; ls -ld /dev/null"});
  s.linux_.namespaces.push_back({"user", ""});
  s.linux_.uid_mappings = {{0, 100000, 65536}};
  s.linux_.gid_mappings = {{0, 100000, 65536}};
  TestBundle::Result r = b.Run(s);
  INFO(r.out << r.err);
  REQUIRE(r.status.code == 0);
  REQUIRE(absl::StartsWith(r.out, "0\n         0     100000      65536\n"));
}

TEST_CASE("run: a pause container holds namespaces that another joins", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  base::Op op;
  Spec infra;
  infra.linux_.namespaces = {{"network", ""}, {"ipc", ""}, {"uts", ""}, {"pid", ""}};
  infra.hostname = "pod";
  CreateOptions o = b.Options(infra);
  o.pause = true;
  std::string netns;
  o.on_namespaces = [&](const NamespacesReady& ready) {
    netns = ready.netns_path;
    REQUIRE(ready.pid > 0);
    return absl::OkStatus();
  };
  std::unique_ptr<Container> pause = REQUIRE_VALUE(runtime->Run(op, o));
  REQUIRE(netns == absl::StrCat("/proc/", pause->pid(), "/ns/net"));

  Spec app = TestBundle::SpecOf({"sh", "-c", "hostname; readlink /proc/self/ns/net; echo $$"});
  app.hostname.clear();
  for (Namespace& n : app.linux_.namespaces) {
    std::string file = n.type == "network" ? "net" : n.type;
    if (n.type != "mount") n.path = absl::StrCat("/proc/", pause->pid(), "/ns/", file);
  }
  TestBundle::Result r = b.Run(app);
  INFO(r.err);
  REQUIRE(r.status.code == 0);
  struct stat st;
  REQUIRE(stat(netns.c_str(), &st) == 0);
  REQUIRE(absl::StartsWith(r.out, absl::StrCat("pod\nnet:[", st.st_ino, "]\n")));
  REQUIRE_OK(pause->Kill(SIGTERM));
  REQUIRE(REQUIRE_VALUE(pause->Wait(op)).code == 0);
  REQUIRE_OK(pause->Delete(op, false));
}

}  // namespace
}  // namespace coaming::run
