// Authenticators answer a registry's challenge: one row of a table for each scheme, the strongest first.
//
// An answer is the value of an Authorization header and how long it is good for. Secrets stay in
// requests; no message holds them. Threads: [single]. Private to liboci/registry.
#ifndef COAMING_LIBOCI_REGISTRY_AUTH_H_
#define COAMING_LIBOCI_REGISTRY_AUTH_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/headers.h"
#include "base/http/transport.h"
#include "liboci/registry/credentials.h"

namespace coaming::oci {

struct AuthContext {
  base::Transport* transport = nullptr;
  std::string host;                 // the registry, as the user named it
  bool tls = true;                  // the challenge came over https
  bool allow_http = false;          // plain http may be spoken to this registry
  Credential credential;            // empty: anonymous
  std::vector<std::string> scopes;  // "repository:org/app:pull"
};

struct AuthAnswer {
  std::string header;      // "Bearer ...", "Basic ..."
  int64_t expires_ns = 0;  // CLOCK_MONOTONIC; 0: does not
};

struct AuthScheme {
  std::string_view name;  // of the challenge, lower case
  absl::StatusOr<AuthAnswer> (*answer)(const base::Op& op, const AuthContext& context,
                                       const base::HttpChallenge& challenge);
};

// AuthSchemes is the table, by precedence.
std::span<const AuthScheme> AuthSchemes();
// AnswerChallenges takes the first scheme of the table that was offered. Errors: oci.auth (none is
// known, no or refused credentials), http.*.
absl::StatusOr<AuthAnswer> AnswerChallenges(const base::Op& op, const AuthContext& context,
                                            const std::vector<base::HttpChallenge>& challenges);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REGISTRY_AUTH_H_
