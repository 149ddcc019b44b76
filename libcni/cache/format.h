// The bytes of a cache file: kind "cniCacheV1" as the reference client writes it, and the bare result
// that its oldest releases wrote. Not for users of the library: cache.h is. Pure functions; the bytes
// are hostile.
#ifndef COAMING_LIBCNI_CACHE_FORMAT_H_
#define COAMING_LIBCNI_CACHE_FORMAT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "libcni/cache/cache.h"

namespace coaming::cni {

// EncodeAttachment writes the newer format. Errors: cni.conf.invalid if a capability argument is no
// JSON.
absl::StatusOr<std::string> EncodeAttachment(const CachedAttachment& attachment,
                                             const base::Limits& limits);
// DecodeAttachment reads either. Errors: cni.cache.corrupt, core.limit.
absl::StatusOr<CachedAttachment> DecodeAttachment(std::string_view text,
                                                  const base::Limits& limits);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CACHE_FORMAT_H_
