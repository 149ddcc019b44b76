#include "base/core/clock.h"

#include <ctime>

#include <algorithm>
#include <climits>

#include "absl/strings/str_cat.h"

namespace coaming::base {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t Now(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return t.tv_sec * kNsPerSecond + t.tv_nsec;
}

class System final : public Clock {
 public:
  constexpr System() = default;
  int64_t MonotonicNs() const override { return Now(CLOCK_MONOTONIC); }
  int64_t RealtimeNs() const override { return Now(CLOCK_REALTIME); }
};

// Days since 1970-01-01 of a proleptic Gregorian date, and back (Howard Hinnant's public algorithms).
int64_t DaysFromCivil(int64_t y, int m, int d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void CivilFromDays(int64_t z, int64_t* y, int* m, int* d) {
  z += 719468;
  const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const int64_t doe = z - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  *d = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  *m = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  *y = yoe + era * 400 + (*m <= 2);
}

std::string Padded(int64_t value, size_t width) {
  std::string text = absl::StrCat(value);
  return text.size() >= width ? text : std::string(width - text.size(), '0') + text;
}

// Takes exactly `width` digits; -1 if they are not there.
int TakeDigits(std::string_view* text, size_t width) {
  if (text->size() < width) return -1;
  int value = 0;
  for (size_t i = 0; i < width; ++i) {
    const char c = (*text)[i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text->remove_prefix(width);
  return value;
}

bool TakeChar(std::string_view* text, char upper) {
  if (text->empty() || ((*text)[0] != upper && (*text)[0] != (upper | 0x20))) return false;
  text->remove_prefix(1);
  return true;
}

int DaysInMonth(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

}  // namespace

const Clock& SystemClock() {
  static constinit System clock;
  return clock;
}

Deadline Deadline::AfterMs(int64_t ms, const Clock& clock) {
  const int64_t now = clock.MonotonicNs();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if (ms > (kMax - now) / 1'000'000) return Deadline();
  return AtNs(now + ms * 1'000'000);
}

bool Deadline::Passed(const Clock& clock) const { return !never() && clock.MonotonicNs() >= ns_; }

int Deadline::PollMs(int cap_ms, const Clock& clock) const {
  if (never()) return cap_ms;
  const int64_t left = ns_ - clock.MonotonicNs();
  int64_t ms = left <= 0 ? 0 : (left + 999'999) / 1'000'000;
  ms = std::min<int64_t>(ms, INT_MAX);
  if (cap_ms >= 0) ms = std::min<int64_t>(ms, cap_ms);
  return static_cast<int>(ms);
}

std::string FormatRfc3339(int64_t realtime_ns) {
  int64_t seconds = realtime_ns / kNsPerSecond;
  int64_t nanos = realtime_ns % kNsPerSecond;
  if (nanos < 0) {
    nanos += kNsPerSecond;
    --seconds;
  }
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  int64_t year;
  int month, day;
  CivilFromDays(days, &year, &month, &day);
  std::string out = absl::StrCat(Padded(year, 4), "-", Padded(month, 2), "-", Padded(day, 2), "T",
                                 Padded(rest / 3600, 2), ":", Padded(rest / 60 % 60, 2), ":",
                                 Padded(rest % 60, 2));
  if (nanos != 0) {
    std::string fraction = Padded(nanos, 9);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    absl::StrAppend(&out, ".", fraction);
  }
  out += 'Z';
  return out;
}

std::optional<int64_t> ParseRfc3339(std::string_view text) {
  const int year = TakeDigits(&text, 4);
  if (year < 0 || !TakeChar(&text, '-')) return std::nullopt;
  const int month = TakeDigits(&text, 2);
  if (month < 1 || month > 12 || !TakeChar(&text, '-')) return std::nullopt;
  const int day = TakeDigits(&text, 2);
  if (day < 1 || day > DaysInMonth(year, month) || !TakeChar(&text, 'T')) return std::nullopt;
  const int hour = TakeDigits(&text, 2);
  if (hour < 0 || hour > 23 || !TakeChar(&text, ':')) return std::nullopt;
  const int minute = TakeDigits(&text, 2);
  if (minute < 0 || minute > 59 || !TakeChar(&text, ':')) return std::nullopt;
  const int second = TakeDigits(&text, 2);
  if (second < 0 || second > 60) return std::nullopt;  // 60: a leap second
  int64_t nanos = 0;
  if (TakeChar(&text, '.')) {
    int64_t scale = kNsPerSecond / 10;
    size_t digits = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      nanos += scale * (text[0] - '0');
      scale /= 10;
      ++digits;
      text.remove_prefix(1);
    }
    if (digits == 0) return std::nullopt;
  }
  int64_t offset = 0;
  if (!TakeChar(&text, 'Z')) {
    if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    const int hours = TakeDigits(&text, 2);
    if (hours < 0 || hours > 23 || !TakeChar(&text, ':')) return std::nullopt;
    const int minutes = TakeDigits(&text, 2);
    if (minutes < 0 || minutes > 59) return std::nullopt;
    offset = sign * (hours * 3600 + minutes * 60);
  }
  if (!text.empty()) return std::nullopt;
  const int64_t seconds =
      DaysFromCivil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / kNsPerSecond - 1;
  if (seconds > kMaxSeconds || seconds < -kMaxSeconds) return std::nullopt;
  return seconds * kNsPerSecond + nanos;
}

}  // namespace coaming::base
