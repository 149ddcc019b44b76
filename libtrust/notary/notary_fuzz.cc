// Hostile bytes as Notary's metadata of each role, as changes, key files and certificates. The first byte
// chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libtrust/keys/x509.h"
#include "libtrust/notary/change.h"
#include "libtrust/notary/collection.h"
#include "libtrust/notary/key_file.h"
#include "libtrust/notary/metadata.h"
#include "libtrust/notary/root.h"

namespace {
using namespace coaming::trust;
using namespace coaming::trust::notary;

void Parse(std::string_view bytes, std::string_view role) {
  auto m = ParseMetadata(bytes, role);
  if (!m.ok()) return;
  if (m->version < 1) __builtin_trap();
  for (const auto& [id, key] : m->keys)
    if (key.id != id) __builtin_trap();
  for (const auto& [name, keys] : m->roles) {
    if (keys.threshold < 1) __builtin_trap();
    (void)CheckSignatures(m->keys, keys, *m);
  }
  if (role == kRoot) (void)CheckRoot(nullptr, *m, "registry.example/app", {}, 1767323045);
  if (role == kTargets) {
    Collection c;
    c.root.roles["targets"] = {};
    c.targets.emplace("targets", *m);
    for (const Named& t : c.List({}))
      if (!c.Find(t.name, {})) __builtin_trap();
  }
  // What we write of it reads back as the same.
  Metadata again = *m;
  if (!Render(&again).ok()) __builtin_trap();
  Serialize(&again);
  auto back = ParseMetadata(again.bytes, role);
  if (!back.ok() || back->canonical != again.canonical) __builtin_trap();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 8) {
    case 0: Parse(bytes, kRoot); break;
    case 1: Parse(bytes, kTimestamp); break;
    case 2: Parse(bytes, kSnapshot); break;
    case 3: Parse(bytes, kTargets); break;
    case 4: Parse(bytes, "targets/releases"); break;
    case 5:
      if (auto change = ReadChange(bytes); change.ok()) {
        if (!ReadChange(WriteChange(*change)).ok()) __builtin_trap();
        (void)ReadDelegationChange(change->data);
        (void)ReadRoleChange(change->data);
      }
      break;
    case 6:
      if (auto files = SplitKeyFiles(bytes); files.ok())
        for (const KeyFile& f : *files) (void)PrivateKey::FromPem(f.pem);
      break;
    case 7:
      if (auto chain = ParseCertificates(bytes); chain.ok())
        (void)ChainsTo(chain->front(), *chain, *chain, 1767323045);
      break;
  }
  return 0;
}
