// Hostile bytes as TUF metadata of each role, and as patterns and paths. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json/json.h"
#include "libtrust/tuf/delegation.h"
#include "libtrust/tuf/metadata.h"
#include "libtrust/tuf/trusted_set.h"

namespace {
using namespace coaming;
using namespace coaming::trust::tuf;

void Parse(std::string_view bytes, Role role) {
  auto m = ParseMetadata(bytes, role);
  if (!m.ok()) return;
  for (const auto& [name, keys] : m->roles) {
    if (keys.threshold < 1) __builtin_trap();
    (void)CheckSignatures(m->keys, keys, *m);
  }
  if (m->delegations)
    for (const auto& [name, terminating] : RolesFor(*m->delegations, "a/b.tar"))
      if (FindRole(*m->delegations, name) == nullptr) __builtin_trap();
  (void)CheckFile(bytes, 5, {{"sha256", "00"}}, "x");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0: Parse(bytes, Role::kRoot); break;
    case 1: Parse(bytes, Role::kTimestamp); break;
    case 2: Parse(bytes, Role::kSnapshot); break;
    case 3: Parse(bytes, Role::kTargets); break;
    case 4: {
      auto set = TrustedSet::New(bytes, 0);
      if (set.ok()) (void)set->UpdateRoot(bytes);
      break;
    }
    case 5: {
      size_t cut = bytes.find('\0');
      if (cut != std::string_view::npos)
        (void)MatchPattern(bytes.substr(0, cut), bytes.substr(cut + 1));
      std::string name = FileName(bytes);
      if (name == "." || name == ".." || name.find('/') != std::string::npos) __builtin_trap();
      break;
    }
  }
  return 0;
}
