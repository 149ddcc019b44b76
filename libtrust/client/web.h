// WebOptions: how the clients of libtrust reach their servers, and the curl transport made of it.
#ifndef COAMING_LIBTRUST_CLIENT_WEB_H_
#define COAMING_LIBTRUST_CLIENT_WEB_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coaming::base {
class Transport;
}  // namespace coaming::base

namespace coaming::trust {

struct WebOptions {
  std::string ca_file;
  std::string client_cert, client_key;  // files, PEM; both or none
  bool tls_verify = true;
  std::vector<std::string> resolve;  // HOST:PORT:ADDRESS
  std::string http_proxy, https_proxy, no_proxy;
};

// MakeTransport checks the options. Errors: core.invalid_argument.
absl::StatusOr<std::unique_ptr<base::Transport>> MakeTransport(const WebOptions& web);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_WEB_H_
