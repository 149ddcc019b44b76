#include "libaci/schema/manifest.h"

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/pod_manifest.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

const std::string kId = "sha512-" + std::string(128, '0');

// A manifest that uses every field, and members nobody knows at each level.
std::string Full() {
  return absl::StrReplaceAll(
      R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/reduce-worker",)"
      R"("labels":[{"name":"version","value":"1.0.0"},{"name":"arch","value":"amd64"},)"
      R"({"name":"os","value":"linux"}],)"
      R"("app":{"exec":["/usr/bin/reduce-worker","--quiet"],)"
      R"("eventHandlers":[{"name":"pre-start","exec":["/usr/bin/data-downloader"]}],)"
      R"("user":"100","group":"300","supplementaryGIDs":[400,500],"workingDirectory":"/opt/work",)"
      R"("environment":[{"name":"REDUCE_WORKER_DEBUG","value":"true"}],)"
      R"("mountPoints":[{"name":"work","path":"/var/lib/work","readOnly":true}],)"
      R"("ports":[{"name":"health","protocol":"tcp","port":4000,"count":2,"socketActivated":true}],)"
      R"("isolators":[{"name":"resource/cpu","value":{"request":"250m","limit":"500m"}},)"
      R"({"name":"example.com/unheard","value":[1,2.50,{"x":null}]}],)"
      R"("userAnnotations":{"a b":"c"},"userLabels":{"l":"m"},"x-app":{"k":[1e3]}},)"
      R"("annotations":[{"name":"created","value":"2014-10-27T19:32:27.67021798Z","x":1},)"
      R"({"name":"homepage","value":"https://example.com"}],)"
      R"("dependencies":[{"imageName":"example.com/base","imageID":"@ID@",)"
      R"("labels":[{"name":"version","value":"1"}],"size":22017258,"x-dep":"y"}],)"
      R"("pathWhitelist":["/etc/ca/example.com/crt","/usr/bin/map"],"x-top":"kept"})",
      {{"@ID@", kId}});
}

TEST_CASE("manifest: every field is read and written, unknown members too", "[libaci][schema]") {
  const std::string text = Full();
  absl::StatusOr<ImageManifest> m = ParseImageManifest(text);
  REQUIRE(m.ok());
  CHECK(m->ToJson() == text);  // same order, same bytes
  CHECK(*m->Label("version") == "1.0.0");
  REQUIRE(m->app);
  CHECK(m->app->ports[0].count == 2);
  CHECK(m->app->supplementary_gids == std::vector<uint32_t>{400, 500});
  CHECK(m->dependencies[0].size == 22017258);
  CHECK(m->app->isolators[1].value_json == R"([1,2.50,{"x":null}])");
  absl::StatusOr<ImageManifest> again = ParseImageManifest(m->ToJson(/*pretty=*/true));
  REQUIRE(again.ok());
  CHECK(again->ToJson() == text);
}

TEST_CASE("manifest: an unknown isolator is a note, and refused when strict", "[libaci][schema]") {
  base::Notes notes;
  base::Op op;
  op.set_notes(&notes);
  ParseOptions options;
  options.op = &op;
  REQUIRE(ParseImageManifest(Full(), options).ok());
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].reason == "aci.isolator_unknown");
  options.strict = true;
  CHECK(base::HasReason(ParseImageManifest(Full(), options).status(), "aci.manifest_invalid"));
}

std::string With(std::string_view from, std::string_view to) {
  std::string text = Full();
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("manifest: each rule refuses its breach and names the member", "[libaci][schema]") {
  struct {
    const char *from, *to, *reason, *says;
  } rows[] = {
      {R"("acKind":"ImageManifest")", R"("acKind":"PodManifest")", "aci.manifest_invalid",
       "acKind"},
      {R"("acKind":"ImageManifest",)", "", "aci.manifest_invalid", "acKind"},
      {R"("acVersion":"0.8.11",)", "", "json.type", "acVersion"},
      {R"("acVersion":"0.8.11")", R"("acVersion":"v1")", "aci.manifest_invalid", "acVersion"},
      {R"("acVersion":"0.8.11")", R"("acVersion":"9.9.9")", "aci.manifest_invalid", "newer"},
      {R"("acVersion":"0.8.11")", R"("acVersion":null)", "json.type", "acVersion"},
      {R"("name":"example.com/reduce-worker")", R"("name":"EXAMPLE")", "aci.name_invalid", "name"},
      {R"("name":"example.com/reduce-worker")", R"("name":"a/../b")", "aci.name_invalid", "name"},
      {R"("name":"example.com/reduce-worker")", R"("name":7)", "json.type", "manifest.name"},
      {R"({"name":"os","value":"linux"})", R"({"name":"os","value":"BeOS"})",
       "aci.manifest_invalid", "os label"},
      {R"("value":"amd64")", R"("value":"x86_64")", "aci.manifest_invalid", "arch label"},
      {R"({"name":"os","value":"linux"})", R"({"name":"version","value":"2"})",
       "aci.manifest_invalid", "labels[2]"},
      {R"({"name":"os","value":"linux"})", R"({"name":"name","value":"x"})", "aci.manifest_invalid",
       "labels[2]"},
      {R"("user":"100")", R"("user":"")", "aci.manifest_invalid", "app.user"},
      {R"("user":"100",)", "", "json.type", "user"},
      {R"("group":"300",)", "", "json.type", "group"},
      {R"("workingDirectory":"/opt/work")", R"("workingDirectory":"stuff")", "aci.manifest_invalid",
       "workingDirectory"},
      {R"("workingDirectory":"/opt/work")", R"("workingDirectory":"../home/fred")",
       "aci.manifest_invalid", "workingDirectory"},
      {R"("supplementaryGIDs":[400,500])", R"("supplementaryGIDs":[-1])", "json.type",
       "supplementaryGIDs[0]"},
      {R"("name":"pre-start")", R"("name":"mid-flight")", "aci.manifest_invalid",
       "app.eventHandlers[0]"},
      {R"("name":"REDUCE_WORKER_DEBUG")", R"("name":"1X")", "aci.manifest_invalid",
       "app.environment[0]"},
      {R"("path":"/var/lib/work")", R"("path":"var")", "aci.manifest_invalid",
       "app.mountPoints[0].path"},
      {R"("path":"/var/lib/work")", R"("path":"/a/../../b")", "aci.manifest_invalid",
       "app.mountPoints[0].path"},
      {R"("port":4000)", R"("port":0)", "aci.manifest_invalid", "app.ports[0]"},
      {R"("port":4000)", R"("port":65535)", "aci.manifest_invalid", "past 65535"},
      {R"("port":4000)", R"("port":70000)", "aci.manifest_invalid", "app.ports[0]"},
      {R"("port":4000)", R"("port":-1)", "json.type", "port"},
      {R"("limit":"500m")", R"("limit":"lots")", "aci.quantity", "resource/cpu"},
      {R"(,"value":{"request":"250m","limit":"500m"})", "", "aci.manifest_invalid", "no value"},
      {R"("value":"2014-10-27T19:32:27.67021798Z")", R"("value":"1416015188")",
       "aci.manifest_invalid", "created"},
      {R"("value":"https://example.com")", R"("value":"ftp://example.com")", "aci.manifest_invalid",
       "homepage"},
      {R"({"name":"homepage","value":"https://example.com"})", R"({"name":"created","value":""})",
       "aci.manifest_invalid", "annotations[1]"},
      {R"("size":22017258)", R"("size":-1)", "json.type", "size"},
      {"sha512-0", R"(sha256-0)", "aci.image_id_invalid", "dependencies[0]"},
      {R"("/usr/bin/map")", R"("usr/bin/map")", "aci.manifest_invalid", "pathWhitelist[1]"},
      {R"("/usr/bin/map")", R"("/usr/../map")", "aci.manifest_invalid", "pathWhitelist[1]"},
      {R"("x-top":"kept"})", R"("name":"again"})", "json.duplicate_key", "name"},
      {R"("x-top":"kept"})", R"("x-top":"kept"} x)", "json.invalid", ""},
  };
  for (const auto& row : rows) {
    INFO(row.from << " -> " << row.to);
    absl::Status status = ParseImageManifest(With(row.from, row.to)).status();
    CHECK(base::ReasonOf(status) == row.reason);
    INFO(base::GetError(status).message);
    CHECK(base::GetError(status).message.find(row.says) != std::string::npos);
  }
}

TEST_CASE("manifest: what the reference lets pass and is harmless passes", "[libaci][schema]") {
  CHECK(ParseImageManifest(With(R"("exec":["/usr/bin/reduce-worker","--quiet"])", R"("exec":null)"))
            .ok());
  CHECK(ParseImageManifest(With(R"("supplementaryGIDs")", R"("supplementaryGids")"))
            .value()
            .app->supplementary_gids.size() == 2);
  CHECK(ParseImageManifest(With(R"("count":2)", R"("count":0)")).value().app->ports[0].count == 1);
  CHECK(ParseImageManifest(
            R"({"acKind":"ImageManifest","acVersion":"0.5.1","name":"a","labels":null})")
            .value()
            .ToJson() == R"({"acKind":"ImageManifest","acVersion":"0.5.1","name":"a"})");
}

TEST_CASE("manifest: kinds are told apart and broken ones described", "[libaci][schema]") {
  CHECK(ManifestKind(Full()) == "ImageManifest");
  CHECK(ManifestKind(R"({"acKind":"PodManifest"})") == "PodManifest");
  CHECK(ManifestKind("{}") == "");
  CHECK(ManifestKind("not json") == "");
  CHECK(DescribeBroken(R"({"name":"example.com/a","labels":[{"name":"version","value":"1"},3]})") ==
        "example.com/a,version=1");
  CHECK(DescribeBroken("{") == "");
}

TEST_CASE("isolators: values good and bad", "[libaci][schema]") {
  struct {
    const char *name, *value;
    bool good;
  } rows[] = {
      {"os/linux/cpu-shares", "2048", true},
      {"os/linux/cpu-shares", "1", false},
      {"os/linux/cpu-shares", "262145", false},
      {"os/linux/cpu-shares", R"("1024")", false},
      {"os/linux/oom-score-adj", "250", true},
      {"os/linux/oom-score-adj", "-250", true},
      {"os/linux/oom-score-adj", "-2500", false},
      {"os/linux/oom-score-adj", "1.5", false},
      {"os/linux/oom-score-adj", R"("pants")", false},
      {"os/linux/no-new-privileges", "true", true},
      {"os/linux/no-new-privileges", "123", false},
      {"os/linux/no-new-privileges", R"({"set":["CAP_KILL"]})", false},
      {"os/linux/capabilities-retain-set", R"({"set":["CAP_KILL"]})", true},
      {"os/linux/capabilities-retain-set", R"({"set":["CAP_PONIES"]})", true},
      {"os/linux/capabilities-retain-set", R"({"set":[]})", false},
      {"os/linux/capabilities-retain-set", R"({"set":"CAP_PONIES"})", false},
      {"resource/block-bandwidth", R"({"default":true,"limit":"1G"})", true},
      {"resource/block-bandwidth", R"({"default":false,"limit":"1G"})", false},
      {"resource/block-iops", R"({"default":true,"request":"30G","limit":"1G"})", false},
      {"resource/network-bandwidth", R"({"default":true,"limit":"1G"})", true},
      {"resource/network-bandwidth", R"({"limit":"1G"})", false},
      {"resource/cpu", R"({"request":"30m","limit":"1m"})", true},
      {"resource/memory", R"({"request":"1G","limit":"2Gi"})", true},
      {"resource/memory", R"({"limit":1024})", true},
      {"resource/memory", R"({"limit":"-1"})", false},
      {"resource/memory", R"({"default":true,"limit":"2G"})", false},
      {"os/unix/sysctl", R"({"net.ipv4.tcp_rfc1337":"1"})", true},
      {"os/unix/sysctl", R"({"net.ipv4.tcp_rfc1337":1})", false},
      {"os/linux/selinux-context", R"({"user":"u","role":"r","type":"t","level":"s0-s0:c0"})",
       true},
      {"os/linux/selinux-context", R"({"user":"u","role":"r:x","type":"t","level":"s0"})", false},
      {"os/linux/selinux-context", R"({"user":"u","role":"","type":"t","level":"s0"})", false},
      {"os/linux/apparmor-profile", R"({"profile":"rkt-default"})", true},
      {"os/linux/apparmor-profile", R"({"profile":""})", false},
      {"os/linux/seccomp-retain-set", R"({"set":["read"],"errno":"EPERM"})", true},
      {"os/linux/seccomp-retain-set", R"({"set":["read"],"errno":"eperm"})", false},
      {"os/linux/seccomp-remove-set", R"({"set":[]})", false},
      {"resource/memory", "", false},
      {"resource/memory", "null", false},
      {"os/linux/cpu-shares", "null", false},
      {"example.com/mine", "{\"a\":1}", true},
  };
  for (const auto& row : rows) {
    INFO(row.name << " " << row.value);
    Isolator isolator;
    isolator.name = row.name;
    isolator.value_json = row.value;
    CHECK(ReadIsolator(isolator).ok() == row.good);
  }
}

TEST_CASE("isolators: doubles and conflicts in a list", "[libaci][schema]") {
  const Isolator retain = MakeSet(IsolatorKind::kSeccompRetain, {"read"}).value();
  const Isolator remove = MakeSet(IsolatorKind::kSeccompRemove, {"write"}).value();
  const Isolator keep = MakeSet(IsolatorKind::kCapabilitiesRetain, {"CAP_KILL"}).value();
  const Isolator revoke = MakeSet(IsolatorKind::kCapabilitiesRemove, {"CAP_KILL"}).value();
  const Isolator memory = MakeResource(IsolatorKind::kMemory, "", "64Mi").value();
  auto ok = [](const std::vector<Isolator>& list) {
    return CheckIsolators(list, IsolatorScope::kApp, {}, "list").ok();
  };
  CHECK(ok({retain, keep, memory, memory}));
  CHECK_FALSE(ok({retain, retain}));
  CHECK_FALSE(ok({retain, remove}));
  CHECK_FALSE(ok({keep, revoke}));
  std::vector<Isolator> list{keep, memory};
  SetIsolator(list, revoke);
  REQUIRE(list.size() == 2);
  CHECK(FindIsolator(list, IsolatorKind::kCapabilitiesRetain) == nullptr);
  CHECK(FindIsolator(list, IsolatorKind::kCapabilitiesRemove) != nullptr);
  CHECK(ReadIsolator(memory)->limit->Value() == 64 << 20);
  CHECK(IsolatorFromString("resource/cpu,request=50m,limit=100m")->value_json ==
        R"({"request":"50m","limit":"100m"})");
  CHECK(IsolatorFromString("os/linux/oom-score-adj,5")->value_json == "5");
  CHECK(IsolatorFromString("os/linux/no-new-privileges,true")->value_json == "true");
  CHECK_FALSE(IsolatorFromString("os/linux/seccomp-retain-set,x").ok());
  CHECK(DefaultCapabilities().size() == 14);
}

TEST_CASE("strings: ports, mount points, mounts and volumes", "[libaci][schema]") {
  CHECK(Port::FromString("http,protocol=tcp,port=80,count=3,socketActivated=true")->count == 3);
  for (const char* bad : {"http", "http,protocol=tcp,port=0", "http,protocol=tcp,port=65536",
                          "http,port=80", "#,protocol=tcp,port=1", "http,protocol=tcp,port=80,x=1",
                          "http,protocol=tcp,port=65535,count=2"}) {
    INFO(bad);
    CHECK_FALSE(Port::FromString(bad).ok());
  }
  CHECK(MountPoint::FromString("work,path=/opt,readOnly=true")->read_only);
  for (const char* bad : {"#x,path=/", "x,path=/,z=1", "x,path=/,readOnly=maybe",
                          "x,path=/,readOnly=", "x,path=", "x", "", ",path=/"}) {
    INFO(bad);
    CHECK_FALSE(MountPoint::FromString(bad).ok());
  }
  for (const char* good :
       {"db,kind=host,source=/tmp,readOnly=true", "db,kind=host,source=/tmp",
        "db,kind=host,source=/tmp,recursive=false", "w,kind=empty", "w,kind=empty,readOnly=true",
        "w,kind=empty,mode=0777", "w,kind=empty,mode=0777,uid=1000,gid=1000"}) {
    INFO(good);
    CHECK(Volume::FromString(good).value().ToString() == good);
  }
  CHECK(Volume::FromString("w,kind=empty,mode=0755,uid=0")->ToString() == "w,kind=empty");
  for (const char* bad : {"#foobar,kind=host,source=/tmp", "db,kind=host,source=/tmp,asdf=x",
                          "db,kind=host,source=tmp", "db,kind=host,source=/tmp,mode=0755",
                          "db,kind=host,source=/tmp,uid=1", "w,kind=empty,source=/tmp",
                          "w,kind=host", "w,kind=empty,recursive=MAYBE", "w,kind=odd", "w",
                          "w,kind=empty,uid=-1", "w,kind=empty,mode=999"}) {
    INFO(bad);
    CHECK_FALSE(Volume::FromString(bad).ok());
  }
  CHECK(Mount::FromString("volume=db,target=/db")->path == "/db");
  CHECK_FALSE(Mount::FromString("volume=db").ok());
}

TEST_CASE("pod: every field is read and written", "[libaci][schema]") {
  const std::string text = absl::StrReplaceAll(
      R"({"acVersion":"0.8.11","acKind":"PodManifest","apps":[{"name":"worker","image":)"
      R"({"name":"example.com/worker","id":"@ID@","labels":[{"name":"version","value":"1"}]},)"
      R"("app":{"exec":["/w"],"user":"0","group":"0"},"readOnlyRootFS":true,)"
      R"("mounts":[{"volume":"work","path":"/var/lib/work"}],)"
      R"("annotations":[{"name":"foo","value":"baz"}]}],)"
      R"("volumes":[{"name":"work","kind":"host","source":"/opt/tenant1/work","readOnly":true},)"
      R"({"name":"buildoutput","kind":"empty","mode":"0755","uid":0,"gid":0}],)"
      R"("isolators":[{"name":"resource/memory","value":{"limit":"4G"}}],)"
      R"("annotations":[{"name":"ip-address","value":"10.1.2.3"}],)"
      R"("ports":[{"name":"ftp","hostPort":2121,"hostIP":"127.0.0.1"}],)"
      R"("userLabels":{"a":"b"},"x":[]})",
      {{"@ID@", kId}});
  absl::StatusOr<PodManifest> pod = ParsePodManifest(text);
  INFO(base::GetError(pod.ok() ? absl::InternalError("-") : pod.status()).message);
  REQUIRE(pod.ok());
  CHECK(pod->ToJson() == text);
  CHECK(pod->FindApp("worker") != nullptr);
  CHECK(pod->FindVolume("work")->source == "/opt/tenant1/work");
  CHECK(PodManifest().ToJson() ==
        R"({"acVersion":"0.8.11","acKind":"PodManifest","apps":[],"volumes":null,)"
        R"("isolators":null,"annotations":null,"ports":[]})");

  auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return ParsePodManifest(changed.replace(at, from.size(), to)).ok();
  };
  CHECK(with(R"("name":"ftp")", R"("name":"sftp")"));
  CHECK_FALSE(with(R"("name":"worker")", R"("name":"example.com")"));
  CHECK_FALSE(with(R"("name":"worker",)", ""));
  CHECK_FALSE(with(R"("hostPort":2121)", R"("hostPort":99999)"));
  CHECK_FALSE(with("127.0.0.1", "localhost"));
  CHECK_FALSE(with(R"("name":"buildoutput")", R"("name":"work")"));
  CHECK_FALSE(with(R"("source":"/opt/tenant1/work")", R"("source":"opt")"));
  CHECK_FALSE(with(R"("readOnly":true})", R"("mode":"0755"})"));
  CHECK_FALSE(with(R"("mode":"0755")", R"("mode":"rwx")"));
  CHECK_FALSE(with(R"("kind":"empty")", R"("kind":"tmp")"));
  CHECK_FALSE(with(R"("path":"/var/lib/work")", R"("path":"lib")"));
  CHECK_FALSE(with(R"("limit":"4G")", R"("limit":"x")"));
}

}  // namespace
}  // namespace coaming::aci
