// linux.intelRdt: cache and memory bandwidth classes of the resctrl file system.
//
// config-linux.md "IntelRdt". A class that was asked for by name stays when the container goes; one
// named after the container, and every monitoring group, goes with it. Threads: [single].
#ifndef COAMING_LIBOCI_RUNTIME_RESCTRL_H_
#define COAMING_LIBOCI_RUNTIME_RESCTRL_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

class Resctrl {
 public:
  // `mount` is where resctrl is mounted, empty if nowhere. `rdt` is borrowed; null: nothing to do.
  Resctrl(std::string mount, const IntelRdt* rdt, std::string id);

  // Create makes or checks the class and writes its schemata. On failure nothing is left behind.
  // Errors: run.unsupported (no resctrl here), run.spec, run.rdt.
  absl::Status Create();
  absl::Status Attach(pid_t pid) const;
  // Remove takes away what a deleted container leaves. What is gone already is no error.
  absl::Status Remove() const;

 private:
  std::string Class() const;  // path of the class below the mount
  std::string Group() const;  // of the monitoring group
  absl::Status Prepare(bool made);
  std::string mount_;
  const IntelRdt* rdt_;
  std::string id_;
};

// SchemaMatches tells whether every domain that `wanted` ("L3:0=f;1=ff") names has that value in
// `schemata`, the text of a class's file. Leading zeros and blanks do not count.
bool SchemaMatches(std::string_view wanted, std::string_view schemata);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_RESCTRL_H_
