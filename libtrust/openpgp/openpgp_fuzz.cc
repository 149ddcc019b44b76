// Hostile bytes as signatures, keys, messages, armor and secret keys. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/core/clock.h"
#include "base/core/op.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/openpgp/verify.h"

namespace {

using namespace coaming;
using namespace coaming::trust::openpgp;

class FixedClock final : public base::Clock {
 public:
  int64_t MonotonicNs() const override { return 0; }
  int64_t RealtimeNs() const override { return int64_t{1795000000} * 1000000000; }
};

constexpr std::string_view kData = "data\n";

void Keys(std::string_view bytes, const base::Op& op) {
  auto keys = Keyring::FromBytes(bytes);
  if (!keys.ok()) return;
  (void)ReviewText(*keys);
  for (const Certificate& c : keys->certificates()) {
    (void)Usability(c, *keys, Policy(), 1795000000);
    (void)keys->Find(c.fingerprint());
  }
  // What was written must be read again, as the same.
  auto again = Keyring::FromBytes(keys->Armored());
  if (!again.ok() || again->size() != keys->size()) __builtin_trap();
}

// A key file and a signature file, one after the other, with the key's length in two bytes.
void Both(std::string_view bytes, const base::Op& op) {
  if (bytes.size() < 2) return;
  size_t n = static_cast<uint8_t>(bytes[0]) * 256u + static_cast<uint8_t>(bytes[1]);
  bytes.remove_prefix(2);
  if (n > bytes.size()) return;
  auto keys = Keyring::FromBytes(bytes.substr(0, n));
  if (!keys.ok()) return;
  auto v = VerifyDetached(bytes.substr(n), kData, *keys, Policy(), op);
  if (v.ok()) (void)v->ToStatus("data");
  auto m = VerifyInline(bytes.substr(n), *keys, Policy(), op, 1 << 16);
  if (m.ok() && !m->verdict.ok() && !m->content.empty()) __builtin_trap();
  (void)VerifyCleartext(bytes.substr(n), *keys, Policy(), op);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const FixedClock clock;
  base::Op op;
  op.set_clock(&clock);
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: Keys(bytes, op); break;
    case 1: Both(bytes, op); break;
    case 2: {
      auto blocks = ArmorDecode(bytes);
      if (!blocks.ok()) break;
      for (const ArmorBlock& b : *blocks) {
        auto again = ArmorDecode(ArmorEncode(b.kind, b.bytes));
        if (!again.ok() || again->at(0).bytes != b.bytes) __builtin_trap();
      }
      break;
    }
    case 3: (void)SecretKey::FromBytes(bytes, ""); break;
    case 4: {
      auto v = DetachedVerifier::New(bytes, Keyring(), Policy(), 1795000000);
      if (v.ok() && (*v)->Finish().ok()) __builtin_trap();  // no key, and yet good
      break;
    }
  }
  return 0;
}
