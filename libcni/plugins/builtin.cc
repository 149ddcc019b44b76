#include "libcni/plugins/builtin.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/invoke/exec.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

bool Says(const Value& conf, std::string_view key) {
  const Value* v = FindFolded(conf, key);
  if (v == nullptr || v->is_null()) return false;
  return !(v->is_bool() && !v->as_bool()) && v->as_int64() != 0;
}

bool OtherBackend(const Value& conf, std::string_view key) {
  const Value* v = FindFolded(conf, key);
  return v != nullptr && !v->is_null() && v->as_string() != "nftables";
}

std::string IpamType(const Value& conf) {
  const Value* ipam = FindFolded(conf, "ipam");
  const Value* type = ipam != nullptr ? FindFolded(*ipam, "type") : nullptr;
  return type != nullptr ? type->as_string() : "";
}

bool ServesAlways(const Value&) { return true; }

bool ServesBridge(const Value& conf) {
  for (const char* key : {"vlan", "vlanTrunk", "macspoofchk", "enabledad",
                          "disableContainerInterface", "preserveDefaultVlan"}) {
    if (Says(conf, key)) return false;
  }
  std::string ipam = IpamType(conf);
  return (ipam.empty() || ServesIpam(ipam)) && !OtherBackend(conf, "ipMasqBackend");
}

bool ServesPtp(const Value& conf) {
  return ServesIpam(IpamType(conf)) && !OtherBackend(conf, "ipMasqBackend");
}

bool ServesPortmap(const Value& conf) {
  for (const char* key : {"conditionsV4", "conditionsV6", "externalSetMarkChain"}) {
    if (Says(conf, key)) return false;
  }
  if (OtherBackend(conf, "backend")) return false;
  if (const Value* ports = conf.FindIn("runtimeConfig", "portMappings")) {
    for (const Value& port : ports->items()) {
      const Value* protocol = FindFolded(port, "protocol");
      if (protocol != nullptr && protocol->as_string() == "udp") return false;
    }
  }
  return true;
}

absl::Status Nothing(const base::Op&, const PluginInput&) { return absl::OkStatus(); }

struct Row {
  std::string_view type;
  bool (*serves)(const Value& conf);
  absl::StatusOr<Result> (*add)(const base::Op&, const PluginInput&);
  absl::Status (*del)(const base::Op&, const PluginInput&);
  absl::Status (*check)(const base::Op&, const PluginInput&);
  absl::Status (*gc)(const base::Op&, const PluginInput&);
};

constexpr Row kRows[] = {
    {"bridge", ServesBridge, BridgeAdd, BridgeDel, BridgeCheck, BridgeGc},
    {"host-local", ServesAlways, HostLocalAdd, HostLocalDel, HostLocalCheck, HostLocalGc},
    {"loopback", ServesAlways, LoopbackAdd, LoopbackDel, LoopbackCheck, Nothing},
    {"portmap", ServesPortmap, PortmapAdd, PortmapDel, PortmapCheck, Nothing},
    {"ptp", ServesPtp, PtpAdd, PtpDel, PtpCheck, BridgeGc},
};

const Row* FindRow(std::string_view type) {
  for (const Row& row : kRows) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

class All final : public BuiltinPlugins {
 public:
  bool Serves(std::string_view type, std::string_view conf_json) const override {
    const Row* row = FindRow(type);
    if (row == nullptr) return false;
    auto conf = base::json::ParseObject(conf_json);
    return conf.ok() && row->serves(*conf);
  }

  absl::StatusOr<std::string> Run(const base::Op& op, const PluginCall& call) const override {
    auto out = Dispatch(op, call);
    if (out.ok()) return out;
    return base::Wrap(out.status(), absl::StrCat(call.type, " (", call.verb, ")"));
  }

 private:
  absl::StatusOr<std::string> Dispatch(const base::Op& op, const PluginCall& call) const {
    const Row* row = FindRow(call.type);
    if (row == nullptr) return base::Fail("core.internal") << "no plugin of that name in process";
    PluginInput in;
    in.verb = call.verb;
    in.container_id = call.container_id;
    in.netns = call.netns;
    in.ifname = call.ifname;
    in.args = call.args;
    COAM_ASSIGN_OR_RETURN(in.conf, base::json::ParseObject(call.input, {.limits = &op.limits()}));
    COAM_ASSIGN_OR_RETURN(in.network, ConfText(in.conf, "name", ""));
    COAM_ASSIGN_OR_RETURN(in.version, ConfText(in.conf, "cniVersion", ""));
    if (in.version.empty()) in.version = kOldestVersion;
    if (call.verb == "ADD") {
      if (in.netns.empty()) {
        return base::Fail("cni.plugin.environment").Detail("cni.code", 4) << "CNI_NETNS is missing";
      }
      COAM_ASSIGN_OR_RETURN(Result result, row->add(op, in));
      COAM_ASSIGN_OR_RETURN(Result converted, ConvertResult(result, in.version));
      return WriteResult(converted);
    }
    if (call.verb == "DEL") {
      COAM_RETURN_IF_ERROR(row->del(op, in));
    } else if (call.verb == "CHECK") {
      COAM_RETURN_IF_ERROR(row->check(op, in));
    } else if (call.verb == "GC") {
      COAM_RETURN_IF_ERROR(row->gc(op, in));
    }
    return std::string();  // STATUS: nothing outside is needed
  }
};

}  // namespace

const BuiltinPlugins& Builtins() {
  static const All* const kAll = new All;
  return *kAll;
}

bool ServesIpam(std::string_view type) { return type == "host-local"; }

absl::StatusOr<Result> IpamAdd(const base::Op& op, const PluginInput& in, std::string_view) {
  return HostLocalAdd(op, in);
}

absl::Status IpamDel(const base::Op& op, const PluginInput& in, std::string_view) {
  return HostLocalDel(op, in);
}

absl::Status IpamCheck(const base::Op& op, const PluginInput& in, std::string_view) {
  return HostLocalCheck(op, in);
}

}  // namespace coaming::cni
