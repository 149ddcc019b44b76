#include "liboci/runtime/plan.h"

#include <cstring>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {
namespace {

// A v1 host as made by hand.
HostFacts V1Host() {
  HostFacts f;
  for (const char* c : {"memory", "pids"}) {
    CgroupHierarchy h;
    h.mount = absl::StrCat("/sys/fs/cgroup/", c);
    h.name = c;
    h.controllers = {c};
    f.cgroups.push_back(h);
  }
  CgroupHierarchy cpu;
  cpu.mount = "/sys/fs/cgroup/cpu,cpuacct";
  cpu.name = "cpu,cpuacct";
  cpu.controllers = {"cpu", "cpuacct"};
  f.cgroups.push_back(cpu);
  return f;
}

HostFacts V2Host() {
  HostFacts f;
  f.unified = true;
  CgroupHierarchy h;
  h.v2 = true;
  h.mount = "/sys/fs/cgroup";
  h.name = "cgroup";
  f.cgroups.push_back(h);
  return f;
}

struct Case {
  Spec spec = DefaultSpec();
  HostFacts facts = V1Host();
  PlanInput in;
  std::vector<std::string> warnings;
  Case() {
    spec.process->terminal = false;
    spec.process->args = {"sh", "-c", "exit 3"};
    in.id = "web";
    in.bundle = "/bundles/web";
    in.rootfs = "/bundles/web/rootfs";
    in.cgroup_path = "coaming/web";
    in.warnings = &warnings;
  }
  absl::StatusOr<Plan> Compile() {
    in.spec = &spec;
    in.process = spec.process ? &*spec.process : nullptr;
    in.facts = &facts;
    return CompilePlan(in);
  }
  std::string Print() { return REQUIRE_VALUE(Compile()).Print(); }
};

TEST_CASE("plan: the default configuration compiles to these steps", "[liboci][runtime]") {
  Case c;
  REQUIRE(c.Print() == R"(  0  spawn into pid,mount,network,ipc,uts
  1  start a session
  2  make the session keyring _ses.web
  3  set up the loopback interface
  4  set the propagation of / (slave,recursive)
  5  mount the root /bundles/web/rootfs
  6  mount proc on /proc
  7  mount tmpfs on /dev (nosuid,strictatime,mode=755,size=65536k)
  8  mount devpts on /dev/pts (nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5)
  9  mount tmpfs on /dev/shm (nosuid,nodev,noexec,mode=1777,size=65536k)
 10  mount mqueue on /dev/mqueue (nosuid,nodev,noexec)
 11  mount sysfs on /sys (ro,nosuid,nodev,noexec)
 12  mount tmpfs on /sys/fs/cgroup (nosuid,nodev,noexec,relatime,mode=755)
 13  bind /sys/fs/cgroup/memory/coaming/web on /sys/fs/cgroup/memory (ro,nosuid,nodev,noexec)
 14  bind /sys/fs/cgroup/pids/coaming/web on /sys/fs/cgroup/pids (ro,nosuid,nodev,noexec)
 15  bind /sys/fs/cgroup/cpu,cpuacct/coaming/web on /sys/fs/cgroup/cpu,cpuacct (ro,nosuid,nodev,noexec)
 16  make the link /sys/fs/cgroup/cpu (to cpu,cpuacct)
 17  make the link /sys/fs/cgroup/cpuacct (to cpu,cpuacct)
 18  remount /sys/fs/cgroup (ro,nosuid,nodev,noexec)
 19  make the node /dev/null (20666)
 20  make the node /dev/zero (20666)
 21  make the node /dev/full (20666)
 22  make the node /dev/random (20666)
 23  make the node /dev/urandom (20666)
 24  make the node /dev/tty (20666)
 25  make the link /dev/fd (to /proc/self/fd)
 26  make the link /dev/stdin (to /proc/self/fd/0)
 27  make the link /dev/stdout (to /proc/self/fd/1)
 28  make the link /dev/stderr (to /proc/self/fd/2)
 29  make the link /dev/ptmx (to pts/ptmx)
 30  set the host name to runc
 31  make read-only /proc/bus
 32  make read-only /proc/fs
 33  make read-only /proc/irq
 34  make read-only /proc/sys
 35  make read-only /proc/sysrq-trigger
 36  mask /proc/acpi
 37  mask /proc/asound
 38  mask /proc/kcore
 39  mask /proc/keys
 40  mask /proc/latency_stats
 41  mask /proc/timer_list
 42  mask /proc/timer_stats
 43  mask /proc/sched_debug
 44  mask /sys/firmware
 45  mask /proc/scsi
 46  make read-only the root
 47  enter the root
 48  set RLIMIT_NOFILE to 1024:1024
 49  find the home of user 0
 50  limit capabilities to KILL,NET_BIND_SERVICE,AUDIT_WRITE
 51  become user 0 and group 0
 52  set capabilities to KILL,NET_BIND_SERVICE,AUDIT_WRITE (ambient none)
 53  forbid new privileges
 54  set the umask to 0022
 55  enter the working directory /
 56  find the program sh
 57  wait for the order to start
 58  execute sh
)");
}

TEST_CASE("plan: on cgroup v2 one mount is enough, read-only without an own namespace",
          "[liboci][runtime]") {
  Case c;
  c.facts = V2Host();
  REQUIRE(
      absl::StrContains(c.Print(), "bind /sys/fs/cgroup/coaming/web on /sys/fs/cgroup (ro,nosuid"));
  c.spec.mounts.back().options = {"rw"};
  REQUIRE(absl::StrContains(c.Print(), "bind /sys/fs/cgroup/coaming/web on /sys/fs/cgroup (ro)"));
  c.spec.linux_.namespaces.push_back({"cgroup", ""});
  REQUIRE(absl::StrContains(c.Print(), "mount cgroup2 on /sys/fs/cgroup\n"));
}

TEST_CASE("plan: a user namespace takes two stages and binds its devices", "[liboci][runtime]") {
  Case c;
  c.spec.linux_.namespaces.push_back({"user", ""});
  c.spec.linux_.uid_mappings = {{0, 1000, 10}};
  c.spec.linux_.gid_mappings = {{0, 1000, 10}};
  Plan plan = REQUIRE_VALUE(c.Compile());
  REQUIRE(plan.two_stage);
  REQUIRE(plan.spawn_flags == 0);
  std::string text = plan.Print();
  REQUIRE(
      absl::StartsWith(text,
                       "  1  make the process in new namespaces (user,pid,mount,network,ipc,uts)\n"
                       "  2  wait for the id mappings\n"
                       "  3  become user 0 and group 0\n"));
  REQUIRE(absl::StrContains(text, "bind the node /dev/null on /dev/null"));
  REQUIRE_FALSE(absl::StrContains(text, "make the node"));
}

TEST_CASE("plan: joined namespaces are opened by the host, strict where it matters",
          "[liboci][runtime]") {
  Case c;
  c.spec.hostname.clear();
  c.spec.linux_.namespaces = {{"mount", ""}, {"network", "/run/netns/web"}, {"uts", ""}};
  Plan plan = REQUIRE_VALUE(c.Compile());
  REQUIRE_FALSE(plan.two_stage);
  REQUIRE(plan.slots().back().path == "/run/netns/web");
  REQUIRE(absl::StrContains(plan.Print(), "join the network namespace /run/netns/web"));
  // A pid namespace is entered by a child only, and its processes must not trace this one.
  c.spec.linux_.namespaces = {{"mount", ""}, {"pid", "/proc/9/ns/pid"}};
  plan = REQUIRE_VALUE(c.Compile());
  REQUIRE(plan.two_stage);
  REQUIRE(absl::StartsWith(plan.Print(), "  1  set dumpable to 0\n"));
}

TEST_CASE("plan: what the specification forbids is refused with the member's name",
          "[liboci][runtime]") {
  Case c;
  SECTION("a host setting") {
    c.spec.linux_.sysctl["kernel.core_pattern"] = "|/x";
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  SECTION("a setting of a namespace that is the host's") {
    c.spec.linux_.namespaces = {{"mount", ""}};
    c.spec.linux_.sysctl["net.ipv4.ip_forward"] = "1";
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  SECTION("a setting that leaves /proc/sys") {
    c.spec.linux_.sysctl["net/../kernel/core_pattern"] = "x";
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  SECTION("an unknown limit") {
    c.spec.process->rlimits = {{"RLIMIT_TIME", 1, 1}};
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  SECTION("a root without a mount namespace") {
    c.spec.linux_.namespaces = {{"pid", ""}};
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  SECTION("a bind without a source") {
    Mount m;
    m.destination = "/x";
    m.options = {"bind"};
    c.spec.mounts.push_back(m);
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
}

TEST_CASE(
    "plan: a label that this kernel cannot apply is refused, or left out with a note if asked",
    "[liboci][runtime]") {
  const auto lacks = [](const std::function<void(Spec*)>& ask) {
    Case c;
    ask(&c.spec);
    REQUIRE_REASON(c.Compile(), "run.unsupported");
    c.in.lenient_labels = true;
    REQUIRE(!REQUIRE_VALUE(c.Compile()).Has(COAM_OP_LABEL_EXEC));
    REQUIRE(c.warnings.size() == 1);
  };
  lacks([](Spec* s) { s->process->apparmor_profile = "docker-default"; });
  lacks([](Spec* s) { s->process->selinux_label = "a:b:c:s0"; });
  lacks([](Spec* s) { s->linux_.mount_label = "a:b:c:s0"; });
}

TEST_CASE("plan: labels are told to the kernel right before the program, by the host's procfs",
          "[liboci][runtime]") {
  Case c;
  c.facts.apparmor = c.facts.apparmor_own_files = true;
  c.spec.process->apparmor_profile = "docker-default";
  Plan plan = REQUIRE_VALUE(c.Compile());
  const size_t at = plan.size() - 2;
  REQUIRE(plan.OpAt(at) == COAM_OP_LABEL_EXEC);
  REQUIRE(plan.TextAt(at, 1) == "self/attr/apparmor/exec");
  REQUIRE(plan.TextAt(at, 2) == "exec docker-default");
  REQUIRE(plan.slots()[plan.NumAt(at, 0)].kind == Plan::Slot::Kind::kProc);
  Case s;
  s.facts.selinux = true;
  s.spec.process->selinux_label = "u:r:t:s0:c1,c2";
  s.spec.linux_.mount_label = "u:r:f:s0:c1,c2";
  plan = REQUIRE_VALUE(s.Compile());
  REQUIRE(plan.TextAt(plan.size() - 2, 1) == "self/attr/exec");
  REQUIRE(plan.TextAt(plan.size() - 2, 2) == "u:r:t:s0:c1,c2");
  REQUIRE(absl::StrContains(plan.Print(), "mode=755,size=65536k,context=\"u:r:f:s0:c1,c2\""));
  REQUIRE(!absl::StrContains(plan.Print(), "proc on /proc (nosuid,noexec,nodev,context"));
}

TEST_CASE("plan: mapped ids are asked of the mount, of the user namespace, or of nobody",
          "[liboci][runtime]") {
  const auto slot_of = [](Case* c, Mount m) {
    c->spec.mounts.push_back(std::move(m));
    Plan plan = REQUIRE_VALUE(c->Compile());
    for (const Plan::Slot& slot : plan.slots())
      if (slot.maps_ids()) return slot;
    FAIL("no mount with mapped ids");
    return Plan::Slot{};
  };
  Mount m;
  m.destination = "/x";
  m.source = "/srv";
  m.options = {"rbind", "ridmap"};
  Case nobody;
  nobody.spec.mounts.push_back(m);
  REQUIRE_REASON(nobody.Compile(), "run.spec");
  Case given;
  m.uid_mappings = {{0, 1000, 5}};
  m.gid_mappings = {{0, 2000, 5}};
  Plan::Slot slot = slot_of(&given, m);
  REQUIRE(slot.uid_map == "0 1000 5\n");
  REQUIRE(slot.gid_map == "0 2000 5\n");
  REQUIRE(slot.arg == (Plan::Slot::kRecursive | Plan::Slot::kMapRecursive));
  m.uid_mappings.clear();
  m.gid_mappings.clear();
  m.options = {"bind", "idmap"};
  Case own;
  own.spec.linux_.namespaces.push_back({"user", ""});
  own.spec.linux_.uid_mappings = own.spec.linux_.gid_mappings = {{0, 100000, 65536}};
  REQUIRE(slot_of(&own, m).uid_map == "0 100000 65536\n");
  m.options = {"bind", "idmap=uids=@1-3-10;gids=0-100-10#10-7-1"};
  Case relative;
  relative.spec.linux_ = own.spec.linux_;
  slot = slot_of(&relative, m);
  REQUIRE(slot.uid_map == "1 100003 10\n");
  REQUIRE(slot.gid_map == "0 100 10\n10 7 1\n");
  for (const char* wrong : {"idmap=uids=1-2", "idmap=uids=0-0-1", "idmap=x=0-0-1;gids=0-0-1"}) {
    Case c;
    m.options = {"bind", wrong};
    c.spec.mounts.push_back(m);
    INFO(wrong);
    REQUIRE_REASON(c.Compile(), "run.spec");
  }
  Case fresh;
  fresh.spec.mounts.push_back({"/x", "tmpfs", "tmpfs", {"idmap"}});
  REQUIRE_REASON(fresh.Compile(), "run.unsupported");
}

TEST_CASE("plan: unknown capabilities are left out with a warning", "[liboci][runtime]") {
  Case c;
  c.spec.process->capabilities->bounding.push_back("CAP_TIME_TRAVEL");
  REQUIRE(absl::StrContains(c.Print(), "limit capabilities to KILL,NET_BIND_SERVICE,AUDIT_WRITE"));
  REQUIRE(c.warnings.size() == 1);
  REQUIRE(absl::StrContains(c.warnings[0], "CAP_TIME_TRAVEL"));
}

TEST_CASE("plan: the filter is loaded early without no_new_privs, and last with it",
          "[liboci][runtime]") {
  Case c;
  Filter filter;
  filter.code.assign(16, 'x');
  c.in.filter = &filter;
  std::string text = c.Print();
  REQUIRE(
      absl::StrContains(text, "wait for the order to start\n 58  load the seccomp filter of 2"));
  c.spec.process->no_new_privileges = false;
  text = c.Print();
  REQUIRE(text.find("load the seccomp") < text.find("limit capabilities"));
}

TEST_CASE("plan: the sealed form holds every step and text within its bounds",
          "[liboci][runtime]") {
  Case c;
  Plan plan = REQUIRE_VALUE(c.Compile());
  std::string block = plan.Encode(7);
  coam_plan_header header;
  std::memcpy(&header, block.data(), sizeof header);
  REQUIRE(header.magic == COAM_PLAN_MAGIC);
  REQUIRE(header.size == block.size());
  REQUIRE(header.nsteps == plan.size());
  REQUIRE(header.fd_base == 7);
  size_t head = sizeof header + header.nsteps * sizeof(coam_step);
  for (uint32_t i = 0; i < header.nsteps; ++i) {
    coam_step step;
    std::memcpy(&step, block.data() + sizeof header + i * sizeof step, sizeof step);
    REQUIRE(step.op == static_cast<uint32_t>(plan.OpAt(i)));
    for (uint32_t offset : step.s)
      if (offset != 0) {
        REQUIRE(offset >= head);
        REQUIRE(offset < block.size());
      }
  }
  REQUIRE(block.back() == '\0');
}

TEST_CASE("plan: every step has words and a reason that the table knows", "[liboci][runtime]") {
  Case c;
  c.spec.process->terminal = true;
  c.spec.linux_.namespaces.push_back({"cgroup", ""});
  c.spec.hooks.create_container.push_back(
      {.path = "/bin/hook", .args = {}, .env = {}, .timeout = {}, .extra = {}});
  c.in.state_json = "{}";
  Plan plan = REQUIRE_VALUE(c.Compile());
  for (size_t i = 0; i < plan.size(); ++i) {
    INFO(plan.Describe(i));
    REQUIRE(base::FindReason(plan.ReasonAt(i)) != nullptr);
    REQUIRE_FALSE(absl::StartsWith(plan.Describe(i), "doing"));
  }
}

}  // namespace
}  // namespace coaming::run
