#include "libtrust/client/notary_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/http/headers.h"
#include "base/http/transport.h"
#include "base/http/url.h"
#include "base/json/json.h"

namespace coaming::trust {

using base::Fail;
namespace json = base::json;

namespace {

constexpr int64_t kMaxKey = 256 << 10, kMaxAnswer = 1 << 20;

// What a server says: {"errors":[{"code","message","detail"}]}. Only printable text is kept.
std::string ServerText(std::string_view body) {
  auto doc = json::ParseObject(body);
  const json::Value* errors = doc.ok() ? doc->Find("errors") : nullptr;
  if (errors == nullptr) return "";
  std::string out;
  for (const json::Value& e : errors->items()) {
    const json::Value *message = e.Find("message"), *detail = e.Find("detail");
    if (message != nullptr) absl::StrAppend(&out, out.empty() ? "" : "; ", message->as_string());
    if (detail != nullptr && !detail->is_null()) {
      const json::Value* inner = detail->FindIn("Error", "Msg");
      const std::string text = inner != nullptr      ? inner->as_string()
                               : detail->is_string() ? detail->as_string()
                                                     : json::Write(*detail);
      if (!text.empty()) absl::StrAppend(&out, ": ", text);
    }
  }
  for (char& c : out)
    if (c < 0x20 || c == 0x7f) c = ' ';
  out.resize(std::min<size_t>(out.size(), 1000));
  return out;
}

std::string Basic(const NotaryAccess& access) {
  std::string plain = absl::StrCat(access.username, ":", access.password.view());
  std::string out = absl::StrCat("Basic ", absl::Base64Escape(plain));
  WipeString(&plain);
  return out;
}

}  // namespace

NotaryServer::NotaryServer(base::Transport& transport, const NotaryAccess& access,
                           std::string_view gun)
    : transport_(transport), access_(access), gun_(gun) {}

std::string NotaryServer::Url(std::string_view rest) const {
  std::string_view base = access_.url;
  while (absl::EndsWith(base, "/")) base.remove_suffix(1);
  return absl::StrCat(base, "/v2/", gun_, "/_trust/tuf/", rest);
}

absl::StatusOr<std::string> NotaryServer::Authorize(const base::HttpResponse& refused,
                                                    std::string_view actions, const base::Op& op) {
  for (const base::HttpChallenge& c : base::ParseChallenges(refused.headers)) {
    if (c.scheme == "basic" && !access_.username.empty() && (refused.tls || access_.allow_http))
      return Basic(access_);
    if (c.scheme != "bearer") continue;
    COAM_ASSIGN_OR_RETURN(base::Url url, base::Url::Parse(c.Param("realm")));
    if (!url.https() && !access_.allow_http)
      return Fail("notary.auth") << access_.url << " sends us to a token server without TLS";
    if (!c.Param("service").empty()) url = url.AddQuery("service", c.Param("service"));
    url = url.AddQuery("scope", absl::StrCat("repository:", gun_, ":", actions));
    base::HttpRequest request;
    request.url = url.str();
    request.allow_http = access_.allow_http;
    if (!access_.username.empty()) request.secret_headers.Set("Authorization", Basic(access_));
    auto body = transport_.FetchBytes(op, request, kMaxAnswer, "manifest_bytes");
    if (!body.ok()) {
      if (!base::HasReason(body.status(), "http.unauthorized") &&
          !base::HasReason(body.status(), "http.forbidden"))
        return body.status();
      return (Fail("notary.auth") << "the token server of " << access_.url << " gives no token for "
                                  << gun_)
          .Cause(body.status());
    }
    auto doc = json::ParseObject(*body);
    const json::Value* token = doc.ok() ? doc->Find("token") : nullptr;
    if (doc.ok() && (token == nullptr || token->as_string().empty()))
      token = doc->Find("access_token");
    if (token == nullptr || token->as_string().empty() || !base::IsHeaderValue(token->as_string()))
      return Fail("notary.auth") << "the token server of " << access_.url << " sent no token";
    return absl::StrCat("Bearer ", token->as_string());
  }
  return Fail("notary.auth") << access_.url << " wants a login for " << gun_;
}

absl::StatusOr<std::string> NotaryServer::Call(base::HttpRequest request, int64_t max,
                                               std::string_view actions, const base::Op& op) {
  request.allow_http = access_.allow_http;
  request.max_body = max;
  request.headers.Set("Accept-Encoding", "identity");
  const auto known = authorization_.find(std::string(actions));
  if (known != authorization_.end()) request.secret_headers.Set("Authorization", known->second);
  std::string body;
  base::StringSink sink(&body);
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response, transport_.Fetch(op, request, &sink));
  if (response.status == 401) {
    COAM_ASSIGN_OR_RETURN(std::string header, Authorize(response, actions, op));
    request.secret_headers.Set("Authorization", header);
    authorization_[std::string(actions)] = std::move(header);
    body.clear();
    COAM_ASSIGN_OR_RETURN(response, transport_.Fetch(op, request, &sink));
  }
  if (response.ok()) return body;
  if (response.status == 401 || response.status == 403)
    return (Fail("notary.auth") << access_.url << " refuses " << actions << " of " << gun_)
        .Cause(base::CheckHttpStatus(request, response));
  if (request.method != "GET") {
    const std::string text = ServerText(response.error_body);
    if (!text.empty())
      return (Fail("notary.refused")
              << access_.url << " refused the change of " << gun_ << ": " << text)
          .Detail("http.status", response.status);
  }
  return base::CheckHttpStatus(request, response);
}

absl::StatusOr<std::string> NotaryServer::Get(const std::string& name, int64_t max,
                                              const base::Op& op) {
  base::HttpRequest request;
  request.url = Url(absl::StrCat(name, ".json"));
  return Call(std::move(request), max, "pull", op);
}

absl::Status NotaryServer::Publish(const std::map<std::string, std::string>& files,
                                   const base::Op& op) {
  const std::string boundary = base::HexEncode(RandomBytes(24));
  base::HttpRequest request;
  request.method = "POST";
  request.url = Url("");
  request.headers.Set("Content-Type", absl::StrCat("multipart/form-data; boundary=", boundary));
  for (const auto& [role, bytes] : files)
    absl::StrAppend(&request.body, "--", boundary,
                    "\r\nContent-Disposition: form-data; name=\"files\"; filename=\"", role,
                    "\"\r\nContent-Type: application/octet-stream\r\n\r\n", bytes, "\r\n");
  absl::StrAppend(&request.body, "--", boundary, "--\r\n");
  return Call(std::move(request), kMaxAnswer, "push,pull", op).status();
}

absl::StatusOr<notary::Key> NotaryServer::PublicKey(std::string_view role, bool rotate,
                                                    const base::Op& op) {
  base::HttpRequest request;
  request.method = rotate ? "POST" : "GET";
  request.url = Url(absl::StrCat(role, ".key"));
  COAM_ASSIGN_OR_RETURN(std::string body,
                        Call(std::move(request), kMaxKey, rotate ? "*" : "push,pull", op));
  COAM_ASSIGN_OR_RETURN(json::Value doc, json::ParseObject(body));
  COAM_ASSIGN_OR_RETURN(notary::Key key, notary::ReadKey(doc, access_.url));
  if (key.key.type() == KeyType::kNone)
    return Fail("sig.unsupported")
           << access_.url << ": its " << role << " key is of type " << key.type;
  return key;
}

absl::Status NotaryServer::Delete(const base::Op& op) {
  base::HttpRequest request;
  request.method = "DELETE";
  request.url = Url("");
  return Call(std::move(request), kMaxAnswer, "*", op).status();
}

}  // namespace coaming::trust
