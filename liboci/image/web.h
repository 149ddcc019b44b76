// What reaches registries: the curl transport with the settings that tools and the C ABI offer, and the
// Env made of them.
//
//   oci::WebOptions web;
//   web.ca_file = "/etc/site/ca.pem";
//   COAM_ASSIGN_OR_RETURN(oci::Web made, oci::MakeWeb(op, web));   // made.env borrows made.transport
//
// Ownership: a Web keeps its transport. Threads: the transport is [shared]. Secrets come by descriptor,
// never by an argument that others can see. Errors: core.invalid_argument, core.io.
#ifndef COAMING_LIBOCI_IMAGE_WEB_H_
#define COAMING_LIBOCI_IMAGE_WEB_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/image.h"

namespace coaming::oci {

struct WebOptions {
  std::string authfile;                  // of the docker config.json kind
  int credentials_fd = -1;               // "USER:PASSWORD" is read from it; borrowed
  std::vector<std::string> helper_dirs;  // of docker-credential-NAME; none: helpers are not run
  std::vector<std::string> http_hosts;   // may be spoken to by plain http; "*": all
  std::string ca_file, client_cert, client_key;
  bool tls_verify = true;            // false: any certificate will do, and plain http
  std::vector<std::string> resolve;  // "host:port:address", as curl's --resolve
  std::string http_proxy, https_proxy, no_proxy;
  int64_t chunk_bytes = 0;
  bool threads = true;
};

struct Web {
  std::shared_ptr<base::Transport> transport;
  Env env;
};

absl::StatusOr<Web> MakeWeb(const base::Op& op, const WebOptions& options);

// SplitCredential reads "USER:PASSWORD", with or without a newline at its end.
absl::StatusOr<Credential> SplitCredential(std::string_view text);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_WEB_H_
