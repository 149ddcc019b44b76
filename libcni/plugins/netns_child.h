// What the parent and the short-lived child of netns.cc share: the child enters a network namespace,
// opens a socket there and writes settings, on the parent's memory and descriptor table. Plain C style:
// nothing but system calls (DESIGN 2.10).
#ifndef COAMING_LIBCNI_PLUGINS_NETNS_CHILD_H_
#define COAMING_LIBCNI_PLUGINS_NETNS_CHILD_H_

#include <stddef.h>

namespace coaming::cni::internal {

struct NetnsSetting {
  const char* path;  // below /proc/sys
  const char* value;
  size_t value_size;
};

struct NetnsBlock {
  // in
  int netns_fd;
  int want_socket;
  const NetnsSetting* settings;
  size_t n_settings;
  // out
  int socket_fd;  // or -1
  int failed_errno;
  const char* failed_step;  // or null
  size_t settings_written;  // settings that cannot be written are skipped
};

// NetnsChild does it; it returns in the child, whose process then ends.
int NetnsChild(void* block);

}  // namespace coaming::cni::internal

#endif  // COAMING_LIBCNI_PLUGINS_NETNS_CHILD_H_
