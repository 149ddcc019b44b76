#include "libcni/result/result.h"

#include <string>

#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

constexpr char kModern[] = R"({
  "cniVersion": "1.1.0",
  "interfaces": [
    {"name": "cni0", "mac": "00:11:22:33:44:55"},
    {"name": "eth0", "mac": "99:88:77:66:55:44", "mtu": 1400, "sandbox": "/run/netns/x",
     "socketPath": "/run/s", "pciID": "0000:00:1f.6"}],
  "ips": [
    {"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
    {"interface": 1, "address": "10.2.0.5/16"},
    {"interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"}],
  "routes": [
    {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1300, "advmss": 1200, "priority": 7, "table": 0,
     "scope": 253},
    {"dst": "::/0"}],
  "dns": {"nameservers": ["10.1.0.1"], "domain": "x.test", "search": ["a", "b"], "options": ["c"]},
  "unknown": {"kept": false}
})";

Result MustParse(std::string_view json, std::string_view fallback = "1.1.0") {
  auto result = ParseResult(json, fallback);
  INFO(result.status());
  REQUIRE(result.ok());
  return *result;
}

TEST_CASE("result: the modern shape is read in full", "[libcni][result]") {
  Result r = MustParse(kModern);
  CHECK(r.cni_version == "1.1.0");
  REQUIRE(r.interfaces.size() == 2);
  CHECK(r.interfaces[1].mtu == 1400);
  CHECK(r.interfaces[1].socket_path == "/run/s");
  CHECK(r.interfaces[1].pci_id == "0000:00:1f.6");
  REQUIRE(r.ips.size() == 3);
  CHECK(r.ips[0].interface == 1);
  CHECK(r.ips[0].address.ToString() == "10.1.0.5/16");
  CHECK_FALSE(r.ips[1].gateway.ok());
  REQUIRE(r.routes.size() == 2);
  CHECK(r.routes[0].table == 0);
  CHECK(r.routes[0].scope == 253);
  CHECK_FALSE(r.routes[1].table.has_value());
  CHECK(r.dns.search == std::vector<std::string>{"a", "b"});
  CHECK(AddressesOf(r, "eth0").size() == 3);
  CHECK(AddressesOf(r, "cni0").empty());
}

TEST_CASE("result: writing gives each version its own shape", "[libcni][result]") {
  Result r = MustParse(kModern);
  CHECK(WriteResult(*ConvertResult(r, "0.2.0")) ==
        R"({"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/16","gateway":"10.1.0.1",)"
        R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},"ip6":{"ip":"fd00::5/64",)"
        R"("gateway":"fd00::1","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["10.1.0.1"],)"
        R"("domain":"x.test","search":["a","b"],"options":["c"]}})");
  CHECK(WriteResult(*ConvertResult(r, "0.4.0")) ==
        R"({"cniVersion":"0.4.0","interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},)"
        R"({"name":"eth0","mac":"99:88:77:66:55:44","sandbox":"/run/netns/x"}],)"
        R"("ips":[{"version":"4","interface":1,"address":"10.1.0.5/16","gateway":"10.1.0.1"},)"
        R"({"version":"4","interface":1,"address":"10.2.0.5/16"},)"
        R"({"version":"6","interface":1,"address":"fd00::5/64","gateway":"fd00::1"}],)"
        R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1300,"advmss":1200,"priority":7,)"
        R"("table":0,"scope":253},{"dst":"::/0"}],"dns":{"nameservers":["10.1.0.1"],)"
        R"("domain":"x.test","search":["a","b"],"options":["c"]}})");
  Result empty;
  empty.cni_version = "1.0.0";
  CHECK(WriteResult(empty) == R"({"cniVersion":"1.0.0"})");
  empty.cni_version = "0.3.1";
  CHECK(WriteResult(empty, true) == "{\n    \"cniVersion\": \"0.3.1\",\n    \"dns\": {}\n}");
}

TEST_CASE("result: all 49 pairs of versions convert and read back", "[libcni][result]") {
  Result modern = MustParse(kModern);
  for (std::string_view from : SupportedVersions()) {
    for (std::string_view to : SupportedVersions()) {
      INFO(from << " to " << to);
      auto start = ConvertResult(modern, from);
      REQUIRE(start.ok());
      auto end = ConvertResult(*start, to);
      REQUIRE(end.ok());
      CHECK(end->cni_version == to);
      Result again = MustParse(WriteResult(*end), "0.1.0");
      CHECK(again == *end);
      bool small = !AtLeast(from, "0.3.0") || !AtLeast(to, "0.3.0");
      CHECK(end->ips.size() == (small ? 2 : 3));
      CHECK(end->interfaces.size() == (small ? 0 : 2));
      CHECK(end->routes.size() == 2);
      CHECK(end->dns == modern.dns);
      if (!small) {
        bool old = !AtLeast(from, "1.0.0") || !AtLeast(to, "1.0.0");
        CHECK(end->interfaces[1].mtu == (old ? 0 : 1400));
        CHECK(end->routes[0].mtu == 1300);
      }
    }
  }
}

TEST_CASE("result: 0.2.0 is read family by family", "[libcni][result]") {
  Result r = MustParse(R"({"cniVersion":"0.2.0",
    "ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},
    "ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1","routes":[{"dst":"0.0.0.0/0"}]},
    "dns":{"nameservers":["1.1.1.1"]}})");
  REQUIRE(r.ips.size() == 2);
  CHECK(r.ips[0].address.ToString() == "10.0.0.2/24");
  CHECK(r.ips[1].address.ToString() == "fd00::2/64");
  REQUIRE(r.routes.size() == 2);
  CHECK(r.routes[0].dst.ToString() == "0.0.0.0/0");
  CHECK(AddressesOf(r, "eth0").size() == 2);
  Result up = *ConvertResult(r, "1.0.0");
  CHECK(up.interfaces.empty());
  CHECK_FALSE(up.ips[0].interface.has_value());
}

TEST_CASE("result: no address means no 0.2.0", "[libcni][result]") {
  Result r = MustParse(R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0"}]})");
  CHECK(base::HasReason(ConvertResult(r, "0.2.0").status(), "cni.result.convert"));
  CHECK(base::HasReason(ConvertResult(r, "0.1.0").status(), "cni.result.convert"));
  CHECK(ConvertResult(r, "0.3.0").ok());
  CHECK(base::HasReason(ConvertResult(r, "2.0.0").status(), "cni.version"));
  // Within the old shape an empty one is copied as it is.
  Result old = MustParse(R"({"cniVersion":"0.1.0","dns":{}})");
  CHECK(ConvertResult(old, "0.2.0").ok());
}

TEST_CASE("result: a missing version is the configuration's, null is empty", "[libcni][result]") {
  CHECK(MustParse("{}", "0.4.0").cni_version == "0.4.0");
  CHECK(MustParse(R"({"cniVersion":""})", "0.3.1").cni_version == "0.3.1");
  CHECK(MustParse("null", "1.0.0") == Result{.cni_version = "1.0.0"});
  CHECK(MustParse("{}", "").cni_version == "0.1.0");
  CHECK(MustParse(R"({"CNIVERSION":"0.4.0","IPs":[{"Address":"1.2.3.4/8"}]})").ips.size() == 1);
  CHECK(MustParse(R"({"ips":null,"interfaces":null,"dns":null,"routes":[]})").ips.empty());
}

TEST_CASE("result: malformed results are refused with the place", "[libcni][result]") {
  const std::pair<const char*, const char*> bad[] = {
      {"", "result"},
      {"[]", "want an object"},
      {"{", "result"},
      {"\"x\"", "want an object"},
      {R"({"cniVersion":1})", "cniVersion"},
      {R"({"ips":{}})", "ips"},
      {R"({"ips":[1]})", "ips[0]"},
      {R"({"ips":[null]})", "ips[0]"},
      {R"({"ips":[{}]})", "ips[0].address"},
      {R"({"ips":[{"address":"1.2.3.4"}]})", "ips[0].address"},
      {R"({"ips":[{"address":"1.2.3.4/24","gateway":"x"}]})", "ips[0].gateway"},
      {R"({"ips":[{"address":"1.2.3.4/24","interface":"0"}]})", "ips[0].interface"},
      {R"({"ips":[{"address":"1.2.3.4/24","interface":1.5}]})", "ips[0].interface"},
      {R"({"routes":[{"gw":"1.2.3.4"}]})", "routes[0].dst"},
      {R"({"routes":[{"dst":"1.2.3.0/24","gw":7}]})", "routes[0].gw"},
      {R"({"interfaces":[{"name":1}]})", "interfaces[0].name"},
      {R"({"interfaces":["eth0"]})", "interfaces[0]"},
      {R"({"dns":[]})", "dns"},
      {R"({"dns":{"nameservers":"x"}})", "dns.nameservers"},
      {R"({"dns":{"search":[1]}})", "dns.search"},
      {R"({"cniVersion":"0.2.0","ip4":"10.0.0.1/8"})", "ip4"},
      {R"({"cniVersion":"0.2.0","ip4":{"ip":"fd00::1/64"}})", "ip4.ip"},
      {R"({"ips":[],"ips":[]})", "result"},
  };
  for (auto [text, where] : bad) {
    INFO(text);
    auto status = ParseResult(text, "1.0.0").status();
    CHECK(base::HasReason(status, "cni.result.invalid"));
    CHECK(base::GetError(status).message.find(where) != std::string::npos);
  }
  CHECK(base::HasReason(ParseResult(R"({"cniVersion":"9.9.9"})", "").status(), "cni.version"));
  base::Limits limits;
  limits.json_depth = 4;
  CHECK(base::HasReason(ParseResult("[[[[[[]]]]]]", "", limits).status(), "core.limit"));
}

}  // namespace
}  // namespace coaming::cni
