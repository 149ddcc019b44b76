#include "libaci/discovery/discovery.h"

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

TEST_CASE("app name: name, version and labels are read and printed sorted", "[libaci][discovery]") {
  AppName app = AppName::Parse("example.com/reduce-worker:1.0.0,os=linux,arch=amd64").value();
  CHECK(app.name == "example.com/reduce-worker");
  CHECK(*app.version() == "1.0.0");
  CHECK(app.ToString() == "example.com/reduce-worker:1.0.0,arch=amd64,os=linux");
  app = AppName::Parse("example.com/app,channel=alpha,version=2").value();
  CHECK(app.ToString() == "example.com/app:2,channel=alpha");
  app = AppName::Parse("example.com/app,special=!*'();@&+$/?#[]").value();
  CHECK(*Find(app.labels, "special") == "!*'();@&+$/?#[]");
  app.FillHostLabels();
  CHECK(*Find(app.labels, "arch") == HostArch());
  CHECK(*Find(app.labels, "os") == "linux");
}

TEST_CASE("app name: malformed ones are refused", "[libaci][discovery]") {
  for (const char* bad :
       {"", "example.com/app,channel=b:1", "example.com/app:1,channel=b:2", "a:1:2",
        "example.com/app,version=1,version=2", "example.com/app:1,version=2", "EXAMPLE.com/app",
        "example.com/app,nolabel", "a//b", "a/../b", "example.com/app,name=x",
        "example.com/app,UP=1", "/etc/passwd", "-app"}) {
    INFO(bad);
    CHECK(base::HasReason(AppName::Parse(bad).status(), "aci.name_invalid"));
  }
}

TEST_CASE("templates: every label is put in and a leftover drops the template",
          "[libaci][discovery]") {
  AppName app = AppName::Parse("example.com/app:1.0,os=linux,arch=amd64").value();
  CHECK(ExpandTemplate("https://s.com/{os}/{arch}/{name}-{version}.{ext}", app, "aci.asc") ==
        "https://s.com/linux/amd64/example.com/app-1.0.aci.asc");
  CHECK(ExpandTemplate("https://s.com/{channel}/{name}.{ext}", app, "aci") == "");
  CHECK(ExpandTemplate("hdfs://s.com/{name}-{version}.{ext}", AppName::Parse("a.b/c").value(),
                       "aci") == "hdfs://s.com/a.b/c-latest.aci");
  // A value is put in once and never expanded again.
  CHECK(ExpandTemplate("https://s/{version}", AppName::Parse("a,version={ext}").value(), "aci") ==
        "https://s/%7Bext%7D");
  CHECK(ExpandTemplate("https://{os}.s/x", AppName::Parse("a,os=evil.com/#").value(), "aci") ==
        "https://evil.com%2F%23.s/x");
  CHECK(ExpandTemplate("https://s/{name}", app, "aci") == "https://s/example.com/app");
}

TEST_CASE("prefixes: compared by whole components", "[libaci][discovery]") {
  CHECK(PrefixCovers("example.com/foo", "example.com/foo"));
  CHECK(PrefixCovers("example.com/foo", "example.com/foo/bar"));
  CHECK(PrefixCovers("example.com", "example.com/foo"));
  CHECK(PrefixCovers("example.com/", "example.com/foo"));
  CHECK_FALSE(PrefixCovers("example.com/foo", "example.com/foobar"));
  CHECK_FALSE(PrefixCovers("example.com/foo", "example.com"));
  CHECK_FALSE(PrefixCovers("", "example.com"));
  CHECK_FALSE(PrefixCovers("example.co", "example.com/foo"));
}

TEST_CASE("html: meta tags are found in any spelling, and only real ones", "[libaci][discovery]") {
  const base::Limits limits;
  std::vector<MetaTag> tags = ReadMetaTags(
      "<!DOCTYPE html><HTML><head>"
      "<META NAME='ac-discovery' CONTENT='example.com https://s.com/{name}.{ext}' >"
      "<meta content=\"example.com   https://s.com/key&amp;x \n\" name=\"ac-discovery-pubkeys\"/>"
      "<!-- <meta name='ac-discovery' content='evil.com https://evil/'> -->"
      "<script>'<meta name=\"ac-discovery\" content=\"evil.com https://evil/\">'</script>"
      "<meta name='description' content='a b'><meta name='ac-discovery' content='noblank'>"
      "<meta name='ac-discovery'></head><body><p>x<meta name=ac-discovery content='b.com http://b'>"
      "</body></html><meta name='ac-discovery' content='last.com https://l/'>",
      limits);
  REQUIRE(tags.size() == 4);
  CHECK(tags[0].name == "ac-discovery");
  CHECK(tags[0].prefix == "example.com");
  CHECK(tags[0].uri == "https://s.com/{name}.{ext}");
  CHECK(tags[1].name == "ac-discovery-pubkeys");
  CHECK(tags[1].uri == "https://s.com/key&x");
  CHECK(tags[2].prefix == "b.com");
  CHECK(tags[3].prefix == "last.com");
}

TEST_CASE("html: hostile pages cost little and give nothing", "[libaci][discovery]") {
  const base::Limits limits;
  CHECK(ReadMetaTags("", limits).empty());
  CHECK(ReadMetaTags(std::string_view("\0\xff\xfe<meta", 8), limits).empty());
  CHECK(ReadMetaTags("<meta name=ac-discovery content='a b", limits).size() <= 1);
  std::string deep;
  while (deep.size() < (1 << 20)) deep += "<b>";
  for (size_t i = 0; i < 300000; i += 4) deep += "</q>";
  CHECK(ReadMetaTags(deep, limits).empty());
  CHECK(ReadMetaTags("<!DOCTYPE x SYSTEM \"file:///etc/passwd\" [<!ENTITY e SYSTEM "
                     "\"file:///etc/passwd\">]>&e;<p>",
                     limits)
            .empty());
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "<meta name=ac-discovery content='a.com https://x/'>";
  CHECK(ReadMetaTags(many, limits).size() <= 257);
  base::Limits small;
  small.discovery_bytes = 10;
  CHECK(ReadMetaTags(many, small).empty());
}

}  // namespace
}  // namespace coaming::aci
