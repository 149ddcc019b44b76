// Transport fetches over HTTP: the one interface that registries, discovery and the TUF client know.
// The policy (redirects, retries, resume, credentials, limits, secrets kept out of messages) is here,
// once; what only moves bytes is behind NewSession and is curl (curl_transport.h), a script
// (base/testing/memory_transport.h), or a host's own stack.
//
//   base::HttpRequest get{.url = "https://registry.example/v2/app/blobs/sha256:..."};
//   get.immutable = true;                                  // named by its digest
//   COAM_ASSIGN_OR_RETURN(auto stream, transport.Open(op, get));      // pulled: it is a base::Reader
//   COAM_RETURN_IF_ERROR(base::CheckHttpStatus(get, stream->response()));
//
//   COAM_ASSIGN_OR_RETURN(std::string page, transport.FetchBytes(op, get, op.limits().discovery_bytes,
//                                                                "discovery_bytes"));
//
// An answer of any status is a result, not an error, except in FetchBytes; CheckHttpStatus turns it
// into one. The body of a status outside 200..299 never reaches a sink: its first 64 KiB are in
// HttpResponse::error_body.
//
// Redirects: at most http_redirects; 301, 302, 303, 307, 308; a method that changes becomes GET without
// body as browsers do (303; POST on 301, 302); from https to http only with allow_http. Authorization,
// Cookie and HttpRequest::secret_headers go to the first URL's origin (scheme, host, port) only.
// Retries: GET, HEAD, OPTIONS, and what says idempotent: broken connections, 408, 429, 500, 502, 503,
// 504; full jitter; Retry-After is obeyed up to max_retry_after_ms, beyond it the answer is returned as it
// is (CheckHttpStatus gives the detail retry_after_ms). A connection that cannot be made at all is not
// tried again. A body that breaks off is continued with Range and If-Range when there is a strong ETag or
// the request says immutable; the consumer does not notice.
//
// Errors: http.url, http.connect, http.tls, http.truncated, http.insecure, http.redirect, http.status,
// http.rate_limited, core.limit, core.cancelled, core.deadline_exceeded; details http.status, http.url
// (no query), http.host, retry_after_ms.
//
// Threads: a Transport is [shared]; each call works on the calling thread and makes none. Hostile
// input: headers and bodies are bounded by http_header_bytes, the sink and http_stall_ms; a server can
// cost us its own bytes and the deadline, nothing else.
#ifndef COAMING_BASE_HTTP_TRANSPORT_H_
#define COAMING_BASE_HTTP_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/headers.h"
#include "base/http/url.h"
#include "base/stream/stream.h"

namespace coaming::base {

// Trust and identity for TLS connections. A value, shared between requests.
struct TlsOptions {
  std::string ca_pem;       // certificates that count as roots, as PEM text
  std::string ca_file;      // or in a file of the host
  std::string ca_dir;       // or in a directory
  bool only_these = false;  // the system's own roots do not count
  std::string client_certificate_pem, client_key_pem;    // both or none
  std::string client_certificate_file, client_key_file;  // instead of the PEM
  bool insecure_skip_verify = false;  // any certificate will do: only when the user said so
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // user info in it becomes basic authentication for its origin
  HttpHeaders headers;
  HttpHeaders secret_headers;  // sent to the URL's origin only, as Authorization always is
  // Body: bytes, or a source that can be opened again for a retry or a redirect.
  std::string body;
  std::function<absl::StatusOr<std::unique_ptr<Reader>>()> open_body;
  int64_t body_size = -1;  // of open_body; -1: chunked

  bool allow_http = false;  // plain http may be used, also after a redirect
  bool follow_redirects = true;
  bool idempotent = false;  // may be retried although the method says no
  bool immutable = false;   // the URL names its content: continue without an ETag
  int max_retries = -1;     // -1: http_retries of the op's limits
  int64_t max_retry_after_ms = 30'000;
  int64_t max_body = -1;  // -1: blob_bytes of the op's limits
  // Start in the middle (a partial file from an earlier try): Range and If-Range are sent.
  int64_t offset = 0;
  std::string if_range;  // the ETag of the earlier answer; "" with immutable: none needed
  std::shared_ptr<const TlsOptions> tls;  // null: the transport's own
  std::string progress_kind;  // "" is silent; "download": events about the body by the op
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string url;     // of the last hop, without user info; may hold a query: do not show it
  std::string method;  // of the last hop
  int64_t content_length = -1;  // of this answer's body
  // Where the body's first byte belongs: `offset` of the request if the server could continue (206),
  // 0 if it sends the whole.
  int64_t offset = 0;
  int64_t total = -1;      // size of the whole, if known
  std::string error_body;  // first 64 KiB when the status is not 200..299
  int redirects = 0;
  int attempts = 1;
  bool tls = false;  // the last hop was https with a verified certificate
  std::string remote_address;

  bool ok() const { return status >= 200 && status < 300; }
};

// CheckHttpStatus is OK for 200..299; otherwise http.not_found (404, 410), http.unauthorized (401),
// http.forbidden (403), http.rate_limited (429), http.status; it names method and URL (no query).
absl::Status CheckHttpStatus(const HttpRequest& request, const HttpResponse& response);

// HttpStream is an answer whose body is pulled. It borrows the op and the transport for its life.
class HttpStream : public Reader {
 public:
  // The head of the answer; stays the same for the life of the stream.
  virtual const HttpResponse& response() const = 0;
};

// BodySink takes the body of a 200..299 answer.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Begin comes before the first byte: what follows belongs at response.offset (0: drop what an
  // earlier try left behind).
  virtual absl::Status Begin(const HttpResponse& response) { return absl::OkStatus(); }
  virtual absl::Status Write(std::string_view bytes) = 0;
};

// StringSink keeps the body; WriterSink hands it to a Writer that has nothing from earlier.
class StringSink final : public BodySink {
 public:
  explicit StringSink(std::string* out) : out_(out) {}
  absl::Status Begin(const HttpResponse& response) override;
  absl::Status Write(std::string_view bytes) override;

 private:
  std::string* out_;
};
class WriterSink final : public BodySink {
 public:
  explicit WriterSink(Writer* out) : out_(out) {}
  absl::Status Write(std::string_view bytes) override { return out_->Write(bytes); }

 private:
  Writer* out_;
};

// One of several downloads of FetchAll.
struct FetchJob {
  HttpRequest request;
  BodySink* sink = nullptr;        // borrowed; null drops the body
  const Cancel* cancel = nullptr;  // of this job alone, besides the op's
  absl::StatusOr<HttpResponse> result = absl::InternalError("not run");  // out
};

class HttpSession;

class Transport {
 public:
  virtual ~Transport() = default;

  // Open sends the request and returns when the head of the final answer is here.
  absl::StatusOr<std::unique_ptr<HttpStream>> Open(const Op& op, const HttpRequest& request);
  // Fetch is Open, with the body pushed into `sink` (null: dropped) to its end.
  absl::StatusOr<HttpResponse> Fetch(const Op& op, const HttpRequest& request, BodySink* sink);
  // FetchBytes wants a 200..299 answer and gives its body; more than `max`: core.limit.
  absl::StatusOr<std::string> FetchBytes(const Op& op, const HttpRequest& request, int64_t max,
                                         std::string_view limit_name);
  // FetchAll runs the jobs side by side on this thread, parallel_downloads at a time, each to its own
  // result. The status tells only of the op itself (cancelled, deadline, a listener's stop); the jobs
  // not done by then have the same error. With `stop_on_error` the first failure ends the others.
  absl::Status FetchAll(const Op& op, std::span<FetchJob> jobs, bool stop_on_error = false);

  // NewSession makes what moves the bytes of some exchanges on one thread (exchange.h). For those who
  // write a transport.
  virtual absl::StatusOr<std::unique_ptr<HttpSession>> NewSession() = 0;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_TRANSPORT_H_
