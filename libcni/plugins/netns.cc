#include "libcni/plugins/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "libcni/plugins/netns_child.h"

namespace coaming::cni {
namespace {

constexpr size_t kStack = 64 << 10;

// All signals of this thread are blocked while it lives, so that no handler of the host runs in the
// child.
class SignalBlock {
 public:
  SignalBlock() {
    const uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_, sizeof old_);
  }
  ~SignalBlock() { syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_, nullptr, sizeof old_); }

 private:
  uint64_t old_ = 0;
};

absl::Status RunInside(internal::NetnsBlock* block, const std::string& path) {
  auto stack = std::make_unique<char[]>(kStack);
  auto top = reinterpret_cast<uintptr_t>(stack.get() + kStack) & ~uintptr_t{15};
  pid_t pid;
  int clone_errno;
  {
    SignalBlock quiet;
    pid = clone(internal::NetnsChild, reinterpret_cast<void*>(top),
                CLONE_VM | CLONE_VFORK | CLONE_FILES, block);
    clone_errno = errno;
  }
  if (pid < 0) return base::FailErrno("cni.link", clone_errno) << "start a helper for " << path;
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  if (block->failed_step != nullptr) {
    return base::FailErrno("cni.link", block->failed_errno)
           << block->failed_step << " network namespace " << path;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Netns> Netns::Open(const std::string& path) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  struct statfs info = {};
  if (fstatfs(fd.get(), &info) != 0 || info.f_type != NSFS_MAGIC) {
    return base::Fail("cni.plugin.netns").Detail("cni.code", 8)
           << path << " is no network namespace";
  }
  struct stat theirs = {};
  COAM_ASSIGN_OR_RETURN(struct stat ours, base::StatHost("/proc/thread-self/ns/net"));
  if (fstat(fd.get(), &theirs) == 0 && theirs.st_ino == ours.st_ino &&
      theirs.st_dev == ours.st_dev) {
    return base::Fail("cni.plugin.netns").Detail("cni.code", 8)
           << path << " is the host's own network namespace";
  }
  return Netns(std::move(fd), path);
}

absl::StatusOr<base::UniqueFd> Netns::OpenSocket() const {
  internal::NetnsBlock block = {};
  block.netns_fd = fd_.get();
  block.want_socket = 1;
  COAM_RETURN_IF_ERROR(RunInside(&block, path_));
  return base::HighFd(block.socket_fd);
}

absl::Status Netns::WriteSettings(
    std::span<const std::pair<std::string, std::string>> settings) const {
  std::vector<internal::NetnsSetting> list;
  for (const auto& [path, value] : settings) {
    list.push_back({path.c_str(), value.c_str(), value.size()});
  }
  internal::NetnsBlock block = {};
  block.netns_fd = fd_.get();
  block.settings = list.data();
  block.n_settings = list.size();
  return RunInside(&block, path_);
}

}  // namespace coaming::cni
