#include "libcni/cache/format.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/result/result_json.h"

namespace coaming::cni {
namespace {

using base::json::Value;

constexpr char kKind[] = "cniCacheV1";

absl::Status Corrupt(std::string_view what) {
  return base::Fail("cni.cache.corrupt") << "cached attachment: " << what;
}

absl::Status ReadText(const Value& object, std::string_view key, std::string* out) {
  const Value* v = FindFolded(object, key);
  if (v == nullptr || v->is_null()) return absl::OkStatus();
  if (!v->is_string()) return Corrupt(absl::StrCat(key, " is not a string"));
  *out = v->as_string();
  return absl::OkStatus();
}

absl::Status ReadArgs(const Value& object, Runtime* runtime) {
  const Value* args = FindFolded(object, "cniArgs");
  if (args == nullptr || args->is_null()) return absl::OkStatus();
  if (!args->is_array()) return Corrupt("cniArgs is not a list");
  for (const Value& pair : args->items()) {
    if (pair.items().size() != 2 || !pair.items()[0].is_string() || !pair.items()[1].is_string()) {
      return Corrupt("cniArgs is not a list of pairs");
    }
    runtime->args.emplace_back(pair.items()[0].as_string(), pair.items()[1].as_string());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeAttachment(const CachedAttachment& attachment,
                                             const base::Limits& limits) {
  const Runtime& runtime = attachment.runtime;
  Value out = Value::MakeObject();
  out.Set("kind", kKind);
  out.Set("containerId", runtime.container_id);
  out.Set("config", absl::Base64Escape(attachment.config_json));
  out.Set("ifName", runtime.ifname);
  out.Set("networkName", attachment.network);
  if (!runtime.netns.empty()) out.Set("netns", runtime.netns);
  if (!runtime.args.empty()) {
    Value& list = out.Set("cniArgs", Value::MakeArray());
    for (const auto& [key, value] : runtime.args) {
      Value& pair = list.Push(Value::MakeArray());
      pair.Push(key);
      pair.Push(value);
    }
  }
  if (!runtime.capabilities.empty()) {
    Value& object = out.Set("capabilityArgs", Value::MakeObject());
    for (const auto& [key, json] : runtime.capabilities.values()) {
      auto value = base::json::Parse(json, {.limits = &limits});
      if (!value.ok()) {
        return base::Fail("cni.conf.invalid").Cause(value.status())
               << "capability argument " << key << ": " << base::GetError(value.status()).message;
      }
      object.Set(key, *std::move(value));
    }
  }
  if (attachment.result.has_value()) out.Set("result", ResultToJson(*attachment.result));
  return base::json::Write(out, {.escape = base::json::Escape::kGo});
}

absl::StatusOr<CachedAttachment> DecodeAttachment(std::string_view text,
                                                  const base::Limits& limits) {
  auto parsed = base::json::ParseObject(text, {.limits = &limits});
  if (!parsed.ok()) {
    if (base::HasReason(parsed.status(), "core.limit")) return parsed.status();
    return Corrupt(base::GetError(parsed.status()).message);
  }
  CachedAttachment out;
  const Value* kind = FindFolded(*parsed, "kind");
  if (kind == nullptr || kind->as_string() != kKind) {
    auto result = ResultFromJson(*parsed, "");
    if (!result.ok()) return Corrupt(base::GetError(result.status()).message);
    // Any object reads as an empty result; one that says nothing at all is none.
    if (parsed->Find("cniVersion") == nullptr && result->ips.empty()) {
      return Corrupt("neither a cached attachment nor a result");
    }
    out.legacy = true;
    out.result = *std::move(result);
    return out;
  }
  std::string config;
  COAM_RETURN_IF_ERROR(ReadText(*parsed, "containerId", &out.runtime.container_id));
  COAM_RETURN_IF_ERROR(ReadText(*parsed, "config", &config));
  COAM_RETURN_IF_ERROR(ReadText(*parsed, "ifName", &out.runtime.ifname));
  COAM_RETURN_IF_ERROR(ReadText(*parsed, "networkName", &out.network));
  COAM_RETURN_IF_ERROR(ReadText(*parsed, "netns", &out.runtime.netns));
  COAM_RETURN_IF_ERROR(ReadArgs(*parsed, &out.runtime));
  if (!absl::Base64Unescape(config, &out.config_json)) return Corrupt("config is not base64");
  if (const Value* args = FindFolded(*parsed, "capabilityArgs");
      args != nullptr && !args->is_null()) {
    absl::Status merged = out.runtime.capabilities.Merge(args->Source(text));
    if (!merged.ok()) return Corrupt(base::GetError(merged).message);
  }
  if (const Value* result = FindFolded(*parsed, "result");
      result != nullptr && !result->is_null()) {
    auto read = ResultFromJson(*result, "");
    if (!read.ok()) return Corrupt(base::GetError(read.status()).message);
    out.result = *std::move(read);
  }
  return out;
}

}  // namespace coaming::cni
