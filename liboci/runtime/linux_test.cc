// What only running containers can show of config-linux.md: mounts, mapped ids, network devices; and
// the same configurations run by Debian's runc and crun where they can.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {
namespace {

using base::testing::Shell;
using testing::TestBundle;

Mount MountOf(std::string destination, std::string type, std::string source,
              std::vector<std::string> options) {
  Mount m;
  m.destination = std::move(destination);
  m.type = std::move(type);
  m.source = std::move(source);
  m.options = std::move(options);
  return m;
}

// What `runtime` (Debian's) prints for the same configuration; empty if it cannot run here.
std::string Peer(const TestBundle& b, const Spec& spec, const std::string& runtime) {
  b.tree().Write("bundle/config.json", WriteSpec(spec, " "));
  std::string out;
  // crun refuses a host whose v2 tree beside v1 has controllers: hidden from it.
  Shell(absl::StrCat("unshare -m --propagation private sh -c 'umount /sys/fs/cgroup/unified "
                     "2>/dev/null; exec ",
                     runtime, " run -b ", b.path(), " coam-linux-", getpid(), "' 2>/dev/null"),
        &out);
  return out;
}

// Runs `work` in a network namespace of its own, on a thread that ends with it.
template <typename Work>
void InNewNetwork(Work work) {
  std::exception_ptr failed;
  std::thread([&] {
    try {
      REQUIRE(unshare(CLONE_NEWNET) == 0);
      work();
    } catch (...) {
      failed = std::current_exception();
    }
  }).join();
  if (failed) std::rethrow_exception(failed);
}

TEST_CASE("tmpcopyup: a tmpfs starts with what the image has at its place",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  REQUIRE(Shell(absl::StrCat(
              "cd ", b.Root(""),
              " && mkdir -p data/deep/er && echo one > data/file && chmod 4751 data/file && "
              "chown 7:8 data/deep && chmod 1775 data/deep && ln -s ../x data/deep/link && "
              "mkfifo data/deep/er/fifo && mknod data/null c 1 3 && "
              "touch -d @1000000000 data/file data/deep/er data/deep")) == 0);
  const std::string look =
      "cd /data && find . | sort | xargs stat -c '%n %F %a %u:%g %t:%T' && cat file && "
      "readlink deep/link && stat -c %Y file deep deep/er && stat -f -c %T . && "
      "touch new && rm file && ls -A";
  Spec s = TestBundle::SpecOf({"sh", "-c", look});
  s.mounts.push_back(MountOf("/data", "tmpfs", "tmpfs", {"tmpcopyup", "nosuid", "size=1m"}));
  TestBundle::Result r = b.Run(s);
  INFO(r.out << r.err);
  REQUIRE(r.status.code == 0);
  REQUIRE(absl::StrContains(r.out, "./file regular file 4751 0:0"));
  REQUIRE(absl::StrContains(r.out, "./deep directory 1775 7:8"));
  REQUIRE(absl::StrContains(r.out, "./null character special file 644 0:0 1:3"));
  REQUIRE(absl::StrContains(r.out, "one\n../x\n1000000000\n1000000000\n1000000000\ntmpfs\n"));
  // The image stays as it was.
  REQUIRE(access(b.Root("data/new").c_str(), F_OK) != 0);
  std::string peer = Peer(b, s, "crun");
  if (!peer.empty()) {
    INFO(peer);
    // crun does not keep times and copies no nodes: names and the content of files are compared.
    for (const char* same : {"./deep directory 1775 7:8", "./file regular file", "one\n../x\n"})
      CHECK(absl::StrContains(peer, same));
  }
  s.mounts.back().options = {"tmpcopyup", "ro"};
  s.process->args = {"sh", "-c", "cat /data/file; touch /data/x || echo read-only"};
  REQUIRE(b.Run(s).out == "one\nread-only\n");
  s.mounts.back().options = {"tmpcopyup", "nonsense=1"};
  base::Op op;
  REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.mount");
}

TEST_CASE("tmpcopyup: the root itself may be a copy in memory", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("bundle/rootfs/kept", "yes");
  Spec s = TestBundle::SpecOf({"sh", "-c", "cat /kept; echo no > /kept; stat -f -c %T /"});
  s.mounts.insert(s.mounts.begin(), MountOf("/", "tmpfs", "tmpfs", {"tmpcopyup"}));
  REQUIRE(b.Run(s).out == "yestmpfs\n");
  REQUIRE(b.tree().Read("bundle/rootfs/kept") == "yes");
}

TEST_CASE("a tmpfs without a mode has that of the directory it covers", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  REQUIRE(Shell(absl::StrCat("mkdir -m 1710 ", b.Root("small"))) == 0);
  Spec s = TestBundle::SpecOf({"stat", "-c", "%n %a", "/small", "/given"});
  s.mounts.push_back(MountOf("/small", "tmpfs", "tmpfs", {"size=64k"}));
  s.mounts.push_back(MountOf("/given", "tmpfs", "tmpfs", {"mode=711"}));
  const std::string out = b.Run(s).out;
  REQUIRE(out == "/small 1710\n/given 711\n");
  // Debian's runc also lets the directory win over a mode that was given.
  for (const char* peer : {"runc", "crun"}) {
    std::string theirs = Peer(b, s, peer);
    INFO(peer);
    if (!theirs.empty()) CHECK(absl::StartsWith(theirs, "/small 1710\n"));
  }
}

TEST_CASE("mapped ids: files of a bind have the ids that the mount gives them",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  REQUIRE(Shell(absl::StrCat("mkdir ", b.tree() / "srv", " && touch ", b.tree() / "srv/a ",
                             b.tree() / "srv/b", " && chown 1000:2000 ", b.tree() / "srv/a")) == 0);
  const std::vector<std::string> look = {"sh", "-c", "cd /srv; stat -c '%n %u:%g' a b; touch c"};
  Spec s = TestBundle::SpecOf(look);
  s.mounts.push_back(MountOf("/srv", "bind", b.tree() / "srv", {"bind", "idmap"}));
  s.mounts.back().uid_mappings = {{1000, 5000, 10}, {0, 7, 1}};
  s.mounts.back().gid_mappings = {{2000, 6000, 10}, {0, 8, 1}};
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "a 5000:6000\nb 7:8\n");
  // crun's own form of the same.
  s.mounts.back().uid_mappings.clear();
  s.mounts.back().gid_mappings.clear();
  s.mounts.back().options = {"bind", "idmap=uids=1000-5000-10#0-7-1;gids=2000-6000-10#0-8-1"};
  REQUIRE(b.Run(s).out == "a 5000:6000\nb 7:8\n");
  // With a user namespace its own map is taken: on disk and inside the ids are the same.
  s.mounts.back().options = {"rbind", "ridmap"};
  s.linux_.namespaces.push_back({"user", ""});
  s.linux_.uid_mappings = s.linux_.gid_mappings = {{0, 100000, 65536}};
  r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "a 1000:2000\nb 0:0\n");
  struct stat st;
  REQUIRE(stat((b.tree() / "srv/c").c_str(), &st) == 0);
  REQUIRE(st.st_uid == 0);
}

TEST_CASE("a user namespace may bind what its root could not walk to", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("closed/in/file", "seen");
  b.tree().MakeDir("bundle/rootfs/in");
  REQUIRE(Shell(absl::StrCat("chmod 700 ", b.tree() / "closed")) == 0);
  Spec s = TestBundle::SpecOf({"cat", "/in/file"});
  s.mounts.push_back(MountOf("/in", "bind", b.tree() / "closed/in", {"bind", "ro"}));
  s.linux_.namespaces.push_back({"user", ""});
  s.linux_.uid_mappings = s.linux_.gid_mappings = {{0, 100000, 65536}};
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "seen");
}

TEST_CASE("links: the source, the destination, or a copy of the link itself",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  b.tree().Write("real", "real");
  std::string link = b.tree().Symlink("real", "link");
  b.tree().Write("bundle/rootfs/file", "own");
  b.tree().Symlink("file", "bundle/rootfs/out");
  Spec s = TestBundle::SpecOf({"sh", "-c", "readlink /copied; cat /followed; cat /file"});
  s.mounts.push_back(MountOf("/copied", "bind", link, {"bind", "copy-symlink"}));
  s.mounts.push_back(MountOf("/followed", "bind", link, {"bind"}));
  TestBundle::Result r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "real\nrealown");
  // Again: the link that is there is the same. Another one is in the way.
  REQUIRE(b.Run(s).status.code == 0);
  REQUIRE(Shell(absl::StrCat("ln -sfn other ", b.Root("copied"))) == 0);
  base::Op op;
  REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.mount");
  s.mounts.resize(s.mounts.size() - 2);
  s.process->args = {"readlink", "/out"};
  s.mounts.push_back(MountOf("/out", "bind", link, {"bind", "src-nofollow", "dest-nofollow"}));
  r = b.Run(s);
  INFO(r.err);
  REQUIRE(r.out == "real\n");
}

TEST_CASE("recursive flags reach every mount below, as with Debian's crun and runc",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  const std::string top = b.tree().MakeDir("top");
  REQUIRE(Shell(absl::StrCat("mount -t tmpfs top ", top, " && mkdir ", top, "/sub && ",
                             "mount -t tmpfs sub ", top, "/sub")) == 0);
  for (const char* option : {"rro", "rnosuid", "rnodev", "rnoexec", "rnodiratime", "rnoatime",
                             "rstrictatime", "rnosymfollow"}) {
    Spec s =
        TestBundle::SpecOf({"sh", "-c", "grep /in /proc/self/mountinfo | cut -d' ' -f5,6 | sort"});
    s.mounts.push_back(MountOf("/in", "bind", top, {"rbind", option}));
    const std::string out = b.Run(s).out;
    INFO(option << ": " << out);
    CHECK(absl::StrContains(out, "/in/sub "));
    const std::string theirs = Peer(b, s, "crun");
    if (!theirs.empty()) CHECK(theirs == out);
  }
  REQUIRE(Shell(absl::StrCat("umount ", top, "/sub ", top)) == 0);
}

TEST_CASE("network devices: moved, renamed, with their addresses, and up",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  if (base::testing::ProgramPath("ip").empty()) SKIP("needs the program ip");
  TestBundle b;
  InNewNetwork([&] {
    REQUIRE(Shell("ip link add ca type veth peer name cb && ip addr add 10.9.8.7/24 dev ca && "
                  "ip addr add fd00:9::7/64 dev ca nodad && ip link set ca up && "
                  "ip link add da type veth peer name db && ip link set cb up") == 0);
    Spec s = TestBundle::SpecOf(
        {"sh", "-c", "ip -o addr show dev eth0; ip -o link show | cut -d' ' -f2 | sort"});
    s.linux_.net_devices["ca"].name = "eth0";
    s.linux_.net_devices["da"].name = "net%d";
    TestBundle::Result r = b.Run(s);
    INFO(r.out << r.err);
    CHECK(absl::StrContains(r.out, "inet 10.9.8.7/24"));
    CHECK(absl::StrContains(r.out, "inet6 fd00:9::7/64"));
    CHECK(absl::StrContains(r.out, "eth0@"));
    CHECK(absl::StrContains(r.out, "net0@"));
    // Virtual devices went with the container's network.
    std::string left;
    Shell("ip -o link show", &left);
    CHECK(!absl::StrContains(left, "ca@"));
  });
  InNewNetwork([&] {
    base::Op op;
    Spec s = TestBundle::SpecOf({"true"});
    s.linux_.net_devices["missing"] = {};
    REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.network");
    REQUIRE(Shell("ip link add ca type veth peer name cb") == 0);
    s.linux_.net_devices.clear();
    s.linux_.net_devices["ca"].name = "lo";
    REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.network");
    std::string left;
    Shell("ip -o link show", &left);
    CHECK(absl::StrContains(left, "ca@"));  // refused before it was moved
    s.linux_.net_devices["ca"].name = "a name too long for one";
    REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.spec");
    std::erase_if(s.linux_.namespaces, [](const Namespace& n) { return n.type == "network"; });
    s.linux_.net_devices["ca"].name = "ok";
    REQUIRE_REASON(b.NewRuntime()->Run(op, b.Options(s)), "run.spec");
  });
}

TEST_CASE("intelRdt is refused where no resctrl is mounted, and leaves nothing",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  std::string mounts;
  Shell("grep -c ' - resctrl ' /proc/self/mountinfo", &mounts);
  if (mounts != "0\n") SKIP("resctrl is mounted here");
  TestBundle b;
  Spec s = TestBundle::SpecOf({"true"});
  s.linux_.intel_rdt.emplace().l3_cache_schema = "L3:0=f";
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  REQUIRE_REASON(runtime->Run(op, b.Options(s)), "run.unsupported");
  REQUIRE(REQUIRE_VALUE(runtime->List()).empty());
}

TEST_CASE("execCPUAffinity: the final set is the program's", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::unique_ptr<Container> c =
      REQUIRE_VALUE(b.NewRuntime()->Run(op, b.Options(TestBundle::SpecOf({"sleep", "1000"}))));
  ExecOptions o;
  o.process = c->DefaultExecProcess({"grep", "Cpus_allowed_list", "/proc/self/status"});
  o.out.kind = Stdio::Kind::kPipe;
  const auto allowed = [&](std::string initial, std::string final) {
    o.process.exec_cpu_affinity = CpuAffinity{std::move(initial), std::move(final)};
    std::unique_ptr<ExecProcess> p = REQUIRE_VALUE(c->Exec(op, o));
    std::string out = testing::ReadAll(p->TakeStdio(1).get());
    REQUIRE_OK(p->Wait(op));
    return out;
  };
  CHECK(allowed("0", "0") == "Cpus_allowed_list:\t0\n");
  CHECK(allowed("0", "") == "Cpus_allowed_list:\t0\n");
  o.process.exec_cpu_affinity = CpuAffinity{"x", ""};
  REQUIRE_REASON(c->Exec(op, o), "run.spec");
  REQUIRE_OK(c->Delete(op, true));
}

}  // namespace
}  // namespace coaming::run
