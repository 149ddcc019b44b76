// spec.mounts, in order; cgroup mounts made of what the host has.
#include <linux/mount.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/runtime/mount_options.h"

namespace coaming::run {

absl::Status AddIdMap(const PlanInput& in, const Mount& m, const MountOptions& o,
                      std::string_view at, Plan::Slot* slot);

namespace {

std::string Absolute(std::string_view path) {
  return absl::StartsWith(path, "/") ? std::string(path) : absl::StrCat("/", path);
}

// Files of procfs that a mount may cover (LXCFS and the like); everything else there is refused.
bool MayCoverProc(std::string_view path) {
  constexpr std::string_view kFiles[] = {"/proc/cpuinfo",
                                         "/proc/diskstats",
                                         "/proc/meminfo",
                                         "/proc/stat",
                                         "/proc/swaps",
                                         "/proc/uptime",
                                         "/proc/loadavg",
                                         "/proc/slabinfo",
                                         "/proc/net/dev",
                                         "/proc/sys/kernel/ns_last_pid",
                                         "/proc/sys/crypto/fips_enabled"};
  for (std::string_view f : kFiles)
    if (f == path) return true;
  return false;
}

Plan::Step Bind(std::string_view source, std::string_view target, const MountOptions& o,
                Plan* plan) {
  Plan::Step step = plan->Add(COAM_OP_BIND);
  step.Text(1, source)
      .Text(2, target)
      .Num(0, o.attr_set)
      .Num(1, o.attr_clear)
      .Num(2, o.all_set)
      .Num(3, o.all_clear)
      .Num(4, o.propagation)
      .Num(5, COAM_NO_SLOT)
      .Flags((o.recursive ? COAM_BIND_RECURSIVE : 0u) |
             (o.source_nofollow ? COAM_BIND_SOURCE_NOFOLLOW : 0u) |
             (o.destination_nofollow ? COAM_BIND_TARGET_NOFOLLOW : 0u) |
             (o.copy_symlink ? COAM_BIND_COPY_SYMLINK : 0u) |
             (MayCoverProc(target) ? COAM_MOUNT_ON_PROC : 0u));
  return step;
}

// A bind of the specification. The host opens the source where the container's ids may not walk, and
// where the ids of the mount are mapped.
absl::Status BindSource(const PlanInput& in, const Mount& m, MountOptions o, std::string_view at,
                        const std::string& target, Plan* plan) {
  if (m.source.empty()) return FailSpec(at, "a bind mount needs a source");
  if (m.type == "rbind") o.recursive = true;
  const std::string source =
      absl::StartsWith(m.source, "/") ? m.source : absl::StrCat(in.bundle, "/", m.source);
  Plan::Slot slot{Plan::Slot::Kind::kTree, source, 0};
  if (o.recursive) slot.arg |= Plan::Slot::kRecursive;
  if (o.source_nofollow) slot.arg |= Plan::Slot::kNoFollow;
  const bool maps = o.idmap || !m.uid_mappings.empty();
  if (maps) COAM_RETURN_IF_ERROR(AddIdMap(in, m, o, at, &slot));
  Plan::Step step = Bind(source, target, o, plan);
  if (maps || (in.new_user() && in.facts->euid == 0 && !o.copy_symlink))
    step.Num(5, plan->AddSlot(std::move(slot)));
  return absl::OkStatus();
}

// File systems whose files get the label of linux.mountLabel by a mount option.
bool TakesContext(std::string_view type) {
  for (std::string_view no : {"proc", "sysfs", "mqueue", "cgroup", "cgroup2"})
    if (type == no) return false;
  return true;
}

void Fresh(std::string_view type, std::string_view source, std::string_view target,
           const MountOptions& o, uint32_t flags, Plan* plan) {
  // A tmpfs without a mode of its own looks like the directory that it covers.
  if (type == "tmpfs" && !absl::StartsWith(o.data, "mode=") && !absl::StrContains(o.data, ",mode="))
    flags |= COAM_MOUNT_KEEP_MODE;
  plan->Add(o.copy_up ? COAM_OP_TMPCOPYUP : COAM_OP_MOUNT)
      .Text(0, type)
      .Text(1, source.empty() ? type : source)
      .Text(2, target)
      .Text(3, o.data)
      .Num(0, o.flags)
      .Num(1, o.propagation)
      .Num(2, o.all_set)
      .Num(3, o.all_clear)
      .Num(4, o.copy_up ? o.attr_set : 0)
      .Flags(flags);
}

// A v1 view: a tmpfs with one directory for each hierarchy and links for controllers that share one.
void CgroupV1(const PlanInput& in, const std::string& target, const MountOptions& o, Plan* plan) {
  MountOptions top;
  top.flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | (o.flags & MS_RELATIME);
  top.data = "mode=755";
  Fresh("tmpfs", "tmpfs", target, top, 0, plan);
  bool own_namespace = in.Makes("cgroup");
  for (const CgroupHierarchy& h : in.facts->cgroups) {
    if (h.v2) continue;
    std::string place = absl::StrCat(target, "/", h.name);
    if (own_namespace) {
      MountOptions fresh = o;
      fresh.data = absl::StrJoin(h.controllers, ",");
      // A named hierarchy is asked for by its name alone.
      if (absl::StartsWith(fresh.data, "name=")) fresh.data = absl::StrCat("none,", fresh.data);
      fresh.propagation = 0;
      Fresh("cgroup", "cgroup", place, fresh, 0, plan);
    } else {
      MountOptions bind = o;
      bind.propagation = 0;
      Bind(absl::StrCat(h.mount, "/", in.cgroup_path), place, bind, plan);
    }
    if (h.controllers.size() > 1)
      for (const std::string& c : h.controllers)
        if (c != h.name)
          plan->Add(COAM_OP_SYMLINK).Text(1, h.name).Text(2, absl::StrCat(target, "/", c));
  }
  if (o.flags & MS_RDONLY)
    plan->Add(COAM_OP_REMOUNT)
        .Text(2, target)
        .Num(0, MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV);
}

void CgroupV2(const PlanInput& in, const std::string& target, const MountOptions& o, Plan* plan) {
  const CgroupHierarchy* h = in.facts->v2();
  if (in.Makes("cgroup") && !in.new_user()) {
    Fresh("cgroup2", "cgroup", target, o, 0, plan);
  } else {
    MountOptions bind = o;
    // Without an own cgroup namespace the host's whole tree must not be writable.
    if (!in.Makes("cgroup")) {
      bind.attr_set |= MOUNT_ATTR_RDONLY;
      bind.attr_clear &= ~uint64_t{MOUNT_ATTR_RDONLY};
    }
    Bind(absl::StrCat(h->mount, "/", in.cgroup_path), target, bind, plan);
  }
}

}  // namespace

absl::Status PrepareMounts(const PlanInput& in, Plan* plan) {
  if (!in.has_root()) return absl::OkStatus();
  for (const Mount& m : in.spec->mounts) {
    MountOptions o = ParseMountOptions(m.options);
    std::string target = Absolute(m.destination);
    std::string at = absl::StrCat("mounts[", m.destination, "]");
    const bool bind = o.bind || m.type == "bind" || m.type == "rbind";
    if ((o.idmap || !m.uid_mappings.empty()) && !bind)
      return base::Fail("run.unsupported").Detail("spec.member", at)
             << at << ": the ids of a " << m.type
             << " mount cannot be mapped, only those of a bind";
    if (o.copy_up && (bind || m.type != "tmpfs")) return FailSpec(at, "tmpcopyup is for a tmpfs");
    if (o.remount) {
      plan->Add(COAM_OP_REMOUNT).Text(2, target).Text(3, o.data).Num(0, o.flags);
    } else if (bind) {
      COAM_RETURN_IF_ERROR(BindSource(in, m, std::move(o), at, target, plan));
    } else if (m.type == "cgroup" || m.type == "cgroup2") {
      if (in.cgroup_path.empty()) {
        in.Warn(absl::StrCat(at, ": left out, since cgroups are not managed"));
      } else if (in.facts->unified) {
        CgroupV2(in, target, o, plan);
      } else {
        CgroupV1(in, target, o, plan);
      }
    } else if (m.type.empty() || m.type == "none") {
      if (o.propagation == 0)
        return FailSpec(at, "has no type and is neither a bind nor a remount");
      plan->Add(COAM_OP_REMOUNT).Text(2, target).Num(0, MS_BIND | o.flags);
    } else {
      bool plain = m.type == "proc" || m.type == "sysfs";
      const std::string& label = in.spec->linux_.mount_label;
      if (!label.empty() && in.facts->selinux && TakesContext(m.type))
        absl::StrAppend(&o.data, o.data.empty() ? "" : ",", "context=\"", label, "\"");
      // A sysfs belongs to a network namespace: without a new one the host's is bound.
      if (m.type == "sysfs" && in.new_user() && !in.Makes("network")) {
        MountOptions bind = o;
        bind.recursive = true;
        bind.attr_clear = 0;
        Bind("/sys", target, bind, plan);
        continue;
      }
      Fresh(m.type, m.source, target, o, plain ? COAM_MOUNT_PLAIN | COAM_MOUNT_ON_PROC : 0u, plan);
    }
  }
  if (!in.notify_dir.empty()) {
    MountOptions o;
    o.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    Plan::Step step = Bind(in.notify_dir, "/run/notify", o, plan);
    // Below the state root, where the ids of a new user namespace may not go: cloned beforehand.
    if (in.new_user() && in.facts->euid == 0)
      step.Num(5, plan->AddSlot({Plan::Slot::Kind::kTree, in.notify_dir, 0}));
  }
  return absl::OkStatus();
}

absl::Status PrepareMasks(const PlanInput& in, Plan* plan) {
  if (!in.has_root()) return absl::OkStatus();
  for (const std::string& p : in.spec->linux_.readonly_paths)
    plan->Add(COAM_OP_READONLY).Text(2, Absolute(p));
  for (const std::string& p : in.spec->linux_.masked_paths)
    plan->Add(COAM_OP_MASK).Text(2, Absolute(p));
  return absl::OkStatus();
}

}  // namespace coaming::run
