// Any bytes: parse, and if that works, what is written parses back to the same tree.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json/json.h"
#include "base/json/reader.h"

namespace json = coaming::base::json;

namespace {

void CheckSlices(const json::Value& v, std::string_view text) {
  if (v.source_offset() + v.source_size() > text.size() || v.source_size() == 0) std::abort();
  absl::StatusOr<json::Value> again = json::Parse(v.Source(text));
  if (!again.ok() || !(*again == v)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<json::Value> v = json::Parse(text);
  if (!v.ok()) return 0;
  CheckSlices(*v, text);
  for (const json::Value& item : v->items()) CheckSlices(item, text);
  for (const json::Member& m : v->members()) CheckSlices(m.value, text);
  for (json::Escape escape : {json::Escape::kMinimal, json::Escape::kGo}) {
    absl::StatusOr<json::Value> again =
        json::Parse(json::Write(*v, {.indent = "\t", .escape = escape}));
    // Indentation may pass the size limit; nothing else may fail.
    if (again.ok() && !(*again == *v)) std::abort();
    if (!again.ok() && size < (1 << 14)) std::abort();
  }
  (void)json::WriteCanonical(*v);
  return 0;
}
