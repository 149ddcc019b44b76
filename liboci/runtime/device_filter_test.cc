#include "liboci/runtime/device_filter.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/core/unique_fd.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/facts.h"

namespace coaming::run {
namespace {

// Carries the program out as the kernel would, for the instructions that the compiler writes.
bool Ask(const std::vector<bpf_insn>& program, char type, uint32_t major, uint32_t minor,
         std::string_view access) {
  uint32_t bits = 0;
  for (char c : access)
    bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  const uint32_t context[3] = {
      (bits << 16) | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR), major, minor};
  uint32_t r[11] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& i = program[at];
    const uint32_t value = (i.code & BPF_X) != 0 ? r[i.src_reg] : static_cast<uint32_t>(i.imm);
    switch (i.code) {
      case BPF_LDX | BPF_MEM | BPF_W: r[i.dst_reg] = context[i.off / 4]; break;
      case BPF_ALU | BPF_MOV | BPF_X:
      case BPF_ALU | BPF_MOV | BPF_K: r[i.dst_reg] = value; break;
      case BPF_ALU | BPF_AND | BPF_K: r[i.dst_reg] &= value; break;
      case BPF_ALU | BPF_RSH | BPF_K: r[i.dst_reg] >>= value; break;
      case BPF_JMP32 | BPF_JNE | BPF_K: at += r[i.dst_reg] != value ? i.off : 0; break;
      case BPF_JMP32 | BPF_JEQ | BPF_K: at += r[i.dst_reg] == value ? i.off : 0; break;
      case BPF_JMP | BPF_EXIT: return r[0] != 0;
      default: FAIL("an instruction that is not expected: " << int{i.code});
    }
  }
  FAIL("the program has no end");
  return false;
}

DeviceRule Rule(bool allow, std::string type, int64_t major, int64_t minor, std::string access) {
  DeviceRule r;
  r.allow = allow;
  r.type = std::move(type);
  if (major >= 0) r.major = major;
  if (minor >= 0) r.minor = minor;
  r.access = std::move(access);
  return r;
}

const DeviceRule kDenyAll = Rule(false, "", -1, -1, "rwm");

std::vector<bpf_insn> Compile(const std::vector<DeviceRule>& rules) {
  return REQUIRE_VALUE(CompileDeviceFilter(rules));
}

TEST_CASE("without a denial every device is as the host has it", "[liboci][runtime]") {
  CHECK(Ask(Compile({}), 'b', 8, 0, "rwm"));
  CHECK(Ask(Compile({Rule(true, "c", 10, 200, "r")}), 'c', 1, 11, "w"));
}

TEST_CASE("a denial of everything leaves what every container has", "[liboci][runtime]") {
  const std::vector<bpf_insn> p = Compile({kDenyAll});
  CHECK(Ask(p, 'c', 1, 3, "rw"));
  CHECK(Ask(p, 'c', 136, 77, "rw"));
  CHECK(Ask(p, 'b', 8, 0, "m"));
  CHECK_FALSE(Ask(p, 'b', 8, 0, "r"));
  CHECK_FALSE(Ask(p, 'c', 1, 11, "r"));
  CHECK_FALSE(Ask(p, 'b', 1, 3, "r"));
}

TEST_CASE("the last rule that names an access decides it", "[liboci][runtime]") {
  const std::vector<bpf_insn> p =
      Compile({kDenyAll, Rule(true, "b", 8, -1, "rw"), Rule(false, "b", 8, 1, "w"),
               Rule(true, "c", 4294967295, 7, "r"), Rule(true, "c", 4294967295, 7, "w")});
  CHECK(Ask(p, 'b', 8, 0, "rw"));
  CHECK(Ask(p, 'b', 8, 1, "r"));
  CHECK_FALSE(Ask(p, 'b', 8, 1, "w"));
  CHECK_FALSE(Ask(p, 'b', 8, 1, "rw"));
  CHECK(Ask(p, 'c', 4294967295, 7, "rw"));
  CHECK_FALSE(Ask(p, 'c', 4294967295, 8, "r"));
}

TEST_CASE("a denial after a grant of everything holds", "[liboci][runtime]") {
  const std::vector<bpf_insn> p =
      Compile({Rule(true, "a", -1, -1, ""), Rule(false, "c", 1, 11, "")});
  CHECK(Ask(p, 'b', 8, 0, "rw"));
  CHECK_FALSE(Ask(p, 'c', 1, 11, "r"));
}

TEST_CASE("a rule of no device is refused", "[liboci][runtime]") {
  for (const DeviceRule& bad : {Rule(true, "x", 1, 3, "r"), Rule(true, "c", 1, 3, "rx"),
                                Rule(true, "c", int64_t{1} << 32, 3, "r")})
    REQUIRE_REASON(CompileDeviceFilter({bad}), "run.spec");
}

// What a process inside `cgroup` may do with character device `minor` of major 1: "rwm", "m", "".
std::string Reach(const std::string& cgroup, const std::string& dir, unsigned minor) {
  const std::string node = dir + "/node";
  unlink(node.c_str());
  const pid_t pid = fork();
  if (pid == 0) {
    int procs = open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1) _exit(100);
    int got = 0;
    if (mknod(node.c_str(), S_IFCHR | 0600, makedev(1, minor)) == 0) got |= 1;
    if (open(node.c_str(), O_RDONLY | O_CLOEXEC) >= 0) got |= 2;
    if (open(node.c_str(), O_WRONLY | O_CLOEXEC) >= 0) got |= 4;
    _exit(got);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != 100);
  std::string text;
  if ((WEXITSTATUS(status) & 2) != 0) text += 'r';
  if ((WEXITSTATUS(status) & 4) != 0) text += 'w';
  if ((WEXITSTATUS(status) & 1) != 0) text += 'm';
  return text;
}

TEST_CASE("the kernel decides as compiled, and a later program replaces the first",
          "[liboci][runtime][root]") {
  COAM_NEEDS_ROOT();
  const HostFacts facts = REQUIRE_VALUE(ReadHostFacts());
  COAM_NEEDS(facts.v2() != nullptr, "needs a cgroup v2 tree");
  const base::testing::TempTree tree;
  const std::string& dir = tree.path();
  const std::string cgroup = absl::StrCat(facts.v2()->mount, "/coaming-devices-", getpid());
  REQUIRE(mkdir(cgroup.c_str(), 0755) == 0);
  struct Gone {
    std::string path;
    ~Gone() { rmdir(path.c_str()); }
  } const gone{cgroup};
  const base::UniqueFd fd(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  COAM_NEEDS(Reach(cgroup, dir, 7) == "rwm", "nodes are of no use in the temporary directory");

  REQUIRE_OK(AttachDeviceFilter(fd.get(), Compile({kDenyAll})));
  CHECK(Reach(cgroup, dir, 7) == "rwm");  // full: every container's
  CHECK(Reach(cgroup, dir, 11) == "m");   // kmsg
  REQUIRE_OK(AttachDeviceFilter(fd.get(), Compile({kDenyAll, Rule(true, "c", 1, 11, "r")})));
  CHECK(Reach(cgroup, dir, 11) == "rm");
  REQUIRE_OK(AttachDeviceFilter(fd.get(), Compile({Rule(false, "c", -1, -1, "m")})));
  CHECK(Reach(cgroup, dir, 11) == "rwm");
}

}  // namespace
}  // namespace coaming::run
