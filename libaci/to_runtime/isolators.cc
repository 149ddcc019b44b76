#include "libaci/to_runtime/isolators.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::aci::internal {
namespace {

constexpr int64_t kCpuPeriodUs = 100'000;

// System calls that configure the kernel, load code into it, move its clocks, or reach out of the
// container by handles and other processes' memory.
constexpr std::string_view kRefused[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "move_mount",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "open_tree",
    "mount_setattr",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vm86",
    "vm86old",
};

// "EPERM" as its number; 0 for "" or no such name.
uint32_t ErrnoNumber(std::string_view name) {
  for (int number = 1; number < 200; ++number) {
    const char* known = strerrorname_np(number);
    if (known != nullptr && name == known) return static_cast<uint32_t>(number);
  }
  return 0;
}

void Refuse(const std::string& errno_name, std::string* action, std::optional<uint32_t>* number) {
  if (errno_name.empty()) {
    *action = "SCMP_ACT_KILL_PROCESS";  // SIGSYS, as the specification has it
    return;
  }
  *action = "SCMP_ACT_ERRNO";
  *number = ErrnoNumber(errno_name);
}

bool IsDefaultGroup(std::string_view name) {
  return name == "@appc.io/empty" || name == "@docker/default-whitelist" ||
         name == "@docker/default-blacklist" || name == "@rkt/default-whitelist" ||
         name == "@rkt/default-blacklist";
}

absl::Status ApplySeccomp(const IsolatorValue& value, run::Spec* spec) {
  const bool retain = value.kind == IsolatorKind::kSeccompRetain;
  for (const std::string& name : value.set) {
    if (name == "@appc.io/all") {
      // Retaining all means no filter; removing all would leave no way to start a program.
      if (retain) spec->linux_.seccomp.reset();
      if (retain) return absl::OkStatus();
      return base::Fail("aci.isolator_unsupported") << "seccomp: removing every system call";
    }
    if (IsDefaultGroup(name)) {
      spec->linux_.seccomp = DefaultSeccomp();
      return absl::OkStatus();
    }
    if (!name.empty() && name[0] == '@') {
      return base::Fail("aci.isolator_unsupported").Hint("list the system calls themselves")
             << "seccomp: no group of system calls is called '" << name << "'";
    }
  }
  run::Seccomp seccomp;
  run::SeccompSyscall calls;
  calls.names = value.set;
  if (retain) {
    Refuse(value.seccomp_errno, &seccomp.default_action, &seccomp.default_errno_ret);
    calls.action = "SCMP_ACT_ALLOW";
  } else {
    seccomp.default_action = "SCMP_ACT_ALLOW";
    Refuse(value.seccomp_errno, &calls.action, &calls.errno_ret);
  }
  seccomp.syscalls.push_back(std::move(calls));
  spec->linux_.seccomp = std::move(seccomp);
  return absl::OkStatus();
}

std::vector<std::string> DefaultSet() {
  const auto names = DefaultCapabilities();
  return std::vector<std::string>(names.begin(), names.end());
}

// The bounding set decides what the app can ever have. Nothing is inheritable or ambient, so that an
// unprivileged user gains nothing by running a file with capabilities (CVE-2022-24769).
void SetCapabilities(const std::vector<std::string>& set, run::Spec* spec) {
  run::Capabilities capabilities;
  capabilities.bounding = capabilities.effective = capabilities.permitted = set;
  spec->process->capabilities = std::move(capabilities);
}

// Keys that belong to a namespace which the pod has for itself.
bool IsPodSysctl(std::string_view key) {
  constexpr std::string_view kIpc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                       "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                       "kernel.shmmni", "kernel.shm_rmid_forced"};
  return key.starts_with("net.") || key.starts_with("fs.mqueue.") ||
         std::find(std::begin(kIpc), std::end(kIpc), key) != std::end(kIpc);
}

absl::Status ApplyOne(const IsolatorValue& value, std::string_view name, run::Spec* spec,
                      std::vector<std::string>* ignored) {
  switch (value.kind) {
    case IsolatorKind::kMemory:
    case IsolatorKind::kCpu:
    case IsolatorKind::kCpuShares: ApplyResources(value, &*spec->linux_.resources); break;
    case IsolatorKind::kCapabilitiesRetain: SetCapabilities(value.set, spec); break;
    case IsolatorKind::kCapabilitiesRemove: {
      std::vector<std::string> left = DefaultSet();
      std::erase_if(left, [&](const std::string& capability) {
        return std::find(value.set.begin(), value.set.end(), capability) != value.set.end();
      });
      SetCapabilities(left, spec);
      break;
    }
    case IsolatorKind::kSeccompRetain:
    case IsolatorKind::kSeccompRemove: return ApplySeccomp(value, spec);
    case IsolatorKind::kNoNewPrivileges:
      spec->process->no_new_privileges = value.no_new_privileges;
      break;
    case IsolatorKind::kOomScoreAdj:
      spec->process->oom_score_adj = static_cast<int32_t>(value.number);
      break;
    case IsolatorKind::kSelinuxContext:
      spec->process->selinux_label = absl::StrCat(value.selinux_user, ":", value.selinux_role, ":",
                                                  value.selinux_type, ":", value.selinux_level);
      break;
    case IsolatorKind::kApparmorProfile:
      spec->process->apparmor_profile = value.apparmor_profile;
      break;
    case IsolatorKind::kSysctl:
      for (const auto& [key, text] : value.sysctl) {
        if (!IsPodSysctl(key)) {
          return base::Fail("aci.isolator_unsupported")
                     .Hint("only keys of the pod's own network and IPC namespaces can be set")
                 << "sysctl " << key << " belongs to the whole machine";
        }
        spec->linux_.sysctl[key] = text;
      }
      break;
    case IsolatorKind::kBlockBandwidth:
    case IsolatorKind::kBlockIops:
    case IsolatorKind::kNetworkBandwidth:
    case IsolatorKind::kUnknown: ignored->emplace_back(name); break;
  }
  return absl::OkStatus();
}

}  // namespace

run::Seccomp DefaultSeccomp() {
  run::Seccomp out;
  out.default_action = "SCMP_ACT_ALLOW";
  run::SeccompSyscall calls;
  calls.names.assign(std::begin(kRefused), std::end(kRefused));
  calls.action = "SCMP_ACT_ERRNO";
  calls.errno_ret = ErrnoNumber("EPERM");
  out.syscalls.push_back(std::move(calls));
  return out;
}

void ApplyResources(const IsolatorValue& value, run::Resources* resources) {
  switch (value.kind) {
    case IsolatorKind::kMemory: {
      run::MemoryResources& memory = resources->memory.emplace();
      if (value.limit.has_value()) memory.limit = value.limit->Value();
      if (value.request.has_value()) memory.reservation = value.request->Value();
      break;
    }
    case IsolatorKind::kCpu: {
      if (!resources->cpu.has_value()) resources->cpu.emplace();
      if (value.limit.has_value()) {
        // Thousandths of a core as microseconds of each period; the kernel's least is 1 ms.
        resources->cpu->quota =
            std::max<int64_t>(value.limit->MilliValue() * kCpuPeriodUs / 1000, 1000);
        resources->cpu->period = static_cast<uint64_t>(kCpuPeriodUs);
      }
      if (value.request.has_value() && !resources->cpu->shares.has_value()) {
        resources->cpu->shares = static_cast<uint64_t>(
            std::clamp<int64_t>(value.request->MilliValue() * 1024 / 1000, 2, 262144));
      }
      break;
    }
    case IsolatorKind::kCpuShares:
      if (!resources->cpu.has_value()) resources->cpu.emplace();
      resources->cpu->shares = static_cast<uint64_t>(value.number);
      break;
    default: break;
  }
}

absl::Status ApplyIsolators(const std::vector<Isolator>& isolators, const RuntimeInput& input,
                            run::Spec* spec, std::vector<std::string>* ignored) {
  SetCapabilities(DefaultSet(), spec);
  if (!input.insecure_seccomp) spec->linux_.seccomp = DefaultSeccomp();
  const auto asks = [&](IsolatorKind kind) { return FindIsolator(isolators, kind) != nullptr; };
  const bool filtered = asks(IsolatorKind::kSeccompRetain) || asks(IsolatorKind::kSeccompRemove);
  for (const Isolator& isolator : isolators) {
    COAM_ASSIGN_OR_RETURN(const IsolatorValue value, ReadIsolator(isolator));
    if (input.insecure_seccomp && (value.kind == IsolatorKind::kSeccompRetain ||
                                   value.kind == IsolatorKind::kSeccompRemove)) {
      continue;
    }
    COAM_RETURN_IF_ERROR(ApplyOne(value, isolator.name, spec, ignored));
  }
  if (input.insecure_capabilities) spec->process->capabilities.reset();
  // A user who may not set a filter otherwise, as rkt has it.
  if (filtered && spec->process->user.uid != 0) spec->process->no_new_privileges = true;
  return absl::OkStatus();
}

}  // namespace coaming::aci::internal
