#include "base/core/clock.h"

#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

TEST_CASE("clock: RFC 3339 times round-trip", "[base][core]") {
  for (const char* text : {"1970-01-01T00:00:00Z", "2026-11-25T02:15:57Z", "1969-12-31T23:59:59.5Z",
                           "2000-02-29T12:00:00.000000001Z", "2262-01-01T00:00:00Z"}) {
    INFO(text);
    const auto ns = ParseRfc3339(text);
    REQUIRE(ns.has_value());
    CHECK(FormatRfc3339(*ns) == text);
  }
  CHECK(ParseRfc3339("2026-11-25T02:15:57Z") == 1795572957LL * 1000000000);
}

TEST_CASE("clock: offsets are applied", "[base][core]") {
  CHECK(ParseRfc3339("1970-01-01T01:00:00+01:00") == 0);
  CHECK(ParseRfc3339("1969-12-31t19:00:00-05:00") == 0);
}

TEST_CASE("clock: malformed times are refused", "[base][core]") {
  for (const char* text : {"", "2026", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
                           "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
                           "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "2026-1-01T00:00:00Z",
                           "9999-12-31T23:59:59Z", "2026-01-01T00:00:00+0100"}) {
    INFO(text);
    CHECK_FALSE(ParseRfc3339(text).has_value());
  }
}

class Fixed : public Clock {
 public:
  int64_t MonotonicNs() const override { return now; }
  int64_t RealtimeNs() const override { return now; }
  int64_t now = 1'000'000'000;
};

TEST_CASE("deadline: what is left is rounded up and capped", "[base][core]") {
  Fixed clock;
  const Deadline deadline = Deadline::AfterMs(5, clock);
  CHECK(deadline.PollMs(-1, clock) == 5);
  clock.now += 4'000'001;
  CHECK(deadline.PollMs(-1, clock) == 1);
  CHECK(deadline.PollMs(0, clock) == 0);
  CHECK_FALSE(deadline.Passed(clock));
  clock.now += 1'000'000;
  CHECK(deadline.Passed(clock));
  CHECK(deadline.PollMs(-1, clock) == 0);
  CHECK(Deadline().PollMs(-1, clock) == -1);
  CHECK(Deadline::AfterMs(INT64_MAX / 2, clock).never());
}

}  // namespace
}  // namespace coaming::base
