// Any bytes as a manifest of either kind: no crash, and what is accepted survives a rewrite.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libaci/schema/isolator.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/pod_manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace aci = coaming::aci;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  aci::ManifestKind(text);
  aci::DescribeBroken(text);
  if (auto image = aci::ParseImageManifest(text); image.ok()) {
    const std::string written = image->ToJson();
    auto again = aci::ParseImageManifest(written);
    if (!again.ok() || again->ToJson() != written) std::abort();
    if (image->app) {
      for (const aci::Isolator& isolator : image->app->isolators) {
        if (!aci::ReadIsolator(isolator).ok()) std::abort();
      }
    }
  }
  if (auto pod = aci::ParsePodManifest(text); pod.ok()) {
    const std::string written = pod->ToJson();
    auto again = aci::ParsePodManifest(written);
    if (!again.ok() || again->ToJson() != written) std::abort();
  }
  return 0;
}
