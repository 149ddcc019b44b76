// Netlink changes and reads links, addresses and routes of one network namespace over NETLINK_ROUTE.
// The one file that includes libmnl is netlink.cc.
//
// Ownership: owns its socket. Threads: [single]. Limits: answers are read as the kernel sends them; a
// dump of a namespace costs its size. Errors: cni.link with the errno.
#ifndef COAMING_LIBCNI_PLUGINS_NETLINK_H_
#define COAMING_LIBCNI_PLUGINS_NETLINK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"
#include "libcni/result/ip.h"

struct nlmsghdr;

namespace coaming::cni {

struct Link {
  int index = 0;
  std::string name;
  std::string mac;     // "02:00:00:00:00:01"
  std::string kind;    // "bridge", "veth", ...
  uint32_t flags = 0;  // IFF_*
  uint32_t promiscuity = 0;
  int master = 0;
  int peer = 0;  // of a veth: index in its own namespace
  int mtu = 0;
  uint8_t operstate = 0;
  bool up() const { return (flags & 1) != 0; }
};

struct NewVeth {
  std::string name;        // here
  int master = 0;          // index of a bridge here, or 0
  std::string peer_name;   // in the other namespace
  int peer_netns_fd = -1;  // borrowed
  std::string peer_mac;    // or empty
  int mtu = 0;             // of both; 0 = the kernel's
  bool up = true;          // this end
};

struct NewRoute {
  IpNet dst;
  Ip gateway;  // may be none
  Ip source;   // may be none
  int link = 0;
  int scope = -1;  // -1: link without a gateway, else universe
  int64_t priority = 0;
  std::optional<int64_t> table;
  int64_t mtu = 0;
  int64_t advmss = 0;
  bool append = false;  // beside routes of the same destination
};

class Netlink {
 public:
  // OpenHere opens a socket in the caller's namespace; Take uses one that was opened elsewhere.
  static absl::StatusOr<Netlink> OpenHere();
  static absl::StatusOr<Netlink> Take(base::UniqueFd socket);

  absl::StatusOr<std::optional<Link>> FindLink(std::string_view name);
  absl::StatusOr<std::optional<Link>> LinkByIndex(int index);

  absl::Status AddBridge(std::string_view name, int mtu);  // already there: OK
  absl::Status AddVeth(const NewVeth& veth);
  absl::Status SetUp(int index, bool up = true);
  absl::Status SetMac(int index, std::string_view mac);
  absl::Status SetPromiscuous(int index);
  // SetBridgePort sets hairpin mode and isolation of a port.
  absl::Status SetBridgePort(int index, bool hairpin, bool isolated);
  absl::Status DeleteLink(int index);  // gone already: OK

  absl::StatusOr<std::vector<IpNet>> Addresses(int index, int family);
  // AddAddress with `no_dad` never leaves an IPv6 address tentative. Already there: OK.
  absl::Status AddAddress(int index, const IpNet& address, bool no_dad);
  absl::Status DeleteAddress(int index, const IpNet& address);

  absl::Status AddRoute(const NewRoute& route);
  absl::Status DeleteRoute(const NewRoute& route);
  // HasRoute is true if the main table has a route to exactly `dst`, by `gateway` if that is given and
  // over `link` if that is not 0.
  absl::StatusOr<bool> HasRoute(const IpNet& dst, const Ip& gateway, int link);
  // RouteLink gives the index of the link that packets to `ip` leave by, or 0.
  absl::StatusOr<int> RouteLink(const Ip& ip);

 private:
  explicit Netlink(base::UniqueFd fd) : fd_(std::move(fd)) {}
  // Talk sends one request and gives each answer to `each`; `what` starts the error's message.
  absl::Status Talk(nlmsghdr* request, std::string_view what,
                    const std::function<void(const nlmsghdr*)>& each = {});
  absl::StatusOr<std::optional<Link>> GetLink(std::string_view name, int index);

  base::UniqueFd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_NETLINK_H_
