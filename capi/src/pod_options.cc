#include "capi/src/pod_options.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/core/status_macros.h"
#include "capi/src/modules.h"
#include "libaci/schema/isolator.h"
#include "libaci/schema/types.h"

namespace coaming::capi {
namespace {

using enum OptionType;

constexpr OptionRow kPodsRows[] = {
    {"dir", kPath, "/var/lib/rkt", "1.0", "where images and pods are kept"},
    {"network-dir", kList, "", "1.0",
     "directory of CNI configurations; the first that has a name wins (default /etc/rkt/net.d)"},
    {"plugin-dir", kList, "", "1.0",
     "directory of CNI plugins (default /usr/lib/rkt/plugins/net, /usr/lib/cni)"},
    {"cgroup-parent", kString, "/coaming", "1.0", "cgroup below which pods have theirs"},
    {"launcher", kPath, "", "1.0", "coaming-launch to use instead of the built-in copy"},
};

constexpr OptionRow kRequestRows[] = {
    {"volume", kList, "", "1.0", "NAME,kind=host,source=PATH[,readOnly=B] or NAME,kind=empty"},
    {"port", kList, "", "1.0", "NAME:[HOSTIP:]HOSTPORT: forward a port of an app"},
    {"environment", kMap, "", "1.0", "variable for all apps, over the image's"},
    {"inherit-environment", kMap, "", "1.0", "variable for all apps, under the image's"},
    {"annotation", kMap, "", "1.0", "annotation of the pod"},
    {"pod-manifest", kBytes, "", "1.0", "a whole pod manifest (JSON) instead of apps and options"},
};

constexpr OptionRow kAppRows[] = {
    {"name", kString, "", "1.0", "name of the app (default: end of the image's name)"},
    {"exec", kPath, "", "1.0", "program to run instead of the image's"},
    {"arg", kList, "", "1.0", "argument after the program's own"},
    {"user", kString, "", "1.0", "user to run as"},
    {"group", kString, "", "1.0", "group to run as"},
    {"supplementary-gids", kList, "", "1.0", "further group ID"},
    {"working-dir", kPath, "", "1.0", "directory to run in"},
    {"environment", kMap, "", "1.0", "variable for this app"},
    {"mount", kList, "", "1.0", "volume=NAME,target=PATH"},
    {"memory", kString, "", "1.0", "memory limit, such as 64Mi"},
    {"cpu", kString, "", "1.0", "CPU limit in cores or thousandths, such as 500m"},
    {"cpu-shares", kInt, "", "1.0", "weight of CPU time against others"},
    {"oom-score-adj", kInt, "", "1.0", "how readily the kernel ends it when memory is short"},
    {"caps-retain", kList, "", "1.0", "capability to keep; all others go"},
    {"caps-remove", kList, "", "1.0", "capability to take away"},
    {"seccomp", kString, "", "1.0", "mode=retain|remove[,errno=E],CALL,..."},
    {"isolator", kList, "", "1.0", "any isolator, as acbuild writes it"},
    {"readonly-rootfs", kBool, "false", "1.0", "mount the root file system read-only"},
    {"annotation", kMap, "", "1.0", "annotation of the app"},
    {"user-annotation", kMap, "", "1.0", "user annotation of the app"},
    {"user-label", kMap, "", "1.0", "user label of the app"},
};

constexpr OptionRow kRunRows[] = {
    {"net", kList, "", "1.0", "none, host, default, all, or NAME[:K=V;...] (default: default)"},
    {"hostname", kString, "", "1.0", "host name of the pod (default: rkt-UUID)"},
    {"dns", kList, "", "1.0", "name server for /etc/resolv.conf"},
    {"dns-search", kList, "", "1.0", "search domain for /etc/resolv.conf"},
    {"dns-opt", kList, "", "1.0", "option for /etc/resolv.conf"},
    {"dns-domain", kString, "", "1.0", "domain for /etc/resolv.conf"},
    {"hosts-entry", kList, "", "1.0", "ADDRESS=NAME for /etc/hosts"},
    {"stdio", kString, "inherit", "1.0", "inherit, null or log: where apps write"},
    {"terminal", kBool, "false", "1.0", "give the only app a terminal"},
    {"ipc", kString, "private", "1.0", "private or parent: System V IPC of its own or the host's"},
    {"metadata-url", kString, "", "1.0", "AC_METADATA_URL of a service that knows the pod"},
    {"insecure-capabilities", kBool, "false", "1.0", "leave all capabilities to the apps"},
    {"insecure-paths", kBool, "false", "1.0", "do not protect paths of /proc and /sys"},
    {"insecure-seccomp", kBool, "false", "1.0", "do not filter system calls"},
};

constexpr OptionRow kEnterRows[] = {
    {"app", kString, "", "1.0", "app to enter, if the pod has several"},
    {"arg", kList, "", "1.0", "the program and its arguments"},
    {"terminal", kBool, "false", "1.0", "give it a terminal"},
};

constexpr OptionRow kGcRows[] = {
    {"grace-period", kDuration, "30m", "1.0", "how long a pod that has ended is kept"},
    {"expire-prepared", kDuration, "24h", "1.0", "how long a prepared pod waits to be run"},
    {"mark-only", kBool, "false", "1.0", "mark what has ended and remove nothing"},
};

constexpr OptionFamily kFamilies[] = {
    {"pods", "where pods are kept", kPodsRows},
    {"pod.request", "what the apps of a pod share", kRequestRows},
    {"pod.app", "one app of a pod", kAppRows},
    {"pod.prepare", "preparing a pod", {}},
    {"pod.run", "running a pod", kRunRows},
    {"pod.wait", "waiting for a pod or process", {}},
    {"pod.enter", "entering an app", kEnterRows},
    {"pod.gc", "collecting pods", kGcRows},
};

constexpr const char* kFeatures[] = {"pod.run", "pod.enter", "pod.gc"};

void ReadNamed(const OptionReader& opt, std::string_view key, std::vector<aci::NameValue>* to) {
  for (auto& [name, value] : opt.Map(key)) aci::Set(*to, name, value);
}

// "NAME:[HOSTIP:]HOSTPORT"; an IPv6 address stands in brackets.
absl::StatusOr<aci::ExposedPort> ReadPort(const std::string& text) {
  const size_t first = text.find(':');
  const size_t last = text.rfind(':');
  aci::ExposedPort port;
  if (first == std::string::npos || !absl::SimpleAtoi(text.substr(last + 1), &port.host_port) ||
      port.host_port == 0 || port.host_port > 65535) {
    return base::Fail("core.invalid_argument").Hint("write NAME:HOSTPORT or NAME:HOSTIP:HOSTPORT")
           << "port '" << text << "'";
  }
  port.name = text.substr(0, first);
  if (last > first) port.host_ip = text.substr(first + 1, last - first - 1);
  if (port.host_ip.size() > 2 && port.host_ip.front() == '[' && port.host_ip.back() == ']') {
    port.host_ip = port.host_ip.substr(1, port.host_ip.size() - 2);
  }
  return port;
}

// "mode=retain|remove[,errno=E],CALL,...", as rkt's flag has it.
absl::StatusOr<aci::Isolator> ReadSeccomp(const std::string& text) {
  std::string mode, error;
  std::vector<std::string> calls;
  for (const std::string_view part : absl::StrSplit(text, ',')) {
    if (part.starts_with("mode=")) {
      mode = part.substr(5);
    } else if (part.starts_with("errno=")) {
      error = part.substr(6);
    } else {
      calls.emplace_back(part);
    }
  }
  if (mode != "retain" && mode != "remove") {
    return base::Fail("core.invalid_argument").Hint("write mode=retain|remove[,errno=E],CALL,...")
           << "seccomp '" << text << "'";
  }
  return aci::MakeSet(
      mode == "retain" ? aci::IsolatorKind::kSeccompRetain : aci::IsolatorKind::kSeccompRemove,
      calls, error);
}

absl::Status ReadIsolators(const OptionReader& opt, std::vector<aci::Isolator>* to) {
  const auto add = [to](absl::StatusOr<aci::Isolator> made) {
    if (!made.ok()) return made.status();
    to->push_back(*std::move(made));
    return absl::OkStatus();
  };
  for (const std::string& text : opt.List("isolator")) {
    COAM_RETURN_IF_ERROR(add(aci::IsolatorFromString(text)));
  }
  using Kind = aci::IsolatorKind;
  for (const auto& [key, kind] : {std::pair{"memory", Kind::kMemory}, {"cpu", Kind::kCpu}}) {
    if (const auto limit = opt.MaybeString(key)) {
      COAM_RETURN_IF_ERROR(add(aci::MakeResource(kind, "", *limit)));
    }
  }
  for (const auto& [key, kind] :
       {std::pair{"cpu-shares", Kind::kCpuShares}, {"oom-score-adj", Kind::kOomScoreAdj}}) {
    if (opt.Has(key)) COAM_RETURN_IF_ERROR(add(aci::MakeNumber(kind, opt.Int(key))));
  }
  for (const auto& [key, kind] : {std::pair{"caps-retain", Kind::kCapabilitiesRetain},
                                  {"caps-remove", Kind::kCapabilitiesRemove}}) {
    if (opt.Has(key)) COAM_RETURN_IF_ERROR(add(aci::MakeSet(kind, opt.List(key))));
  }
  if (const auto seccomp = opt.MaybeString("seccomp")) {
    COAM_RETURN_IF_ERROR(add(ReadSeccomp(*seccomp)));
  }
  return absl::OkStatus();
}

}  // namespace

Module PodModule() { return {"pod", kFamilies, kFeatures}; }

aci::PodsOptions ReadPodsOptions(const OptionReader& opt) {
  aci::PodsOptions out;
  out.dir = opt.String("dir");
  if (opt.Has("network-dir")) out.network_dirs = opt.List("network-dir");
  if (opt.Has("plugin-dir")) out.plugin_dirs = opt.List("plugin-dir");
  out.cgroup_parent = opt.String("cgroup-parent");
  out.launcher = opt.String("launcher");
  return out;
}

absl::StatusOr<aci::PodRequest> ReadPodRequest(const OptionReader& opt) {
  aci::PodRequest out;
  for (const std::string& text : opt.List("volume")) {
    COAM_ASSIGN_OR_RETURN(aci::Volume volume, aci::Volume::FromString(text));
    out.volumes.push_back(std::move(volume));
  }
  for (const std::string& text : opt.List("port")) {
    COAM_ASSIGN_OR_RETURN(aci::ExposedPort port, ReadPort(text));
    out.ports.push_back(std::move(port));
  }
  ReadNamed(opt, "environment", &out.environment);
  ReadNamed(opt, "inherit-environment", &out.inherited_environment);
  ReadNamed(opt, "annotation", &out.annotations);
  out.manifest = opt.MaybeString("pod-manifest");
  return out;
}

absl::StatusOr<aci::AppRequest> ReadAppRequest(const OptionReader& opt, const char* image) {
  aci::AppRequest out;
  out.image = image;
  out.name = opt.String("name");
  out.exec = opt.MaybeString("exec");
  out.args = opt.List("arg");
  out.user = opt.String("user");
  out.group = opt.String("group");
  out.working_directory = opt.String("working-dir");
  for (const std::string& text : opt.List("supplementary-gids")) {
    uint32_t gid = 0;
    if (!absl::SimpleAtoi(text, &gid)) {
      return base::Fail("core.invalid_argument") << "supplementary group '" << text << "'";
    }
    out.supplementary_gids.push_back(gid);
  }
  ReadNamed(opt, "environment", &out.environment);
  ReadNamed(opt, "annotation", &out.annotations);
  out.user_annotations = opt.Map("user-annotation");
  out.user_labels = opt.Map("user-label");
  for (const std::string& text : opt.List("mount")) {
    COAM_ASSIGN_OR_RETURN(aci::Mount mount, aci::Mount::FromString(text));
    out.mounts.push_back(std::move(mount));
  }
  COAM_RETURN_IF_ERROR(ReadIsolators(opt, &out.isolators));
  out.read_only_rootfs = opt.Bool("readonly-rootfs");
  return out;
}

absl::StatusOr<aci::RunRequest> ReadRunRequest(const OptionReader& opt) {
  aci::RunRequest out;
  if (opt.Has("net")) out.networks = opt.List("net");
  out.hostname = opt.String("hostname");
  out.dns = opt.List("dns");
  out.dns_search = opt.List("dns-search");
  out.dns_options = opt.List("dns-opt");
  out.dns_domain = opt.String("dns-domain");
  for (const std::string& entry : opt.List("hosts-entry")) {
    const size_t eq = entry.find('=');
    if (eq == std::string::npos || eq == 0 || eq + 1 == entry.size()) {
      return base::Fail("core.invalid_argument").Hint("write ADDRESS=NAME")
             << "hosts entry '" << entry << "'";
    }
    out.hosts.emplace_back(entry.substr(0, eq), entry.substr(eq + 1));
  }
  const std::string stdio = opt.String("stdio");
  if (stdio == "null") {
    out.stdio = aci::PodStdio::kNull;
  } else if (stdio == "log") {
    out.stdio = aci::PodStdio::kLog;
  } else if (stdio != "inherit") {
    return base::Fail("core.invalid_argument").Hint("write inherit, null or log")
           << "stdio '" << stdio << "'";
  }
  out.terminal = opt.Bool("terminal");
  const std::string ipc = opt.String("ipc");
  if (ipc != "private" && ipc != "parent" && ipc != "auto") {
    return base::Fail("core.invalid_argument").Hint("write private or parent")
           << "ipc '" << ipc << "'";
  }
  out.host_ipc = ipc == "parent";
  out.metadata_url = opt.String("metadata-url");
  out.insecure_capabilities = opt.Bool("insecure-capabilities");
  out.insecure_paths = opt.Bool("insecure-paths");
  out.insecure_seccomp = opt.Bool("insecure-seccomp");
  return out;
}

}  // namespace coaming::capi
