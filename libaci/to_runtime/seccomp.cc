// Seccomp isolators as runtime-spec filters, and the filter that stands when there is none.
#include <string.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/to_runtime/internal.h"

namespace coaming::aci {
namespace {

using Names = std::span<const std::string_view>;

// What the default filter refuses, and the capability that opens it again.
struct Denied {
  std::string_view call, capability;
};
constexpr Denied kDenied[] = {
    {"_sysctl", ""},
    {"acct", "CAP_SYS_PACCT"},
    {"add_key", ""},
    {"bpf", "CAP_BPF"},
    {"clock_adjtime", "CAP_SYS_TIME"},
    {"clock_settime", "CAP_SYS_TIME"},
    {"create_module", ""},
    {"delete_module", "CAP_SYS_MODULE"},
    {"fanotify_init", "CAP_SYS_ADMIN"},
    {"finit_module", "CAP_SYS_MODULE"},
    {"fsconfig", "CAP_SYS_ADMIN"},
    {"fsmount", "CAP_SYS_ADMIN"},
    {"fsopen", "CAP_SYS_ADMIN"},
    {"fspick", "CAP_SYS_ADMIN"},
    {"get_kernel_syms", ""},
    {"get_mempolicy", "CAP_SYS_NICE"},
    {"init_module", "CAP_SYS_MODULE"},
    {"io_uring_enter", ""},
    {"io_uring_register", ""},
    {"io_uring_setup", ""},
    {"ioperm", "CAP_SYS_RAWIO"},
    {"iopl", "CAP_SYS_RAWIO"},
    {"kcmp", "CAP_SYS_PTRACE"},
    {"kexec_file_load", "CAP_SYS_BOOT"},
    {"kexec_load", "CAP_SYS_BOOT"},
    {"keyctl", ""},
    {"lookup_dcookie", "CAP_SYS_ADMIN"},
    {"mbind", "CAP_SYS_NICE"},
    {"mount", "CAP_SYS_ADMIN"},
    {"mount_setattr", "CAP_SYS_ADMIN"},
    {"move_mount", "CAP_SYS_ADMIN"},
    {"move_pages", "CAP_SYS_NICE"},
    {"nfsservctl", ""},
    {"open_by_handle_at", "CAP_DAC_READ_SEARCH"},
    {"open_tree", "CAP_SYS_ADMIN"},
    {"perf_event_open", "CAP_PERFMON"},
    {"pivot_root", "CAP_SYS_ADMIN"},
    {"process_madvise", "CAP_SYS_PTRACE"},
    {"process_vm_readv", "CAP_SYS_PTRACE"},
    {"process_vm_writev", "CAP_SYS_PTRACE"},
    {"ptrace", "CAP_SYS_PTRACE"},
    {"query_module", ""},
    {"quotactl", "CAP_SYS_ADMIN"},
    {"quotactl_fd", "CAP_SYS_ADMIN"},
    {"reboot", "CAP_SYS_BOOT"},
    {"request_key", ""},
    {"set_mempolicy", "CAP_SYS_NICE"},
    {"setns", "CAP_SYS_ADMIN"},
    {"settimeofday", "CAP_SYS_TIME"},
    {"stime", "CAP_SYS_TIME"},
    {"swapoff", "CAP_SYS_ADMIN"},
    {"swapon", "CAP_SYS_ADMIN"},
    {"sysfs", ""},
    {"syslog", "CAP_SYSLOG"},
    {"umount", "CAP_SYS_ADMIN"},
    {"umount2", "CAP_SYS_ADMIN"},
    {"unshare", "CAP_SYS_ADMIN"},
    {"uselib", ""},
    {"userfaultfd", "CAP_SYS_PTRACE"},
    {"ustat", ""},
    {"vhangup", "CAP_SYS_TTY_CONFIG"},
    {"vm86", ""},
    {"vm86old", ""},
};

constexpr std::string_view kClock[] = {"adjtimex", "clock_adjtime", "clock_settime",
                                       "settimeofday", "stime"};
constexpr std::string_view kMount[] = {"chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount",
                                       "mount_setattr", "move_mount", "open_tree", "pivot_root",
                                       "umount", "umount2"};
constexpr std::string_view kNetwork[] = {
    "accept",   "accept4",  "bind",     "connect",  "getpeername", "getsockname", "getsockopt",
    "listen",   "recv",     "recvfrom", "recvmmsg", "recvmsg",     "send",        "sendmmsg",
    "sendmsg",  "sendto",   "setsockopt", "shutdown", "socket",    "socketcall",  "socketpair"};
constexpr std::string_view kObsolete[] = {
    "_sysctl", "afs_syscall", "bdflush", "break",    "create_module", "ftime",   "get_kernel_syms",
    "getpmsg", "gtty",        "idle",    "lock",     "mpx",           "prof",    "profil",
    "putpmsg", "query_module", "security", "sgetmask", "ssetmask",    "stime",   "stty",
    "sysfs",   "tuxcall",     "ulimit",  "uselib",   "ustat",         "vserver"};
constexpr std::string_view kPrivileged[] = {
    "_sysctl",      "acct",        "adjtimex",      "bpf",           "capset",     "chown",
    "chown32",      "chroot",      "clock_adjtime", "clock_settime", "delete_module",
    "fanotify_init", "fchown",     "fchown32",      "fchownat",      "finit_module", "init_module",
    "ioperm",       "iopl",        "kexec_file_load", "kexec_load",  "lchown",     "lchown32",
    "nfsservctl",   "open_by_handle_at", "pivot_root", "quotactl",   "reboot",     "setdomainname",
    "setfsuid",     "setfsuid32",  "setgroups",     "setgroups32",   "sethostname", "setresuid",
    "setresuid32",  "setreuid",    "setreuid32",    "settimeofday",  "setuid",     "setuid32",
    "stime",        "swapoff",     "swapon",        "vhangup"};
constexpr std::string_view kProcess[] = {"arch_prctl", "clone", "clone3", "execve", "execveat",
                                         "exit", "exit_group", "fork", "kill", "prctl", "setns",
                                         "tgkill", "tkill", "unshare", "vfork", "wait4", "waitid",
                                         "waitpid"};
constexpr std::string_view kRawIo[] = {"ioperm", "iopl", "pciconfig_iobase", "pciconfig_read",
                                       "pciconfig_write"};

struct Group {
  std::string_view name;
  Names calls;
};
constexpr Group kGroups[] = {
    {"@systemd/clock", kClock},           {"@systemd/mount", kMount},
    {"@systemd/network-io", kNetwork},    {"@systemd/obsolete", kObsolete},
    {"@systemd/privileged", kPrivileged}, {"@systemd/process", kProcess},
    {"@systemd/raw-io", kRawIo},
};

bool IsWhitelist(std::string_view name) {
  return name == "@docker/default-whitelist" || name == "@rkt/default-whitelist" ||
         name == "@systemd/default-whitelist";
}
bool IsBlacklist(std::string_view name) {
  return name == "@docker/default-blacklist" || name == "@rkt/default-blacklist";
}

absl::StatusOr<uint32_t> ErrnoOf(std::string_view name) {
  for (int n = 1; n < 200; ++n) {
    const char* known = strerrorname_np(n);
    if (known != nullptr && name == known) return static_cast<uint32_t>(n);
  }
  return base::Fail("aci.isolator_unsupported")
         << "seccomp errno " << name << " is not an error of this kernel";
}

// The plain names of a set; wildcards that are lists are opened.
absl::StatusOr<std::set<std::string>> Open(const std::vector<std::string>& set) {
  std::set<std::string> out;
  for (const std::string& item : set) {
    if (!absl::StartsWith(item, "@")) {
      out.insert(item);
      continue;
    }
    if (IsWhitelist(item) || IsBlacklist(item)) continue;
    const auto group = std::find_if(std::begin(kGroups), std::end(kGroups),
                                    [&](const Group& g) { return g.name == item; });
    if (group == std::end(kGroups)) {
      return base::Fail("aci.isolator_unsupported")
             << "seccomp wildcard " << item << " is not known";
    }
    out.insert(group->calls.begin(), group->calls.end());
  }
  return out;
}

bool Any(const std::vector<std::string>& set, bool (*is)(std::string_view)) {
  return std::any_of(set.begin(), set.end(), is);
}

void SetArchitectures(run::Seccomp* out) {
#if defined(__x86_64__)
  out->architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  out->architectures = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
}

void AddCalls(const std::set<std::string>& calls, std::string_view action,
              std::optional<uint32_t> errno_ret, run::Seccomp* out) {
  if (calls.empty()) return;
  run::SeccompSyscall rule;
  rule.names.assign(calls.begin(), calls.end());
  rule.action = std::string(action);
  rule.errno_ret = errno_ret;
  out->syscalls.push_back(std::move(rule));
}

run::Seccomp DefaultFilter(const std::set<std::string>& opened,
                           const run::Capabilities& capabilities) {
  run::Seccomp out;
  SetArchitectures(&out);
  out.default_action = "SCMP_ACT_ALLOW";
  std::set<std::string> denied;
  for (const Denied& row : kDenied) {
    if (opened.count(std::string(row.call)) != 0) continue;
    if (!row.capability.empty() &&
        std::find(capabilities.bounding.begin(), capabilities.bounding.end(), row.capability) !=
            capabilities.bounding.end()) {
      continue;
    }
    denied.insert(std::string(row.call));
  }
  AddCalls(denied, "SCMP_ACT_ERRNO", EPERM, &out);
  return out;
}

}  // namespace

absl::StatusOr<std::optional<run::Seccomp>> MakeSeccomp(const IsolatorValue* retain,
                                                        const IsolatorValue* remove,
                                                        const run::Capabilities& capabilities) {
  const IsolatorValue* value = retain != nullptr ? retain : remove;
  if (value == nullptr) return DefaultFilter({}, capabilities);
  const auto has = [&](std::string_view name) {
    return std::find(value->set.begin(), value->set.end(), name) != value->set.end();
  };
  if (retain != nullptr && has("@appc.io/all")) return std::nullopt;
  if (remove != nullptr && has("@appc.io/empty")) return DefaultFilter({}, capabilities);

  std::optional<uint32_t> number;
  if (!value->seccomp_errno.empty()) {
    COAM_ASSIGN_OR_RETURN(number, ErrnoOf(value->seccomp_errno));
  }
  const std::string_view refuse = number ? "SCMP_ACT_ERRNO" : "SCMP_ACT_KILL_PROCESS";
  COAM_ASSIGN_OR_RETURN(std::set<std::string> calls, Open(value->set));
  run::Seccomp out;
  SetArchitectures(&out);
  if (retain != nullptr && !Any(value->set, IsWhitelist)) {
    out.default_action = std::string(refuse);
    out.default_errno_ret = number;
    AddCalls(calls, "SCMP_ACT_ALLOW", std::nullopt, &out);
    return out;
  }
  out.default_action = "SCMP_ACT_ALLOW";
  if (retain != nullptr) {
    // A white list of everything usual, and some calls more: the default filter without those.
    std::set<std::string> denied;
    for (const Denied& row : kDenied) {
      if (calls.count(std::string(row.call)) == 0) denied.insert(std::string(row.call));
    }
    AddCalls(denied, refuse, number, &out);
    return out;
  }
  if (Any(value->set, IsBlacklist)) {
    for (const Denied& row : kDenied) calls.insert(std::string(row.call));
  }
  AddCalls(calls, refuse, number, &out);
  return out;
}

}  // namespace coaming::aci
