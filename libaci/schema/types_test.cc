#include "libaci/schema/types.h"

#include <catch2/catch_test_macros.hpp>

#include "base/core/error.h"
#include "libaci/schema/quantity.h"

namespace coaming::aci {
namespace {

TEST_CASE("types: identifiers follow the whole rule of the specification", "[libaci][schema]") {
  for (std::string_view good :
       {"asdf", "foo-bar-baz", "zab_rab_oof", "database", "my~database", "example.com/database",
        "example.com/~bob/database", "example.com/ourapp-1.0.0",
        "sub-domain.example.com/org/product/~alice/release-1.0.0", "1", "a1"}) {
    INFO(good);
    // "/~" is two separators in a row: the full expression refuses it, the reference does not.
    CHECK(IsAcIdentifier(good) == (good.find("/~") == std::string_view::npos));
  }
  for (std::string_view bad :
       {"",     "BAR",    "foo#",  "EXAMPLE.com", "foo.com/BAR", "/app", "-app", ".app",
        "_app", "~app",   "app/",  "app-",        "app.",        "app_", "app~", "a--b",
        "a//b", "a/../b", "a/./b", "..",          "a b",         "a\nb"}) {
    INFO(bad);
    CHECK_FALSE(IsAcIdentifier(bad));
  }
  CHECK_FALSE(IsAcIdentifier(std::string_view("a\0b", 3)));
  CHECK(base::HasReason(CheckAcIdentifier("A", "name"), "aci.name_invalid"));
}

TEST_CASE("types: names hold no dot and no slash", "[libaci][schema]") {
  for (std::string_view good : {"asdf", "foo-bar-baz", "database", "80-tcp"}) CHECK(IsAcName(good));
  for (std::string_view bad : {"", "foo#", "example.com", "EXAMPLE.com", "example/database",
                               "example/database-1.0.0", "foo.com/BAR", "example.com/app_1", "/app",
                               "app/", "-app", "app-", ".app", "app.", "a--b"}) {
    INFO(bad);
    CHECK_FALSE(IsAcName(bad));
  }
}

TEST_CASE("types: sanitising gives valid names or an error", "[libaci][schema]") {
  CHECK(SanitizeAcIdentifier("foo#").value() == "foo");
  CHECK(SanitizeAcIdentifier("EXAMPLE.com").value() == "example.com");
  CHECK(SanitizeAcIdentifier("-/.app..").value() == "app");
  CHECK(SanitizeAcIdentifier("-/app.name-test/-/").value() == "app.name-test");
  CHECK(SanitizeAcIdentifier("app///").value() == "app");
  CHECK(SanitizeAcIdentifier("a b").value() == "a_b");
  CHECK(SanitizeAcName("Example.com/App_1").value() == "example-com-app-1");
  CHECK(SanitizeAcName("a..b").value() == "a-b");
  CHECK(base::HasReason(SanitizeAcName("###").status(), "aci.name_invalid"));
}

TEST_CASE("types: image IDs are sha512 in full, lower case", "[libaci][schema]") {
  const std::string hex(128, 'a');
  CHECK(IsImageId("sha512-" + hex));
  CHECK_FALSE(IsImageId("sha512-abcdefghi"));
  CHECK_FALSE(IsImageId("sha256-" + hex));
  CHECK_FALSE(IsImageId("sha512:" + hex));
  CHECK_FALSE(IsImageId("sha512-" + std::string(128, 'A')));
  CHECK(base::HasReason(CheckImageId(""), "aci.image_id_invalid"));
}

TEST_CASE("types: semantic versions are read strictly and ordered", "[libaci][schema]") {
  for (std::string_view good : {"1.0.0", "3.2.1", "3.2.1-foo", "1.2.3-alpha+git", "0.8.11+git"}) {
    CHECK(SemVer::Parse(good).value().ToString() == good);
  }
  for (std::string_view bad : {"", "1", "1.2", "v1.2.3", "01.0.0", "1.2.3-", "1.2.3-01", "0.0.0",
                               "1.2.3-a..b", "1.2.3+", "1.2.3 ", "1.2.99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(SemVer::Parse(bad).ok());
  }
  const char* order[] = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11",
                         "1.0.0",       "1.0.1",         "1.1.0",        "2.0.0"};
  for (size_t i = 1; i < std::size(order); ++i) {
    INFO(order[i]);
    CHECK(SemVer::Parse(order[i - 1])->Compare(*SemVer::Parse(order[i])) < 0);
    CHECK(SemVer::Parse(order[i])->Compare(*SemVer::Parse(order[i - 1])) > 0);
  }
  CHECK(SemVer::Parse("1.0.0+a")->Compare(*SemVer::Parse("1.0.0+b")) == 0);
}

TEST_CASE("types: UUIDs are taken with and without dashes", "[libaci][schema]") {
  const std::string want = "6733c088-a507-4694-aabf-ea3a2a75e5ba";
  CHECK(ParseUuid("6733C088-A507-4694-AABF-EA3A2A75E5BA").value() == want);
  CHECK(ParseUuid("6733c088a5074694aabfea3a2a75e5ba").value() == want);
  for (std::string_view bad :
       {"", "asdf", "6733c088a5074694aabfea3a2a75e5b", "6733c088a5074694aabfea3a2a75e5baa",
        "zz33c088a5074694aabfea3a2a75e5"}) {
    CHECK_FALSE(ParseUuid(bad).ok());
  }
}

TEST_CASE("types: URLs are http or https with a host", "[libaci][schema]") {
  for (std::string_view good : {"http://a", "https://example.com/x?y#z", "HTTP://x/"}) {
    CHECK(IsHttpUrl(good));
  }
  for (std::string_view bad : {"ftp://foo.com", "unix:///hello", "not-A$@#URL", "http://",
                               "https:///x", "http://a b", "http://a\n"}) {
    CHECK_FALSE(IsHttpUrl(bad));
  }
}

TEST_CASE("types: os and arch pairs follow the reference table", "[libaci][schema]") {
  for (std::string_view arch : {"amd64", "i386", "aarch64", "aarch64_be", "armv6l", "armv7l",
                                "armv7b", "ppc64", "ppc64le", "s390x"}) {
    CHECK(CheckOsArch("linux", arch).ok());
  }
  for (std::string_view arch :
       {"arm64", "arm64_be", "arm", "ppc64l", "ppc64b", "ppc64be", "x86_64", "386", "S390x"}) {
    INFO(arch);
    CHECK(base::HasReason(CheckOsArch("linux", arch), "aci.manifest_invalid"));
  }
  CHECK(CheckOsArch("freebsd", "arm").ok());
  CHECK(CheckOsArch("darwin", "x86_64").ok());
  CHECK(CheckOsArch("", "anything").ok());
  CHECK_FALSE(CheckOsArch("plan9", "").ok());
  CHECK(GoToAcArch("linux", "amd64") == "amd64");
  CHECK(GoToAcArch("linux", "386") == "i386");
  CHECK(GoToAcArch("linux", "arm64") == "aarch64");
  CHECK(GoToAcArch("linux", "arm") == "armv6l");
  CHECK(GoToAcArch("linux", "arm", "7") == "armv7l");
  CHECK(GoToAcArch("darwin", "amd64") == "x86_64");
  CHECK(GoToAcArch("linux", "mips") == "");
}

TEST_CASE("types: key=value lists keep odd characters in values", "[libaci][schema]") {
  KeyValues pairs = ParseKeyValues("n,a=1+2&3$?#\xc3\x9c x%20,b=c=d").value();
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0] == std::pair<std::string, std::string>("name", "n"));
  CHECK(pairs[1].second == "1+2&3$?#\xc3\x9c x%20");
  CHECK(pairs[2].second == "c=d");
  for (std::string_view bad : {"", "n,a", "n,a=1,a=2", "n,"}) CHECK_FALSE(ParseKeyValues(bad).ok());
}

TEST_CASE("quantity: values, rounding and canonical form", "[libaci][schema]") {
  struct {
    const char *in, *out;
    int64_t value;
  } rows[] = {
      {"0", "0", 0},
      {"0Ki", "0", 0},
      {"1", "1", 1},
      {"1Ki", "1Ki", 1024},
      {"1024Mi", "1Gi", 1LL << 30},
      {"1000M", "1G", 1000000000},
      {"1000K", "1M", 1000000},
      {"2Gi", "2Gi", 2147483648},
      {"3Ei", "3Ei", 3LL << 60},
      {"9Ei", "9223372036854775807", INT64_MAX},
      {"9223372036854775807Ki", "9223372036854775807", INT64_MAX},
      {"9223372036854775807", "9223372036854775807", INT64_MAX},
      {"12E", "12E", INT64_MAX},
      {"1E", "1E", 1000000000000000000},
      {"1E6", "1e6", 1000000},
      {"1.5e3", "1500", 1500},
      {"1.40e9", "1400e6", 1400000000},
      {"100.035k", "100035", 100035},
      {"100m", "100m", 1},
      {"3.001n", "4n", 1},
      {"0.0000000001", "1n", 1},
      {"0.00000012345", "124n", 1},
      {"0.000000000001Ki", "2n", 1},
      {".001Ki", "1024m", 2},
      {".000001Ki", "1024u", 1},
      {"1.", "1", 1},
      {"1.G", "1G", 1000000000},
      {".0001k", "100m", 1},
      {"-5", "-5", -5},
      {"+7k", "7k", 7000},
      {"0.5Mi", "512Ki", 524288},
      {"0.0000000000000000000000000000000001", "1n", 1},
  };
  for (const auto& row : rows) {
    INFO(row.in);
    absl::StatusOr<Quantity> q = Quantity::Parse(row.in);
    REQUIRE(q.ok());
    CHECK(q->ToString() == row.out);
    CHECK(q->Value() == row.value);
  }
  CHECK(Quantity::Parse("30m")->MilliValue() == 30);
  CHECK(Quantity::Parse("128974848")->Compare(*Quantity::Parse("123Mi")) == 0);
  CHECK(Quantity::Parse("125952Ki")->Compare(*Quantity::Parse("123Mi")) == 0);
  CHECK(Quantity::Parse("10000T")->Compare(*Quantity::Parse("100Gi")) > 0);
  CHECK(Quantity::FromInt(4096, Quantity::Format::kBinarySi).ToString() == "4Ki");
}

TEST_CASE("quantity: what is malformed or absurd is refused", "[libaci][schema]") {
  for (std::string_view bad :
       {"", "1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-", " 1",
        "1 ", ".", "-", "1e", "1e1000", "K", "9999999999999999999999999999999999999999"}) {
    INFO(bad);
    CHECK(base::HasReason(Quantity::Parse(bad).status(), "aci.quantity"));
  }
}

}  // namespace
}  // namespace coaming::aci
