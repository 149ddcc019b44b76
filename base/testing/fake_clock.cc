#include "base/testing/fake_clock.h"

namespace coaming::base::testing {

FakeClock::FakeClock(std::string_view rfc3339) { SetRealtime(rfc3339); }

void FakeClock::SetRealtime(std::string_view rfc3339) {
  realtime_ = ParseRfc3339(rfc3339).value_or(0);
}

}  // namespace coaming::base::testing
