// portmap in process: forwards ports of the host by nftables.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/plugins/firewall.h"
#include "libcni/plugins/interface.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result_json.h"

namespace coaming::cni {
namespace {

using base::json::Value;

absl::StatusOr<PortMapping> ReadPort(const Value& item) {
  PortMapping port;
  COAM_ASSIGN_OR_RETURN(int64_t host, ConfInt(item, "hostPort", 0));
  COAM_ASSIGN_OR_RETURN(int64_t container, ConfInt(item, "containerPort", 0));
  COAM_ASSIGN_OR_RETURN(port.protocol, ConfText(item, "protocol", ""));
  COAM_ASSIGN_OR_RETURN(port.host_ip, ConfText(item, "hostIP", ""));
  if (host <= 0 || host > 65535) return ConfError("hostPort", "a port number");
  if (container <= 0 || container > 65535) return ConfError("containerPort", "a port number");
  if (port.protocol != "tcp" && port.protocol != "udp" && port.protocol != "sctp") {
    return ConfError("protocol", "tcp, udp or sctp");
  }
  if (!port.host_ip.empty() && !ParseIp(port.host_ip).has_value()) {
    return ConfError("hostIP", "an IP address");
  }
  port.host_port = static_cast<int>(host);
  port.container_port = static_cast<int>(container);
  return port;
}

absl::StatusOr<Forwarding> ReadConfig(const PluginInput& in) {
  Forwarding out;
  COAM_ASSIGN_OR_RETURN(out.snat, ConfBool(in.conf, "snat", true));
  COAM_ASSIGN_OR_RETURN(out.masquerade_all, ConfBool(in.conf, "masqAll", false));
  const Value* ports = in.conf.FindIn("runtimeConfig", "portMappings");
  if (ports == nullptr || ports->is_null()) return out;
  if (!ports->is_array()) return ConfError("portMappings", "a list");
  for (const Value& item : ports->items()) {
    COAM_ASSIGN_OR_RETURN(PortMapping port, ReadPort(item));
    out.ports.push_back(std::move(port));
  }
  return out;
}

// The first address of each family that the container's interface has.
std::vector<Ip> Targets(const PluginInput& in, const Result& previous) {
  std::vector<Ip> out;
  for (int family : {4, 6}) {
    for (const IpConfig& ip : previous.ips) {
      if (ip.address.ip.family != family) continue;
      if (ip.interface.has_value() && *ip.interface >= 0 &&
          *ip.interface < static_cast<int64_t>(previous.interfaces.size())) {
        const Interface& of = previous.interfaces[static_cast<size_t>(*ip.interface)];
        if (of.name != in.ifname || of.sandbox.empty()) continue;
      }
      out.push_back(ip.address.ip);
      break;
    }
  }
  return out;
}

// Lets connections from 127.0.0.1 leave by the link that leads to the container.
absl::Status AllowLocal(const base::Op& op, const Ip& address) {
  COAM_ASSIGN_OR_RETURN(Netlink host, Netlink::OpenHere());
  COAM_ASSIGN_OR_RETURN(int index, host.RouteLink(address));
  COAM_ASSIGN_OR_RETURN(auto link, host.LinkByIndex(index));
  if (!link.has_value()) return absl::OkStatus();
  return WriteHostSetting(
      op, absl::StrCat("/proc/sys/net/ipv4/conf/", link->name, "/route_localnet"), "1");
}

}  // namespace

absl::StatusOr<Result> PortmapAdd(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Forwarding forwarding, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(auto previous, Previous(in));
  if (!previous.has_value()) {
    return base::Fail("cni.plugin.failed") << "portmap must be called as chained plugin";
  }
  if (forwarding.ports.empty()) return *std::move(previous);
  for (const Ip& address : Targets(in, *previous)) {
    absl::Status status = ForwardAdd(in, forwarding, address);
    if (status.ok() && forwarding.snat && address.family == 4) status = AllowLocal(op, address);
    if (!status.ok()) {
      (void)ForwardDel(in);
      return status;
    }
  }
  return *std::move(previous);
}

absl::Status PortmapDel(const base::Op&, const PluginInput& in) { return ForwardDel(in); }

absl::Status PortmapCheck(const base::Op&, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Forwarding forwarding, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(auto previous, Previous(in));
  if (!previous.has_value()) return FailCheck() << "prevResult is missing";
  if (forwarding.ports.empty()) return absl::OkStatus();
  for (const Ip& address : Targets(in, *previous)) {
    COAM_RETURN_IF_ERROR(ForwardCheck(in, forwarding, address));
  }
  return absl::OkStatus();
}

}  // namespace coaming::cni
