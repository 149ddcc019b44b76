// MemoryTransport answers requests from a script, with faults: no socket, no thread, no time passing
// but the fake clock's.
//
//   MemoryTransport t;
//   t.On("GET", "https://r.example/v2/").Reply(401).Header("WWW-Authenticate", "Basic realm=\"x\"");
//   t.On("GET", "https://r.example/v2/").Reply(200).Body("{}");      // the second time
//   t.On("GET", "https://r.example/blob").Body(bytes).CutAfter(1000);  // breaks off, then:
//   t.On("GET", "https://r.example/blob").Body(bytes).Ranges();        // answers Range with 206
//   t.Handle([](const MemoryRequest& r) -> std::optional<MemoryReply> {...});  // anything else
//
// Replies for one method and URL are used up in order; the last one stays. Requests are kept for
// assertions. Threads: [shared].
#ifndef COAMING_BASE_TESTING_MEMORY_TRANSPORT_H_
#define COAMING_BASE_TESTING_MEMORY_TRANSPORT_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/transport.h"
#include "base/testing/fake_clock.h"

namespace coaming::base::testing {

struct MemoryRequest {
  std::string method, url, body;
  HttpHeaders headers;
};

struct MemoryReply {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  int64_t cut_after = -1;   // break the connection after so many body bytes
  bool stall = false;       // nothing more after `cut_after` bytes: waits until cancel or deadline
  bool ranges = false;      // answer Range (and If-Range against the ETag header)
  std::string fail_reason;  // instead of an answer: "http.connect", "http.tls"
  size_t block = 16 << 10;  // bytes per step
  bool send_length = true;
};

class MemoryReplyBuilder {
 public:
  explicit MemoryReplyBuilder(MemoryReply* reply) : r_(reply) {}
  MemoryReplyBuilder& Reply(int status) {
    r_->status = status;
    return *this;
  }
  MemoryReplyBuilder& Header(std::string_view n, std::string_view v) {
    r_->headers.Add(n, v);
    return *this;
  }
  MemoryReplyBuilder& Body(std::string_view b) {
    r_->body = b;
    return *this;
  }
  MemoryReplyBuilder& Redirect(int status, std::string_view to) {
    r_->status = status;
    r_->headers.Set("Location", to);
    return *this;
  }
  MemoryReplyBuilder& CutAfter(int64_t n) {
    r_->cut_after = n;
    return *this;
  }
  MemoryReplyBuilder& StallAfter(int64_t n) {
    r_->cut_after = n;
    r_->stall = true;
    return *this;
  }
  MemoryReplyBuilder& Ranges() {
    r_->ranges = true;
    return *this;
  }
  MemoryReplyBuilder& FailWith(std::string_view reason) {
    r_->fail_reason = reason;
    return *this;
  }
  MemoryReplyBuilder& Block(size_t n) {
    r_->block = n;
    return *this;
  }
  MemoryReplyBuilder& NoLength() {
    r_->send_length = false;
    return *this;
  }

 private:
  MemoryReply* r_;
};

class MemoryTransport : public Transport {
 public:
  // With a clock, waiting (back-off) advances it; without, waiting returns at once.
  explicit MemoryTransport(FakeClock* clock = nullptr) : clock_(clock) {}

  // On adds a reply for `method` and `url` (whole, with query, in normal form).
  MemoryReplyBuilder On(std::string_view method, std::string_view url);
  // Handle answers what On does not; nullopt: 404.
  void Handle(std::function<std::optional<MemoryReply>(const MemoryRequest&)> handler);

  std::vector<MemoryRequest> requests() const;
  // Count of requests for the URL (any method).
  int CountOf(std::string_view url) const;
  int64_t waited_ms() const { return waited_ms_; }
  int max_parallel() const { return max_parallel_; }

  absl::StatusOr<std::unique_ptr<HttpSession>> NewSession() override;

 private:
  friend class MemorySession;
  MemoryReply Answer(const MemoryRequest& request);

  FakeClock* clock_;
  mutable std::mutex mu_;
  std::map<std::string, std::deque<std::unique_ptr<MemoryReply>>> script_;
  std::function<std::optional<MemoryReply>(const MemoryRequest&)> handler_;
  std::vector<MemoryRequest> requests_;
  int64_t waited_ms_ = 0;
  int parallel_ = 0, max_parallel_ = 0;
};

}  // namespace coaming::base::testing

#endif  // COAMING_BASE_TESTING_MEMORY_TRANSPORT_H_
