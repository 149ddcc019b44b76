// PodDir is a pod's directory and the place of it that tells its state, as rkt keeps them.
//
//   ROOT/embryo/UUID          being made                    locked or not
//   ROOT/prepare/UUID         preparing (locked), aborted prepare (not)
//   ROOT/prepared/UUID        prepared, ready to run
//   ROOT/run/UUID             running (locked), exited (not)
//   ROOT/exited-garbage/UUID  marked by gc, kept for the grace period
//   ROOT/garbage/UUID         to be removed
//
// The lock is flock(2) on the directory itself; a running pod's infrastructure process holds it too,
// so the pod counts as running as long as that process lives, whatever becomes of its host. Every
// move is a rename and a sync of the new parent: a crash leaves a pod in one state or the next, and gc
// finds it in both. Specification: none; rkt's pod life cycle (appc has no on-disk form).
// Threads: [single]; several processes may work on one root.
#ifndef COAMING_LIBACI_POD_POD_DIR_H_
#define COAMING_LIBACI_POD_POD_DIR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "base/fs/lock.h"

namespace coaming::aci {

enum class PodState {
  kEmbryo,
  kPreparing,
  kAbortedPrepare,
  kPrepared,
  kRunning,
  kExited,
  kExitedDeleting,
  kExitedGarbage,
  kDeleting,
  kGarbage,
};

// "running", "exited garbage", ...: the words of rkt.
std::string_view PodStateName(PodState state);

class PodDir {
 public:
  // Create makes ROOT/embryo/UUID with mode 0750 and locks it exclusively.
  static absl::StatusOr<PodDir> Create(const base::Dir& root, std::string_view uuid);
  // Open finds a pod in whichever state it is; it is not locked. A pod that moves meanwhile is looked
  // for again. Errors: pod.not_found.
  static absl::StatusOr<PodDir> Open(const base::Dir& root, std::string_view uuid);
  // List gives the UUIDs of all pods, sorted; embryos only if asked for.
  static absl::StatusOr<std::vector<std::string>> List(const base::Dir& root, bool embryos = false);
  // Resolve completes a UUID from its beginning, in any letter case. Errors: pod.not_found,
  // pod.ambiguous, core.invalid_argument (not the beginning of a UUID).
  static absl::StatusOr<std::string> Resolve(const base::Dir& root, std::string_view prefix);

  const std::string& uuid() const { return uuid_; }
  const base::Dir& dir() const { return dir_; }
  // The host's path of the directory in its present place.
  std::string path() const { return dir_.name(); }
  // The state now: where the directory lies, and whether anybody else holds its lock.
  absl::StatusOr<PodState> State() const;
  // "run", "prepared", ...: where this object last saw it.
  std::string_view place() const { return place_; }

  // TryLock takes the lock exclusively for this object; false if another holds it.
  absl::StatusOr<bool> TryLock();
  // WaitExit waits until nobody else holds the lock (the pod has ended).
  absl::Status WaitExit(const base::Op& op) const;
  // The descriptor that holds the lock, to hand to the pod's first process; -1 if not locked.
  int lock_fd() const { return lock_.held() ? lock_.fd() : -1; }
  void Unlock() { lock_.Release(); }

  // Move renames the directory to `place` ("prepare", "prepared", "run", "exited-garbage",
  // "garbage"). Errors: pod.not_found (another process moved it first), core.exists.
  absl::Status Move(const base::Dir& root, std::string_view place);
  // When the directory came to its present place (its ctime), ns since 1970.
  absl::StatusOr<int64_t> MovedNs() const;
  // Remove deletes the directory with all it holds; mounts below must be gone.
  absl::Status Remove(const base::Op& op, const base::Dir& root);

 private:
  PodDir(std::string uuid, std::string_view place, base::Dir dir)
      : uuid_(std::move(uuid)), place_(place), dir_(std::move(dir)) {}
  std::string uuid_;
  std::string_view place_;  // one of kPlaces
  base::Dir dir_;
  base::FileLock lock_;
};

// NewUuid makes a random UUID (RFC 4122 version 4) in lower case.
std::string NewUuid();

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_POD_POD_DIR_H_
