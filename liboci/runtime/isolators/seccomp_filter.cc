// The only file that uses libseccomp.
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/seccomp.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

namespace {

struct ContextDeleter {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextDeleter>;

absl::Status Bad(std::string_view message) {
  return base::Fail("run.spec").Detail("spec.member", "linux.seccomp")
         << "linux.seccomp: " << message;
}

absl::StatusOr<uint32_t> Action(std::string_view name, std::optional<uint32_t> errno_ret) {
  bool takes_errno = name == "SCMP_ACT_ERRNO" || name == "SCMP_ACT_TRACE";
  if (errno_ret && !takes_errno) return Bad(absl::StrCat(name, " takes no errnoRet"));
  uint32_t value = errno_ret.value_or(EPERM);
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return uint32_t{SCMP_ACT_KILL};
  if (name == "SCMP_ACT_KILL_PROCESS") return uint32_t{SCMP_ACT_KILL_PROCESS};
  if (name == "SCMP_ACT_TRAP") return uint32_t{SCMP_ACT_TRAP};
  if (name == "SCMP_ACT_ERRNO") return uint32_t{SCMP_ACT_ERRNO(value)};
  if (name == "SCMP_ACT_TRACE") return uint32_t{SCMP_ACT_TRACE(value)};
  if (name == "SCMP_ACT_ALLOW") return uint32_t{SCMP_ACT_ALLOW};
  if (name == "SCMP_ACT_LOG") return uint32_t{SCMP_ACT_LOG};
  if (name == "SCMP_ACT_NOTIFY") return uint32_t{SCMP_ACT_NOTIFY};
  return Bad(absl::StrCat("unknown action \"", name, "\""));
}

absl::StatusOr<scmp_compare> Comparison(std::string_view op) {
  constexpr std::pair<std::string_view, scmp_compare> kOps[] = {
      {"SCMP_CMP_NE", SCMP_CMP_NE},
      {"SCMP_CMP_LT", SCMP_CMP_LT},
      {"SCMP_CMP_LE", SCMP_CMP_LE},
      {"SCMP_CMP_EQ", SCMP_CMP_EQ},
      {"SCMP_CMP_GE", SCMP_CMP_GE},
      {"SCMP_CMP_GT", SCMP_CMP_GT},
      {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  for (const auto& [name, value] : kOps)
    if (name == op) return value;
  return Bad(absl::StrCat("unknown operator \"", op, "\""));
}

absl::StatusOr<uint32_t> Architecture(std::string_view name) {
  constexpr std::pair<std::string_view, uint32_t> kArches[] = {
      {"SCMP_ARCH_X86", SCMP_ARCH_X86},
      {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
      {"SCMP_ARCH_X32", SCMP_ARCH_X32},
      {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
      {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
      {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
      {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
      {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
      {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
      {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
      {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
      {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
      {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
      {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
      {"SCMP_ARCH_S390", SCMP_ARCH_S390},
      {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
      {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
      {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
      {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64}};
  for (const auto& [arch, token] : kArches)
    if (arch == name) return token;
  return Bad(absl::StrCat("unknown architecture \"", name, "\""));
}

absl::StatusOr<uint64_t> FilterFlags(const Seccomp& profile) {
  constexpr std::pair<std::string_view, uint64_t> kFlags[] = {
      {"SECCOMP_FILTER_FLAG_TSYNC", 1u << 0},
      {"SECCOMP_FILTER_FLAG_LOG", 1u << 1},
      {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1u << 2},
      {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1u << 5}};
  uint64_t flags = 0;
  for (const std::string& f : profile.flags) {
    uint64_t flag = 0;
    for (const auto& [name, value] : kFlags)
      if (name == f) flag = value;
    if (flag == 0) return Bad(absl::StrCat("unknown flag \"", f, "\""));
    flags |= flag;
  }
  // The helper has one thread: nothing to synchronise, and TSYNC excludes a listener.
  return flags & ~uint64_t{1};
}

absl::StatusOr<std::string> Export(void* context) {
  int fd = memfd_create("coaming-filter", MFD_CLOEXEC);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a memfd";
  base::UniqueFd owner(fd);
  int r = seccomp_export_bpf(context, fd);
  if (r < 0) return base::FailErrno("run.seccomp", -r) << "compiling the seccomp filter";
  off_t size = lseek(fd, 0, SEEK_END);
  std::string code(static_cast<size_t>(size), '\0');
  if (pread(fd, code.data(), code.size(), 0) != size)
    return base::FailErrno("core.io", errno) << "reading the compiled seccomp filter";
  return code;
}

}  // namespace

absl::StatusOr<Filter> CompileFilter(const Seccomp& profile, std::vector<std::string>* warnings) {
  COAM_ASSIGN_OR_RETURN(uint32_t fallback,
                        Action(profile.default_action, profile.default_errno_ret));
  if (fallback == SCMP_ACT_NOTIFY) return Bad("SCMP_ACT_NOTIFY cannot be the default");
  Filter filter;
  COAM_ASSIGN_OR_RETURN(filter.flags, FilterFlags(profile));
  Context context(seccomp_init(fallback));
  if (context == nullptr) return Bad("the default action is refused by libseccomp");
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0);
  for (const std::string& name : profile.architectures) {
    COAM_ASSIGN_OR_RETURN(uint32_t arch, Architecture(name));
    int r = seccomp_arch_add(context.get(), arch);
    if (r < 0 && r != -EEXIST)
      return base::FailErrno("run.seccomp", -r) << "linux.seccomp: architecture " << name;
  }
  for (const SeccompSyscall& rule : profile.syscalls) {
    COAM_ASSIGN_OR_RETURN(uint32_t action, Action(rule.action, rule.errno_ret));
    if (action == SCMP_ACT_NOTIFY) filter.has_listener = true;
    if (action == fallback) continue;
    std::vector<scmp_arg_cmp> args;
    bool repeated = false;
    for (const SeccompArg& a : rule.args) {
      COAM_ASSIGN_OR_RETURN(scmp_compare op, Comparison(a.op));
      if (a.index > 5) return Bad(absl::StrCat("argument index ", a.index, " is above 5"));
      for (const scmp_arg_cmp& other : args) repeated = repeated || other.arg == a.index;
      args.push_back({a.index, op, a.value, a.value_two});
    }
    for (const std::string& name : rule.names) {
      int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        if (warnings != nullptr)
          warnings->push_back(absl::StrCat("linux.seccomp: unknown system call ", name));
        continue;
      }
      if (action == SCMP_ACT_NOTIFY && name == "write")
        return Bad("SCMP_ACT_NOTIFY may not be used for write");
      int r = 0;
      // libseccomp wants each argument once in a rule: repeated ones mean "or".
      if (repeated)
        for (size_t i = 0; i < args.size() && r == 0; ++i)
          r = seccomp_rule_add_array(context.get(), action, number, 1, &args[i]);
      else
        r = seccomp_rule_add_array(context.get(), action, number,
                                   static_cast<unsigned>(args.size()), args.data());
      if (r < 0 && r != -EEXIST)
        return base::FailErrno("run.seccomp", -r) << "linux.seccomp: rule for " << name;
    }
  }
  if (filter.has_listener) {
    if (profile.listener_path.empty()) return Bad("SCMP_ACT_NOTIFY needs a listenerPath");
    filter.flags |= 1u << 3;  // SECCOMP_FILTER_FLAG_NEW_LISTENER
  }
  COAM_ASSIGN_OR_RETURN(filter.code, Export(context.get()));
  return filter;
}

namespace {

// The key is all that the compiled form depends on.
std::string KeyOf(const Seccomp& profile) {
  const scmp_version* v = seccomp_version();
  return absl::StrCat("libseccomp ", v->major, ".", v->minor, ".", v->micro, " arch ",
                      seccomp_arch_native(), "\n", WriteSeccomp(profile));
}
constexpr size_t kRecent = 16;

}  // namespace

absl::StatusOr<std::shared_ptr<const Filter>> FilterCache::Get(const Seccomp& profile,
                                                               std::vector<std::string>* warnings) {
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = recent_.begin(); it != recent_.end(); ++it)
      if (it->first == profile) {
        recent_.splice(recent_.begin(), recent_, it);
        return it->second;
      }
  }
  const std::string key = KeyOf(profile);
  std::shared_ptr<const Filter> filter = FromDisk(key);
  if (filter == nullptr) {
    COAM_ASSIGN_OR_RETURN(Filter made, CompileFilter(profile, warnings));
    filter = std::make_shared<const Filter>(std::move(made));
    ToDisk(key, *filter);
  }
  absl::MutexLock lock(&mutex_);
  recent_.emplace_front(profile, filter);
  if (recent_.size() > kRecent) recent_.pop_back();
  return filter;
}

namespace {
std::string CacheName(const std::string& key) {
  return absl::StrFormat("%016x-%x.bpf", std::hash<std::string>()(key), key.size());
}
std::string CacheHead(const std::string& key, const Filter& f) {
  return absl::StrFormat("coaming filter 1 %d %d %d %d\n", key.size(), f.code.size(), f.flags,
                         f.has_listener ? 1 : 0);
}
}  // namespace

std::shared_ptr<const Filter> FilterCache::FromDisk(const std::string& key) const {
  if (directory_.empty()) return nullptr;
  absl::StatusOr<base::Dir> dir = base::Dir::Open(directory_);
  struct stat st;
  // Nobody else may have written what we would load into a container.
  if (!dir.ok() || fstat(dir->fd(), &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
    return nullptr;
  std::string text;
  int error = 0;
  if (!ReadAt(dir->fd(), CacheName(key), &text, &error)) return nullptr;
  auto filter = std::make_shared<Filter>();
  unsigned long long key_size = 0, code_size = 0, flags = 0;
  int listener = 0;
  if (sscanf(text.c_str(), "coaming filter 1 %llu %llu %llu %d\n", &key_size, &code_size, &flags,
             &listener) != 4)
    return nullptr;
  size_t head = text.find('\n') + 1;
  if (key_size != key.size() || code_size % 8 != 0 || text.size() != head + key_size + code_size ||
      std::string_view(text).substr(head, key_size) != key)
    return nullptr;
  filter->code = text.substr(head + key_size);
  filter->flags = flags;
  filter->has_listener = listener != 0;
  return filter;
}

void FilterCache::ToDisk(const std::string& key, const Filter& filter) const {
  if (directory_.empty()) return;
  absl::StatusOr<base::Dir> dir = base::Dir::OpenOrMake(directory_, 0700);
  if (!dir.ok()) return;  // a cache that cannot be written is only slower
  base::Op op;
  dir->WriteFile(op, CacheName(key), CacheHead(key, filter) + key + filter.code, {.mode = 0600})
      .IgnoreError();
}

}  // namespace coaming::run
