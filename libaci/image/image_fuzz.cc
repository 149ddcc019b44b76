// Any bytes as an image: read to the end, with small limits, without a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libaci/image/image.h"
#include "libaci/schema/types.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace aci = coaming::aci;
  namespace base = coaming::base;
  base::Limits limits;
  limits.unpacked_bytes = 4 << 20;
  limits.unpacked_files = 1000;
  limits.manifest_bytes = 64 << 10;
  base::Op op;
  op.set_limits(&limits);
  base::MemoryReader in(std::string_view(reinterpret_cast<const char*>(data), size));
  auto info = aci::ReadImage(in, {}, op);
  if (info.ok() && !aci::IsImageId(info->image_id)) std::abort();
  return 0;
}
