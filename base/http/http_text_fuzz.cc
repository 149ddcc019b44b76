// URLs, challenges, links and other field values from anybody.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/http/headers.h"
#include "base/http/proxy.h"
#include "base/http/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coaming::base;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const Url base = *Url::Parse("https://h.example:8443/a/b;c?d");
  for (const absl::StatusOr<Url>& url : {Url::Parse(text), base.Resolve(text)}) {
    if (!url.ok()) continue;
    // A normal form is its own normal form, and nothing in it can split a header.
    const std::string normal = url->str();
    const absl::StatusOr<Url> again = Url::Parse(normal);
    if (!again.ok() || again->str() != normal || !again->SameOrigin(*url)) __builtin_trap();
    if (!IsHeaderValue(normal) || normal.find(' ') != std::string::npos) __builtin_trap();
    if (url->ForMessage().find('?') != std::string::npos) __builtin_trap();
    ProxyFor({.http = "http://p:1", .https = "http://p:1", .no_proxy = {std::string(text)}}, *url);
  }
  if (UrlForMessage(text).find('\n') != std::string::npos) __builtin_trap();
  HttpHeaders h;
  h.Add("WWW-Authenticate", text);
  h.Add("Link", text);
  h.Add("Retry-After", text);
  for (const HttpChallenge& c : ParseChallenges(h)) {
    if (c.scheme.empty()) __builtin_trap();
  }
  for (const HttpLink& l : ParseLinks(h)) l.HasRel("next");
  RetryAfterMs(h, SystemClock());
  ParseContentRange(text);
  ParseUploadRange(text);
  MediaType(text);
  (void)PercentDecode(text);
  return 0;
}
