#include "liboci/runtime/caps.h"

#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coaming::run {

namespace {
constexpr std::string_view kNames[] = {"CAP_CHOWN",
                                       "CAP_DAC_OVERRIDE",
                                       "CAP_DAC_READ_SEARCH",
                                       "CAP_FOWNER",
                                       "CAP_FSETID",
                                       "CAP_KILL",
                                       "CAP_SETGID",
                                       "CAP_SETUID",
                                       "CAP_SETPCAP",
                                       "CAP_LINUX_IMMUTABLE",
                                       "CAP_NET_BIND_SERVICE",
                                       "CAP_NET_BROADCAST",
                                       "CAP_NET_ADMIN",
                                       "CAP_NET_RAW",
                                       "CAP_IPC_LOCK",
                                       "CAP_IPC_OWNER",
                                       "CAP_SYS_MODULE",
                                       "CAP_SYS_RAWIO",
                                       "CAP_SYS_CHROOT",
                                       "CAP_SYS_PTRACE",
                                       "CAP_SYS_PACCT",
                                       "CAP_SYS_ADMIN",
                                       "CAP_SYS_BOOT",
                                       "CAP_SYS_NICE",
                                       "CAP_SYS_RESOURCE",
                                       "CAP_SYS_TIME",
                                       "CAP_SYS_TTY_CONFIG",
                                       "CAP_MKNOD",
                                       "CAP_LEASE",
                                       "CAP_AUDIT_WRITE",
                                       "CAP_AUDIT_CONTROL",
                                       "CAP_SETFCAP",
                                       "CAP_MAC_OVERRIDE",
                                       "CAP_MAC_ADMIN",
                                       "CAP_SYSLOG",
                                       "CAP_WAKE_ALARM",
                                       "CAP_BLOCK_SUSPEND",
                                       "CAP_AUDIT_READ",
                                       "CAP_PERFMON",
                                       "CAP_BPF",
                                       "CAP_CHECKPOINT_RESTORE"};
}  // namespace

int CapabilityNumber(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (absl::EqualsIgnoreCase(kNames[i], name) ||
        absl::EqualsIgnoreCase(kNames[i].substr(4), name))
      return static_cast<int>(i);
  return -1;
}

std::string_view CapabilityName(int number) {
  return number >= 0 && number < static_cast<int>(std::size(kNames)) ? kNames[number]
                                                                     : std::string_view();
}

uint64_t CapabilityMask(const std::vector<std::string>& names, std::vector<std::string>* unknown) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    int number = CapabilityNumber(name);
    if (number >= 0) mask |= uint64_t{1} << number;
    else if (unknown != nullptr) unknown->push_back(name);
  }
  return mask;
}

std::string CapabilityNames(uint64_t mask) {
  constexpr uint64_t kAll = (uint64_t{1} << std::size(kNames)) - 1;
  if ((mask & kAll) == 0) return "none";
  if ((mask & kAll) == kAll) return "all";
  std::string out;
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (mask >> i & 1) absl::StrAppend(&out, out.empty() ? "" : ",", kNames[i].substr(4));
  return out;
}

}  // namespace coaming::run
