// What the status of an answer means as an error.
#include "absl/strings/str_cat.h"
#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/http/transport.h"

namespace coaming::base {
namespace {

std::string_view ReasonOfStatus(int status) {
  switch (status) {
    case 401:
    case 407: return "http.unauthorized";
    case 403: return "http.forbidden";
    case 404:
    case 410: return "http.not_found";
    case 429: return "http.rate_limited";
    default: return "http.status";
  }
}

std::string_view StatusText(int status) {
  switch (status) {
    case 400: return "bad request";
    case 401: return "not logged in";
    case 403: return "no permission";
    case 404: return "not found";
    case 405: return "method not allowed";
    case 408: return "request timed out";
    case 410: return "gone";
    case 416: return "range not satisfiable";
    case 429: return "too many requests";
    case 500: return "internal error of the server";
    case 502: return "bad gateway";
    case 503: return "service unavailable";
    case 504: return "gateway timed out";
    default: return status >= 300 && status < 400 ? "redirect without a place to go" : "refused";
  }
}

}  // namespace

absl::Status CheckHttpStatus(const HttpRequest& request, const HttpResponse& response) {
  if (response.ok()) return absl::OkStatus();
  const std::string shown = UrlForMessage(response.url.empty() ? request.url : response.url);
  Error error =
      GetError(Fail(ReasonOfStatus(response.status))
               << (response.method.empty() ? request.method : response.method) << " " << shown
               << ": " << StatusText(response.status) << " (" << response.status << ")");
  error.details.emplace_back("http.status", absl::StrCat(response.status));
  error.details.emplace_back("http.url", shown);
  if (absl::StatusOr<Url> url = Url::Parse(response.url); url.ok()) {
    error.details.emplace_back("http.host", url->HostPort());
  }
  if (const auto ms = RetryAfterMs(response.headers, SystemClock()); ms.has_value()) {
    error.details.emplace_back("retry_after_ms", absl::StrCat(*ms));
  }
  return ToStatus(error);
}

absl::Status StringSink::Begin(const HttpResponse& response) {
  if (response.offset == 0) out_->clear();
  return absl::OkStatus();
}

absl::Status StringSink::Write(std::string_view bytes) {
  out_->append(bytes);
  return absl::OkStatus();
}

}  // namespace coaming::base
