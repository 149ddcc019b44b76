#include "libcni/plugins/interface.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/fs/tree.h"

namespace coaming::cni {
namespace {

constexpr int kNameTries = 10;

std::string Setting(std::string_view family, std::string_view link, std::string_view name) {
  return absl::StrCat("/proc/sys/net/", family, "/conf/", link, "/", name);
}

}  // namespace

absl::StatusOr<Sides> OpenSides(const std::string& netns) {
  COAM_ASSIGN_OR_RETURN(Netns opened, Netns::Open(netns));
  COAM_ASSIGN_OR_RETURN(Netlink host, Netlink::OpenHere());
  COAM_ASSIGN_OR_RETURN(base::UniqueFd socket, opened.OpenSocket());
  COAM_ASSIGN_OR_RETURN(Netlink inside, Netlink::Take(std::move(socket)));
  return Sides{std::move(opened), std::move(host), std::move(inside)};
}

absl::StatusOr<std::optional<Sides>> OpenSidesIfThere(const std::string& netns) {
  if (netns.empty()) return std::optional<Sides>();
  auto sides = OpenSides(netns);
  if (!sides.ok() && base::HasReason(sides.status(), "core.not_found")) {
    return std::optional<Sides>();
  }
  COAM_RETURN_IF_ERROR(sides.status());
  return std::optional<Sides>(*std::move(sides));
}

absl::StatusOr<VethPair> MakeVeth(Sides* sides, const std::string& ifname, int master, int64_t mtu,
                                  const std::string& mac) {
  COAM_ASSIGN_OR_RETURN(auto there, sides->inside.FindLink(ifname));
  if (there.has_value()) {
    return base::Fail("cni.plugin.failed")
           << "the container has a link called " << ifname << " already";
  }
  NewVeth veth{.master = master,
               .peer_name = ifname,
               .peer_netns_fd = sides->netns.fd(),
               .peer_mac = mac,
               .mtu = static_cast<int>(mtu)};
  absl::Status made;
  for (int i = 0; i < kNameTries; ++i) {
    veth.name = absl::StrCat("veth", base::RandomName(4));
    made = sides->host.AddVeth(veth);
    if (made.ok() || base::GetError(made).sys_errno != EEXIST) break;
  }
  COAM_RETURN_IF_ERROR(made);
  COAM_ASSIGN_OR_RETURN(auto host, sides->host.FindLink(veth.name));
  COAM_ASSIGN_OR_RETURN(auto inside, sides->inside.FindLink(ifname));
  if (host.has_value() && inside.has_value()) {
    return VethPair{*std::move(host), *std::move(inside)};
  }
  return base::Fail("cni.link") << "veth " << veth.name << " went away while it was made";
}

absl::Status ConfigureInside(Sides* sides, const Link& link, const Result& result,
                             int64_t interface,
                             std::vector<std::pair<std::string, std::string>> settings) {
  Ip gateways[2];
  bool ipv6 = false;
  for (const IpConfig& ip : result.ips) {
    if (ip.interface != interface) continue;
    ipv6 = ipv6 || ip.address.ip.family == 6;
    Ip& gateway = gateways[ip.gateway.family == 6];
    if (ip.gateway.ok() && !gateway.ok()) gateway = ip.gateway;
  }
  if (ipv6) {
    for (std::string_view name : {std::string_view("lo"), std::string_view(link.name)}) {
      settings.emplace_back(Setting("ipv6", name, "disable_ipv6"), "0");
    }
    settings.emplace_back(Setting("ipv6", link.name, "keep_addr_on_down"), "1");
    settings.emplace_back(Setting("ipv6", link.name, "accept_dad"), "0");
  }
  if (!settings.empty()) COAM_RETURN_IF_ERROR(sides->netns.WriteSettings(settings));
  for (const IpConfig& ip : result.ips) {
    if (ip.interface != interface) continue;
    COAM_RETURN_IF_ERROR(sides->inside.AddAddress(link.index, ip.address, /*no_dad=*/true));
  }
  COAM_RETURN_IF_ERROR(sides->inside.SetUp(link.index));
  for (const Route& route : result.routes) {
    NewRoute add{.dst = route.dst,
                 .gateway = route.gw,
                 .link = link.index,
                 .scope = static_cast<int>(route.scope.value_or(0)),
                 .priority = route.priority,
                 .table = route.table,
                 .mtu = route.mtu,
                 .advmss = route.advmss,
                 .append = true};
    if (!add.gateway.ok()) add.gateway = gateways[route.dst.ip.family == 6];
    COAM_RETURN_IF_ERROR(sides->inside.AddRoute(add));
  }
  return absl::OkStatus();
}

absl::Status DeleteInside(Sides* sides, const std::string& ifname) {
  COAM_ASSIGN_OR_RETURN(auto link, sides->inside.FindLink(ifname));
  return link.has_value() ? sides->inside.DeleteLink(link->index) : absl::OkStatus();
}

absl::Status WriteHostSetting(const base::Op& op, const std::string& path, std::string_view value) {
  auto now = base::ReadHostFile(op, path, 4096, "setting_bytes");
  if (now.ok() && now->substr(0, now->find('\n')) == value) return absl::OkStatus();
  auto fd = base::OpenHostFile(path, O_WRONLY);
  absl::Status status = fd.status();
  if (fd.ok()) status = base::WriteFd(fd->get(), path, value);
  if (status.ok()) return status;
  return base::Fail("cni.link").Cause(status)
         << "set " << path << " to " << value << ": " << base::GetError(status).message;
}

absl::Status EnableForwarding(const base::Op& op, int family) {
  return WriteHostSetting(
      op, family == 4 ? "/proc/sys/net/ipv4/ip_forward" : "/proc/sys/net/ipv6/conf/all/forwarding",
      "1");
}

base::ErrorMaker FailCheck() { return base::Fail("cni.plugin.failed").Detail("cni.code", 999); }

absl::Status CheckInside(Sides* sides, const PluginInput& in, const Result& previous) {
  const Interface* said = nullptr;
  int64_t index = -1;
  for (size_t i = 0; i < previous.interfaces.size(); ++i) {
    if (previous.interfaces[i].name == in.ifname && !previous.interfaces[i].sandbox.empty()) {
      said = &previous.interfaces[i];
      index = static_cast<int64_t>(i);
    }
  }
  if (said == nullptr) return FailCheck() << "the cached result has no interface " << in.ifname;
  COAM_ASSIGN_OR_RETURN(auto link, sides->inside.FindLink(in.ifname));
  if (!link.has_value()) return FailCheck() << "the container has no link " << in.ifname;
  if (!said->mac.empty() && said->mac != link->mac) {
    return FailCheck() << in.ifname << " has MAC address " << link->mac << ", not " << said->mac;
  }
  for (const IpConfig& ip : previous.ips) {
    if (ip.interface.has_value() && *ip.interface != index) continue;
    COAM_ASSIGN_OR_RETURN(auto have, sides->inside.Addresses(link->index, ip.address.ip.family));
    if (std::find(have.begin(), have.end(), ip.address) == have.end()) {
      return FailCheck() << in.ifname << " has no address " << ip.address.ToString();
    }
  }
  for (const Route& route : previous.routes) {
    if (route.table.has_value()) continue;
    COAM_ASSIGN_OR_RETURN(bool there, sides->inside.HasRoute(route.dst, route.gw, 0));
    if (!there) return FailCheck() << "the container has no route to " << route.dst.ToString();
  }
  return absl::OkStatus();
}

}  // namespace coaming::cni
