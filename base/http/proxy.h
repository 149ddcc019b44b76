// Which proxy a URL goes through. The environment is never read here: a tool that wants the usual
// variables hands their values to ParseProxySettings.
#ifndef COAMING_BASE_HTTP_PROXY_H_
#define COAMING_BASE_HTTP_PROXY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/http/url.h"

namespace coaming::base {

struct ProxySettings {
  std::string http;   // for http URLs: "http://[user:pw@]host:port", "socks5h://..."; "" for none
  std::string https;  // for https URLs
  std::vector<std::string> no_proxy;  // patterns, see Matches
};

// ParseProxySettings takes HTTP_PROXY-, HTTPS_PROXY- and NO_PROXY-like values ("host:3128" means http;
// NO_PROXY is a list with commas). Errors: core.invalid_argument; never shows user info.
absl::StatusOr<ProxySettings> ParseProxySettings(std::string_view http_proxy,
                                                 std::string_view https_proxy,
                                                 std::string_view no_proxy);
// ProxyFor gives the proxy for `url`, or "": no_proxy has "*", "host" and ".domain" (the domain and
// all beneath it), "host:port", an address, or a network "10.0.0.0/8".
std::string ProxyFor(const ProxySettings& settings, const Url& url);

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_PROXY_H_
