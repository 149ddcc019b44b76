#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/conf/conf.h"
#include "libcni/testing/netns.h"

namespace coaming::cni {
namespace {

using testing::Shell;
using testing::TempDir;
using testing::WriteFile;

std::string List(std::string_view name, std::string_view type) {
  return absl::StrCat(R"({"cniVersion":"1.0.0","name":")", name, R"(","plugins":[{"type":")", type,
                      R"("}]})");
}

std::string TypeOf(const std::vector<std::string>& dirs, std::string_view name) {
  auto list = LoadNetwork(base::Op(), dirs, name);
  if (!list.ok()) return base::ReasonOf(list.status());
  return list->plugins.at(0).type;
}

TEST_CASE("load: lists come before single plugins, files in name order", "[libcni][conf]") {
  TempDir dir;
  WriteFile(dir / "20.conflist", List("net", "second"));
  WriteFile(dir / "10.conflist", List("net", "first"));
  WriteFile(dir / "00.conf", R"({"name":"net","type":"single"})");
  WriteFile(dir / "05.json", R"({"name":"alone","type":"json","cniVersion":"0.3.1"})");
  WriteFile(dir / "30.conflist.bak", "{");
  WriteFile(dir / "40.CONFLIST", "{");
  Shell("mkdir " + (dir / "50.conflist"));
  CHECK(TypeOf({dir.path()}, "net") == "first");
  auto alone = LoadNetwork(base::Op(), std::vector<std::string>{dir.path()}, "alone");
  REQUIRE(alone.ok());
  CHECK(alone->cni_version == "0.3.1");
  CHECK(alone->path == dir / "05.json");
  auto none = LoadNetwork(base::Op(), std::vector<std::string>{dir.path()}, "none");
  CHECK(base::HasReason(none.status(), "cni.conf.not_found"));
  CHECK(absl::StrContains(base::GetError(none.status()).message, "there are net, net, net, alone"));
  CHECK(TypeOf({dir / "missing"}, "net") == "cni.conf.not_found");
  CHECK(TypeOf({}, "net") == "cni.conf.not_found");
}

TEST_CASE("load: the first directory wins", "[libcni][conf]") {
  TempDir a, b;
  WriteFile(b / "1.conflist", List("net", "b"));
  CHECK(TypeOf({a.path(), b.path()}, "net") == "b");
  WriteFile(a / "9.conf", R"({"name":"net","type":"a"})");
  CHECK(TypeOf({a.path(), b.path()}, "net") == "a");
  CHECK(TypeOf({b.path(), a.path()}, "net") == "b");
}

TEST_CASE("load: a broken file is skipped with a note, or refused when strict", "[libcni][conf]") {
  TempDir dir;
  WriteFile(dir / "10.conflist", "{broken");
  WriteFile(dir / "11.conflist", R"({"name":"empty"})");
  Shell("ln -s /nowhere " + (dir / "12.conflist"));
  WriteFile(dir / "20.conflist", List("net", "good"));
  base::Notes notes;
  base::Op op;
  op.set_notes(&notes);
  std::vector<std::string> dirs = {dir.path()};
  auto list = LoadNetwork(op, dirs, "net");
  REQUIRE(list.ok());
  REQUIRE(notes.size() == 3);
  CHECK(notes[0].reason == "cni.conf.skipped");
  CHECK(notes[0].subject == dir / "10.conflist");
  CHECK(
      base::HasReason(LoadNetwork(op, dirs, "net", {.strict = true}).status(), "cni.conf.invalid"));
}

TEST_CASE("load: a sibling directory's .conf files are appended in name order", "[libcni][conf]") {
  TempDir dir;
  WriteFile(dir / "10.conflist", List("net", "inline"));
  WriteFile(dir / "11.conflist", R"({"name":"bare","cniVersion":"1.1.0","disableCheck":true})");
  WriteFile(dir / "12.conflist",
            R"({"name":"only","loadOnlyInlinedPlugins":true,"plugins":[{"type":"inline"}]})");
  for (const char* name : {"net", "bare", "only"}) {
    Shell("mkdir " + (dir / name));
    WriteFile((dir / name) + "/20.conf", R"({"type":"late","n":1.50})");
    WriteFile((dir / name) + "/10.conf", R"({"type":"early"})");
    WriteFile((dir / name) + "/30.json", R"({"type":"ignored"})");
  }
  auto types = [&](std::string_view name) {
    auto list = LoadNetwork(base::Op(), std::vector<std::string>{dir.path()}, name);
    std::string out;
    if (!list.ok()) return list.status().ToString();
    for (const PluginConf& plugin : list->plugins) absl::StrAppend(&out, plugin.type, " ");
    // What the cache keeps has the same plugins.
    auto again = ParseNetworkList(list->json);
    REQUIRE(again.ok());
    CHECK(again->name == list->name);
    CHECK(again->cni_version == list->cni_version);
    CHECK(again->disable_check == list->disable_check);
    REQUIRE(again->plugins.size() == list->plugins.size());
    for (size_t i = 0; i < list->plugins.size(); ++i) {
      CHECK(again->plugins[i].json == list->plugins[i].json);
    }
    return out;
  };
  CHECK(types("net") == "inline early late ");
  CHECK(types("bare") == "early late ");
  CHECK(types("only") == "inline ");
}

TEST_CASE("load: a network's name never leads out of the directory", "[libcni][conf]") {
  TempDir dir;
  Shell(absl::StrCat("mkdir ", dir / "conf", " ", dir / "evil"));
  WriteFile(dir / "evil/1.conf", R"({"type":"evil"})");
  for (const char* name : {"../evil", "/etc", ".", "..", "a/../../evil"}) {
    INFO(name);
    WriteFile(dir / "conf/1.conflist", List(name, "good"));
    auto list = LoadNetwork(base::Op(), std::vector<std::string>{dir / "conf"}, name);
    REQUIRE(list.ok());
    CHECK(list->plugins.size() == 1);
  }
}

TEST_CASE("load: one file by its path", "[libcni][conf]") {
  TempDir dir;
  WriteFile(dir / "a.conflist", List("net", "bridge"));
  WriteFile(dir / "b.conf", R"({"name":"single","type":"ptp"})");
  CHECK(LoadNetworkFile(base::Op(), dir / "a.conflist")->name == "net");
  CHECK(LoadNetworkFile(base::Op(), dir / "b.conf")->plugins[0].type == "ptp");
  CHECK(
      base::HasReason(LoadNetworkFile(base::Op(), dir / "c.conf").status(), "cni.conf.not_found"));
  base::Limits limits;
  limits.manifest_bytes = 10;
  base::Op op;
  op.set_limits(&limits);
  CHECK(base::HasReason(LoadNetworkFile(op, dir / "a.conflist").status(), "core.limit"));
}

TEST_CASE("load: all networks of several directories, with the problems", "[libcni][conf]") {
  TempDir a, b;
  WriteFile(a / "1.conflist", List("one", "x"));
  WriteFile(a / "2.conflist", "[]");
  WriteFile(b / "1.conflist", List("one", "y"));
  WriteFile(b / "2.conf", R"({"name":"two","type":"z"})");
  WriteFile(b / "3.conf", R"({"name":"bad name","type":"z"})");
  auto set = LoadAllNetworks(base::Op(), std::vector<std::string>{a.path(), b.path(), "/nowhere"});
  REQUIRE(set.ok());
  REQUIRE(set->networks.size() == 2);
  CHECK(set->networks[0].plugins[0].type == "x");
  CHECK(set->networks[1].name == "two");
  REQUIRE(set->problems.size() == 3);
  CHECK(set->problems[0].path == a / "2.conflist");
  CHECK(set->problems[1].path == b / "1.conflist");
  CHECK(base::HasReason(set->problems[2].status, "cni.name"));
}

}  // namespace
}  // namespace coaming::cni
