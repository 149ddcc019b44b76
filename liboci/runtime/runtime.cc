// Creating containers: plan, state, cgroups, launch, in the order that a kill -9 can be undone from.
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"
#include "liboci/runtime/net_devices.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

using internal::ContainerRep;
using internal::RuntimeRep;

namespace {

constexpr std::string_view kPidPlace = "\"pid\":";

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::Open(path));
  char buffer[4096];
  ssize_t n = readlink(absl::StrCat("/proc/self/fd/", dir.fd()).c_str(), buffer, sizeof buffer);
  if (n <= 0 || n == sizeof buffer)
    return base::FailErrno("core.io", errno) << "finding the path of " << path;
  return std::string(buffer, static_cast<size_t>(n));
}

// What has been made so far and must go again if creation fails.
struct Undo {
  RuntimeRep* host;
  std::string id;
  bool state = false;
  Cgroups* cgroups = nullptr;
  Resctrl* resctrl = nullptr;
  Session* session = nullptr;
  ~Undo() {
    if (session != nullptr) session->Abort();
    if (resctrl != nullptr) resctrl->Remove().IgnoreError();
    if (cgroups != nullptr) {
      cgroups->KillAll().IgnoreError();
      cgroups->Remove().IgnoreError();
    }
    if (state) host->store.Remove(id).IgnoreError();
  }
  void Keep() {
    state = false;
    cgroups = nullptr;
    resctrl = nullptr;
    session = nullptr;
  }
};

struct Prepared {
  std::unique_ptr<ContainerRep> rep;
  std::string config;  // text for the state
  PlanInput input;
  internal::Monitor monitor;
  std::shared_ptr<const Filter> filter;
  std::vector<std::string> warnings;
};

absl::Status LoadSpec(const CreateOptions& o, Prepared* p) {
  if (o.spec) {
    p->rep->spec = *o.spec;
    p->config = WriteSpec(*o.spec, "");
  } else {
    COAM_ASSIGN_OR_RETURN(base::Dir bundle, base::Dir::Open(o.bundle));
    absl::StatusOr<std::string> text =
        bundle.ReadFile("config.json", base::Limits().manifest_bytes, "manifest_bytes");
    if (!text.ok()) return base::Wrap(text.status(), "reading the bundle");
    absl::StatusOr<Spec> spec = ParseSpec(*text);
    if (!spec.ok()) return base::Wrap(spec.status(), absl::StrCat(o.bundle, "/config.json"));
    p->rep->spec = *std::move(spec);
    p->config = *std::move(text);
  }
  return absl::OkStatus();
}

void AddEnv(const std::vector<std::string>& more, std::vector<std::string>* env) {
  for (const std::string& e : more) {
    std::string name = e.substr(0, e.find('=') + 1);
    std::erase_if(*env, [&](const std::string& old) { return absl::StartsWith(old, name); });
    env->push_back(e);
  }
}

absl::Status Prepare(RuntimeRep* host, const CreateOptions& o, bool wait_start, Prepared* p) {
  p->rep = std::make_unique<ContainerRep>();
  ContainerRep& c = *p->rep;
  c.host = host;
  COAM_RETURN_IF_ERROR(CheckId(o.id));
  COAM_RETURN_IF_ERROR(LoadSpec(o, p));
  if (const Namespace* user = c.spec.FindNamespace("user"); user != nullptr && user->path.empty() &&
                                                            c.spec.linux_.uid_mappings.empty() &&
                                                            c.spec.linux_.gid_mappings.empty()) {
    // Nothing is asked for: the one user that the program runs as is this one, as in crun.
    const User ids = c.spec.process ? c.spec.process->user : User();
    c.spec.linux_.uid_mappings = {{ids.uid, host->facts.euid, 1}};
    c.spec.linux_.gid_mappings = {{ids.gid, host->facts.egid, 1}};
    p->warnings.push_back(absl::StrCat("linux.uidMappings: none given, so only user ", ids.uid,
                                       " and group ", ids.gid, " are mapped"));
  }
  COAM_RETURN_IF_ERROR(Validate(c.spec, &p->warnings));
  c.record.id = o.id;
  c.record.pause = o.pause;
  if (!o.bundle.empty()) {
    COAM_ASSIGN_OR_RETURN(c.record.bundle, AbsolutePath(o.bundle));
  }
  if (c.spec.root) {
    std::string root = absl::StartsWith(c.spec.root->path, "/")
                           ? c.spec.root->path
                           : absl::StrCat(c.record.bundle, "/", c.spec.root->path);
    absl::StatusOr<std::string> whole = AbsolutePath(root);
    if (!whole.ok())
      return base::Fail("run.root").Cause(whole.status())
             << "root.path " << root << ": " << base::GetError(whole.status()).message;
    c.record.rootfs = *std::move(whole);
  }
  // An ordinary user to whom none are delegated goes without; root is told what is wrong.
  bool has_cgroups =
      !host->facts.cgroups.empty() && (host->cgroups->writable || host->facts.euid == 0);
  if (host->options.cgroup_driver == CgroupDriver::kCgroupfs && has_cgroups) {
    COAM_ASSIGN_OR_RETURN(c.record.cgroup_path, CleanCgroupPath(host->options.cgroup_parent,
                                                                c.spec.linux_.cgroups_path, o.id));
  }
  PlanInput& in = p->input;
  in.spec = &c.spec;
  in.process = c.spec.process && !o.pause ? &*c.spec.process : nullptr;
  COAM_ASSIGN_OR_RETURN(
      p->monitor,
      internal::PlanMonitor(o, in.process != nullptr && in.process->terminal, host->store.root()));
  if (c.spec.process) {
    std::vector<std::string>& env = c.spec.process->env;
    AddEnv(o.env, &env);
    internal::AddListenEnv(o, &env);
    if (!p->monitor.notify_dir.empty()) AddEnv({"NOTIFY_SOCKET=/run/notify/notify.sock"}, &env);
  }
  c.record.log = p->monitor.log_path;
  in.monitor = p->monitor.plan;
  in.notify_dir = p->monitor.notify_dir;
  in.listen_pid = !o.listen_fds.empty();
  in.facts = &host->facts;
  in.id = o.id;
  in.bundle = c.record.bundle;
  in.rootfs = c.record.rootfs;
  in.cgroup_path = c.record.cgroup_path;
  in.wait_start = wait_start;
  in.host_waits = o.on_namespaces != nullptr || !c.spec.hooks.prestart.empty() ||
                  !c.spec.hooks.create_runtime.empty() || !c.spec.linux_.net_devices.empty();
  in.lenient_labels = host->options.lenient_labels;
  // A monitor must not be in the container's cgroup, or it would be frozen and killed with it.
  in.into_cgroup = host->facts.unified && !in.cgroup_path.empty() && !in.monitor.on;
  in.no_pivot = o.no_pivot;
  in.no_new_keyring = o.no_new_keyring;
  in.pause = o.pause;
  in.warnings = &p->warnings;
  if (!c.spec.hooks.create_container.empty() || !c.spec.hooks.start_container.empty()) {
    StateDocument state;
    state.id = o.id;
    state.bundle = c.record.bundle;
    state.status = "created";
    state.annotations = c.spec.annotations;
    std::string text = WriteState(state);
    size_t place = text.find(kPidPlace) + kPidPlace.size();
    in.state_json = text.substr(0, place) + text.substr(place + 1);  // without the 0
    in.state_pid_offset = place;
  }
  if (c.spec.linux_.seccomp && in.process != nullptr) {
    COAM_ASSIGN_OR_RETURN(p->filter, host->filters->Get(*c.spec.linux_.seccomp, &p->warnings));
    in.filter = p->filter.get();
  }
  COAM_ASSIGN_OR_RETURN(Plan plan, CompilePlan(in));
  c.plan = std::make_unique<Plan>(std::move(plan));
  return absl::OkStatus();
}

absl::StatusOr<base::UniqueFd> Listen(int dir) {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd owner, base::HighFd(fd));
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", dir, "/start");
  memcpy(address.sun_path, path.data(), path.size());
  if (bind(owner.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0 ||
      listen(owner.get(), 8) != 0)
    return base::FailErrno("core.io", errno) << "making the start socket";
  return owner;
}

}  // namespace

Runtime::Runtime(std::unique_ptr<RuntimeRep> rep) : rep_(std::move(rep)) {}
Runtime::~Runtime() = default;

absl::StatusOr<std::shared_ptr<Runtime>> Runtime::New(const RuntimeOptions& options) {
  auto rep = std::make_unique<RuntimeRep>();
  rep->options = options;
  COAM_ASSIGN_OR_RETURN(rep->facts, ReadHostFacts());
  COAM_ASSIGN_OR_RETURN(rep->cgroups, CgroupHost::Open(rep->facts));
  COAM_ASSIGN_OR_RETURN(rep->store, StateStore::Open(options.state_root));
  COAM_ASSIGN_OR_RETURN(rep->launcher, OpenLauncher(options.launcher));
  rep->filters = std::make_unique<FilterCache>(options.seccomp_cache);
  return std::shared_ptr<Runtime>(new Runtime(std::move(rep)));
}

namespace {

// Launch carries a prepared container to the point where its program runs (or waits for Start).
class Launch {
 public:
  Launch(const base::Op& op, RuntimeRep* host, const CreateOptions& o, Prepared* p, Undo* undo)
      : op_(op), host_(host), o_(o), c_(*p->rep), monitor_(p->monitor), undo_(undo) {}

  absl::Status Go(bool wait_start) {
    base::UniqueFd listener, birth;
    Cgroups cgroups = c_.cgroups();
    if (wait_start) {
      COAM_ASSIGN_OR_RETURN(listener, Listen(c_.dir.get()));
    }
    bool terminal = c_.spec.process && c_.spec.process->terminal && !o_.pause;
    COAM_ASSIGN_OR_RETURN(internal::Stdios stdio,
                          internal::OpenStdio(o_, terminal, !monitor_.log_path.empty()));
    bool monitored = monitor_.plan.on;
    if (c_.has_cgroups() && !monitored) birth = cgroups.BirthFd();
    Session::Options options;
    if (monitored) {
      COAM_RETURN_IF_ERROR(internal::OpenMonitor(o_, c_.dir.get(), &stdio, &monitor_));
      for (const base::UniqueFd& fd : monitor_.fds) options.monitor_fds.push_back(fd.get());
    }
    options.plan = c_.plan.get();
    options.helper_fd = host_->launcher.get();
    options.fds = stdio.map;
    options.listen_fd = listener.get();
    options.cgroup_fd = birth.get();
    COAM_ASSIGN_OR_RETURN(session_, Session::Start(options));
    monitor_.fds.clear();  // the program must see its pipes end
    undo_->session = session_.get();
    born_ = birth.ok();
    if (!session_->child_due()) COAM_RETURN_IF_ERROR(Adopt());
    COAM_RETURN_IF_ERROR(Talk(wait_start));
    for (int i = 0; i < 3; ++i) c_.process.stdio[i] = std::move(stdio.ours[i]);
    return absl::OkStatus();
  }

  std::unique_ptr<Session> session_;

 private:
  // Adopt puts the process that becomes the program on record and into its cgroups.
  absl::Status Adopt() {
    c_.record.pid = session_->pid();
    c_.record.identity = IdentityOf(session_->pidfd(), c_.record.pid);
    c_.record.monitor = session_->monitor_pid();
    if (c_.record.monitor != 0)
      c_.record.monitor_identity = IdentityOf(session_->monitor_pidfd(), c_.record.monitor);
    COAM_RETURN_IF_ERROR(host_->store.WritePids(c_.dir.get(), c_.record));
    if (c_.has_cgroups()) COAM_RETURN_IF_ERROR(c_.cgroups().Attach(c_.record.pid, born_));
    COAM_RETURN_IF_ERROR(c_.resctrl().Attach(c_.record.pid));
    adopted_ = true;
    return absl::OkStatus();
  }

  // `network` is a netlink socket of the container's, if there are devices to move.
  absl::Status HostHooks(int network) {
    if (!c_.spec.linux_.net_devices.empty())
      COAM_RETURN_IF_ERROR(internal::MoveNetDevices(c_.spec.linux_.net_devices, network));
    // Step 2 of the life cycle is done; that is what "created" means (and what crun says).
    std::string state = c_.StateText(Status::kCreated);
    COAM_RETURN_IF_ERROR(internal::RunHooks(op_, *host_, c_.spec.hooks.prestart, "prestart", state,
                                            c_.record.bundle, false));
    COAM_RETURN_IF_ERROR(internal::RunHooks(op_, *host_, c_.spec.hooks.create_runtime,
                                            "createRuntime", state, c_.record.bundle, false));
    if (o_.on_namespaces == nullptr) return absl::OkStatus();
    NamespacesReady ready;
    ready.id = c_.record.id;
    ready.pid = c_.record.pid;
    ready.pidfd = session_->pidfd();
    ready.netns_path = absl::StrCat("/proc/", c_.record.pid, "/ns/net");
    ready.state_json = state;
    return o_.on_namespaces(ready);
  }

  absl::Status Talk(bool wait_start) {
    bool waits_maps = c_.plan->Has(COAM_OP_WAIT_MAPS);
    bool waits_cgroup = c_.plan->Has(COAM_OP_WAIT_CGROUP);
    bool waits_host = c_.plan->Has(COAM_OP_WAIT_HOST), went = false;
    for (;;) {
      // The helper takes its orders in the plan's order.
      if (adopted_ && !waits_maps && waits_cgroup) {
        session_->Order('c');
        waits_cgroup = false;
      }
      // All that the host has to do is done: in a run the helper need not wait any more.
      if (!wait_start && adopted_ && !waits_maps && !waits_host && !went) {
        session_->Order('g');
        went = true;
      }
      COAM_ASSIGN_OR_RETURN(Report r, session_->Next(op_));
      if (r.end) {
        if (wait_start || !went)
          return base::Fail("run.protocol") << "the launch helper ended without a report";
        return absl::OkStatus();
      }
      switch (r.kind) {
        case COAM_REPORT_ERROR: return StepError(c_.plan.get(), r);
        case COAM_REPORT_CHILD: COAM_RETURN_IF_ERROR(Adopt()); break;
        case COAM_REPORT_MAPS:
          COAM_RETURN_IF_ERROR(internal::WriteIdMaps(op_, *host_, c_.spec, session_->pid()));
          session_->Order('m');
          waits_maps = false;
          break;
        case COAM_REPORT_NAMESPACES:
          COAM_RETURN_IF_ERROR(HostHooks(r.fd.get()));
          session_->Order('h');
          waits_host = false;
          break;
        case COAM_REPORT_CONSOLE:
          if (o_.console_socket.empty()) c_.process.console = std::move(r.fd);
          else COAM_RETURN_IF_ERROR(internal::SendConsole(o_.console_socket, r.fd.get(), r.text));
          break;
        case COAM_REPORT_SECCOMP:
          COAM_RETURN_IF_ERROR(internal::SendSeccomp(c_.spec, c_.StateText(Status::kCreating),
                                                     c_.record.pid, r.fd.get()));
          break;
        case COAM_REPORT_NOTE:
          op_.AddNote("run.launch", c_.plan->Describe(r.step),
                      absl::StrCat(r.text, ": ", base::ErrnoText(r.value)));
          break;
        case COAM_REPORT_READY: session_->Order('k'); return absl::OkStatus();
        default: return base::Fail("run.protocol") << "the launch helper sent report " << r.kind;
      }
    }
  }

  const base::Op& op_;
  RuntimeRep* host_;
  const CreateOptions& o_;
  ContainerRep& c_;
  internal::Monitor& monitor_;
  Undo* undo_;
  bool born_ = false, adopted_ = false;
};

absl::StatusOr<std::unique_ptr<ContainerRep>> Build(const base::Op& op, RuntimeRep* host,
                                                    const CreateOptions& o, bool wait_start) {
  COAM_RETURN_IF_ERROR(op.Check());
  Prepared p;
  COAM_RETURN_IF_ERROR(Prepare(host, o, wait_start, &p));
  for (const std::string& w : p.warnings) op.AddNote("run.spec", o.id, w);
  ContainerRep& c = *p.rep;
  COAM_ASSIGN_OR_RETURN(c.dir, host->store.Reserve(o.id));
  Cgroups cgroups = c.cgroups();  // before what refers to it
  Resctrl resctrl = c.resctrl();
  Undo undo{host, o.id};
  undo.state = true;
  c.record.created_ns = op.clock().RealtimeNs();
  c.record.owner = host->facts.euid == 0 ? "root" : absl::StrCat(host->facts.euid);
  COAM_RETURN_IF_ERROR(host->store.Write(c.dir.get(), c.record, p.config));
  if (c.has_cgroups()) {
    std::vector<std::string> warnings;
    const Resources* r = c.spec.linux_.resources ? &*c.spec.linux_.resources : nullptr;
    COAM_RETURN_IF_ERROR(cgroups.Create(r, &warnings));
    undo.cgroups = &cgroups;
    for (const std::string& w : warnings) op.AddNote("run.cgroup", o.id, w);
  }
  COAM_RETURN_IF_ERROR(resctrl.Create());
  undo.resctrl = &resctrl;
  Launch launch(op, host, o, &p, &undo);
  absl::Status done = launch.Go(wait_start);
  if (done.ok() && !o.pidfd_socket.empty())
    done = internal::SendPidfd(o.pidfd_socket, launch.session_->pidfd());
  if (done.ok() && !o.pid_file.empty()) done = internal::WritePidFile(op, o.pid_file, c.record.pid);
  if (!done.ok()) {
    // Hooks may have made things that only poststop hooks know of.
    std::string state = c.StateText(Status::kStopped);
    if (launch.session_ != nullptr) launch.session_->Abort();
    undo.session = nullptr;  // gone with `launch`
    internal::RunHooks(base::Op(), *host, c.spec.hooks.poststop, "poststop", state, c.record.bundle,
                       true)
        .IgnoreError();
    return done;
  }
  c.process.pid = c.record.pid;
  c.process.pidfd = launch.session_->TakePidfd();
  c.process.monitor_pidfd = launch.session_->TakeMonitorPidfd();
  c.process.monitored = c.record.monitor != 0;
  c.process.record_dir = c.dir.get();
  undo.Keep();
  internal::Announce(*host, "created", c.record, c.process.pidfd.get());
  if (!wait_start) internal::Announce(*host, "started", c.record);
  return std::move(p.rep);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Container>> Runtime::Create(const base::Op& op,
                                                           const CreateOptions& options) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ContainerRep> rep,
                        Build(op, rep_.get(), options, /*wait_start=*/true));
  rep->runtime = shared_from_this();
  return std::unique_ptr<Container>(new Container(std::move(rep)));
}

absl::StatusOr<std::unique_ptr<Container>> Runtime::Run(const base::Op& op,
                                                        const CreateOptions& options) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ContainerRep> rep,
                        Build(op, rep_.get(), options, /*wait_start=*/false));
  rep->runtime = shared_from_this();
  std::unique_ptr<Container> c(new Container(std::move(rep)));
  const Hooks& hooks = c->rep_->spec.hooks;
  if (!hooks.poststart.empty()) {
    absl::Status s =
        internal::RunHooks(op, *rep_, hooks.poststart, "poststart",
                           c->rep_->StateText(Status::kRunning), c->rep_->record.bundle, false);
    if (!s.ok()) {
      c->Delete(base::Op(), /*force=*/true).IgnoreError();
      return s;
    }
  }
  return c;
}

absl::StatusOr<std::unique_ptr<Container>> Runtime::Open(std::string_view id) {
  COAM_ASSIGN_OR_RETURN(StateStore::Found found, rep_->store.Read(id));
  auto rep = std::make_unique<ContainerRep>();
  rep->runtime = shared_from_this();
  rep->host = rep_.get();
  rep->record = std::move(found.record);
  rep->dir = std::move(found.dir);
  COAM_ASSIGN_OR_RETURN(rep->spec, ParseSpec(found.config));
  rep->process.pid = rep->record.pid;
  rep->process.pidfd = internal::OpenProcess(rep->record.pid, rep->record.identity);
  rep->process.monitored = rep->record.monitor != 0;
  rep->process.monitor_pidfd =
      internal::OpenProcess(rep->record.monitor, rep->record.monitor_identity);
  rep->process.record_dir = rep->dir.get();
  return std::unique_ptr<Container>(new Container(std::move(rep)));
}

absl::StatusOr<std::vector<ContainerInfo>> Runtime::List() {
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> ids, rep_->store.Ids());
  std::vector<ContainerInfo> all;
  for (const std::string& id : ids) {
    absl::StatusOr<std::unique_ptr<Container>> c = Open(id);
    if (!c.ok() && base::HasReason(c.status(), "run.not_found")) continue;  // gone meanwhile
    ContainerInfo info;
    info.id = id;
    if (c.ok()) {
      absl::StatusOr<ContainerInfo> read = (*c)->Info();
      if (read.ok()) info = *std::move(read);
    }
    all.push_back(std::move(info));
  }
  return all;
}

absl::Status Runtime::Remove(const base::Op& op, std::string_view id, bool force) {
  absl::StatusOr<std::unique_ptr<Container>> c = Open(id);
  if (c.ok()) return (*c)->Delete(op, force);
  if (!force || base::HasReason(c.status(), "run.id")) return c.status();
  if (base::HasReason(c.status(), "run.not_found")) return absl::OkStatus();
  // A host that was killed while it made the container left a directory, and maybe cgroups under
  // their default name.
  absl::StatusOr<StateStore::Found> found = rep_->store.Read(id);
  std::string path;
  if (found.ok()) path = found->record.cgroup_path;
  if (!path.empty()) {
    Cgroups cgroups(rep_->cgroups.get(), path);
    COAM_RETURN_IF_ERROR(cgroups.KillAll());
    COAM_RETURN_IF_ERROR(cgroups.Remove());
  }
  return rep_->store.Remove(id);
}

absl::StatusOr<std::string> Runtime::PrintPlan(const CreateOptions& options) {
  Prepared p;
  COAM_RETURN_IF_ERROR(Prepare(rep_.get(), options, false, &p));
  return p.rep->plan->Print();
}

}  // namespace coaming::run
