#include "libcni/conf/conf.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"

namespace coaming::cni {
namespace {

NetworkList MustParse(std::string_view json) {
  auto list = ParseNetworkList(json);
  INFO(list.status());
  REQUIRE(list.ok());
  return *list;
}

TEST_CASE("conf: a list is read with its plugins' own bytes", "[libcni][conf]") {
  const std::string text = R"({ "cniVersion": "0.4.0", "name": "web", "disableCheck": true,
    "plugins": [
      {"type": "bridge", "big": 12345678901234567890, "x": 1.50, "ipam": {"type": "host-local"}},
      {"type": "portmap", "name": "pm", "capabilities": {"portMappings": true, "no": false}}
    ]})";
  NetworkList list = MustParse(text);
  CHECK(list.name == "web");
  CHECK(list.cni_version == "0.4.0");
  CHECK(list.disable_check);
  CHECK_FALSE(list.disable_gc);
  CHECK(list.json == text);
  REQUIRE(list.plugins.size() == 2);
  CHECK(list.plugins[0].type == "bridge");
  CHECK(list.plugins[0].ipam_type == "host-local");
  CHECK(
      list.plugins[0].json ==
      R"({"type": "bridge", "big": 12345678901234567890, "x": 1.50, "ipam": {"type": "host-local"}})");
  CHECK(list.plugins[1].name == "pm");
  CHECK(list.plugins[1].capabilities == std::vector<std::string>{"portMappings"});
}

TEST_CASE("conf: the highest version that is spoken here is selected", "[libcni][conf]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"("cniVersion":"0.3.1")", "0.3.1"},
      {R"("cniVersions":["0.3.1","1.0.0","0.4.0"])", "1.0.0"},
      {R"("cniVersion":"0.3.1","cniVersions":["1.0.0","9.9.9"])", "1.0.0"},
      {R"("cniVersion":"1.1.0","cniVersions":["0.4.0"])", "1.1.0"},
      {R"("cniVersion":"9.9.9","cniVersions":["9.9.8"])", "9.9.9"},
      {R"("cniVersions":[])", ""},
      {R"("x":1)", ""},
      {R"("cniVersions":["0.10.0","0.9.0"])", "0.10.0"},
  };
  for (auto [members, want] : cases) {
    INFO(members);
    CHECK(MustParse(absl::StrCat(R"({"name":"n",)", members, "}")).cni_version == want);
  }
}

TEST_CASE("conf: booleans may be spelled as words in any case", "[libcni][conf]") {
  CHECK(MustParse(R"({"name":"n","disableCheck":"TRUE"})").disable_check);
  CHECK_FALSE(MustParse(R"({"name":"n","disableCheck":"False"})").disable_check);
  CHECK(MustParse(R"({"name":"n","disableGC":true})").disable_gc);
  CHECK(MustParse(R"({"name":"n","loadOnlyInlinedPlugins":"true","plugins":[{"type":"a"}]})")
            .load_only_inlined_plugins);
}

TEST_CASE("conf: a malformed list is refused with the place", "[libcni][conf]") {
  const std::pair<const char*, const char*> bad[] = {
      {"", "network configuration"},
      {"[]", "network configuration"},
      {"{", "network configuration"},
      {"{}", "name is missing"},
      {R"({"name":1})", "name: want a string"},
      {R"({"name":null})", "name: want a string"},
      {R"({"name":"n","cniVersion":1})", "cniVersion: want a string"},
      {R"({"name":"n","cniVersions":"1.0.0"})", "cniVersions: want a list"},
      {R"({"name":"n","cniVersions":[1]})", "cniVersions: want a list of strings"},
      {R"({"name":"n","disableCheck":1})", "disableCheck: want a boolean"},
      {R"({"name":"n","disableCheck":"yes"})", "disableCheck: want a boolean"},
      {R"({"name":"n","disableGC":[]})", "disableGC: want a boolean"},
      {R"({"name":"n","loadOnlyInlinedPlugins":true})", "plugins is missing"},
      {R"({"name":"n","plugins":{}})", "plugins: want a list"},
      {R"({"name":"n","plugins":null})", "plugins: want a list"},
      {R"({"name":"n","plugins":[]})", "plugins is empty"},
      {R"({"name":"n","plugins":["bridge"]})", "plugins[0]"},
      {R"({"name":"n","plugins":[{}]})", "type is missing"},
      {R"({"name":"n","plugins":[{"type":""}]})", "type is missing"},
      {R"({"name":"n","plugins":[{"type":"a"},{"type":"../b"}]})", "plugins[1]"},
      {R"({"name":"n","plugins":[{"type":"/bin/sh"}]})", "not the name of a file"},
      {R"({"name":"n","plugins":[{"type":"a\u0000b"}]})", "NUL"},
      {R"({"name":"n","plugins":[{"type":"a","capabilities":[]}]})", "capabilities"},
      {R"({"name":"n","plugins":[{"type":"a","capabilities":{"x":1}}]})", "capabilities.x"},
      {R"({"name":"n","plugins":[{"type":"a","ipam":"x"}]})", "ipam"},
      {R"({"name":"n","name":"m"})", "network configuration"},
  };
  for (auto [text, where] : bad) {
    INFO(text);
    auto status = ParseNetworkList(text).status();
    CHECK(base::HasReason(status, "cni.conf.invalid"));
    CHECK(base::GetError(status).message.find(where) != std::string::npos);
  }
  CHECK(base::HasReason(ParseNetworkList(R"({"name":"n","cniVersions":["x"]})").status(),
                        "cni.version"));
}

TEST_CASE("conf: a single plugin becomes a list of one", "[libcni][conf]") {
  const std::string text = R"({"Type":"ptp","name":"a<b","cniVersion":"0.2.0","n":1e3})";
  auto plugin = ParsePluginConf(text);
  REQUIRE(plugin.ok());
  CHECK(plugin->type == "ptp");
  auto list = ListFromPlugin(*plugin);
  REQUIRE(list.ok());
  CHECK(list->name == "a<b");
  CHECK(list->cni_version == "0.2.0");
  REQUIRE(list->plugins.size() == 1);
  CHECK(list->plugins[0].json == text);
  NetworkList again = MustParse(list->json);
  CHECK(again.name == "a<b");
  CHECK(again.plugins[0].json == text);
  CHECK(base::HasReason(ParsePluginConf("{}").status(), "cni.conf.invalid"));
  CHECK(ParseNetwork(text)->plugins[0].type == "ptp");
  CHECK(ParseNetwork(list->json)->name == "a<b");
  CHECK(base::HasReason(ParseNetwork(R"({"name":"n"})").status(), "cni.conf.invalid"));
  CHECK(base::HasReason(ParseNetwork("{}").status(), "cni.conf.invalid"));
}

}  // namespace
}  // namespace coaming::cni
