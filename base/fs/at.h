// A directory descriptor with a leaf name, and the small calls on such a pair that several files of
// base/fs share. Private to base/fs.
#ifndef COAMING_BASE_FS_AT_H_
#define COAMING_BASE_FS_AT_H_

#include <sys/types.h>

#include <string>

#include "base/core/unique_fd.h"
#include "base/fs/dir.h"

namespace coaming::base {

struct Dir::At {
  int fd = -1;  // own.get(), or the Dir's
  UniqueFd own;
  std::string leaf;  // "." for the directory itself
};

namespace internal {

// ChmodAt sets the mode of a leaf and never follows a link. Gives an errno, 0 if done.
int ChmodAt(int dir_fd, const std::string& leaf, mode_t mode);

}  // namespace internal
}  // namespace coaming::base

#endif  // COAMING_BASE_FS_AT_H_
