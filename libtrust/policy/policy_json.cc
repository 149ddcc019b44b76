// A policy written out again, with what its readers fill in.
#include "absl/strings/str_cat.h"
#include "base/json/json.h"
#include "libtrust/policy/policy.h"
#include "libtrust/policy/table.h"

namespace coaming::trust {
namespace {

using base::json::Value;

Value Identity(const Requirement& r) {
  Value out = Value::MakeObject();
  switch (r.match) {
    case IdentityMatch::kExact: out.Set("type", "matchExact"); break;
    case IdentityMatch::kRepoDigestOrExact: out.Set("type", "matchRepoDigestOrExact"); break;
    case IdentityMatch::kRepository: out.Set("type", "matchRepository"); break;
    case IdentityMatch::kExactReference:
      out.Set("type", "exactReference");
      out.Set("dockerReference", r.reference);
      break;
    case IdentityMatch::kExactRepository:
      out.Set("type", "exactRepository");
      out.Set("dockerRepository", r.reference);
      break;
    case IdentityMatch::kRemap:
      out.Set("type", "remapIdentity");
      out.Set("prefix", r.prefix);
      out.Set("signedPrefix", r.signed_prefix);
      break;
  }
  return out;
}

Value Requirements(const std::vector<Requirement>& list) {
  Value out = Value::MakeArray();
  for (const Requirement& r : list) {
    Value& one = out.Push(Value::MakeObject());
    one.Set("type", FindRequirement(r.kind)->type);
    if (r.kind == Requirement::Kind::kAccept || r.kind == Requirement::Kind::kReject) continue;
    if (!r.key_type.empty()) one.Set("keyType", r.key_type);
    if (!r.key_paths.empty()) one.Set("keyPaths", r.key_paths);
    if (!r.key_datas.empty()) one.Set("keysGiven", r.key_datas.size());
    if (!r.unsupported.empty()) one.Set("unsupported", r.unsupported);
    one.Set("signedIdentity", Identity(r));
  }
  return out;
}

}  // namespace

std::string TrustPolicy::ToJson() const {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.policy.v1");
  out.Set("default", Requirements(default_));
  Value& transports = out.Set("transports", Value::MakeObject());
  for (const auto& [transport, scopes] : transports_) {
    Value& object = transports.Set(transport, Value::MakeObject());
    for (const auto& [scope, requirements] : scopes) object.Set(scope, Requirements(requirements));
  }
  return base::json::Write(out);
}

}  // namespace coaming::trust
