#include "base/archive/header.h"

#include <limits>

namespace coaming::base::internal {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<int64_t> Base256(std::string_view field) {
  // The first bit marks the form, the next is the sign; two's complement, big end first.
  const bool negative = (field[0] & 0x40) != 0;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < field.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(field[i]);
    if (i == 0) c = static_cast<unsigned char>(negative ? c | 0x80 : c & 0x7f);
    const unsigned char top = static_cast<unsigned char>(value >> 56);
    if (top != (negative ? 0xff : 0)) return std::nullopt;  // would be shifted out
    value = value << 8 | c;
  }
  const int64_t result = static_cast<int64_t>(value);
  if ((result < 0) != negative) return std::nullopt;
  return result;
}

}  // namespace

bool TarHeader::IsZero() const {
  for (char c : b_) {
    if (c != '\0') return false;
  }
  return true;
}

bool TarHeader::ChecksumFits() const {
  // Some old writers summed signed characters.
  int64_t plain = 0, with_sign = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : b_[i];
    plain += static_cast<unsigned char>(c);
    with_sign += static_cast<signed char>(c);
  }
  const std::optional<int64_t> want = Number(148, 8);
  return want && (*want == plain || *want == with_sign);
}

TarFormat TarHeader::Format() const {
  const std::string_view magic = b_.substr(257, 8);
  if (magic == std::string_view("ustar  \0", 8)) return TarFormat::kGnu;
  if (magic.substr(0, 6) == std::string_view("ustar\0", 6)) {
    return b_.substr(508, 4) == std::string_view("tar\0", 4) ? TarFormat::kStar : TarFormat::kUstar;
  }
  return TarFormat::kV7;
}

std::string TarHeader::Name() const {
  std::string name = Text(0, 100);
  const TarFormat format = Format();
  if (format == TarFormat::kUstar || format == TarFormat::kStar) {
    std::string prefix = Text(345, format == TarFormat::kUstar ? 155 : 131);
    if (!prefix.empty()) return prefix + "/" + name;
  }
  return name;
}

std::string TarHeader::Text(size_t at, size_t size) const {
  std::string_view field = b_.substr(at, size);
  return std::string(field.substr(0, field.find('\0')));
}

bool TarHeader::Blank(size_t at, size_t size) const {
  return b_.substr(at, size).find_first_not_of(std::string_view("\0 ", 2)) == b_.npos;
}

std::optional<int64_t> TarHeader::Number(size_t at, size_t size) const {
  std::string_view field = b_.substr(at, size);
  if ((field[0] & 0x80) != 0) return Base256(field);
  constexpr std::string_view kBlank("\0 ", 2);
  const size_t first = field.find_first_not_of(kBlank);
  if (first == field.npos) return 0;
  field = field.substr(first, field.find_last_not_of(kBlank) - first + 1);
  field = field.substr(0, field.find('\0'));
  int64_t value = 0;
  for (char c : field) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + (c - '0');  // 12 digits of three bits never overflow
  }
  return value;
}

std::optional<int64_t> ParseDecimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    const int digit = c - '0';
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<PaxRecords> ParsePax(std::string_view bytes) {
  PaxRecords out;
  while (!bytes.empty()) {
    const size_t space = bytes.find(' ');
    if (space > 10) return std::nullopt;  // npos too
    const std::optional<int64_t> length = ParseDecimal(bytes.substr(0, space));
    if (!length || *length <= static_cast<int64_t>(space) + 1 ||
        *length > static_cast<int64_t>(bytes.size())) {
      return std::nullopt;
    }
    const size_t size = static_cast<size_t>(*length);
    if (bytes[size - 1] != '\n') return std::nullopt;
    const std::string_view record = bytes.substr(space + 1, size - space - 2);
    const size_t equals = record.find('=');
    if (equals == record.npos || equals == 0) return std::nullopt;
    out.emplace_back(record.substr(0, equals), record.substr(equals + 1));
    bytes.remove_prefix(size);
  }
  return out;
}

std::optional<TarTime> ParsePaxTime(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::optional<int64_t> seconds = ParseDecimal(text.substr(0, point));
  if (!seconds) return std::nullopt;
  int32_t nanoseconds = 0;
  if (point != text.npos) {
    std::string_view digits = text.substr(point + 1);
    int32_t unit = 100000000;
    for (char c : digits) {
      if (!IsDigit(c)) return std::nullopt;
      nanoseconds += unit * (c - '0');
      unit /= 10;
    }
  }
  if (!negative) return TarTime{*seconds, nanoseconds};
  if (nanoseconds == 0) return TarTime{-*seconds, 0};
  return TarTime{-*seconds - 1, 1000000000 - nanoseconds};
}

std::string UrlDecode(std::string_view text) {
  auto digit = [](char c) {
    if (IsDigit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool CheckRegions(std::vector<TarRegion>* regions, int64_t size, int64_t stored) {
  int64_t end = 0, sum = 0;
  std::vector<TarRegion> kept;
  kept.reserve(regions->size());
  for (const TarRegion& r : *regions) {
    if (r.offset < end || r.size < 0 || r.offset > size || r.size > size - r.offset) return false;
    end = r.offset + r.size;
    sum += r.size;  // regions do not overlap, so this stays below size
    if (r.size != 0) kept.push_back(r);
  }
  *regions = std::move(kept);
  return sum == stored;
}

}  // namespace coaming::base::internal
