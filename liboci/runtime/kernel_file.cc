#include "liboci/runtime/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/core/error.h"

namespace coaming::run {

int OpenAt(int dir, const char* path, int flags) {
  int fd;
  do fd = openat(dir, path, flags | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return -errno;
  if (fd > 2) return fd;
  // A host may run without its standard descriptors: they stay free.
  int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int error = errno;
  close(fd);
  return high < 0 ? -error : high;
}

bool ReadAt(int dir, const std::string& path, std::string* text, int* error) {
  int fd = OpenAt(dir, path.c_str(), O_RDONLY);
  if (fd < 0) {
    *error = -fd;
    return false;
  }
  base::UniqueFd owner(fd);
  text->clear();
  char buffer[16384];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      *error = errno;
      return false;
    }
    if (n == 0) return true;
    text->append(buffer, static_cast<size_t>(n));
    if (text->size() > (4u << 20)) {
      *error = EFBIG;
      return false;
    }
  }
}

absl::StatusOr<std::string> ReadKernelFile(const std::string& path) {
  std::string text;
  int error = 0;
  if (ReadAt(AT_FDCWD, path, &text, &error)) return text;
  return base::FailErrno(error == ENOENT ? "core.not_found" : "core.io", error) << "read " << path;
}

int WriteAt(int dir, const std::string& path, std::string_view text) {
  int fd = OpenAt(dir, path.c_str(), O_WRONLY);
  if (fd < 0) return -fd;
  base::UniqueFd owner(fd);
  ssize_t n;
  do n = write(fd, text.data(), text.size());
  while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

}  // namespace coaming::run
