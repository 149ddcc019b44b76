#include "liboci/image/web.h"

#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/http/curl_transport.h"

namespace coaming::oci {
namespace {

constexpr int64_t kSecretBytes = 64 << 10;

}  // namespace

absl::StatusOr<Credential> SplitCredential(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return base::Fail("core.invalid_argument") << "credentials are not USER:PASSWORD";
  }
  Credential out;
  out.username = text.substr(0, colon);
  out.password = text.substr(colon + 1);
  return out;
}

absl::StatusOr<Web> MakeWeb(const base::Op& op, const WebOptions& options) {
  base::CurlTransportOptions curl;
  curl.tls.ca_file = options.ca_file;
  curl.tls.client_certificate_file = options.client_cert;
  curl.tls.client_key_file = options.client_key;
  curl.tls.insecure_skip_verify = !options.tls_verify;
  for (const std::string& rule : options.resolve) {
    COAM_ASSIGN_OR_RETURN(base::ResolveRule parsed, base::ParseResolveRule(rule));
    curl.resolve.push_back(std::move(parsed));
  }
  COAM_ASSIGN_OR_RETURN(curl.proxy, base::ParseProxySettings(
                                        options.http_proxy, options.https_proxy, options.no_proxy));
  Web web;
  COAM_ASSIGN_OR_RETURN(web.transport, base::NewCurlTransport(std::move(curl)));
  web.env.transport = web.transport.get();
  web.env.threads = options.threads;
  RegistryOptions& registry = web.env.registry;
  registry.http_hosts = options.http_hosts;
  if (!options.tls_verify) registry.http_hosts.emplace_back("*");
  registry.chunk_bytes = options.chunk_bytes;
  registry.credentials.authfile = options.authfile;
  registry.credentials.helper_dirs = options.helper_dirs;
  if (options.credentials_fd >= 0) {
    COAM_ASSIGN_OR_RETURN(std::string text, base::ReadFd(options.credentials_fd, "the credentials",
                                                         kSecretBytes, "credentials_bytes"));
    COAM_ASSIGN_OR_RETURN(registry.credentials.given, SplitCredential(text));
  }
  return web;
}

}  // namespace coaming::oci
