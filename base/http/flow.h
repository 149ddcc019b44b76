// Flow is one request on its way through redirects, retries and continued bodies. It never blocks: it
// is stepped, and whoever steps it drives the session between. Private to base/http.
#ifndef COAMING_BASE_HTTP_FLOW_H_
#define COAMING_BASE_HTTP_FLOW_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "base/http/exchange.h"
#include "base/http/transport.h"

namespace coaming::base::internal {

class Flow {
 public:
  // `request` is borrowed for the flow's life.
  Flow(const Op& op, const HttpRequest& request) : op_(op), request_(request) {}

  // Begin checks the request and starts nothing yet.
  absl::Status Begin();
  // Step goes on as far as it can without waiting. Progress: whether anything was done.
  bool Step(HttpSession& session);
  // The head of the final answer is known (also if the flow has ended by then).
  bool has_head() const { return has_head_; }
  const HttpResponse& response() const { return response_; }
  // Take moves body bytes out; 0: none now. Only after has_head.
  size_t Take(std::span<char> out);
  // Ended: failed, or all of the body was taken.
  bool ended() const { return ended_; }
  const absl::Status& status() const { return status_; }
  void Fail(absl::Status status) { End(std::move(status)); }

  // How long the session may be driven before this flow wants to be stepped; -1: no bound.
  int WaitMs() const;
  // Waited tells that the session was driven for so long.
  void Waited(int64_t ns);

 private:
  enum class State { kReady, kPause, kHead, kBody, kErrorBody };

  void End(absl::Status status);
  absl::Status StartAttempt(HttpSession& session);
  void OnHead(const ExchangeHead& head);
  bool Redirect(const ExchangeHead& head);
  bool RetryStatus(const ExchangeHead& head);
  void FirstAnswer(const ExchangeHead& head);
  void ContinuedAnswer(const ExchangeHead& head);
  void OnFailure(const absl::Status& why);
  void Pause(int64_t ms);
  bool MayRetry() const;
  bool MayContinue() const;
  int64_t Position() const { return has_head_ ? response_.offset + taken_ : request_.offset; }
  std::string Shown() const { return url_.ForMessage(); }

  const Op& op_;
  const HttpRequest& request_;
  State state_ = State::kReady;
  Url first_, url_;
  std::string method_, basic_;
  bool with_body_ = false;
  std::unique_ptr<Reader> body_reader_;
  std::unique_ptr<HttpExchange> exchange_;

  HttpResponse response_;
  bool has_head_ = false, ended_ = false;
  absl::Status status_;
  std::string etag_;         // strong, of the answer being taken
  int64_t taken_ = 0;        // body bytes handed out
  int64_t expect_ = -1;      // body bytes in all, if known
  int64_t skip_ = 0;         // bytes of a repeated answer that were handed out before
  int64_t since_retry_ = 0;  // bytes handed out since the last attempt began
  int64_t max_body_ = 0;
  bool no_range_ = false;  // the server answered a range with nonsense
  int retries_left_ = 0, retries_done_ = 0, redirects_ = 0, attempts_ = 0;
  int64_t pause_until_ns_ = 0;
  int64_t idle_ns_ = 0, last_moved_ = -1;
  std::optional<ProgressMeter> meter_;
};

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_HTTP_FLOW_H_
