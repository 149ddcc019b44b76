// The values of an OCI runtime specification config.json, as plain copyable data.
//
// Follows runtime-spec 1.3 (config.md, config-linux.md); the members of other platforms (windows,
// solaris, zos, vm, freebsd) and every unknown member are kept as their JSON text in `extra` and
// written back unchanged. Absent and empty differ where the specification makes them differ:
// std::optional is "not given". Ownership: values. Threads: [immutable] once filled. Nothing here
// reads files or trusts anything: checks are Validate's (runtime_spec.h).
#ifndef COAMING_LIBOCI_SPEC_RUNTIME_TYPES_H_
#define COAMING_LIBOCI_SPEC_RUNTIME_TYPES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaming::run {

// Unknown members of one object: key and JSON text, in document order.
using Extra = std::vector<std::pair<std::string, std::string>>;
using StringMap = std::map<std::string, std::string>;

struct IdMap {
  uint32_t container_id = 0, host_id = 0, size = 0;
  bool operator==(const IdMap&) const = default;
};

struct Root {
  std::string path;  // absolute, or relative to the bundle
  bool readonly = false;
  Extra extra;
  bool operator==(const Root&) const = default;
};

struct Mount {
  std::string destination, type, source;
  std::vector<std::string> options;
  std::vector<IdMap> uid_mappings, gid_mappings;
  Extra extra;
  bool operator==(const Mount&) const = default;
};

struct User {
  uint32_t uid = 0, gid = 0;
  std::optional<uint32_t> umask;
  std::vector<uint32_t> additional_gids;
  Extra extra;
  bool operator==(const User&) const = default;
};

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  uint64_t soft = 0, hard = 0;
  bool operator==(const Rlimit&) const = default;
};

struct Capabilities {
  std::vector<std::string> bounding, effective, inheritable, permitted, ambient;
  Extra extra;
  bool operator==(const Capabilities&) const = default;
};

struct ConsoleSize {
  uint32_t height = 0, width = 0;
  bool operator==(const ConsoleSize&) const = default;
};

struct Scheduler {
  std::string policy;  // "SCHED_OTHER"
  int32_t nice = 0, priority = 0;
  std::vector<std::string> flags;
  uint64_t runtime = 0, deadline = 0, period = 0;
  bool operator==(const Scheduler&) const = default;
};

struct IoPriority {
  std::string io_class;  // "IOPRIO_CLASS_BE"
  int32_t priority = 0;
  bool operator==(const IoPriority&) const = default;
};

struct CpuAffinity {
  std::string initial, final;
  bool operator==(const CpuAffinity&) const = default;
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  std::string cwd = "/";
  std::vector<std::string> env, args;
  std::vector<Rlimit> rlimits;
  std::string apparmor_profile, selinux_label;
  std::optional<Capabilities> capabilities;
  bool no_new_privileges = false;
  std::optional<int32_t> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<CpuAffinity> exec_cpu_affinity;
  User user;
  Extra extra;
  bool operator==(const Process&) const = default;
};

struct Hook {
  std::string path;
  std::vector<std::string> args, env;
  std::optional<int64_t> timeout;  // seconds, > 0
  Extra extra;
  bool operator==(const Hook&) const = default;
};

struct Hooks {
  std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart,
      poststop;
  Extra extra;
  bool operator==(const Hooks&) const = default;
};

struct Namespace {
  std::string type;  // "pid" "network" "mount" "ipc" "uts" "user" "cgroup" "time"
  std::string path;  // empty: a new one
  bool operator==(const Namespace&) const = default;
};

struct TimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;
  bool operator==(const TimeOffset&) const = default;
};

struct Device {
  std::string path, type;  // type "c" "b" "u" "p"
  int64_t major = 0, minor = 0;
  std::optional<uint32_t> file_mode, uid, gid;
  bool operator==(const Device&) const = default;
};

struct DeviceRule {
  bool allow = false;
  std::string type;  // "" = "a"
  std::optional<int64_t> major, minor;
  std::string access;  // "rwm"
  bool operator==(const DeviceRule&) const = default;
};

struct MemoryResources {
  std::optional<int64_t> limit, reservation, swap, kernel, kernel_tcp;
  std::optional<uint64_t> swappiness;
  std::optional<bool> disable_oom_killer, use_hierarchy, check_before_update;
  Extra extra;
  bool operator==(const MemoryResources&) const = default;
};

struct CpuResources {
  std::optional<uint64_t> shares, burst, period, realtime_period;
  std::optional<int64_t> quota, realtime_runtime, idle;
  std::string cpus, mems;
  Extra extra;
  bool operator==(const CpuResources&) const = default;
};

struct WeightDevice {
  int64_t major = 0, minor = 0;
  std::optional<uint32_t> weight, leaf_weight;
  bool operator==(const WeightDevice&) const = default;
};

struct ThrottleDevice {
  int64_t major = 0, minor = 0;
  uint64_t rate = 0;
  bool operator==(const ThrottleDevice&) const = default;
};

struct BlockIoResources {
  std::optional<uint32_t> weight, leaf_weight;
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> read_bps, write_bps, read_iops, write_iops;
  Extra extra;
  bool operator==(const BlockIoResources&) const = default;
};

struct HugepageLimit {
  std::string page_size;  // "2MB"
  uint64_t limit = 0;
  bool operator==(const HugepageLimit&) const = default;
};

struct NetworkPriority {
  std::string name;
  uint32_t priority = 0;
  bool operator==(const NetworkPriority&) const = default;
};

struct NetworkResources {
  std::optional<uint32_t> class_id;
  std::vector<NetworkPriority> priorities;
  bool operator==(const NetworkResources&) const = default;
};

struct RdmaLimit {
  std::optional<uint32_t> hca_handles, hca_objects;
  bool operator==(const RdmaLimit&) const = default;
};

struct Resources {
  std::optional<std::vector<DeviceRule>> devices;  // absent: all allowed
  std::optional<MemoryResources> memory;
  std::optional<CpuResources> cpu;
  std::optional<int64_t> pids_limit;
  std::optional<BlockIoResources> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<NetworkResources> network;
  std::map<std::string, RdmaLimit> rdma;
  StringMap unified;
  Extra extra;
  bool operator==(const Resources&) const = default;
};

struct SeccompArg {
  uint32_t index = 0;
  uint64_t value = 0, value_two = 0;
  std::string op;  // "SCMP_CMP_EQ"
  bool operator==(const SeccompArg&) const = default;
};

struct SeccompSyscall {
  std::vector<std::string> names;
  std::string action;
  std::optional<uint32_t> errno_ret;
  std::vector<SeccompArg> args;
  bool operator==(const SeccompSyscall&) const = default;
};

struct Seccomp {
  std::string default_action;
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures, flags;
  std::string listener_path, listener_metadata;
  std::vector<SeccompSyscall> syscalls;
  Extra extra;
  bool operator==(const Seccomp&) const = default;
};

struct IntelRdt {
  std::string clos_id, l3_cache_schema, mem_bw_schema;
  std::vector<std::string> schemata;
  bool enable_monitoring = false;
  Extra extra;
  bool operator==(const IntelRdt&) const = default;
};

struct MemoryPolicy {
  std::string mode, nodes;
  std::vector<std::string> flags;
  bool operator==(const MemoryPolicy&) const = default;
};

struct Personality {
  std::string domain;  // "LINUX", "LINUX32"
  std::vector<std::string> flags;
  bool operator==(const Personality&) const = default;
};

struct NetDevice {
  std::string name;  // in the container; empty: as on the host
  bool operator==(const NetDevice&) const = default;
};

struct Linux {
  std::vector<IdMap> uid_mappings, gid_mappings;
  StringMap sysctl;
  std::optional<Resources> resources;
  std::string cgroups_path;
  std::vector<Namespace> namespaces;
  std::map<std::string, TimeOffset> time_offsets;  // "monotonic", "boottime"
  std::vector<Device> devices;
  std::map<std::string, NetDevice> net_devices;
  std::optional<Seccomp> seccomp;
  std::string rootfs_propagation, mount_label;
  std::vector<std::string> masked_paths, readonly_paths;
  std::optional<IntelRdt> intel_rdt;
  std::optional<MemoryPolicy> memory_policy;
  std::optional<Personality> personality;
  Extra extra;
  bool operator==(const Linux&) const = default;
};

struct Spec {
  std::string oci_version = "1.3.0";
  std::optional<Root> root;
  std::optional<Process> process;
  std::string hostname, domainname;
  std::vector<Mount> mounts;
  Hooks hooks;
  StringMap annotations;
  Linux linux_;  // config.json's "linux" (`linux` itself is a macro of old compilers)
  Extra extra;
  bool operator==(const Spec&) const = default;

  // FindNamespace returns the entry of `type`, or nullptr if the container inherits it.
  const Namespace* FindNamespace(std::string_view type) const;
};

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_SPEC_RUNTIME_TYPES_H_
