// Ownership of a mount's files turned by id maps (mount_setattr MOUNT_ATTR_IDMAP, Linux 5.12).
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_IDMAP_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_IDMAP_H_

#include "absl/status/status.h"
#include "liboci/runtime/plan.h"

namespace coaming::run::internal {

// MapTree applies the maps that `slot` asks for to its detached tree. The namespace that carries them
// is that of slot.user_namespace, or a new one which lives no longer than the tree; its only process
// is a helper that is killed again. Errors: run.idmap, run.launcher, run.unsupported.
absl::Status MapTree(const Plan::Slot& slot, int tree, int helper_fd);

}  // namespace coaming::run::internal

#endif  // COAMING_LIBOCI_RUNTIME_LAUNCH_IDMAP_H_
