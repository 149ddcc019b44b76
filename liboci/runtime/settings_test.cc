// What a configuration asks for is what the program finds.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/seccomp.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using base::testing::Shell;
using testing::TestBundle;

TEST_CASE("process: user, groups, umask, limits and priorities", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Spec s = TestBundle::SpecOf(
      {"sh", "-c",
       "id -u; id -g; grep Groups /proc/self/status; umask; ulimit -n; ulimit -c;"
       "cat /proc/self/oom_score_adj; pwd; echo $A"});
  s.process->user.uid = 12;
  s.process->user.gid = 34;
  s.process->user.additional_gids = {56, 78};
  s.process->user.umask = 027;
  s.process->rlimits = {{"RLIMIT_NOFILE", 100, 200}, {"RLIMIT_CORE", 0, 0}};
  s.process->oom_score_adj = 321;
  s.process->cwd = "/tmp";
  s.process->env.push_back("A=b c");
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "12\n34\nGroups:\t56 78 \n0027\n100\n0\n321\n/tmp\nb c\n");
}

TEST_CASE("mounts: binds, options, propagation and order", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("data/file", "bound");
  b.tree().Write("bundle/relative", "relative");
  Spec s =
      TestBundle::SpecOf({"sh", "-c",
                          "cat /data/file /one; touch /data/x || echo ro; touch /over/y && echo rw;"
                          "grep ' /data ' /proc/self/mountinfo | grep -o 'ro,nosuid,nodev,noexec'; "
                          "grep -c ' /over ' /proc/self/mountinfo"});
  auto add = [&s](const char* destination, const char* type, std::string source,
                  std::vector<std::string> options) {
    Mount m;
    m.destination = destination;
    m.type = type;
    m.source = source;
    m.options = options;
    s.mounts.push_back(m);
  };
  add("/data", "bind", b.tree() / "data", {"rbind", "ro", "nosuid", "nodev", "noexec"});
  add("/one", "bind", "relative", {"bind"});
  add("/over", "tmpfs", "tmpfs", {"mode=755", "rslave"});
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "boundrelativero\nrw\nro,nosuid,nodev,noexec\n1\n");
}

TEST_CASE("mounts: recursive read-only reaches submounts", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::string sub = b.tree().MakeDir("data/sub");
  REQUIRE(Shell(absl::StrCat("mount -t tmpfs x ", sub)) == 0);
  for (const char* word : {"ro", "rro"}) {
    Spec s =
        TestBundle::SpecOf({"sh", "-c", "touch /data/sub/x 2>/dev/null && echo rw || echo ro"});
    Mount m;
    m.destination = "/data";
    m.source = b.tree() / "data";
    m.options = {"rbind", word};
    s.mounts.push_back(m);
    REQUIRE(b.Run(s).out == (std::string(word) == "ro" ? "rw\n" : "ro\n"));
  }
  REQUIRE(Shell(absl::StrCat("umount ", sub)) == 0);
}

TEST_CASE("devices: default nodes, own nodes and the rules of the cgroup",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Spec s = TestBundle::SpecOf(
      {"sh", "-c",
       "stat -c '%n %t:%T %a %u' /dev/null /dev/own; readlink /dev/ptmx; readlink /dev/fd;"
       "echo x > /dev/null && echo ok; head -c1 /dev/kmsg2 2>/dev/null || echo denied"});
  s.linux_.devices.push_back({.path = "/dev/own",
                              .type = "c",
                              .major = 10,
                              .minor = 5,
                              .file_mode = 0640,
                              .uid = 7,
                              .gid = {}});
  s.linux_.devices.push_back({.path = "/dev/kmsg2",
                              .type = "c",
                              .major = 1,
                              .minor = 11,
                              .file_mode = {},
                              .uid = {},
                              .gid = {}});
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out ==
          "/dev/null 1:3 666 0\n/dev/own a:5 640 7\npts/ptmx\n/proc/self/fd\nok\ndenied\n");
}

TEST_CASE("namespaces: sysctl, hostname, domainname and time offsets", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Spec s = TestBundle::SpecOf(
      {"sh", "-c",
       "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/kernel/hostname"
       " /proc/sys/kernel/domainname; cut -d. -f1 /proc/uptime"});
  s.hostname = "host.one";
  s.domainname = "example.com";
  s.linux_.sysctl = {{"net.ipv4.ip_forward", "1"}, {"kernel.shmmni", "1234"}};
  s.linux_.namespaces.push_back({"time", ""});
  s.linux_.time_offsets["boottime"] = {1000000, 0};
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(absl::StartsWith(r.out, "1\n1234\nhost.one\nexample.com\n"));
  REQUIRE(std::stol(r.out.substr(r.out.find("com\n") + 4)) > 1000000);
}

TEST_CASE("namespaces: a path of another kind is refused", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Spec s = TestBundle::SpecOf({"true"});
  s.linux_.namespaces[1] = {"network", "/proc/self/ns/uts"};
  base::Op op;
  REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.namespace");
}

TEST_CASE("hooks: each kind runs in its place with the state on its input",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::string log = b.tree().Write("log", "");
  std::string script =
      b.tree().Write("hook.sh",
                     absl::StrCat("#!/bin/sh\necho \"$1 $(cat | tr ',' '\\n' | grep -o "
                                  "'\"status\":\"[a-z]*\"')\" >> ",
                                  log, "\n"),
                     0755);
  b.tree().Write("bundle/rootfs/log", "", 0666);
  b.tree().Write("bundle/rootfs/inside.sh", "#!/bin/sh\ncat > /dev/null; echo started >> /log\n",
                 0755);
  Spec s = TestBundle::SpecOf({"sh", "-c", "echo program >> /log"});
  auto hook = [&](const char* name) {
    return std::vector<Hook>{{.path = script,
                              .args = {script, name},
                              .env = {"PATH=/usr/bin:/bin"},
                              .timeout = 10,
                              .extra = {}}};
  };
  s.hooks.prestart = hook("prestart");
  s.hooks.create_runtime = hook("createRuntime");
  s.hooks.create_container = hook("createContainer");
  s.hooks.start_container = {
      {.path = "/inside.sh", .args = {}, .env = {"PATH=/bin"}, .timeout = {}, .extra = {}}};
  s.hooks.poststart = hook("poststart");
  s.hooks.poststop = hook("poststop");
  REQUIRE(b.Run(s).status.code == 0);
  REQUIRE(b.tree().Read("log") ==
          "prestart \"status\":\"created\"\ncreateRuntime \"status\":\"created\"\n"
          "createContainer \"status\":\"created\"\npoststart \"status\":\"running\"\n"
          "poststop \"status\":\"stopped\"\n");
  REQUIRE(b.tree().Read("bundle/rootfs/log") == "started\nprogram\n");
}

TEST_CASE("hooks: a failing one undoes the creation and runs poststop", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::string log = b.tree().Write("log", "");
  std::string stop =
      b.tree().Write("stop.sh", absl::StrCat("#!/bin/sh\necho stopped >> ", log, "\n"), 0755);
  for (int kind = 0; kind < 3; ++kind) {
    Spec s = TestBundle::SpecOf({"true"});
    Hook bad{.path = "/bin/false", .args = {}, .env = {}, .timeout = {}, .extra = {}};
    Hook slow{.path = "/bin/sleep", .args = {"sleep", "100"}, .env = {}, .timeout = 1, .extra = {}};
    if (kind == 0) s.hooks.prestart = {bad};
    if (kind == 1) s.hooks.create_container = {bad};
    if (kind == 2) s.hooks.create_runtime = {slow};
    s.hooks.poststop = {
        {.path = stop, .args = {}, .env = {"PATH=/bin"}, .timeout = {}, .extra = {}}};
    base::Op op;
    std::shared_ptr<Runtime> runtime = b.NewRuntime();
    REQUIRE_REASON(runtime->Run(op, b.Options(s)), "run.hook");
    REQUIRE(REQUIRE_VALUE(runtime->List()).empty());
  }
  REQUIRE(b.tree().Read("log") == "stopped\nstopped\nstopped\n");
}

TEST_CASE("resources: limits stand in the cgroups and can be changed", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  Spec s = TestBundle::SpecOf({"sleep", "100"});
  Resources& r = *s.linux_.resources;
  r.memory.emplace();
  r.memory->limit = 64 << 20;
  r.cpu.emplace();
  r.cpu->shares = 512;
  r.cpu->quota = 20000;
  r.cpu->period = 100000;
  r.pids_limit = 33;
  std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Run(op, b.Options(s)));
  Stats stats = REQUIRE_VALUE(c->ReadStats());
  REQUIRE(stats.memory.limit == 64 << 20);
  REQUIRE(stats.pids_limit == 33);
  REQUIRE(stats.pids_current == 1);
  REQUIRE(stats.cpu_usage_ns > 0);
  Resources more;
  more.memory.emplace();
  more.memory->limit = 128 << 20;
  more.pids_limit = 44;
  REQUIRE_OK(c->Update(more));
  stats = REQUIRE_VALUE(c->ReadStats());
  REQUIRE(stats.memory.limit == 128 << 20);
  REQUIRE(stats.pids_limit == 44);
  REQUIRE(absl::StrContains(StatsToJson("x", stats), "\"limit\":134217728"));
  REQUIRE_OK(c->Delete(op, true));
}

TEST_CASE("seccomp: a filter is in force, compiled once, and kept on disk",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  Seccomp profile;
  profile.default_action = "SCMP_ACT_ALLOW";
  profile.syscalls = {{.names = {"getcwd", "no_such_call_at_all"},
                       .action = "SCMP_ACT_ERRNO",
                       .errno_ret = 13,
                       .args = {}}};
  for (bool privileges : {false, true}) {
    Spec s = TestBundle::SpecOf({"sh", "-c", "unset PWD; /bin/busybox pwd; echo $?"});
    s.process->no_new_privileges = !privileges;
    s.linux_.seccomp = profile;
    TestBundle::Result r = b.Run(s);
    REQUIRE(absl::StrContains(r.err, "Permission denied"));
    REQUIRE(r.out == "1\n");
  }
  std::string dir = b.tree() / "cache";
  std::vector<std::string> warnings;
  FilterCache cache(dir);
  auto first = REQUIRE_VALUE(cache.Get(profile, &warnings));
  REQUIRE(warnings.size() == 1);
  REQUIRE(REQUIRE_VALUE(cache.Get(profile, nullptr)) == first);
  // Another process finds it on disk, and only if it is the very same profile.
  FilterCache again(dir);
  warnings.clear();
  REQUIRE(REQUIRE_VALUE(again.Get(profile, &warnings))->code == first->code);
  REQUIRE(warnings.empty());
  profile.syscalls[0].errno_ret = 14;
  REQUIRE(REQUIRE_VALUE(again.Get(profile, &warnings))->code != first->code);
}

TEST_CASE("seccomp: what the specification forbids is refused", "[liboci][runtime]") {
  Seccomp p;
  p.default_action = "SCMP_ACT_ALLOW";
  p.syscalls = {{.names = {"getcwd"}, .action = "SCMP_ACT_ALLOW", .errno_ret = 1, .args = {}}};
  REQUIRE_REASON(CompileFilter(p, nullptr), "run.spec");
  p.syscalls = {{.names = {"write"}, .action = "SCMP_ACT_NOTIFY", .errno_ret = {}, .args = {}}};
  p.listener_path = "/x";
  REQUIRE_REASON(CompileFilter(p, nullptr), "run.spec");
  p.syscalls = {{.names = {"getcwd"}, .action = "SCMP_ACT_NOTIFY", .errno_ret = {}, .args = {}}};
  p.listener_path.clear();
  REQUIRE_REASON(CompileFilter(p, nullptr), "run.spec");
  p.syscalls.clear();
  p.flags = {"SECCOMP_FILTER_FLAG_NONSENSE"};
  REQUIRE_REASON(CompileFilter(p, nullptr), "run.spec");
  p.flags.clear();
  p.architectures = {"SCMP_ARCH_PDP11"};
  REQUIRE_REASON(CompileFilter(p, nullptr), "run.spec");
}

TEST_CASE("stdio: files, pipes and descriptors go where they should", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "cat; echo err >&2; echo five >&5"}));
  b.tree().Write("in", "from a file\n");
  o.in = {Stdio::Kind::kFile, -1, b.tree() / "in"};
  o.out = {Stdio::Kind::kFile, -1, b.tree() / "out"};
  o.err = {Stdio::Kind::kPipe, -1, ""};
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  o.pass_fds = {{ends[1], 5}};
  o.pid_file = b.tree() / "pid";
  std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Run(op, o));
  close(ends[1]);
  REQUIRE(b.tree().Read("pid") == absl::StrCat(c->pid()));
  REQUIRE(testing::ReadAll(c->TakeStdio(2).get()) == "err\n");
  REQUIRE(testing::ReadAll(ends[0]) == "five\n");
  close(ends[0]);
  REQUIRE_OK(c->Wait(op));
  REQUIRE(b.tree().Read("out") == "from a file\n");
  REQUIRE_OK(c->Delete(op, false));
  o.pass_fds = {{0, 2}};
  REQUIRE_REASON(runtime->Run(op, o), "core.invalid_argument");
}

}  // namespace
}  // namespace coaming::run
