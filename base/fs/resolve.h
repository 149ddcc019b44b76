// Resolve turns (directory, path) into a descriptor without leaving the directory: openat2(2), or a
// walk with one descriptor for each directory on the way. Private to base/fs.
//
// The walk keeps the descriptors of the directories it came through, so that ".." goes back where it
// came from, whatever was moved meanwhile: it cannot get above the start.
#ifndef COAMING_BASE_FS_RESOLVE_H_
#define COAMING_BASE_FS_RESOLVE_H_

#include <sys/types.h>

#include <string_view>

#include "base/core/unique_fd.h"
#include "base/fs/dir.h"

namespace coaming::base::internal {

struct ResolveRequest {
  int dir_fd;
  std::string_view path;  // relative; not empty
  int flags;              // O_*; O_CLOEXEC and O_NOCTTY are added
  mode_t mode = 0;        // with O_CREAT
  Containment containment = Containment::kBeneath;
  bool force_walk = false;
  bool same_mount = false;  // do not cross a mount point (EXDEV)
};

// ResolveOpen gives a descriptor of 3 or above, or a negative errno. Leaving the directory is -EXDEV,
// going round in links -ELOOP.
int ResolveOpen(const ResolveRequest& request);

// PlainName is true for one component that is not empty, "." or "..".
bool PlainName(std::string_view path);
// OpenPlain is openat with O_NOFOLLOW of one plain name: no resolution. Negative errno on failure.
int OpenPlain(int dir_fd, std::string_view name, int flags, mode_t mode);
// RaiseFd moves a descriptor below 3 up; takes and gives a descriptor or a negative errno.
int RaiseFd(int fd);

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_FS_RESOLVE_H_
