// Whatever a plugin prints: a result or a failure comes of it, and no crash.
#include <cstdint>
#include <string_view>

#include "libcni/conf/conf.h"
#include "libcni/invoke/failure.h"
#include "libcni/result/result.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  using namespace coaming;  // NOLINT
  (void)cni::DecodeFailure(
      {.plugin = "p", .verb = "ADD", .out = text, .err = text, .exit_status = 1}, base::Limits());
  auto result = cni::ParseResult(text, "1.0.0");
  if (result.ok()) {
    std::string written = cni::WriteResult(*result);
    auto again = cni::ParseResult(written, "1.0.0");
    if (!again.ok() || cni::WriteResult(*again) != written) __builtin_trap();
  }
  (void)cni::ParseNetworkList(text);
  return 0;
}
