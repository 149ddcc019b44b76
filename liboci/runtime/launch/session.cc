#include "liboci/runtime/launch/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/launch/idmap.h"
#include "liboci/runtime/launch/spawn_child.h"

namespace coaming::run {

namespace {

constexpr unsigned char kHelper[] = {
#include "liboci/runtime/launch/launch_blob.inc"
};

// An exec seal (6.3): the file can be run, and never be made other than it is.
constexpr unsigned kMfdExec = 0x10u;
constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

absl::StatusOr<base::UniqueFd> Sealed(const char* name, std::string_view bytes, bool executable) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = executable ? memfd_create(name, flags | kMfdExec) : -1;
  if (fd < 0) fd = memfd_create(name, flags);
  if (fd < 0)
    return base::FailErrno(executable ? "run.launcher" : "core.io", errno) << "making a memfd";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd owner, base::HighFd(fd));
  while (!bytes.empty()) {
    ssize_t n = write(owner.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return base::FailErrno("core.io", errno) << "writing a memfd";
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fcntl(owner.get(), F_ADD_SEALS, kAllSeals) != 0)
    return base::FailErrno("core.io", errno) << "sealing a memfd";
  return owner;
}

uint64_t NamespaceTypeOf(int fd) {
  int type = ioctl(fd, NS_GET_NSTYPE);
  return type < 0 ? 0 : static_cast<uint64_t>(type);
}

void Reap(int pidfd) {
  siginfo_t info;
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | __WALL) < 0 && errno == EINTR) {
  }
}

// MakeNode makes a device node on a tmpfs that is mounted nowhere and gives it as a detached tree.
absl::StatusOr<base::UniqueFd> MakeNode(const Plan::Slot& slot) {
  auto fail = [&slot] {
    return base::FailErrno("run.device", errno) << "making the device " << slot.path;
  };
  auto own = [](long fd) { return base::HighFd(static_cast<int>(fd)); };
  long fd = syscall(SYS_fsopen, "tmpfs", 1u /* FSOPEN_CLOEXEC */);
  if (fd < 0) return fail();
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fs, own(fd));
  if (syscall(SYS_fsconfig, fs.get(), 6u /* FSCONFIG_CMD_CREATE */, nullptr, nullptr, 0) != 0)
    return fail();
  fd = syscall(SYS_fsmount, fs.get(), 1u /* FSMOUNT_CLOEXEC */, 0u);
  if (fd < 0) return fail();
  COAM_ASSIGN_OR_RETURN(base::UniqueFd mount, own(fd));
  if (mknodat(mount.get(), "node", slot.mode, slot.arg) != 0 ||
      fchownat(mount.get(), "node", slot.uid, slot.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(mount.get(), "node", slot.mode & 07777, 0) != 0)
    return fail();
  fd = syscall(SYS_open_tree, mount.get(), "node", 1u | static_cast<unsigned>(O_CLOEXEC));
  if (fd < 0) return fail();
  return own(fd);
}

absl::StatusOr<base::UniqueFd> OpenSlot(const Plan::Slot& slot, int helper_fd) {
  if (slot.kind == Plan::Slot::Kind::kProc) {
    int fd = OpenAt(AT_FDCWD, slot.path.c_str(), O_PATH | O_DIRECTORY);
    if (fd < 0) return base::FailErrno("run.setup", -fd) << "opening " << slot.path;
    return base::HighFd(fd);
  }
  if (slot.kind == Plan::Slot::Kind::kNamespace) {
    int fd = OpenAt(AT_FDCWD, slot.path.c_str(), O_RDONLY);
    if (fd < 0)
      return base::FailErrno("run.namespace", -fd) << "opening the namespace " << slot.path;
    base::UniqueFd owner(fd);
    if (NamespaceTypeOf(fd) != slot.arg)
      return base::Fail("run.namespace")
             << slot.path << " is not a " << NamespaceNames(slot.arg) << " namespace";
    return owner;
  }
  if (slot.kind == Plan::Slot::Kind::kNode) return MakeNode(slot);
  // kTree: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, AT_RECURSIVE
  long fd = syscall(SYS_open_tree, AT_FDCWD, slot.path.c_str(),
                    1u | static_cast<unsigned>(O_CLOEXEC) |
                        ((slot.arg & Plan::Slot::kRecursive) ? 0x8000u : 0u) |
                        ((slot.arg & Plan::Slot::kNoFollow) ? 0x100u : 0u));
  if (fd < 0 && errno == ENOENT)
    return base::FailErrno("run.mount", errno)
           << "cloning the mount of " << slot.path << ": the source does not exist";
  if (fd < 0) return base::FailErrno("run.mount", errno) << "cloning the mount of " << slot.path;
  COAM_ASSIGN_OR_RETURN(base::UniqueFd tree, base::HighFd(static_cast<int>(fd)));
  if (slot.maps_ids()) COAM_RETURN_IF_ERROR(internal::MapTree(slot, tree.get(), helper_fd));
  return tree;
}

}  // namespace

absl::StatusOr<base::UniqueFd> OpenLauncher(const std::string& installed) {
  if (installed.empty())
    return Sealed("coaming-launch",
                  std::string_view(reinterpret_cast<const char*>(kHelper), sizeof kHelper), true);
  // An installed helper is copied too: a container can then never reach the file itself.
  absl::StatusOr<std::string> bytes = ReadKernelFile(installed);
  if (!bytes.ok())
    return base::Fail("run.launcher").Cause(bytes.status()) << "reading the helper " << installed;
  absl::StatusOr<base::UniqueFd> copy = Sealed("coaming-launch", *bytes, true);
  if (copy.ok()) return copy;
  int fd = OpenAt(AT_FDCWD, installed.c_str(), O_PATH);
  if (fd < 0) return base::FailErrno("run.launcher", -fd) << "opening the helper " << installed;
  return base::UniqueFd(fd);
}

absl::StatusOr<std::unique_ptr<Session>> Session::Start(const Options& options) {
  const Plan& plan = *options.plan;
  int base = 3;
  for (const PassFd& f : options.fds) base = std::max(base, f.target + 1);
  COAM_ASSIGN_OR_RETURN(base::UniqueFd plan_fd,
                        Sealed("coaming-plan", plan.Encode(static_cast<uint32_t>(base)), false));
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return base::FailErrno("core.io", errno) << "making a socket pair";
  auto session = std::make_unique<Session>();
  COAM_ASSIGN_OR_RETURN(session->sync_, base::HighFd(pair[0]));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd theirs, base::HighFd(pair[1]));
  session->plan_ = options.plan;
  session->monitored_ = session->monitor_due_ = plan.Has(COAM_OP_MONITOR);
  session->child_due_ = plan.two_stage || session->monitored_;

  std::vector<base::UniqueFd> opened;
  std::vector<PassFd> map = options.fds;
  for (size_t i = 0; i < plan.slots().size(); ++i) {
    const Plan::Slot& slot = plan.slots()[i];
    int target = base + static_cast<int>(i), source = -1;
    switch (slot.kind) {
      case Plan::Slot::Kind::kSync: source = theirs.get(); break;
      case Plan::Slot::Kind::kPlan: source = plan_fd.get(); break;
      // Never a hole: the helper's next descriptor would fall into it and look like a slot.
      case Plan::Slot::Kind::kListen:
        source = options.listen_fd >= 0 ? options.listen_fd : plan_fd.get();
        break;
      case Plan::Slot::Kind::kPidfd: source = options.join_pidfd; break;
      case Plan::Slot::Kind::kMonitor:
        source = options.monitor_fds[slot.arg] >= 0 ? options.monitor_fds[slot.arg] : plan_fd.get();
        break;
      default: {
        COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, OpenSlot(slot, options.helper_fd));
        source = fd.get();
        opened.push_back(std::move(fd));
      }
    }
    if (source >= 0) map.push_back({source, target});
  }
  std::sort(map.begin(), map.end(),
            [](const PassFd& a, const PassFd& b) { return a.target < b.target; });
  std::vector<int> sources, targets;
  int scratch = std::max(base, options.helper_fd) + static_cast<int>(plan.slots().size());
  for (const PassFd& f : map) {
    sources.push_back(f.fd);
    targets.push_back(f.target);
    scratch = std::max({scratch, f.fd, f.target});
  }
  internal::SpawnBlock block = {};
  block.flags = plan.spawn_flags;
  block.cgroup_fd = options.cgroup_fd;
  block.helper_fd = options.helper_fd;
  block.sources = sources.data();
  block.targets = targets.data();
  block.n = static_cast<int>(sources.size());
  block.scratch = scratch + 1;
  block.plan_fd_number = base + COAM_SLOT_PLAN;

  // No handler of the host may run in the child, which shares its memory until it execs.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pid = internal::SpawnHelper(&block);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) {
    if (plan.spawn_flags != 0 && block.failed_errno != EAGAIN && block.failed_errno != ENOMEM)
      return base::FailErrno("run.namespace", block.failed_errno)
             << "making new namespaces (" << NamespaceNames(plan.spawn_flags) << ")";
    return base::FailErrno("run.launcher", block.failed_errno) << "cloning the launch process";
  }
  session->pid_ = pid;
  (session->child_due_ ? session->spawned_ : session->pidfd_).Reset(block.pidfd);
  if (block.failed_exec) {
    session->child_due_ = session->monitor_due_ = false;  // nobody is there to tell
    session->Abort();
    return base::FailErrno("run.launcher", block.failed_errno) << "executing the launch helper";
  }
  return session;
}

absl::StatusOr<Report> ReadReport(const base::Op& op, int sync) {
  for (;;) {
    if (op.cancel() != nullptr || !op.deadline().never())
      COAM_RETURN_IF_ERROR(base::WaitFd(op, sync, POLLIN));
    struct {
      coam_report head;
      char text[COAM_REPORT_MAX + 1];
    } packet;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&packet, sizeof packet};
    struct msghdr message = {};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = recvmsg(sync, &message, MSG_CMSG_CLOEXEC);
    // A helper that ends with an order unread resets the socket; what it said before is still there.
    if (n < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    Report report;
    if (n == 0) {
      report.end = true;
      return report;
    }
    if (n < 0) return base::FailErrno("core.io", errno) << "reading the launch helper's report";
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c))
      if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        int fd;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        report.fd.Reset(fd);
      }
    if (static_cast<size_t>(n) < sizeof packet.head ||
        packet.head.size > static_cast<size_t>(n) - sizeof packet.head)
      return base::Fail("run.protocol") << "the launch helper's report is malformed";
    report.kind = packet.head.kind;
    report.step = packet.head.step;
    report.value = packet.head.value;
    report.text.assign(packet.text, packet.head.size);
    return report;
  }
}

absl::StatusOr<Report> Session::Read(const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Report report, ReadReport(op, sync_.get()));
  if (report.end) return report;
  bool monitor = report.kind == COAM_REPORT_MONITOR, child = report.kind == COAM_REPORT_CHILD;
  if (monitor) {
    monitor_pid_ = report.value;
    monitor_pidfd_ = std::move(report.fd);
    monitor_due_ = false;
  }
  // Of two stages under a monitor the first one is told of too.
  if (child && (!plan_->two_stage || plan_->OpAt(report.step) == COAM_OP_CLONE)) {
    pid_ = report.value;
    pidfd_ = std::move(report.fd);
    child_due_ = false;
  } else if (child) {
    report.kind = 0;
  }
  if (monitor || (child && !monitored_)) {
    // The spawned process has nothing more to do; it ends by itself, and is ours to reap.
    Reap(spawned_.get());
    spawned_.Reset();
  }
  if (monitor) report.kind = 0;
  return report;
}

absl::StatusOr<Report> Session::Next(const base::Op& op) {
  for (;;) {
    if (!Due() && !early_.empty()) {
      Report report = std::move(early_.front());
      early_.erase(early_.begin());
      return report;
    }
    COAM_ASSIGN_OR_RETURN(Report report, Read(op));
    // The child runs beside its maker and may speak first. An error may be the maker's own: then
    // there is no child, and the socket ends next.
    if (report.end) {
      if (!early_.empty()) {
        report = std::move(early_.front());
        early_.clear();
      }
      return report;
    }
    if (report.kind == 0) continue;  // news for this object alone
    if (!Due() && early_.empty()) return report;
    early_.insert(report.kind == COAM_REPORT_CHILD ? early_.begin() : early_.end(),
                  std::move(report));
  }
}

void Session::Order(char what) {
  ssize_t n;
  do n = send(sync_.get(), &what, 1, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
}

void Session::Abort() {
  base::Op patient;
  if (Due() && sync_.ok()) {
    // The first process may just be making the second, which would be nobody's: both are told to
    // end, and the first one's word is awaited.
    shutdown(sync_.get(), SHUT_WR);
    for (absl::StatusOr<Report> r = Read(patient); Due() && r.ok() && !r->end;) r = Read(patient);
  }
  for (base::UniqueFd* fd : {&spawned_, &pidfd_, &monitor_pidfd_}) {
    if (!fd->ok()) continue;
    syscall(SYS_pidfd_send_signal, fd->get(), SIGKILL, nullptr, 0);
    if (fd == &spawned_ || !monitored_) Reap(fd->get());
    else base::WaitFd(patient, fd->get(), POLLIN).IgnoreError();  // the monitor reaps, or init
    fd->Reset();
  }
  sync_.Reset();
}

absl::Status StepError(const Plan* plan, const Report& report) {
  std::string_view reason = "run.setup";
  std::string what = absl::StrCat("starting the container");
  if (plan != nullptr) {
    reason = plan->ReasonAt(report.step);
    what = plan->Describe(report.step);
    if (reason == "run.exec" && (report.value == ENOENT || report.value == ENOTDIR))
      reason = "run.exec_not_found";
  }
  std::string text = absl::StrCat(what, " (step ", report.step + 1, ")");
  if (!report.text.empty() && plan != nullptr && plan->OpAt(report.step) == COAM_OP_HOOK)
    return base::Fail(reason).Detail("run.step", report.step + 1) << text << ": " << report.text;
  if (!report.text.empty()) absl::StrAppend(&text, ": ", report.text);
  return base::FailErrno(reason, report.value).Detail("run.step", report.step + 1) << text;
}

}  // namespace coaming::run
