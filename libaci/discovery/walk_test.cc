// The walk over the pages of a name, against a scripted server.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/memory_transport.h"
#include "base/testing/status_testing.h"
#include "libaci/discovery/discovery.h"

namespace coaming::aci {
namespace {

using base::testing::MemoryTransport;

std::string Meta(std::string_view name, std::string_view prefix, std::string_view uri) {
  return absl::StrCat("<meta name=\"", name, "\" content=\"", prefix, " ", uri, "\">");
}
std::string Endpoints(std::string_view prefix) {
  return Meta("ac-discovery", prefix, "https://storage.example.com/{name}-{version}.{ext}?t=1");
}
std::string Keys(std::string_view prefix) {
  return Meta("ac-discovery-pubkeys", prefix, "https://example.com/pubkeys.gpg");
}

struct Fixture {
  MemoryTransport transport;
  base::Op op;
  std::vector<Step> steps;
  DiscoveryOptions options;
  AppName app = REQUIRE_VALUE(AppName::Parse("example.com/my/app:1.0"));

  auto Find() {
    steps.clear();
    return DiscoverEndpoints(app, transport, options, op, &steps);
  }
  auto FindKeys() {
    steps.clear();
    return DiscoverKeys(app, transport, options, op, &steps);
  }
  static std::string Url(std::string_view path) {
    return absl::StrCat("https://example.com", path, "?ac-discovery=1");
  }
};

TEST_CASE_METHOD(Fixture, "walk: the page of the whole name is enough", "[libaci][discovery]") {
  transport.On("GET", Url("/my/app")).Body(Endpoints("example.com/my/app") + Keys("example.com"));
  std::vector<Endpoint> found = REQUIRE_VALUE(Find());
  REQUIRE(found.size() == 1);
  CHECK(found[0].aci == "https://storage.example.com/example.com/my/app-1.0.aci?t=1");
  CHECK(found[0].asc == "https://storage.example.com/example.com/my/app-1.0.aci.asc?t=1");
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].url == "https://example.com/my/app");
  CHECK(steps[0].outcome == "1 endpoint");
  CHECK(REQUIRE_VALUE(FindKeys())[0] == "https://example.com/pubkeys.gpg");
}

TEST_CASE_METHOD(Fixture, "walk: it goes up on 404 and on pages without a fitting tag",
                 "[libaci][discovery]") {
  transport.On("GET", Url("/my")).Body(Endpoints("example.com/other") + Keys("example.com/my"));
  transport.On("GET", Url("/")).Body(Endpoints("example.com"));
  REQUIRE_OK(Find());
  REQUIRE(steps.size() == 3);
  CHECK(steps[0].http_status == 404);
  CHECK(steps[1].outcome == "no fitting tag, going up");
  CHECK(steps[2].prefix == "example.com");
  REQUIRE_OK(FindKeys());  // from another level than the endpoints
  CHECK(steps.size() == 2);
}

TEST_CASE_METHOD(Fixture, "walk: nothing anywhere is one error with the whole way",
                 "[libaci][discovery]") {
  auto found = Find();
  REQUIRE_REASON(found, "aci.discovery_failed");
  const std::string message = base::GetError(found.status()).message;
  CHECK(message.find("discovery failed") != std::string::npos);
  CHECK(message.find("https://example.com/my/app") != std::string::npos);
  CHECK(steps.size() == 3);
}

TEST_CASE_METHOD(Fixture, "walk: a broken server ends it", "[libaci][discovery]") {
  transport.On("GET", Url("/my/app")).Reply(503);
  transport.On("GET", Url("/")).Body(Endpoints("example.com"));
  REQUIRE_REASON(Find(), "http.status");
  MemoryTransport down;
  down.On("GET", Url("/my/app")).FailWith("http.connect");
  REQUIRE_REASON(DiscoverEndpoints(app, down, options, op, &steps), "http.connect");
  MemoryTransport tls;
  tls.On("GET", Url("/my/app")).FailWith("http.tls");
  REQUIRE_REASON(DiscoverEndpoints(app, tls, options, op, &steps), "http.tls");
}

TEST_CASE_METHOD(Fixture, "walk: plain http only when it is allowed", "[libaci][discovery]") {
  transport.On("GET", Url("/my/app")).FailWith("http.connect");
  transport.On("GET", "http://example.com/my/app?ac-discovery=1").Body(Endpoints("example.com"));
  REQUIRE_REASON(Find(), "http.connect");
  for (const auto& request : transport.requests()) CHECK(request.url.rfind("https://", 0) == 0);
  options.allow_http = true;
  REQUIRE_OK(Find());
  // And no redirect leads there either.
  options.allow_http = false;
  MemoryTransport redirect;
  redirect.On("GET", Url("/my/app")).Redirect(302, "http://example.com/my/app?ac-discovery=1");
  redirect.On("GET", "http://example.com/my/app?ac-discovery=1").Body(Endpoints("example.com"));
  REQUIRE_REASON(DiscoverEndpoints(app, redirect, options, op, &steps), "http.insecure");
}

TEST_CASE_METHOD(Fixture, "walk: redirect loops and endless pages end", "[libaci][discovery]") {
  transport.On("GET", Url("/my/app")).Redirect(302, Url("/my/app"));
  REQUIRE_REASON(Find(), "http.redirect");
  MemoryTransport huge;
  huge.On("GET", Url("/my/app")).Body(std::string(2 << 20, ' '));
  REQUIRE_REASON(DiscoverEndpoints(app, huge, options, op, &steps), "core.limit");
}

TEST_CASE_METHOD(Fixture, "walk: foreign prefixes do not count", "[libaci][discovery]") {
  for (std::string_view path : {"/my/app", "/my", "/"}) {
    transport.On("GET", Url(path))
        .Body(Endpoints("example.com/my/ap") + Endpoints("evil.com") + Endpoints("example.com/m"));
  }
  REQUIRE_REASON(Find(), "aci.discovery_failed");
}

TEST_CASE_METHOD(Fixture, "walk: templates that cannot be filled are left out",
                 "[libaci][discovery]") {
  transport.On("GET", Url("/my/app"))
      .Body(Meta("ac-discovery", "example.com", "https://a/{channel}.{ext}") +
            Meta("ac-discovery", "example.com", "hdfs://b/{name}.{ext}") +
            Meta("ac-discovery", "example.com", "https://c/{name}.{ext}"));
  std::vector<Endpoint> found = REQUIRE_VALUE(Find());
  REQUIRE(found.size() == 2);
  CHECK(found[0].aci == "hdfs://b/example.com/my/app.aci");
  CHECK(found[1].aci == "https://c/example.com/my/app.aci");
}

TEST_CASE_METHOD(Fixture, "walk: a port, simple discovery and headers", "[libaci][discovery]") {
  options.port = 8443;
  options.headers = {{"example.com:8443", "Authorization", "Bearer s3cret"},
                     {"other.com", "Authorization", "no"}};
  transport.On("GET", "https://example.com:8443/my/app?ac-discovery=1")
      .Body(Endpoints("example.com"));
  REQUIRE_OK(Find());
  CHECK(transport.requests()[0].headers.Get("Authorization") == "Bearer s3cret");
  options.port = 0;
  options.simple = true;
  app.FillHostLabels();
  const std::string simple =
      absl::StrCat("https://example.com/my/app-1.0-linux-", *aci::Find(app.labels, "arch"), ".aci");
  transport.On("HEAD", simple).Reply(200);
  CHECK(REQUIRE_VALUE(Find())[0].asc == simple + ".asc");
}

TEST_CASE_METHOD(Fixture, "walk: absurdly long names are not asked for", "[libaci][discovery]") {
  app.name = "example.com";
  for (int i = 0; i < 100; ++i) app.name += "/a";
  REQUIRE_REASON(Find(), "aci.name_invalid");
  CHECK(transport.requests().empty());
}

}  // namespace
}  // namespace coaming::aci
