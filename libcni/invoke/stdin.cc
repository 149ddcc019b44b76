#include "libcni/invoke/stdin.h"

#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

absl::StatusOr<Value> RuntimeConfig(const PluginConf& plugin, const CapabilityArgs& args,
                                    const base::Limits& limits) {
  Value out = Value::MakeObject();
  for (const std::string& capability : plugin.capabilities) {
    const std::string* json = args.Find(capability);
    if (json == nullptr) continue;
    COAM_ASSIGN_OR_RETURN(Value value, base::json::Parse(*json, {.limits = &limits}));
    out.Set(capability, std::move(value));
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> BuildStdin(const StdinParts& parts, const base::Limits& limits) {
  auto parsed = base::json::ParseObject(parts.plugin->json, {.limits = &limits});
  if (!parsed.ok()) {
    return base::Fail("cni.conf.invalid").Cause(parsed.status())
           << "configuration of plugin " << parts.plugin->type << ": "
           << base::GetError(parsed.status()).message;
  }
  Value conf = *std::move(parsed);
  conf.Set("name", parts.list->name);
  conf.Set("cniVersion", parts.list->cni_version);
  if (parts.runtime != nullptr && !parts.exact) {
    conf.Remove("capabilities");
    conf.Remove("prevResult");
  }
  if (parts.previous != nullptr) conf.Set("prevResult", ResultToJson(*parts.previous));
  if (parts.runtime != nullptr) {
    COAM_ASSIGN_OR_RETURN(Value runtime,
                          RuntimeConfig(*parts.plugin, parts.runtime->capabilities, limits));
    if (!runtime.empty()) conf.Set("runtimeConfig", std::move(runtime));
  }
  if (parts.valid != nullptr) {
    Value list = Value::MakeArray();
    for (const AttachmentId& id : *parts.valid) {
      Value& item = list.Push(Value::MakeObject());
      item.Set("containerID", id.container_id);
      item.Set("ifname", id.ifname);
    }
    conf.Set("cni.dev/attachments", list);
    conf.Set("cni.dev/valid-attachments", std::move(list));
  }
  return base::json::Write(conf, {.escape = base::json::Escape::kGo, .sort_keys = true});
}

}  // namespace coaming::cni
