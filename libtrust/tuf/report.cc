#include "libtrust/tuf/report.h"

#include "base/json/json.h"

namespace coaming::trust::tuf {

using base::json::Value;

std::string TargetToJson(const TargetFile& target) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.tuf.target.v1");
  out.Set("path", target.path);
  out.Set("length", target.length);
  Value& hashes = out.Set("hashes", Value::MakeObject());
  for (const auto& [algorithm, hash] : target.hashes) hashes.Set(algorithm, hash);
  if (target.custom) out.Set("custom", *target.custom);
  return base::json::Write(out);
}

std::string StateToJson(const TrustedSet* set) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.tuf.state.v1");
  auto add = [&out](const Metadata* metadata) {
    if (metadata == nullptr) return;
    Value& role = out.Set(RoleName(metadata->role), Value::MakeObject());
    role.Set("version", metadata->version);
    role.Set("expires", FormatExpiry(metadata->expires));
  };
  if (set != nullptr) {
    add(&set->root());
    add(set->timestamp());
    add(set->snapshot());
    add(set->targets());
  }
  return base::json::Write(out);
}

}  // namespace coaming::trust::tuf
