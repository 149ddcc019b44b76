#include "libaci/schema/edit.h"

#include <catch2/catch_test_macros.hpp>

#include "base/core/error.h"

namespace coaming::aci {
namespace {

ImageManifest Start() {
  ImageManifest m;
  m.name = "example.com/start";
  return m;
}

TEST_CASE("edit: words of acbuild and actool change a manifest", "[libaci][schema]") {
  ImageManifest m = Start();
  ManifestEdit e;
  CHECK(e.empty());
  e.name = "example.com/hello";
  e.exec = {"/bin/hello", "a b"};
  e.labels = {{"version", "0.0.1"}};
  e.annotations = {{"authors", "me"}};
  e.environment = {{"A", "b=c"}};
  e.mounts = {"db,path=/db"};
  e.ports = {"www,protocol=tcp,port=80"};
  e.isolators = {{"resource/memory", "{\"limit\":\"64Mi\"}"}};
  e.isolator_words = {"resource/cpu,limit=500m"};
  e.dependencies = {"example.com/base,version=1,size=7"};
  e.capabilities_retain = {"CAP_KILL"};
  e.seccomp_mode = "retain,errno=EPERM";
  e.seccomp_set = {"read"};
  e.pre_start = {"/pre"};
  e.supplementary_gids = {"7"};
  CHECK_FALSE(e.empty());
  REQUIRE(Apply(e, m).ok());
  CHECK(m.ToJson() ==
        R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/hello",)"
        R"("labels":[{"name":"version","value":"0.0.1"}],"app":{"exec":["/bin/hello","a b"],)"
        R"("eventHandlers":[{"name":"pre-start","exec":["/pre"]}],"user":"0","group":"0",)"
        R"("supplementaryGIDs":[7],"environment":[{"name":"A","value":"b=c"}],)"
        R"("mountPoints":[{"name":"db","path":"/db"}],)"
        R"("ports":[{"name":"www","protocol":"tcp","port":80,"count":1,"socketActivated":false}],)"
        R"("isolators":[{"name":"resource/memory","value":{"limit":"64Mi"}},)"
        R"({"name":"resource/cpu","value":{"limit":"500m"}},)"
        R"({"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}},)"
        R"({"name":"os/linux/seccomp-retain-set","value":{"set":["read"],"errno":"EPERM"}}]},)"
        R"("annotations":[{"name":"authors","value":"me"}],)"
        R"("dependencies":[{"imageName":"example.com/base",)"
        R"("labels":[{"name":"version","value":"1"}],"size":7}]})");
  ManifestEdit undo;
  undo.remove_labels = {"version"};
  undo.remove_annotations = {"authors"};
  undo.remove_environment = {"A"};
  undo.remove_mounts = {"/db"};
  undo.remove_ports = {"80"};
  undo.remove_isolators = {"resource/memory", "resource/cpu"};
  undo.remove_dependencies = {"example.com/base"};
  REQUIRE(Apply(undo, m).ok());
  CHECK(m.app->isolators.size() == 2);
  CHECK(base::HasReason(Apply(undo, m), "aci.build_missing"));
}

TEST_CASE("edit: a bad change changes nothing", "[libaci][schema]") {
  ImageManifest m = Start();
  const std::string before = m.ToJson();
  auto refuse = [&](auto set, const char* reason) {
    ManifestEdit e;
    e.labels = {{"version", "1"}};
    set(e);
    INFO(base::GetError(Apply(e, m)).message);
    CHECK(base::ReasonOf(Apply(e, m)) == reason);
    CHECK(m.ToJson() == before);
  };
  refuse([](ManifestEdit& e) { e.name = "BAD"; }, "aci.name_invalid");
  refuse([](ManifestEdit& e) { e.working_directory = "rel"; }, "aci.manifest_invalid");
  refuse([](ManifestEdit& e) { e.ports = {"x,protocol=tcp,port=70000"}; }, "core.invalid_argument");
  refuse([](ManifestEdit& e) { e.isolators = {{"resource/cpu", "{"}}; }, "json.invalid");
  refuse(
      [](ManifestEdit& e) {
        e.isolators = {{"resource/cpu", "{\"limit\":\"x\"}"}};
      },
      "aci.quantity");
  refuse([](ManifestEdit& e) { e.replace = "{}"; }, "aci.manifest_invalid");
  refuse([](ManifestEdit& e) { e.seccomp_mode = "maybe"; }, "core.invalid_argument");
  refuse([](ManifestEdit& e) { e.dependencies = {"example.com/x,imageid=sha512-1"}; },
         "aci.image_id_invalid");
  refuse([](ManifestEdit& e) { e.environment = {{"1A", ""}}; }, "aci.manifest_invalid");
  refuse([](ManifestEdit& e) { e.supplementary_gids = {"-1"}; }, "core.invalid_argument");
}

}  // namespace
}  // namespace coaming::aci
