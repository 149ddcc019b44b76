// Resources on the unified hierarchy.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/device_filter.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

std::string MaxOr(int64_t value) { return value < 0 ? "max" : absl::StrCat(value); }

// cpu.weight of cpu.shares: the curve that both runc and crun took in 2025 (2 -> 1, 1024 -> 100,
// 262144 -> 10000).
uint64_t WeightOfShares(uint64_t shares) {
  shares = std::clamp<uint64_t>(shares, 2, 262144);
  double l = std::log2(static_cast<double>(shares));
  double weight = std::ceil(std::pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
  return std::clamp<uint64_t>(static_cast<uint64_t>(weight), 1, 10000);
}

// What memory.swap.max gets: a specification's swap counts memory too, v2's does not. Nothing where
// it is not set; an unlimited memory lifts the limit of swap as well.
absl::StatusOr<std::optional<int64_t>> SwapOf(const MemoryResources& m) {
  const int64_t limit = m.limit.value_or(0), swap = m.swap.value_or(0);
  if (swap < 0 || (swap == 0 && limit < 0)) return std::optional<int64_t>(-1);
  if (swap == 0) return std::optional<int64_t>();
  if (limit <= 0)
    return base::Fail("run.spec").Detail("spec.member", "linux.resources.memory.swap")
           << "linux.resources.memory.swap: cgroup v2 needs the limit beside it";
  if (swap < limit)
    return base::Fail("run.spec").Detail("spec.member", "linux.resources.memory.swap")
           << "linux.resources.memory.swap: is less than the limit";
  return std::optional<int64_t>(swap - limit);
}

}  // namespace

absl::Status Cgroups::ApplyV2(const Resources& r, bool update, std::vector<std::string>* warnings) {
  const CgroupHost::Tree* t = nullptr;
  for (const CgroupHost::Tree& tree : host_->trees)
    if (tree.facts.v2) t = &tree;
  if (t == nullptr) return base::Fail("run.unsupported") << "no cgroup tree is mounted";
  // The controllers of the path are switched on from the root down.
  std::string on;
  for (const std::string& c : t->facts.controllers)
    absl::StrAppend(&on, on.empty() ? "+" : " +", c);
  if (!on.empty())
    for (size_t slash = 0; slash != std::string::npos; slash = path_.find('/', slash + 1)) {
      std::string above = slash == 0 ? "" : path_.substr(0, slash) + "/";
      if (WriteAt(t->root.fd(), above + "cgroup.subtree_control", on) != 0)
        for (const std::string& c : t->facts.controllers)
          WriteAt(t->root.fd(), above + "cgroup.subtree_control", "+" + c);
    }
  if (r.memory) {
    const MemoryResources& m = *r.memory;
    // 0 is "not set", as in runc and crun: written out it would kill the container.
    const int64_t limit = m.limit.value_or(0);
    COAM_ASSIGN_OR_RETURN(const std::optional<int64_t> swap, SwapOf(m));
    if (swap) {
      const int error = WriteAt(t->root.fd(), File("memory.swap.max"), MaxOr(*swap));
      // A kernel that accounts no swap has no file; only a true limit is lost by that.
      if (error != 0 && (error != ENOENT || *swap > 0))
        return base::FailErrno("run.cgroup", error)
               << "writing \"" << MaxOr(*swap) << "\" to " << t->facts.mount << "/"
               << File("memory.swap.max");
    }
    if (limit != 0) COAM_RETURN_IF_ERROR(Set(*t, "memory.max", MaxOr(limit)));
    if (m.reservation.value_or(0) != 0)
      COAM_RETURN_IF_ERROR(Set(*t, "memory.low", MaxOr(*m.reservation)));
    if (warnings != nullptr && (m.swappiness || m.kernel || m.kernel_tcp || m.disable_oom_killer))
      warnings->push_back("linux.resources.memory: members that cgroup v2 lacks are ignored");
  }
  if (r.cpu) {
    const CpuResources& c = *r.cpu;
    // An idle cgroup takes no weight: it wakes before the weight is set, and goes idle after.
    if (c.idle && *c.idle == 0) COAM_RETURN_IF_ERROR(Set(*t, "cpu.idle", "0"));
    if (c.shares && *c.shares != 0)
      COAM_RETURN_IF_ERROR(Set(*t, "cpu.weight", absl::StrCat(WeightOfShares(*c.shares))));
    if (c.idle && *c.idle != 0) COAM_RETURN_IF_ERROR(Set(*t, "cpu.idle", absl::StrCat(*c.idle)));
    // The burst may not exceed the quota at any moment: the smaller one of an update goes first.
    const bool bandwidth = c.quota.value_or(0) != 0 || c.period.value_or(0) != 0;
    bool burst_left = c.burst.has_value();
    if (burst_left) {
      const int error = WriteAt(t->root.fd(), File("cpu.max.burst"), absl::StrCat(*c.burst));
      if (error != 0 && (error != EINVAL || !bandwidth))
        return base::FailErrno("run.cgroup", error)
               << "writing " << *c.burst << " to cpu.max.burst";
      burst_left = error != 0;
    }
    if (bandwidth) {
      std::string value = c.quota.value_or(0) > 0 ? absl::StrCat(*c.quota) : "max";
      if (c.period.value_or(0) != 0) absl::StrAppend(&value, " ", *c.period);
      COAM_RETURN_IF_ERROR(Set(*t, "cpu.max", value));
    }
    if (burst_left) COAM_RETURN_IF_ERROR(Set(*t, "cpu.max.burst", absl::StrCat(*c.burst)));
    if (c.realtime_period.value_or(0) != 0 || c.realtime_runtime.value_or(0) != 0)
      return base::Fail("run.unsupported")
             << "linux.resources.cpu: realtime limits do not exist on cgroup v2";
    if (!c.cpus.empty()) COAM_RETURN_IF_ERROR(Set(*t, "cpuset.cpus", c.cpus));
    if (!c.mems.empty()) COAM_RETURN_IF_ERROR(Set(*t, "cpuset.mems", c.mems));
  }
  if (r.pids_limit) COAM_RETURN_IF_ERROR(Set(*t, "pids.max", MaxOr(*r.pids_limit)));
  if (r.block_io) {
    const BlockIoResources& b = *r.block_io;
    if (b.weight && *b.weight != 0 && (*b.weight < 10 || *b.weight > 1000))
      return base::Fail("run.spec").Detail("spec.member", "linux.resources.blockIO.weight")
             << "linux.resources.blockIO.weight: " << *b.weight << " is not within 10 to 1000";
    if (b.weight && *b.weight != 0 &&
        WriteAt(t->root.fd(), File("io.bfq.weight"), absl::StrCat(*b.weight)) != 0) {
      uint64_t weight = 1 + (uint64_t{*b.weight} - 10) * 9999 / 990;
      COAM_RETURN_IF_ERROR(Set(*t, "io.weight", absl::StrCat("default ", weight)));
    }
    for (const WeightDevice& d : b.weight_device)
      if (d.weight)
        COAM_RETURN_IF_ERROR(
            Set(*t, "io.bfq.weight", absl::StrCat(d.major, ":", d.minor, " ", *d.weight)));
    auto throttle = [&](std::string_view key,
                        const std::vector<ThrottleDevice>& list) -> absl::Status {
      for (const ThrottleDevice& d : list)
        COAM_RETURN_IF_ERROR(Set(*t, "io.max",
                                 absl::StrCat(d.major, ":", d.minor, " ", key, "=",
                                              d.rate == 0 ? "max" : absl::StrCat(d.rate))));
      return absl::OkStatus();
    };
    COAM_RETURN_IF_ERROR(throttle("rbps", b.read_bps));
    COAM_RETURN_IF_ERROR(throttle("wbps", b.write_bps));
    COAM_RETURN_IF_ERROR(throttle("riops", b.read_iops));
    COAM_RETURN_IF_ERROR(throttle("wiops", b.write_iops));
  }
  for (const HugepageLimit& h : r.hugepage_limits) {
    std::string prefix = absl::StrCat("hugetlb.", h.page_size, ".");
    if (WriteAt(t->root.fd(), File(prefix + "rsvd.max"), absl::StrCat(h.limit)) != 0)
      COAM_RETURN_IF_ERROR(Set(*t, prefix + "max", absl::StrCat(h.limit)));
  }
  for (const auto& [device, limit] : r.rdma)
    COAM_RETURN_IF_ERROR(Set(
        *t, "rdma.max",
        absl::StrCat(device,
                     limit.hca_handles ? absl::StrCat(" hca_handle=", *limit.hca_handles) : "",
                     limit.hca_objects ? absl::StrCat(" hca_object=", *limit.hca_objects) : "")));
  if (r.network && (r.network->class_id || !r.network->priorities.empty()))
    return base::Fail("run.unsupported") << "linux.resources.network exists on cgroup v1 only";
  for (const auto& [file, value] : r.unified) {
    std::string controller = file.substr(0, file.find('.'));
    int error = WriteAt(t->root.fd(), File(file), value);
    if (error == 0) continue;
    if (error == ENOENT && controller != "cgroup" && !t->facts.Has(controller))
      return base::Fail("run.unsupported")
             << "linux.resources.unified: the controller " << controller << " is not available";
    return base::FailErrno("run.cgroup", error) << "writing \"" << value << "\" to " << file;
  }
  if (r.devices && !update) return ApplyDevicesV2(*t, *r.devices, warnings);
  if (r.devices && warnings != nullptr)
    warnings->push_back("linux.resources.devices: an update leaves the device program as it is");
  return absl::OkStatus();
}

absl::Status Cgroups::ApplyDevicesV2(const CgroupHost::Tree& tree,
                                     const std::vector<DeviceRule>& rules,
                                     std::vector<std::string>* warnings) {
  COAM_ASSIGN_OR_RETURN(std::vector<bpf_insn> program, CompileDeviceFilter(rules));
  int fd = OpenAt(tree.root.fd(), path_.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return base::FailErrno("run.cgroup", -fd) << "opening " << path_;
  const base::UniqueFd dir(fd);
  absl::Status s = AttachDeviceFilter(dir.get(), program);
  // Without privilege the kernel takes no program; a user's containers have no device nodes of their
  // own making either.
  if (!s.ok() && base::GetError(s).sys_errno == EPERM && geteuid() != 0) {
    if (warnings != nullptr)
      warnings->push_back("linux.resources.devices: not enforced, this user may load no programs");
    return absl::OkStatus();
  }
  return s;
}

}  // namespace coaming::run
