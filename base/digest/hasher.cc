#include "base/digest/hasher.h"

#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "openssl/sha.h"

namespace coaming::base {
namespace {

template <typename State>
State* As(unsigned char* memory) {
  return std::launder(reinterpret_cast<State*>(memory));
}

}  // namespace

Hasher::Hasher(DigestAlgorithm algorithm)
    : algorithm_(algorithm == DigestAlgorithm::kUnknown ? DigestAlgorithm::kSha256 : algorithm) {
  static_assert(sizeof(SHA512_CTX) <= sizeof(state_) && alignof(SHA512_CTX) <= 8);
  static_assert(sizeof(SHA256_CTX) <= sizeof(state_) && sizeof(SHA_CTX) <= sizeof(state_));
  std::memset(state_, 0, sizeof(state_));
  Reset();
}

void Hasher::Reset() {
  switch (algorithm_) {
    case DigestAlgorithm::kSha1: SHA1_Init(new (state_) SHA_CTX); break;
    case DigestAlgorithm::kSha224: SHA224_Init(new (state_) SHA256_CTX); break;
    case DigestAlgorithm::kSha384: SHA384_Init(new (state_) SHA512_CTX); break;
    case DigestAlgorithm::kSha512: SHA512_Init(new (state_) SHA512_CTX); break;
    default: SHA256_Init(new (state_) SHA256_CTX); break;
  }
}

void Hasher::Update(const void* data, size_t size) {
  if (size == 0) return;
  switch (algorithm_) {
    case DigestAlgorithm::kSha1: SHA1_Update(As<SHA_CTX>(state_), data, size); break;
    case DigestAlgorithm::kSha224: SHA224_Update(As<SHA256_CTX>(state_), data, size); break;
    case DigestAlgorithm::kSha384: SHA384_Update(As<SHA512_CTX>(state_), data, size); break;
    case DigestAlgorithm::kSha512: SHA512_Update(As<SHA512_CTX>(state_), data, size); break;
    default: SHA256_Update(As<SHA256_CTX>(state_), data, size); break;
  }
}

std::string Hasher::FinishBytes() {
  unsigned char out[SHA512_DIGEST_LENGTH];
  switch (algorithm_) {
    case DigestAlgorithm::kSha1: SHA1_Final(out, As<SHA_CTX>(state_)); break;
    case DigestAlgorithm::kSha224: SHA224_Final(out, As<SHA256_CTX>(state_)); break;
    case DigestAlgorithm::kSha384: SHA384_Final(out, As<SHA512_CTX>(state_)); break;
    case DigestAlgorithm::kSha512: SHA512_Final(out, As<SHA512_CTX>(state_)); break;
    default: SHA256_Final(out, As<SHA256_CTX>(state_)); break;
  }
  Reset();
  return std::string(reinterpret_cast<char*>(out), DigestSize(algorithm_));
}

Digest Hasher::Finish() { return Digest::FromBytes(algorithm_, FinishBytes()); }

Digest HashBytes(DigestAlgorithm algorithm, std::string_view bytes) {
  Hasher h(algorithm);
  h.Update(bytes);
  return h.Finish();
}

Digest Sha256(std::string_view bytes) { return HashBytes(DigestAlgorithm::kSha256, bytes); }

absl::Status CheckDigest(const Digest& want, std::string_view bytes, std::string_view subject) {
  if (!want.verifiable()) {
    return Fail("digest.unsupported")
           << subject << ": no way to verify a digest of algorithm '" << want.algorithm() << "'";
  }
  Digest got = HashBytes(want.algorithm_id(), bytes);
  if (got == want) return absl::OkStatus();
  return Fail("digest.mismatch").Detail("digest.want", want.str()).Detail("digest.got", got.str())
         << subject << ": want " << want.str() << ", the bytes hash to " << got.str();
}

}  // namespace coaming::base
