#include "liboci/runtime/testing_bundle.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "liboci/runtime/facts.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run::testing {

std::string CannotRun() {
  if (!base::testing::IsRoot()) return "needs root";
  if (base::testing::ProgramPath("busybox").empty()) return "needs the program busybox";
  return "";
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return all;
    all.append(buffer, static_cast<size_t>(n));
  }
}

TestBundle::TestBundle() {
  bundle_ = tree_.MakeDir("bundle");
  for (const char* dir : {"bin", "dev", "proc", "sys", "etc", "tmp", "root"})
    tree_.MakeDir(absl::StrCat("bundle/rootfs/", dir));
  std::string busybox = base::testing::ProgramPath("busybox");
  REQUIRE(base::testing::Shell(absl::StrCat("cp ", busybox, " ", bundle_,
                                            "/rootfs/bin/busybox && for a in $(", busybox,
                                            " --list); do [ $a = busybox ] || ln -s busybox ",
                                            bundle_, "/rootfs/bin/$a; done")) == 0);
  tree_.Write("bundle/rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  // In the mapped user's reach as well.
  REQUIRE(base::testing::Shell(absl::StrCat("chmod 755 ", tree_.path(), " ", bundle_)) == 0);
}

std::string TestBundle::Root(std::string_view relative) const {
  return absl::StrCat(bundle_, "/rootfs/", relative);
}

std::shared_ptr<Runtime> TestBundle::NewRuntime() const {
  RuntimeOptions o;
  o.state_root = tree_ / "state";
  o.cgroup_parent = "/coaming-test";
  return REQUIRE_VALUE(Runtime::New(o));
}

std::shared_ptr<Runtime> TestBundle::NewRuntime(uint32_t step, bool stop) const {
  std::string helper = REQUIRE_VALUE(ReadKernelFile("liboci/runtime/launch/coaming-launch-stops"));
  std::string mark = "coaming-launch stops at";
  mark.push_back('\0');
  size_t at = helper.find(mark);
  REQUIRE(at != std::string::npos);
  uint32_t words[2] = {step, stop ? 1u : 0u};
  memcpy(helper.data() + at + mark.size(), words, sizeof words);
  RuntimeOptions o;
  o.launcher = tree_.Write("launcher", helper, 0755);
  o.state_root = tree_ / "state";
  o.cgroup_parent = "/coaming-test";
  return REQUIRE_VALUE(Runtime::New(o));
}

std::string LeftBehind(const TestBundle& bundle, const std::string& id) {
  std::string left;
  const std::string state = absl::StrCat(bundle.tree() / "state/", id);
  if (access(state.c_str(), F_OK) == 0) absl::StrAppend(&left, state, "\n");
  for (const CgroupHierarchy& h : REQUIRE_VALUE(ReadHostFacts()).cgroups) {
    const std::string cgroup = absl::StrCat(h.mount, "/coaming-test/", id);
    if (access(cgroup.c_str(), F_OK) == 0) absl::StrAppend(&left, cgroup, "\n");
  }
  const std::string mounts = REQUIRE_VALUE(ReadKernelFile("/proc/self/mountinfo"));
  for (std::string_view line : absl::StrSplit(mounts, '\n'))
    if (absl::StrContains(line, bundle.path())) absl::StrAppend(&left, line, "\n");
  return left;
}

Spec TestBundle::SpecOf(std::vector<std::string> args) {
  Spec s = DefaultSpec();
  s.process->terminal = false;
  s.process->args = std::move(args);
  s.process->env = {"PATH=/bin"};
  s.root->readonly = false;
  return s;
}

CreateOptions TestBundle::Options(const Spec& spec) const {
  static std::atomic<int> number{0};
  CreateOptions o;
  o.id = absl::StrCat("t-", getpid(), "-", number++);
  o.bundle = bundle_;
  o.spec = spec;
  return o;
}

TestBundle::Result TestBundle::Run(const Spec& spec) const {
  std::shared_ptr<Runtime> runtime = NewRuntime();
  CreateOptions o = Options(spec);
  o.in.kind = Stdio::Kind::kNull;
  o.out.kind = o.err.kind = Stdio::Kind::kPipe;
  base::Op op;
  std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Run(op, o));
  Result r;
  r.out = ReadAll(c->TakeStdio(1).get());
  r.err = ReadAll(c->TakeStdio(2).get());
  r.status = REQUIRE_VALUE(c->Wait(op));
  REQUIRE_OK(c->Delete(op, false));
  return r;
}

}  // namespace coaming::run::testing
