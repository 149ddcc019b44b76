// A bundle with a busybox root for tests that run real containers, and a Runtime of their own.
#ifndef COAMING_LIBOCI_RUNTIME_TESTING_BUNDLE_H_
#define COAMING_LIBOCI_RUNTIME_TESTING_BUNDLE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/temp_tree.h"
#include "liboci/runtime/executor.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run::testing {

class TestBundle {
 public:
  TestBundle();
  const std::string& path() const { return bundle_; }
  std::string Root(std::string_view relative) const;
  const base::testing::TempTree& tree() const { return tree_; }
  // A runtime with its state in the bundle's tree and its cgroups below /coaming-test.
  std::shared_ptr<Runtime> NewRuntime() const;
  // The same with a helper that is killed at step number `step` (from 0) of each plan, or stops there.
  // The test's data must have //liboci/runtime/launch:coaming_launch_stops.
  std::shared_ptr<Runtime> NewRuntime(uint32_t step, bool stop) const;
  // The default configuration, without a terminal, running `args`; a writable root.
  static Spec SpecOf(std::vector<std::string> args);
  // Options for a fresh id.
  CreateOptions Options(const Spec& spec) const;

  struct Result {
    ExitStatus status;
    std::string out, err;
  };
  // Runs to the end, output caught, container deleted.
  Result Run(const Spec& spec) const;
  Result RunArgs(std::vector<std::string> args) const { return Run(SpecOf(std::move(args))); }

 private:
  base::testing::TempTree tree_;
  std::string bundle_;
};

std::string ReadAll(int fd);
// Leftovers of a container with that id: its state, cgroups, and mounts with `path` in this process's
// view, one a line; empty if there are none.
std::string LeftBehind(const TestBundle& bundle, const std::string& id);
// Where this process is not allowed to make containers, or lacks busybox: why. Else empty.
std::string CannotRun();

}  // namespace coaming::run::testing

#define COAM_NEEDS_CONTAINERS()                             \
  do {                                                      \
    std::string why = ::coaming::run::testing::CannotRun(); \
    if (!why.empty()) SKIP(why);                            \
  } while (0)

#endif  // COAMING_LIBOCI_RUNTIME_TESTING_BUNDLE_H_
