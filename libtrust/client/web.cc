#include "libtrust/client/web.h"

#include <utility>

#include "base/core/status_macros.h"
#include "base/http/curl_transport.h"
#include "base/http/transport.h"

namespace coaming::trust {

absl::StatusOr<std::unique_ptr<base::Transport>> MakeTransport(const WebOptions& web) {
  base::CurlTransportOptions curl;
  curl.tls.ca_file = web.ca_file;
  curl.tls.client_certificate_file = web.client_cert;
  curl.tls.client_key_file = web.client_key;
  curl.tls.insecure_skip_verify = !web.tls_verify;
  for (const std::string& text : web.resolve) {
    COAM_ASSIGN_OR_RETURN(base::ResolveRule rule, base::ParseResolveRule(text));
    curl.resolve.push_back(std::move(rule));
  }
  COAM_ASSIGN_OR_RETURN(curl.proxy,
                        base::ParseProxySettings(web.http_proxy, web.https_proxy, web.no_proxy));
  return base::NewCurlTransport(std::move(curl));
}

}  // namespace coaming::trust
