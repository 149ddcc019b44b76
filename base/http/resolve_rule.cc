// Reading "host:port:address" rules.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/http/curl_transport.h"
#include "base/http/url.h"

namespace coaming::base {
namespace {

bool IsPort(std::string_view text, int* port) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         absl::SimpleAtoi(text, port) && *port > 0 && *port < 65536;
}

}  // namespace

absl::StatusOr<ResolveRule> ParseResolveRule(std::string_view text) {
  const auto bad = [&] {
    return Fail("core.invalid_argument").Hint("write host:port:address or host:port:address:port")
           << "\"" << text << "\" does not map a host";
  };
  ResolveRule rule;
  const size_t first = text.find(':');
  const size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos || first == 0) return bad();
  rule.host = absl::AsciiStrToLower(text.substr(0, first));
  const std::string_view port = text.substr(first + 1, second - first - 1);
  if (port != "*" && !IsPort(port, &rule.port)) return bad();
  std::string_view rest = text.substr(second + 1);
  std::string_view after;
  if (!rest.empty() && rest.front() == '[') {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad();
    rule.address = rest.substr(1, end - 1);
    after = rest.substr(end + 1);
  } else if (std::count(rest.begin(), rest.end(), ':') <= 1) {
    const size_t colon = rest.find(':');
    rule.address = rest.substr(0, colon);
    if (colon != std::string_view::npos) after = rest.substr(colon);
  } else {
    rule.address = rest;  // IPv6 without brackets, as curl allows
  }
  if (!after.empty() && (after.front() != ':' || !IsPort(after.substr(1), &rule.address_port))) {
    return bad();
  }
  const std::string probe = rule.address.find(':') != std::string::npos
                                ? absl::StrCat("http://[", rule.address, "]/")
                                : absl::StrCat("http://", rule.address, "/");
  absl::StatusOr<Url> url = Url::Parse(probe);
  if (!url.ok() || !Url::Parse(absl::StrCat("http://", rule.host, "/")).ok()) return bad();
  const bool address = rule.address.find_first_not_of("0123456789.") == std::string::npos ||
                       rule.address.find(':') != std::string::npos;
  if (!address) return bad();
  return rule;
}

}  // namespace coaming::base
