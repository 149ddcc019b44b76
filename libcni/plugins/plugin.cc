#include "libcni/plugins/plugin.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/status_macros.h"
#include "libcni/conf/runtime.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {

using base::json::Value;

absl::Status ConfError(std::string_view key, std::string_view want) {
  return base::Fail("cni.plugin.config").Detail("cni.code", 7)
         << "configuration: " << key << " is not " << want;
}

absl::StatusOr<bool> ConfBool(const Value& object, std::string_view key, bool fallback) {
  const Value* v = FindFolded(object, key);
  if (v == nullptr || v->is_null()) return fallback;
  if (!v->is_bool()) return ConfError(key, "true or false");
  return v->as_bool();
}

absl::StatusOr<int64_t> ConfInt(const Value& object, std::string_view key, int64_t fallback) {
  const Value* v = FindFolded(object, key);
  if (v == nullptr || v->is_null()) return fallback;
  std::optional<int64_t> number = v->as_int64();
  if (!number.has_value()) return ConfError(key, "an integer");
  return *number;
}

absl::StatusOr<std::string> ConfText(const Value& object, std::string_view key,
                                     std::string_view fallback) {
  const Value* v = FindFolded(object, key);
  if (v == nullptr || v->is_null()) return std::string(fallback);
  if (!v->is_string()) return ConfError(key, "a string");
  return v->as_string();
}

absl::StatusOr<std::optional<Dns>> ConfDns(const Value& conf) {
  const Value* dns = FindFolded(conf, "dns");
  if (dns == nullptr || dns->is_null()) return std::optional<Dns>();
  Value shell = Value::MakeObject();
  shell.Set("dns", *dns);
  auto read = ResultFromJson(shell, kCurrentVersion);
  if (!read.ok()) return ConfError("dns", "a list of name servers and domains");
  if (read->dns.empty()) return std::optional<Dns>();
  return std::optional<Dns>(read->dns);
}

absl::StatusOr<std::string> CniArg(const PluginInput& in, std::string_view key) {
  std::vector<std::pair<std::string, std::string>> args;
  absl::Status parsed = ParseCniArgs(in.args, &args);
  if (!parsed.ok()) {
    return base::Fail("cni.plugin.environment").Detail("cni.code", 4)
           << base::GetError(parsed).message;
  }
  std::string found;
  std::string unknown;
  bool ignore = false;
  for (const auto& [name, value] : args) {
    if (name == "IgnoreUnknown") {
      ignore = value == "1" || absl::EqualsIgnoreCase(value, "true");
    } else if (name == key) {
      found = value;
    } else {
      unknown = name;
    }
  }
  if (!unknown.empty() && !ignore) {
    return base::Fail("cni.plugin.environment").Detail("cni.code", 4)
           << "unknown argument " << unknown << " in CNI_ARGS";
  }
  return found;
}

absl::StatusOr<std::optional<Result>> Previous(const PluginInput& in) {
  const Value* previous = FindFolded(in.conf, "prevResult");
  if (previous == nullptr || previous->is_null()) return std::optional<Result>();
  COAM_ASSIGN_OR_RETURN(Result result, ResultFromJson(*previous, in.version));
  COAM_ASSIGN_OR_RETURN(Result newest, ConvertResult(result, kCurrentVersion));
  return std::optional<Result>(std::move(newest));
}

}  // namespace coaming::cni
