#include "base/testing/memory_transport.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/http/exchange.h"

namespace coaming::base::testing {

class MemorySession;

namespace {

std::string KeyOf(std::string_view method, std::string_view url) {
  return absl::StrCat(method, " ", url);
}

// Applies Range and If-Range to a reply that knows how.
void ApplyRange(const MemoryRequest& request, MemoryReply* reply) {
  const std::string_view range = request.headers.Get("Range");
  if (!reply->ranges || reply->status != 200 || !absl::StartsWith(range, "bytes=")) return;
  const std::string_view tag = request.headers.Get("If-Range");
  if (!tag.empty() && tag != reply->headers.Get("ETag")) return;
  const std::string_view spec = range.substr(6);
  const size_t dash = spec.find('-');
  int64_t first = 0, last = static_cast<int64_t>(reply->body.size()) - 1;
  if (dash == std::string_view::npos || !absl::SimpleAtoi(spec.substr(0, dash), &first)) return;
  if (dash + 1 < spec.size()) {
    int64_t want = 0;
    if (!absl::SimpleAtoi(spec.substr(dash + 1), &want)) return;
    last = std::min(last, want);
  }
  const int64_t total = static_cast<int64_t>(reply->body.size());
  if (first >= total) {
    reply->status = 416;
    reply->headers.Set("Content-Range", absl::StrCat("bytes */", total));
    reply->body.clear();
    return;
  }
  reply->status = 206;
  reply->headers.Set("Content-Range", absl::StrCat("bytes ", first, "-", last, "/", total));
  reply->body =
      reply->body.substr(static_cast<size_t>(first), static_cast<size_t>(last - first + 1));
}

}  // namespace

class MemoryExchange final : public HttpExchange {
 public:
  MemoryExchange(MemorySession* session, MemoryRequest request, MemoryReply reply)
      : session_(session), request_(std::move(request)), reply_(std::move(reply)) {}
  ~MemoryExchange() override;

  const ExchangeHead* head() const override { return stage_ >= 1 ? &head_ : nullptr; }
  size_t Take(std::span<char> out) override {
    const size_t n = std::min(out.size(), ready_ - taken_);
    memcpy(out.data(), reply_.body.data() + taken_, n);
    taken_ += n;
    return n;
  }
  int64_t moved() const override { return static_cast<int64_t>(ready_); }
  bool done() const override { return done_; }
  absl::Status status() const override { return status_; }

  // One step of what the peer does; false if nothing more comes.
  bool Advance() {
    if (done_) return false;
    if (!reply_.fail_reason.empty()) {
      status_ = Fail(reply_.fail_reason)
                << request_.method << " " << UrlForMessage(request_.url) << ": scripted failure";
      done_ = true;
      return true;
    }
    const size_t end = reply_.cut_after >= 0
                           ? std::min(reply_.body.size(), static_cast<size_t>(reply_.cut_after))
                           : reply_.body.size();
    if (stage_ == 0) {
      if (reply_.stall && reply_.cut_after < 0) return false;
      head_.status = reply_.status;
      head_.headers = reply_.headers;
      head_.tls = absl::StartsWith(request_.url, "https:");
      head_.remote_address = "192.0.2.1";
      if (reply_.send_length) {
        head_.content_length = static_cast<int64_t>(reply_.body.size());
        head_.headers.Set("Content-Length", absl::StrCat(reply_.body.size()));
      }
      if (request_.method == "HEAD") reply_.body.clear();
      stage_ = 1;
      return true;
    }
    if (ready_ < std::min(end, reply_.body.size())) {
      ready_ = std::min(std::min(end, reply_.body.size()), ready_ + reply_.block);
      return true;
    }
    if (reply_.stall) return false;
    done_ = true;
    if (reply_.cut_after >= 0 && reply_.cut_after < static_cast<int64_t>(reply_.body.size())) {
      status_ = Fail("http.truncated") << request_.method << " " << UrlForMessage(request_.url)
                                       << ": scripted end after " << reply_.cut_after << " bytes";
    }
    return true;
  }

 private:
  MemorySession* session_;
  MemoryRequest request_;
  MemoryReply reply_;
  ExchangeHead head_;
  int stage_ = 0;
  size_t ready_ = 0, taken_ = 0;
  bool done_ = false;
  absl::Status status_;
};

class MemorySession final : public HttpSession {
 public:
  explicit MemorySession(MemoryTransport* transport) : transport_(transport) {}

  absl::StatusOr<std::unique_ptr<HttpExchange>> Start(const Op& op,
                                                      ExchangeRequest request) override {
    MemoryRequest r;
    r.method = request.method;
    r.url = request.url.str();
    r.headers = request.headers;
    r.body = request.body;
    if (request.body_reader != nullptr) {
      char block[4096];
      for (;;) {
        COAM_ASSIGN_OR_RETURN(size_t n, request.body_reader->Read(block));
        if (n == 0) break;
        r.body.append(block, n);
      }
    }
    MemoryReply reply = transport_->Answer(r);
    ApplyRange(r, &reply);
    auto exchange = std::make_unique<MemoryExchange>(this, std::move(r), std::move(reply));
    exchanges_.push_back(exchange.get());
    Count(1);
    return exchange;
  }

  absl::Status Drive(const Op& op, int max_wait_ms,
                     std::span<const Cancel* const> more_cancels) override {
    bool moved = false;
    for (MemoryExchange* e : exchanges_) moved |= e->Advance();
    if (moved) return absl::OkStatus();
    int64_t ms = max_wait_ms;
    const int left = op.deadline().PollMs(-1, op.clock());
    if (left >= 0 && (ms < 0 || left < ms)) ms = left;
    if (ms < 0) {
      // A peer that stalls for ever, and nobody with a clock: only a cancel could end this.
      return WaitFd(op, -1, 0);
    }
    std::lock_guard<std::mutex> lock(transport_->mu_);
    transport_->waited_ms_ += ms;
    if (transport_->clock_ != nullptr) transport_->clock_->AdvanceMs(std::max<int64_t>(ms, 1));
    return absl::OkStatus();
  }

  void Forget(MemoryExchange* e) {
    if (std::erase(exchanges_, e) > 0) Count(-1);
  }

 private:
  void Count(int by) {
    std::lock_guard<std::mutex> lock(transport_->mu_);
    transport_->parallel_ += by;
    transport_->max_parallel_ = std::max(transport_->max_parallel_, transport_->parallel_);
  }
  MemoryTransport* transport_;
  std::vector<MemoryExchange*> exchanges_;
};

MemoryExchange::~MemoryExchange() { session_->Forget(this); }

MemoryReplyBuilder MemoryTransport::On(std::string_view method, std::string_view url) {
  std::lock_guard<std::mutex> lock(mu_);
  auto& queue = script_[KeyOf(method, url)];
  queue.push_back(std::make_unique<MemoryReply>());
  return MemoryReplyBuilder(queue.back().get());
}

void MemoryTransport::Handle(
    std::function<std::optional<MemoryReply>(const MemoryRequest&)> handler) {
  std::lock_guard<std::mutex> lock(mu_);
  handler_ = std::move(handler);
}

std::vector<MemoryRequest> MemoryTransport::requests() const {
  std::lock_guard<std::mutex> lock(mu_);
  return requests_;
}

int MemoryTransport::CountOf(std::string_view url) const {
  std::lock_guard<std::mutex> lock(mu_);
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(),
                                        [&](const MemoryRequest& r) { return r.url == url; }));
}

MemoryReply MemoryTransport::Answer(const MemoryRequest& request) {
  std::lock_guard<std::mutex> lock(mu_);
  requests_.push_back(request);
  auto it = script_.find(KeyOf(request.method, request.url));
  if (it == script_.end() && request.method == "HEAD") it = script_.find(KeyOf("GET", request.url));
  if (it != script_.end() && !it->second.empty()) {
    MemoryReply reply = *it->second.front();
    if (it->second.size() > 1) it->second.pop_front();
    return reply;
  }
  if (handler_) {
    if (std::optional<MemoryReply> reply = handler_(request); reply.has_value()) return *reply;
  }
  MemoryReply none;
  none.status = 404;
  none.body = "not scripted";
  return none;
}

absl::StatusOr<std::unique_ptr<HttpSession>> MemoryTransport::NewSession() {
  return std::make_unique<MemorySession>(this);
}

}  // namespace coaming::base::testing
