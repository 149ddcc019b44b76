// Garbage collection: mark what has ended, remove what has been garbage for long enough.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/lock.h"
#include "libaci/pod/pod_rep.h"

namespace coaming::aci {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// An embryo older than this was left by a crash: making one takes milliseconds.
constexpr int64_t kEmbryoMs = 10 * 60'000;

bool OlderThan(const base::Op& op, const PodDir& pod, int64_t ms) {
  const absl::StatusOr<int64_t> moved = pod.MovedNs();
  return moved.ok() && op.clock().RealtimeNs() - *moved >= ms * kNsPerMs;
}

// Another gc that was faster is no failure.
absl::Status Unless(const absl::Status& status) {
  return base::HasReason(status, "pod.not_found") ? absl::OkStatus() : status;
}

// A pod whose supervisor and apps are gone, but whose infrastructure process still holds the lock:
// its host was killed. It counts as ended.
absl::StatusOr<bool> Abandoned(const PodsOptions& options, const PodDir& pod) {
  COAM_ASSIGN_OR_RETURN(
      const std::optional<base::FileLock> lock,
      base::FileLock::TryAcquire(pod.dir(), kSupervisorFile, base::LockMode::kExclusive));
  if (!lock.has_value()) return false;
  COAM_ASSIGN_OR_RETURN(const auto runtime, internal::PodRuntime(options, pod));
  COAM_ASSIGN_OR_RETURN(const std::vector<run::ContainerInfo> all, runtime->List());
  return std::none_of(all.begin(), all.end(), [](const run::ContainerInfo& info) {
    return info.id != kInfraId && info.pid != 0;
  });
}

absl::Status Mark(const base::Op& op, const base::Dir& root, const PodsOptions& options,
                  const GcRequest& request, PodDir* pod) {
  COAM_ASSIGN_OR_RETURN(const PodState state, pod->State());
  switch (state) {
    case PodState::kExited: return Unless(pod->Move(root, "exited-garbage"));
    case PodState::kAbortedPrepare: return Unless(pod->Move(root, "garbage"));
    case PodState::kEmbryo:
      return OlderThan(op, *pod, kEmbryoMs) ? Unless(pod->Move(root, "garbage")) : absl::OkStatus();
    case PodState::kPrepared: {
      if (!OlderThan(op, *pod, request.expire_prepared_ms)) return absl::OkStatus();
      COAM_ASSIGN_OR_RETURN(const bool locked, pod->TryLock());
      if (!locked) return absl::OkStatus();  // somebody runs it now
      const absl::Status moved = Unless(pod->Move(root, "garbage"));
      pod->Unlock();
      return moved;
    }
    case PodState::kRunning: {
      COAM_ASSIGN_OR_RETURN(const bool abandoned, Abandoned(options, *pod));
      if (!abandoned) return absl::OkStatus();
      COAM_RETURN_IF_ERROR(internal::TakeDown(op, options, *pod));
      return Unless(pod->Move(root, "exited-garbage"));
    }
    default: return absl::OkStatus();
  }
}

// A pod whose networks cannot be left (their plugin is gone, say) is tried this often before it is
// removed all the same: the kernel's part went with the namespace.
constexpr int kTakeDownTries = 3;

// TakeDown, and after enough failures only a note of it.
absl::Status TakeDownOrLetGo(const base::Op& op, const PodsOptions& options, const PodDir& pod) {
  const absl::Status down = internal::TakeDown(op, options, pod);
  if (down.ok()) return down;
  int tries = 0;
  const absl::StatusOr<std::string> before = pod.dir().ReadFile("gc-tries", 16, "manifest_bytes");
  if (before.ok() && !absl::SimpleAtoi(*before, &tries)) tries = 0;
  if (++tries < kTakeDownTries) {
    COAM_RETURN_IF_ERROR(pod.dir().WriteFile(op, "gc-tries", absl::StrCat(tries)));
    return down;
  }
  op.AddNote("pod.left", pod.uuid(), base::GetError(down).message);
  return absl::OkStatus();
}

// True if the pod was removed.
absl::StatusOr<bool> Sweep(const base::Op& op, const base::Dir& root, const PodsOptions& options,
                           const GcRequest& request, PodDir* pod) {
  const bool due = pod->place() == "garbage" || (pod->place() == "exited-garbage" &&
                                                 OlderThan(op, *pod, request.grace_period_ms));
  if (!due) return false;
  COAM_ASSIGN_OR_RETURN(const bool locked, pod->TryLock());
  if (!locked) return false;
  COAM_RETURN_IF_ERROR(TakeDownOrLetGo(op, options, *pod));
  COAM_RETURN_IF_ERROR(pod->Remove(op, root));
  return true;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Pods::Gc(const base::Op& op, const GcRequest& request) {
  std::vector<std::string> removed;
  COAM_ASSIGN_OR_RETURN(const std::vector<std::string> uuids,
                        PodDir::List(rep_->root, /*embryos=*/true));
  for (const std::string& uuid : uuids) {
    COAM_RETURN_IF_ERROR(op.Check());
    absl::StatusOr<PodDir> pod = PodDir::Open(rep_->root, uuid);
    if (!pod.ok()) continue;  // another gc removed it
    const absl::Status marked = Mark(op, rep_->root, rep_->options, request, &*pod);
    if (!marked.ok()) op.AddNote("pod.gc", uuid, base::GetError(marked).message);
    if (request.mark_only) continue;
    const absl::StatusOr<bool> swept = Sweep(op, rep_->root, rep_->options, request, &*pod);
    if (!swept.ok()) {
      op.AddNote("pod.gc", uuid, base::GetError(swept.status()).message);
    } else if (*swept) {
      removed.push_back(uuid);
    }
  }
  return removed;
}

}  // namespace coaming::aci
