// How a failed call on a path becomes an error, and how a path is shown to people.
//
// Paths are bytes; a message shows them as they are, except that control bytes become \n, \x1b and
// so on, so that a hostile name cannot forge a second line.
#ifndef COAMING_BASE_FS_PATH_ERROR_H_
#define COAMING_BASE_FS_PATH_ERROR_H_

#include <string>
#include <string_view>

#include "base/core/error.h"

namespace coaming::base {

// ReasonOfErrno names the reason of a failed path call: ENOENT core.not_found, EEXIST core.exists,
// EACCES/EPERM/EROFS core.permission, ENOSPC/EDQUOT core.no_space, ELOOP fs.loop, EXDEV fs.escape,
// ENOTDIR fs.not_directory, ENOTEMPTY/EBUSY/ETXTBSY/EISDIR core.state, ENAMETOOLONG/EINVAL
// core.invalid_argument, ENOMEM core.no_memory, EOPNOTSUPP/ENOSYS run on as core.io.
std::string_view ReasonOfErrno(int sys_errno);
// FailPath is "action path: text of errno" with the fitting reason: FailPath("open", "/x", ENOENT).
ErrorMaker FailPath(std::string_view action, std::string_view path, int sys_errno);
// ShowPath escapes control bytes and cuts very long names in the middle.
std::string ShowPath(std::string_view path);

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_PATH_ERROR_H_
