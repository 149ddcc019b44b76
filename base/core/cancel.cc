#include "base/core/cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {

absl::StatusOr<std::shared_ptr<Cancel>> Cancel::New() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return FailErrno("core.io", errno) << "make an eventfd for a cancel object";
  COAM_ASSIGN_OR_RETURN(UniqueFd event, HighFd(fd));
  return std::shared_ptr<Cancel>(new Cancel(std::move(event)));
}

void Cancel::Fire() noexcept {
  const int saved = errno;
  fired_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  [[maybe_unused]] ssize_t n = write(event_.get(), &one, sizeof one);
  errno = saved;
}

}  // namespace coaming::base
