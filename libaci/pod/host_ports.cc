// Host ports are taken before networks are made: a rule that forwards a port would hide what listens
// there, and of two rules for one port only the first works.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"
#include "base/json/json.h"
#include "libaci/pod/networks.h"
#include "libaci/pod/pod_rep.h"
#include "libcni/cache/cache.h"

namespace coaming::aci {
namespace {

base::ErrorMaker InUse(uint32_t port, std::string_view protocol) {
  return base::Fail("pod.port_in_use")
         << "port " << port << "/" << protocol << " of the host is in use: ";
}

// True if a socket of the host holds the port. Only that counts: an address that is not here yet, or
// a protocol the kernel lacks, is the network's business.
bool Bound(const PortForward& forward, uint32_t port) {
  const bool udp = forward.protocol == "udp";
  if (!udp && forward.protocol != "tcp") return false;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(static_cast<uint16_t>(port));
  const bool six = inet_pton(AF_INET6, forward.host_ip.c_str(), &v6.sin6_addr) == 1;
  if (!six && !forward.host_ip.empty()) {
    inet_pton(AF_INET, forward.host_ip.c_str(), &v4.sin_addr);
  }
  const base::UniqueFd fd(
      socket(six ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return false;
  const int on = 1;
  // What a connection that has ended still holds does not count.
  if (!udp) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* address =
      six ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  return bind(fd.get(), address, six ? sizeof v6 : sizeof v4) != 0 && errno == EADDRINUSE;
}

bool Overlap(std::string_view a, std::string_view b) {
  const auto any = [](std::string_view ip) { return ip.empty() || ip == "0.0.0.0" || ip == "::"; };
  return a == b || any(a) || any(b);
}

// The port that `attachment` and `forward` both forward, or 0.
uint32_t Shared(const cni::CachedAttachment& attachment, const PortForward& forward) {
  const std::string* text = attachment.runtime.capabilities.Find("portMappings");
  if (text == nullptr) return 0;
  const auto mappings = base::json::Parse(*text);
  if (!mappings.ok()) return 0;
  for (const base::json::Value& mapping : mappings->items()) {
    const base::json::Value* port = mapping.Find("hostPort");
    const base::json::Value* protocol = mapping.Find("protocol");
    const base::json::Value* ip = mapping.Find("hostIP");
    if (port == nullptr || !port->as_int64().has_value()) continue;
    const int64_t first = forward.host_port, number = *port->as_int64();
    if (number < first || number >= first + forward.count) continue;
    if ((protocol == nullptr ? "tcp" : protocol->as_string()) != forward.protocol) continue;
    if (Overlap(ip == nullptr ? "" : ip->as_string(), forward.host_ip)) {
      return static_cast<uint32_t>(number);
    }
  }
  return 0;
}

}  // namespace

absl::Status CheckHostPorts(const base::Op& op, const PodsOptions& options, std::string_view uuid,
                            const std::vector<PortForward>& forwards) {
  for (const PortForward& forward : forwards) {
    for (uint32_t port = forward.host_port; port < forward.host_port + forward.count; ++port) {
      if (Bound(forward, port)) return InUse(port, forward.protocol) << "a program listens there";
    }
  }
  if (forwards.empty()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(const base::Dir pods, base::Dir::Open(absl::StrCat(options.dir, "/pods")));
  COAM_ASSIGN_OR_RETURN(const std::vector<std::string> others, PodDir::List(pods));
  for (const std::string& other : others) {
    if (other == uuid) continue;
    // A pod that has gone meanwhile forwards nothing.
    const absl::StatusOr<PodDir> dir = PodDir::Open(pods, other);
    if (!dir.ok()) continue;
    const cni::Cache cache(internal::NetDir(*dir));
    COAM_ASSIGN_OR_RETURN(const std::vector<cni::CachedAttachment> made, cache.List(op, other));
    for (const cni::CachedAttachment& attachment : made) {
      for (const PortForward& forward : forwards) {
        if (const uint32_t port = Shared(attachment, forward); port != 0) {
          return InUse(port, forward.protocol).Detail("pod", other)
                 << "it is forwarded to pod " << other;
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace coaming::aci
