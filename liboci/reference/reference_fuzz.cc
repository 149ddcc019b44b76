// Any text: parses or not; what parses must come back from its own full form.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "liboci/reference/platform.h"
#include "liboci/reference/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto r = coaming::oci::Reference::Parse(text); r.ok()) {
    auto again = coaming::oci::Reference::Parse(r->ToString());
    if (!again.ok() || !(*again == *r)) std::abort();
  }
  if (auto p = coaming::oci::Platform::Parse(text); p.ok()) {
    auto again = coaming::oci::Platform::Parse(p->ToString());
    if (!again.ok() || !(*again == *p)) std::abort();
  }
  (void)coaming::oci::IsRefName(text);
  return 0;
}
