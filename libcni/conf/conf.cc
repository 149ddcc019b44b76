#include "libcni/conf/conf.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/conf/names.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

absl::Status WrongType(std::string_view where, std::string_view want, const Value& found) {
  return base::Fail("cni.conf.invalid")
         << where << ": want " << want << ", found " << base::json::TypeName(found.type());
}

absl::StatusOr<Value> ParseObject(std::string_view json, std::string_view what,
                                  const base::Limits& limits) {
  auto value = base::json::ParseObject(json, {.limits = &limits});
  if (value.ok()) return value;
  if (base::HasReason(value.status(), "core.limit")) {
    return base::Wrap(value.status(), what);
  }
  return base::Fail("cni.conf.invalid").Cause(value.status())
         << what << ": " << base::GetError(value.status()).message;
}

// Reads a string member of a plugin object, whose keys the reference client folds in case.
absl::Status ReadText(const Value& object, std::string_view key, std::string* out) {
  const Value* v = FindFolded(object, key);
  if (v == nullptr || v->is_null()) return absl::OkStatus();
  if (!v->is_string()) return WrongType(absl::StrCat("plugin: ", key), "a string", *v);
  *out = v->as_string();
  if (out->find('\0') != out->npos) {
    return base::Fail("cni.conf.invalid") << "plugin: " << key << " holds a NUL";
  }
  return absl::OkStatus();
}

absl::StatusOr<PluginConf> PluginFromValue(const Value& value, std::string_view source) {
  PluginConf out;
  if (!value.is_object()) return WrongType("plugin", "an object", value);
  COAM_RETURN_IF_ERROR(ReadText(value, "type", &out.type));
  COAM_RETURN_IF_ERROR(ReadText(value, "name", &out.name));
  COAM_RETURN_IF_ERROR(ReadText(value, "cniVersion", &out.cni_version));
  if (out.type.empty()) return base::Fail("cni.conf.invalid") << "plugin: type is missing";
  COAM_RETURN_IF_ERROR(CheckPluginType(out.type));
  if (const Value* caps = FindFolded(value, "capabilities"); caps != nullptr && !caps->is_null()) {
    if (!caps->is_object()) return WrongType("plugin: capabilities", "an object", *caps);
    for (const base::json::Member& member : caps->members()) {
      if (member.value.is_null()) continue;
      if (!member.value.is_bool()) {
        return WrongType(absl::StrCat("plugin: capabilities.", member.key), "a boolean",
                         member.value);
      }
      if (member.value.as_bool()) out.capabilities.push_back(member.key);
    }
  }
  if (const Value* ipam = FindFolded(value, "ipam"); ipam != nullptr && !ipam->is_null()) {
    if (!ipam->is_object()) return WrongType("plugin: ipam", "an object", *ipam);
    COAM_RETURN_IF_ERROR(ReadText(*ipam, "type", &out.ipam_type));
  }
  out.json = source;
  return out;
}

// Booleans of a list may be spelled as words.
absl::Status ReadBool(const Value& object, std::string_view key, bool* out) {
  const Value* v = object.Find(key);
  if (v == nullptr) return absl::OkStatus();
  if (v->is_bool()) {
    *out = v->as_bool();
    return absl::OkStatus();
  }
  if (v->is_string() && (absl::EqualsIgnoreCase(v->as_string(), "true") ||
                         absl::EqualsIgnoreCase(v->as_string(), "false"))) {
    *out = absl::EqualsIgnoreCase(v->as_string(), "true");
    return absl::OkStatus();
  }
  return WrongType(key, "a boolean", *v);
}

// The highest of `cniVersions` and `cniVersion` that is spoken here; `cniVersion` if none is.
absl::Status SelectVersion(const Value& object, std::string* out) {
  if (const Value* v = object.Find("cniVersion"); v != nullptr) {
    if (!v->is_string()) return WrongType("cniVersion", "a string", *v);
    *out = v->as_string();
  }
  const Value* list = object.Find("cniVersions");
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array()) return WrongType("cniVersions", "a list", *list);
  const SpecVersion current = *ParseVersion(kCurrentVersion);
  std::optional<SpecVersion> best;
  std::string best_text;
  auto consider = [&](const std::string& text) -> absl::Status {
    COAM_ASSIGN_OR_RETURN(SpecVersion version, ParseVersion(text));
    if (version <= current && (!best.has_value() || version > *best)) {
      best = version;
      best_text = text;
    }
    return absl::OkStatus();
  };
  for (const Value& item : list->items()) {
    if (!item.is_string()) return WrongType("cniVersions", "a list of strings", item);
    COAM_RETURN_IF_ERROR(consider(item.as_string()));
  }
  if (!out->empty()) COAM_RETURN_IF_ERROR(consider(*out));
  if (best.has_value()) *out = best_text;
  return absl::OkStatus();
}

absl::StatusOr<NetworkList> ListFromValue(const Value& value, std::string_view json) {
  NetworkList out;
  const Value* name = value.Find("name");
  if (name == nullptr) return base::Fail("cni.conf.invalid") << "name is missing";
  if (!name->is_string()) return WrongType("name", "a string", *name);
  out.name = name->as_string();
  COAM_RETURN_IF_ERROR(SelectVersion(value, &out.cni_version));
  COAM_RETURN_IF_ERROR(ReadBool(value, "disableCheck", &out.disable_check));
  COAM_RETURN_IF_ERROR(ReadBool(value, "disableGC", &out.disable_gc));
  COAM_RETURN_IF_ERROR(ReadBool(value, "loadOnlyInlinedPlugins", &out.load_only_inlined_plugins));
  out.json = json;
  const Value* plugins = value.Find("plugins");
  if (plugins == nullptr) {
    if (out.load_only_inlined_plugins) {
      return base::Fail("cni.conf.invalid")
             << "loadOnlyInlinedPlugins is true, but plugins is missing";
    }
    return out;
  }
  if (!plugins->is_array()) return WrongType("plugins", "a list", *plugins);
  if (plugins->empty()) return base::Fail("cni.conf.invalid") << "plugins is empty";
  int index = 0;
  for (const Value& item : plugins->items()) {
    auto plugin = PluginFromValue(item, item.Source(json));
    if (!plugin.ok()) return base::Wrap(plugin.status(), absl::StrCat("plugins[", index, "]"));
    out.plugins.push_back(*std::move(plugin));
    ++index;
  }
  return out;
}

}  // namespace

absl::StatusOr<PluginConf> ParsePluginConf(std::string_view json, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(Value value, ParseObject(json, "plugin configuration", limits));
  return PluginFromValue(value, value.Source(json));
}

absl::StatusOr<NetworkList> ParseNetworkList(std::string_view json, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(Value value, ParseObject(json, "network configuration", limits));
  auto list = ListFromValue(value, json);
  if (!list.ok()) return base::Wrap(list.status(), "network configuration");
  return list;
}

absl::StatusOr<NetworkList> ListFromPlugin(const PluginConf& plugin) {
  NetworkList out;
  out.name = plugin.name;
  out.cni_version = plugin.cni_version;
  out.plugins.push_back(plugin);
  out.json = "{\"cniVersion\":";
  base::json::AppendQuoted(out.cni_version, base::json::Escape::kGo, &out.json);
  out.json += ",\"name\":";
  base::json::AppendQuoted(out.name, base::json::Escape::kGo, &out.json);
  absl::StrAppend(&out.json, ",\"plugins\":[", plugin.json, "]}");
  return out;
}

absl::StatusOr<NetworkList> ParseNetwork(std::string_view json, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(Value value, ParseObject(json, "network configuration", limits));
  if (value.Find("plugins") == nullptr && FindFolded(value, "type") != nullptr) {
    COAM_ASSIGN_OR_RETURN(PluginConf plugin, PluginFromValue(value, value.Source(json)));
    return ListFromPlugin(plugin);
  }
  COAM_ASSIGN_OR_RETURN(NetworkList list, ParseNetworkList(json, limits));
  if (list.plugins.empty()) {
    return base::Fail("cni.conf.invalid") << "network configuration: there are no plugins";
  }
  return list;
}

}  // namespace coaming::cni
