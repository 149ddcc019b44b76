// loopback in process: sets `lo` up, whatever the interface's name in the call.
#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/plugins/interface.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

absl::StatusOr<Link> FindLo(Sides* sides) {
  COAM_ASSIGN_OR_RETURN(auto lo, sides->inside.FindLink("lo"));
  if (!lo.has_value()) return base::Fail("cni.link") << "the container has no lo";
  return *std::move(lo);
}

bool IsLoopback(const Ip& ip) {
  if (ip.family == 4) return ip.bytes[0] == 127;
  return ip == *ParseIp("::1");
}

}  // namespace

absl::StatusOr<Result> LoopbackAdd(const base::Op&, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  COAM_ASSIGN_OR_RETURN(Link lo, FindLo(&sides));
  COAM_RETURN_IF_ERROR(sides.inside.SetUp(lo.index));
  Result result;
  result.cni_version = kCurrentVersion;
  result.interfaces = {{.name = "lo", .mac = "00:00:00:00:00:00", .sandbox = in.netns}};
  for (int family : {4, 6}) {
    COAM_ASSIGN_OR_RETURN(auto addresses, sides.inside.Addresses(lo.index, family));
    for (const IpNet& address : addresses) {
      if (IsLoopback(address.ip)) continue;
      return base::Fail("cni.plugin.failed")
             << "lo has the address " << address.ToString() << ", which is not local";
    }
    if (!addresses.empty()) result.ips.push_back({.interface = 0, .address = addresses[0]});
  }
  COAM_ASSIGN_OR_RETURN(auto previous, Previous(in));
  if (previous.has_value()) return *std::move(previous);
  return result;
}

absl::Status LoopbackDel(const base::Op&, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(auto sides, OpenSidesIfThere(in.netns));
  if (!sides.has_value()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(Link lo, FindLo(&*sides));
  return sides->inside.SetUp(lo.index, false);
}

absl::Status LoopbackCheck(const base::Op&, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Sides sides, OpenSides(in.netns));
  COAM_ASSIGN_OR_RETURN(Link lo, FindLo(&sides));
  if (!lo.up()) return FailCheck() << "lo is down";
  return absl::OkStatus();
}

}  // namespace coaming::cni
