// The inside of Registry: hosts, their scheme and tokens, and requests with authorization. Private to
// liboci/registry.
#ifndef COAMING_LIBOCI_REGISTRY_SESSION_H_
#define COAMING_LIBOCI_REGISTRY_SESSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/http/transport.h"
#include "base/http/url.h"
#include "liboci/registry/auth.h"
#include "liboci/registry/registry.h"

namespace coaming::oci {

struct RegistryHost {
  std::string name;  // as the user wrote it
  base::Url base;    // "https://registry-1.docker.io/"
  bool allow_http = false;
  std::vector<base::HttpChallenge> challenges;  // of the ping; empty: open to all
  std::map<std::string, AuthAnswer> tokens;     // by scopes
};

// What a request is for: decides the scopes of its token.
struct Access {
  Reference repository;
  std::string actions = "pull";  // "pull", "pull,push", "delete"
  std::string mount_from;        // a second repository to read from
};

struct Registry::Rep {
  base::Transport* transport = nullptr;
  RegistryOptions options;
  std::map<std::string, std::unique_ptr<RegistryHost>> hosts;

  // Connect finds out how a host is spoken to, once.
  absl::StatusOr<RegistryHost*> Connect(const base::Op& op, const Reference& repository);
  // UrlOf is https://HOST/v2/REPOSITORY/rest.
  static std::string UrlOf(const RegistryHost& host, const Reference& repository,
                           std::string_view rest);
  // Authorize sets the request's Authorization from what is known; true if it did.
  absl::StatusOr<bool> Authorize(const base::Op& op, RegistryHost* host, const Access& access,
                                 base::HttpRequest* request);
  // Challenged answers a 401; false if there is no point in trying again.
  absl::Status Challenged(const base::Op& op, RegistryHost* host, const Access& access,
                          const base::HttpResponse& response);
  // Fetch sends a request, once more after a 401. Any other status is the caller's.
  absl::StatusOr<base::HttpResponse> Fetch(const base::Op& op, RegistryHost* host,
                                           const Access& access, base::HttpRequest request,
                                           base::BodySink* sink);
  absl::StatusOr<std::unique_ptr<base::HttpStream>> Open(const base::Op& op, RegistryHost* host,
                                                         const Access& access,
                                                         base::HttpRequest request);

 private:
  absl::Status Ping(const base::Op& op, RegistryHost* host, bool retry);
  bool MayUseHttp(std::string_view host) const;
  bool IsLoopback(std::string_view host) const;
};

// CheckAnswer turns an answer outside 200..299 into an error that names `subject` and what the registry
// said: oci.not_found, oci.auth, oci.denied, oci.registry, http.*.
absl::Status CheckAnswer(const base::HttpRequest& request, const base::HttpResponse& response,
                         std::string_view subject);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REGISTRY_SESSION_H_
