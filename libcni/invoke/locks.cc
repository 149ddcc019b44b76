#include "libcni/invoke/locks.h"

#include "absl/time/time.h"

namespace coaming::cni {

absl::StatusOr<LockTable::Held> LockTable::Acquire(const base::Op& op, std::string name,
                                                   bool exclusive) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[name];
  ++entry.waiting;
  absl::Status status = op.Check();
  while (status.ok() && (entry.writer || (exclusive && entry.readers > 0))) {
    // Cancel has a descriptor and no condition, so look again now and then.
    changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(op.deadline().PollMs(50, op.clock())));
    status = op.Check();
  }
  --entry.waiting;
  if (!status.ok()) {
    if (!entry.writer && entry.readers == 0 && entry.waiting == 0) entries_.erase(name);
    return status;
  }
  if (exclusive) {
    entry.writer = true;
  } else {
    ++entry.readers;
  }
  Held held;
  held.table_ = this;
  held.name_ = std::move(name);
  held.exclusive_ = exclusive;
  return held;
}

void LockTable::Held::Release() {
  if (table_ == nullptr) return;
  LockTable* table = std::exchange(table_, nullptr);
  absl::MutexLock lock(&table->mutex_);
  auto at = table->entries_.find(name_);
  if (at == table->entries_.end()) return;
  if (exclusive_) {
    at->second.writer = false;
  } else {
    --at->second.readers;
  }
  if (!at->second.writer && at->second.readers == 0 && at->second.waiting == 0) {
    table->entries_.erase(at);
  }
  table->changed_.SignalAll();
}

}  // namespace coaming::cni
