// An isolator turns one concern of the specification into plan steps: a pure function of the
// configuration and the host's facts. DESIGN: docs/NEW-ISOLATOR.md tells how to add one.
//
// The table in table.cc lists them all; its order is the order of the steps, and the stages, which
// must not go backwards, say what holds at that point of the launch:
//   kNamespaces  in the host's root, joining and making namespaces
//   kRoot        the host's root and /proc in reach, the container's root being built
//   kHost        the same, after the host's own hooks have run
//   kEnter       the step into the container's root
//   kLimits      in the container's root, still with all privileges
//   kPrivileges  giving privileges up
//   kLast        the program's own user; nothing may fail that could have failed earlier
#ifndef COAMING_LIBOCI_RUNTIME_ISOLATORS_ISOLATOR_H_
#define COAMING_LIBOCI_RUNTIME_ISOLATORS_ISOLATOR_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "liboci/runtime/facts.h"
#include "liboci/runtime/plan.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

// A compiled seccomp filter.
struct Filter {
  std::string code;    // sock_filter array
  uint64_t flags = 0;  // SECCOMP_FILTER_FLAG_*
  bool has_listener = false;
};

// The monitor that stays beside a container (launch/monitor.c). Not there: `on` is false.
struct MonitorPlan {
  bool on = false;
  uint32_t flags = 0;    // COAM_MONITOR_*
  std::string log_name;  // in its directory
  uint64_t log_max_size = 0, log_max_files = 0;
};

// What a process is planned from. Texts and pointers are borrowed for the call.
struct PlanInput {
  const Spec* spec = nullptr;
  const Process* process = nullptr;  // null: a pause, or a container without a program
  const HostFacts* facts = nullptr;
  std::string id, bundle, rootfs;  // absolute
  std::string cgroup_path;         // below each hierarchy; empty: no cgroups
  std::string state_json;          // for hooks inside the container; pid left out
  size_t state_pid_offset = 0;     // where the pid belongs
  const Filter* filter = nullptr;
  bool wait_start = false;   // create: stops before the program until somebody connects
  bool host_waits = false;   // the host has hooks to run once the namespaces exist
  bool into_cgroup = false;  // the spawn goes straight into the one (v2) cgroup
  bool no_pivot = false, no_new_keyring = false, pause = false;
  bool listen_pid = false;  // the entry "LISTEN_PID=" of the environment is filled in
  MonitorPlan monitor;
  std::string notify_dir;  // mounted on /run/notify; empty: none
  // Exec into a running container.
  uint64_t join_flags = 0;  // namespaces of the pidfd to join
  bool exec = false;
  bool lenient_labels = false;  // security labels that this kernel lacks are left out with a note
  std::vector<std::string>* warnings = nullptr;

  bool Makes(std::string_view namespace_type) const;  // a new namespace of that type
  bool has_root() const { return spec->root.has_value() && !exec; }
  bool new_user() const { return Makes("user"); }
  void Warn(std::string text) const {
    if (warnings != nullptr) warnings->push_back(std::move(text));
  }
};

enum class Stage { kNamespaces, kRoot, kHost, kEnter, kLimits, kPrivileges, kLast };

struct Isolator {
  std::string_view name;  // "mounts"; its feature is run.NAME
  Stage stage;
  absl::Status (*prepare)(const PlanInput& in, Plan* plan);
};

// Isolators gives the table.
std::span<const Isolator> Isolators();

// CompilePlan runs the table over `in`. Errors: run.spec, run.unsupported.
absl::StatusOr<Plan> CompilePlan(const PlanInput& in);

// CheckLabels fails with run.unsupported for a security label that this kernel cannot apply.
absl::Status CheckLabels(const PlanInput& in);

// FailSpec is reason run.spec with the member's name in front.
absl::Status FailSpec(std::string_view member, std::string_view message);

// ParseRanges turns "0-2,5" into a bit mask of 64-bit words; `bits` is its length and one more, as
// set_mempolicy wants it. run.spec.
absl::Status ParseRanges(std::string_view member, std::string_view text, std::string* bytes,
                         uint64_t* bits);

// The rows' functions.
absl::Status PrepareNamespaces(const PlanInput& in, Plan* plan);
absl::Status PrepareRoot(const PlanInput& in, Plan* plan);
absl::Status PrepareMounts(const PlanInput& in, Plan* plan);
absl::Status PrepareDevices(const PlanInput& in, Plan* plan);
absl::Status PrepareConsole(const PlanInput& in, Plan* plan);
absl::Status PrepareHostHooks(const PlanInput& in, Plan* plan);
absl::Status PrepareCreateHooks(const PlanInput& in, Plan* plan);
absl::Status PrepareKernelSettings(const PlanInput& in, Plan* plan);
absl::Status PrepareMasks(const PlanInput& in, Plan* plan);
absl::Status PrepareEnter(const PlanInput& in, Plan* plan);
absl::Status PrepareLimits(const PlanInput& in, Plan* plan);
absl::Status PrepareScheduling(const PlanInput& in, Plan* plan);
absl::Status PreparePrivileges(const PlanInput& in, Plan* plan);
absl::Status PrepareProgram(const PlanInput& in, Plan* plan);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_ISOLATORS_ISOLATOR_H_
