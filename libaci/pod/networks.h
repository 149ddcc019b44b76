// The networks of a pod: from the words of --net to attached interfaces, and back.
//
// Each network is a CNI configuration list; results are cached in the pod's own directory
// (POD/net), with the configuration they were made with, so that gc can undo them whatever became
// of the files or the process. Specification: appc "network"; words and precedence are rkt's.
// Threads: [single].
#ifndef COAMING_LIBACI_POD_NETWORKS_H_
#define COAMING_LIBACI_POD_NETWORKS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libaci/pod/pod.h"
#include "libaci/to_runtime/to_runtime.h"
#include "libcni/conf/conf.h"

namespace coaming::aci {

// One network that a pod joins.
struct NetworkPlan {
  cni::NetworkList list;
  std::string interface;                                  // "eth0", "eth1", ...
  std::vector<std::pair<std::string, std::string>> args;  // CNI_ARGS
  bool forwards_ports = false;
};

struct PlannedNetworks {
  bool host = false;  // no network namespace of its own
  std::vector<NetworkPlan> networks;
};

// PlanNetworks reads RunRequest::networks: "none", "host", "default", "all", or names with
// "NAME:K=V;K2=V2". A name is looked for in `options.network_dirs`, then among the built-in ones;
// networks are joined in the order of their files. If ports are to be forwarded, the first network
// that can do so will, else the last one gets the portmap plugin.
// Errors: pod.network (host or none beside others, a network twice, arguments where none belong),
// cni.conf.*.
absl::StatusOr<PlannedNetworks> PlanNetworks(const base::Op& op, const PodsOptions& options,
                                             const std::vector<std::string>& words,
                                             bool want_forwards);

// CheckHostPorts refuses a forward whose host port is bound by a socket of the calling thread's network
// namespace, or forwarded to another pod than `uuid`. Errors: pod.port_in_use.
absl::Status CheckHostPorts(const base::Op& op, const PodsOptions& options, std::string_view uuid,
                            const std::vector<PortForward>& forwards);

struct Attached {
  std::vector<NetworkInfo> networks;
  std::vector<std::string> nameservers, search, dns_options;  // of the first network that has any
  std::string domain;
};

// Attach joins every network in turn; a failure leaves none attached. `cache_dir` is POD/net.
// Errors: pod.network with the cause.
absl::StatusOr<Attached> Attach(const base::Op& op, const PodsOptions& options,
                                const PlannedNetworks& plan, std::string_view uuid,
                                std::string_view netns_path, std::string_view cache_dir,
                                const std::vector<PortForward>& forwards);

// Detach undoes what Attach did, in reverse, from the cache alone; it goes on after failures and
// returns the first. `netns_path` may be "" if the namespace is gone. Nothing attached: OK.
absl::Status Detach(const base::Op& op, const PodsOptions& options, std::string_view uuid,
                    std::string_view netns_path, std::string_view cache_dir);

// ReadAttached tells the networks of a running pod from its cache.
absl::StatusOr<std::vector<NetworkInfo>> ReadAttached(const base::Op& op, std::string_view uuid,
                                                      std::string_view cache_dir);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_POD_NETWORKS_H_
