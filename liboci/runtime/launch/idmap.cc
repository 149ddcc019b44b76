#include "liboci/runtime/launch/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/launch/session.h"

namespace coaming::run::internal {

namespace {

absl::StatusOr<base::UniqueFd> NewUserNamespace(const Plan::Slot& slot, int helper_fd) {
  Plan plan;
  plan.spawn_flags = CLONE_NEWUSER;
  plan.Add(COAM_OP_WAIT_MAPS);  // it stays there, and goes with the session
  Session::Options options;
  options.plan = &plan;
  options.helper_fd = helper_fd;
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Start(options));
  absl::Status failure;
  base::UniqueFd owner;
  int proc = OpenAt(AT_FDCWD, absl::StrCat("/proc/", session->pid()).c_str(), O_PATH | O_DIRECTORY);
  if (proc < 0) {
    failure = base::FailErrno("run.idmap", -proc) << "opening /proc/" << session->pid();
  } else {
    base::UniqueFd dir(proc);
    int error = WriteAt(proc, "gid_map", slot.gid_map);
    if (error == 0) error = WriteAt(proc, "uid_map", slot.uid_map);
    int fd = error != 0 ? -error : OpenAt(proc, "ns/user", O_RDONLY);
    if (fd < 0)
      failure = base::FailErrno("run.idmap", -fd) << "mapping the ids of the mount " << slot.path;
    else owner.Reset(fd);
  }
  session->Abort();
  if (!failure.ok()) return failure;
  return owner;
}

}  // namespace

absl::Status MapTree(const Plan::Slot& slot, int tree, int helper_fd) {
  base::UniqueFd user;
  if (slot.user_namespace.empty()) {
    COAM_ASSIGN_OR_RETURN(user, NewUserNamespace(slot, helper_fd));
  } else {
    int fd = OpenAt(AT_FDCWD, slot.user_namespace.c_str(), O_RDONLY);
    if (fd < 0) return base::FailErrno("run.idmap", -fd) << "opening " << slot.user_namespace;
    user.Reset(fd);
  }
  struct mount_attr attr = {};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(user.get());
  unsigned recursive = (slot.arg & Plan::Slot::kMapRecursive) ? 0x8000u /* AT_RECURSIVE */ : 0u;
  if (syscall(442 /* mount_setattr */, tree, "", AT_EMPTY_PATH | recursive, &attr, sizeof attr) ==
      0)
    return absl::OkStatus();
  if (errno == ENOSYS)
    return base::Fail("run.unsupported")
           << "mounting " << slot.path
           << " with mapped ids: this kernel lacks mount_setattr (5.12)";
  if (errno == EINVAL)
    return base::FailErrno("run.idmap", errno) << "mapping the ids of the mount " << slot.path
                                               << ": its file system cannot (or is mapped already)";
  return base::FailErrno("run.idmap", errno) << "mapping the ids of the mount " << slot.path;
}

}  // namespace coaming::run::internal
