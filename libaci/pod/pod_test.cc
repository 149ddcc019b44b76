// Pods end to end: real images, namespaces, cgroups and CNI plugins, in a network of the test's own.
#include "libaci/pod/pod.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/core/error.h"
#include "base/stream/stream.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "libaci/image/build.h"
#include "libaci/schema/isolator.h"
#include "libaci/store/store.h"

namespace coaming::aci {
namespace {

using base::testing::Shell;

#define COAM_NEEDS_PODS()                                                 \
  COAM_NEEDS_ROOT();                                                      \
  COAM_NEEDS(base::testing::CanUnshareNet(), "needs network namespaces"); \
  COAM_NEEDS_PROGRAM("ip");                                               \
  COAM_NEEDS_PROGRAM("iptables");                                         \
  COAM_NEEDS_PROGRAM("busybox");                                          \
  COAM_NEEDS(access("/usr/lib/cni/bridge", X_OK) == 0, "needs the CNI plugins")

std::string Out(const std::string& command) {
  std::string out;
  Shell(command, &out);
  return out;
}

// What a pod may leave on the machine.
struct Traces {
  std::string mounts = Out("cut -d' ' -f5 /proc/self/mountinfo | sort");
  std::string links = Out("ip -o link | sed 's/^[0-9]*: //; s/state.*//' | cut -d@ -f1 | sort");
  // The parent group belongs to the host, as its name is a setting.
  std::string cgroups = Out("find /sys/fs/cgroup -path '*coam-pod-test*/*' -type d | sort");
  // What the portmap plugin keeps for all pods is no trace of one.
  std::string rules = Out("iptables-save -t nat | grep CNI- | grep -v -e HOSTPORT -e ':CNI-'");

  std::string All() const { return mounts + links + cgroups + rules; }
};

// A host of its own: network namespace, image store, network configuration.
struct Host {
  Host() {
    REQUIRE(unshare(CLONE_NEWNET) == 0);
    REQUIRE(Shell("ip link set lo up") == 0);
    options.dir = tree / "rkt";
    options.network_dirs = {tree.MakeDir("net.d")};
    options.plugin_dirs = {"/usr/lib/cni"};
    options.cgroup_parent = "/coam-pod-test-" + std::to_string(getpid());
    tree.Write("net.d/10-back.conflist",
               R"({"cniVersion":"0.4.0","name":"back","plugins":[{"type":"bridge","bridge":"pod0",)"
               R"("isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","dataDir":")" +
                   (tree / "ipam") +
                   R"(","ranges":[[{"subnet":"10.77.0.0/24"}]]}},)"
                   R"({"type":"portmap","capabilities":{"portMappings":true},"snat":true}]})");
    auto opened = Pods::Open(options);
    REQUIRE_OK(opened);
    pods = *opened;
  }
  ~Host() {
    // Whatever a failed test left.
    pods->Gc(op, {0, 0, false}).IgnoreError();
    Shell("find /sys/fs/cgroup -depth -path '*" + options.cgroup_parent + "*' -type d -delete");
  }

  // Puts an image with busybox and `script` as its program into the store.
  std::string AddImage(const std::string& name, const std::string& script,
                       const std::function<void(App&)>& change = {}) {
    const std::string work = tree.MakeDir("build-" + name);
    auto context = BuildContext::Begin(work, "", op);
    REQUIRE_OK(context);
    REQUIRE_OK((*context)->Copy("/bin/busybox", "/bin/busybox", op));
    const std::string link = tree.MakeDir("links-" + name);
    for (const char* applet :
         {"sh", "sleep", "cat", "echo", "nc", "kill", "id", "ip", "hostname"}) {
      std::filesystem::create_symlink("busybox", link + "/" + applet);
    }
    REQUIRE_OK((*context)->Copy(link, "/bin", op));
    REQUIRE_OK((*context)->Edit(
        [&](ImageManifest& manifest) {
          manifest.name = "example.com/" + name;
          Set(manifest.labels, "version", "1");
          App app;
          app.exec = {"/bin/sh", "-c", script};
          app.user = app.group = "0";
          if (change) change(app);
          manifest.app = app;
          return absl::OkStatus();
        },
        ""));
    const std::string file = tree / (name + ".aci");
    REQUIRE_OK((*context)->Write(file, {}, op));
    auto store = ImageStore::Open(options.dir + "/cas");
    REQUIRE_OK(store);
    base::FdReader reader(op, base::UniqueFd(open(file.c_str(), O_RDONLY | O_CLOEXEC)), file);
    auto record = (*store)->Import(reader, {}, op);
    REQUIRE_OK(record);
    return record->id;
  }

  std::unique_ptr<Pod> Start(const PodRequest& request, RunRequest run = {}) {
    auto uuid = pods->Prepare(op, request);
    REQUIRE_OK(uuid);
    auto pod = pods->Run(op, *uuid, run);
    REQUIRE_OK(pod);
    return *std::move(pod);
  }

  int WaitFor(Pod& pod) {
    base::Op patient;
    patient.set_deadline(base::Deadline::AfterMs(60'000));
    auto code = pod.Wait(patient);
    REQUIRE_OK(code);
    return *code;
  }

  void CollectAll() {
    base::Notes notes;
    base::Op noting;
    noting.set_notes(&notes);
    REQUIRE_OK(pods->Gc(noting, {0, 0, false}));
    for (const base::Note& note : notes) {
      if (note.reason == "pod.gc") FAIL_CHECK(note.subject << ": " << note.text);
    }
    CHECK(pods->List()->empty());
    CHECK(Out("find " + options.dir + "/pods -mindepth 2") == "");
  }

  base::testing::TempTree tree;
  base::Op op;
  PodsOptions options;
  std::shared_ptr<Pods> pods;
};

PodRequest One(const std::string& image) {
  PodRequest request;
  request.apps.push_back({.image = image});
  return request;
}

RunRequest On(const std::string& network, PodStdio stdio = PodStdio::kLog) {
  RunRequest request;
  request.networks = {network};
  request.stdio = stdio;
  return request;
}

TEST_CASE("pod: an app runs with everything of its own and its status is kept",
          "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("alone", "echo host=$(hostname) pid=$$ app=$AC_APP_NAME; exit 3");
  const Traces before;
  auto pod = host.Start(One("example.com/alone"), On("none"));
  CHECK(host.WaitFor(*pod) == 3);
  auto info = host.pods->Status(pod->uuid().substr(0, 8));
  REQUIRE_OK(info);
  CHECK(info->state == PodState::kExited);
  REQUIRE(info->apps.size() == 1);
  CHECK(info->apps[0].exit_code == 3);
  CHECK(info->apps[0].image_name == "example.com/alone:1");
  const std::string log =
      Out("cat " + host.options.dir + "/pods/run/" + pod->uuid() + "/logs/alone");
  CHECK(log == "host=rkt-" + pod->uuid() + " pid=1 app=alone\n");
  pod.reset();
  host.CollectAll();
  CHECK(Traces().All() == before.All());
}

TEST_CASE("pod: a port of the host reaches an app on a bridge network",
          "[libaci][pod][root][net]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("web", "while true; do echo hello from $AC_APP_NAME | nc -l -p 80; done",
                [](App& app) {
                  app.ports.push_back({"http", "tcp", 80, 1, false, {}});
                });
  const Traces before;
  PodRequest request = One("example.com/web");
  ExposedPort port;
  port.name = "http";
  port.host_port = 8080;
  request.ports.push_back(port);
  auto pod = host.Start(request, On("back"));
  auto info = host.pods->Status(pod->uuid());
  REQUIRE_OK(info);
  CHECK(info->state == PodState::kRunning);
  REQUIRE(info->networks.size() == 1);
  CHECK(info->networks[0].name == "back");
  CHECK(info->networks[0].address.starts_with("10.77.0."));
  std::string answer;
  for (int i = 0; i < 100 && answer.find("hello") == std::string::npos; ++i) {
    Shell("busybox nc -w 1 10.77.0.1 8080 </dev/null 2>/dev/null", &answer);
  }
  CHECK(answer == "hello from web\n");
  REQUIRE_OK(host.pods->Stop(host.op, pod->uuid(), true));
  CHECK(host.WaitFor(*pod) == 128 + SIGKILL);
  pod.reset();
  host.CollectAll();
  // The bridge itself belongs to the network, not to the pod.
  Shell("ip link del pod0");
  CHECK(Traces().All() == before.All());
  CHECK(Out("ls " + (host.tree / "ipam/back") + " | grep -c 10.77") == "0\n");
}

TEST_CASE("pod: a port of the host that is taken is refused and nothing is made",
          "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("busy", "while :; do sleep 1; done", [](App& app) {
    app.ports.push_back({"http", "tcp", 80, 1, false, {}});
  });
  const auto request = [](int port, const std::string& ip) {
    PodRequest pod = One("example.com/busy");
    ExposedPort exposed;
    exposed.name = "http";
    exposed.host_port = static_cast<uint32_t>(port);
    exposed.host_ip = ip;
    pod.ports.push_back(exposed);
    return pod;
  };
  const auto refused = [&](const PodRequest& pod, const std::string& why) {
    const Traces before;
    auto uuid = host.pods->Prepare(host.op, pod);
    REQUIRE_OK(uuid);
    auto started = host.pods->Run(host.op, *uuid, On("back"));
    REQUIRE_REASON(started, "pod.port_in_use");
    CHECK(base::GetError(started.status()).message.find(why) != std::string::npos);
    CHECK(Traces().All() == before.All());
  };
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const int port = ntohs(address.sin_port);
  refused(request(port, ""), std::to_string(port) + "/tcp of the host is in use: a program");
  close(listener);

  auto first = host.Start(request(port, "127.0.0.1"), On("back"));
  refused(request(port, ""), "is forwarded to pod " + first->uuid());
  refused(request(port, "127.0.0.1"), "is forwarded to pod " + first->uuid());
  auto beside = host.Start(request(port, "127.0.0.2"), On("back"));
  REQUIRE_OK(first->Shutdown(host.op, 0));
  REQUIRE_OK(beside->Shutdown(host.op, 0));
  first.reset();
  beside.reset();
  host.CollectAll();
}

TEST_CASE("pod: memory and CPU isolators are in force", "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("bounded", "sleep 1000", [](App& app) {
    app.isolators.push_back(*IsolatorFromString("resource/memory,limit=32Mi"));
    app.isolators.push_back(*IsolatorFromString("resource/cpu,limit=200m"));
  });
  auto pod = host.Start(One("example.com/bounded"), On("none"));
  auto info = host.pods->Status(pod->uuid());
  REQUIRE_OK(info);
  const std::string pid = std::to_string(info->apps[0].pid);
  const std::string memory = Out("cat /sys/fs/cgroup/memory$(grep :memory: /proc/" + pid +
                                 "/cgroup | cut -d: -f3)/memory.limit_in_bytes");
  const std::string cpu = Out("cat /sys/fs/cgroup/cpu*$(grep -E ':cpu(,cpuacct)?:' /proc/" + pid +
                              "/cgroup | cut -d: -f3)/cpu.cfs_quota_us");
  if (access("/sys/fs/cgroup/memory", F_OK) == 0) {
    CHECK(memory == "33554432\n");
    CHECK(cpu.find("20000\n") != std::string::npos);
  } else {
    const std::string group = "/sys/fs/cgroup$(cut -d: -f3 /proc/" + pid + "/cgroup)";
    CHECK(Out("cat " + group + "/memory.max") == "33554432\n");
    CHECK(Out("cat " + group + "/cpu.max") == "20000 100000\n");
  }
  REQUIRE_OK(pod->Shutdown(host.op, 100));
  pod.reset();
  host.CollectAll();
}

TEST_CASE("pod: a process enters an app and sees what it sees", "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("home", "echo ready > /tag; sleep 1000");
  auto pod = host.Start(One("example.com/home"), On("none"));
  std::string uuid = pod->uuid();
  auto entered = host.pods->Enter(
      host.op, uuid, "", {"/bin/sh", "-c", "while ! cat /tag; do sleep 0.1; done; exit 7"}, false);
  REQUIRE_OK(entered);
  CHECK(*(*entered)->Wait(host.op) == 7);
  REQUIRE_REASON(host.pods->Enter(host.op, uuid, "nope", {"/bin/sh"}, false), "pod.app");
  REQUIRE_REASON(host.pods->Remove(host.op, uuid), "pod.state");
  REQUIRE_OK(pod->Shutdown(host.op, 100));
  REQUIRE_REASON(host.pods->Enter(host.op, uuid, "", {"/bin/sh"}, false), "pod.state");
  pod.reset();
  REQUIRE_OK(host.pods->Remove(host.op, uuid));
  REQUIRE_REASON(host.pods->Status(uuid), "pod.not_found");
}

TEST_CASE("pod: the first app that fails ends the pod with its status", "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("fails", "exit 5");
  host.AddImage("stays", "trap 'exit 0' TERM; while true; do sleep 0.1; done");
  PodRequest request = One("example.com/stays");
  request.apps.push_back({.image = "example.com/fails"});
  auto pod = host.Start(request, On("none"));
  CHECK(host.WaitFor(*pod) == 5);
  auto info = host.pods->Status(pod->uuid());
  REQUIRE_OK(info);
  CHECK(info->apps[0].exit_code == 0);
  CHECK(info->apps[1].exit_code == 5);
  pod.reset();
  host.CollectAll();
}

TEST_CASE("pod: a volume is shared by two apps", "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  const auto mounts = [](App& app) { app.mount_points.push_back({"data", "/data", false, {}}); };
  host.AddImage("writer", "echo written > /data/x", mounts);
  host.AddImage("reader", "while ! cat /data/x; do sleep 0.05; done", mounts);
  PodRequest request = One("example.com/writer");
  request.apps.push_back({.image = "example.com/reader"});
  request.volumes.push_back(*Volume::FromString("data,kind=empty,mode=0700"));
  auto pod = host.Start(request, On("none"));
  CHECK(host.WaitFor(*pod) == 0);
  const std::string dir = host.options.dir + "/pods/run/" + pod->uuid();
  CHECK(Out("cat " + dir + "/logs/reader 2>&1 | tail -n 1") == "written\n");
  CHECK(Out("stat -c %a " + dir + "/volumes/data") == "700\n");
  pod.reset();
  host.CollectAll();
}

TEST_CASE("pod: a run that cannot start leaves an exited pod and nothing else",
          "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("lost", "true", [](App& app) { app.exec = {"/no/such/program"}; });
  host.AddImage("fine", "sleep 1000");
  const Traces before;
  auto uuid = host.pods->Prepare(host.op, One("example.com/lost"));
  REQUIRE_OK(uuid);
  auto run = host.pods->Run(host.op, *uuid, On("back"));
  REQUIRE_REASON(run, "run.exec_not_found");
  CHECK(base::GetError(run.status()).message.find("/no/such/program") != std::string::npos);
  CHECK(host.pods->Status(*uuid)->state == PodState::kExited);
  REQUIRE_REASON(host.pods->Run(host.op, *uuid, On("none")), "pod.state");
  uuid = host.pods->Prepare(host.op, One("example.com/fine"));
  REQUIRE_OK(uuid);
  REQUIRE_REASON(host.pods->Run(host.op, *uuid, On("no-such-network")), "cni.conf.not_found");
  host.tree.Write("net.d/20-bad.conflist", R"({"cniVersion":"0.4.0","name":"bad","plugins":[
      {"type":"bridge","bridge":"pod0","ipam":{"type":"no-such-ipam"}}]})");
  uuid = host.pods->Prepare(host.op, One("example.com/fine"));
  REQUIRE_REASON(host.pods->Run(host.op, *uuid, On("bad")), "pod.network");
  // That network cannot be left either: gc tries it three times and then lets it go.
  for (int tries = 0; tries < 3; ++tries) {
    CHECK(host.pods->Status(*uuid).ok());
    REQUIRE_OK(host.pods->Gc(host.op, {0, 0, false}));
  }
  host.CollectAll();
  Shell("ip link del pod0");
  CHECK(Traces().All() == before.All());
}

// The host that the next test kills: this program again, told by its environment what to run.
TEST_CASE("pod: (host to be killed)", "[.host]") {
  PodsOptions options;
  options.dir = getenv("COAM_POD_DIR");
  options.network_dirs = {options.dir + "/../net.d"};
  options.plugin_dirs = {"/usr/lib/cni"};
  options.cgroup_parent = getenv("COAM_POD_CGROUP");
  auto pods = Pods::Open(options);
  REQUIRE_OK(pods);
  auto pod = (*pods)->Run(base::Op(), getenv("COAM_POD_UUID"), On("back", PodStdio::kNull));
  const std::string answer = pod.ok() ? "up" : base::GetError(pod.status()).message;
  REQUIRE(write(std::stoi(getenv("COAM_POD_READY")), answer.data(), answer.size()) > 0);
  for (;;) pause();
}

TEST_CASE("pod: gc cleans up after a host that was killed", "[libaci][pod][root]") {
  COAM_NEEDS_PODS();
  Host host;
  host.AddImage("orphan", "sleep 1000");
  const Traces before;
  auto uuid = host.pods->Prepare(host.op, One("example.com/orphan"));
  REQUIRE_OK(uuid);
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    setenv("COAM_POD_DIR", host.options.dir.c_str(), 1);
    setenv("COAM_POD_CGROUP", host.options.cgroup_parent.c_str(), 1);
    setenv("COAM_POD_UUID", uuid->c_str(), 1);
    setenv("COAM_POD_READY", std::to_string(ready[1]).c_str(), 1);
    execl("/proc/self/exe", "pod_test", "pod: (host to be killed)", nullptr);
    _exit(1);
  }
  close(ready[1]);
  char answer[512] = {};
  REQUIRE(read(ready[0], answer, sizeof answer - 1) > 0);
  CHECK(std::string(answer) == "up");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  CHECK(host.pods->Status(*uuid)->state == PodState::kRunning);
  REQUIRE_OK(host.pods->Stop(host.op, *uuid, false));
  host.CollectAll();
  Shell("ip link del pod0");
  CHECK(Traces().All() == before.All());
}

TEST_CASE("pod: a manifest that cannot be is refused with its reason", "[libaci][pod]") {
  COAM_NEEDS_ROOT();
  Host host;
  host.AddImage("plain", "true");
  PodRequest request = One("example.com/plain");
  request.apps.push_back({.image = "example.com/plain"});
  REQUIRE_REASON(host.pods->Prepare(host.op, request), "pod.app");
  request = One("example.com/plain");
  request.apps[0].mounts.push_back({"nope", "/x", {}, {}});
  REQUIRE_REASON(host.pods->Prepare(host.op, request), "aci.volume_unmet");
  request = One("example.com/plain");
  ExposedPort port;
  port.name = "www";
  port.host_port = 80;
  request.ports.push_back(port);
  REQUIRE_REASON(host.pods->Prepare(host.op, request), "core.invalid_argument");
  request = One("example.com/plain");
  request.apps[0].isolators.push_back(*IsolatorFromString("resource/memory,limit=4095"));
  REQUIRE_REASON(host.pods->Prepare(host.op, request), "pod.app");
  REQUIRE_REASON(host.pods->Prepare(host.op, One("example.com/none")), "aci.not_found");
  REQUIRE_REASON(host.pods->Prepare(host.op, PodRequest()), "core.invalid_argument");
  host.CollectAll();
}

}  // namespace
}  // namespace coaming::aci
