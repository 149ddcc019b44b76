#include "base/http/url.h"

#include <string>

#include "base/core/error.h"
#include "base/http/headers.h"
#include "base/http/proxy.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

std::string Normal(std::string_view text) {
  absl::StatusOr<Url> url = Url::Parse(text);
  return url.ok() ? url->str() : ReasonOf(url.status());
}

TEST_CASE("url: normal form", "[base][http]") {
  CHECK(Normal("HTTPS://Example.COM") == "https://example.com/");
  CHECK(Normal("https://example.com:443/a") == "https://example.com/a");
  CHECK(Normal("http://example.com:80/") == "http://example.com/");
  CHECK(Normal("http://example.com:/") == "http://example.com/");
  CHECK(Normal("https://h:8443/a/./b/../c//d") == "https://h:8443/a/c//d");
  CHECK(Normal("https://h/..") == "https://h/");
  CHECK(Normal("https://h/../../x") == "https://h/x");
  CHECK(Normal("https://h/a/..") == "https://h/");
  CHECK(Normal("https://h/a/.") == "https://h/a/");
  CHECK(Normal("https://h/%7ea%2fb%c3%a9") == "https://h/~a%2Fb%C3%A9");
  CHECK(Normal("https://h/%2e%2e/x") == "https://h/x");
  CHECK(Normal("https://h?q=1#frag") == "https://h/?q=1");
  CHECK(Normal("https://h/a?b?c/../d") == "https://h/a?b?c/../d");
  CHECK(Normal("https://h/?") == "https://h/?");
  CHECK(Normal("https://[::0001]:5000/") == "https://[::1]:5000/");
  CHECK(Normal("https://user:pw@h/x") == "https://h/x");
  CHECK(Normal("https://127.0.0.1/") == "https://127.0.0.1/");
}

TEST_CASE("url: what two parsers could read differently is refused", "[base][http]") {
  for (const char* bad : {"",
                          "x",
                          "h:80/x",
                          "ftp://h/",
                          "file:///etc/passwd",
                          "https:/h/",
                          "https:h",
                          "https://",
                          "https:///x",
                          "https://h:0/",
                          "https://h:65536/",
                          "https://h:8x/",
                          "https://h:-1/",
                          "https://h:99999999999/",
                          "https://a b/",
                          "https://h/a b",
                          "https://h/\n",
                          "https://h/\x80",
                          "https://h\\@evil/",
                          "https://h/\\x",
                          "https://evil%2ecom/",
                          "https://h/%",
                          "https://h/%zz",
                          "https://h/?%1",
                          "https://a@b@c/",
                          "https://[::1/",
                          "https://[fe80::1%25eth0]/",
                          "https://[::1]x/",
                          "https://[1.2.3.4]/",
                          "https://0x7f.0.0.1/",
                          "https://127.1/",
                          "https://2130706433/",
                          "https://0177.0.0.1/",
                          "https://1.2.3.256/",
                          "https://a..b/",
                          "https://.a/",
                          "https://a./",
                          "https://h/[x]",
                          "https://h/\"",
                          "https://b\xc3\xa9/",
                          "https://h|x/",
                          "javascript://h/%0aalert(1)"}) {
    CAPTURE(bad);
    CHECK(Normal(bad) == "http.url");
  }
  CHECK(Normal("https://" + std::string(64, 'a') + "/") == "http.url");
  CHECK(Normal("https://h/" + std::string(20000, 'a')) == "http.url");
  CHECK(Normal(std::string_view("https://h/\0x", 12)) == "http.url");
}

TEST_CASE("url: references resolve as RFC 3986 5.4 shows", "[base][http]") {
  const Url base = REQUIRE_VALUE(Url::Parse("http://a/b/c/d;p?q"));
  const auto resolve = [&](std::string_view ref) {
    absl::StatusOr<Url> url = base.Resolve(ref);
    return url.ok() ? url->str() : ReasonOf(url.status());
  };
  const std::pair<const char*, const char*> rows[] = {{"g", "http://a/b/c/g"},
                                                      {"./g", "http://a/b/c/g"},
                                                      {"g/", "http://a/b/c/g/"},
                                                      {"/g", "http://a/g"},
                                                      {"//g", "http://g/"},
                                                      {"?y", "http://a/b/c/d;p?y"},
                                                      {"g?y", "http://a/b/c/g?y"},
                                                      {"#s", "http://a/b/c/d;p?q"},
                                                      {"g#s", "http://a/b/c/g"},
                                                      {";x", "http://a/b/c/;x"},
                                                      {"g;x?y#s", "http://a/b/c/g;x?y"},
                                                      {"", "http://a/b/c/d;p?q"},
                                                      {".", "http://a/b/c/"},
                                                      {"./", "http://a/b/c/"},
                                                      {"..", "http://a/b/"},
                                                      {"../g", "http://a/b/g"},
                                                      {"../..", "http://a/"},
                                                      {"../../g", "http://a/g"},
                                                      {"../../../g", "http://a/g"},
                                                      {"/./g", "http://a/g"},
                                                      {"/../g", "http://a/g"},
                                                      {"g.", "http://a/b/c/g."},
                                                      {"..g", "http://a/b/c/..g"},
                                                      {"./../g", "http://a/b/g"},
                                                      {"g;x=1/../y", "http://a/b/c/y"},
                                                      {"g?y/../x", "http://a/b/c/g?y/../x"},
                                                      {"https://x/y", "https://x/y"},
                                                      {"/a b", "http://a/a%20b"},
                                                      {"/\xc3\xa9", "http://a/%C3%A9"},
                                                      {"mailto:x", "http.url"},
                                                      {"file:///etc/passwd", "http.url"},
                                                      {"/\r\nX: y", "http.url"},
                                                      {"\\\\evil/x", "http.url"},
                                                      {"http:g", "http.url"}};
  for (const auto& [ref, want] : rows) {
    CAPTURE(ref);
    CHECK(resolve(ref) == want);
  }
}

TEST_CASE("url: parts, origin and additions", "[base][http]") {
  const Url url = REQUIRE_VALUE(Url::Parse("https://u:p%40@Host:8443/p?q=1"));
  CHECK(url.userinfo() == "u:p%40");
  CHECK(url.Origin() == "https://host:8443");
  CHECK(url.RequestTarget() == "/p?q=1");
  CHECK(url.ForMessage() == "https://host:8443/p");
  CHECK(url.AddQuery("scope", "a:b c&d").str() == "https://host:8443/p?q=1&scope=a%3Ab%20c%26d");
  CHECK(REQUIRE_VALUE(url.WithPath("/v2/")).str() == "https://host:8443/v2/");
  REQUIRE_REASON(url.WithPath("/v2?x"), "http.url");
  CHECK(url.SameOrigin(REQUIRE_VALUE(Url::Parse("https://host:8443/"))));
  CHECK_FALSE(url.SameOrigin(REQUIRE_VALUE(Url::Parse("https://host/"))));
  CHECK_FALSE(url.SameOrigin(REQUIRE_VALUE(Url::Parse("http://host:8443/"))));
  CHECK(UrlForMessage("https://user:secret@h/p?token=secret#secret") == "https://h/p");
  CHECK(UrlForMessage("user:secret@h/x") == "h/x");
  CHECK(UrlForMessage("https://a:s@b:s@h/x@y") == "https://h/x@y");
  CHECK(UrlForMessage("not a url?secret") == "not a url");
  CHECK(UrlForMessage("https://h/\n\x01x") == "https://h/??x");
  CHECK(UrlForMessage("ht\ntp://h") == "ht?tp://h");
  CHECK(REQUIRE_VALUE(PercentDecode("a%20b%2F")) == "a b/");
  REQUIRE_REASON(PercentDecode("%2"), "http.url");
}

std::string Show(std::string_view field) {
  std::string out;
  for (const HttpChallenge& c : ParseChallenges(field)) {
    out += "[" + c.scheme + (c.token68.empty() ? "" : " " + c.token68);
    for (const auto& [n, v] : c.params) out += " " + n + "=<" + v + ">";
    out += "]";
  }
  return out;
}

TEST_CASE("challenges: several in one field, quoted commas, odd forms", "[base][http]") {
  CHECK(Show("Basic realm=\"simple\"") == "[basic realm=<simple>]");
  CHECK(Show("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
             "scope=\"repository:a/b:pull,push\"") ==
        "[bearer realm=<https://auth.docker.io/token> service=<registry.docker.io> "
        "scope=<repository:a/b:pull,push>]");
  CHECK(Show("Basic realm=\"a\", Bearer realm=\"b\" , error=\"x\"") ==
        "[basic realm=<a>][bearer realm=<b> error=<x>]");
  CHECK(Show("Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic "
             "realm=\"simple\"") ==
        "[newauth realm=<apps> type=<1> title=<Login to \"apps\">][basic realm=<simple>]");
  CHECK(Show("Negotiate YII+/x==, Basic realm=x") == "[negotiate YII+/x==][basic realm=<x>]");
  CHECK(Show("Negotiate") == "[negotiate]");
  CHECK(Show("Negotiate, NTLM , ,Basic") == "[negotiate][ntlm][basic]");
  CHECK(Show("BEARER Realm = \"x\"") == "[bearer realm=<x>]");
  CHECK(Show("Bearer realm=https://auth/token?x=1,service=y") ==
        "[bearer realm=<https://auth/token?x=1> service=<y>]");
  CHECK(Show("Basic realm=\"unclosed") == "[basic realm=<unclosed>]");
  CHECK(Show("Bearer realm=\"x\", realm=\"y\"") == "[bearer realm=<x> realm=<y>]");
  CHECK(Show("") == "");
  CHECK(Show(", ,") == "");
  CHECK(Show("\"x\"") == "");
  CHECK(Show("Basic realm=\"\\") == "[basic realm=<\\>]");
  CHECK(ParseChallenges("Bearer A=\"1\"").at(0).Param("a") == "1");
  const std::string big(100000, ',');
  CHECK(Show(big).empty());
  CHECK(ParseChallenges(std::string(50000, 'a')).size() == 1);
}

TEST_CASE("links: targets and relations", "[base][http]") {
  HttpHeaders h;
  h.Add("link",
        "</v2/x/tags/list?last=b%2Cc&n=2>; rel=\"next\", <https://o/>;rel=\"prev index\"; t");
  h.Add("Link", "<a,b>; title=\"x, <y>; rel=next\"");
  h.Add("Link", "broken");
  const std::vector<HttpLink> links = ParseLinks(h);
  REQUIRE(links.size() == 3);
  CHECK(links[0].target == "/v2/x/tags/list?last=b%2Cc&n=2");
  CHECK(links[0].HasRel("NEXT"));
  CHECK(links[1].HasRel("index"));
  CHECK_FALSE(links[1].HasRel("next"));
  CHECK(links[2].target == "a,b");
  CHECK_FALSE(links[2].HasRel("next"));
}

TEST_CASE("field values: ranges, dates, retry-after, media types", "[base][http]") {
  const auto range = ParseContentRange("bytes 5-9/100");
  REQUIRE(range.has_value());
  CHECK((range->first == 5 && range->last == 9 && range->total == 100));
  CHECK(ParseContentRange("bytes */7")->total == 7);
  CHECK(ParseContentRange("bytes 0-1/*")->total == -1);
  for (const char* bad :
       {"", "bytes", "bytes 5/7", "bytes 9-5/100", "bytes 0-100/100", "octets 0-1/2",
        "bytes -1-2/3", "bytes 0-99999999999999999999/1", "bytes */*"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseContentRange(bad).has_value());
  }
  CHECK(ParseUploadRange("0-1023") == std::pair<int64_t, int64_t>(0, 1023));
  CHECK(ParseUploadRange("bytes=0-7") == std::pair<int64_t, int64_t>(0, 7));
  CHECK_FALSE(ParseUploadRange("7-0").has_value());
  CHECK(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(ParseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(ParseHttpDate("Sun Nov  6 08:49:37 1994") == 784111777);
  CHECK(ParseHttpDate("Thu, 29 Feb 2024 00:00:00 GMT") == 1709164800);
  for (const char* bad : {"", "now", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT",
                          "Sun, 46 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 28:49:37 GMT"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseHttpDate(bad).has_value());
  }
  testing::FakeClock clock("1994-11-06T08:49:00Z");
  const auto after = [&](const char* v) { return RetryAfterMs({{"retry-after", v}}, clock); };
  CHECK(after("120") == 120000);
  CHECK(after("Sun, 06 Nov 1994 08:49:37 GMT") == 37000);
  CHECK(after("Sun, 06 Nov 1990 08:49:37 GMT") == 0);
  CHECK(after("999999999999999999").value() <= int64_t{366} * 86400 * 1000);
  CHECK_FALSE(after("-1").has_value());
  CHECK_FALSE(RetryAfterMs({}, clock).has_value());
  CHECK(MediaType(" Application/JSON ; charset=x") == "application/json");
  CHECK(BasicAuthorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK_FALSE(IsHeaderValue("a\r\nb"));
  CHECK_FALSE(IsHeaderName("a b"));
}

TEST_CASE("proxy: which URL goes through which", "[base][http]") {
  const ProxySettings p = REQUIRE_VALUE(ParseProxySettings(
      "proxy:3128", "http://u:secret@secure:3128/",
      "localhost, .corp.example,10.0.0.0/8,host:8080 [::1],fd00::/8,*.wild.example"));
  const auto proxy = [&](const char* url) { return ProxyFor(p, REQUIRE_VALUE(Url::Parse(url))); };
  CHECK(proxy("http://a/") == "http://proxy:3128");
  CHECK(proxy("https://a/") == "http://u:secret@secure:3128");
  for (const char* direct : {"http://localhost/", "http://corp.example/",
                             "https://a.b.corp.example/", "http://10.1.2.3/", "http://host:8080/",
                             "http://[::1]/", "http://[fd12::1]/", "http://x.wild.example/"}) {
    CAPTURE(direct);
    CHECK(proxy(direct).empty());
  }
  for (const char* through :
       {"http://xcorp.example/", "http://11.1.2.3/", "http://host/", "http://notlocalhost/"}) {
    CAPTURE(through);
    CHECK_FALSE(proxy(through).empty());
  }
  CHECK(ProxyFor({.http = "http://p:1", .no_proxy = {"*"}}, REQUIRE_VALUE(Url::Parse("http://a/")))
            .empty());
  for (const char* bad : {"ftp://p:1", "http://p:1/path", "http://p:99999", "http://a b"}) {
    REQUIRE_REASON(ParseProxySettings(bad, "", ""), "core.invalid_argument");
  }
  const auto secret = ParseProxySettings("ftp://user:hunter2@p", "", "");
  CHECK(GetError(secret.status()).message.find("hunter2") == std::string::npos);
}

}  // namespace
}  // namespace coaming::base
