// ForkGuard tells whether this process is a fork of the one that loaded the library.
//
// A page marked MADV_WIPEONFORK holds one byte: it reads zero in a forked child. Where the kernel
// lacks that, the process id is compared. Threads: [shared]. No pthread_atfork, no handler.
#ifndef COAMING_BASE_CORE_FORK_GUARD_H_
#define COAMING_BASE_CORE_FORK_GUARD_H_

#include "absl/status/status.h"

namespace coaming::base {

// InForkedChild is true in a process forked after the first call.
bool InForkedChild() noexcept;
// CheckNotForked fails with core.forked in such a process.
absl::Status CheckNotForked();

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_FORK_GUARD_H_
