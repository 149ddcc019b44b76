// linux.netDevices: interfaces of the host moved into a container's network, by rtnetlink.
#ifndef COAMING_LIBOCI_RUNTIME_NET_DEVICES_H_
#define COAMING_LIBOCI_RUNTIME_NET_DEVICES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run::internal {

// MoveNetDevices moves each device (key: its name in the calling thread's network namespace) to the
// network of `container`, a NETLINK_ROUTE socket made there, under its new name; gives it back its
// permanent global addresses, which the kernel takes away, and sets it up. A name with "%d" gets its
// number from the kernel. What has been moved when a later one fails goes with the container: the
// kernel gives hardware back to the host and destroys the rest. Errors: run.network.
absl::Status MoveNetDevices(const std::map<std::string, NetDevice>& devices, int container);

}  // namespace coaming::run::internal

#endif  // COAMING_LIBOCI_RUNTIME_NET_DEVICES_H_
