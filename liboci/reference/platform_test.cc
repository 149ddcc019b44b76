#include "liboci/reference/platform.h"

#include <catch2/catch_test_macros.hpp>

#include "base/core/error.h"

namespace coaming::oci {
namespace {

Platform P(const char* text) { return *Platform::Parse(text); }

TEST_CASE("platform: other names of an architecture become Go's", "[liboci][reference]") {
  CHECK(P("linux/x86_64").ToString() == "linux/amd64");
  CHECK(P("linux/aarch64").ToString() == "linux/arm64");
  CHECK(P("linux/arm64/v8").ToString() == "linux/arm64");
  CHECK(P("linux/arm").ToString() == "linux/arm/v7");
  CHECK(P("linux/armhf").ToString() == "linux/arm/v7");
  CHECK(P("linux/arm/7").ToString() == "linux/arm/v7");
  CHECK(P("linux/amd64/v1").ToString() == "linux/amd64");
  CHECK(P("amd64").ToString() == "linux/amd64");
  CHECK(P("Linux/AMD64").ToString() == "linux/amd64");
}

TEST_CASE("platform: text outside the grammar is refused", "[liboci][reference]") {
  for (const char* text : {"", "/", "linux/", "/amd64", "a/b/c/d", "a b/c", "linux/amd64/"}) {
    INFO(text);
    CHECK(base::ReasonOf(Platform::Parse(text).status()) == "oci.platform");
  }
}

TEST_CASE("platform: the highest variant that is not above the wanted one is chosen",
          "[liboci][reference]") {
  std::optional<Platform> candidates[] = {P("linux/arm/v5"),  P("linux/arm/v6"),  P("linux/arm/v7"),
                                          P("linux/arm64"),   P("windows/amd64"), P("linux/amd64"),
                                          P("linux/amd64/v3")};
  CHECK(ChoosePlatform(candidates, P("linux/arm/v6")) == 1);
  CHECK(ChoosePlatform(candidates, P("linux/arm/v7")) == 2);
  CHECK(ChoosePlatform(candidates, P("linux/arm64")) == 3);
  CHECK(ChoosePlatform(candidates, P("linux/amd64")) == 5);
  CHECK(ChoosePlatform(candidates, P("linux/amd64/v2")) == 5);
  CHECK(ChoosePlatform(candidates, P("linux/amd64/v4")) == 6);
  CHECK(ChoosePlatform(candidates, P("linux/s390x")) == -1);
}

TEST_CASE("platform: among equals the first counts, and none only if it is alone",
          "[liboci][reference]") {
  std::optional<Platform> twins[] = {std::nullopt, P("linux/amd64"), P("linux/amd64")};
  CHECK(ChoosePlatform(twins, P("linux/amd64")) == 1);
  std::optional<Platform> alone[] = {std::nullopt};
  CHECK(ChoosePlatform(alone, P("linux/amd64")) == 0);
  std::optional<Platform> two[] = {std::nullopt, std::nullopt};
  CHECK(ChoosePlatform(two, P("linux/amd64")) == -1);
}

TEST_CASE("platform: the host's is one of Go's", "[liboci][reference]") {
  CHECK(Platform::Host().os == "linux");
  CHECK_FALSE(Platform::Host().architecture.empty());
  CHECK(PlatformRank(Platform::Host(), Platform::Host()) > 0);
}

}  // namespace
}  // namespace coaming::oci
