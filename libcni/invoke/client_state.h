// What a Client is made of; shared by its source files.
#ifndef COAMING_LIBCNI_INVOKE_CLIENT_STATE_H_
#define COAMING_LIBCNI_INVOKE_CLIENT_STATE_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/core/op.h"
#include "libcni/invoke/client.h"
#include "libcni/invoke/exec.h"
#include "libcni/invoke/locks.h"
#include "libcni/invoke/stdin.h"

namespace coaming::cni {

struct Client::State {
  explicit State(ClientOptions given) : options(std::move(given)), cache(options.cache_dir) {
    if (options.exact) {
      options.rollback = options.keep_intents = options.continue_delete = false;
    }
  }

  // Identity of a plugin's file: device, inode, size, mtime, ctime.
  using FileKey = std::array<int64_t, 7>;

  ClientOptions options;
  Cache cache;
  LockTable locks;
  absl::Mutex mutex;
  std::map<FileKey, VersionInfo> versions ABSL_GUARDED_BY(mutex);

  // CheckOptions refuses directories that cannot be part of CNI_PATH.
  absl::Status CheckOptions() const;
  // Run calls one plugin of a list. `parts` says what it gets; index is for the error's details.
  absl::StatusOr<std::string> Run(const base::Op& op, std::string_view verb, size_t index,
                                  const StdinParts& parts) const;
  // DeletePlugins runs DEL of plugins [0, count) in reverse.
  absl::Status DeletePlugins(const base::Op& op, const NetworkList& list, const Runtime& runtime,
                             size_t count, const Result* previous) const;
  // DeleteLocked is DelNetworkList without its locks and checks.
  absl::Status DeleteLocked(const base::Op& op, const NetworkList& list, const Runtime& runtime);
  // AddPlugins runs ADD of every plugin; *ran counts those that were started, *last keeps the last
  // result that was printed.
  absl::Status AddPlugins(const base::Op& op, const NetworkList& list, const Runtime& runtime,
                          size_t* ran, std::optional<Result>* last) const;
  // RollBack undoes a failed ADD under its own deadline and returns `failure`, with what became of
  // it in the details.
  absl::Status RollBack(const base::Op& op, const NetworkList& list, const Runtime& runtime,
                        size_t ran, const Result* previous, const absl::Status& failure);
  // RefuseSecond fails with cni.attached if the container has that interface already, and undoes
  // what a crash left of an earlier attempt.
  absl::Status RefuseSecond(const base::Op& op, const NetworkList& list, const Runtime& runtime);
};

// CheckRuntime checks container id, interface name and arguments.
absl::Status CheckRuntime(const Runtime& runtime);
// CheckAttachment checks the network's name as well.
absl::Status CheckAttachment(const NetworkList& list, const Runtime& runtime);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_CLIENT_STATE_H_
