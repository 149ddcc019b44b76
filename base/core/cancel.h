// Cancel asks running operations to stop, from any thread or a signal handler.
//
// Threads: [shared]. Fire is async-signal-safe: one atomic store and one eventfd write. It stays
// fired for ever; make a new one for the next operation.
#ifndef COAMING_BASE_CORE_CANCEL_H_
#define COAMING_BASE_CORE_CANCEL_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"

namespace coaming::base {

class Cancel {
 public:
  // Errors: core.io (no descriptor left).
  static absl::StatusOr<std::shared_ptr<Cancel>> New();

  void Fire() noexcept;
  bool fired() const noexcept { return fired_.load(std::memory_order_acquire); }
  // Becomes readable when fired and stays so. Borrowed; do not read from it.
  int fd() const { return event_.get(); }

 private:
  explicit Cancel(UniqueFd event) : event_(std::move(event)) {}
  std::atomic<bool> fired_{false};
  UniqueFd event_;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_CANCEL_H_
