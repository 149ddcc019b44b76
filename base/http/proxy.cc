#include "base/http/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

absl::StatusOr<std::string> CheckProxy(std::string_view text, std::string_view what) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return std::string();
  std::string whole = text.find("://") == std::string_view::npos ? absl::StrCat("http://", text)
                                                                 : std::string(text);
  const size_t colon = whole.find("://");
  const std::string scheme = absl::AsciiStrToLower(whole.substr(0, colon));
  const auto fail = [&](std::string_view why) {
    return Fail("core.invalid_argument")
           << "the proxy for " << what << ", " << UrlForMessage(whole) << ", " << why;
  };
  if (scheme != "http" && scheme != "https" && scheme != "socks4" && scheme != "socks4a" &&
      scheme != "socks5" && scheme != "socks5h") {
    return fail("has a scheme that is not known; use http, https or socks5h");
  }
  // The rest has the form of an http URL.
  absl::StatusOr<Url> url = Url::Parse(absl::StrCat("http", whole.substr(colon)));
  if (!url.ok()) return fail("is not a URL");
  if (url->path() != "/" || url->has_query()) return fail("has a path");
  while (whole.back() == '/') whole.pop_back();
  return absl::StrCat(scheme, whole.substr(colon));
}

bool ParseAddress(std::string_view text, int* family, unsigned char bytes[16]) {
  const std::string s(text);
  if (inet_pton(AF_INET, s.c_str(), bytes) == 1) {
    *family = AF_INET;
    return true;
  }
  *family = AF_INET6;
  return inet_pton(AF_INET6, s.c_str(), bytes) == 1;
}

bool InNetwork(std::string_view host, std::string_view network, std::string_view bits_text) {
  unsigned char a[16], b[16];
  int fa = 0, fb = 0, bits = 0;
  if (!ParseAddress(host, &fa, a) || !ParseAddress(network, &fb, b) || fa != fb ||
      !absl::SimpleAtoi(bits_text, &bits) || bits < 0 || bits > (fa == AF_INET ? 32 : 128)) {
    return false;
  }
  for (int i = 0; i < bits; ++i) {
    const int mask = 0x80 >> (i % 8);
    if ((a[i / 8] & mask) != (b[i / 8] & mask)) return false;
  }
  return true;
}

bool Matches(std::string_view pattern, const Url& url) {
  if (pattern == "*") return true;
  if (const size_t slash = pattern.find('/'); slash != std::string_view::npos) {
    return InNetwork(url.host(), pattern.substr(0, slash), pattern.substr(slash + 1));
  }
  std::string_view host = pattern;
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view port = host.substr(end + 1);
    if (!port.empty() && port != absl::StrCat(":", url.port())) return false;
    host = host.substr(1, end - 1);
  } else if (std::count(host.begin(), host.end(), ':') == 1) {
    const size_t colon = host.find(':');
    if (host.substr(colon + 1) != absl::StrCat(url.port())) return false;
    host = host.substr(0, colon);
  }
  unsigned char a[16], b[16];
  int fa = 0, fb = 0;
  if (ParseAddress(host, &fa, a)) {
    return ParseAddress(url.host(), &fb, b) && fa == fb &&
           memcmp(a, b, fa == AF_INET ? 4 : 16) == 0;
  }
  if (absl::StartsWith(host, "*.")) host.remove_prefix(1);
  while (!host.empty() && host.front() == '.') host.remove_prefix(1);
  if (host.empty()) return false;
  const std::string lower = absl::AsciiStrToLower(host);
  return url.host() == lower || absl::EndsWith(url.host(), absl::StrCat(".", lower));
}

}  // namespace

absl::StatusOr<ProxySettings> ParseProxySettings(std::string_view http_proxy,
                                                 std::string_view https_proxy,
                                                 std::string_view no_proxy) {
  ProxySettings settings;
  COAM_ASSIGN_OR_RETURN(settings.http, CheckProxy(http_proxy, "http"));
  COAM_ASSIGN_OR_RETURN(settings.https, CheckProxy(https_proxy, "https"));
  for (const std::string_view part :
       absl::StrSplit(no_proxy, absl::ByAnyChar(", \t"), absl::SkipEmpty())) {
    settings.no_proxy.emplace_back(part);
  }
  return settings;
}

std::string ProxyFor(const ProxySettings& settings, const Url& url) {
  const std::string& proxy = url.https() ? settings.https : settings.http;
  if (proxy.empty()) return "";
  for (const std::string& pattern : settings.no_proxy) {
    if (Matches(pattern, url)) return "";
  }
  return proxy;
}

}  // namespace coaming::base
