// Device rules on cgroup v2, where no file takes them: they are compiled into a program that the
// kernel asks at each mknod and open of a device node. config-linux.md "Device whitelist".
//
// For each of read, write and mknod the last rule that matches the device and names that access
// decides; what no rule tells of is as the host has it, that is allowed. As on cgroup v1, rules that
// deny anything never take away the devices that every container has (null, zero, pts, ...), nor
// the making of nodes.
// Threads: any. Hostile input: rules come from a configuration; numbers beyond the kernel's are
// errors, and the program has no loops.
#ifndef COAMING_LIBOCI_RUNTIME_DEVICE_FILTER_H_
#define COAMING_LIBOCI_RUNTIME_DEVICE_FILTER_H_

#include <linux/bpf.h>

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::run {

// AlwaysAllowedDevices are rules that follow any list with a denial in it, as in runc and crun.
absl::Span<const std::string_view> AlwaysAllowedDevices();  // "c 1:3 rwm", cgroup v1's form

// CompileDeviceFilter makes the kernel's program of `rules`. Errors: run.spec (a type, number or
// access that does not exist).
absl::StatusOr<std::vector<bpf_insn>> CompileDeviceFilter(const std::vector<DeviceRule>& rules);

// AttachDeviceFilter lets `program` decide for the cgroup v2 directory `cgroup_fd`, in place of what
// was attached there before; the change is atomic. Needs CAP_BPF or CAP_SYS_ADMIN, and
// CAP_NET_ADMIN. Errors: run.cgroup (detail: errno EPERM without these), run.unsupported (a kernel
// without such programs).
absl::Status AttachDeviceFilter(int cgroup_fd, absl::Span<const bpf_insn> program);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_DEVICE_FILTER_H_
