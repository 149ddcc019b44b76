// Clock and Deadline: time as a parameter, so that expiry and time-outs can be tested.
#ifndef COAMING_BASE_CORE_CLOCK_H_
#define COAMING_BASE_CORE_CLOCK_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace coaming::base {

// Clock tells the time. Threads: [shared].
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t MonotonicNs() const = 0;  // CLOCK_MONOTONIC
  virtual int64_t RealtimeNs() const = 0;   // since 1970-01-01T00:00:00Z
};

// SystemClock is the machine's own; it lives for ever.
const Clock& SystemClock();

// Deadline is an absolute CLOCK_MONOTONIC time for one whole operation. A plain value.
class Deadline {
 public:
  constexpr Deadline() = default;  // never
  static constexpr Deadline AtNs(int64_t ns) {
    Deadline d;
    d.ns_ = ns;
    return d;
  }
  static Deadline AfterMs(int64_t ms, const Clock& clock = SystemClock());
  constexpr bool never() const { return ns_ == std::numeric_limits<int64_t>::max(); }
  constexpr int64_t ns() const { return ns_; }
  bool Passed(const Clock& clock = SystemClock()) const;
  // Milliseconds left for poll(2): -1 = for ever, 0 = passed, else rounded up, at most `cap_ms`
  // when that is not negative.
  int PollMs(int cap_ms = -1, const Clock& clock = SystemClock()) const;
  static constexpr Deadline Earlier(Deadline a, Deadline b) { return a.ns_ < b.ns_ ? a : b; }

 private:
  int64_t ns_ = std::numeric_limits<int64_t>::max();
};

// FormatRfc3339 writes "2026-11-25T02:15:57Z" (nanoseconds only if not zero), free of locale.
std::string FormatRfc3339(int64_t realtime_ns);
// ParseRfc3339 reads RFC 3339 section 5.6 strictly (offsets and fractions allowed) into
// nanoseconds since 1970; nullopt if malformed or out of int64 range.
std::optional<int64_t> ParseRfc3339(std::string_view text);

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_CLOCK_H_
