// Hasher is a streaming SHA-2 (and SHA-1, SHA-224 for old formats) over BoringSSL; no allocation.
//
//   base::Hasher h(base::DigestAlgorithm::kSha256);
//   h.Update(block);
//   base::Digest d = h.Finish();
//
// Ownership: a value; a copy carries the state so far. Threads: [single]. Limits: none.
#ifndef COAMING_BASE_DIGEST_HASHER_H_
#define COAMING_BASE_DIGEST_HASHER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/digest/digest.h"

namespace coaming::base {

class Hasher {
 public:
  // kUnknown hashes as kSha256.
  explicit Hasher(DigestAlgorithm algorithm = DigestAlgorithm::kSha256);

  DigestAlgorithm algorithm() const { return algorithm_; }
  void Update(std::string_view bytes) { Update(bytes.data(), bytes.size()); }
  void Update(const void* data, size_t size);
  // Finish gives the digest of all bytes so far and starts over.
  Digest Finish();
  // FinishBytes is Finish as the raw hash.
  std::string FinishBytes();
  void Reset();

 private:
  DigestAlgorithm algorithm_;
  alignas(8) unsigned char state_[224];
};

// HashBytes is the digest of `bytes` in one call.
Digest HashBytes(DigestAlgorithm algorithm, std::string_view bytes);
// Sha256 is HashBytes with sha256: the usual case.
Digest Sha256(std::string_view bytes);
// CheckDigest fails with digest.mismatch, or digest.unsupported if `want` is not verifiable. `subject`
// names the bytes ("manifest of quay.io/app:1").
absl::Status CheckDigest(const Digest& want, std::string_view bytes, std::string_view subject);

}  // namespace coaming::base

#endif  // COAMING_BASE_DIGEST_HASHER_H_
