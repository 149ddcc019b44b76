// Hostile bytes as policy files, claims and names. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libtrust/policy/policy.h"
#include "libtrust/policy/reference.h"
#include "libtrust/policy/registries.h"
#include "libtrust/policy/signature_blob.h"
#include "libtrust/policy/simple_signing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coaming::trust;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      auto policy = TrustPolicy::Parse(bytes);
      // No policy may have an empty list: it would take everything.
      if (policy.ok() && policy->RequirementsFor({"docker", "quay.io/a/b:1", ""}).empty())
        __builtin_trap();
      break;
    }
    case 1: {
      auto claim = ParseClaim(bytes, kAtomicSignature);
      if (claim.ok() && !ParseClaim(WriteClaim(*claim, kAtomicSignature), kAtomicSignature).ok())
        __builtin_trap();
      (void)ParseClaim(bytes, kCosignSignature);
      break;
    }
    case 2: {
      auto name = ParseDockerName(bytes);
      if (name && (!ParseDockerName(name->ToString()) ||
                   ParseDockerName(name->ToString())->ToString() != name->ToString()))
        __builtin_trap();
      (void)PolicyScopes("docker", bytes);
      (void)PolicyScopes("dir", bytes);
      break;
    }
    case 3: {
      SignatureStores stores;
      if (stores.Add("fuzz.yaml", bytes).ok()) (void)stores.For("quay.io/a/b:1");
      break;
    }
    case 4: {
      auto blob = ReadSignatureBlob(bytes);
      if (blob.ok() && !ReadSignatureBlob(WriteSignatureBlob(*blob)).ok()) __builtin_trap();
      break;
    }
  }
  return 0;
}
