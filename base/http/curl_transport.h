// The transport over libcurl. Only curl_transport.cc includes curl.
//
// Nothing is taken from the environment, ~/.netrc or ~/.curlrc. Only http and https. No signal is used,
// no redirect followed by curl itself. Ownership: the options are copied. Threads: [shared].
#ifndef COAMING_BASE_HTTP_CURL_TRANSPORT_H_
#define COAMING_BASE_HTTP_CURL_TRANSPORT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/http/proxy.h"
#include "base/http/transport.h"

namespace coaming::base {

// Connections to host:port go to address:address_port instead; the name stays in TLS and Host.
struct ResolveRule {
  std::string host;      // "example.com"
  int port = 0;          // 0: any
  std::string address;   // an IP address
  int address_port = 0;  // 0: the same port
};
// ParseResolveRule reads "host:port:address" (curl's --resolve, "*" as port for any) and
// "host:port:address:port"; IPv6 addresses in brackets. Errors: core.invalid_argument.
absl::StatusOr<ResolveRule> ParseResolveRule(std::string_view text);

struct CurlTransportOptions {
  std::string user_agent = "coaming/1.0";
  TlsOptions tls;
  // For some hosts other TLS options: "host" or "host:port".
  std::vector<std::pair<std::string, TlsOptions>> host_tls;
  std::vector<ResolveRule> resolve;
  ProxySettings proxy;  // default: none
};

// NewCurlTransport checks the options. Errors: core.invalid_argument, core.io.
absl::StatusOr<std::unique_ptr<Transport>> NewCurlTransport(CurlTransportOptions options = {});
// CurlVersion is "libcurl/7.88.1 GnuTLS/3.7.9 ...", for coam_build_details.
std::string CurlVersion();

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_CURL_TRANSPORT_H_
