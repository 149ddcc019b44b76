// Plugins in process: loopback, bridge, ptp, portmap and host-local over netlink and nftables, with the
// configuration, results and on-disk state of the reference plugins, and no program started.
//
//   cni::Client client({.plugin_dirs = {"/usr/lib/cni"}, .builtins = &cni::Builtins()});
//
// What they do not do is left to the programs of the same name: bridges with VLANs, MAC checks or
// duplicate address detection; IPAM other than host-local; the iptables backends; UDP forwarding (whose
// stale connections must be forgotten) and conditions of portmap. Rules are those of the reference
// plugins' nftables backends (from 1.6 on): older plugins do not remove them, so detach with the same
// choice that attached.
//
// Threads: [shared]. They work in the network namespace of the calling thread as the "host", and no
// thread of the host enters another (netns.h).
#ifndef COAMING_LIBCNI_PLUGINS_BUILTIN_H_
#define COAMING_LIBCNI_PLUGINS_BUILTIN_H_

#include "libcni/invoke/client.h"

namespace coaming::cni {

// Builtins gives them; they live for ever.
const BuiltinPlugins& Builtins();

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_BUILTIN_H_
