// LockTable holds reader-writer locks by name, so that operations on one container take turns and
// garbage collection of a network excludes ADD and DEL on it. Inside one process only.
//
// Threads: [shared]. A lock is given up by destroying its Held. Order: networks before containers.
#ifndef COAMING_LIBCNI_INVOKE_LOCKS_H_
#define COAMING_LIBCNI_INVOKE_LOCKS_H_

#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/core/op.h"

namespace coaming::cni {

class LockTable {
 public:
  class Held {
   public:
    Held() = default;
    Held(Held&& other) noexcept
        : table_(std::exchange(other.table_, nullptr)),
          name_(std::move(other.name_)),
          exclusive_(other.exclusive_) {}
    Held& operator=(Held&& other) noexcept {
      Release();
      table_ = std::exchange(other.table_, nullptr);
      name_ = std::move(other.name_);
      exclusive_ = other.exclusive_;
      return *this;
    }
    ~Held() { Release(); }

   private:
    friend class LockTable;
    void Release();
    LockTable* table_ = nullptr;
    std::string name_;
    bool exclusive_ = false;
  };

  // Acquire waits for the lock. Errors: core.cancelled, core.deadline_exceeded.
  absl::StatusOr<Held> Acquire(const base::Op& op, std::string name, bool exclusive);

 private:
  struct Entry {
    int readers = 0;
    bool writer = false;
    int waiting = 0;
  };
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_LOCKS_H_
