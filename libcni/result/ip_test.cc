#include "libcni/result/ip.h"

#include <arpa/inet.h>

#include <random>
#include <string>
#include <utility>

#include "catch2/catch_all.hpp"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

TEST_CASE("ip: addresses are read strictly and written canonically", "[libcni][result]") {
  const std::pair<const char*, const char*> good[] = {
      {"10.1.2.3", "10.1.2.3"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
      {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
      {"1:0:0:2:0:0:3:4", "1::2:0:0:3:4"},
      {"fe80::1:2:3:4", "fe80::1:2:3:4"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"::1.2.3.4", "::102:304"},
      {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
  };
  for (auto [text, want] : good) {
    INFO(text);
    auto ip = ParseIp(text);
    REQUIRE(ip.has_value());
    CHECK(ip->ToString() == want);
  }
  for (const char* text : {"",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "01.2.3.4",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "1.2.3.",
                           ".1.2.3",
                           "a.b.c.d",
                           "1.2.3.4/24",
                           ":",
                           ":::",
                           "1:2",
                           "1:2:3:4:5:6:7:8:9",
                           "12345::",
                           "1::2::3",
                           "::g",
                           "fe80::1%eth0",
                           "1:2:3:4:5:6:7:",
                           "::1.2.3",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "1:2:3:4:5:6:7:8::"}) {
    INFO(text);
    CHECK_FALSE(ParseIp(text).has_value());
  }
}

TEST_CASE("ip: inet_pton agrees on random texts", "[libcni][result]") {
  std::mt19937 random(20261125);
  const std::string alphabet = "0123456789abcf::::...";
  int read = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    int size = 1 + static_cast<int>(random() % 16);
    for (int k = 0; k < size; ++k) text += alphabet[random() % alphabet.size()];
    unsigned char raw[16];
    int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
    bool want = inet_pton(family, text.c_str(), raw) == 1;
    auto got = ParseIp(text);
    INFO(text);
    REQUIRE(got.has_value() == want);
    if (!want) continue;
    ++read;
    auto again = ParseIp(got->ToString());
    REQUIRE(again.has_value());
    REQUIRE(*again == *got);
    if (family == AF_INET6 && got->family == 6) {
      REQUIRE(std::equal(raw, raw + 16, got->bytes.begin()));
    }
  }
  CHECK(read > 100);
}

TEST_CASE("ip: networks keep their host bits and know their edges", "[libcni][result]") {
  auto net = ParseIpNet("10.1.2.3/24");
  REQUIRE(net.has_value());
  CHECK(net->ToString() == "10.1.2.3/24");
  CHECK(net->ip.Masked(24).ToString() == "10.1.2.0");
  CHECK(net->ip.LastOf(24).ToString() == "10.1.2.255");
  CHECK(net->ip.Masked(0).ToString() == "0.0.0.0");
  CHECK(net->ip.LastOf(32).ToString() == "10.1.2.3");
  CHECK(net->ip.Masked(9).ToString() == "10.0.0.0");
  CHECK(net->Contains(*ParseIp("10.1.2.200")));
  CHECK_FALSE(net->Contains(*ParseIp("10.1.3.1")));
  CHECK_FALSE(net->Contains(*ParseIp("::1")));
  CHECK(ParseIp("10.0.0.255")->Next().ToString() == "10.0.1.0");
  CHECK(ParseIp("10.0.1.0")->Previous().ToString() == "10.0.0.255");
  CHECK(ParseIp("fd00::ffff")->Next().ToString() == "fd00::1:0");
  CHECK(ParseIpNet("fd00::1/64")->ToString() == "fd00::1/64");
  CHECK(ParseIpNet("::ffff:10.0.0.1/120")->ToString() == "10.0.0.1/24");
  for (const char* text : {"10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/024",
                           "::1/129", "/24", "10.0.0.1/2 4", "10.0.0.1/24/1"}) {
    INFO(text);
    CHECK_FALSE(ParseIpNet(text).has_value());
  }
}

TEST_CASE("version: one to three parts compare as numbers", "[libcni][result]") {
  CHECK(*ParseVersion("") == *ParseVersion("0.1.0"));
  CHECK(*ParseVersion("0.4") == *ParseVersion("0.4.0"));
  CHECK(*ParseVersion("1") == *ParseVersion("1.0.0"));
  CHECK(AtLeast("0.10.0", "0.4.0"));
  CHECK_FALSE(AtLeast("0.3.1", "0.4.0"));
  CHECK(AtLeast("1.1.0", "1.1.0"));
  CHECK_FALSE(AtLeast("x", "0.1.0"));
  for (const char* text :
       {"1.", ".1", "1..1", "1.0.0.0", "a", "1.0.x", "-1", "1.0.0 ", "99999999"}) {
    INFO(text);
    CHECK_FALSE(ParseVersion(text).ok());
  }
  CHECK(IsSupportedVersion("0.3.1"));
  CHECK_FALSE(IsSupportedVersion("0.4"));
  CHECK_FALSE(IsSupportedVersion("1.2.0"));
  CHECK(SupportedVersions().back() == kCurrentVersion);
}

}  // namespace
}  // namespace coaming::cni
