// Reading, checking and writing the runtime specification's documents: config.json, a process file
// (exec), resources (update), state and features.
//
// Follows runtime-spec 1.3. Reading is bounded by Limits (manifest_bytes, json_depth, json_values),
// refuses duplicate keys and wrong types with the member's path in the message
// ("linux.resources.pids.limit: ..."), and keeps unknown members. Errors: json.*, core.limit,
// run.spec. Threads: free functions, no state. Hostile input costs at most what the limits allow.
#ifndef COAMING_LIBOCI_SPEC_RUNTIME_RUNTIME_SPEC_H_
#define COAMING_LIBOCI_SPEC_RUNTIME_RUNTIME_SPEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

// ParseSpec reads a config.json.
absl::StatusOr<Spec> ParseSpec(std::string_view json, const base::Limits& limits = base::Limits());
// ParseProcess reads one process object (`exec --process`).
absl::StatusOr<Process> ParseProcess(std::string_view json,
                                     const base::Limits& limits = base::Limits());
// ParseResources reads one linux.resources object (`update --resources`).
absl::StatusOr<Resources> ParseResources(std::string_view json,
                                         const base::Limits& limits = base::Limits());
// ParseSeccomp reads one linux.seccomp object.
absl::StatusOr<Seccomp> ParseSeccomp(std::string_view json,
                                     const base::Limits& limits = base::Limits());

// Validate checks what the text of the specification demands of the values, the host aside.
// Warnings ("unknown capability CAP_X is left out") go to `warnings` when it is not null.
// Errors: run.spec with the detail spec.member.
absl::Status Validate(const Spec& spec, std::vector<std::string>* warnings = nullptr);

// The writers give members in the specification's order, unknown members last. `indent` is a string
// such as "\t" for each level; empty: one line.
std::string WriteSpec(const Spec& spec, std::string_view indent = "\t");
std::string WriteProcess(const Process& process, std::string_view indent = "");
std::string WriteResources(const Resources& resources, std::string_view indent = "");
std::string WriteSeccomp(const Seccomp& seccomp, std::string_view indent = "");

// DefaultSpec is what `runc spec` writes: sh in a terminal, five new namespaces, runc's mounts,
// masks and capabilities. RootlessSpec is its `--rootless` form for the given ids.
Spec DefaultSpec();
Spec RootlessSpec(uint32_t uid, uint32_t gid);

// The state document of "State" in runtime.md.
struct StateDocument {
  std::string oci_version = "1.3.0", id, status, bundle;
  int64_t pid = 0;
  StringMap annotations;
  // Members that runc adds; left out when empty.
  std::string rootfs, created, owner;
};
std::string WriteState(const StateDocument& state, std::string_view indent = "");

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_SPEC_RUNTIME_RUNTIME_SPEC_H_
