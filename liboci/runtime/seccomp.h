// Seccomp profiles compiled to BPF by libseccomp, each only once: compiled filters are kept in memory
// and, where a directory is given, on disk, under the profile's own text and the library's version.
//
// config-linux.md "Seccomp". Threads: [shared]. Hostile input: a cache file is used only if it holds
// the very profile that is asked for and its length is sound; the directory is root's own (0700).
#ifndef COAMING_LIBOCI_RUNTIME_SECCOMP_H_
#define COAMING_LIBOCI_RUNTIME_SECCOMP_H_

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

// CompileFilter builds a filter. Names that the library does not know are skipped, with a warning.
// Errors: run.spec, run.seccomp, run.unsupported.
absl::StatusOr<Filter> CompileFilter(const Seccomp& profile, std::vector<std::string>* warnings);

class FilterCache {
 public:
  explicit FilterCache(std::string directory) : directory_(std::move(directory)) {}
  // Get compiles, or finds what was compiled before.
  absl::StatusOr<std::shared_ptr<const Filter>> Get(const Seccomp& profile,
                                                    std::vector<std::string>* warnings);

 private:
  std::shared_ptr<const Filter> FromDisk(const std::string& key) const;
  void ToDisk(const std::string& key, const Filter& filter) const;
  const std::string directory_;
  absl::Mutex mutex_;
  // By the profile itself: comparing values is quicker than writing them out as a key.
  std::list<std::pair<Seccomp, std::shared_ptr<const Filter>>> recent_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_SECCOMP_H_
