#include "base/http/flow.h"

#include <sys/random.h>

#include <algorithm>
#include <climits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base::internal {
namespace {

constexpr size_t kErrorBody = 64 << 10;
constexpr int64_t kFirstPauseMs = 250, kLongestPauseMs = 8000;
constexpr int64_t kGoodProgress = 1 << 20;  // after so many bytes a broken body counts as new

bool Redirecting(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}
bool WorthRetry(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}
bool Secret(std::string_view name) {
  return absl::EqualsIgnoreCase(name, "Authorization") || absl::EqualsIgnoreCase(name, "Cookie") ||
         absl::EqualsIgnoreCase(name, "Proxy-Authorization");
}
// Made by the transport; a second one would contradict it.
bool OfTransport(std::string_view name) {
  return absl::EqualsIgnoreCase(name, "Host") || absl::EqualsIgnoreCase(name, "Content-Length") ||
         absl::EqualsIgnoreCase(name, "Transfer-Encoding") ||
         absl::EqualsIgnoreCase(name, "Connection") || absl::EqualsIgnoreCase(name, "Expect");
}

int64_t RandomBelow(int64_t n) {
  uint64_t r = 0;
  if (n <= 1 || getrandom(&r, sizeof r, 0) != static_cast<ssize_t>(sizeof r)) return n / 2;
  return static_cast<int64_t>(r % static_cast<uint64_t>(n));
}

std::string StrongEtag(const HttpHeaders& headers) {
  const std::string_view etag = headers.Get("ETag");
  return etag.size() >= 2 && etag.front() == '"' ? std::string(etag) : "";
}

}  // namespace

absl::Status Flow::Begin() {
  COAM_ASSIGN_OR_RETURN(first_, Url::Parse(request_.url));
  if (!first_.userinfo().empty()) {
    const size_t colon = first_.userinfo().find(':');
    COAM_ASSIGN_OR_RETURN(std::string user, PercentDecode(first_.userinfo().substr(0, colon)));
    COAM_ASSIGN_OR_RETURN(
        std::string password,
        PercentDecode(colon == std::string::npos
                          ? std::string_view()
                          : std::string_view(first_.userinfo()).substr(colon + 1)));
    basic_ = BasicAuthorization(user, password);
    first_ = first_.WithoutUserinfo();
  }
  if (!IsHeaderName(request_.method)) {
    return base::Fail("core.invalid_argument")
           << "\"" << request_.method << "\" is not an HTTP method";
  }
  for (const auto* list : {&request_.headers, &request_.secret_headers}) {
    for (const auto& [name, value] : list->list()) {
      if (!IsHeaderName(name) || !IsHeaderValue(value)) {
        return base::Fail("core.invalid_argument")
               << "header " << (IsHeaderName(name) ? name : "with a malformed name") << " for "
               << first_.ForMessage() << " cannot be sent";
      }
    }
  }
  if (request_.offset < 0) return base::Fail("core.invalid_argument") << "negative offset";
  if (!IsHeaderValue(request_.if_range)) {
    return base::Fail("core.invalid_argument") << "malformed if_range";
  }
  url_ = first_;
  method_ = request_.method;
  with_body_ = !request_.body.empty() || request_.open_body != nullptr || method_ == "POST" ||
               method_ == "PUT" || method_ == "PATCH";
  retries_left_ = request_.max_retries >= 0 ? request_.max_retries
                                            : static_cast<int>(op_.limits().http_retries);
  max_body_ = request_.max_body >= 0 ? request_.max_body : op_.limits().blob_bytes;
  if (!url_.https() && !request_.allow_http) {
    return base::Fail("http.insecure").Detail("http.host", url_.HostPort())
           << Shown() << " is plain http";
  }
  return absl::OkStatus();
}

void Flow::End(absl::Status status) {
  if (ended_) return;
  if (status.ok() && meter_.has_value()) status = meter_->Finish();
  status_ = std::move(status);
  ended_ = true;
  exchange_.reset();
  body_reader_.reset();
}

absl::Status Flow::StartAttempt(HttpSession& session) {
  ExchangeRequest e;
  e.method = method_;
  e.url = url_;
  e.tls = request_.tls;
  const bool home = url_.SameOrigin(first_);
  for (const auto& [name, value] : request_.headers.list()) {
    if (OfTransport(name) || (!home && Secret(name))) continue;
    if (!with_body_ && (absl::EqualsIgnoreCase(name, "Content-Type") ||
                        absl::EqualsIgnoreCase(name, "Content-Range"))) {
      continue;
    }
    e.headers.Add(name, value);
  }
  if (home) {
    for (const auto& [name, value] : request_.secret_headers.list()) e.headers.Add(name, value);
    if (!basic_.empty() && !e.headers.Has("Authorization")) e.headers.Add("Authorization", basic_);
  }
  if (const int64_t position = Position(); position > 0 && !no_range_) {
    e.headers.Set("Range", absl::StrCat("bytes=", position, "-"));
    const std::string& tag = has_head_ ? etag_ : request_.if_range;
    if (!tag.empty()) e.headers.Set("If-Range", tag);
  }
  if (with_body_) {
    e.has_body = true;
    e.body = request_.body;
    if (request_.open_body != nullptr) {
      COAM_ASSIGN_OR_RETURN(body_reader_, request_.open_body());
      e.body_reader = body_reader_.get();
      e.body_size = request_.body_size;
    }
  }
  ++attempts_;
  idle_ns_ = 0;
  last_moved_ = -1;
  since_retry_ = 0;
  COAM_ASSIGN_OR_RETURN(exchange_, session.Start(op_, std::move(e)));
  return absl::OkStatus();
}

bool Flow::Step(HttpSession& session) {
  if (ended_) return false;
  if (absl::Status s = op_.Check(); !s.ok()) {
    End(Wrap(s, Shown()));
    return true;
  }
  switch (state_) {
    case State::kPause:
      if (op_.clock().MonotonicNs() < pause_until_ns_) return false;
      state_ = State::kReady;
      [[fallthrough]];
    case State::kReady:
      if (absl::Status s = StartAttempt(session); !s.ok()) {
        End(std::move(s));
      } else {
        state_ = State::kHead;
      }
      return true;
    case State::kHead:
      if (const ExchangeHead* head = exchange_->head(); head != nullptr) {
        OnHead(*head);
        return true;
      }
      if (exchange_->done()) {
        OnFailure(exchange_->status());
        return true;
      }
      break;
    case State::kErrorBody: {
      char block[16 << 10];
      bool some = false;
      for (;;) {
        const size_t n = exchange_->Take(block);
        if (n == 0) break;
        some = true;
        response_.error_body.append(block, std::min(n, kErrorBody - response_.error_body.size()));
      }
      if (exchange_->done() || response_.error_body.size() >= kErrorBody) {
        has_head_ = true;  // a body that broke off is good enough to explain an error
        End(absl::OkStatus());
        return true;
      }
      if (some) return true;
      break;
    }
    case State::kBody:
      // Bytes are moved by Take; here only the end is noticed.
      if (exchange_->done() && !exchange_->status().ok()) {
        // What has arrived is taken first.
        return false;
      }
      break;
  }
  if (idle_ns_ >= op_.limits().http_stall_ms * 1'000'000) {
    OnFailure(base::Fail("http.truncated").Detail("http.host", url_.HostPort())
              << method_ << " " << Shown() << ": nothing came for " << op_.limits().http_stall_ms
              << " ms");
    return true;
  }
  return false;
}

size_t Flow::Take(std::span<char> out) {
  while (!ended_ && state_ == State::kBody) {
    const size_t n = exchange_->Take(out);
    if (n == 0) {
      if (!exchange_->done()) return 0;
      if (absl::Status s = exchange_->status(); !s.ok()) {
        OnFailure(s);
      } else if (expect_ >= 0 && taken_ != expect_) {
        OnFailure(base::Fail("http.truncated")
                  << Shown() << ": " << taken_ << " of " << expect_ << " bytes came");
      } else {
        End(absl::OkStatus());
      }
      return 0;
    }
    size_t fresh = n;
    if (skip_ > 0) {
      const size_t old = static_cast<size_t>(std::min<int64_t>(skip_, static_cast<int64_t>(n)));
      skip_ -= static_cast<int64_t>(old);
      fresh = n - old;
      std::copy(out.begin() + static_cast<ptrdiff_t>(old), out.begin() + static_cast<ptrdiff_t>(n),
                out.begin());
      if (fresh == 0) continue;
    }
    taken_ += static_cast<int64_t>(fresh);
    since_retry_ += static_cast<int64_t>(fresh);
    if (response_.offset + taken_ > max_body_) {
      End(FailLimit("blob_bytes", max_body_) << Shown() << ": the answer is longer");
      return 0;
    }
    if (expect_ >= 0 && taken_ > expect_) {
      End(base::Fail("http.truncated") << Shown() << ": more bytes came than were promised");
      return 0;
    }
    if (meter_.has_value()) {
      if (absl::Status s = meter_->Advance(response_.offset + taken_); !s.ok()) {
        End(std::move(s));
        return 0;
      }
    }
    return fresh;
  }
  return 0;
}

bool Flow::MayRetry() const {
  if (retries_left_ <= 0) return false;
  return request_.idempotent || method_ == "GET" || method_ == "HEAD" || method_ == "OPTIONS";
}

bool Flow::MayContinue() const {
  return retries_left_ > 0 && method_ == "GET" && (request_.immutable || !etag_.empty());
}

void Flow::Pause(int64_t ms) {
  exchange_.reset();
  body_reader_.reset();
  pause_until_ns_ = op_.clock().MonotonicNs() + ms * 1'000'000;
  state_ = State::kPause;
}

// A connection broke, or never came to an answer.
void Flow::OnFailure(const absl::Status& why) {
  if (has_head_ && since_retry_ >= kGoodProgress) {
    retries_done_ = 0;
    retries_left_ = request_.max_retries >= 0 ? request_.max_retries
                                              : static_cast<int>(op_.limits().http_retries);
  }
  const bool again = HasReason(why, "http.truncated") && (has_head_ ? MayContinue() : MayRetry());
  if (!again) {
    Error error = GetError(why);
    if (has_head_ && taken_ > 0) {
      error.details.emplace_back("http.received", absl::StrCat(response_.offset + taken_));
    }
    End(ToStatus(error));
    return;
  }
  --retries_left_;
  const int64_t cap = std::min(kLongestPauseMs, kFirstPauseMs << std::min(retries_done_, 10));
  ++retries_done_;
  Log(op_.log(), LogLevel::kInfo, "http", "a connection broke; trying again",
      {{"url", Shown()}, {"reason", GetError(why).message}});
  Pause(cap / 2 + RandomBelow(cap / 2 + 1));
}

void Flow::OnHead(const ExchangeHead& head) {
  if (Redirecting(head.status) && request_.follow_redirects && head.headers.Has("Location")) {
    if (!Redirect(head)) return;
    exchange_.reset();
    body_reader_.reset();
    state_ = State::kReady;
    return;
  }
  if (WorthRetry(head.status) && RetryStatus(head)) return;
  if (has_head_) {
    ContinuedAnswer(head);
  } else {
    FirstAnswer(head);
  }
}

// False if the flow has ended.
bool Flow::Redirect(const ExchangeHead& head) {
  const auto refuse = [&](std::string_view reason, const std::string& why) {
    End(base::Fail(reason).Detail("http.status", head.status).Detail("http.url", Shown())
        << method_ << " " << Shown() << ": " << why);
    return false;
  };
  if (++redirects_ > op_.limits().http_redirects) {
    return refuse("http.redirect",
                  absl::StrCat("more than ", op_.limits().http_redirects, " redirects"));
  }
  absl::StatusOr<Url> to = url_.Resolve(head.headers.Get("Location"));
  if (!to.ok()) {
    return refuse("http.redirect",
                  absl::StrCat("the redirect leads nowhere: ", GetError(to.status()).message));
  }
  if (!to->https() && !request_.allow_http) {
    return refuse("http.insecure",
                  absl::StrCat("the redirect leads to plain http: ", to->ForMessage()));
  }
  url_ = to->WithoutUserinfo();  // a redirect brings no credentials of its own
  const bool to_get = head.status == 303
                          ? method_ != "HEAD"
                          : (head.status == 301 || head.status == 302) && method_ == "POST";
  if (to_get) {
    method_ = "GET";
    with_body_ = false;
  }
  return true;
}

// True if the answer is not taken: another attempt follows.
bool Flow::RetryStatus(const ExchangeHead& head) {
  if (has_head_ ? !MayContinue() : !MayRetry()) return false;
  int64_t cap = std::min(kLongestPauseMs, kFirstPauseMs << std::min(retries_done_, 10));
  int64_t ms = cap / 2 + RandomBelow(cap / 2 + 1);
  if (const auto after = RetryAfterMs(head.headers, op_.clock()); after.has_value()) {
    if (*after > request_.max_retry_after_ms) return false;
    ms = std::max(ms, *after);
  }
  --retries_left_;
  ++retries_done_;
  Log(op_.log(), LogLevel::kInfo, "http", "the server asks to come back",
      {{"url", Shown()}, {"status", absl::StrCat(head.status)}});
  Pause(ms);
  return true;
}

void Flow::FirstAnswer(const ExchangeHead& head) {
  response_.status = head.status;
  response_.headers = head.headers;
  response_.url = url_.str();
  response_.method = method_;
  response_.content_length = head.content_length;
  response_.redirects = redirects_;
  response_.attempts = attempts_;
  response_.tls = head.tls;
  response_.remote_address = head.remote_address;
  response_.offset = 0;
  response_.total = head.content_length;

  const bool ranged = request_.offset > 0 && !no_range_;
  if (ranged && (head.status == 206 || head.status == 416)) {
    const auto range = ParseContentRange(head.headers.Get("Content-Range"));
    if (head.status == 416 && range.has_value() && range->total == request_.offset) {
      // Everything was there already.
      response_.status = 206;
      response_.offset = response_.total = request_.offset;
      response_.content_length = 0;
      has_head_ = true;
      End(absl::OkStatus());
      return;
    }
    if (head.status == 416 || !range.has_value() || range->first != request_.offset) {
      no_range_ = true;  // nonsense, or our part is too long: ask for the whole
      Pause(0);
      return;
    }
    response_.offset = request_.offset;
    response_.total = range->total;
  }
  if (!response_.ok()) {
    state_ = State::kErrorBody;
    return;
  }
  etag_ = StrongEtag(head.headers);
  expect_ = method_ == "HEAD" || head.status == 204 ? 0 : head.content_length;
  if (head.content_length >= 0 && method_ != "HEAD" &&
      response_.offset + head.content_length > max_body_) {
    End(FailLimit("blob_bytes", max_body_) << Shown() << ": the answer is longer");
    return;
  }
  has_head_ = true;
  state_ = State::kBody;
  if (!request_.progress_kind.empty() && method_ != "HEAD") {
    meter_.emplace(op_, request_.progress_kind, Shown(), response_.total, "bytes");
    if (absl::Status s = meter_->Start(); !s.ok()) End(std::move(s));
  }
}

// The rest of a body that broke off.
void Flow::ContinuedAnswer(const ExchangeHead& head) {
  const auto broken = [&](std::string_view why) {
    End(base::Fail("http.truncated")
            .Detail("http.status", head.status)
            .Detail("http.received", Position())
        << Shown() << ": the answer broke off and cannot be continued: " << why);
  };
  const std::string etag = StrongEtag(head.headers);
  const bool same = request_.immutable ? (etag_.empty() || etag.empty() || etag == etag_)
                                       : !etag.empty() && etag == etag_;
  response_.attempts = attempts_;
  if (head.status == 206) {
    const auto range = ParseContentRange(head.headers.Get("Content-Range"));
    if (!range.has_value() || range->first != Position()) return broken("another part came");
    if (response_.total >= 0 && range->total >= 0 && range->total != response_.total) {
      return broken("its size has changed");
    }
    if (!same && !etag.empty()) return broken("it has changed");
    skip_ = 0;
  } else if (head.status == 200) {
    if (!same) return broken("it has changed");
    if (response_.total >= 0 && head.content_length >= 0 &&
        head.content_length != response_.total) {
      return broken("its size has changed");
    }
    skip_ = Position();
  } else {
    return broken(absl::StrCat("status ", head.status));
  }
  state_ = State::kBody;
}

int Flow::WaitMs() const {
  if (ended_) return 0;
  int64_t ns = op_.limits().http_stall_ms * 1'000'000 - idle_ns_;
  if (state_ == State::kPause) ns = pause_until_ns_ - op_.clock().MonotonicNs();
  if (state_ == State::kReady) ns = 0;
  return static_cast<int>(std::clamp<int64_t>((ns + 999'999) / 1'000'000, 0, INT_MAX));
}

void Flow::Waited(int64_t ns) {
  if (exchange_ == nullptr) return;
  const int64_t moved = exchange_->moved();
  if (moved != last_moved_ || exchange_->done()) {
    last_moved_ = moved;
    idle_ns_ = 0;
  } else {
    idle_ns_ += ns;
  }
}

}  // namespace coaming::base::internal
