#include <cstdint>
#include <string>
#include <string_view>

#include "liboci/spec/runtime/runtime_spec.h"

// Any document: what is read can be written and read again, and says the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coaming::run;
  absl::StatusOr<Spec> s = ParseSpec({reinterpret_cast<const char*>(data), size});
  if (!s.ok()) return 0;
  Validate(*s).IgnoreError();
  absl::StatusOr<Spec> again = ParseSpec(WriteSpec(*s, ""));
  if (!again.ok() || !(*again == *s)) __builtin_trap();
  return 0;
}
