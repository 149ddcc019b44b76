#include "base/http/headers.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coaming::base {
namespace {

constexpr int64_t kYearMs = int64_t{366} * 24 * 3600 * 1000;

bool TokenByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// Digits only, no sign, no blanks; nullopt if anything else or out of range.
std::optional<int64_t> Number(std::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t yoe = year - era * 400;
  const int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

}  // namespace

void HttpHeaders::Add(std::string_view name, std::string_view value) {
  list_.emplace_back(name, value);
}

void HttpHeaders::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void HttpHeaders::Remove(std::string_view name) {
  std::erase_if(list_, [&](const auto& h) { return absl::EqualsIgnoreCase(h.first, name); });
}

std::string_view HttpHeaders::Get(std::string_view name) const {
  for (const auto& [n, v] : list_) {
    if (absl::EqualsIgnoreCase(n, name)) return v;
  }
  return {};
}

bool HttpHeaders::Has(std::string_view name) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const auto& h) { return absl::EqualsIgnoreCase(h.first, name); });
}

std::vector<std::string_view> HttpHeaders::All(std::string_view name) const {
  std::vector<std::string_view> found;
  for (const auto& [n, v] : list_) {
    if (absl::EqualsIgnoreCase(n, name)) found.push_back(v);
  }
  return found;
}

bool IsHeaderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), TokenByte);
}

bool IsHeaderValue(std::string_view value) {
  if (!value.empty() && (value.front() == ' ' || value.back() == ' ')) return false;
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::optional<ContentRange> ParseContentRange(std::string_view value) {
  value = absl::StripAsciiWhitespace(value);
  if (value.size() < 6 || !absl::EqualsIgnoreCase(value.substr(0, 6), "bytes ")) {
    return std::nullopt;
  }
  value = absl::StripLeadingAsciiWhitespace(value.substr(6));
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = value.substr(0, slash), total = value.substr(slash + 1);
  ContentRange r;
  if (total != "*") {
    const auto n = Number(total);
    if (!n.has_value()) return std::nullopt;
    r.total = *n;
  }
  if (range == "*") return r.total >= 0 ? std::optional(r) : std::nullopt;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = Number(range.substr(0, dash)), last = Number(range.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *last < *first ||
      (r.total >= 0 && *last >= r.total)) {
    return std::nullopt;
  }
  r.first = *first;
  r.last = *last;
  return r;
}

std::optional<std::pair<int64_t, int64_t>> ParseUploadRange(std::string_view value) {
  value = absl::StripAsciiWhitespace(value);
  if (absl::StartsWithIgnoreCase(value, "bytes=")) value.remove_prefix(6);
  const size_t dash = value.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = Number(value.substr(0, dash)), last = Number(value.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *last < *first) return std::nullopt;
  return std::make_pair(*first, *last);
}

std::optional<int64_t> RetryAfterMs(const HttpHeaders& headers, const Clock& clock) {
  const std::string_view value = absl::StripAsciiWhitespace(headers.Get("Retry-After"));
  if (value.empty()) return std::nullopt;
  if (const auto seconds = Number(value); seconds.has_value()) {
    return *seconds >= kYearMs / 1000 ? kYearMs : *seconds * 1000;
  }
  const auto date = ParseHttpDate(value);
  if (!date.has_value()) return std::nullopt;
  const int64_t ms = *date * 1000 - clock.RealtimeNs() / 1'000'000;
  return std::clamp<int64_t>(ms, 0, kYearMs);
}

std::optional<int64_t> ParseHttpDate(std::string_view text) {
  // "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994".
  static constexpr std::array<std::string_view, 12> kMonths = {
      "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
  std::optional<int64_t> day, year, hour, minute, second;
  int month = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t start = rest.find_first_not_of(" ,-");
    if (start == std::string_view::npos) break;
    rest.remove_prefix(start);
    const size_t end = std::min(rest.find_first_of(" ,-"), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end);
    if (word.size() == 8 && word[2] == ':' && word[5] == ':') {
      hour = Number(word.substr(0, 2));
      minute = Number(word.substr(3, 2));
      second = Number(word.substr(6, 2));
      if (!hour || !minute || !second) return std::nullopt;
    } else if (const auto n = Number(word); n.has_value()) {
      if (!day.has_value() && word.size() <= 2) {
        day = n;
      } else if (!year.has_value()) {
        year = n;
        if (word.size() == 2) *year += *n < 70 ? 2000 : 1900;
        if (word.size() != 2 && word.size() != 4) return std::nullopt;
      } else {
        return std::nullopt;
      }
    } else if (word.size() == 3) {
      for (size_t i = 0; i < kMonths.size(); ++i) {
        if (absl::EqualsIgnoreCase(word, kMonths[i])) month = static_cast<int>(i) + 1;
      }
    }
  }
  if (!day || !year || !hour || month == 0 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60 || *year < 1970 || *year > 9999) {
    return std::nullopt;
  }
  return DaysFromCivil(*year, month, static_cast<int>(*day)) * 86400 + *hour * 3600 + *minute * 60 +
         *second;
}

std::string MediaType(std::string_view content_type) {
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))));
}

std::string BasicAuthorization(std::string_view user, std::string_view password) {
  return absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(user, ":", password)));
}

}  // namespace coaming::base
