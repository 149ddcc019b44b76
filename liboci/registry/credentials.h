// Credentials for registries: given outright, or looked up in a file of the docker config.json kind and
// the helper programs that it names.
//
// Follows containers-auth.json(5) and docker's credential helper protocol. The environment and home
// directories are never looked at: the caller names the file. Keys are tried from the longest to the
// shortest prefix of host/repository; docker.io also as https://index.docker.io/v1/.
// Threads: functions without state. Limits: manifest_bytes for the file, plugin_output_bytes for a
// helper. Secrets never stand in errors, logs or details. Errors: oci.authfile, process.*.
#ifndef COAMING_LIBOCI_REGISTRY_CREDENTIALS_H_
#define COAMING_LIBOCI_REGISTRY_CREDENTIALS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/reference/reference.h"

namespace coaming::oci {

struct Credential {
  std::string username, password;
  std::string identity_token;  // buys access tokens by POST
  std::string registry_token;  // is sent as it is
  bool empty() const {
    return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
};

struct CredentialOptions {
  std::optional<Credential> given;  // used instead of the file...
  std::string given_host;           // ... for this host; "": the first registry asked
  std::string authfile;             // path; "" for none
  std::vector<std::string>
      helper_dirs;                      // where docker-credential-NAME is looked for; none: not run
  std::vector<std::string> helper_env;  // its environment: "NAME=value"
};

// FindCredential gives the credential for a repository, or an empty one.
absl::StatusOr<Credential> FindCredential(const base::Op& op, const CredentialOptions& options,
                                          const Reference& repository);
// SaveCredential and EraseCredential change an authfile (made 0600 if missing; members that are not
// ours stay). EraseCredential gives false if there was none.
absl::Status SaveCredential(const base::Op& op, const std::string& authfile, std::string_view host,
                            std::string_view username, std::string_view password);
absl::StatusOr<bool> EraseCredential(const base::Op& op, const std::string& authfile,
                                     std::string_view host);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REGISTRY_CREDENTIALS_H_
