#include "libcni/conf/names.h"

#include <string>

#include "base/core/error.h"
#include "catch2/catch_all.hpp"

namespace coaming::cni {
namespace {

TEST_CASE("names: container ids and network names follow one rule", "[libcni][conf]") {
  const std::string long_name(4000, 'x');
  for (const char* text : {"a", "0", "A-b_c.d", "9..", long_name.c_str()}) {
    CHECK(CheckContainerId(text).ok());
    CHECK(CheckNetworkName(text).ok());
  }
  for (std::string text :
       {std::string(""), std::string("-a"), std::string(".a"), std::string("_a"),
        std::string("a/b"), std::string("../a"), std::string("a b"), std::string("a\n"),
        std::string("a\0b", 3), std::string("\xc3\xa4"), std::string("a:b"), std::string("a;b")}) {
    INFO(text);
    CHECK(base::HasReason(CheckContainerId(text), "cni.name"));
    CHECK(base::HasReason(CheckNetworkName(text), "cni.name"));
  }
  CHECK(base::GetError(CheckContainerId("")).Detail("cni.code") == "3");
  CHECK(base::GetError(CheckContainerId("/")).Detail("cni.code") == "4");
  CHECK(base::GetError(CheckNetworkName("/")).Detail("cni.code") == "7");
}

TEST_CASE("names: interface names follow the kernel's rule", "[libcni][conf]") {
  for (const char* text : {"eth0", "a", "123456789012345", "eth0.10", "...", "\xc3\xa4", "@%$!"}) {
    INFO(text);
    CHECK(CheckInterfaceName(text).ok());
  }
  for (std::string text :
       {std::string(""), std::string("."), std::string(".."), std::string("1234567890123456"),
        std::string("a/b"), std::string("a:b"), std::string("a b"), std::string("a\t"),
        std::string("a\xc2\xa0"), std::string("a\xc2\x85"), std::string("\xe2\x80\x83"),
        std::string("\xe3\x80\x80"), std::string("a\0b", 3)}) {
    INFO(text);
    CHECK(base::HasReason(CheckInterfaceName(text), "cni.name"));
  }
}

TEST_CASE("names: a plugin's type is a plain file name", "[libcni][conf]") {
  CHECK(CheckPluginType("bridge").ok());
  CHECK(CheckPluginType("host-local").ok());
  CHECK(CheckPluginType("a b").ok());
  for (std::string text : {std::string(""), std::string("/bin/sh"), std::string("../x"),
                           std::string("."), std::string(".."), std::string("a\0b", 3)}) {
    INFO(text);
    CHECK(base::HasReason(CheckPluginType(text), "cni.conf.invalid"));
  }
}

}  // namespace
}  // namespace coaming::cni
