// HostFacts is what the plan needs to know of this host, read once for each Runtime.
//
// Reading it touches /proc and /sys only; compiling a plan from it touches nothing, so that plans
// can be tested with facts made by hand. Threads: [immutable] once read.
#ifndef COAMING_LIBOCI_RUNTIME_FACTS_H_
#define COAMING_LIBOCI_RUNTIME_FACTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace coaming::run {

// One mounted cgroup tree.
struct CgroupHierarchy {
  bool v2 = false;
  std::string mount;                     // "/sys/fs/cgroup/memory"
  std::vector<std::string> controllers;  // v1: "cpu", "cpuacct", "name=systemd"; v2: enabled ones
  std::string name;                      // last component of the mount, "memory"
  bool Has(std::string_view controller) const;
};

struct HostFacts {
  std::vector<CgroupHierarchy> cgroups;  // in mount order
  bool unified = false;                  // cgroup2 is mounted at /sys/fs/cgroup itself
  uint32_t euid = 0, egid = 0;
  std::string kernel;                      // uname release
  bool apparmor = false, selinux = false;  // enabled in this kernel
  bool apparmor_own_files = false;         // /proc/PID/attr/apparmor (5.8)
  std::string resctrl;                     // where resctrl is mounted, or empty

  bool has_v1() const;
  const CgroupHierarchy* v2() const;
  const CgroupHierarchy* FindV1(std::string_view controller) const;
};

absl::StatusOr<HostFacts> ReadHostFacts();
// HostIsUnified tells whether cgroup v2 alone is mounted at its usual place.
bool HostIsUnified();
// ParseMountInfo takes the cgroup mounts out of a /proc/self/mountinfo text.
std::vector<CgroupHierarchy> ParseCgroupMounts(std::string_view mountinfo);
// ParseMountOf gives the place of the first mount of a file system, or nothing.
std::string ParseMountOf(std::string_view mountinfo, std::string_view type);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_FACTS_H_
