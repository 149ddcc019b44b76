#include "libcni/conf/name_hash.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "catch2/catch_all.hpp"
#include "libcni/testing/netns.h"

namespace coaming::cni {
namespace {

TEST_CASE("name hash: the published vectors", "[libcni][conf]") {
  CHECK(Sha512Hex("abc") ==
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  CHECK(Sha512Hex("") ==
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
}

TEST_CASE("name hash: sha512sum agrees at every length round a block", "[libcni][conf]") {
  for (int size : {1, 55, 110, 111, 112, 113, 127, 128, 129, 239, 240, 255, 256, 257, 1000}) {
    std::string text(size, 'x');
    CHECK(absl::StrCat(Sha512Hex(text), "  -\n") ==
          testing::Shell(absl::StrCat("printf %s '", text, "' | sha512sum")));
  }
}

TEST_CASE("name hash: cnitool's container id", "[libcni][conf]") {
  CHECK(NetnsContainerId("/var/run/netns/test") ==
        absl::StrCat("cnitool-", Sha512Hex("/var/run/netns/test").substr(0, 20)));
}

}  // namespace
}  // namespace coaming::cni
