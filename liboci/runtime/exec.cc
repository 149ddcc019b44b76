// Further processes in a running container.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace coaming::run {

using internal::ContainerRep;
using internal::ProcessRep;

namespace {

// The namespaces in which the container's process differs from this one.
absl::StatusOr<uint64_t> DifferingNamespaces(pid_t pid) {
  constexpr struct {
    const char* file;
    uint64_t flag;
  } kRows[] = {{"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},
               {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
               {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};
  uint64_t flags = 0;
  int theirs = OpenAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/ns").c_str(), O_PATH | O_DIRECTORY);
  if (theirs < 0)
    return base::FailErrno("run.namespace", -theirs) << "opening the namespaces of process " << pid;
  base::UniqueFd owner(theirs);
  for (const auto& row : kRows) {
    struct stat a, b;
    if (fstatat(theirs, row.file, &a, 0) != 0) continue;
    if (fstatat(AT_FDCWD, absl::StrCat("/proc/thread-self/ns/", row.file).c_str(), &b, 0) != 0 ||
        a.st_ino != b.st_ino || a.st_dev != b.st_dev)
      flags |= row.flag;
  }
  return flags;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExecProcess>> Container::Exec(const base::Op& op,
                                                             const ExecOptions& options) {
  ContainerRep& c = *rep_;
  COAM_RETURN_IF_ERROR(op.Check());
  Status status = c.CurrentStatus();
  if (status == Status::kPaused && !options.ignore_paused)
    return base::Fail("run.state").Detail("run.status", "paused")
           << "exec in container \"" << c.record.id << "\": it is paused";
  if (status == Status::kStopped)
    return base::Fail("run.state").Detail("run.status", "stopped")
           << "exec in container \"" << c.record.id << "\": it is stopped, not running";
  PlanInput in;
  std::vector<std::string> warnings;
  in.spec = &c.spec;
  Process process = options.process;
  internal::AddListenEnv(options, &process.env);
  in.process = &process;
  in.listen_pid = !options.listen_fds.empty();
  in.facts = &c.host->facts;
  in.id = c.record.id;
  in.exec = true;
  in.no_new_keyring = options.no_new_keyring;
  in.warnings = &warnings;
  in.lenient_labels = c.host->options.lenient_labels;
  in.cgroup_path = c.record.cgroup_path;
  in.into_cgroup = c.host->facts.unified && c.has_cgroups() && options.cgroups.empty();
  COAM_ASSIGN_OR_RETURN(in.join_flags, DifferingNamespaces(c.record.pid));
  std::shared_ptr<const Filter> filter;
  if (c.spec.linux_.seccomp) {
    COAM_ASSIGN_OR_RETURN(filter, c.host->filters->Get(*c.spec.linux_.seccomp, &warnings));
    in.filter = filter.get();
  }
  COAM_ASSIGN_OR_RETURN(Plan plan, CompilePlan(in));
  for (const std::string& w : warnings) op.AddNote("run.spec", c.record.id, w);

  COAM_ASSIGN_OR_RETURN(internal::Stdios stdio,
                        internal::OpenStdio(options, options.process.terminal));
  base::UniqueFd birth;
  const Cgroups cgroups = c.cgroups();
  std::vector<std::string> below;
  if (c.has_cgroups() && !options.cgroups.empty()) {
    COAM_ASSIGN_OR_RETURN(below, cgroups.Below(options.cgroups));
  } else if (c.has_cgroups()) {
    birth = cgroups.BirthFd();
  }
  Session::Options launch;
  launch.plan = &plan;
  launch.helper_fd = c.host->launcher.get();
  launch.fds = stdio.map;
  launch.cgroup_fd = birth.get();
  launch.join_pidfd = c.process.pidfd.get();
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Start(launch));
  auto rep = std::make_shared<ProcessRep>();
  absl::Status failure;
  if (!below.empty()) failure = cgroups.AttachBelow(session->pid(), below);
  else if (c.has_cgroups()) failure = cgroups.Attach(session->pid(), birth.ok());
  if (failure.ok()) failure = c.resctrl().Attach(session->pid());
  if (plan.Has(COAM_OP_WAIT_CGROUP)) session->Order('c');
  session->Order('g');
  while (failure.ok()) {
    absl::StatusOr<Report> r = session->Next(op);
    if (!r.ok()) {
      failure = r.status();
    } else if (r->end) {
      if (session->child_due())
        failure = base::Fail("run.protocol") << "the launch helper ended without a report";
      break;
    } else if (r->kind == COAM_REPORT_ERROR) {
      failure = StepError(&plan, *r);
    } else if (r->kind == COAM_REPORT_CONSOLE) {
      if (options.console_socket.empty()) rep->console = std::move(r->fd);
      else failure = internal::SendConsole(options.console_socket, r->fd.get(), r->text);
    } else if (r->kind == COAM_REPORT_SECCOMP) {
      failure =
          internal::SendSeccomp(c.spec, c.StateText(Status::kRunning), session->pid(), r->fd.get());
    } else if (r->kind == COAM_REPORT_NOTE) {
      op.AddNote("run.launch", plan.Describe(r->step),
                 absl::StrCat(r->text, ": ", base::ErrnoText(r->value)));
    }
  }
  if (failure.ok() && !options.pidfd_socket.empty())
    failure = internal::SendPidfd(options.pidfd_socket, session->pidfd());
  if (failure.ok() && !options.pid_file.empty())
    failure = internal::WritePidFile(op, options.pid_file, session->pid());
  if (!failure.ok()) {
    session->Abort();
    return failure;
  }
  rep->pid = session->pid();
  rep->pidfd = session->TakePidfd();
  for (int i = 0; i < 3; ++i) rep->stdio[i] = std::move(stdio.ours[i]);
  c.host->ReapAdded(c.record.id);  // those that nobody has waited for
  {
    absl::MutexLock lock(&c.host->mutex);
    c.host->added.emplace_back(c.record.id, rep);
  }
  return std::unique_ptr<ExecProcess>(new ExecProcess(c.runtime, std::move(rep)));
}

}  // namespace coaming::run
