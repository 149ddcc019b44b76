// Any bytes as each kind of document: what parses can be written and read again with the same values.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "liboci/spec/image/image_spec.h"

namespace oci = coaming::oci;

namespace {
void Must(bool good) {
  if (!good) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)oci::DetectMediaType(text);
  if (auto m = oci::ParseManifest(text); m.ok()) {
    std::string once = oci::WriteManifest(*m);
    auto again = oci::ParseManifest(once);
    Must(again.ok() && oci::WriteManifest(*again) == once && again->layers == m->layers);
  }
  if (auto i = oci::ParseIndex(text); i.ok()) {
    std::string once = oci::WriteIndex(*i);
    auto again = oci::ParseIndex(once);
    Must(again.ok() && oci::WriteIndex(*again) == once);
    // One document cannot be both (CVE-2021-41190).
    Must(!oci::ParseManifest(text).ok());
  }
  if (auto c = oci::ParseImageConfig(text); c.ok()) {
    std::string once = oci::WriteImageConfig(*c);
    auto again = oci::ParseImageConfig(once);
    Must(again.ok() && oci::WriteImageConfig(*again) == once);
  }
  if (auto d = oci::ParseDescriptor(text); d.ok()) {
    auto again = oci::ParseDescriptor(oci::WriteDescriptor(*d));
    Must(again.ok() && *again == *d);
  }
  return 0;
}
