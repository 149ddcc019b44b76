#include "libcni/invoke/client.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/invoke/test_bench.h"

namespace coaming::cni {
namespace {

constexpr char kFirst[] = R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],)"
                          R"("ips":[{"interface":0,"address":"10.0.0.2/24"}]})";
constexpr char kSecond[] =
    R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],)"
    R"("ips":[{"interface":0,"address":"10.0.0.2/24"}],"dns":{"domain":"x.test"}})";

constexpr char kList[] = R"({"cniVersion":"1.0.0","name":"net","plugins":[
  {"type":"one","big":12345678901234567890,"html":"<&>","cniVersion":"0.1.0","name":"mine"},
  {"type":"two","capabilities":{"mac":true,"ips":false,"absent":true}}]})";

Runtime MakeRuntime() {
  Runtime runtime;
  runtime.container_id = "c1";
  runtime.netns = "/proc/self/ns/net";
  runtime.args = {{"IgnoreUnknown", "1"}, {"K8S_POD", "p"}};
  runtime.capabilities.SetMac("02:00:00:00:00:01");
  runtime.capabilities.SetIps({"10.0.0.9"});
  return runtime;
}

TEST_CASE("client: ADD runs forward with prevResult, DEL and CHECK see the cached result",
          "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Adder("two", kSecond);
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  Runtime runtime = MakeRuntime();

  auto added = client.AddNetworkList(base::Op(), list, runtime);
  REQUIRE_OK(added.status());
  CHECK(WriteResult(*added) == kSecond);
  CHECK(bench.Calls() == "one.ADD two.ADD");
  CHECK(bench.Input(0) == R"({"big":12345678901234567890,"cniVersion":"1.0.0",)"
                          R"("html":"\u003c\u0026\u003e","name":"net","type":"one"})");
  CHECK(bench.Input(1) ==
        R"({"cniVersion":"1.0.0","name":"net","prevResult":{"cniVersion":"1.0.0",)"
        R"("interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"address":"10.0.0.2/24",)"
        R"("interface":0}]},"runtimeConfig":{"mac":"02:00:00:00:00:01"},"type":"two"})");
  std::vector<std::string> env = bench.Env(0);
  std::erase_if(env, [](const std::string& line) {
    return absl::StartsWith(line, "PWD=") || absl::StartsWith(line, "_=") ||
           absl::StartsWith(line, "SHLVL=");
  });
  CHECK(env == std::vector<std::string>{
                   "CNI_ARGS=IgnoreUnknown=1;K8S_POD=p", "CNI_COMMAND=ADD", "CNI_CONTAINERID=c1",
                   "CNI_IFNAME=eth0", "CNI_NETNS=/proc/self/ns/net", "CNI_PATH=" + bench.bin(),
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});

  CHECK(testing::ListDir(bench.cache() + "/results") == std::vector<std::string>{"net-c1-eth0"});
  CHECK(testing::ListDir(bench.cache() + "/intents").empty());
  auto cached = client.CachedResult(base::Op(), list, runtime);
  REQUIRE_OK(cached.status());
  CHECK(**cached == *added);

  bench.Forget();
  REQUIRE_OK(client.CheckNetworkList(base::Op(), list, runtime));
  CHECK(bench.Calls() == "one.CHECK two.CHECK");
  CHECK(absl::StrContains(bench.Input(0), R"("dns":{"domain":"x.test"})"));

  bench.Forget();
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
  CHECK(bench.Calls() == "two.DEL one.DEL");
  CHECK(absl::StrContains(bench.Input(0), R"("prevResult":{"cniVersion":"1.0.0","dns")"));
  CHECK(absl::StrContains(bench.Input(1), R"("prevResult":{"cniVersion":"1.0.0","dns")"));
  CHECK(bench.Clean());

  // Again, with nothing attached: the plugins run, without prevResult.
  bench.Forget();
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
  CHECK(bench.Calls() == "two.DEL one.DEL");
  CHECK_FALSE(absl::StrContains(bench.Input(0), "prevResult"));
}

TEST_CASE("client: before 0.4.0 DEL gets no prevResult and CHECK is refused", "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", R"({"ip4":{"ip":"10.0.0.2/24"}})");
  Client client(bench.Options());
  NetworkList list = MustList(R"({"cniVersion":"0.2.0","name":"net","plugins":[{"type":"one"}]})");
  auto added = client.AddNetworkList(base::Op(), list, MakeRuntime());
  REQUIRE_OK(added.status());
  CHECK(added->cni_version == "0.2.0");
  CHECK(base::HasReason(client.CheckNetworkList(base::Op(), list, MakeRuntime()), "cni.version"));
  bench.Forget();
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, MakeRuntime()));
  CHECK_FALSE(absl::StrContains(bench.Input(0), "prevResult"));
}

TEST_CASE("client: disableCheck and disableGC run nothing", "[libcni][invoke]") {
  Bench bench;
  bench.Failer("one", "CHECK", 999, "no");
  Client client(bench.Options());
  NetworkList list = MustList(R"({"cniVersion":"1.1.0","name":"net","disableCheck":true,
    "disableGC":true,"plugins":[{"type":"one"}]})");
  REQUIRE_OK(client.CheckNetworkList(base::Op(), list, MakeRuntime()));
  REQUIRE_OK(client.GcNetworkList(base::Op(), list, {}));
  CHECK(bench.Calls().empty());
}

TEST_CASE("client: a failed ADD is undone in reverse, from the plugin that failed",
          "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Failer("two", "ADD", 11, "later");
  bench.Adder("three", kSecond);
  Client client(bench.Options());
  NetworkList list = MustList(R"({"cniVersion":"1.0.0","name":"net","plugins":[
    {"type":"one"},{"type":"two"},{"type":"three"}]})");
  auto added = client.AddNetworkList(base::Op(), list, MakeRuntime());
  CHECK(base::HasReason(added.status(), "cni.plugin.try_again"));
  base::Error error = base::GetError(added.status());
  CHECK(error.message == "network net: two (ADD): later");
  CHECK(error.Detail("cni.network") == "net");
  CHECK(error.Detail("cni.plugin") == "two");
  CHECK(error.Detail("cni.verb") == "ADD");
  CHECK(error.Detail("cni.index") == "1");
  CHECK(error.Detail("cni.code") == "11");
  CHECK(error.Detail("cni.rollback").empty());
  CHECK(bench.Calls() == "one.ADD two.ADD two.DEL one.DEL");
  CHECK(absl::StrContains(bench.Input(2), R"("prevResult":{"cniVersion":"1.0.0","interfaces")"));
  CHECK(bench.Clean());

  ClientOptions exact = bench.Options();
  exact.exact = true;
  bench.Forget();
  CHECK_FALSE(Client(exact).AddNetworkList(base::Op(), list, MakeRuntime()).ok());
  CHECK(bench.Calls() == "one.ADD two.ADD");
}

TEST_CASE("client: a rollback that fails too is told and can be recovered", "[libcni][invoke]") {
  Bench bench;
  bench.Failer("one", "DEL", 100, "busy");
  bench.Failer("two", "ADD", 100, "no");
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  base::Notes notes;
  base::Op op;
  op.set_notes(&notes);
  auto added = client.AddNetworkList(op, list, MakeRuntime());
  CHECK(base::HasReason(added.status(), "cni.plugin.failed"));
  CHECK(base::GetError(added.status()).Detail("cni.rollback") == "network net: one (DEL): busy");
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].reason == "cni.rollback_failed");
  CHECK(testing::ListDir(bench.cache() + "/intents").size() == 1);

  bench.Adder("one", kFirst);
  bench.Forget();
  auto recovered = client.Recover(base::Op());
  REQUIRE_OK(recovered.status());
  CHECK(*recovered == 1);
  CHECK(bench.Calls() == "two.DEL one.DEL");
  CHECK(bench.Clean());
}

TEST_CASE("client: what a crash left of an ADD is undone before the next try", "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Adder("two", kSecond);
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  CachedAttachment begun;
  begun.network = "net";
  begun.runtime = MakeRuntime();
  begun.config_json = list.json;
  REQUIRE_OK(client.cache().WriteIntent(base::Op(), begun));
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime()).status());
  CHECK(bench.Calls() == "two.DEL one.DEL one.ADD two.ADD");
  CHECK(testing::ListDir(bench.cache() + "/intents").empty());
}

TEST_CASE("client: a second ADD of one interface is refused before any plugin runs",
          "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Adder("two", kSecond);
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime()).status());
  NetworkList other = list;
  other.name = "other";
  bench.Forget();
  CHECK(base::HasReason(client.AddNetworkList(base::Op(), list, MakeRuntime()).status(),
                        "cni.attached"));
  CHECK(base::HasReason(client.AddNetworkList(base::Op(), other, MakeRuntime()).status(),
                        "cni.attached"));
  CHECK(bench.Calls().empty());
  Runtime second = MakeRuntime();
  second.ifname = "eth1";
  REQUIRE_OK(client.AddNetworkList(base::Op(), other, second).status());
  auto attached = client.cache().List(base::Op(), "c1");
  REQUIRE_OK(attached.status());
  CHECK(attached->size() == 2);
}

TEST_CASE("client: DEL goes on after a failure and keeps the cache for the next try",
          "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Failer("two", "DEL", 5, "disk");
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime()).status());
  bench.Forget();
  CHECK(base::HasReason(client.DelNetworkList(base::Op(), list, MakeRuntime()), "cni.plugin.io"));
  CHECK(bench.Calls() == "two.DEL one.DEL");
  CHECK(testing::ListDir(bench.cache() + "/results").size() == 1);

  ClientOptions exact = bench.Options();
  exact.exact = true;
  bench.Forget();
  CHECK_FALSE(Client(exact).DelNetworkList(base::Op(), list, MakeRuntime()).ok());
  CHECK(bench.Calls() == "two.DEL");

  testing::Shell("rm " + bench.bin() + "/two");
  bench.Forget();
  CHECK(base::HasReason(client.DelNetworkList(base::Op(), list, MakeRuntime()),
                        "cni.plugin.not_found"));
  CHECK(bench.Calls() == "one.DEL");
  bench.Adder("two", kSecond);
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, MakeRuntime()));
  CHECK(bench.Clean());
}

TEST_CASE("client: DEL works with a broken cache file and removes it", "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Adder("two", kSecond);
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  for (const char* text : {"", "{", "{}", "[]", R"({"kind":"cniCacheV1","config":"*"})",
                           R"({"cniVersion":"7.0.0"})"}) {
    INFO(text);
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime()).status());
    testing::WriteFile(bench.cache() + "/results/net-c1-eth0", text);
    CHECK(base::HasReason(client.CheckNetworkList(base::Op(), list, MakeRuntime()),
                          "cni.cache.corrupt"));
    base::Notes notes;
    base::Op op;
    op.set_notes(&notes);
    REQUIRE_OK(client.DelNetworkList(op, list, MakeRuntime()));
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].reason == "cni.cache_ignored");
    CHECK(bench.Clean());
  }
}

TEST_CASE("client: GC deletes what is cached and not valid, then asks every plugin",
          "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", R"({"cniVersion":"1.1.0"})");
  bench.Failer("two", "GC", 999, "no gc");
  Client client(bench.Options());
  NetworkList list = MustList(R"({"cniVersion":"1.1.0","name":"net","plugins":[
    {"type":"one","capabilities":{"mac":true}},{"type":"two"}]})");
  for (const char* id : {"keep", "stale"}) {
    Runtime runtime = MakeRuntime();
    runtime.container_id = id;
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
  }
  NetworkList other = list;
  other.name = "other";
  Runtime elsewhere = MakeRuntime();
  elsewhere.container_id = "third";
  REQUIRE_OK(client.AddNetworkList(base::Op(), other, elsewhere).status());
  bench.Forget();
  absl::Status status = client.GcNetworkList(base::Op(), list, {{"keep", "eth0"}});
  CHECK(base::HasReason(status, "cni.plugin.failed"));
  CHECK(bench.Calls() == "two.DEL one.DEL one.GC two.GC");
  CHECK(absl::StrContains(bench.Input(1), R"("runtimeConfig":{"mac":"02:00:00:00:00:01"})"));
  CHECK(bench.Input(2) ==
        R"({"capabilities":{"mac":true},"cni.dev/attachments":[{"containerID":"keep",)"
        R"("ifname":"eth0"}],"cni.dev/valid-attachments":[{"containerID":"keep",)"
        R"("ifname":"eth0"}],"cniVersion":"1.1.0","name":"net","type":"one"})");
  CHECK(testing::ListDir(bench.cache() + "/results") ==
        std::vector<std::string>{"net-keep-eth0", "other-third-eth0"});

  // Below 1.1.0 only the DELs happen.
  list.cni_version = "1.0.0";
  bench.Forget();
  REQUIRE_OK(client.GcNetworkList(base::Op(), list, {}));
  CHECK(bench.Calls() == "two.DEL one.DEL");
}

TEST_CASE("client: DelAttachment uses the configuration of the ADD", "[libcni][invoke]") {
  Bench bench;
  bench.Adder("one", kFirst);
  bench.Adder("two", kSecond);
  Client client(bench.Options());
  REQUIRE_OK(client.AddNetworkList(base::Op(), MustList(kList), MakeRuntime()).status());
  auto attached = client.cache().List(base::Op(), "c1");
  REQUIRE_OK(attached.status());
  REQUIRE(attached->size() == 1);
  CHECK((*attached)[0].runtime.args == MakeRuntime().args);
  CHECK((*attached)[0].runtime.capabilities.ToJson() == MakeRuntime().capabilities.ToJson());
  CHECK((*attached)[0].runtime.netns == "/proc/self/ns/net");
  bench.Forget();
  REQUIRE_OK(client.DelAttachment(base::Op(), (*attached)[0]));
  CHECK(bench.Calls() == "two.DEL one.DEL");
  CHECK(bench.Clean());
}

TEST_CASE("client: STATUS hands the plugin's code on and needs 1.1.0", "[libcni][invoke]") {
  Bench bench;
  bench.Failer("one", "STATUS", 50, "no daemon");
  Client client(bench.Options());
  NetworkList list = MustList(R"({"cniVersion":"1.1.0","name":"net","plugins":[{"type":"one"}]})");
  CHECK(base::HasReason(client.StatusNetworkList(base::Op(), list), "cni.plugin.not_available"));
  CHECK(bench.Input(0) == R"({"cniVersion":"1.1.0","name":"net","type":"one"})");
  list.cni_version = "1.0.0";
  bench.Forget();
  REQUIRE_OK(client.StatusNetworkList(base::Op(), list));
  CHECK(bench.Calls().empty());
}

TEST_CASE("client: VERSION is asked once for a file and again for a new one", "[libcni][invoke]") {
  Bench bench;
  bench.Plugin("one", R"(echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}')");
  Client client(bench.Options());
  for (int i = 0; i < 2; ++i) {
    auto info = client.PluginVersions(base::Op(), "one");
    REQUIRE_OK(info.status());
    CHECK(info->supported == std::vector<std::string>{"0.4.0", "1.0.0"});
  }
  CHECK(bench.Calls() == "one.VERSION");
  CHECK(bench.Input(0) == R"({"cniVersion":"1.1.0"})");
  testing::Shell("rm " + bench.bin() + "/one");
  bench.Plugin("one", R"(echo '{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}'; exit 1)");
  auto old = client.PluginVersions(base::Op(), "one");
  REQUIRE_OK(old.status());
  CHECK(old->supported == std::vector<std::string>{"0.1.0"});

  const std::pair<const char*, bool> answers[] = {
      {R"({"cniVersion":"0.2.0"})", true},
      {R"({"cniVersion":"1.0.0"})", false},
      {R"({"supportedVersions":["1.0.0"]})", false},
      {"", false},
      {"[]", false},
      {R"({"cniVersion":"1.0.0","supportedVersions":[1]})", false}};
  for (auto [text, good] : answers) {
    INFO(text);
    testing::Shell("rm " + bench.bin() + "/one");
    bench.Plugin("one", absl::StrCat("echo '", text, "'"));
    CHECK(client.PluginVersions(base::Op(), "one").ok() == good);
  }
}

TEST_CASE("client: validation names the plugin that cannot serve the list", "[libcni][invoke]") {
  Bench bench;
  bench.Plugin("one", R"(echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}')");
  bench.Plugin("two", R"(echo '{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}')");
  Client client(bench.Options());
  NetworkList list = MustList(kList);
  auto status = client.ValidateNetworkList(base::Op(), list).status();
  CHECK(base::HasReason(status, "cni.plugin.version"));
  CHECK(base::GetError(status).Detail("cni.plugin") == "two");
  list.cni_version = "0.4.0";
  auto capabilities = client.ValidateNetworkList(base::Op(), list);
  REQUIRE_OK(capabilities.status());
  CHECK(*capabilities == std::vector<std::string>{"absent", "mac"});
  list.plugins[0].type = "none";
  CHECK(base::HasReason(client.ValidateNetworkList(base::Op(), list).status(),
                        "cni.plugin.not_found"));
}

}  // namespace
}  // namespace coaming::cni
