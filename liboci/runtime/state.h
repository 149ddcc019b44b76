// State of containers on disk: one directory for each, named by its id, below the state root.
//
//   STATE/ID/container   one line of JSON (pid and its identity first, at fixed places, so that they
//                        are filled in by one write), then the configuration as it was at creation
//   STATE/ID/start       socket on which a created container waits for its start; gone once started
//   STATE/ID/attach      under a monitor: its socket (launch/plan_format.h, COAM_ATTACH_*)
//   STATE/ID/exit        under a monitor: wait status and time of the end
//   STATE/ID/notify/     the socket that the program tells of its readiness
//   STATE/.events/       one datagram socket for each listener to events
//
// The directory is made before anything else and removed last, so that a kill -9 at any moment leaves
// something that names every cgroup and process to clean up. Threads: [shared]; calls on one id from
// several processes are ordered by the kernel's own mkdir, connect and unlink.
#ifndef COAMING_LIBOCI_RUNTIME_STATE_H_
#define COAMING_LIBOCI_RUNTIME_STATE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "base/fs/dir.h"

namespace coaming::run {

struct Record {
  pid_t pid = 0;
  uint64_t identity = 0;  // of the process: its pidfd's inode, or its start time
  pid_t monitor = 0;      // 0: there is none
  uint64_t monitor_identity = 0;
  std::string id, bundle, rootfs, cgroup_path, owner, console;
  std::string log;  // path of the monitor's log; empty: none
  int64_t created_ns = 0;
  bool pause = false;
};

class StateStore {
 public:
  static absl::StatusOr<StateStore> Open(const std::string& root);

  // Reserve makes the id's directory. run.exists, run.id.
  absl::StatusOr<base::UniqueFd> Reserve(std::string_view id) const;
  // Write stores record and configuration into a reserved directory.
  absl::Status Write(int dir, const Record& record, std::string_view config) const;
  // WritePids puts the processes of `record` on record.
  absl::Status WritePids(int dir, const Record& record) const;
  // Read finds a container. run.not_found, run.corrupt.
  struct Found {
    base::UniqueFd dir;
    Record record;
    std::string config;
  };
  absl::StatusOr<Found> Read(std::string_view id) const;
  // OpenDir gives the directory of an id, whatever is in it. run.not_found.
  absl::StatusOr<base::UniqueFd> OpenDir(std::string_view id) const;
  absl::Status Remove(std::string_view id) const;
  absl::StatusOr<std::vector<std::string>> Ids() const;

  const std::string& root() const { return root_; }
  const base::Dir& dir() const { return dir_; }

 private:
  std::string root_;
  base::Dir dir_;
};

// CheckId refuses what is not an id. run.id.
absl::Status CheckId(std::string_view id);
// IdentityOf names a process for ever: pidfd inode where pidfs has them, else start time; 0 if gone.
uint64_t IdentityOf(int pidfd, pid_t pid);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_STATE_H_
