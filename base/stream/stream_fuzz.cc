// Any bytes: every decoder reads them within its limits; what one block size gives, another gives too.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/stream/compression.h"

namespace base = coaming::base;

namespace {

// Reads at most 4 MiB; false if the stream was refused.
bool Unpack(std::string_view packed, base::Compression id, size_t block, std::string* out) {
  base::Limits limits;
  limits.window_bytes = 8 << 20;
  auto reader = base::NewDecompressor(id, std::make_unique<base::MemoryReader>(packed, block),
                                      {.limits = &limits});
  if (!reader.ok()) return false;
  char buffer[4096];
  while (out->size() < (4 << 20)) {
    absl::StatusOr<size_t> n = (*reader)->Read(buffer);
    if (!n.ok()) return false;
    if (*n == 0) return true;
    if (*n > sizeof buffer) std::abort();
    out->append(buffer, *n);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const base::Compression id = base::DetectCompression(bytes);
  if (id == base::Compression::kNone) return 0;
  std::string whole, pieces;
  const bool a = Unpack(bytes, id, SIZE_MAX, &whole);
  const bool b = Unpack(bytes, id, 3, &pieces);
  if (a != b) std::abort();
  if (a && whole != pieces) std::abort();
  return 0;
}
