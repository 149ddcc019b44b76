#include "liboci/runtime/testing_bundle.h"

#include <errno.h>
#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
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
