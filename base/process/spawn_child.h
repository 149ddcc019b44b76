// What the parent and the child of a spawn share. Plain C: the child runs on the parent's memory
// between clone and exec, where nothing but system calls may be made (DESIGN 2.10).
#ifndef COAMING_BASE_PROCESS_SPAWN_CHILD_H_
#define COAMING_BASE_PROCESS_SPAWN_CHILD_H_

namespace coaming::base::internal {

enum SpawnStep {
  kSpawnNone = 0,
  kSpawnParentDeath,
  kSpawnSession,
  kSpawnGroup,
  kSpawnCgroup,
  kSpawnChdir,
  kSpawnFds,
  kSpawnNull,
  kSpawnSignals,
  kSpawnExec,
};

// Everything is laid out by the parent, which is asleep until the child execs or ends.
struct SpawnBlock {
  // in
  const char* program;  // or null: program_fd
  int program_fd;
  char* const* argv;
  char* const* env;
  const int* sources;  // n_fds of each; targets ascend
  const int* targets;
  int* moved;  // scratch, n_fds + 1
  int n_fds;
  int first_free;  // above every target and 2
  int null_mask;   // bit i: descriptor i (0..2) becomes /dev/null
  int cwd_fd;
  const char* cwd;      // or null
  int cgroup_procs_fd;  // opened for writing when the kernel cannot be born into one, else -1
  int new_session;
  int new_group;
  int death_signal;
  int parent_pid;
  // out
  int failed_step;
  int failed_errno;
};

// SpawnChild does the steps and execs; it returns only after a failure, which it has noted.
int SpawnChild(void* block);

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_PROCESS_SPAWN_CHILD_H_
