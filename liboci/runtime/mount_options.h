// The option strings of a mount, sorted into what the kernel takes. config.md "Linux mount options".
#ifndef COAMING_LIBOCI_RUNTIME_MOUNT_OPTIONS_H_
#define COAMING_LIBOCI_RUNTIME_MOUNT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coaming::run {

struct MountOptions {
  uint64_t flags = 0;     // MS_* of mount(2)
  uint64_t attr_set = 0;  // MOUNT_ATTR_* for mount_setattr
  uint64_t attr_clear = 0;
  uint64_t all_set = 0;  // the recursive forms
  uint64_t all_clear = 0;
  uint64_t propagation = 0;  // MS_SHARED ... with MS_REC
  bool bind = false, recursive = false, remount = false, copy_up = false;
  bool idmap = false, idmap_recursive = false;
  std::string idmap_ranges;  // of crun's "idmap=uids=0-1-10;gids=..."
  bool source_nofollow = false, destination_nofollow = false, copy_symlink = false;
  std::string data;  // the rest, comma-joined
};

MountOptions ParseMountOptions(const std::vector<std::string>& options);
// KnownMountOptions lists every option with a meaning here, for the features document.
std::vector<std::string> KnownMountOptions();

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_MOUNT_OPTIONS_H_
