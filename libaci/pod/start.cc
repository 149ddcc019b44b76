// Starting a pod: infrastructure container, networks, files, apps, handlers.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/networks.h"
#include "libaci/pod/pod_rep.h"
#include "libaci/pod/pod_run.h"

namespace coaming::aci {
namespace {

// What is the same for all apps of one start.
struct Shared {
  const PodManifest& manifest;
  const RunRequest& request;
  std::vector<std::pair<std::string, App>> effective;  // by app name
  std::vector<PortForward> forwards;
  PlannedNetworks networks;
  std::string hostname;
  std::string resolv_conf, hosts;  // host paths of the pod's own files; "" for none
  std::vector<std::pair<std::string, std::string>> namespaces;  // to join, by type
};

absl::StatusOr<ImageManifest> AppImage(const base::Op& op, const PodDir& dir,
                                       const std::string& app) {
  COAM_ASSIGN_OR_RETURN(const std::string json,
                        dir.dir().ReadFile(absl::StrCat("apps/", app, "/manifest"),
                                           op.limits().manifest_bytes, "manifest_bytes"));
  ParseOptions parse;
  parse.limits = &op.limits();
  return ParseImageManifest(json, parse);
}

// The infrastructure container: the pod's shared namespaces, its cgroup and its lock.
absl::Status StartInfra(const base::Op& op, Pod::Rep* pod, Shared* shared, Attached* attached) {
  run::CreateOptions create;
  create.id = kInfraId;
  create.bundle = pod->dir.path();
  create.pause = true;
  create.in.kind = create.out.kind = create.err.kind = run::Stdio::Kind::kNull;
  // The lock lives as long as the process does, whatever becomes of us.
  create.pass_fds.push_back({pod->dir.lock_fd(), 3});
  run::Spec spec;
  spec.hostname = shared->hostname;
  spec.linux_.namespaces.push_back({"uts", ""});
  if (!shared->request.host_ipc) spec.linux_.namespaces.push_back({"ipc", ""});
  if (!shared->networks.host) spec.linux_.namespaces.push_back({"network", ""});
  spec.linux_.cgroups_path = internal::PodCgroup(pod->options, pod->dir.uuid());
  COAM_ASSIGN_OR_RETURN(spec.linux_.resources, PodLimits(shared->manifest, op));
  create.spec = std::move(spec);
  create.on_namespaces = [&](const run::NamespacesReady& ready) -> absl::Status {
    if (shared->networks.host) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(
        *attached, Attach(op, pod->options, shared->networks, pod->dir.uuid(), ready.netns_path,
                          internal::NetDir(pod->dir), shared->forwards));
    return absl::OkStatus();
  };
  COAM_ASSIGN_OR_RETURN(pod->infra, pod->runtime->Run(op, create));
  COAM_RETURN_IF_ERROR(pod->Watch(*pod->infra));
  for (const run::Namespace& ns : pod->infra->spec().linux_.namespaces) {
    const std::string_view file = ns.type == "network" ? "net" : std::string_view(ns.type);
    shared->namespaces.emplace_back(ns.type,
                                    absl::StrCat("/proc/", pod->infra->pid(), "/ns/", file));
  }
  // Namespaces of the host that the pod keeps.
  if (shared->networks.host) shared->namespaces.emplace_back("network", "");
  if (shared->request.host_ipc) shared->namespaces.emplace_back("ipc", "");
  return absl::OkStatus();
}

// resolv.conf and hosts: what the caller asked for, else what the network says.
absl::Status WriteFiles(const base::Op& op, const Pod::Rep& pod, const Attached& attached,
                        Shared* shared) {
  const RunRequest& request = shared->request;
  const bool asked = !request.dns.empty() || !request.dns_search.empty() ||
                     !request.dns_options.empty() || !request.dns_domain.empty();
  const bool told = !attached.nameservers.empty() || !attached.domain.empty();
  COAM_RETURN_IF_ERROR(pod.dir.dir().MakeDirs("etc", 0755).status());
  if (asked || told) {
    const std::string text = asked ? internal::ResolvConf(request.dns, request.dns_search,
                                                          request.dns_options, request.dns_domain)
                                   : internal::ResolvConf(attached.nameservers, attached.search,
                                                          attached.dns_options, attached.domain);
    COAM_RETURN_IF_ERROR(pod.dir.dir().WriteFile(op, "etc/resolv.conf", text));
    shared->resolv_conf = absl::StrCat(pod.dir.path(), "/etc/resolv.conf");
  }
  COAM_RETURN_IF_ERROR(pod.dir.dir().WriteFile(
      op, "etc/hosts", internal::HostsFile(shared->hostname, request.hosts)));
  shared->hosts = absl::StrCat(pod.dir.path(), "/etc/hosts");
  return absl::OkStatus();
}

// The host directories behind an app's volumes; empty volumes are made in the pod.
absl::StatusOr<std::vector<BoundVolume>> BindVolumes(const Pod::Rep& pod, const Shared& shared,
                                                     const RuntimeApp& app, const App& effective) {
  std::vector<BoundVolume> out;
  COAM_ASSIGN_OR_RETURN(const std::vector<MountPlan> plans,
                        PlanMounts(shared.manifest, app, effective));
  for (const MountPlan& plan : plans) {
    const Volume& volume = plan.definition;
    if (volume.kind == Volume::Kind::kHost) {
      out.push_back({volume, volume.source});
      continue;
    }
    const std::string path = absl::StrCat("volumes/", volume.name);
    COAM_ASSIGN_OR_RETURN(const bool exists, pod.dir.dir().Exists(path));
    if (!exists) {
      mode_t mode = 0755;
      // The manifest's mode is octal text, checked when it was parsed.
      if (!volume.mode.empty()) {
        mode = 0;
        for (const char c : volume.mode) mode = mode * 8 + static_cast<mode_t>(c - '0');
      }
      COAM_RETURN_IF_ERROR(pod.dir.dir().MakeDirs("volumes", 0755).status());
      COAM_RETURN_IF_ERROR(pod.dir.dir().MakeDir(path, mode & 07777));
      COAM_RETURN_IF_ERROR(pod.dir.dir().Chown(path, volume.uid, volume.gid));
    }
    out.push_back({volume, absl::StrCat(pod.dir.path(), "/", path)});
  }
  return out;
}

void BindFile(const std::string& source, std::string_view target, run::Spec* spec) {
  const auto taken = std::find_if(spec->mounts.begin(), spec->mounts.end(),
                                  [&](const run::Mount& m) { return m.destination == target; });
  if (source.empty() || taken != spec->mounts.end()) return;  // a volume of the app wins
  run::Mount mount;
  mount.destination = target;
  mount.type = "bind";
  mount.source = source;
  mount.options = {"bind", "nosuid", "nodev"};
  spec->mounts.push_back(std::move(mount));
}

run::Stdio Output(const Pod::Rep& pod, const RunRequest& request, const std::string& app) {
  run::Stdio out;
  switch (request.stdio) {
    case PodStdio::kInherit: break;
    case PodStdio::kNull: out.kind = run::Stdio::Kind::kNull; break;
    case PodStdio::kLog:
      out.kind = run::Stdio::Kind::kFile;
      out.path = absl::StrCat(pod.dir.path(), "/logs/", app);
      break;
  }
  return out;
}

absl::StatusOr<bool> HasHosts(const PodDir& dir, const std::string& app) {
  COAM_ASSIGN_OR_RETURN(const base::Dir rootfs,
                        dir.dir().OpenDir(absl::StrCat("apps/", app, "/rootfs"), false));
  return rootfs.Exists("etc/hosts");
}

// Creates one app's container up to its program, and runs its pre-start handler.
absl::Status CreateApp(const base::Op& op, Pod::Rep* pod, const Shared& shared,
                       const RuntimeApp& app, const App& effective) {
  COAM_ASSIGN_OR_RETURN(const ImageManifest image, AppImage(op, pod->dir, app.name));
  const std::string rootfs = absl::StrCat(pod->dir.path(), "/apps/", app.name, "/rootfs");
  COAM_ASSIGN_OR_RETURN(const std::unique_ptr<RootView> view, OpenRootView(rootfs));
  RuntimeInput input;
  input.pod = &shared.manifest;
  input.app = &app;
  input.image = &image;
  input.rootfs = rootfs;
  input.root = view.get();
  COAM_ASSIGN_OR_RETURN(input.volumes, BindVolumes(*pod, shared, app, effective));
  input.hostname = shared.hostname;
  input.metadata_url = shared.request.metadata_url;
  input.cgroups_path =
      absl::StrCat(internal::PodCgroup(pod->options, pod->dir.uuid()), "/", app.name);
  input.namespaces = shared.namespaces;
  input.terminal = shared.request.terminal;
  input.insecure_capabilities = shared.request.insecure_capabilities;
  input.insecure_paths = shared.request.insecure_paths;
  input.insecure_seccomp = shared.request.insecure_seccomp;
  COAM_ASSIGN_OR_RETURN(RuntimeOutput runtime, ToRuntime(input, op));
  for (const std::string& name : runtime.ignored_isolators) {
    op.AddNote("pod.isolator_ignored", app.name,
               absl::StrCat("isolator ", name, " is not enforced"));
  }
  COAM_ASSIGN_OR_RETURN(const bool has_hosts, HasHosts(pod->dir, app.name));
  for (run::Spec* spec : {&runtime.spec, runtime.pre_start ? &*runtime.pre_start : nullptr,
                          runtime.post_stop ? &*runtime.post_stop : nullptr}) {
    if (spec == nullptr) continue;
    BindFile(shared.resolv_conf, "/etc/resolv.conf", spec);
    // An image's own hosts file is never changed unasked.
    if (!has_hosts || !shared.request.hosts.empty()) BindFile(shared.hosts, "/etc/hosts", spec);
  }
  const std::string bundle = absl::StrCat(pod->dir.path(), "/apps/", app.name);
  if (runtime.pre_start.has_value()) {
    COAM_RETURN_IF_ERROR(RunHandler(op, *pod->runtime, absl::StrCat(app.name, "_pre-start"),
                                    *runtime.pre_start, bundle));
  }
  run::CreateOptions create;
  create.id = app.name;
  create.bundle = bundle;
  create.spec = std::move(runtime.spec);
  create.out = create.err = Output(*pod, shared.request, app.name);
  // Only a lone app may read what the caller types.
  const bool reads = shared.manifest.apps.size() == 1 && shared.request.stdio == PodStdio::kInherit;
  create.in.kind = reads ? run::Stdio::Kind::kInherit : run::Stdio::Kind::kNull;
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<run::Container> container,
                        pod->runtime->Create(op, create));
  COAM_RETURN_IF_ERROR(pod->Watch(*container));
  pod->apps.push_back({app.name, std::move(container), std::move(runtime.post_stop), {}});
  return absl::OkStatus();
}

}  // namespace

absl::Status Pod::Rep::Watch(const run::Container& container) const {
  epoll_event event{};
  event.events = EPOLLIN;
  if (container.poll_fd() < 0 ||
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, container.poll_fd(), &event) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return base::FailErrno("core.io", errno) << "watch container " << container.id();
}

absl::Status RunHandler(const base::Op& op, run::Runtime& runtime, const std::string& id,
                        const run::Spec& spec, const std::string& bundle) {
  run::CreateOptions create;
  create.id = id;
  create.bundle = bundle;
  create.spec = spec;
  create.in.kind = run::Stdio::Kind::kNull;
  COAM_ASSIGN_OR_RETURN(const std::unique_ptr<run::Container> container, runtime.Run(op, create));
  const absl::StatusOr<run::ExitStatus> status = container->Wait(op);
  const absl::Status removed = container->Delete(base::Op(), /*force=*/true);
  COAM_RETURN_IF_ERROR(status.status());
  COAM_RETURN_IF_ERROR(removed);
  if (status->code == 0) return absl::OkStatus();
  return base::Fail("pod.app").Detail("exit.status", status->code)
         << "handler " << id << " ended with status " << status->code;
}

absl::Status StartPod(const base::Op& op, Pod::Rep* pod, const RunRequest& request) {
  COAM_ASSIGN_OR_RETURN(const PodManifest manifest, internal::ReadManifest(op, pod->dir));
  if (request.terminal && manifest.apps.size() != 1) {
    return base::Fail("pod.app").Hint("run the apps in pods of their own")
           << "a terminal belongs to one app, and the pod has " << manifest.apps.size();
  }
  Shared shared{manifest, request, {}, {}, {}, request.hostname, "", "", {}};
  if (shared.hostname.empty()) shared.hostname = absl::StrCat("rkt-", pod->dir.uuid());
  for (const RuntimeApp& app : manifest.apps) {
    COAM_ASSIGN_OR_RETURN(const ImageManifest image, AppImage(op, pod->dir, app.name));
    COAM_ASSIGN_OR_RETURN(App effective, EffectiveApp(app, image));
    shared.effective.emplace_back(app.name, std::move(effective));
  }
  COAM_ASSIGN_OR_RETURN(shared.forwards, PlanPorts(manifest, shared.effective));
  COAM_ASSIGN_OR_RETURN(shared.networks,
                        PlanNetworks(op, pod->options, request.networks, !shared.forwards.empty()));
  if (!shared.forwards.empty() && shared.networks.networks.empty()) {
    return base::Fail("pod.network").Hint("run the pod on a network, or without --port")
           << "ports can be forwarded only to a pod with a network of its own";
  }
  COAM_RETURN_IF_ERROR(CheckHostPorts(op, pod->options, pod->dir.uuid(), shared.forwards));
  if (request.stdio == PodStdio::kLog) {
    COAM_RETURN_IF_ERROR(pod->dir.dir().MakeDirs("logs", 0755).status());
  }
  Attached attached;
  COAM_RETURN_IF_ERROR(StartInfra(op, pod, &shared, &attached));
  COAM_RETURN_IF_ERROR(WriteFiles(op, *pod, attached, &shared));
  for (size_t i = 0; i < manifest.apps.size(); ++i) {
    COAM_RETURN_IF_ERROR(
        base::Wrap(CreateApp(op, pod, shared, manifest.apps[i], shared.effective[i].second),
                   absl::StrCat("app ", manifest.apps[i].name)));
  }
  COAM_RETURN_IF_ERROR(
      pod->dir.dir().WriteFile(op, kStartedFile, absl::StrCat(op.clock().RealtimeNs())));
  for (const RunningApp& app : pod->apps) {
    COAM_RETURN_IF_ERROR(base::Wrap(app.container->Start(op), absl::StrCat("app ", app.name)));
  }
  return absl::OkStatus();
}

}  // namespace coaming::aci
