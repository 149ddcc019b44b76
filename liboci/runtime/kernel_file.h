// Small files of procfs and cgroupfs, below a directory descriptor or by a path that the host's own
// code has written down. Nothing from an image or a bundle is ever a path here.
#ifndef COAMING_LIBOCI_RUNTIME_KERNEL_FILE_H_
#define COAMING_LIBOCI_RUNTIME_KERNEL_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"

namespace coaming::run {

// ReadKernelFile reads at most 4 MiB. Errors: core.not_found, core.io.
absl::StatusOr<std::string> ReadKernelFile(const std::string& path);
// ReadKernelFileAt does so below `dir`; `error` gets errno on failure.
bool ReadAt(int dir, const std::string& path, std::string* text, int* error);
// WriteAt writes `text` in one write(2) to an existing file; 0 or errno.
int WriteAt(int dir, const std::string& path, std::string_view text);
// OpenAt opens close-on-exec; -errno on failure.
int OpenAt(int dir, const char* path, int flags);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_KERNEL_FILE_H_
