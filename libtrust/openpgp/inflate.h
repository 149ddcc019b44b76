// Private to libtrust/openpgp: the compressed data packet (RFC 9580 section 5.6).
#ifndef COAMING_LIBTRUST_OPENPGP_INFLATE_H_
#define COAMING_LIBTRUST_OPENPGP_INFLATE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/op.h"

namespace coaming::trust::openpgp::internal {

// Inflate opens the body of a compressed data packet: algorithm octet 0 none, 1 raw deflate, 2 zlib,
// 3 bzip2. At most `max` bytes and a little framing come out. Errors: sig.malformed, sig.unsupported,
// core.limit.
absl::StatusOr<std::string> Inflate(std::string_view body, int64_t max, const base::Op& op);

// InflateRaw decodes one deflate stream (RFC 1951) at the front of `data` and says in `used` how many
// bytes it took. False if it is damaged or cut short, or gives more than `max` bytes (then `*over`).
bool InflateRaw(std::string_view data, size_t max, std::string* out, size_t* used, bool* over);

}  // namespace coaming::trust::openpgp::internal

#endif  // COAMING_LIBTRUST_OPENPGP_INFLATE_H_
