// Any bytes as a discovery page: no crash, nothing fetched, and tags that are what they claim.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/core/limits.h"
#include "libaci/discovery/discovery.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace aci = coaming::aci;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const coaming::base::Limits limits;
  static const aci::AppName& app = *new aci::AppName(*aci::AppName::Parse("example.com/app:1"));
  for (const aci::MetaTag& tag : aci::ReadMetaTags(text, limits)) {
    if (tag.name.rfind("ac-", 0) != 0 || tag.prefix.empty() || tag.uri.empty()) std::abort();
    aci::PrefixCovers(tag.prefix, app.name);
    aci::ExpandTemplate(tag.uri, app, "aci");
  }
  if (auto name = aci::AppName::Parse(text); name.ok()) {
    auto again = aci::AppName::Parse(name->ToString());
    if (!again.ok() || again->ToString() != name->ToString()) std::abort();
  }
  return 0;
}
