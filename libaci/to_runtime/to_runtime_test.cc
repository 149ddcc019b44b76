#include "libaci/to_runtime/to_runtime.h"

#include <algorithm>
#include <map>

#include "base/core/error.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "libaci/schema/isolator.h"

namespace coaming::aci {
namespace {

// A root file system in memory.
class FakeRoot : public RootView {
 public:
  absl::StatusOr<std::string> ReadFile(std::string_view path) const override {
    const auto it = files.find(std::string(path));
    if (it != files.end()) return it->second;
    return base::Fail("aci.not_found") << path;
  }
  absl::StatusOr<std::pair<uint32_t, uint32_t>> Owner(std::string_view path) const override {
    if (path == "/inspect") return std::pair<uint32_t, uint32_t>(7, 8);
    return base::Fail("aci.not_found") << path;
  }
  std::map<std::string, std::string> files = {
      {"etc/passwd",
       "root:x:0:0:root:/root:/bin/sh\nbroken\nuser1:x:1000:100::/home/u:/bin/ash\n"
       "2000:x:5:5::/:/bin/sh\n"},
      {"etc/group", "root:x:0:\ngroup1:x:100:user1\n"}};
};

struct World {
  World() {
    image.name = "example.com/hello";
    image.app.emplace();
    image.app->exec = {"/bin/hello", "-v"};
    image.app->user = image.app->group = "0";
    app.name = "hello";
    pod.apps.push_back(app);
    input.pod = &pod;
    input.app = &pod.apps[0];
    input.image = &image;
    input.root = &root;
    input.rootfs = "/pod/rootfs";
  }
  void Add(std::string_view isolator) {
    image.app->isolators.push_back(*IsolatorFromString(isolator));
  }
  FakeRoot root;
  ImageManifest image;
  RuntimeApp app;
  PodManifest pod;
  RuntimeInput input;
};

TEST_CASE("to_runtime: an app becomes a specification with the paths the appc spec demands",
          "[libaci][to_runtime]") {
  World world;
  world.input.namespaces = {{"network", "/proc/9/ns/net"}, {"ipc", ""}};
  auto out = ToRuntime(world.input, base::Op());
  REQUIRE_OK(out);
  const run::Spec& spec = out->spec;
  CHECK(spec.process->args == std::vector<std::string>{"/bin/hello", "-v"});
  CHECK(spec.process->cwd == "/");
  CHECK(spec.FindNamespace("network")->path == "/proc/9/ns/net");
  CHECK(spec.FindNamespace("ipc") == nullptr);
  CHECK(spec.FindNamespace("mount")->path.empty());
  for (const char* target : {"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm"}) {
    CHECK(std::any_of(spec.mounts.begin(), spec.mounts.end(),
                      [&](const run::Mount& m) { return m.destination == target; }));
  }
  const auto& env = spec.process->env;
  CHECK(std::find(env.begin(), env.end(), "AC_APP_NAME=hello") != env.end());
  CHECK(std::find(env.begin(), env.end(), "HOME=/root") != env.end());
  CHECK(spec.process->capabilities->bounding.size() == 14);
  CHECK(spec.process->capabilities->inheritable.empty());
  CHECK(spec.linux_.seccomp.has_value());
}

TEST_CASE("to_runtime: users are names of the image first, then numbers, then owners of files",
          "[libaci][to_runtime]") {
  World world;
  const auto ids = [&](const char* user, const char* group) {
    App app;
    app.user = user;
    app.group = group;
    return ResolveIds(app, &world.image, world.root);
  };
  CHECK(ids("user1", "group1")->uid == 1000);
  CHECK(ids("user1", "group1")->gid == 100);
  CHECK(ids("user1", "0")->home == "/home/u");
  CHECK(ids("200", "0")->uid == 200);
  CHECK(ids("2000", "0")->uid == 5);  // a user whose name is a number
  CHECK(ids("/inspect", "/inspect")->gid == 8);
  REQUIRE_REASON(ids("nobody", "0"), "aci.user_unknown");
  REQUIRE_REASON(ids("broken", "0"), "aci.user_unknown");
  REQUIRE_REASON(ids("99999999999", "0"), "aci.user_unknown");
  REQUIRE_REASON(ids("user1", "user1"), "aci.user_unknown");
  world.image.annotations.push_back({"appc.io/docker/tag", "1", {}});
  CHECK(ids("200", "200")->gid == 200);
}

TEST_CASE("to_runtime: isolators become resources, capabilities and filters",
          "[libaci][to_runtime]") {
  World world;
  world.Add("resource/memory,request=32Mi,limit=64Mi");
  world.Add("resource/cpu,limit=250m");
  world.Add("os/linux/oom-score-adj,5");
  world.Add("os/linux/no-new-privileges,true");
  world.image.app->isolators.push_back(
      *MakeSet(IsolatorKind::kCapabilitiesRemove, {"CAP_KILL", "CAP_NO_SUCH"}));
  world.image.app->isolators.push_back(
      *MakeSet(IsolatorKind::kSeccompRetain, {"read", "write"}, "EPERM"));
  auto out = ToRuntime(world.input, base::Op());
  REQUIRE_OK(out);
  const run::Resources& resources = *out->spec.linux_.resources;
  CHECK(resources.memory->limit == 64 << 20);
  CHECK(resources.memory->reservation == 32 << 20);
  CHECK(resources.cpu->quota == 25'000);
  CHECK(resources.cpu->period == 100'000u);
  CHECK(out->spec.process->oom_score_adj == 5);
  CHECK(out->spec.process->no_new_privileges);
  CHECK(out->spec.process->capabilities->bounding.size() == 13);
  CHECK(out->spec.linux_.seccomp->default_action == "SCMP_ACT_ERRNO");
  CHECK(out->spec.linux_.seccomp->default_errno_ret == 1u);
  CHECK(out->spec.linux_.seccomp->syscalls[0].action == "SCMP_ACT_ALLOW");
}

TEST_CASE("to_runtime: what cannot be enforced is told, or refused when strict",
          "[libaci][to_runtime]") {
  World world;
  world.image.app->isolators.push_back(
      {"resource/network-bandwidth", R"({"default":true,"limit":"1G"})", {}});
  auto out = ToRuntime(world.input, base::Op());
  REQUIRE_OK(out);
  CHECK(out->ignored_isolators == std::vector<std::string>{"resource/network-bandwidth"});
  world.input.strict = true;
  REQUIRE_REASON(ToRuntime(world.input, base::Op()), "aci.isolator_unsupported");
}

TEST_CASE("to_runtime: sysctls of the machine are refused", "[libaci][to_runtime]") {
  World world;
  world.image.app->isolators.push_back({"os/unix/sysctl", R"({"kernel.panic":"1"})", {}});
  REQUIRE_REASON(ToRuntime(world.input, base::Op()), "aci.isolator_unsupported");
  world.image.app->isolators[0].value_json = R"({"net.ipv4.ip_forward":"1"})";
  CHECK(ToRuntime(world.input, base::Op())->spec.linux_.sysctl.at("net.ipv4.ip_forward") == "1");
}

TEST_CASE("to_runtime: handlers run as root in the app's surroundings", "[libaci][to_runtime]") {
  World world;
  world.image.app->user = "user1";
  world.image.app->group = "group1";
  world.image.app->event_handlers.push_back({"pre-start", {"/prepare"}, {}});
  auto out = ToRuntime(world.input, base::Op());
  REQUIRE_OK(out);
  CHECK(out->spec.process->user.uid == 1000);
  REQUIRE(out->pre_start.has_value());
  CHECK(out->pre_start->process->user.uid == 0);
  CHECK(out->pre_start->process->args == std::vector<std::string>{"/prepare"});
  CHECK_FALSE(out->post_stop.has_value());
}

TEST_CASE("to_runtime: mount points are met by mounts, volumes of their name, or empty volumes",
          "[libaci][to_runtime]") {
  World world;
  world.image.app->mount_points = {{"data", "/data", true, {}}, {"work", "/data/work", false, {}}};
  Volume host;
  host.name = "store";
  host.kind = Volume::Kind::kHost;
  host.source = "/srv";
  world.pod.volumes.push_back(host);
  world.pod.apps[0].mounts.push_back({"store", "/data/", {}, {}});
  auto plans = PlanMounts(world.pod, world.pod.apps[0], *world.image.app);
  REQUIRE_OK(plans);
  REQUIRE(plans->size() == 2);
  CHECK((*plans)[0].volume == "store");
  CHECK((*plans)[0].read_only);
  CHECK((*plans)[1].volume == "hello-work");
  CHECK((*plans)[1].implicit);
  world.pod.apps[0].mounts.push_back({"store", "/data", {}, {}});
  REQUIRE_REASON(PlanMounts(world.pod, world.pod.apps[0], *world.image.app), "aci.volume_unmet");
  world.pod.apps[0].mounts = {{"nope", "/x", {}, {}}};
  REQUIRE_REASON(PlanMounts(world.pod, world.pod.apps[0], *world.image.app), "aci.volume_unmet");
}

TEST_CASE("to_runtime: host ports are given once and only to ports that exist",
          "[libaci][to_runtime]") {
  World world;
  App app;
  app.ports.push_back({"http", "tcp", 80, 1, false, {}});
  app.ports.push_back({"many", "tcp", 9000, 3, false, {}});
  const std::vector<std::pair<std::string, App>> apps = {{"hello", app}};
  world.pod.ports = {{"http", 8080, "", {}, {}}, {"many", 9000, "", {}, {}}};
  auto forwards = PlanPorts(world.pod, apps);
  REQUIRE_OK(forwards);
  CHECK((*forwards)[0].pod_port == 80);
  CHECK((*forwards)[1].count == 3);
  world.pod.ports = {{"http", 9001, "", {}, {}}, {"many", 9000, "", {}, {}}};
  REQUIRE_REASON(PlanPorts(world.pod, apps), "core.invalid_argument");
  world.pod.ports = {{"www", 80, "", {}, {}}};
  REQUIRE_REASON(PlanPorts(world.pod, apps), "core.invalid_argument");
}

}  // namespace
}  // namespace coaming::aci
