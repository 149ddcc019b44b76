// A running pod inside this process: its containers, in the order they were made.
#ifndef COAMING_LIBACI_POD_POD_RUN_H_
#define COAMING_LIBACI_POD_POD_RUN_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/unique_fd.h"
#include "base/fs/lock.h"
#include "libaci/pod/pod.h"
#include "libaci/pod/pod_dir.h"
#include "libaci/to_runtime/to_runtime.h"
#include "liboci/runtime/executor.h"

namespace coaming::aci {

struct RunningApp {
  std::string name;
  std::unique_ptr<run::Container> container;
  std::optional<run::Spec> post_stop;
  std::optional<int> exit_code;
};

struct Pod::Rep {
  std::shared_ptr<Pods> pods;
  PodsOptions options;
  PodDir dir;
  base::FileLock supervisor;
  std::shared_ptr<run::Runtime> runtime;
  std::unique_ptr<run::Container> infra;
  std::vector<RunningApp> apps;
  base::UniqueFd epoll;       // readable when any container's process has ended
  std::optional<int> result;  // of the pod, once it has ended

  explicit Rep(PodDir d) : dir(std::move(d)) {}
  // Supervise watches one container's descriptor.
  absl::Status Watch(const run::Container& container) const;
};

// StartPod does all that Pods::Run promises for a pod that is locked and lies in "run". On failure the
// caller takes the pod down.
absl::Status StartPod(const base::Op& op, Pod::Rep* pod, const RunRequest& request);

// RunHandler runs an event handler of an app to its end. Errors: pod.app (it failed), run.*.
absl::Status RunHandler(const base::Op& op, run::Runtime& runtime, const std::string& id,
                        const run::Spec& spec, const std::string& bundle);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_POD_POD_RUN_H_
