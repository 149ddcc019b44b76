#include "liboci/registry/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::oci {
namespace {

namespace json = base::json;

constexpr size_t kMaxText = 300;

// Shown makes a server's text fit for a message: one line, printable, not too long.
std::string Shown(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, kMaxText)) {
    unsigned char u = static_cast<unsigned char>(c);
    out.push_back(u < 0x20 || u == 0x7f ? ' ' : c);
  }
  return out;
}

// The first error of a registry's error body.
struct RegistryError {
  std::string code, message;
};
RegistryError ReadErrorBody(std::string_view body) {
  RegistryError out;
  absl::StatusOr<json::Value> doc = json::ParseObject(body);
  if (!doc.ok()) return out;
  const json::Value* errors = doc->Find("errors");
  if (errors == nullptr || !errors->is_array() || errors->items().empty()) return out;
  const json::Value& first = errors->items()[0];
  const json::Value* code = first.Find("code");
  const json::Value* message = first.Find("message");
  if (code != nullptr && code->is_string()) out.code = Shown(code->as_string());
  if (message != nullptr && message->is_string()) out.message = Shown(message->as_string());
  return out;
}

std::vector<std::string> ScopesOf(const Access& access) {
  std::vector<std::string> scopes;
  if (access.repository.repository.empty()) return scopes;
  scopes.push_back(absl::StrCat("repository:", access.repository.repository, ":", access.actions));
  if (!access.mount_from.empty()) {
    scopes.push_back(absl::StrCat("repository:", access.mount_from, ":pull"));
  }
  return scopes;
}

}  // namespace

absl::Status CheckAnswer(const base::HttpRequest& request, const base::HttpResponse& response,
                         std::string_view subject) {
  if (response.ok()) return absl::OkStatus();
  RegistryError said = ReadErrorBody(response.error_body);
  std::string_view reason = response.status == 404   ? "oci.not_found"
                            : response.status == 401 ? "oci.auth"
                            : response.status == 403 ? "oci.denied"
                                                     : "";
  std::string text = absl::StrCat(subject, ": the registry answered ", response.status);
  if (!said.code.empty()) absl::StrAppend(&text, " ", said.code);
  if (!said.message.empty()) absl::StrAppend(&text, " (", said.message, ")");
  if (!reason.empty()) {
    return base::Fail(reason)
               .Detail("http.status", response.status)
               .Detail("registry.code", said.code)
           << text;
  }
  absl::Status status = base::CheckHttpStatus(request, response);
  base::Error error = base::GetError(status);
  if (error.reason == "http.rate_limited" || response.status >= 500) {
    error.message = std::move(text);
    if (!said.code.empty()) error.details.emplace_back("registry.code", said.code);
    return base::ToStatus(error);
  }
  return base::Fail("oci.registry")
             .Detail("http.status", response.status)
             .Detail("registry.code", said.code)
         << text;
}

bool Registry::Rep::IsLoopback(std::string_view host) const {
  std::string_view name = host;
  if (name.starts_with('[')) {
    name = name.substr(1, name.find(']') == std::string_view::npos ? 0 : name.find(']') - 1);
    return name == "::1";
  }
  name = name.substr(0, name.find(':'));
  return name == "localhost" || name.starts_with("127.");
}

bool Registry::Rep::MayUseHttp(std::string_view host) const {
  std::string_view name =
      host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  for (const std::string& allowed : options.http_hosts) {
    if (allowed == "*" || allowed == host || allowed == name) return true;
  }
  return options.http_loopback && IsLoopback(host);
}

absl::Status Registry::Rep::Ping(const base::Op& op, RegistryHost* host, bool retry) {
  base::HttpRequest request;
  request.url = absl::StrCat(host->base.Origin(), "/v2/");
  request.allow_http = !host->base.https();
  request.max_body = 1 << 20;
  if (!retry) request.max_retries = 0;
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response, transport->Fetch(op, request, nullptr));
  if (response.status == 401) host->challenges = base::ParseChallenges(response.headers);
  bool speaks = response.ok() || response.status == 401 || response.status == 403 ||
                response.status == 404 || response.status == 405;
  if (speaks) return absl::OkStatus();
  return CheckAnswer(request, response, absl::StrCat("registry ", host->name));
}

absl::StatusOr<RegistryHost*> Registry::Rep::Connect(const base::Op& op,
                                                     const Reference& repository) {
  if (transport == nullptr) {
    return base::Fail("core.state") << "no transport for registry " << repository.host;
  }
  if (options.credentials.given.has_value() && options.credentials.given_host.empty()) {
    options.credentials.given_host = repository.host;  // for no other host from now on
  }
  if (auto it = hosts.find(repository.host); it != hosts.end()) return it->second.get();
  auto host = std::make_unique<RegistryHost>();
  host->name = repository.host;
  host->allow_http = MayUseHttp(repository.host);
  COAM_ASSIGN_OR_RETURN(host->base,
                        base::Url::Parse(absl::StrCat("https://", repository.ApiHost(), "/")));
  absl::Status secure = Ping(op, host.get(), /*retry=*/!host->allow_http);
  if (!secure.ok()) {
    bool no_tls = base::HasReason(secure, "http.tls") || base::HasReason(secure, "http.connect") ||
                  base::HasReason(secure, "http.truncated");
    if (!host->allow_http || !no_tls) return secure;
    COAM_ASSIGN_OR_RETURN(host->base,
                          base::Url::Parse(absl::StrCat("http://", repository.ApiHost(), "/")));
    absl::Status plain = Ping(op, host.get(), /*retry=*/true);
    if (!plain.ok()) {
      // Nobody there at all: say that. Otherwise the certificate is what is wrong.
      bool nobody = base::HasReason(plain, "http.connect");
      return nobody ? plain : base::HasReason(secure, "http.tls") ? secure : plain;
    }
  }
  RegistryHost* raw = host.get();
  hosts[repository.host] = std::move(host);
  return raw;
}

std::string Registry::Rep::UrlOf(const RegistryHost& host, const Reference& repository,
                                 std::string_view rest) {
  return absl::StrCat(host.base.Origin(), "/v2/", repository.repository, "/", rest);
}

absl::StatusOr<bool> Registry::Rep::Authorize(const base::Op& op, RegistryHost* host,
                                              const Access& access, base::HttpRequest* request) {
  request->headers.Remove("Authorization");
  if (host->challenges.empty()) return false;
  // Only the registry itself gets it: an upload may have been sent to another place.
  COAM_ASSIGN_OR_RETURN(base::Url url, base::Url::Parse(request->url));
  if (!url.SameOrigin(host->base)) return false;
  std::vector<std::string> scopes = ScopesOf(access);
  std::string key = absl::StrJoin(scopes, " ");
  auto known = host->tokens.find(key);
  bool good = known != host->tokens.end() && (known->second.expires_ns == 0 ||
                                              known->second.expires_ns > op.clock().MonotonicNs());
  if (!good) {
    AuthContext context;
    context.transport = transport;
    context.host = host->name;
    context.tls = host->base.https();
    context.allow_http = host->allow_http;
    context.scopes = std::move(scopes);
    COAM_ASSIGN_OR_RETURN(context.credential,
                          FindCredential(op, options.credentials, access.repository));
    COAM_ASSIGN_OR_RETURN(AuthAnswer answer, AnswerChallenges(op, context, host->challenges));
    known = host->tokens.insert_or_assign(key, std::move(answer)).first;
  }
  request->headers.Set("Authorization", known->second.header);
  return true;
}

absl::Status Registry::Rep::Challenged(const base::Op& op, RegistryHost* host, const Access& access,
                                       const base::HttpResponse& response) {
  std::vector<base::HttpChallenge> challenges = base::ParseChallenges(response.headers);
  if (!challenges.empty()) host->challenges = std::move(challenges);
  if (host->challenges.empty()) {
    return base::Fail("oci.auth").Detail("http.status", 401)
           << "registry " << host->name << " wants a login and does not say how";
  }
  host->tokens.erase(absl::StrJoin(ScopesOf(access), " "));
  return absl::OkStatus();
}

absl::StatusOr<base::HttpResponse> Registry::Rep::Fetch(const base::Op& op, RegistryHost* host,
                                                        const Access& access,
                                                        base::HttpRequest request,
                                                        base::BodySink* sink) {
  request.allow_http = !host->base.https();
  for (int round = 0;; ++round) {
    COAM_RETURN_IF_ERROR(Authorize(op, host, access, &request).status());
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response, transport->Fetch(op, request, sink));
    if (response.status != 401 || round > 0) return response;
    COAM_RETURN_IF_ERROR(Challenged(op, host, access, response));
  }
}

absl::StatusOr<std::unique_ptr<base::HttpStream>> Registry::Rep::Open(const base::Op& op,
                                                                      RegistryHost* host,
                                                                      const Access& access,
                                                                      base::HttpRequest request) {
  request.allow_http = !host->base.https();
  for (int round = 0;; ++round) {
    COAM_RETURN_IF_ERROR(Authorize(op, host, access, &request).status());
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::HttpStream> stream, transport->Open(op, request));
    if (stream->response().status != 401 || round > 0) return stream;
    COAM_RETURN_IF_ERROR(Challenged(op, host, access, stream->response()));
  }
}

}  // namespace coaming::oci
