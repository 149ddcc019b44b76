// The rules that the plugins in process need, in the tables, chains and comments of the reference
// plugins' nftables backends (from 1.6 on), so that either removes what the other added. Not for users
// of the library.
#ifndef COAMING_LIBCNI_PLUGINS_FIREWALL_H_
#define COAMING_LIBCNI_PLUGINS_FIREWALL_H_

#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libcni/conf/runtime.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/ip.h"

namespace coaming::cni {

// MasqueradeAdd hides the addresses behind the host's for traffic that leaves their subnets.
absl::Status MasqueradeAdd(const PluginInput& in, const std::vector<IpNet>& addresses);
absl::Status MasqueradeDel(const PluginInput& in);
// MasqueradeGc removes the network's rules for attachments that `keep` does not know.
absl::Status MasqueradeGc(std::string_view network, const std::vector<AttachmentId>& keep);

struct Forwarding {
  bool snat = true;
  bool masquerade_all = false;
  std::vector<PortMapping> ports;
};

// ForwardAdd forwards ports of the host to `address`; ForwardDel removes all of the container's.
absl::Status ForwardAdd(const PluginInput& in, const Forwarding& forwarding, const Ip& address);
absl::Status ForwardDel(const PluginInput& in);
// ForwardCheck fails if fewer rules are there than the mappings need.
absl::Status ForwardCheck(const PluginInput& in, const Forwarding& forwarding, const Ip& address);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_FIREWALL_H_
