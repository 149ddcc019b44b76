#include "liboci/runtime/device_filter.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"

namespace coaming::run {

namespace {

constexpr std::string_view kAlways[] = {
    "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",   "c 1:8 rwm",
    "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm",
};

// A rule as the program compares it; nothing set matches everything.
struct Match {
  bool allow = false;
  std::optional<int32_t> type;  // BPF_DEVCG_DEV_*
  std::optional<uint32_t> major, minor;
  int32_t access = 0;  // BPF_DEVCG_ACC_*
};

constexpr int32_t kAllAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

absl::Status Bad(std::string_view what) {
  return base::Fail("run.spec").Detail("spec.member", "linux.resources.devices")
         << "linux.resources.devices: " << what;
}

absl::StatusOr<std::optional<uint32_t>> Number(const std::optional<int64_t>& n) {
  if (!n || *n < 0) return std::optional<uint32_t>();
  if (*n > std::numeric_limits<uint32_t>::max())
    return Bad(absl::StrCat(*n, " is no device number"));
  return std::optional<uint32_t>(static_cast<uint32_t>(*n));
}

absl::StatusOr<Match> MatchOf(const DeviceRule& rule) {
  Match m;
  m.allow = rule.allow;
  if (rule.type == "c" || rule.type == "u") {
    m.type = BPF_DEVCG_DEV_CHAR;
  } else if (rule.type == "b") {
    m.type = BPF_DEVCG_DEV_BLOCK;
  } else if (!rule.type.empty() && rule.type != "a") {
    return Bad(absl::StrCat("\"", rule.type, "\" is no type of device"));
  }
  COAM_ASSIGN_OR_RETURN(m.major, Number(rule.major));
  COAM_ASSIGN_OR_RETURN(m.minor, Number(rule.minor));
  for (char c : rule.access) switch (c) {
      case 'r': m.access |= BPF_DEVCG_ACC_READ; break;
      case 'w': m.access |= BPF_DEVCG_ACC_WRITE; break;
      case 'm': m.access |= BPF_DEVCG_ACC_MKNOD; break;
      default: return Bad(absl::StrCat("\"", rule.access, "\" is no access; r, w and m are"));
    }
  if (rule.access.empty()) m.access = kAllAccess;
  return m;
}

// The text form of kAlways: "c 136:* rwm".
Match MatchOfText(std::string_view text) {
  const std::vector<std::string_view> parts = absl::StrSplit(text, absl::ByAnyChar(" :"));
  DeviceRule rule;
  rule.allow = true;
  rule.type = std::string(parts[0]);
  int64_t n = 0;
  if (absl::SimpleAtoi(parts[1], &n)) rule.major = n;
  if (absl::SimpleAtoi(parts[2], &n)) rule.minor = n;
  rule.access = std::string(parts[3]);
  return *MatchOf(rule);
}

// Registers of the program: what is asked for, and what of it is still undecided.
enum : uint8_t {
  kVerdict = 0,
  kContext = 1,
  kType = 2,
  kWanted = 3,
  kMajor = 4,
  kMinor = 5,
  kBits
};

bpf_insn Insn(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn i = {};
  i.code = static_cast<uint8_t>(code);
  i.dst_reg = to & 0xf;
  i.src_reg = from & 0xf;
  i.off = offset;
  i.imm = value;
  return i;
}

bpf_insn Load(uint8_t to, size_t offset) {
  return Insn(BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int16_t>(offset), 0);
}
bpf_insn Alu(int op, uint8_t to, int32_t value) {
  return Insn(BPF_ALU | op | BPF_K, to, 0, 0, value);
}
bpf_insn Copy(uint8_t to, uint8_t from) { return Insn(BPF_ALU | BPF_MOV | BPF_X, to, from, 0, 0); }
// Jumps are 32 bits wide: a number is compared as it is.
bpf_insn Jump(int op, uint8_t reg, int32_t value, size_t over) {
  return Insn(BPF_JMP32 | op | BPF_K, reg, 0, static_cast<int16_t>(over), value);
}

void Return(int32_t verdict, std::vector<bpf_insn>* out) {
  out->push_back(Alu(BPF_MOV, kVerdict, verdict));
  out->push_back(Insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

void Append(const Match& m, std::vector<bpf_insn>* out) {
  std::vector<bpf_insn> then;
  if (m.allow) {
    then.push_back(Alu(BPF_AND, kWanted, kAllAccess & ~m.access));
    then.push_back(Jump(BPF_JNE, kWanted, 0, 2));
    Return(1, &then);
  } else {
    then.push_back(Copy(kBits, kWanted));
    then.push_back(Alu(BPF_AND, kBits, m.access));
    then.push_back(Jump(BPF_JEQ, kBits, 0, 2));
    Return(0, &then);
  }
  size_t tests = size_t{m.type.has_value()} + m.major.has_value() + m.minor.has_value();
  auto unless = [&](uint8_t reg, uint32_t value) {
    out->push_back(Jump(BPF_JNE, reg, static_cast<int32_t>(value), --tests + then.size()));
  };
  if (m.type) unless(kType, static_cast<uint32_t>(*m.type));
  if (m.major) unless(kMajor, *m.major);
  if (m.minor) unless(kMinor, *m.minor);
  out->insert(out->end(), then.begin(), then.end());
}

long Bpf(int command, bpf_attr* attr) { return syscall(SYS_bpf, command, attr, sizeof *attr); }

absl::Status BpfError(std::string_view doing) {
  const int error = errno;
  if (error == ENOSYS || error == EINVAL)
    return base::FailErrno("run.unsupported", error)
           << doing << " for linux.resources.devices: this kernel has no device programs";
  return base::FailErrno("run.cgroup", error) << doing << " for linux.resources.devices";
}

}  // namespace

absl::Span<const std::string_view> AlwaysAllowedDevices() { return kAlways; }

absl::StatusOr<std::vector<bpf_insn>> CompileDeviceFilter(const std::vector<DeviceRule>& rules) {
  std::vector<Match> matches;
  bool denies = false;
  for (const DeviceRule& rule : rules) {
    COAM_ASSIGN_OR_RETURN(Match m, MatchOf(rule));
    denies = denies || !m.allow;
    matches.push_back(m);
  }
  if (denies)
    for (std::string_view text : kAlways) matches.push_back(MatchOfText(text));
  std::vector<bpf_insn> out = {
      Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      Copy(kWanted, kType),
      Alu(BPF_AND, kType, 0xffff),
      Alu(BPF_RSH, kWanted, 16),
      Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (auto m = matches.rbegin(); m != matches.rend(); ++m) Append(*m, &out);
  Return(1, &out);
  return out;
}

absl::Status AttachDeviceFilter(int cgroup_fd, absl::Span<const bpf_insn> program) {
  constexpr char kLicense[] = "Apache-2.0";
  bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = reinterpret_cast<uint64_t>(program.data());
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  attr.license = reinterpret_cast<uint64_t>(kLicense);
  base::UniqueFd loaded(static_cast<int>(Bpf(BPF_PROG_LOAD, &attr)));
  if (!loaded.ok()) return BpfError("loading a program");

  uint32_t ids[64] = {};
  memset(&attr, 0, sizeof attr);
  attr.query.target_fd = static_cast<uint32_t>(cgroup_fd);
  attr.query.attach_type = BPF_CGROUP_DEVICE;
  attr.query.prog_ids = reinterpret_cast<uint64_t>(ids);
  attr.query.prog_cnt = 64;
  if (Bpf(BPF_PROG_QUERY, &attr) != 0) return BpfError("asking for earlier programs");
  std::vector<base::UniqueFd> earlier;
  for (uint32_t i = 0; i < attr.query.prog_cnt && i < 64; ++i) {
    bpf_attr by_id;
    memset(&by_id, 0, sizeof by_id);
    by_id.prog_id = ids[i];
    base::UniqueFd fd(static_cast<int>(Bpf(BPF_PROG_GET_FD_BY_ID, &by_id)));
    if (fd.ok()) earlier.push_back(std::move(fd));
  }

  // One earlier program is replaced in one step. Of several, all must agree: ours joins them before
  // they go, so that no moment is without a filter.
  memset(&attr, 0, sizeof attr);
  attr.target_fd = static_cast<uint32_t>(cgroup_fd);
  attr.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  const bool replaces = earlier.size() == 1;
  if (replaces) {
    attr.attach_flags |= BPF_F_REPLACE;
    attr.replace_bpf_fd = static_cast<uint32_t>(earlier[0].get());
  }
  if (Bpf(BPF_PROG_ATTACH, &attr) != 0) return BpfError("attaching a program");
  if (replaces) return absl::OkStatus();
  for (const base::UniqueFd& fd : earlier) {
    memset(&attr, 0, sizeof attr);
    attr.target_fd = static_cast<uint32_t>(cgroup_fd);
    attr.attach_bpf_fd = static_cast<uint32_t>(fd.get());
    attr.attach_type = BPF_CGROUP_DEVICE;
    if (Bpf(BPF_PROG_DETACH, &attr) != 0) return BpfError("detaching an earlier program");
  }
  return absl::OkStatus();
}

}  // namespace coaming::run
