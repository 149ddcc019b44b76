#include "libcni/plugins/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::cni {
namespace {

constexpr size_t kBuffer = 64 << 10;

// One request under construction.
class Request {
 public:
  Request(uint16_t type, uint16_t flags) : header_(mnl_nlmsg_put_header(buffer_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  }
  nlmsghdr* get() { return header_; }

  template <typename T>
  T* Extra() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void Text(uint16_t type, std::string_view text) {
    std::string copy(text.substr(0, 1000));
    mnl_attr_put_strz(header_, type, copy.c_str());
  }
  void U32(uint16_t type, uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void U8(uint16_t type, uint8_t value) { mnl_attr_put_u8(header_, type, value); }
  void Bytes(uint16_t type, const void* data, size_t size) {
    mnl_attr_put(header_, type, size, data);
  }
  void Address(uint16_t type, const Ip& ip) {
    Bytes(type, ip.bytes.data(), static_cast<size_t>(ip.size()));
  }
  // Calls `inside` between the start and the end of a nested attribute.
  template <typename F>
  void Nest(uint16_t type, F inside) {
    nlattr* nest = mnl_attr_nest_start(header_, type);
    inside();
    mnl_attr_nest_end(header_, nest);
  }

 private:
  alignas(8) std::array<char, 2048> buffer_ = {};
  nlmsghdr* header_;
};

uint8_t FamilyOf(const Ip& ip) { return ip.family == 4 ? AF_INET : AF_INET6; }

std::optional<std::array<uint8_t, 6>> ParseMac(std::string_view text) {
  std::array<uint8_t, 6> mac;
  if (text.size() != 17) return std::nullopt;
  for (size_t i = 0; i < 6; ++i) {
    int value = 0;
    for (size_t k = 0; k < 2; ++k) {
      char c = text[3 * i + k];
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
      if (digit < 0) return std::nullopt;
      value = value * 16 + digit;
    }
    if (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-') return std::nullopt;
    mac[i] = static_cast<uint8_t>(value);
  }
  return mac;
}

absl::StatusOr<std::array<uint8_t, 6>> NeedMac(std::string_view text) {
  auto mac = ParseMac(text);
  if (mac.has_value()) return *mac;
  return base::Fail("cni.plugin.config") << "\"" << text.substr(0, 64) << "\" is no MAC address";
}

// Calls `each(attribute)` for the attributes behind a header of `extra` bytes.
template <typename F>
void EachAttr(const nlmsghdr* message, size_t extra, F each) {
  const char* at = static_cast<const char*>(mnl_nlmsg_get_payload_offset(message, extra));
  const char* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  for (auto* attr = reinterpret_cast<const nlattr*>(at);
       mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char*>(attr)));
       attr = mnl_attr_next(attr)) {
    each(attr);
  }
}

std::string KindOf(const nlattr* info) {
  const char* at = static_cast<const char*>(mnl_attr_get_payload(info));
  const char* end = at + mnl_attr_get_payload_len(info);
  for (auto* attr = reinterpret_cast<const nlattr*>(at);
       mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char*>(attr)));
       attr = mnl_attr_next(attr)) {
    if (mnl_attr_get_type(attr) == IFLA_INFO_KIND) return mnl_attr_get_str(attr);
  }
  return "";
}

Link ReadLink(const nlmsghdr* message) {
  Link link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.index = info->ifi_index;
  link.flags = info->ifi_flags;
  EachAttr(message, sizeof(ifinfomsg), [&](const nlattr* attr) {
    switch (mnl_attr_get_type(attr)) {
      case IFLA_IFNAME: link.name = mnl_attr_get_str(attr); break;
      case IFLA_MTU: link.mtu = static_cast<int>(mnl_attr_get_u32(attr)); break;
      case IFLA_MASTER: link.master = static_cast<int>(mnl_attr_get_u32(attr)); break;
      case IFLA_LINK: link.peer = static_cast<int>(mnl_attr_get_u32(attr)); break;
      case IFLA_OPERSTATE: link.operstate = mnl_attr_get_u8(attr); break;
      case IFLA_PROMISCUITY: link.promiscuity = mnl_attr_get_u32(attr); break;
      case IFLA_ADDRESS: {
        const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(attr));
        for (uint16_t i = 0; i < mnl_attr_get_payload_len(attr); ++i) {
          absl::StrAppend(&link.mac, i > 0 ? ":" : "", absl::Hex(bytes[i], absl::kZeroPad2));
        }
        break;
      }
      case IFLA_LINKINFO: link.kind = KindOf(attr); break;
      default: break;
    }
  });
  return link;
}

void FillRoute(Request* request, const NewRoute& route) {
  auto* header = request->Extra<rtmsg>();
  header->rtm_family = FamilyOf(route.dst.ip);
  header->rtm_dst_len = static_cast<uint8_t>(route.dst.prefix);
  int64_t table = route.table.value_or(RT_TABLE_MAIN);
  header->rtm_table = static_cast<uint8_t>(table < 256 ? table : int64_t{RT_TABLE_UNSPEC});
  header->rtm_protocol = RTPROT_BOOT;
  header->rtm_scope = static_cast<uint8_t>(
      route.scope >= 0 ? route.scope : int{route.gateway.ok() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK});
  header->rtm_type = RTN_UNICAST;
  if (route.dst.prefix > 0) request->Address(RTA_DST, route.dst.ip.Masked(route.dst.prefix));
  if (route.gateway.ok()) request->Address(RTA_GATEWAY, route.gateway);
  if (route.source.ok()) request->Address(RTA_PREFSRC, route.source);
  if (route.link != 0) request->U32(RTA_OIF, static_cast<uint32_t>(route.link));
  if (table >= 256) request->U32(RTA_TABLE, static_cast<uint32_t>(table));
  if (route.priority != 0) request->U32(RTA_PRIORITY, static_cast<uint32_t>(route.priority));
  if (route.mtu != 0 || route.advmss != 0) {
    request->Nest(RTA_METRICS, [&] {
      if (route.mtu != 0) request->U32(RTAX_MTU, static_cast<uint32_t>(route.mtu));
      if (route.advmss != 0) request->U32(RTAX_ADVMSS, static_cast<uint32_t>(route.advmss));
    });
  }
}

}  // namespace

absl::StatusOr<Netlink> Netlink::OpenHere() {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return base::FailErrno("cni.link", errno) << "open a netlink socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd high, base::HighFd(fd));
  return Take(std::move(high));
}

absl::StatusOr<Netlink> Netlink::Take(base::UniqueFd socket) {
  // The kernel answers at once; the time-out only bounds a kernel gone wrong.
  timeval patience = {.tv_sec = 10, .tv_usec = 0};
  (void)setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  int on = 1;
  (void)setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return Netlink(std::move(socket));
}

absl::Status Netlink::Talk(nlmsghdr* request, std::string_view what,
                           const std::function<void(const nlmsghdr*)>& each) {
  request->nlmsg_flags |= NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd_.get(), request, request->nlmsg_len, MSG_NOSIGNAL,
             reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) {
    return base::FailErrno("cni.link", errno) << what;
  }
  std::vector<char> buffer(kBuffer);
  while (true) {
    ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::FailErrno("cni.link", errno) << what << ": the answer";
    int left = static_cast<int>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if (message->nlmsg_type == NLMSG_DONE) return absl::OkStatus();
      if (message->nlmsg_type != NLMSG_ERROR) {
        if (each) each(message);
        continue;
      }
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
      if (error->error == 0) return absl::OkStatus();
      return base::FailErrno("cni.link", -error->error) << what;
    }
  }
}

absl::StatusOr<std::optional<Link>> Netlink::GetLink(std::string_view name, int index) {
  Request request(RTM_GETLINK, 0);
  request.Extra<ifinfomsg>()->ifi_index = index;
  if (!name.empty()) request.Text(IFLA_IFNAME, name);
  std::optional<Link> found;
  absl::Status status =
      Talk(request.get(), absl::StrCat("look for link ", name), [&](const nlmsghdr* message) {
        if (message->nlmsg_type == RTM_NEWLINK) found = ReadLink(message);
      });
  if (!status.ok() && base::GetError(status).sys_errno == ENODEV) return std::optional<Link>();
  COAM_RETURN_IF_ERROR(status);
  return found;
}

absl::StatusOr<std::optional<Link>> Netlink::FindLink(std::string_view name) {
  return GetLink(name, 0);
}

absl::StatusOr<std::optional<Link>> Netlink::LinkByIndex(int index) { return GetLink("", index); }

absl::Status Netlink::AddBridge(std::string_view name, int mtu) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.Extra<ifinfomsg>();
  request.Text(IFLA_IFNAME, name);
  if (mtu > 0) request.U32(IFLA_MTU, static_cast<uint32_t>(mtu));
  request.Nest(IFLA_LINKINFO, [&] { request.Text(IFLA_INFO_KIND, "bridge"); });
  absl::Status status = Talk(request.get(), absl::StrCat("add bridge ", name));
  if (!status.ok() && base::GetError(status).sys_errno == EEXIST) return absl::OkStatus();
  return status;
}

absl::Status Netlink::AddVeth(const NewVeth& veth) {
  std::array<uint8_t, 6> mac = {};
  if (!veth.peer_mac.empty()) {
    COAM_ASSIGN_OR_RETURN(mac, NeedMac(veth.peer_mac));
  }
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  auto* info = request.Extra<ifinfomsg>();
  if (veth.up) info->ifi_flags = info->ifi_change = IFF_UP;
  request.Text(IFLA_IFNAME, veth.name);
  if (veth.mtu > 0) request.U32(IFLA_MTU, static_cast<uint32_t>(veth.mtu));
  request.U32(IFLA_TXQLEN, 0);  // no queue, as the reference plugins make them
  if (veth.master != 0) request.U32(IFLA_MASTER, static_cast<uint32_t>(veth.master));
  request.Nest(IFLA_LINKINFO, [&] {
    request.Text(IFLA_INFO_KIND, "veth");
    request.Nest(IFLA_INFO_DATA, [&] {
      request.Nest(VETH_INFO_PEER, [&] {
        request.Extra<ifinfomsg>();
        request.Text(IFLA_IFNAME, veth.peer_name);
        request.U32(IFLA_TXQLEN, 0);
        if (veth.mtu > 0) request.U32(IFLA_MTU, static_cast<uint32_t>(veth.mtu));
        if (!veth.peer_mac.empty()) request.Bytes(IFLA_ADDRESS, mac.data(), mac.size());
        request.U32(IFLA_NET_NS_FD, static_cast<uint32_t>(veth.peer_netns_fd));
      });
    });
  });
  return Talk(request.get(), absl::StrCat("add veth ", veth.name, " with peer ", veth.peer_name));
}

absl::Status Netlink::SetUp(int index, bool up) {
  Request request(RTM_NEWLINK, 0);
  auto* info = request.Extra<ifinfomsg>();
  info->ifi_index = index;
  info->ifi_change = IFF_UP;
  info->ifi_flags = up ? IFF_UP : 0;
  return Talk(request.get(), absl::StrCat("set link ", index, up ? " up" : " down"));
}

absl::Status Netlink::SetMac(int index, std::string_view mac) {
  COAM_ASSIGN_OR_RETURN(auto bytes, NeedMac(mac));
  Request request(RTM_NEWLINK, 0);
  request.Extra<ifinfomsg>()->ifi_index = index;
  request.Bytes(IFLA_ADDRESS, bytes.data(), bytes.size());
  return Talk(request.get(), absl::StrCat("set the MAC address of link ", index));
}

absl::Status Netlink::SetPromiscuous(int index) {
  Request request(RTM_NEWLINK, 0);
  auto* info = request.Extra<ifinfomsg>();
  info->ifi_index = index;
  info->ifi_change = info->ifi_flags = IFF_PROMISC;
  return Talk(request.get(), absl::StrCat("make link ", index, " promiscuous"));
}

absl::Status Netlink::SetBridgePort(int index, bool hairpin, bool isolated) {
  Request request(RTM_SETLINK, 0);
  auto* info = request.Extra<ifinfomsg>();
  info->ifi_family = AF_BRIDGE;
  info->ifi_index = index;
  request.Nest(IFLA_PROTINFO | NLA_F_NESTED, [&] {
    request.U8(IFLA_BRPORT_MODE, hairpin ? 1 : 0);
    request.U8(IFLA_BRPORT_ISOLATED, isolated ? 1 : 0);
  });
  return Talk(request.get(), absl::StrCat("set the bridge port ", index));
}

absl::Status Netlink::DeleteLink(int index) {
  Request request(RTM_DELLINK, 0);
  request.Extra<ifinfomsg>()->ifi_index = index;
  absl::Status status = Talk(request.get(), absl::StrCat("delete link ", index));
  if (!status.ok() && base::GetError(status).sys_errno == ENODEV) return absl::OkStatus();
  return status;
}

absl::StatusOr<std::vector<IpNet>> Netlink::Addresses(int index, int family) {
  Request request(RTM_GETADDR, NLM_F_DUMP);
  auto* header = request.Extra<ifaddrmsg>();
  header->ifa_family = family == 4 ? AF_INET : AF_INET6;
  std::vector<IpNet> out;
  COAM_RETURN_IF_ERROR(Talk(request.get(), "list addresses", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWADDR) return;
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    if (static_cast<int>(info->ifa_index) != index) return;
    IpNet net;
    net.prefix = info->ifa_prefixlen;
    EachAttr(message, sizeof(ifaddrmsg), [&](const nlattr* attr) {
      int type = mnl_attr_get_type(attr);
      // IFA_LOCAL is the address itself where there is a peer.
      if (type != IFA_LOCAL && (type != IFA_ADDRESS || net.ip.ok())) return;
      net.ip.family = family;
      if (mnl_attr_get_payload_len(attr) < static_cast<uint16_t>(net.ip.size())) return;
      std::memcpy(net.ip.bytes.data(), mnl_attr_get_payload(attr),
                  static_cast<size_t>(net.ip.size()));
    });
    if (net.ok()) out.push_back(net);
  }));
  return out;
}

absl::Status Netlink::AddAddress(int index, const IpNet& address, bool no_dad) {
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  auto* header = request.Extra<ifaddrmsg>();
  header->ifa_family = FamilyOf(address.ip);
  header->ifa_prefixlen = static_cast<uint8_t>(address.prefix);
  header->ifa_index = static_cast<uint32_t>(index);
  if (no_dad && address.ip.family == 6) header->ifa_flags = IFA_F_NODAD;
  request.Address(IFA_LOCAL, address.ip);
  request.Address(IFA_ADDRESS, address.ip);
  if (address.ip.family == 4 && address.prefix < 31) {
    request.Address(IFA_BROADCAST, address.ip.LastOf(address.prefix));
  }
  absl::Status status = Talk(request.get(), absl::StrCat("add address ", address.ToString()));
  if (!status.ok() && base::GetError(status).sys_errno == EEXIST) return absl::OkStatus();
  return status;
}

absl::Status Netlink::DeleteAddress(int index, const IpNet& address) {
  Request request(RTM_DELADDR, 0);
  auto* header = request.Extra<ifaddrmsg>();
  header->ifa_family = FamilyOf(address.ip);
  header->ifa_prefixlen = static_cast<uint8_t>(address.prefix);
  header->ifa_index = static_cast<uint32_t>(index);
  request.Address(IFA_LOCAL, address.ip);
  return Talk(request.get(), absl::StrCat("delete address ", address.ToString()));
}

absl::Status Netlink::AddRoute(const NewRoute& route) {
  Request request(RTM_NEWROUTE,
                  static_cast<uint16_t>(NLM_F_CREATE | (route.append ? NLM_F_APPEND : NLM_F_EXCL)));
  FillRoute(&request, route);
  return Talk(request.get(), absl::StrCat("add route ", route.dst.ToString(), " via ",
                                          route.gateway.ok() ? route.gateway.ToString()
                                                             : std::string("the link")));
}

absl::Status Netlink::DeleteRoute(const NewRoute& route) {
  Request request(RTM_DELROUTE, 0);
  FillRoute(&request, route);
  // Whoever made it: the kernel itself, mostly.
  auto* header = static_cast<rtmsg*>(mnl_nlmsg_get_payload(request.get()));
  header->rtm_scope = RT_SCOPE_NOWHERE;
  header->rtm_protocol = RTPROT_UNSPEC;
  header->rtm_type = RTN_UNSPEC;
  return Talk(request.get(), absl::StrCat("delete route ", route.dst.ToString()));
}

absl::StatusOr<bool> Netlink::HasRoute(const IpNet& dst, const Ip& gateway, int link) {
  Request request(RTM_GETROUTE, NLM_F_DUMP);
  request.Extra<rtmsg>()->rtm_family = FamilyOf(dst.ip);
  const Ip want = dst.ip.Masked(dst.prefix);
  bool found = false;
  COAM_RETURN_IF_ERROR(Talk(request.get(), "list routes", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWROUTE) return;
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    if (info->rtm_table != RT_TABLE_MAIN || info->rtm_dst_len != dst.prefix) return;
    Ip to, by;
    to.family = by.family = dst.ip.family;
    bool has_gateway = false;
    int over = 0;
    EachAttr(message, sizeof(rtmsg), [&](const nlattr* attr) {
      int type = mnl_attr_get_type(attr);
      if (type == RTA_OIF) over = static_cast<int>(mnl_attr_get_u32(attr));
      if (type != RTA_DST && type != RTA_GATEWAY) return;
      Ip& ip = type == RTA_DST ? to : by;
      has_gateway = has_gateway || type == RTA_GATEWAY;
      if (mnl_attr_get_payload_len(attr) < static_cast<uint16_t>(ip.size())) return;
      std::memcpy(ip.bytes.data(), mnl_attr_get_payload(attr), static_cast<size_t>(ip.size()));
    });
    found = found || (to == want && (!gateway.ok() || (has_gateway && by == gateway)) &&
                      (link == 0 || link == over));
  }));
  return found;
}

absl::StatusOr<int> Netlink::RouteLink(const Ip& ip) {
  Request request(RTM_GETROUTE, 0);
  auto* header = request.Extra<rtmsg>();
  header->rtm_family = FamilyOf(ip);
  header->rtm_dst_len = static_cast<uint8_t>(ip.bits());
  request.Address(RTA_DST, ip);
  int link = 0;
  COAM_RETURN_IF_ERROR(Talk(request.get(), absl::StrCat("look for the route to ", ip.ToString()),
                            [&](const nlmsghdr* message) {
                              EachAttr(message, sizeof(rtmsg), [&](const nlattr* attr) {
                                if (mnl_attr_get_type(attr) == RTA_OIF) {
                                  link = static_cast<int>(mnl_attr_get_u32(attr));
                                }
                              });
                            }));
  return link;
}

}  // namespace coaming::cni
