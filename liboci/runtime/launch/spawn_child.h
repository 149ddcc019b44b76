// What the host and the child between clone and exec share. Plain data: the child runs on the host's
// memory while the calling thread sleeps, and makes system calls only (DESIGN 2.10).
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_SPAWN_CHILD_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_SPAWN_CHILD_H_

#include <stdint.h>

namespace coaming::run::internal {

struct SpawnBlock {
  // in
  uint64_t flags;      // CLONE_NEW*, besides what the spawn itself needs
  int cgroup_fd;       // a v2 directory to be born in, or -1
  int helper_fd;       // executed by execveat
  const int* sources;  // n descriptors ...
  const int* targets;  // ... and their numbers in the child, all below `close_from`
  int n;
  int scratch;         // numbers from here on are free for the child to use
  int plan_fd_number;  // told to the helper
  // out
  int pidfd;
  int failed_errno;  // of clone or exec
  int failed_exec;
};

// SpawnHelper clones and runs the helper; returns its pid or -1 with failed_errno set. The caller has
// all signals blocked. It returns when the child has executed the helper or ended.
int SpawnHelper(SpawnBlock* block);

}  // namespace coaming::run::internal

#endif  // COAMING_LIBOCI_RUNTIME_LAUNCH_SPAWN_CHILD_H_
