#include "liboci/spec/runtime/runtime_spec.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/json/json.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::run {
namespace {

// One document with every member that is read.
constexpr char kEverything[] = R"({
  "ociVersion": "1.3.0",
  "process": {
    "terminal": true, "consoleSize": {"height": 25, "width": 80},
    "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [5, 6]},
    "args": ["sh"], "env": ["A=b"], "cwd": "/tmp",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                     "inheritable": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_CORE", "hard": 18446744073709551615, "soft": 1}],
    "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": -7,
    "scheduler": {"policy": "SCHED_OTHER", "nice": -3, "priority": 1,
                  "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1, "deadline": 2, "period": 3},
    "selinuxLabel": "l", "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "execCPUAffinity": {"initial": "0", "final": "0-1"}
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "h", "domainname": "d",
  "mounts": [{"destination": "/x", "type": "bind", "source": "/y", "options": ["rbind", "ro"],
              "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
              "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
  "hooks": {
    "prestart": [{"path": "/a", "args": ["a", "b"], "env": ["K=v"], "timeout": 5}],
    "createRuntime": [{"path": "/b"}], "createContainer": [{"path": "/c"}],
    "startContainer": [{"path": "/d"}], "poststart": [{"path": "/e"}], "poststop": [{"path": "/f"}]
  },
  "annotations": {"k": "v"},
  "linux": {
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
    "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
    "sysctl": {"net.ipv4.ip_forward": "1"},
    "resources": {
      "devices": [{"allow": false, "access": "rwm"},
                  {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}],
      "memory": {"limit": 1, "reservation": 2, "swap": 3, "kernel": -1, "kernelTCP": -1,
                 "swappiness": 0, "disableOOMKiller": false, "useHierarchy": true,
                 "checkBeforeUpdate": true},
      "cpu": {"shares": 1024, "quota": -1, "burst": 5, "period": 100000, "realtimeRuntime": 95,
              "realtimePeriod": 100, "cpus": "0-1", "mems": "0", "idle": 0},
      "pids": {"limit": 0},
      "blockIO": {"weight": 10, "leafWeight": 11,
                  "weightDevice": [{"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}],
                  "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
                  "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 601}],
                  "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 602}],
                  "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 603}]},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854771712}],
      "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
      "unified": {"memory.high": "100"}
    },
    "cgroupsPath": "/a/b",
    "namespaces": [{"type": "pid"}, {"type": "user"}, {"type": "time"}, {"type": "uts"},
                   {"type": "network", "path": "/run/netns/x"}],
    "timeOffsets": {"monotonic": {"secs": 172800, "nanosecs": 5}},
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438,
                 "uid": 0, "gid": 0}, {"path": "/dev/p", "type": "p"}],
    "netDevices": {"eth0": {"name": "container_eth0"}},
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/l", "listenerMetadata": "m",
                "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                              "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_NE"}]}]},
    "rootfsPropagation": "slave", "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
    "mountLabel": "ml",
    "intelRdt": {"closID": "c", "schemata": ["L3:0=f"], "l3CacheSchema": "l3",
                 "memBwSchema": "mb", "enableMonitoring": true},
    "memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
    "personality": {"domain": "LINUX32"}
  },
  "windows": {"layerFolders": ["c:\\x"]},
  "futureMember": [1, {"a": null}]
})";

TEST_CASE("config: every member is read and written back", "[liboci][spec]") {
  Spec s = REQUIRE_VALUE(ParseSpec(kEverything));
  REQUIRE(s.process->oom_score_adj == -7);
  REQUIRE(s.process->rlimits[0].hard == ~uint64_t{0});
  REQUIRE(s.linux_.resources->pids_limit == 0);
  REQUIRE(s.linux_.resources->block_io->write_iops[0].rate == 603);
  REQUIRE(s.extra.size() == 2);
  std::string written = WriteSpec(s);
  REQUIRE(REQUIRE_VALUE(ParseSpec(written)) == s);
  // Nothing is lost: the two documents say the same.
  base::json::Value a = REQUIRE_VALUE(base::json::Parse(kEverything));
  base::json::Value b = REQUIRE_VALUE(base::json::Parse(written));
  REQUIRE(base::json::Equivalent(a, b));
}

TEST_CASE("config: a wrong type is named by its path", "[liboci][spec]") {
  auto message = [](std::string_view text) {
    absl::StatusOr<Spec> s = ParseSpec(text);
    REQUIRE_REASON(s, "json.type");
    return base::GetError(s.status()).message;
  };
  REQUIRE(absl::StrContains(message(R"({"ociVersion":"1.0.0","process":{"args":["a",5]}})"),
                            "config.process.args[1]"));
  REQUIRE(absl::StrContains(
      message(R"({"ociVersion":"1.0.0","linux":{"resources":{"pids":{"limit":"5"}}}})"),
      "config.linux.resources.pids.limit"));
  REQUIRE(absl::StrContains(message(R"({"ociVersion":"1.0.0","mounts":[{"type":"x"}]})"),
                            "config.mounts[0].destination"));
  REQUIRE(absl::StrContains(message("{}"), "config.ociVersion"));
  // A number that does not fit is not cut short.
  message(R"({"ociVersion":"1.0.0","process":{"user":{"uid":4294967296}}})");
}

TEST_CASE("config: hostile documents are bounded", "[liboci][spec]") {
  REQUIRE_REASON(ParseSpec(R"({"ociVersion":"1.0.0","ociVersion":"1.0.1"})"), "json.duplicate_key");
  std::string deep =
      "{\"ociVersion\":\"1.0.0\",\"x\":" + std::string(200, '[') + std::string(200, ']') + "}";
  REQUIRE_REASON(ParseSpec(deep), "core.limit");
  base::Limits limits;
  limits.manifest_bytes = 10;
  REQUIRE_REASON(ParseSpec(R"({"ociVersion":"1.0.0"})", limits), "core.limit");
}

TEST_CASE("validate: the defaults pass, and each broken rule names its member", "[liboci][spec]") {
  std::vector<std::string> warnings;
  REQUIRE_OK(Validate(DefaultSpec(), &warnings));
  REQUIRE_OK(Validate(RootlessSpec(1000, 1000), &warnings));
  REQUIRE(warnings.empty());
  struct Row {
    const char* member;
    void (*spoil)(Spec& s);
  };
  const Row rows[] = {
      {"ociVersion", [](Spec& s) { s.oci_version = "2.0.0"; }},
      {"ociVersion", [](Spec& s) { s.oci_version = "one"; }},
      {"root.path", [](Spec& s) { s.root->path.clear(); }},
      {"process.args", [](Spec& s) { s.process->args.clear(); }},
      {"process.args", [](Spec& s) { s.process->args = {std::string("a\0b", 3)}; }},
      {"process.cwd", [](Spec& s) { s.process->cwd = "relative"; }},
      {"process.rlimits", [](Spec& s) { s.process->rlimits.push_back(s.process->rlimits[0]); }},
      {"process.rlimits", [](Spec& s) { s.process->rlimits[0].soft = 9999; }},
      {"process.user.umask", [](Spec& s) { s.process->user.umask = 01000; }},
      {"process.ioPriority.priority",
       [](Spec& s) {
         s.process->io_priority = {"X", 8};
       }},
      {"mounts.destination", [](Spec& s) { s.mounts[0].destination.clear(); }},
      {"mounts.uidMappings",
       [](Spec& s) {
         s.mounts[0].uid_mappings = {{0, 0, 1}};
       }},
      {"hooks.prestart.path", [](Spec& s) { s.hooks.prestart.push_back({.path = "x"}); }},
      {"hooks.poststop.timeout",
       [](Spec& s) { s.hooks.poststop.push_back({.path = "/x", .timeout = 0}); }},
      {"linux.namespaces",
       [](Spec& s) {
         s.linux_.namespaces.push_back({"pid", ""});
       }},
      {"linux.namespaces",
       [](Spec& s) {
         s.linux_.namespaces.push_back({"space", ""});
       }},
      {"linux.namespaces", [](Spec& s) { s.linux_.namespaces[0].path = "ns/pid"; }},
      {"linux.uidMappings",
       [](Spec& s) {
         s.linux_.uid_mappings = {{0, 0, 1}};
       }},
      {"linux.uidMappings",
       [](Spec& s) {
         s.linux_.namespaces.push_back({"user", ""});
         s.linux_.uid_mappings = {{0, 0, 1}};
       }},
      {"linux.timeOffsets", [](Spec& s) { s.linux_.time_offsets["boottime"] = {}; }},
      {"hostname",
       [](Spec& s) {
         s.linux_.namespaces = {{"mount", ""}};
       }},
      {"linux.devices", [](Spec& s) { s.linux_.devices.push_back({.path = "/d", .type = "x"}); }},
      {"linux.devices", [](Spec& s) { s.linux_.devices.push_back({.path = "d", .type = "c"}); }},
      {"linux.resources.unified", [](Spec& s) { s.linux_.resources->unified["../x"] = "1"; }},
      {"linux.seccomp.listenerMetadata",
       [](Spec& s) {
         s.linux_.seccomp.emplace();
         s.linux_.seccomp->listener_metadata = "m";
       }},
  };
  for (const Row& row : rows) {
    Spec s = DefaultSpec();
    row.spoil(s);
    absl::Status status = Validate(s);
    INFO(row.member);
    REQUIRE_REASON(status, "run.spec");
    REQUIRE(base::GetError(status).Detail("spec.member") == row.member);
  }
}

TEST_CASE("validate: a newer version is a warning, not an error", "[liboci][spec]") {
  Spec s = DefaultSpec();
  s.oci_version = "1.4.0";
  std::vector<std::string> warnings;
  REQUIRE_OK(Validate(s, &warnings));
  REQUIRE(warnings.size() == 1);
  s.oci_version = "1.0.2-dev";
  warnings.clear();
  REQUIRE_OK(Validate(s, &warnings));
  REQUIRE(warnings.empty());
}

TEST_CASE("state: members stand in the order that callers print", "[liboci][spec]") {
  StateDocument s;
  s.id = "web";
  s.status = "running";
  s.pid = 42;
  s.bundle = "/b";
  s.annotations = {{"a", "b"}};
  REQUIRE(WriteState(s) ==
          R"({"ociVersion":"1.3.0","id":"web","pid":42,"status":"running","bundle":"/b",)"
          R"("annotations":{"a":"b"}})");
}

}  // namespace
}  // namespace coaming::run
