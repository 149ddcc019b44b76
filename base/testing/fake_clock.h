// FakeClock stands still until told: expiry and back-off without sleeping. Threads: [shared].
#ifndef COAMING_BASE_TESTING_FAKE_CLOCK_H_
#define COAMING_BASE_TESTING_FAKE_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/core/clock.h"

namespace coaming::base::testing {

class FakeClock : public Clock {
 public:
  // Starts at `rfc3339` and monotonic 1 s.
  explicit FakeClock(std::string_view rfc3339 = "2026-01-02T03:04:05Z");
  int64_t MonotonicNs() const override { return monotonic_.load(); }
  int64_t RealtimeNs() const override { return realtime_.load(); }
  void AdvanceMs(int64_t ms) { AdvanceNs(ms * 1'000'000); }
  void AdvanceNs(int64_t ns) {
    monotonic_ += ns;
    realtime_ += ns;
  }
  void SetRealtime(std::string_view rfc3339);

 private:
  std::atomic<int64_t> monotonic_{1'000'000'000}, realtime_{0};
};

}  // namespace coaming::base::testing

#endif  // COAMING_BASE_TESTING_FAKE_CLOCK_H_
