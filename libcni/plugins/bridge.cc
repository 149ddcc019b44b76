// bridge in process: a veth pair between the container and a bridge of the host. Keys, result and
// on-disk state are those of the reference plugin; unlike it nothing is left behind when a step fails,
// and DEL removes the masquerade rules also when the namespace is gone.
#include <linux/if.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/conf/names.h"
#include "libcni/plugins/firewall.h"
#include "libcni/plugins/interface.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

constexpr int64_t kContainerIndex = 2;  // in the result's interfaces
constexpr int kPortStepMs = 2;
constexpr int kPortWaitMs = 2550;

struct Config {
  std::string bridge;
  bool gateway = false;
  bool default_gateway = false;
  bool force_address = false;
  bool masquerade = false;
  bool hairpin = false;
  bool promiscuous = false;
  bool isolated = false;
  int64_t mtu = 0;
  std::string mac;
  std::string ipam;
  std::optional<Dns> dns;
};

absl::StatusOr<Config> ReadConfig(const PluginInput& in) {
  COAM_RETURN_IF_ERROR(CheckNetworkName(in.network));
  Config c;
  COAM_ASSIGN_OR_RETURN(c.bridge, ConfText(in.conf, "bridge", "cni0"));
  if (!CheckInterfaceName(c.bridge).ok()) return ConfError("bridge", "the name of a link");
  COAM_ASSIGN_OR_RETURN(c.gateway, ConfBool(in.conf, "isGateway", false));
  COAM_ASSIGN_OR_RETURN(c.default_gateway, ConfBool(in.conf, "isDefaultGateway", false));
  c.gateway = c.gateway || c.default_gateway;
  COAM_ASSIGN_OR_RETURN(c.force_address, ConfBool(in.conf, "forceAddress", false));
  COAM_ASSIGN_OR_RETURN(c.masquerade, ConfBool(in.conf, "ipMasq", false));
  COAM_ASSIGN_OR_RETURN(c.hairpin, ConfBool(in.conf, "hairpinMode", false));
  COAM_ASSIGN_OR_RETURN(c.promiscuous, ConfBool(in.conf, "promiscMode", false));
  COAM_ASSIGN_OR_RETURN(c.isolated, ConfBool(in.conf, "portIsolation", false));
  if (c.hairpin && c.promiscuous) {
    return ConfError("hairpinMode", "possible together with promiscMode");
  }
  COAM_ASSIGN_OR_RETURN(c.mtu, ConfInt(in.conf, "mtu", 0));
  if (c.mtu < 0 || c.mtu > 65535) return ConfError("mtu", "a size of packets");
  COAM_ASSIGN_OR_RETURN(c.mac, CniArg(in, "MAC"));
  if (const Value* args = in.conf.FindIn("args", "cni")) {
    COAM_ASSIGN_OR_RETURN(c.mac, ConfText(*args, "mac", c.mac));
  }
  if (const Value* runtime = FindFolded(in.conf, "runtimeConfig")) {
    COAM_ASSIGN_OR_RETURN(c.mac, ConfText(*runtime, "mac", c.mac));
  }
  if (const Value* ipam = FindFolded(in.conf, "ipam")) {
    COAM_ASSIGN_OR_RETURN(c.ipam, ConfText(*ipam, "type", ""));
  }
  COAM_ASSIGN_OR_RETURN(c.dns, ConfDns(in.conf));
  return c;
}

absl::StatusOr<Link> FindBridge(Netlink* host, const std::string& name) {
  COAM_ASSIGN_OR_RETURN(auto link, host->FindLink(name));
  if (!link.has_value()) return base::Fail("cni.link") << "bridge " << name << " is not there";
  if (link->kind != "bridge") return base::Fail("cni.link") << name << " is no bridge";
  return *std::move(link);
}

absl::StatusOr<Link> EnsureBridge(const base::Op& op, Netlink* host, const Config& c) {
  COAM_ASSIGN_OR_RETURN(auto there, host->FindLink(c.bridge));
  if (!there.has_value()) {
    COAM_RETURN_IF_ERROR(host->AddBridge(c.bridge, static_cast<int>(c.mtu)));
    // Routes of this link are ours; without IPv6 there is nothing to set.
    (void)WriteHostSetting(op, absl::StrCat("/proc/sys/net/ipv6/conf/", c.bridge, "/accept_ra"),
                           "0");
  }
  COAM_ASSIGN_OR_RETURN(Link bridge, FindBridge(host, c.bridge));
  if (c.promiscuous && bridge.promiscuity == 0) {
    COAM_RETURN_IF_ERROR(host->SetPromiscuous(bridge.index));
  }
  if (!bridge.up()) COAM_RETURN_IF_ERROR(host->SetUp(bridge.index));
  return bridge;
}

// Fills in gateways and default routes; gives the addresses that the bridge must have.
std::vector<IpNet> Gateways(const Config& c, Result* result) {
  std::vector<IpNet> out;
  for (IpConfig& ip : result->ips) {
    ip.interface = kContainerIndex;
    if (!c.gateway) continue;
    if (!ip.gateway.ok()) ip.gateway = ip.address.ip.Masked(ip.address.prefix).Next();
    out.push_back({ip.gateway, ip.address.prefix});
    if (!c.default_gateway) continue;
    IpNet everything;
    everything.ip.family = ip.address.ip.family;
    bool found = false;
    for (const Route& route : result->routes) {
      found = found || (route.dst == everything && route.gw.ok());
    }
    if (!found) result->routes.push_back({.dst = everything, .gw = ip.gateway});
  }
  return out;
}

absl::Status EnsureAddress(Netlink* host, const Link& bridge, const IpNet& address, bool force) {
  COAM_ASSIGN_OR_RETURN(auto have, host->Addresses(bridge.index, address.ip.family));
  for (const IpNet& each : have) {
    if (each == address) return absl::OkStatus();
    // Several IPv6 subnets may live on one bridge.
    if (address.ip.family == 6 && !each.Contains(address.ip) && !address.Contains(each.ip))
      continue;
    if (!force) {
      return base::Fail("cni.link") << bridge.name << " has the address " << each.ToString()
                                    << ", which is not " << address.ToString();
    }
    COAM_RETURN_IF_ERROR(host->DeleteAddress(bridge.index, each));
  }
  COAM_RETURN_IF_ERROR(host->AddAddress(bridge.index, address, /*no_dad=*/true));
  // Else the bridge would take the lowest address of its ports, which come and go. It may have taken
  // another one just now, with its first port.
  COAM_ASSIGN_OR_RETURN(auto now, host->LinkByIndex(bridge.index));
  return now.has_value() ? host->SetMac(bridge.index, now->mac) : absl::OkStatus();
}

// Waits until the bridge forwards for the port.
absl::Status WaitForPort(const base::Op& op, Netlink* host, Link* port) {
  for (int waited = 0;; waited += kPortStepMs) {
    COAM_ASSIGN_OR_RETURN(auto link, host->LinkByIndex(port->index));
    if (!link.has_value()) return base::Fail("cni.link") << port->name << " went away";
    *port = *std::move(link);
    if (port->operstate == IF_OPER_UP) return absl::OkStatus();
    if (waited >= kPortWaitMs) {
      return base::Fail("cni.link") << "bridge port " << port->name << " does not come up";
    }
    COAM_RETURN_IF_ERROR(op.Check());
    pollfd wait = {
        .fd = op.cancel() != nullptr ? op.cancel()->fd() : -1, .events = POLLIN, .revents = 0};
    (void)poll(&wait, 1, kPortStepMs);
  }
}

// Everything after IPAM. On failure the caller deletes what *port names.
absl::Status Connect(const base::Op& op, const PluginInput& in, const Config& c, Sides* sides,
                     Result* result, Link* port) {
  COAM_ASSIGN_OR_RETURN(Link bridge, EnsureBridge(op, &sides->host, c));
  COAM_ASSIGN_OR_RETURN(VethPair veth, MakeVeth(sides, in.ifname, bridge.index, c.mtu, c.mac));
  *port = veth.host;
  if (c.hairpin || c.isolated) {
    COAM_RETURN_IF_ERROR(sides->host.SetBridgePort(port->index, c.hairpin, c.isolated));
  }
  if (c.ipam.empty()) {
    COAM_RETURN_IF_ERROR(sides->inside.SetUp(veth.inside.index));
  } else {
    std::vector<IpNet> gateways = Gateways(c, result);
    COAM_RETURN_IF_ERROR(ConfigureInside(
        sides, veth.inside, *result, kContainerIndex,
        {{absl::StrCat("/proc/sys/net/ipv4/conf/", in.ifname, "/arp_notify"), "1"}}));
    for (const IpNet& gateway : gateways) {
      COAM_RETURN_IF_ERROR(EnsureAddress(&sides->host, bridge, gateway, c.force_address));
      COAM_RETURN_IF_ERROR(EnableForwarding(op, gateway.ip.family));
    }
    if (c.masquerade) {
      std::vector<IpNet> addresses;
      for (const IpConfig& ip : result->ips) addresses.push_back(ip.address);
      COAM_RETURN_IF_ERROR(MasqueradeAdd(in, addresses));
    }
  }
  COAM_RETURN_IF_ERROR(WaitForPort(op, &sides->host, port));
  COAM_ASSIGN_OR_RETURN(bridge, FindBridge(&sides->host, c.bridge));
  result->interfaces = {
      {.name = bridge.name, .mac = bridge.mac},
      {.name = port->name, .mac = port->mac},
      {.name = in.ifname, .mac = veth.inside.mac, .sandbox = in.netns},
  };
  if (c.dns.has_value()) result->dns = *c.dns;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Result> BridgeAdd(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  Result result;
  result.cni_version = kCurrentVersion;
  if (!c.ipam.empty()) {
    COAM_ASSIGN_OR_RETURN(result, IpamAdd(op, in, c.ipam));
    if (result.ips.empty()) {
      return base::Fail("cni.plugin.failed") << "IPAM plugin " << c.ipam << " gave no address";
    }
  }
  Link port;
  absl::Status status = Connect(op, in, c, &sides, &result, &port);
  if (status.ok()) return result;
  const base::Op cleanup;
  if (port.index != 0) (void)sides.host.DeleteLink(port.index);
  if (c.masquerade) (void)MasqueradeDel(in);
  if (!c.ipam.empty()) (void)IpamDel(cleanup, in, c.ipam);
  return status;
}

absl::Status BridgeDel(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(auto sides, OpenSidesIfThere(in.netns));
  if (sides.has_value()) COAM_RETURN_IF_ERROR(DeleteInside(&*sides, in.ifname));
  if (!c.ipam.empty()) COAM_RETURN_IF_ERROR(IpamDel(op, in, c.ipam));
  if (!c.ipam.empty() && c.masquerade) COAM_RETURN_IF_ERROR(MasqueradeDel(in));
  return absl::OkStatus();
}

absl::Status BridgeCheck(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  if (!c.ipam.empty()) COAM_RETURN_IF_ERROR(IpamCheck(op, in, c.ipam));
  COAM_ASSIGN_OR_RETURN(auto previous, Previous(in));
  if (!previous.has_value()) return FailCheck() << "prevResult is missing";
  COAM_ASSIGN_OR_RETURN(auto bridge, sides.host.FindLink(c.bridge));
  if (!bridge.has_value() || bridge->kind != "bridge") {
    return FailCheck() << "there is no bridge " << c.bridge;
  }
  COAM_ASSIGN_OR_RETURN(auto inside, sides.inside.FindLink(in.ifname));
  if (!inside.has_value()) return FailCheck() << "the container has no link " << in.ifname;
  if (inside->kind != "veth") return FailCheck() << in.ifname << " is no veth";
  COAM_ASSIGN_OR_RETURN(auto port, sides.host.LinkByIndex(inside->peer));
  if (!port.has_value() || port->master != bridge->index) {
    return FailCheck() << "the host's end of " << in.ifname << " is no port of " << c.bridge;
  }
  return CheckInside(&sides, in, *previous);
}

absl::Status BridgeGc(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config c, ReadConfig(in));
  const Value* valid = in.conf.Find("cni.dev/valid-attachments");
  if (valid == nullptr || !valid->is_array()) return absl::OkStatus();
  std::vector<AttachmentId> keep;
  for (const Value& item : valid->items()) {
    COAM_ASSIGN_OR_RETURN(std::string id, ConfText(item, "containerID", ""));
    COAM_ASSIGN_OR_RETURN(std::string ifname, ConfText(item, "ifname", ""));
    keep.push_back({std::move(id), std::move(ifname)});
  }
  if (c.ipam == "host-local") COAM_RETURN_IF_ERROR(HostLocalGc(op, in));
  return c.masquerade ? MasqueradeGc(in.network, keep) : absl::OkStatus();
}

}  // namespace coaming::cni
