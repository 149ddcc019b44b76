#include "liboci/registry/auth.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/http/url.h"
#include "base/json/json.h"

namespace coaming::oci {
namespace {

namespace json = base::json;

constexpr int64_t kTokenBytes = 1 << 20;
constexpr int64_t kMinSeconds = 60;  // the specification's default and least
constexpr int64_t kMaxSeconds = 86400;
constexpr int64_t kSlackSeconds = 10;

absl::StatusOr<AuthAnswer> AnswerBasic(const base::Op& op, const AuthContext& context,
                                       const base::HttpChallenge& challenge) {
  if (context.credential.username.empty()) {
    return base::Fail("oci.auth") << "registry " << context.host << " wants a user and password";
  }
  return AuthAnswer{
      base::BasicAuthorization(context.credential.username, context.credential.password), 0};
}

std::string Text(const json::Value& doc, std::string_view key) {
  const json::Value* v = doc.Find(key);
  return v != nullptr && v->is_string() ? v->as_string() : std::string();
}

absl::StatusOr<AuthAnswer> ReadToken(const base::Op& op, const AuthContext& context,
                                     std::string_view body) {
  absl::StatusOr<json::Value> doc = json::ParseObject(body, {.limits = &op.limits()});
  std::string token;
  if (doc.ok()) token = Text(*doc, "token");
  if (doc.ok() && token.empty()) token = Text(*doc, "access_token");
  bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty() || !printable) {
    return base::Fail("oci.registry") << "the token server of " << context.host << " sent no token";
  }
  int64_t seconds = kMinSeconds;
  if (const json::Value* expires = doc->Find("expires_in"); expires != nullptr) {
    seconds = std::clamp(expires->as_int64().value_or(kMinSeconds), kMinSeconds, kMaxSeconds);
  }
  AuthAnswer answer;
  answer.header = absl::StrCat("Bearer ", token);
  answer.expires_ns = op.clock().MonotonicNs() + (seconds - kSlackSeconds) * 1000000000;
  return answer;
}

absl::Status TokenRefused(const AuthContext& context, const base::HttpResponse& response) {
  bool anonymous = context.credential.empty();
  return base::Fail("oci.auth").Detail("http.status", response.status)
         << "the token server of " << context.host << " answered " << response.status
         << (anonymous ? " to a request without credentials"
                       : ": it does not take the credentials");
}

absl::StatusOr<AuthAnswer> AnswerBearer(const base::Op& op, const AuthContext& context,
                                        const base::HttpChallenge& challenge) {
  const Credential& credential = context.credential;
  if (!credential.registry_token.empty()) {
    return AuthAnswer{absl::StrCat("Bearer ", credential.registry_token), 0};
  }
  absl::StatusOr<base::Url> realm = base::Url::Parse(challenge.Param("realm"));
  if (!realm.ok()) {
    return base::Fail("oci.registry")
           << "registry " << context.host << " names no token server that can be asked";
  }
  if (!realm->https() && !context.allow_http) {
    return base::Fail("http.insecure")
           << "registry " << context.host << " sends us to a token server without TLS";
  }
  // A challenge that anybody on the wire could have written must not fetch credentials for itself.
  std::string_view own_host = std::string_view(context.host).substr(0, context.host.rfind(':'));
  if (!credential.empty() && !context.tls && realm->host() != own_host &&
      realm->HostPort() != context.host) {
    return base::Fail("oci.auth") << "registry " << context.host
                                  << " asks over plain http to send credentials to "
                                  << realm->HostPort();
  }
  std::vector<std::string> scopes = context.scopes;
  for (std::string_view scope : absl::StrSplit(challenge.Param("scope"), ' ', absl::SkipEmpty())) {
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.emplace_back(scope);
  }
  std::string_view service = challenge.Param("service");

  base::HttpRequest request;
  request.allow_http = context.allow_http;
  request.max_body = kTokenBytes;
  std::string body;
  base::StringSink sink(&body);
  if (!credential.identity_token.empty()) {
    request.method = "POST";
    request.url = realm->str();
    request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
    request.body = absl::StrCat(
        "grant_type=refresh_token&client_id=coaming&service=", base::PercentEncode(service),
        "&scope=", base::PercentEncode(absl::StrJoin(scopes, " ")),
        "&refresh_token=", base::PercentEncode(credential.identity_token));
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          context.transport->Fetch(op, request, &sink));
    if (!response.ok()) return TokenRefused(context, response);
    return ReadToken(op, context, body);
  }
  base::Url url = *realm;
  if (!service.empty()) url = url.AddQuery("service", service);
  for (const std::string& scope : scopes) url = url.AddQuery("scope", scope);
  if (!credential.username.empty()) {
    url = url.AddQuery("account", credential.username);
    request.headers.Set("Authorization",
                        base::BasicAuthorization(credential.username, credential.password));
  }
  request.url = url.str();
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response, context.transport->Fetch(op, request, &sink));
  if (response.status >= 400 && response.status < 500 && response.status != 429) {
    return TokenRefused(context, response);
  }
  COAM_RETURN_IF_ERROR(base::CheckHttpStatus(request, response));
  return ReadToken(op, context, body);
}

constexpr AuthScheme kSchemes[] = {
    {"bearer", AnswerBearer},
    {"basic", AnswerBasic},
};

}  // namespace

std::span<const AuthScheme> AuthSchemes() { return kSchemes; }

absl::StatusOr<AuthAnswer> AnswerChallenges(const base::Op& op, const AuthContext& context,
                                            const std::vector<base::HttpChallenge>& challenges) {
  for (const AuthScheme& scheme : kSchemes) {
    for (const base::HttpChallenge& challenge : challenges) {
      if (challenge.scheme == scheme.name) return scheme.answer(op, context, challenge);
    }
  }
  std::string offered;
  for (const base::HttpChallenge& challenge : challenges) {
    absl::StrAppend(&offered, offered.empty() ? "" : ", ", challenge.scheme.substr(0, 40));
  }
  return base::Fail("oci.auth") << "registry " << context.host << " wants a login by "
                                << (offered.empty() ? "a way it does not name" : offered)
                                << ", which is not known here";
}

}  // namespace coaming::oci
