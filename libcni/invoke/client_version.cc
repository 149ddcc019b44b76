// VERSION, and the checks of a whole list that need it.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/json/json.h"
#include "libcni/conf/names.h"
#include "libcni/invoke/client_state.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

absl::StatusOr<VersionInfo> DecodeVersions(std::string_view type, std::string_view out,
                                           const base::Limits& limits) {
  auto fail = [&](std::string_view why) -> absl::Status {
    return base::Fail("cni.plugin.output").Detail("cni.plugin", type).Detail("cni.verb", "VERSION")
           << type << " (VERSION): " << why;
  };
  auto value = base::json::ParseObject(out, {.limits = &limits});
  if (!value.ok()) return fail(base::GetError(value.status()).message);
  VersionInfo info;
  const Value* version = FindFolded(*value, "cniVersion");
  if (version == nullptr || version->as_string().empty()) return fail("cniVersion is missing");
  info.cni_version = version->as_string();
  const Value* supported = FindFolded(*value, "supportedVersions");
  if (supported == nullptr || supported->empty()) {
    if (info.cni_version != "0.2.0") return fail("supportedVersions is missing");
    info.supported = {"0.1.0", "0.2.0"};
    return info;
  }
  for (const Value& item : supported->items()) {
    if (!item.is_string()) return fail("supportedVersions is not a list of strings");
    info.supported.push_back(item.as_string());
  }
  if (info.supported.empty()) return fail("supportedVersions is not a list");
  return info;
}

}  // namespace

std::string VersionInfo::ToJson() const {
  Value out = Value::MakeObject();
  out.Set("cniVersion", cni_version);
  out.Set("supportedVersions", supported);
  return base::json::Write(out);
}

std::string NamesToJson(const std::vector<std::string>& names) {
  return base::json::Write(Value(names));
}

absl::StatusOr<VersionInfo> Client::PluginVersions(const base::Op& op, std::string_view type) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  PluginCall call;
  COAM_ASSIGN_OR_RETURN(call.path, FindPlugin(s.options.plugin_dirs, type));
  State::FileKey key = {};
  if (auto st = base::StatHost(call.path); st.ok()) {
    key = {static_cast<int64_t>(st->st_dev),
           static_cast<int64_t>(st->st_ino),
           st->st_size,
           st->st_mtim.tv_sec,
           st->st_mtim.tv_nsec,
           st->st_ctim.tv_sec,
           st->st_ctim.tv_nsec};
    absl::MutexLock lock(&s.mutex);
    auto known = s.versions.find(key);
    if (known != s.versions.end()) return known->second;
  }
  call.verb = "VERSION";
  call.type = type;
  call.input = absl::StrCat("{\"cniVersion\":\"", kCurrentVersion, "\"}");
  call.netns = call.ifname = call.cni_path = "dummy";  // the oldest plugins ask for them
  auto out = RunPlugin(op, s.options, call);
  absl::StatusOr<VersionInfo> info = VersionInfo{"0.1.0", {"0.1.0"}};
  if (out.ok()) {
    info = DecodeVersions(type, *out, op.limits());
  } else if (base::GetError(out.status()).Detail("cni.msg") != "unknown CNI_COMMAND: VERSION") {
    return out.status();
  }
  if (!info.ok()) return info;
  if (key != State::FileKey{}) {
    absl::MutexLock lock(&s.mutex);
    if (s.versions.size() > 1024) s.versions.clear();
    s.versions[key] = *info;
  }
  return info;
}

absl::StatusOr<std::vector<std::string>> Client::ValidateNetworkList(const base::Op& op,
                                                                     const NetworkList& list) {
  COAM_RETURN_IF_ERROR(CheckNetworkName(list.name));
  COAM_RETURN_IF_ERROR(ParseVersion(list.cni_version).status());
  const std::string version =
      list.cni_version.empty() ? std::string(kOldestVersion) : list.cni_version;
  std::set<std::string> capabilities;
  for (size_t i = 0; i < list.plugins.size(); ++i) {
    const PluginConf& plugin = list.plugins[i];
    auto info = PluginVersions(op, plugin.type);
    if (!info.ok()) {
      return base::Wrap(info.status(), absl::StrCat("network ", list.name));
    }
    if (std::find(info->supported.begin(), info->supported.end(), version) ==
        info->supported.end()) {
      return base::Fail("cni.plugin.version")
                 .Detail("cni.plugin", plugin.type)
                 .Detail("cni.index", i)
                 .Detail("cni.network", list.name)
             << "network " << list.name << ": plugin " << plugin.type
             << " does not support version " << version << ", only "
             << absl::StrJoin(info->supported, ", ");
    }
    capabilities.insert(plugin.capabilities.begin(), plugin.capabilities.end());
  }
  return std::vector<std::string>(capabilities.begin(), capabilities.end());
}

}  // namespace coaming::cni
