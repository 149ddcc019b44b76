#include "libaci/schema/quantity.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"

namespace coaming::aci {
namespace {

__extension__ typedef __int128 Int128;
constexpr Int128 kNano = 1000000000;
// Largest magnitude kept: 10^28 units. The product of two such steps cannot pass 2^127.
constexpr Int128 Pow10(int n) {
  Int128 v = 1;
  while (n-- > 0) v *= 10;
  return v;
}
constexpr Int128 kMaxNano = Pow10(37);
constexpr Int128 kBinaryCap = static_cast<Int128>(std::numeric_limits<int64_t>::max()) * kNano;

// v * factor, or false above kMaxNano.
bool Times(Int128& v, Int128 factor) {
  if (v > kMaxNano / factor) return false;
  v *= factor;
  return true;
}

struct Suffix {
  std::string_view text;
  int base, exponent;
};
constexpr Suffix kSuffixes[] = {
    {"", 10, 0},   {"n", 10, -9}, {"u", 10, -6}, {"m", 10, -3}, {"k", 10, 3},  {"K", 10, 3},
    {"M", 10, 6},  {"G", 10, 9},  {"T", 10, 12}, {"P", 10, 15}, {"E", 10, 18}, {"Ki", 2, 10},
    {"Mi", 2, 20}, {"Gi", 2, 30}, {"Ti", 2, 40}, {"Pi", 2, 50}, {"Ei", 2, 60},
};

std::string_view DecimalSuffix(int exponent) {
  for (const Suffix& s : kSuffixes) {
    if (s.base == 10 && s.exponent == exponent) return s.text;
  }
  return "";
}
std::string_view BinarySuffix(int exponent) {
  for (const Suffix& s : kSuffixes) {
    if (s.base == 2 && s.exponent == exponent) return s.text;
  }
  return "";
}

std::string Digits(Int128 v) {
  if (v == 0) return "0";
  const bool negative = v < 0;
  std::string out;
  while (v != 0) {
    const int digit = static_cast<int>(v % 10);
    out.insert(out.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    v /= 10;
  }
  return negative ? "-" + out : out;
}

base::ErrorMaker Bad(std::string_view text, std::string_view why) {
  return base::Fail("aci.quantity") << "quantity \"" << text.substr(0, 64) << "\" " << why;
}

// v / divisor, away from zero.
Int128 DivideUp(Int128 v, Int128 divisor) {
  const Int128 q = v / divisor;
  if (v % divisor == 0) return q;
  return v < 0 ? q - 1 : q + 1;
}

int64_t Capped(Int128 v) {
  if (v > std::numeric_limits<int64_t>::max()) return std::numeric_limits<int64_t>::max();
  if (v < std::numeric_limits<int64_t>::min()) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

}  // namespace

Quantity Quantity::FromInt(int64_t value, Format format) {
  Quantity q;
  q.nano_ = static_cast<Int128>(value) * kNano;
  q.format_ = format;
  return q;
}

absl::StatusOr<Quantity> Quantity::Parse(std::string_view text) {
  if (text.empty()) return Bad(text, "is empty");
  if (text.size() > 256) return Bad(text, "is too long");
  size_t pos = 0;
  const bool negative = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') ++pos;

  // Digits, kept to 28 significant ones (18 where a binary suffix multiplies them by up to 2^60);
  // `shift` is the power of ten still to be applied, `rest` tells that something was cut off.
  const Int128 most = text.back() == 'i' ? Pow10(17) : Pow10(27);
  Int128 mantissa = 0;
  int shift = 0;
  bool rest = false, any = false, point = false;
  for (; pos < text.size(); ++pos) {
    const char c = text[pos];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any = true;
    if (mantissa < most) {
      mantissa = mantissa * 10 + (c - '0');
      if (point) --shift;
    } else {
      if (c != '0') rest = true;
      if (!point) ++shift;
    }
  }
  if (!any) return Bad(text, "has no digits");

  const std::string_view suffix = text.substr(pos);
  const Suffix* found = nullptr;
  for (const Suffix& s : kSuffixes) {
    if (s.text == suffix) found = &s;
  }
  Quantity q;
  int exponent = 0, base_two = 0;
  if (found != nullptr) {
    q.format_ = found->base == 2 ? Format::kBinarySi : Format::kDecimalSi;
    (found->base == 2 ? base_two : exponent) = found->exponent;
  } else if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    q.format_ = Format::kDecimalExponent;
    size_t i = 1;
    const bool minus = suffix[1] == '-';
    if (suffix[1] == '-' || suffix[1] == '+') ++i;
    if (i == suffix.size()) return Bad(text, "has an exponent without digits");
    for (; i < suffix.size(); ++i) {
      if (suffix[i] < '0' || suffix[i] > '9') return Bad(text, "has an odd exponent");
      if (exponent < 100000) exponent = exponent * 10 + (suffix[i] - '0');
    }
    if (minus) exponent = -exponent;
  } else {
    return Bad(text, "has an unknown suffix");
  }

  // nano = mantissa * 2^base_two * 10^(shift + exponent + 9), rounded up.
  bool fits = true;
  if (mantissa != 0) {
    for (int i = 0; i < base_two && fits; ++i) fits = Times(mantissa, 2);
    int tens = shift + exponent + 9;
    for (; tens > 0 && fits; --tens) fits = Times(mantissa, 10);
    for (; tens < 0 && fits && mantissa != 0; ++tens) {
      if (mantissa % 10 != 0) rest = true;
      mantissa /= 10;
    }
    if (rest && fits) ++mantissa;
  }
  if (q.format_ == Format::kBinarySi) {
    if (!fits || mantissa > kBinaryCap) mantissa = kBinaryCap;
    if (mantissa != 0 && mantissa < kNano) q.format_ = Format::kDecimalSi;
  } else if (!fits) {
    return Bad(text, "is too large");
  }
  q.nano_ = negative ? -mantissa : mantissa;
  return q;
}

int64_t Quantity::Value() const { return Capped(DivideUp(nano_, kNano)); }
int64_t Quantity::MilliValue() const { return Capped(DivideUp(nano_, kNano / 1000)); }

int Quantity::Compare(const Quantity& other) const {
  return nano_ == other.nano_ ? 0 : nano_ < other.nano_ ? -1 : 1;
}

std::string Quantity::ToString() const {
  if (nano_ == 0) return "0";
  const Int128 size = nano_ < 0 ? -nano_ : nano_;
  if (format_ == Format::kBinarySi && size >= 1024 * kNano && size % kNano == 0) {
    Int128 v = nano_ / kNano;
    int exponent = 0;
    while (exponent < 60 && v % 1024 == 0) {
      v /= 1024;
      exponent += 10;
    }
    return absl::StrCat(Digits(v), BinarySuffix(exponent));
  }
  Int128 v = nano_;
  int exponent = -9;
  const int last = format_ == Format::kDecimalExponent ? 27 : 18;
  while (exponent < last && v % 1000 == 0) {
    v /= 1000;
    exponent += 3;
  }
  if (format_ == Format::kDecimalExponent) {
    return exponent == 0 ? Digits(v) : absl::StrCat(Digits(v), "e", exponent);
  }
  return absl::StrCat(Digits(v), DecimalSuffix(exponent));
}

}  // namespace coaming::aci
