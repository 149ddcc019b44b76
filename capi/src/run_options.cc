#include "capi/src/run_options.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "capi/src/modules.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::capi {
namespace {

using enum OptionType;

constexpr OptionRow kRuntimeRows[] = {
    {"state-root", kPath, "/run/coaming", "1.0", "where the state of containers is kept"},
    {"launcher", kPath, "", "1.0", "coaming-launch to use instead of the built-in copy"},
    {"cgroups", kString, "cgroupfs", "1.0", "cgroupfs or disabled"},
    {"cgroup-parent", kString, "/coaming", "1.0",
     "cgroup below which containers without an absolute cgroupsPath have theirs"},
    {"seccomp-cache", kPath, "", "1.0",
     "directory for compiled seccomp filters (else memory only)"},
    {"lenient-labels", kBool, "false", "1.0",
     "leave out AppArmor and SELinux labels that this kernel lacks, with a note"},
    {"hook-env", kMap, "", "1.0", "environment of hooks that the configuration gives none"},
};

#define COAM_RUN_STDIO_ROWS                                                                     \
  {"stdin", kString, "inherit", "1.0", "inherit, null, pipe, relay, fd:N or file:PATH"},        \
      {"stdout", kString, "inherit", "1.0", "inherit, null, pipe, relay, fd:N or file:PATH"},   \
      {"stderr", kString, "inherit", "1.0", "inherit, null, pipe, relay, fd:N or file:PATH"},   \
      {"pass-fd", kList, "", "1.0", "FD:N: descriptor FD of the caller as number N (above 2)"}, \
      {"listen-fd", kList, "", "1.0",                                                           \
       "FD[:NAME]: listening socket of the caller, handed on as systemd does (LISTEN_FDS)"},    \
      {"console-socket", kPath, "", "1.0", "socket that gets the master of the terminal"},      \
      {"pidfd-socket", kPath, "", "1.0", "socket that gets a pidfd of the process"},            \
      {"pid-file", kPath, "", "1.0", "file to write the process id to"}, {                      \
    "no-new-keyring", kBool, "false", "1.0", "keep the caller's session keyring"                \
  }

constexpr OptionRow kCreateRows[] = {
    {"bundle", kPath, "", "1.0", "directory with config.json and the root file system"},
    {"spec", kBytes, "", "1.0", "configuration (JSON) to use instead of the bundle's config.json"},
    {"env", kMap, "", "1.0", "variable over the configuration's"},
    {"no-pivot", kBool, "false", "1.0", "enter the root by moving it (for roots in a ramfs)"},
    {"monitor", kBool, "false", "1.0",
     "keep a process beside the container that outlives this one: status, log, terminal"},
    {"log-path", kPath, "", "1.0", "file for output and errors, by a monitor, in CRI lines"},
    {"log-max-size", kSize, "0", "1.0", "bytes of a log file before it is moved to PATH.1"},
    {"log-max-files", kInt, "5", "1.0", "log files that are kept, with the current one"},
    {"notify-socket", kPath, "", "1.0",
     "the service manager's socket: what the program says by sd_notify is passed on to it"},
    {"pause", kBool, "false", "1.0", "run no program but one that sleeps and reaps"},
    COAM_RUN_STDIO_ROWS,
};

constexpr OptionRow kExecRows[] = {
    {"process", kBytes, "", "1.0", "whole process object (JSON) instead of the options below"},
    {"arg", kList, "", "1.0", "program, then each of its arguments"},
    {"env", kMap, "", "1.0", "variable over the container's own"},
    {"cwd", kPath, "", "1.0", "working directory (default: the container's)"},
    {"user", kString, "", "1.0", "UID[:GID]"},
    {"additional-gid", kList, "", "1.0", "further group ID"},
    {"tty", kBool, "false", "1.0", "give the process a terminal"},
    {"cap", kList, "", "1.0", "capability to add"},
    {"no-new-privs", kBool, "false", "1.0", "forbid new privileges even if the container may"},
    {"ignore-paused", kBool, "false", "1.0", "start in a paused container too"},
    {"cgroup", kList, "", "1.0",
     "[CONTROLLER[,CONTROLLER]:]PATH of a cgroup below the container's"},
    {"apparmor", kString, "", "1.0", "AppArmor profile of the process"},
    {"process-label", kString, "", "1.0", "SELinux label of the process"},
    COAM_RUN_STDIO_ROWS,
};

constexpr OptionFamily kFamilies[] = {
    {"run.runtime", "where containers are kept, and how their cgroups are made", kRuntimeRows},
    {"run.create", "make a container", kCreateRows},
    {"run.exec", "start a further process in a container", kExecRows},
    {"run.wait", "wait for something of a container", {}},
};

constexpr const char* kFeatures[] = {
    "run.attach",     "run.cgroup.v1",   "run.cgroup.v2",  "run.console", "run.devices",
    "run.events",     "run.exec",        "run.hooks",      "run.idmap",   "run.intel_rdt",
    "run.labels",     "run.log",         "run.masks",      "run.monitor", "run.mounts",
    "run.namespaces", "run.net_devices", "run.notify",     "run.pause",   "run.print_plan",
    "run.rlimits",    "run.rootless",    "run.scheduling", "run.seccomp", "run.seccomp.notify",
    "run.sysctl",     "run.tmpcopyup",   "run.userns",
};

absl::StatusOr<run::Stdio> ReadStdio(const OptionReader& options, std::string_view key) {
  const std::string text = options.String(key);
  run::Stdio s;
  if (text == "inherit" || text.empty()) return s;
  if (text == "null") {
    s.kind = run::Stdio::Kind::kNull;
  } else if (text == "relay") {
    s.kind = run::Stdio::Kind::kRelay;
  } else if (text == "pipe") {
    s.kind = run::Stdio::Kind::kPipe;
  } else if (absl::StartsWith(text, "file:")) {
    s.kind = run::Stdio::Kind::kFile;
    s.path = text.substr(5);
  } else if (absl::StartsWith(text, "fd:") && absl::SimpleAtoi(text.substr(3), &s.fd) &&
             s.fd >= 0) {
    s.kind = run::Stdio::Kind::kFd;
  } else {
    return base::Fail("core.invalid_argument")
           << key << ": \"" << text << "\" is not inherit, null, pipe, relay, fd:N or file:PATH";
  }
  return s;
}

absl::Status ReadLaunch(const OptionReader& options, run::LaunchOptions* out) {
  COAM_ASSIGN_OR_RETURN(out->in, ReadStdio(options, "stdin"));
  COAM_ASSIGN_OR_RETURN(out->out, ReadStdio(options, "stdout"));
  COAM_ASSIGN_OR_RETURN(out->err, ReadStdio(options, "stderr"));
  for (const std::string& text : options.List("pass-fd")) {
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    run::PassFd p;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &p.fd) ||
        !absl::SimpleAtoi(parts[1], &p.target))
      return base::Fail("core.invalid_argument") << "pass-fd: \"" << text << "\" is not FD:N";
    out->pass_fds.push_back(p);
  }
  for (const std::string& text : options.List("listen-fd")) {
    const size_t colon = text.find(':');
    run::ListenFd l;
    if (!absl::SimpleAtoi(text.substr(0, colon), &l.fd))
      return base::Fail("core.invalid_argument")
             << "listen-fd: \"" << text << "\" is not FD[:NAME]";
    if (colon != std::string::npos) l.name = text.substr(colon + 1);
    out->listen_fds.push_back(std::move(l));
  }
  out->console_socket = options.String("console-socket");
  out->pidfd_socket = options.String("pidfd-socket");
  out->pid_file = options.String("pid-file");
  out->no_new_keyring = options.Bool("no-new-keyring");
  return absl::OkStatus();
}

// The whole text must be the number: "1000x" must not become 1000.
absl::Status ReadId(std::string_view key, std::string_view text, uint32_t* out) {
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos &&
      absl::SimpleAtoi(text, out))
    return absl::OkStatus();
  return base::Fail("core.invalid_argument") << key << ": \"" << text << "\" is not a numeric id";
}

void SetEnv(const std::string& name, const std::string& value, std::vector<std::string>* env) {
  const std::string prefix = name + "=";
  for (std::string& e : *env)
    if (absl::StartsWith(e, prefix)) {
      e = prefix + value;
      return;
    }
  env->push_back(prefix + value);
}

}  // namespace

Module RunModule() { return {"run", kFamilies, kFeatures}; }

absl::StatusOr<run::RuntimeOptions> ReadRuntimeOptions(const OptionReader& options) {
  run::RuntimeOptions out;
  out.state_root = options.String("state-root");
  out.launcher = options.String("launcher");
  const std::string driver = options.String("cgroups");
  if (driver == "disabled") out.cgroup_driver = run::CgroupDriver::kDisabled;
  else if (driver != "cgroupfs")
    return base::Fail("core.invalid_argument")
           << "cgroups: \"" << driver << "\" is not cgroupfs or disabled";
  out.cgroup_parent = options.String("cgroup-parent");
  out.seccomp_cache = options.String("seccomp-cache");
  out.lenient_labels = options.Bool("lenient-labels");
  for (const auto& [name, value] : options.Map("hook-env"))
    out.hook_env.push_back(absl::StrCat(name, "=", value));
  return out;
}

absl::StatusOr<run::CreateOptions> ReadCreateOptions(const char* id, const OptionReader& options) {
  run::CreateOptions out;
  out.id = id;
  out.bundle = options.String("bundle");
  if (options.Has("spec")) {
    COAM_ASSIGN_OR_RETURN(out.spec, run::ParseSpec(options.String("spec")));
  } else if (out.bundle.empty()) {
    return base::Fail("core.invalid_argument") << "bundle: neither a bundle nor a spec is given";
  }
  for (const auto& [name, value] : options.Map("env")) {
    out.env.push_back(absl::StrCat(name, "=", value));
  }
  out.no_pivot = options.Bool("no-pivot");
  out.pause = options.Bool("pause");
  out.monitor.on = options.Bool("monitor");
  out.monitor.log_path = options.String("log-path");
  out.monitor.log_max_size = options.Int("log-max-size");
  out.monitor.log_max_files = static_cast<int>(options.Int("log-max-files"));
  out.notify_socket = options.String("notify-socket");
  COAM_RETURN_IF_ERROR(ReadLaunch(options, &out));
  return out;
}

absl::StatusOr<run::ExecOptions> ReadExecOptions(const run::Container& container,
                                                 const OptionReader& options) {
  run::ExecOptions out;
  COAM_RETURN_IF_ERROR(ReadLaunch(options, &out));
  out.ignore_paused = options.Bool("ignore-paused");
  out.cgroups = options.List("cgroup");
  if (options.Has("process")) {
    COAM_ASSIGN_OR_RETURN(out.process, run::ParseProcess(options.String("process")));
  } else {
    out.process = container.DefaultExecProcess(options.List("arg"));
  }
  run::Process& p = out.process;
  if (p.args.empty()) return base::Fail("core.invalid_argument") << "arg: no program is named";
  for (const auto& [name, value] : options.Map("env")) SetEnv(name, value, &p.env);
  if (options.Has("cwd")) p.cwd = options.String("cwd");
  if (options.Has("user")) {
    const std::string text = options.String("user");
    const size_t colon = text.find(':');
    COAM_RETURN_IF_ERROR(ReadId("user", text.substr(0, colon), &p.user.uid));
    if (colon != std::string::npos)
      COAM_RETURN_IF_ERROR(ReadId("user", text.substr(colon + 1), &p.user.gid));
  }
  for (const std::string& text : options.List("additional-gid")) {
    uint32_t gid = 0;
    COAM_RETURN_IF_ERROR(ReadId("additional-gid", text, &gid));
    p.user.additional_gids.push_back(gid);
  }
  if (options.Has("apparmor")) p.apparmor_profile = options.String("apparmor");
  if (options.Has("process-label")) p.selinux_label = options.String("process-label");
  if (options.Bool("tty")) p.terminal = true;
  if (options.Bool("no-new-privs")) p.no_new_privileges = true;
  const std::vector<std::string> caps = options.List("cap");
  if (!caps.empty()) {
    // Not inheritable and not ambient: a program without file capabilities must not gain them.
    if (!p.capabilities) p.capabilities.emplace();
    for (std::vector<std::string>* set :
         {&p.capabilities->bounding, &p.capabilities->effective, &p.capabilities->permitted})
      set->insert(set->end(), caps.begin(), caps.end());
  }
  return out;
}

}  // namespace coaming::capi
