// Netns is an open network namespace that is not the caller's, in which sockets are opened and
// settings written without any thread of the host ever entering it.
//
// How: a child that shares memory and descriptors (CLONE_VM | CLONE_VFORK | CLONE_FILES) enters the
// namespace, does the work and ends before the call returns; about 50 microseconds. No signal reaches
// the host for it. Ownership: owns the descriptor. Threads: const calls from any.
#ifndef COAMING_LIBCNI_PLUGINS_NETNS_H_
#define COAMING_LIBCNI_PLUGINS_NETNS_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"

namespace coaming::cni {

class Netns {
 public:
  // Open opens a namespace by its path. Errors: cni.plugin.netns if it is none or is the caller's own,
  // core.not_found, core.permission.
  static absl::StatusOr<Netns> Open(const std::string& path);
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // OpenSocket opens a netlink socket (NETLINK_ROUTE) inside. Errors: cni.link.
  absl::StatusOr<base::UniqueFd> OpenSocket() const;
  // WriteSettings writes /proc/sys files as they are seen inside ("/proc/sys/net/..."); what is not
  // there (no IPv6) or may not be written is skipped. Errors: cni.link if the namespace cannot be
  // entered.
  absl::Status WriteSettings(std::span<const std::pair<std::string, std::string>> settings) const;

 private:
  Netns(base::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  base::UniqueFd fd_;
  std::string path_;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_NETNS_H_
