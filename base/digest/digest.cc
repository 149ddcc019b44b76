#include "base/digest/digest.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"

namespace coaming::base {
namespace {

struct AlgorithmRow {
  DigestAlgorithm id;
  std::string_view name;
  size_t bytes;
};

constexpr AlgorithmRow kAlgorithms[] = {
    {DigestAlgorithm::kSha1, "sha1", 20},     {DigestAlgorithm::kSha224, "sha224", 28},
    {DigestAlgorithm::kSha256, "sha256", 32}, {DigestAlgorithm::kSha384, "sha384", 48},
    {DigestAlgorithm::kSha512, "sha512", 64},
};

constexpr size_t kMaxText = 512;

// blake3 is registered by the image-spec too; its form is checked although it cannot be computed here.
constexpr std::string_view kBlake3 = "blake3";

bool IsAlgorithmChar(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// component (separator component)*
bool IsAlgorithm(std::string_view text) {
  bool after_component = false;
  for (char c : text) {
    if (IsAlgorithmChar(c)) {
      after_component = true;
    } else if ((c == '+' || c == '.' || c == '_' || c == '-') && after_component) {
      after_component = false;
    } else {
      return false;
    }
  }
  return after_component;
}

bool IsEncoded(std::string_view text) {
  for (char c : text) {
    const bool good =
        IsAlgorithmChar(c) || (c >= 'A' && c <= 'Z') || c == '=' || c == '_' || c == '-';
    if (!good) return false;
  }
  return !text.empty();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Shown(std::string_view text) {
  std::string shown = absl::CHexEscape(text.substr(0, 100));
  if (text.size() > 100) shown += "...";
  return shown;
}

}  // namespace

std::string_view DigestAlgorithmName(DigestAlgorithm algorithm) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.id == algorithm) return row.name;
  }
  return "";
}

size_t DigestSize(DigestAlgorithm algorithm) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.id == algorithm) return row.bytes;
  }
  return 0;
}

DigestAlgorithm FindDigestAlgorithm(std::string_view name) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.name == name) return row.id;
  }
  return DigestAlgorithm::kUnknown;
}

std::string HexEncode(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::optional<std::string> HexDecode(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    int high = HexDigit(hex[i]), low = HexDigit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

bool IsLowerHex(std::string_view text) {
  for (char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

absl::StatusOr<Digest> Digest::Parse(std::string_view text) {
  if (text.size() > kMaxText) {
    return Fail("digest.invalid") << "digest '" << Shown(text) << "' is longer than " << kMaxText
                                  << " bytes";
  }
  const size_t colon = text.find(':');
  if (colon == text.npos) {
    return Fail("digest.invalid") << "digest '" << Shown(text) << "' has no colon";
  }
  std::string_view algorithm = text.substr(0, colon), encoded = text.substr(colon + 1);
  if (!IsAlgorithm(algorithm)) {
    return Fail("digest.invalid") << "digest '" << Shown(text) << "' has no proper algorithm name";
  }
  if (!IsEncoded(encoded)) {
    return Fail("digest.invalid") << "digest '" << Shown(text)
                                  << "' has no proper encoded part after the colon";
  }
  Digest d;
  d.id_ = FindDigestAlgorithm(algorithm);
  const size_t bytes = algorithm == kBlake3 ? 32 : DigestSize(d.id_);
  if (bytes != 0 && (encoded.size() != bytes * 2 || !IsLowerHex(encoded))) {
    return Fail("digest.invalid") << "digest '" << Shown(text) << "' must have " << bytes * 2
                                  << " lower-case hex digits after " << algorithm << ":";
  }
  d.text_ = std::string(text);
  d.colon_ = static_cast<uint16_t>(colon);
  return d;
}

Digest Digest::FromBytes(DigestAlgorithm algorithm, std::string_view hash) {
  Digest d;
  if (hash.empty() || hash.size() != DigestSize(algorithm)) return d;
  d.id_ = algorithm;
  d.colon_ = static_cast<uint16_t>(DigestAlgorithmName(algorithm).size());
  d.text_ = absl::StrCat(DigestAlgorithmName(algorithm), ":", HexEncode(hash));
  return d;
}

std::string Digest::Bytes() const {
  if (id_ == DigestAlgorithm::kUnknown) return {};
  return HexDecode(encoded()).value_or(std::string());
}

}  // namespace coaming::base
