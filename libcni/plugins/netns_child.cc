#include "libcni/plugins/netns_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coaming::cni::internal {

int NetnsChild(void* arg) {
  NetnsBlock* block = static_cast<NetnsBlock*>(arg);
  block->socket_fd = -1;
  if (syscall(SYS_setns, block->netns_fd, CLONE_NEWNET) != 0) {
    block->failed_errno = errno;
    block->failed_step = "enter";
    return 1;
  }
  if (block->want_socket) {
    long fd = syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
      block->failed_errno = errno;
      block->failed_step = "open a netlink socket in";
      return 1;
    }
    block->socket_fd = static_cast<int>(fd);
  }
  for (size_t i = 0; i < block->n_settings; ++i) {
    const NetnsSetting* setting = &block->settings[i];
    long fd = syscall(SYS_openat, AT_FDCWD, setting->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (syscall(SYS_write, fd, setting->value, setting->value_size) ==
        static_cast<long>(setting->value_size)) {
      ++block->settings_written;
    }
    syscall(SYS_close, fd);
  }
  return 0;
}

}  // namespace coaming::cni::internal
