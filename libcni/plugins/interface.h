// What bridge and ptp have in common: the two sides of a veth pair and configuring the inner one. Not
// for users of the library.
#ifndef COAMING_LIBCNI_PLUGINS_INTERFACE_H_
#define COAMING_LIBCNI_PLUGINS_INTERFACE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libcni/plugins/netlink.h"
#include "libcni/plugins/netns.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result.h"

namespace coaming::cni {

struct Sides {
  Netns netns;
  Netlink host;
  Netlink inside;
};

// OpenSides opens the container's namespace and a socket on either side.
absl::StatusOr<Sides> OpenSides(const std::string& netns);
// OpenSidesIfThere gives nullopt if the path is empty or leads to nothing.
absl::StatusOr<std::optional<Sides>> OpenSidesIfThere(const std::string& netns);

// MakeVeth makes a pair with its host end named "veth" and eight hex digits; gives both ends. Fails if
// the container has a link of that name.
struct VethPair {
  Link host;
  Link inside;
};
absl::StatusOr<VethPair> MakeVeth(Sides* sides, const std::string& ifname, int master, int64_t mtu,
                                  const std::string& mac);

// ConfigureInside gives the link its addresses (of those with this interface index), sets it up and
// adds the routes, through the first gateway of each family where a route names none. `settings` are
// more values for /proc/sys/net.
absl::Status ConfigureInside(Sides* sides, const Link& link, const Result& result,
                             int64_t interface,
                             std::vector<std::pair<std::string, std::string>> settings);

// DeleteInside deletes the link called `ifname` in the container, if it is there.
absl::Status DeleteInside(Sides* sides, const std::string& ifname);

// WriteHostSetting writes a file below /proc/sys/net as the caller's namespace sees it, unless it has
// the value. Errors: cni.link.
absl::Status WriteHostSetting(const base::Op& op, const std::string& path, std::string_view value);
// EnableForwarding lets the host route packets of an address family.
absl::Status EnableForwarding(const base::Op& op, int family);

// CheckInside compares the container's link with what a result says of it: MAC address, addresses,
// routes. Errors: cni.plugin.failed.
absl::Status CheckInside(Sides* sides, const PluginInput& in, const Result& previous);

// FailCheck starts the error of a CHECK that found something wrong.
base::ErrorMaker FailCheck();

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_INTERFACE_H_
