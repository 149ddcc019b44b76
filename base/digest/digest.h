// Digest is "algorithm:encoded", the name of some bytes by their hash. OCI image-spec, descriptor.md,
// "Digests". Value type only: no cryptography is linked in by this target (see hasher.h).
//
//   COAM_ASSIGN_OR_RETURN(base::Digest d, base::Digest::Parse(text));
//   path = absl::StrCat("blobs/", d.algorithm(), "/", d.encoded());   // safe: the grammar has no '/'
//
// Threads: [immutable] while const. Limits: 512 bytes. Hostile input: refused unless it fits the
// grammar; a registered algorithm must also have its exact number of lower-case hex digits.
#ifndef COAMING_BASE_DIGEST_DIGEST_H_
#define COAMING_BASE_DIGEST_DIGEST_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coaming::base {

enum class DigestAlgorithm : uint8_t { kUnknown, kSha1, kSha224, kSha256, kSha384, kSha512 };

// DigestAlgorithmName is "sha256"; "" for kUnknown.
std::string_view DigestAlgorithmName(DigestAlgorithm algorithm);
// DigestSize is the number of bytes of a hash: 32 for sha256; 0 for kUnknown.
size_t DigestSize(DigestAlgorithm algorithm);
// FindDigestAlgorithm is the reverse of DigestAlgorithmName; kUnknown if there is none.
DigestAlgorithm FindDigestAlgorithm(std::string_view name);

// HexEncode writes lower-case hex. HexDecode reads either case; nullopt if it is not hex.
std::string HexEncode(std::string_view bytes);
std::optional<std::string> HexDecode(std::string_view hex);
// IsLowerHex is true if each byte is 0-9 or a-f (true for "").
bool IsLowerHex(std::string_view text);

class Digest {
 public:
  Digest() = default;  // empty; equal to no parsed digest

  // Parse checks the grammar, and the length and case of registered algorithms. An algorithm that is
  // not known but fits the grammar is accepted; it is not verifiable(). Errors: digest.invalid.
  static absl::StatusOr<Digest> Parse(std::string_view text);
  // FromBytes makes a digest from a raw hash; empty if the number of bytes is wrong.
  static Digest FromBytes(DigestAlgorithm algorithm, std::string_view hash);

  bool empty() const { return text_.empty(); }
  const std::string& str() const { return text_; }  // "sha256:..."
  std::string_view algorithm() const { return std::string_view(text_).substr(0, colon_); }
  std::string_view encoded() const {
    return empty() ? std::string_view() : std::string_view(text_).substr(colon_ + 1);
  }
  DigestAlgorithm algorithm_id() const { return id_; }
  // Verifiable is true if this build can check content against it (sha256, sha384, sha512).
  bool verifiable() const { return id_ >= DigestAlgorithm::kSha256; }
  // Bytes is the raw hash; empty if the algorithm is not known.
  std::string Bytes() const;
  // Short is the first `digits` of the encoded part, for people.
  std::string Short(size_t digits = 12) const { return std::string(encoded().substr(0, digits)); }

  friend bool operator==(const Digest& a, const Digest& b) { return a.text_ == b.text_; }
  friend std::strong_ordering operator<=>(const Digest& a, const Digest& b) {
    return a.text_ <=> b.text_;
  }

 private:
  std::string text_;
  uint16_t colon_ = 0;
  DigestAlgorithm id_ = DigestAlgorithm::kUnknown;
};

}  // namespace coaming::base

template <>
struct std::hash<coaming::base::Digest> {
  size_t operator()(const coaming::base::Digest& d) const {
    return std::hash<std::string>()(d.str());
  }
};

#endif  // COAMING_BASE_DIGEST_DIGEST_H_
