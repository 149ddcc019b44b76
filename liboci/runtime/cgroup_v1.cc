// Resources on cgroup v1 hierarchies.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/device_filter.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

absl::Status Lacks(std::string_view what, std::string_view controller) {
  return base::Fail("run.unsupported")
         << "linux.resources." << what << " needs the cgroup controller " << controller
         << ", which is not mounted here";
}

std::string RuleText(const DeviceRule& r) {
  auto number = [](const std::optional<int64_t>& n) {
    return n && *n >= 0 ? absl::StrCat(*n) : std::string("*");
  };
  std::string type = r.type.empty() ? "a" : r.type;
  if (type == "a" && !r.major && !r.minor) return "a";
  return absl::StrCat(type, " ", number(r.major), ":", number(r.minor), " ",
                      r.access.empty() ? "rwm" : r.access);
}

}  // namespace

absl::Status Cgroups::ApplyDevicesV1(const std::vector<DeviceRule>& rules, bool update) {
  const CgroupHost::Tree* tree = V1("devices");
  if (tree == nullptr) return rules.empty() ? absl::OkStatus() : Lacks("devices", "devices");
  // Each write is a rule; the two files are opened once.
  base::UniqueFd files[2];
  auto write_rule = [&](bool allow, std::string_view rule) -> absl::Status {
    const char* name = allow ? "devices.allow" : "devices.deny";
    base::UniqueFd& file = files[allow ? 1 : 0];
    if (!file.ok()) {
      int fd = OpenAt(tree->root.fd(), File(name).c_str(), O_WRONLY);
      if (fd < 0) return base::FailErrno("run.cgroup", -fd) << "opening " << File(name);
      file.Reset(fd);
    }
    if (write(file.get(), rule.data(), rule.size()) >= 0) return absl::OkStatus();
    return base::FailErrno("run.cgroup", errno) << "writing \"" << rule << "\" to " << File(name);
  };
  bool denied = false;
  for (const DeviceRule& r : rules) {
    COAM_RETURN_IF_ERROR(write_rule(r.allow, RuleText(r)));
    denied = denied || !r.allow;
  }
  if (!denied || update) return absl::OkStatus();
  for (std::string_view rule : AlwaysAllowedDevices()) COAM_RETURN_IF_ERROR(write_rule(true, rule));
  return absl::OkStatus();
}

absl::Status Cgroups::ApplyV1(const Resources& r, bool update, std::vector<std::string>* warnings) {
  if (r.memory) {
    const MemoryResources& m = *r.memory;
    const CgroupHost::Tree* t = V1("memory");
    if (t == nullptr) return Lacks("memory", "memory");
    constexpr std::string_view kLimit = "memory.limit_in_bytes";
    constexpr std::string_view kSwap = "memory.memsw.limit_in_bytes";
    if (m.check_before_update.value_or(false) && m.limit && *m.limit > 0) {
      std::string usage;
      int error = 0;
      int64_t used = 0;
      if (ReadAt(t->root.fd(), File("memory.usage_in_bytes"), &usage, &error) &&
          absl::SimpleAtoi(usage, &used) && used > *m.limit)
        return base::Fail("run.cgroup")
               << "linux.resources.memory.limit: " << *m.limit << " is less than what is in use";
    }
    auto set_swap = [&]() -> absl::Status {
      if (!m.swap) return absl::OkStatus();
      int error = WriteAt(t->root.fd(), File(kSwap), absl::StrCat(*m.swap));
      if (error == 0) return absl::OkStatus();
      if (error == ENOENT) {
        if (warnings != nullptr && *m.swap > 0)
          warnings->push_back("linux.resources.memory.swap: this host does not account swap");
        return absl::OkStatus();
      }
      return base::FailErrno("run.cgroup", error) << "writing " << *m.swap << " to " << kSwap;
    };
    // The pair must stay ordered (limit <= swap) at each write: the growing one goes first.
    bool set = false;
    if (m.limit && m.swap) {
      int error = WriteAt(t->root.fd(), File(kLimit), absl::StrCat(*m.limit));
      if (error == EINVAL || error == EBUSY) {
        COAM_RETURN_IF_ERROR(set_swap());
        COAM_RETURN_IF_ERROR(Set(*t, kLimit, absl::StrCat(*m.limit)));
        set = true;
      } else if (error != 0) {
        return base::FailErrno("run.cgroup", error) << "writing " << *m.limit << " to " << kLimit;
      }
    } else if (m.limit) {
      if (*m.limit == -1 && update) WriteAt(t->root.fd(), File(kSwap), "-1");
      COAM_RETURN_IF_ERROR(Set(*t, kLimit, absl::StrCat(*m.limit)));
    }
    if (!set) COAM_RETURN_IF_ERROR(set_swap());
    if (m.reservation)
      COAM_RETURN_IF_ERROR(Set(*t, "memory.soft_limit_in_bytes", absl::StrCat(*m.reservation)));
    if (m.kernel_tcp)
      COAM_RETURN_IF_ERROR(Set(*t, "memory.kmem.tcp.limit_in_bytes", absl::StrCat(*m.kernel_tcp)));
    if (m.kernel && warnings != nullptr)
      warnings->push_back("linux.resources.memory.kernel: gone from the kernel, ignored");
    if (m.swappiness)
      COAM_RETURN_IF_ERROR(Set(*t, "memory.swappiness", absl::StrCat(*m.swappiness)));
    if (m.disable_oom_killer && *m.disable_oom_killer)
      COAM_RETURN_IF_ERROR(Set(*t, "memory.oom_control", "1"));
  }
  if (r.cpu) {
    const CpuResources& c = *r.cpu;
    const CgroupHost::Tree* t = V1("cpu");
    bool wants = c.shares || c.period || c.quota || c.realtime_period || c.realtime_runtime ||
                 c.burst || c.idle;
    if (wants && t == nullptr) return Lacks("cpu", "cpu");
    if (c.realtime_period)
      COAM_RETURN_IF_ERROR(Set(*t, "cpu.rt_period_us", absl::StrCat(*c.realtime_period)));
    if (c.realtime_runtime)
      COAM_RETURN_IF_ERROR(Set(*t, "cpu.rt_runtime_us", absl::StrCat(*c.realtime_runtime)));
    if (c.shares) COAM_RETURN_IF_ERROR(Set(*t, "cpu.shares", absl::StrCat(*c.shares)));
    // A new period may not fit the old quota: the quota is lifted for the moment.
    if (c.period) {
      int error = WriteAt(t->root.fd(), File("cpu.cfs_period_us"), absl::StrCat(*c.period));
      if (error == EINVAL && c.quota) {
        COAM_RETURN_IF_ERROR(Set(*t, "cpu.cfs_quota_us", absl::StrCat(*c.quota)));
        error = WriteAt(t->root.fd(), File("cpu.cfs_period_us"), absl::StrCat(*c.period));
      }
      if (error != 0)
        return base::FailErrno("run.cgroup", error)
               << "writing " << *c.period << " to cpu.cfs_period_us";
    }
    if (c.quota) COAM_RETURN_IF_ERROR(Set(*t, "cpu.cfs_quota_us", absl::StrCat(*c.quota)));
    if (c.burst) COAM_RETURN_IF_ERROR(Set(*t, "cpu.cfs_burst_us", absl::StrCat(*c.burst)));
    if (c.idle) COAM_RETURN_IF_ERROR(Set(*t, "cpu.idle", absl::StrCat(*c.idle)));
    const CgroupHost::Tree* set = V1("cpuset");
    if ((!c.cpus.empty() || !c.mems.empty()) && set == nullptr) return Lacks("cpu.cpus", "cpuset");
    if (!c.cpus.empty()) COAM_RETURN_IF_ERROR(Set(*set, "cpuset.cpus", c.cpus));
    if (!c.mems.empty()) COAM_RETURN_IF_ERROR(Set(*set, "cpuset.mems", c.mems));
  }
  if (r.pids_limit) {
    const CgroupHost::Tree* t = V1("pids");
    if (t == nullptr) return Lacks("pids", "pids");
    COAM_RETURN_IF_ERROR(
        Set(*t, "pids.max", *r.pids_limit < 0 ? "max" : absl::StrCat(*r.pids_limit)));
  }
  if (r.block_io) {
    const BlockIoResources& b = *r.block_io;
    const CgroupHost::Tree* t = V1("blkio");
    if (t == nullptr) return Lacks("blockIO", "blkio");
    auto weight = [&](std::string_view file, const std::string& value) -> absl::Status {
      int error = WriteAt(t->root.fd(), File(absl::StrCat("blkio.", file)), value);
      if (error == ENOENT || error == EACCES)
        error = WriteAt(t->root.fd(), File(absl::StrCat("blkio.bfq.", file)), value);
      if (error == 0) return absl::OkStatus();
      return base::FailErrno("run.cgroup", error)
             << "writing \"" << value << "\" to blkio." << file << " (the scheduler lacks weights)";
    };
    if (b.weight) COAM_RETURN_IF_ERROR(weight("weight", absl::StrCat(*b.weight)));
    if (b.leaf_weight) COAM_RETURN_IF_ERROR(weight("leaf_weight", absl::StrCat(*b.leaf_weight)));
    for (const WeightDevice& d : b.weight_device) {
      std::string device = absl::StrCat(d.major, ":", d.minor, " ");
      if (d.weight) COAM_RETURN_IF_ERROR(weight("weight_device", absl::StrCat(device, *d.weight)));
      if (d.leaf_weight)
        COAM_RETURN_IF_ERROR(weight("leaf_weight_device", absl::StrCat(device, *d.leaf_weight)));
    }
    auto throttle = [&](std::string_view file,
                        const std::vector<ThrottleDevice>& list) -> absl::Status {
      for (const ThrottleDevice& d : list)
        COAM_RETURN_IF_ERROR(Set(*t, absl::StrCat("blkio.throttle.", file),
                                 absl::StrCat(d.major, ":", d.minor, " ", d.rate)));
      return absl::OkStatus();
    };
    COAM_RETURN_IF_ERROR(throttle("read_bps_device", b.read_bps));
    COAM_RETURN_IF_ERROR(throttle("write_bps_device", b.write_bps));
    COAM_RETURN_IF_ERROR(throttle("read_iops_device", b.read_iops));
    COAM_RETURN_IF_ERROR(throttle("write_iops_device", b.write_iops));
  }
  for (const HugepageLimit& h : r.hugepage_limits) {
    const CgroupHost::Tree* t = V1("hugetlb");
    if (t == nullptr) return Lacks("hugepageLimits", "hugetlb");
    std::string prefix = absl::StrCat("hugetlb.", h.page_size, ".");
    if (WriteAt(t->root.fd(), File(prefix + "rsvd.limit_in_bytes"), absl::StrCat(h.limit)) != 0)
      COAM_RETURN_IF_ERROR(Set(*t, prefix + "limit_in_bytes", absl::StrCat(h.limit)));
  }
  if (r.network) {
    if (r.network->class_id) {
      const CgroupHost::Tree* t = V1("net_cls");
      if (t == nullptr) return Lacks("network.classID", "net_cls");
      COAM_RETURN_IF_ERROR(Set(*t, "net_cls.classid", absl::StrCat(*r.network->class_id)));
    }
    for (const NetworkPriority& p : r.network->priorities) {
      const CgroupHost::Tree* t = V1("net_prio");
      if (t == nullptr) return Lacks("network.priorities", "net_prio");
      COAM_RETURN_IF_ERROR(Set(*t, "net_prio.ifpriomap", absl::StrCat(p.name, " ", p.priority)));
    }
  }
  for (const auto& [device, limit] : r.rdma) {
    const CgroupHost::Tree* t = V1("rdma");
    if (t == nullptr) return Lacks("rdma", "rdma");
    COAM_RETURN_IF_ERROR(Set(
        *t, "rdma.max",
        absl::StrCat(device,
                     limit.hca_handles ? absl::StrCat(" hca_handle=", *limit.hca_handles) : "",
                     limit.hca_objects ? absl::StrCat(" hca_object=", *limit.hca_objects) : "")));
  }
  if (!r.unified.empty())
    return base::Fail("run.unsupported")
           << "linux.resources.unified needs cgroup v2 for its controllers, and this host has v1";
  if (r.devices) COAM_RETURN_IF_ERROR(ApplyDevicesV1(*r.devices, update));
  return absl::OkStatus();
}

}  // namespace coaming::run
