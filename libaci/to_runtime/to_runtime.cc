#include "libaci/to_runtime/to_runtime.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/isolator.h"
#include "libaci/to_runtime/isolators.h"

namespace coaming::aci {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Kernel files that tell of or act on the whole machine.
constexpr const char* kMasked[] = {
    "/proc/acpi",  "/proc/asound",     "/proc/config.gz",     "/proc/kallsyms", "/proc/kcore",
    "/proc/keys",  "/proc/kmem",       "/proc/latency_stats", "/proc/mem",      "/proc/sched_debug",
    "/proc/scsi",  "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",  "/sys/hypervisor",
    "/sys/module", "/sys/power",
};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                     "/proc/sysrq-trigger"};

run::Mount MakeMount(const char* target, const char* type, const char* source,
                     std::vector<std::string> options) {
  run::Mount mount;
  mount.destination = target;
  mount.type = type;
  mount.source = source;
  mount.options = std::move(options);
  return mount;
}

// The file systems that "Linux paths" of the specification demands.
std::vector<run::Mount> KernelMounts() {
  return {
      MakeMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      MakeMount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      MakeMount("/dev/pts", "devpts", "devpts",
                {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      MakeMount("/dev/shm", "tmpfs", "shm",
                {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      MakeMount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      MakeMount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
  };
}

absl::Status AddVolumes(const RuntimeInput& input, const App& app, run::Spec* spec) {
  COAM_ASSIGN_OR_RETURN(const std::vector<MountPlan> plans,
                        PlanMounts(*input.pod, *input.app, app));
  for (const MountPlan& plan : plans) {
    const auto bound =
        std::find_if(input.volumes.begin(), input.volumes.end(),
                     [&](const BoundVolume& volume) { return volume.volume.name == plan.volume; });
    if (bound == input.volumes.end()) {
      return base::Fail("aci.volume_unmet") << "app " << input.app->name << ": volume '"
                                            << plan.volume << "' has no place on the host";
    }
    run::Mount mount = MakeMount(plan.path.c_str(), "bind", bound->source.c_str(), {});
    mount.options = {plan.recursive ? "rbind" : "bind", plan.read_only ? "ro" : "rw"};
    spec->mounts.push_back(std::move(mount));
  }
  return absl::OkStatus();
}

void AddNamespaces(const RuntimeInput& input, run::Spec* spec) {
  for (const char* type : {"mount", "pid", "ipc", "uts", "network", "cgroup"}) {
    const auto given = std::find_if(input.namespaces.begin(), input.namespaces.end(),
                                    [&](const auto& entry) { return entry.first == type; });
    if (given == input.namespaces.end()) {
      spec->linux_.namespaces.push_back({type, ""});
    } else if (!given->second.empty()) {
      spec->linux_.namespaces.push_back({type, given->second});
    }
  }
}

std::vector<std::string> MakeEnvironment(const RuntimeInput& input, const App& app,
                                         const Ids& ids) {
  Environment all = app.environment;
  for (const NameValue& variable : input.extra_environment) {
    Set(all, variable.name, variable.value);
  }
  const auto fallback = [&all](std::string_view name, std::string_view value) {
    if (Find(all, name) == nullptr) Set(all, name, value);
  };
  const auto or_else = [](const std::string& text, const char* other) {
    return text.empty() ? std::string(other) : text;
  };
  fallback("PATH", kPath);
  fallback("SHELL", or_else(ids.shell, "/bin/sh"));
  fallback("USER", or_else(ids.user_name, "root"));
  fallback("LOGNAME", or_else(ids.user_name, "root"));
  fallback("HOME", or_else(ids.home, ids.uid == 0 ? "/root" : "/"));
  if (input.terminal) fallback("TERM", "xterm");
  Set(all, "AC_APP_NAME", input.app->name);
  if (!input.metadata_url.empty()) Set(all, "AC_METADATA_URL", input.metadata_url);
  fallback("container", "coaming");
  std::vector<std::string> out;
  for (const NameValue& variable : all) {
    out.push_back(absl::StrCat(variable.name, "=", variable.value));
  }
  return out;
}

void AddProtection(const RuntimeInput& input, run::Spec* spec) {
  if (input.insecure_paths) return;
  spec->linux_.masked_paths.assign(std::begin(kMasked), std::end(kMasked));
  spec->linux_.readonly_paths.assign(std::begin(kReadOnly), std::end(kReadOnly));
}

// A handler runs in the app's surroundings, as root whatever the app's user (as rkt has it).
std::optional<run::Spec> Handler(const App& app, std::string_view name, const run::Spec& spec) {
  for (const EventHandler& handler : app.event_handlers) {
    if (handler.name != name) continue;
    run::Spec out = spec;
    out.process->args = handler.exec;
    out.process->user = run::User();
    out.process->terminal = false;
    if (!out.linux_.cgroups_path.empty()) absl::StrAppend(&out.linux_.cgroups_path, "_", name);
    return out;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<App> EffectiveApp(const RuntimeApp& app, const ImageManifest& image) {
  const std::optional<App>& chosen = app.app.has_value() ? app.app : image.app;
  if (!chosen.has_value()) {
    return base::Fail("aci.no_app") << "app " << app.name << ": neither the pod nor image "
                                    << image.name << " says what to run";
  }
  if (chosen->exec.empty()) {
    return base::Fail("aci.no_app") << "app " << app.name << " names no program to run";
  }
  return *chosen;
}

absl::StatusOr<run::Resources> PodLimits(const PodManifest& pod, const base::Op& op) {
  run::Resources out;
  for (const Isolator& isolator : pod.isolators) {
    COAM_ASSIGN_OR_RETURN(const IsolatorValue value, ReadIsolator(isolator));
    switch (value.kind) {
      case IsolatorKind::kMemory:
      case IsolatorKind::kCpu:
      case IsolatorKind::kCpuShares: internal::ApplyResources(value, &out); break;
      default:
        op.AddNote(
            "pod.isolator_ignored", "pod",
            absl::StrCat("isolator ", isolator.name, " is not enforced for a pod as a whole"));
    }
  }
  return out;
}

absl::StatusOr<RuntimeOutput> ToRuntime(const RuntimeInput& input, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(const App app, EffectiveApp(*input.app, *input.image));
  COAM_ASSIGN_OR_RETURN(const Ids ids, ResolveIds(app, input.image, *input.root));
  COAM_RETURN_IF_ERROR(op.Check());
  RuntimeOutput out;
  run::Spec& spec = out.spec;
  spec.root.emplace();
  spec.root->path = input.rootfs;
  spec.root->readonly = input.app->read_only_root_fs;
  spec.process.emplace();
  run::Process& process = *spec.process;
  process.args = app.exec;
  process.cwd = app.working_directory.empty() ? "/" : app.working_directory;
  process.env = MakeEnvironment(input, app, ids);
  process.terminal = input.terminal;
  process.user.uid = ids.uid;
  process.user.gid = ids.gid;
  process.user.additional_gids = ids.extra;
  spec.mounts = KernelMounts();
  COAM_RETURN_IF_ERROR(AddVolumes(input, app, &spec));
  AddNamespaces(input, &spec);
  // A joined UTS namespace has its name already.
  const run::Namespace* uts = spec.FindNamespace("uts");
  if (uts != nullptr && uts->path.empty()) spec.hostname = input.hostname;
  spec.linux_.cgroups_path = input.cgroups_path;
  spec.linux_.resources.emplace();
  run::DeviceRule closed;
  closed.access = "rwm";
  spec.linux_.resources->devices = {closed};
  AddProtection(input, &spec);
  COAM_RETURN_IF_ERROR(
      base::Wrap(internal::ApplyIsolators(app.isolators, input, &spec, &out.ignored_isolators),
                 absl::StrCat("app ", input.app->name)));
  if (input.strict && !out.ignored_isolators.empty()) {
    return base::Fail("aci.isolator_unsupported")
           << "app " << input.app->name << ": isolator " << out.ignored_isolators.front()
           << " cannot be enforced";
  }
  out.pre_start = Handler(app, "pre-start", spec);
  out.post_stop = Handler(app, "post-stop", spec);
  return out;
}

}  // namespace coaming::aci
