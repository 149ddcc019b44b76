#include "libcni/cache/cache.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/cache/format.h"
#include "libcni/testing/netns.h"

namespace coaming::cni {
namespace {

using testing::ListDir;
using testing::ReadFile;
using testing::Shell;
using testing::TempDir;
using testing::WriteFile;

CachedAttachment Make(std::string_view network, std::string_view id) {
  CachedAttachment out;
  out.network = network;
  out.runtime.container_id = id;
  out.runtime.netns = "/run/netns/x";
  out.runtime.args = {{"IgnoreUnknown", "1"}, {"IP", "10.0.0.3"}};
  out.runtime.capabilities.SetMac("02:00:00:00:00:01");
  out.config_json = R"({"name":"net","plugins":[{"type":"a"}]})";
  out.result = Result{.cni_version = "1.0.0", .interfaces = {{.name = "eth0"}}};
  return out;
}

TEST_CASE("cache: the file has the name and the bytes of the reference client", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir / "made/here");
  REQUIRE(cache.Write(base::Op(), Make("net", "c1")).ok());
  CHECK(ReadFile(dir / "made/here/results/net-c1-eth0") ==
        R"({"kind":"cniCacheV1","containerId":"c1",)"
        R"("config":"eyJuYW1lIjoibmV0IiwicGx1Z2lucyI6W3sidHlwZSI6ImEifV19","ifName":"eth0",)"
        R"("networkName":"net","netns":"/run/netns/x",)"
        R"("cniArgs":[["IgnoreUnknown","1"],["IP","10.0.0.3"]],)"
        R"("capabilityArgs":{"mac":"02:00:00:00:00:01"},)"
        R"("result":{"cniVersion":"1.0.0","interfaces":[{"name":"eth0"}]}})");
  CHECK(Shell("stat -c %a " + (dir / "made/here/results") + " " +
              (dir / "made/here/results/net-c1-eth0")) == "700\n600\n");
  auto read = cache.Read(base::Op(), "net", "c1", "eth0");
  REQUIRE(read.ok());
  REQUIRE(read->has_value());
  CHECK((*read)->runtime.args == Make("net", "c1").runtime.args);
  CHECK((*read)->config_json == Make("net", "c1").config_json);
  CHECK((*read)->result == Make("net", "c1").result);
  CHECK((*read)->runtime.capabilities.ToJson() == R"({"mac":"02:00:00:00:00:01"})");
  REQUIRE(cache.Remove(base::Op(), "net", "c1", "eth0").ok());
  REQUIRE(cache.Remove(base::Op(), "net", "c1", "eth0").ok());
  CHECK(ListDir(dir / "made/here/results").empty());
}

TEST_CASE("cache: nothing is there before anything is written", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir / "none");
  auto read = cache.Read(base::Op(), "net", "c1", "eth0");
  REQUIRE(read.ok());
  CHECK_FALSE(read->has_value());
  CHECK(cache.List(base::Op(), "")->empty());
  CHECK(cache.ListIntents(base::Op())->empty());
  CHECK(cache.Remove(base::Op(), "net", "c1", "eth0").ok());
  CHECK_FALSE(testing::Exists(dir / "none"));
}

TEST_CASE("cache: the oldest format and the one without netns are read", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir.path());
  Shell("mkdir " + (dir / "results"));
  WriteFile(dir / "results/net-c1-eth0",
            R"({"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.2/24"}],"dns":{}})");
  auto old = cache.Read(base::Op(), "net", "c1", "eth0");
  REQUIRE(old.ok());
  CHECK((*old)->legacy);
  CHECK((*old)->result->ips.size() == 1);
  CHECK((*old)->runtime.container_id == "c1");
  CHECK((*old)->config_json.empty());
  WriteFile(dir / "results/net-c2-eth0",
            R"({"kind":"cniCacheV1","containerId":"c2","config":"e30=","ifName":"eth0",)"
            R"("networkName":"net","cniArgs":null,"result":{"cniVersion":"0.2.0",)"
            R"("ip4":{"ip":"10.0.0.2/24"},"dns":{}}})");
  auto middle = cache.Read(base::Op(), "net", "c2", "eth0");
  REQUIRE(middle.ok());
  CHECK((*middle)->runtime.netns.empty());
  CHECK((*middle)->config_json == "{}");
  CHECK((*middle)->result->cni_version == "0.2.0");
  // The oldest files say not whose they are, so only the newer one is listed.
  CHECK(cache.List(base::Op(), "")->size() == 1);
}

TEST_CASE("cache: two attachments whose file name reads the same do not mix", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir.path());
  REQUIRE(cache.Write(base::Op(), Make("a-b", "c")).ok());
  CHECK(base::HasReason(cache.Write(base::Op(), Make("a", "b-c")), "cni.cache.collision"));
  CHECK(
      base::HasReason(cache.Read(base::Op(), "a", "b-c", "eth0").status(), "cni.cache.collision"));
  REQUIRE(cache.Remove(base::Op(), "a", "b-c", "eth0").ok());
  CHECK(ListDir(dir / "results").size() == 1);
  CHECK(cache.List(base::Op(), "b-c")->empty());
  CHECK(cache.List(base::Op(), "c")->size() == 1);
}

TEST_CASE("cache: names that lead elsewhere are refused", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir.path());
  for (const char* bad : {"../x", "", "a/b", "."}) {
    INFO(bad);
    CHECK(base::HasReason(cache.Write(base::Op(), Make(bad, "c")), "cni.name"));
    CHECK(base::HasReason(cache.Write(base::Op(), Make("n", bad)), "cni.name"));
    CHECK(base::HasReason(cache.Read(base::Op(), "n", "c", bad).status(), "cni.name"));
    CHECK(base::HasReason(cache.Remove(base::Op(), bad, "c", "eth0"), "cni.name"));
  }
  CHECK(base::HasReason(cache.Write(base::Op(), Make("n", std::string(300, 'x'))),
                        "core.invalid_argument"));
  CHECK(ListDir(dir / "results").empty());
}

TEST_CASE("cache: damaged files are told as such and skipped by the list", "[libcni][cache]") {
  TempDir dir;
  Cache cache(dir.path());
  REQUIRE(cache.Write(base::Op(), Make("net", "good")).ok());
  for (const char* text :
       {"", "{", "[]", "{}", "null", R"({"kind":"cniCacheV1","config":1})",
        R"({"kind":"cniCacheV1","config":"!"})", R"({"kind":"cniCacheV1","cniArgs":[["a"]]})",
        R"({"kind":"cniCacheV1","cniArgs":{}})", R"({"kind":"cniCacheV1","capabilityArgs":[]})",
        R"({"kind":"cniCacheV1","result":[]})", R"({"kind":"other","cniVersion":"5.0.0"})",
        R"({"kind":"cniCacheV1","result":{"cniVersion":"1.0.0","ips":1}})"}) {
    INFO(text);
    WriteFile(dir / "results/net-bad-eth0", text);
    CHECK(base::HasReason(cache.Read(base::Op(), "net", "bad", "eth0").status(),
                          "cni.cache.corrupt"));
    CHECK(cache.List(base::Op(), "")->size() == 1);
  }
  REQUIRE(cache.Remove(base::Op(), "net", "bad", "eth0").ok());
  CHECK(ListDir(dir / "results").size() == 1);
  // Writing over a damaged file heals it.
  WriteFile(dir / "results/net-bad-eth0", "");
  REQUIRE(cache.Write(base::Op(), Make("net", "bad")).ok());
  CHECK(cache.Read(base::Op(), "net", "bad", "eth0").ok());
  // A file under the wrong name is not listed.
  Shell(absl::StrCat("cp ", dir / "results/net-good-eth0", " ", dir / "results/net-x-eth0"));
  CHECK(cache.List(base::Op(), "")->size() == 2);
}

}  // namespace
}  // namespace coaming::cni
