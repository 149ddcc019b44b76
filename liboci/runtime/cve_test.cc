// One test for each of the attacks that other runtimes fell to while they made a container; the numbers
// are theirs. Attacks through exec are in cve_exec_test.cc.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/runtime/launch/session.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using base::testing::Shell;
using testing::TestBundle;

// A root without the mounts that would hide what an image holds there.
Spec Bare(std::vector<std::string> args, std::string_view without) {
  Spec s = TestBundle::SpecOf(std::move(args));
  std::erase_if(s.mounts, [&](const Mount& m) { return absl::StartsWith(m.destination, without); });
  return s;
}

absl::Status RunAndDelete(const TestBundle& b, const Spec& spec) {
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  absl::StatusOr<std::unique_ptr<Container>> c = runtime->Run(op, b.Options(spec));
  if (!c.ok()) return c.status();
  REQUIRE_OK((*c)->Wait(op));
  return (*c)->Delete(op, false);
}

TEST_CASE("CVE-2019-5736: the runtime's own program is sealed", "[liboci][runtime][root]") {
  base::UniqueFd launcher = REQUIRE_VALUE(OpenLauncher(""));
  int seals = fcntl(launcher.get(), F_GET_SEALS);
  REQUIRE((seals & (F_SEAL_WRITE | F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK)) ==
          (F_SEAL_WRITE | F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK));
  REQUIRE(pwrite(launcher.get(), "x", 1, 0) < 0);
  COAM_NEEDS_CONTAINERS();
  // A program that is /proc/self/exe runs the helper once more, which has no plan and ends.
  TestBundle b;
  Spec s = TestBundle::SpecOf({"/proc/self/exe"});
  REQUIRE(b.Run(s).status.code == 125);
}

TEST_CASE("CVE-2024-21626: no descriptor of the host reaches the program or its directory",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  // A descriptor that the host forgot to mark close-on-exec.
  int forgotten = open("/", O_RDONLY | O_DIRECTORY);
  REQUIRE(dup2(forgotten, 50) == 50);
  TestBundle::Result r = b.RunArgs({"sh", "-c", "echo /proc/self/fd/*"});
  // 3 is the shell's own, reading the directory.
  REQUIRE((r.out == "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n" ||
           r.out == "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2\n"));
  for (int fd : {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 50}) {
    Spec s = TestBundle::SpecOf({"true"});
    s.process->cwd = absl::StrCat("/proc/self/fd/", fd);
    INFO(fd);
    REQUIRE_REASON(RunAndDelete(b, s), "run.cwd");
  }
  close(50);
  close(forgotten);
}

TEST_CASE("CVE-2024-21626: a directory that the host passes on is no place to start in",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::UniqueFd host(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Spec s = TestBundle::SpecOf({"ls"});
  s.process->cwd = "/proc/self/fd/3";
  CreateOptions o = b.Options(s);
  o.pass_fds.push_back({host.get(), 3});
  base::Op op;
  REQUIRE_REASON(b.NewRuntime()->Run(op, o), "run.cwd");
}

TEST_CASE("CVE-2025-31133: masks use the host's null device, whatever the image has",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("bundle/rootfs/secret", "secret");
  b.tree().Symlink("/secret", "bundle/rootfs/dev/null");
  Spec s = Bare({"sh", "-c", "cat /masked; stat -c %F /masked"}, "/dev");
  b.tree().Write("bundle/rootfs/masked", "not to be seen");
  s.linux_.masked_paths = {"/masked"};
  // The link in the image's own /dev stands in the way of the default node: that is an error.
  REQUIRE_REASON(RunAndDelete(b, s), "run.device");
  REQUIRE(unlink(b.Root("dev/null").c_str()) == 0);
  TestBundle::Result r = b.Run(s);
  REQUIRE(r.out == "character special file\n");
}

TEST_CASE("CVE-2025-52565: the console is never bound through a link", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("bundle/rootfs/victim", "safe");
  Spec s = TestBundle::SpecOf({"true"});
  std::erase_if(s.mounts, [](const Mount& m) {
    return m.destination == "/dev" || m.destination == "/dev/shm" || m.destination == "/dev/mqueue";
  });
  b.tree().MakeDir("bundle/rootfs/dev/pts");
  b.tree().Symlink("/victim", "bundle/rootfs/dev/console");
  s.process->terminal = true;
  REQUIRE_REASON(RunAndDelete(b, s), "run.console");
  REQUIRE(b.tree().Read("bundle/rootfs/victim") == "safe");
}

TEST_CASE("CVE-2026-41579: a linked /dev does not lead node making out of the root",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::string outside = b.tree().MakeDir("outside");
  REQUIRE(rmdir(b.Root("dev").c_str()) == 0);
  b.tree().Symlink(outside, "bundle/rootfs/dev");
  Spec s = Bare({"true"}, "/dev");
  RunAndDelete(b, s).IgnoreError();
  std::string listing;
  Shell(absl::StrCat("ls -A ", outside), &listing);
  REQUIRE(listing.empty());
}

TEST_CASE("CVE-2019-19921: a linked /proc is refused", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  REQUIRE(rmdir(b.Root("proc").c_str()) == 0);
  b.tree().MakeDir("bundle/rootfs/elsewhere");
  b.tree().Symlink("/elsewhere", "bundle/rootfs/proc");
  REQUIRE_REASON(RunAndDelete(b, TestBundle::SpecOf({"true"})), "run.mount");
}

TEST_CASE("CVE-2025-52881: nothing is mounted over procfs, also by a link of the image",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().MakeDir("source");
  b.tree().Symlink("/proc/sys", "bundle/rootfs/innocent");
  for (const char* target : {"/proc/sys", "/proc/self/attr", "/innocent/kernel"}) {
    Spec s = TestBundle::SpecOf({"true"});
    Mount m;
    m.destination = target;
    m.source = b.tree() / "source";
    m.options = {"bind"};
    s.mounts.push_back(m);
    INFO(target);
    REQUIRE_REASON(RunAndDelete(b, s), "run.mount");
  }
}

TEST_CASE("CVE-2021-30465: a racing link does not lead a mount out of the root",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  std::string outside = b.tree().MakeDir("outside");
  b.tree().MakeDir("bundle/rootfs/swap-dir");
  std::string link = b.tree().Symlink(absl::StrCat("../../outside"), "bundle/rootfs/swap-link");
  std::string place = b.Root("place");
  REQUIRE(rename(b.Root("swap-dir").c_str(), place.c_str()) == 0);
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    while (!stop) syscall(316 /* renameat2 */, AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), 2);
  });
  Spec s = TestBundle::SpecOf({"true"});
  Mount m;
  m.destination = "/place/made/deep";
  m.type = "tmpfs";
  s.mounts.push_back(m);
  for (int i = 0; i < 40; ++i) RunAndDelete(b, s).IgnoreError();
  stop = true;
  attacker.join();
  std::string listing;
  Shell(absl::StrCat("ls -A ", outside), &listing);
  REQUIRE(listing.empty());
}

TEST_CASE("CVE-2025-52881: settings go to the kernel, not to what the image has at /proc",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  const std::string victim = b.tree().Write("victim", "safe");
  REQUIRE(Shell(absl::StrCat("cd ", b.Root("proc"), " && mkdir -p sys/net/ipv4 self && ln -s ",
                             victim, " sys/net/ipv4/ip_forward && ln -s ", victim,
                             " self/oom_score_adj")) == 0);
  Spec s = Bare({"true"}, "/proc");
  s.linux_.masked_paths.clear();
  s.linux_.readonly_paths.clear();
  s.linux_.sysctl = {{"net.ipv4.ip_forward", "1"}};
  s.process->oom_score_adj = 100;
  REQUIRE_OK(RunAndDelete(b, s));
  REQUIRE(b.tree().Read("victim") == "safe");
  Spec real =
      TestBundle::SpecOf({"cat", "/proc/sys/net/ipv4/ip_forward", "/proc/self/oom_score_adj"});
  real.linux_.sysctl = s.linux_.sysctl;
  real.process->oom_score_adj = 100;
  REQUIRE(Shell(absl::StrCat("rm -r ", b.Root("proc/*"))) == 0);
  REQUIRE(b.Run(real).out == "1\n100\n");
}

TEST_CASE("CVE-2025-52565: a racing console does not lead out of the root",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  const std::string victim = b.tree().Write("victim", "safe");
  b.tree().MakeDir("bundle/rootfs/dev/pts");
  const std::string place = b.Root("dev/console");
  const std::string link = b.tree().Symlink("../../../victim", "bundle/rootfs/dev/other");
  b.tree().Write("bundle/rootfs/dev/console", "");
  Spec s = TestBundle::SpecOf({"true"});
  std::erase_if(s.mounts, [](const Mount& m) {
    return m.destination == "/dev" || m.destination == "/dev/shm" || m.destination == "/dev/mqueue";
  });
  s.process->terminal = true;
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    while (!stop) syscall(316 /* renameat2 */, AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), 2);
  });
  for (int i = 0; i < 40; ++i) RunAndDelete(b, s).IgnoreError();
  stop = true;
  attacker.join();
  REQUIRE(b.tree().Read("victim") == "safe");
  struct stat st;
  REQUIRE(stat(victim.c_str(), &st) == 0);
  REQUIRE(S_ISREG(st.st_mode));
}

TEST_CASE("a bind's source that is swapped for a link is not followed if it must not be",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("outside/who", "secret");
  b.tree().Write("volume/data/who", "own");
  b.tree().MakeDir("bundle/rootfs/in");
  const std::string place = b.tree() / "volume/data";
  const std::string link = b.tree().Symlink("../outside", "volume/link");
  Spec s = TestBundle::SpecOf({"cat", "/in/who"});
  Mount m;
  m.destination = "/in";
  m.source = place;
  m.options = {"bind", "src-nofollow"};
  s.mounts.push_back(m);
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    while (!stop) syscall(316 /* renameat2 */, AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), 2);
  });
  std::string seen;
  int ran = 0;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  for (int i = 0; i < 60; ++i) {
    base::Op op;
    CreateOptions o = b.Options(s);
    o.out.kind = Stdio::Kind::kPipe;
    o.err.kind = Stdio::Kind::kNull;
    absl::StatusOr<std::unique_ptr<Container>> c = runtime->Run(op, o);
    if (!c.ok()) continue;  // it was the link: a link is no directory
    seen += testing::ReadAll((*c)->TakeStdio(1).get());
    ++ran;
    (*c)->Wait(op).IgnoreError();
    REQUIRE_OK((*c)->Delete(op, false));
  }
  stop = true;
  attacker.join();
  INFO("runs: " << ran << ", seen: " << seen);
  REQUIRE(!absl::StrContains(seen, "secret"));
}

TEST_CASE("links of the image stay in the root, whatever they say", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("given", "given");
  b.tree().MakeDir("outside");
  b.tree().Symlink(absl::StrCat("/../../../../../..", b.tree() / "outside/hosts"),
                   "bundle/rootfs/etc/hosts");
  Spec s = TestBundle::SpecOf({"true"});
  Mount m;
  m.destination = "/etc/hosts";
  m.source = b.tree() / "given";
  m.options = {"bind"};
  s.mounts.push_back(m);
  RunAndDelete(b, s).IgnoreError();
  std::string listing;
  Shell(absl::StrCat("ls -A ", b.tree() / "outside"), &listing);
  REQUIRE(listing.empty());
  // A sysfs behind a link would be mounted where the image wants it.
  REQUIRE(Shell(absl::StrCat("rmdir ", b.Root("sys"), " && ln -s etc ", b.Root("sys"))) == 0);
  REQUIRE_REASON(RunAndDelete(b, TestBundle::SpecOf({"true"})), "run.mount");
}

TEST_CASE("CVE-2023-25809: the host's cgroups are never writable inside", "[liboci][runtime]") {
  Spec s = TestBundle::SpecOf({"true"});
  std::erase_if(s.linux_.namespaces, [](const Namespace& n) { return n.type == "cgroup"; });
  std::erase_if(s.mounts, [](const Mount& m) { return m.type == "cgroup"; });
  Mount m;
  m.destination = "/sys/fs/cgroup";
  m.type = "cgroup";
  m.options = {"rw"};
  s.mounts.push_back(m);
  HostFacts facts;
  facts.unified = true;
  CgroupHierarchy h;
  h.v2 = true;
  h.mount = "/sys/fs/cgroup";
  facts.cgroups.push_back(h);
  PlanInput in;
  in.spec = &s;
  in.process = &*s.process;
  in.facts = &facts;
  in.cgroup_path = "coaming/web";
  in.rootfs = "/r";
  const std::string plan = REQUIRE_VALUE(CompilePlan(in)).Print();
  INFO(plan);
  REQUIRE(absl::StrContains(plan, "bind /sys/fs/cgroup/coaming/web on /sys/fs/cgroup (ro"));
}

TEST_CASE("CVE-2021-43784: long texts reach the program whole", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  // Beyond the 16 bits of a netlink attribute, in one text and in the sum of the mounts.
  Spec s =
      TestBundle::SpecOf({"sh", "-c", "echo ${#LONG} $(grep -c ' /many/' /proc/self/mountinfo)"});
  s.process->env.push_back("LONG=" + std::string(100000, 'x'));
  const std::string part(200, 'd');
  for (int i = 0; i < 400; ++i) {
    Mount m;
    m.destination = absl::StrCat("/many/", part, i);
    m.type = "tmpfs";
    m.options = {"size=4k"};
    s.mounts.push_back(m);
  }
  REQUIRE(b.Run(s).out == "100000 400\n");
}

TEST_CASE("CVE-2022-29162: added capabilities are neither inheritable nor ambient",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  TestBundle::Result r = b.RunArgs({"sh", "-c", "grep -E 'Cap(Inh|Amb|Bnd)' /proc/self/status"});
  REQUIRE(absl::StrContains(r.out, "CapInh:\t0000000000000000"));
  REQUIRE(absl::StrContains(r.out, "CapAmb:\t0000000000000000"));
  REQUIRE(absl::StrContains(r.out, "CapBnd:\t0000000020000420"));
}

TEST_CASE("a cgroup path does not lead out of the hierarchy", "[liboci][runtime]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  for (const char* path : {"../x", "/a/../../x", "/", "a/..", "/a\nb"}) {
    Spec s = TestBundle::SpecOf({"true"});
    s.linux_.cgroups_path = path;
    REQUIRE_REASON(RunAndDelete(b, s), "run.spec");
  }
}

TEST_CASE("no new privileges and masks are in force inside", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  TestBundle::Result r = b.RunArgs(
      {"sh", "-c",
       "grep NoNewPrivs /proc/self/status; cat /proc/kcore | wc -c; ls /sys/firmware | wc -l;"
       "echo 1 > /proc/sys/kernel/core_pattern || echo denied; touch /proc/sysrq-trigger || echo "
       "denied"});
  REQUIRE(r.out == "NoNewPrivs:\t1\n0\n0\ndenied\ndenied\n");
}

}  // namespace
}  // namespace coaming::run
