// HttpSession and HttpExchange are what a transport has to bring: one request and its answer, no
// redirects, no retries, no judgement of the status. Those who only fetch need transport.h alone.
//
// A session holds any number of exchanges and drives them together on the thread that calls it.
// Threads: [single].
#ifndef COAMING_BASE_HTTP_EXCHANGE_H_
#define COAMING_BASE_HTTP_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/headers.h"
#include "base/http/transport.h"
#include "base/http/url.h"
#include "base/stream/stream.h"

namespace coaming::base {

// One hop, with everything decided.
struct ExchangeRequest {
  std::string method;
  Url url;                // without user info
  HttpHeaders headers;    // all that is sent, besides Host, Content-Length, Transfer-Encoding
  std::string_view body;  // borrowed for the exchange's life
  Reader* body_reader = nullptr;  // or this
  int64_t body_size = -1;         // of body_reader; -1: chunked
  bool has_body = false;
  std::shared_ptr<const TlsOptions> tls;
};

struct ExchangeHead {
  int status = 0;
  HttpHeaders headers;
  int64_t content_length = -1;
  bool tls = false;
  std::string remote_address;
};

class HttpExchange {
 public:
  virtual ~HttpExchange() = default;  // gives the exchange up, whatever its state
  // The head of the final (not 1xx) answer, or null while it has not come.
  virtual const ExchangeHead* head() const = 0;
  // Take moves body bytes that are here into `out`; 0: none now.
  virtual size_t Take(std::span<char> out) = 0;
  // Moved counts the body bytes sent and received so far: as long as it grows the peer is alive.
  virtual int64_t moved() const = 0;
  // Done: the answer is whole (Take may still have bytes) or failed.
  virtual bool done() const = 0;
  // The failure, once done: http.connect, http.tls, http.truncated, core.limit. OK if whole.
  virtual absl::Status status() const = 0;
};

class HttpSession {
 public:
  virtual ~HttpSession() = default;
  // Start begins an exchange; it moves only inside Drive. The session must outlive it.
  virtual absl::StatusOr<std::unique_ptr<HttpExchange>> Start(const Op& op,
                                                              ExchangeRequest request) = 0;
  // Drive moves what can be moved and, if nothing could, waits for news, a fired cancel (also of
  // `more_cancels`), the op's deadline or `max_wait_ms` (-1: no bound). OK in all these cases: the
  // caller looks. With no exchange it only waits, which is how a pause between retries is made.
  virtual absl::Status Drive(const Op& op, int max_wait_ms,
                             std::span<const Cancel* const> more_cancels) = 0;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_EXCHANGE_H_
