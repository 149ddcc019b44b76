// What the plugins in process have in common: their call, their errors, reading their configuration.
// Not for users of the library: builtin.h is.
#ifndef COAMING_LIBCNI_PLUGINS_PLUGIN_H_
#define COAMING_LIBCNI_PLUGINS_PLUGIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "base/json/value.h"
#include "libcni/invoke/client.h"
#include "libcni/result/result.h"

namespace coaming::cni {

// One call of a plugin: its parameters and its configuration.
struct PluginInput {
  std::string verb;
  std::string container_id;
  std::string netns;
  std::string ifname;
  std::string args;  // CNI_ARGS
  base::json::Value conf;
  std::string network;  // conf.name
  std::string version;  // conf.cniVersion
};

// ConfError is cni.plugin.config about member `key`.
absl::Status ConfError(std::string_view key, std::string_view want);

// Reading members of a configuration; null counts as absent. Errors: cni.plugin.config.
absl::StatusOr<bool> ConfBool(const base::json::Value& object, std::string_view key, bool fallback);
absl::StatusOr<int64_t> ConfInt(const base::json::Value& object, std::string_view key,
                                int64_t fallback);
absl::StatusOr<std::string> ConfText(const base::json::Value& object, std::string_view key,
                                     std::string_view fallback);
// ConfDns reads conf.dns; nullopt if it says nothing.
absl::StatusOr<std::optional<Dns>> ConfDns(const base::json::Value& conf);
// CniArg gives the value of `key` in CNI_ARGS, or empty. Errors: cni.plugin.environment for a key that
// no plugin knows, unless IgnoreUnknown is set.
absl::StatusOr<std::string> CniArg(const PluginInput& in, std::string_view key);
// Previous reads conf.prevResult in the newest version; nullopt if there is none.
absl::StatusOr<std::optional<Result>> Previous(const PluginInput& in);

// The IPAM plugins in process: host-local and static.
bool ServesIpam(std::string_view type);
// IpamAdd gives addresses, routes and name service, without interfaces.
absl::StatusOr<Result> IpamAdd(const base::Op& op, const PluginInput& in, std::string_view type);
absl::Status IpamDel(const base::Op& op, const PluginInput& in, std::string_view type);
absl::Status IpamCheck(const base::Op& op, const PluginInput& in, std::string_view type);

// The plugins themselves. ADD gives a result of the newest version, which the caller converts.
absl::StatusOr<Result> LoopbackAdd(const base::Op& op, const PluginInput& in);
absl::Status LoopbackDel(const base::Op& op, const PluginInput& in);
absl::Status LoopbackCheck(const base::Op& op, const PluginInput& in);
absl::StatusOr<Result> BridgeAdd(const base::Op& op, const PluginInput& in);
absl::Status BridgeDel(const base::Op& op, const PluginInput& in);
absl::Status BridgeCheck(const base::Op& op, const PluginInput& in);
absl::Status BridgeGc(const base::Op& op, const PluginInput& in);
absl::StatusOr<Result> PtpAdd(const base::Op& op, const PluginInput& in);
absl::Status PtpDel(const base::Op& op, const PluginInput& in);
absl::Status PtpCheck(const base::Op& op, const PluginInput& in);
absl::StatusOr<Result> PortmapAdd(const base::Op& op, const PluginInput& in);
absl::Status PortmapDel(const base::Op& op, const PluginInput& in);
absl::Status PortmapCheck(const base::Op& op, const PluginInput& in);
absl::StatusOr<Result> HostLocalAdd(const base::Op& op, const PluginInput& in);
absl::Status HostLocalDel(const base::Op& op, const PluginInput& in);
absl::Status HostLocalCheck(const base::Op& op, const PluginInput& in);
absl::Status HostLocalGc(const base::Op& op, const PluginInput& in);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_PLUGIN_H_
