#include "libcni/conf/runtime.h"

#include <string>

#include "base/core/error.h"
#include "catch2/catch_all.hpp"

namespace coaming::cni {
namespace {

TEST_CASE("runtime: the well-known capability arguments have the agreed shape", "[libcni][conf]") {
  CapabilityArgs args;
  CHECK(args.empty());
  args.SetPortMappings(
      {{.host_port = 8080, .container_port = 80},
       {.host_port = 53, .container_port = 5353, .protocol = "udp", .host_ip = "127.0.0.1"}});
  args.SetBandwidth({.ingress_rate = 2048, .ingress_burst = 1600});
  args.SetIps({"10.0.0.5/24", "fd00::5"});
  args.SetMac("c2:11:22:33:44:55");
  args.SetAliases({"db", "db.local"});
  args.SetCgroupPath("/x/y");
  args.SetDns({"1.1.1.1"}, {"a.test"}, {"ndots:2"});
  CHECK(args.ToJson() ==
        R"({"aliases":["db","db.local"],"bandwidth":{"ingressRate":2048,"ingressBurst":1600},)"
        R"("cgroupPath":"/x/y","dns":{"servers":["1.1.1.1"],"searches":["a.test"],)"
        R"("options":["ndots:2"]},"ips":["10.0.0.5/24","fd00::5"],"mac":"c2:11:22:33:44:55",)"
        R"("portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},)"
        R"({"hostPort":53,"containerPort":5353,"protocol":"udp","hostIP":"127.0.0.1"}]})");
}

TEST_CASE("runtime: capability arguments of any name keep their bytes", "[libcni][conf]") {
  CapabilityArgs args;
  REQUIRE(args.Set("z", " 12345678901234567890 ").ok());
  REQUIRE(args.Merge(R"({"a": [1.50], "z": null})").ok());
  CHECK(args.ToJson() == R"({"a":[1.50],"z":null})");
  REQUIRE(args.Find("a") != nullptr);
  CHECK(*args.Find("a") == "[1.50]");
  CHECK(args.Find("b") == nullptr);
  CHECK(base::HasReason(args.Set("x", "{"), "cni.conf.invalid"));
  CHECK(base::HasReason(args.Set("", "1"), "cni.conf.invalid"));
  CHECK(base::HasReason(args.Merge("[]"), "cni.conf.invalid"));
  CHECK(base::HasReason(args.Merge(R"({"b":1,"":2})"), "cni.conf.invalid"));
  CHECK(args.Find("b") == nullptr);
}

TEST_CASE("runtime: CNI_ARGS are pairs", "[libcni][conf]") {
  std::vector<std::pair<std::string, std::string>> args;
  REQUIRE(ParseCniArgs("IgnoreUnknown=1;IP=10.0.0.3", &args).ok());
  REQUIRE(args.size() == 2);
  CHECK(args[1].second == "10.0.0.3");
  REQUIRE(ParseCniArgs("", &args).ok());
  CHECK(args.empty());
  for (const char* text : {"a", "=b", "a=", "a=b=c", "a=b;;c=d", ";"}) {
    INFO(text);
    CHECK(base::HasReason(ParseCniArgs(text, &args), "core.invalid_argument"));
  }
}

}  // namespace
}  // namespace coaming::cni
