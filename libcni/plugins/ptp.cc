// ptp in process: a veth pair between container and host, with the host's end as gateway. Keys and
// result are those of the reference plugin.
#include <linux/rtnetlink.h>

#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/conf/names.h"
#include "libcni/plugins/firewall.h"
#include "libcni/plugins/interface.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result_json.h"

namespace coaming::cni {
namespace {

constexpr int64_t kContainerIndex = 1;

struct Config {
  bool masquerade = false;
  int64_t mtu = 0;
  std::string ipam;
  std::optional<Dns> dns;
};

absl::StatusOr<Config> ReadConfig(const PluginInput& in) {
  COAM_RETURN_IF_ERROR(CheckNetworkName(in.network));
  Config c;
  COAM_ASSIGN_OR_RETURN(c.masquerade, ConfBool(in.conf, "ipMasq", false));
  COAM_ASSIGN_OR_RETURN(c.mtu, ConfInt(in.conf, "mtu", 0));
  if (c.mtu < 0 || c.mtu > 65535) return ConfError("mtu", "a size of packets");
  if (const base::json::Value* ipam = FindFolded(in.conf, "ipam")) {
    COAM_ASSIGN_OR_RETURN(c.ipam, ConfText(*ipam, "type", ""));
  }
  COAM_ASSIGN_OR_RETURN(c.dns, ConfDns(in.conf));
  return c;
}

IpNet Whole(const Ip& ip) { return {ip, ip.bits()}; }

// All traffic goes by the gateway, also to neighbours in the subnet: the kernel's own route to the
// subnet gives way to one through the gateway.
absl::Status RouteByGateway(Sides* sides, const Link& link, const IpConfig& ip) {
  IpNet subnet{ip.address.ip.Masked(ip.address.prefix), ip.address.prefix};
  COAM_RETURN_IF_ERROR(sides->inside.DeleteRoute({.dst = subnet, .link = link.index}));
  COAM_RETURN_IF_ERROR(sides->inside.AddRoute({.dst = Whole(ip.gateway),
                                               .source = ip.address.ip,
                                               .link = link.index,
                                               .scope = RT_SCOPE_LINK}));
  return sides->inside.AddRoute({.dst = subnet,
                                 .gateway = ip.gateway,
                                 .source = ip.address.ip,
                                 .link = link.index,
                                 .scope = RT_SCOPE_UNIVERSE});
}

absl::Status Connect(const base::Op& op, const PluginInput& in, const Config& c, Sides* sides,
                     Result* result, Link* port) {
  for (IpConfig& ip : result->ips) {
    if (!ip.gateway.ok()) {
      return base::Fail("cni.plugin.failed") << "IPAM plugin " << c.ipam << " gave no gateway";
    }
    ip.interface = kContainerIndex;
    COAM_RETURN_IF_ERROR(EnableForwarding(op, ip.address.ip.family));
  }
  COAM_ASSIGN_OR_RETURN(VethPair veth, MakeVeth(sides, in.ifname, 0, c.mtu, ""));
  *port = veth.host;
  COAM_RETURN_IF_ERROR(ConfigureInside(sides, veth.inside, *result, kContainerIndex, {}));
  for (const IpConfig& ip : result->ips) {
    COAM_RETURN_IF_ERROR(RouteByGateway(sides, veth.inside, ip));
    COAM_RETURN_IF_ERROR(sides->host.AddAddress(port->index, Whole(ip.gateway), /*no_dad=*/true));
    absl::Status routed = sides->host.AddRoute(
        {.dst = Whole(ip.address.ip), .link = port->index, .scope = RT_SCOPE_HOST});
    if (!routed.ok() && base::GetError(routed).sys_errno != EEXIST) return routed;
  }
  if (c.masquerade) {
    std::vector<IpNet> addresses;
    for (const IpConfig& ip : result->ips) addresses.push_back(ip.address);
    COAM_RETURN_IF_ERROR(MasqueradeAdd(in, addresses));
  }
  result->interfaces = {
      {.name = port->name, .mac = port->mac},
      {.name = in.ifname, .mac = veth.inside.mac, .sandbox = in.netns},
  };
  if (c.dns.has_value()) result->dns = *c.dns;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Result> PtpAdd(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  COAM_ASSIGN_OR_RETURN(Result result, IpamAdd(op, in, c.ipam));
  absl::Status status;
  Link port;
  if (result.ips.empty()) {
    status = base::Fail("cni.plugin.failed") << "IPAM plugin " << c.ipam << " gave no address";
  } else {
    status = Connect(op, in, c, &sides, &result, &port);
  }
  if (status.ok()) return result;
  if (port.index != 0) (void)sides.host.DeleteLink(port.index);
  if (c.masquerade) (void)MasqueradeDel(in);
  (void)IpamDel(base::Op(), in, c.ipam);
  return status;
}

absl::Status PtpDel(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_RETURN_IF_ERROR(IpamDel(op, in, c.ipam));
  COAM_ASSIGN_OR_RETURN(auto sides, OpenSidesIfThere(in.netns));
  if (sides.has_value()) COAM_RETURN_IF_ERROR(DeleteInside(&*sides, in.ifname));
  return c.masquerade ? MasqueradeDel(in) : absl::OkStatus();
}

absl::Status PtpCheck(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  COAM_RETURN_IF_ERROR(IpamCheck(op, in, c.ipam));
  COAM_ASSIGN_OR_RETURN(auto previous, Previous(in));
  if (!previous.has_value()) return FailCheck() << "prevResult is missing";
  return CheckInside(&sides, in, *previous);
}

}  // namespace coaming::cni
