// The tables of the run commands, for coam and for the name runc.
#include <unistd.h>

#include <cstring>

#include "examples/coam/commands.h"
#include "examples/coam/run_shared.h"

namespace coam {

bool IsRunc(const Invocation& in) { return in.personality->name == "runc"; }

int FailText(Invocation& in, const std::string& message) {
  if (!IsRunc(in)) {
    Say(std::string(in.personality->name) + ": " + message);
    return 125;
  }
  const std::string_view words = in.command->words;
  if (words == "run" || words == "create") {
    RuncLog(in, "error", "runc " + std::string(words) + " failed: " + message);
    return 1;
  }
  RuncLog(in, "error", words == "exec" ? "exec failed: " + message : message);
  return words == "exec" ? 255 : 1;
}

int FailRun(Invocation& in, const Error& error) {
  if (!IsRunc(in)) return in.Fail(error);
  const std::string_view reason = Text(coam_error_reason(error.get()));
  std::string message(Text(coam_error_message(error.get())));
  // Words that callers of runc look for.
  if (reason == "run.not_found") message = "container does not exist";
  if (reason == "run.exists") message = "container with given ID already exists";
  if (reason == "run.state" && in.command->words == "kill") {
    if (in.Has("all")) return 0;  // all of none
    message = "container not running";
  }
  if (reason == "run.state" && in.command->words == "exec") {
    const coam_str status = coam_error_detail(error.get(), "run.status");
    if (Text(status) == "paused")
      message = "cannot exec in a paused container (use --ignore-paused to override)";
  }
  return FailText(in, message);
}

Runtime OpenRuntime(Invocation& in, int* code) {
  if (IsRunc(in) && !RuncLogIsUsable(in, code)) return nullptr;
  Error error;
  Options options;
  Runtime runtime;
  bool ok = coam_options_new("run.runtime", Take(options), Take(error)) == COAM_OK;
  auto set = [&](const char* key, const std::string& value) {
    ok = ok && coam_options_set(options.get(), key, value.c_str(), Take(error)) == COAM_OK;
  };
  std::string root = in.Value("root");
  if (root.empty() && geteuid() != 0) {
    // As runc: below the user's own runtime directory.
    const char* dir = getenv("XDG_RUNTIME_DIR");
    root = std::string(dir != nullptr ? dir : "/tmp") + (IsRunc(in) ? "/runc" : "/coaming");
  }
  if (root.empty() && IsRunc(in)) root = "/run/runc";
  if (!root.empty()) set("state-root", root);
  if (const std::string launcher = in.Value("launcher"); !launcher.empty())
    set("launcher", launcher);
  if (const std::string manager = in.Value("cgroup-manager"); !manager.empty())
    set("cgroups", manager);
  if (in.Has("systemd-cgroup")) set("cgroups", "systemd");
  if (geteuid() == 0) set("seccomp-cache", "/run/coaming-seccomp");
  // Callers of runc's words give profiles wherever they run, as crun takes them.
  if (IsRunc(in)) set("lenient-labels", "true");
  // Hooks see what the tool was called with; coming from an engine that is what they expect.
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (**variable != '=') set("hook-env", *variable);
  ok = ok && coam_run_runtime_new(options.get(), Take(runtime), Take(error)) == COAM_OK;
  if (!ok) *code = FailRun(in, error);
  return runtime;
}

Container OpenContainer(Invocation& in, const Runtime& runtime, int* code) {
  Error error;
  Container container;
  if (coam_run_container_open(runtime.get(), in.args[0].c_str(), Take(container), Take(error)) !=
      COAM_OK)
    *code = FailRun(in, error);
  return container;
}

namespace {

#define COAM_ROOT_FLAGS                                                                         \
  {"root", 0, FlagKind::kValue, "DIR", "where the state of containers is kept"},                \
      {"launcher", 0, FlagKind::kValue, "FILE", "coaming-launch instead of the copy inside"}, { \
    "cgroup-manager", 0, FlagKind::kValue, "NAME", "cgroupfs or disabled"                       \
  }

#define COAM_START_FLAGS                                                                         \
  {"bundle", 'b', FlagKind::kValue, "DIR", "the bundle (default: here)"},                        \
      {"config", 'f', FlagKind::kValue, "FILE", "configuration instead of the bundle's"},        \
      {"console-socket", 0, FlagKind::kValue, "PATH", "socket that gets the terminal's master"}, \
      {"pidfd-socket", 0, FlagKind::kValue, "PATH", "socket that gets a pidfd of the process"},  \
      {"pid-file", 0, FlagKind::kValue, "FILE", "file to write the process id to"},              \
      {"no-pivot", 0, FlagKind::kSwitch, "", "enter the root without pivot_root"},               \
      {"no-new-keyring", 0, FlagKind::kSwitch, "", "keep the session keyring"}, {                \
    "preserve-fds", 0, FlagKind::kValue, "N", "pass N descriptors from 3 on"                     \
  }

constexpr Flag kRoot[] = {COAM_ROOT_FLAGS};
constexpr Flag kCreate[] = {COAM_ROOT_FLAGS, COAM_START_FLAGS};
constexpr Flag kRun[] = {
    COAM_ROOT_FLAGS,
    COAM_START_FLAGS,
    {"detach", 'd', FlagKind::kSwitch, "", "do not wait for the program"},
    {"keep", 0, FlagKind::kSwitch, "", "do not delete the container at its end"},
    {"no-subreaper", 0, FlagKind::kSwitch, "", "accepted, and without effect"},
    {"print-plan", 0, FlagKind::kSwitch, "", "show the steps of the launch and start nothing"},
};
// A monitor is coam's own: runc's callers bring theirs.
#define COAM_MONITOR_FLAGS                                                                         \
  {"monitor", 0, FlagKind::kSwitch, "", "a process that keeps status, log and terminal"},          \
      {"log-path", 0, FlagKind::kValue, "FILE", "log of the output, kept by a monitor"},           \
      {"log-max-size", 0, FlagKind::kValue, "SIZE", "size at which the log is rotated"},           \
      {"log-max-files", 0, FlagKind::kValue, "N", "log files that are kept (5)"},                  \
      {"stdin", 0, FlagKind::kValue, "WHERE", "inherit, null, relay (coam attach), file:PATH"},    \
      {"stdout", 0, FlagKind::kValue, "WHERE", "inherit, null, relay (coam attach), file:PATH"}, { \
    "stderr", 0, FlagKind::kValue, "WHERE", "inherit, null, relay (coam attach), file:PATH"        \
  }
constexpr Flag kCoamCreate[] = {COAM_ROOT_FLAGS, COAM_START_FLAGS, COAM_MONITOR_FLAGS};
constexpr Flag kCoamRun[] = {
    COAM_ROOT_FLAGS,
    COAM_START_FLAGS,
    COAM_MONITOR_FLAGS,
    {"detach", 'd', FlagKind::kSwitch, "", "do not wait; a monitor keeps the status"},
    {"keep", 0, FlagKind::kSwitch, "", "do not delete the container at its end"},
    {"print-plan", 0, FlagKind::kSwitch, "", "show the steps of the launch and start nothing"},
};
constexpr Flag kAttach[] = {
    COAM_ROOT_FLAGS,
    {"no-stdin", 0, FlagKind::kSwitch, "", "only watch"},
    {"start", 0, FlagKind::kSwitch, "", "start a created container once attached"},
};
constexpr Flag kLogs[] = {
    COAM_ROOT_FLAGS,
    {"follow", 'f', FlagKind::kSwitch, "", "go on until the container ends"},
    {"timestamps", 't', FlagKind::kSwitch, "", "with the time of each line"},
    {"tail", 'n', FlagKind::kValue, "N", "only the last lines"},
};
constexpr Flag kExec[] = {
    COAM_ROOT_FLAGS,
    {"console-socket", 0, FlagKind::kValue, "PATH", "socket that gets the terminal's master"},
    {"pidfd-socket", 0, FlagKind::kValue, "PATH", "socket that gets a pidfd of the process"},
    {"pid-file", 0, FlagKind::kValue, "FILE", "file to write the process id to"},
    {"cwd", 0, FlagKind::kValue, "DIR", "working directory"},
    {"env", 'e', FlagKind::kList, "NAME=VALUE", "variable"},
    {"tty", 't', FlagKind::kSwitch, "", "with a terminal"},
    {"user", 'u', FlagKind::kValue, "UID[:GID]", "user"},
    {"additional-gids", 'g', FlagKind::kList, "GID", "further group"},
    {"process", 'p', FlagKind::kValue, "FILE", "process object (JSON)"},
    {"detach", 'd', FlagKind::kSwitch, "", "do not wait for the program"},
    {"cap", 'c', FlagKind::kList, "CAP", "capability to add"},
    {"no-new-privs", 0, FlagKind::kSwitch, "", "forbid new privileges"},
    {"ignore-paused", 0, FlagKind::kSwitch, "", "start in a paused container too"},
    {"preserve-fds", 0, FlagKind::kValue, "N", "pass N descriptors from 3 on"},
    {"cgroup", 0, FlagKind::kList, "[CONTROLLER:]PATH", "cgroup below the container's"},
    {"process-label", 0, FlagKind::kValue, "LABEL", "SELinux label of the process"},
    {"apparmor", 0, FlagKind::kValue, "PROFILE", "AppArmor profile of the process"},
};
constexpr Flag kKill[] = {COAM_ROOT_FLAGS, {"all", 'a', FlagKind::kSwitch, "", "every process"}};
constexpr Flag kDelete[] = {
    COAM_ROOT_FLAGS,
    {"force", 'f', FlagKind::kSwitch, "", "kill it first, and be content if there is none"},
};
constexpr Flag kList[] = {
    COAM_ROOT_FLAGS,
    {"format", 'f', FlagKind::kValue, "FORMAT", "table or json"},
    {"quiet", 'q', FlagKind::kSwitch, "", "ids only"},
};
constexpr Flag kPs[] = {
    COAM_ROOT_FLAGS,
    {"format", 'f', FlagKind::kValue, "FORMAT", "table or json"},
};
constexpr Flag kUpdate[] = {
    COAM_ROOT_FLAGS,
    {"resources", 'r', FlagKind::kValue, "FILE", "limits as JSON, - for standard input"},
    {"blkio-weight", 0, FlagKind::kValue, "N", "block I/O weight, 10 to 1000"},
    {"cpu-period", 0, FlagKind::kValue, "US", "CFS period"},
    {"cpu-quota", 0, FlagKind::kValue, "US", "CFS quota"},
    {"cpu-burst", 0, FlagKind::kValue, "US", "CFS burst"},
    {"cpu-share", 0, FlagKind::kValue, "N", "CPU shares"},
    {"cpu-rt-period", 0, FlagKind::kValue, "US", "real-time period"},
    {"cpu-rt-runtime", 0, FlagKind::kValue, "US", "real-time runtime"},
    {"cpu-idle", 0, FlagKind::kValue, "N", "1: only when nothing else runs"},
    {"cpuset-cpus", 0, FlagKind::kValue, "LIST", "CPUs"},
    {"cpuset-mems", 0, FlagKind::kValue, "LIST", "memory nodes"},
    {"kernel-memory", 0, FlagKind::kValue, "BYTES", "gone from the kernel; ignored"},
    {"kernel-memory-tcp", 0, FlagKind::kValue, "BYTES", "TCP memory (cgroup v1)"},
    {"memory", 0, FlagKind::kValue, "BYTES", "memory limit"},
    {"memory-reservation", 0, FlagKind::kValue, "BYTES", "soft memory limit"},
    {"memory-swap", 0, FlagKind::kValue, "BYTES", "memory and swap together"},
    {"pids-limit", 0, FlagKind::kValue, "N", "most processes"},
    {"l3-cache-schema", 0, FlagKind::kValue, "SCHEMA", "share of the L3 cache (Intel RDT)"},
    {"mem-bw-schema", 0, FlagKind::kValue, "SCHEMA", "share of the memory bandwidth (Intel RDT)"},
};
constexpr Flag kEvents[] = {
    COAM_ROOT_FLAGS,
    {"interval", 0, FlagKind::kValue, "TIME", "between two readings (5s)"},
    {"stats", 0, FlagKind::kSwitch, "", "one reading, then stop"},
};
constexpr Flag kSpec[] = {
    {"bundle", 'b', FlagKind::kValue, "DIR", "directory to write config.json into"},
    {"rootless", 0, FlagKind::kSwitch, "", "for an ordinary user"},
};

constexpr Command kCommands[] = {
    {"run", "ID", "Create and start a container, wait for it and delete it", "", kRun,
     "coam run -b /bundles/web web\ncoam run -d --log-path web.log -b /bundles/web web\n"
     "coam run --print-plan -b . x",
     1, 1, false, RunCommand},
    {"create", "ID", "Create a container up to its program", "", kCreate,
     "coam create -b /bundles/web web\ncoam create --pid-file p -b . x", 1, 1, false,
     CreateCommand},
    {"start", "ID", "Let a created container run its program", "", kRoot,
     "coam start web\ncoam start --root /run/mine web", 1, 1, false, StartCommand},
    {"exec", "ID [COMMAND [ARG...]]", "Run a further program in a container", "", kExec,
     "coam exec web ps\ncoam exec -t -e TERM=xterm web sh", 1, -1, true, ExecCommand},
    {"state", "ID", "Show the state document of a container", "", kRoot,
     "coam state web\ncoam state --root /run/mine web", 1, 1, false, StateCommand},
    {"kill", "ID [SIGNAL]", "Send a signal (TERM) to a container", "", kKill,
     "coam kill web HUP\ncoam kill --all web KILL", 1, 2, false, KillCommand},
    {"delete", "ID [ID...]", "Delete a stopped container", "", kDelete,
     "coam delete web\ncoam delete --force web", 1, -1, false, DeleteCommand},
    {"list", "", "List the containers", "", kList, "coam list\ncoam list --format=json", 0, 0,
     false, ListCommand},
    {"ps", "ID [PS-OPTION...]", "List the processes of a container", "", kPs,
     "coam ps web\ncoam ps --format=json web", 1, -1, true, PsCommand},
    {"pause", "ID", "Stop all processes of a container", "", kRoot,
     "coam pause web\ncoam pause --root /run/mine web", 1, 1, false, PauseCommand},
    {"resume", "ID", "Let a paused container go on", "", kRoot,
     "coam resume web\ncoam resume --root /run/mine web", 1, 1, false, ResumeCommand},
    {"update", "ID", "Change the limits of a container", "", kUpdate,
     "coam update --memory 67108864 web\ncoam update -r limits.json web", 1, 1, false,
     UpdateCommand},
    {"events", "ID", "Show counters of a container", "", kEvents,
     "coam events --stats web\ncoam events --interval 10s web", 1, 1, false, EventsCommand},
    {"spec", "", "Write a config.json to start from", "", kSpec,
     "coam spec\ncoam spec --rootless -b /bundles/web", 0, 0, false, SpecCommand},
};
constexpr Command kCoamOnly[] = {
    {"attach", "ID", "Join the streams of a container that runs under a monitor", "", kAttach,
     "coam attach web      # ctrl-p ctrl-q detaches\ncoam attach --no-stdin web", 1, 1, false,
     AttachCommand},
    {"logs", "ID", "Show what a container has written", "", kLogs,
     "coam logs web\ncoam logs -f --tail 20 -t web", 1, 1, false, LogsCommand},
    {"wait", "ID", "Wait for the end of a container and print its status", "", kRoot,
     "coam wait web\ncoam wait --timeout 30s web", 1, 1, false, WaitCommand},
    {"probe",
     "",
     "Tell what this kernel allows, and how to allow the rest",
     "",
     {},
     "coam probe\ncoam probe --format=json",
     0,
     0,
     false,
     ProbeCommand},
    {"runtime-features",
     "",
     "Show the features document of the runtime specification",
     "",
     {},
     "coam runtime-features\ncoam runtime-features | jq .linux",
     0,
     0,
     false,
     RuntimeFeaturesCommand},
};
constexpr Command kRuncOnly[] = {
    {"features",
     "",
     "Show the features document",
     "",
     {},
     "runc features\nrunc features | jq .",
     0,
     0,
     false,
     RuntimeFeaturesCommand},
};

template <size_t N, size_t M>
std::vector<Command> Joined(const Command (&a)[N], const Command (&b)[M]) {
  std::vector<Command> all(a, a + N);
  all.insert(all.end(), b, b + M);
  return all;
}

}  // namespace

std::span<const Command> RunCommands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> out = Joined(kCommands, kCoamOnly);
    for (Command& c : out) {
      if (c.words == "run") c.flags = kCoamRun;
      if (c.words == "create") c.flags = kCoamCreate;
      if (c.words == "events") {
        c.usage = "[ID]";
        c.summary = "Show what happens to containers, and counters of one";
        c.min_args = 0;
        c.examples = "coam events\ncoam events --stats web";
      }
    }
    return out;
  }();
  return all;
}

std::span<const Command> RuncCommands() {
  static const std::vector<Command> all = Joined(kCommands, kRuncOnly);
  return all;
}

std::span<const Flag> RuncFlags() {
  static constexpr Flag kFlags[] = {
      COAM_ROOT_FLAGS,
      {"version", 'v', FlagKind::kSwitch, "", "show the version"},
      {"debug", 0, FlagKind::kSwitch, "", "log each step of a launch"},
      {"log", 0, FlagKind::kValue, "FILE", "file for errors"},
      {"log-format", 0, FlagKind::kValue, "FORMAT", "text or json"},
      {"log-level", 0, FlagKind::kValue, "LEVEL", "accepted, and without effect"},
      {"systemd-cgroup", 0, FlagKind::kSwitch, "",
       "have systemd make the cgroups (cgroupsPath is SLICE:PREFIX:NAME)"},
      {"rootless", 0, FlagKind::kValue, "WHEN", "true, false or auto; found out by itself"},
      {"criu", 0, FlagKind::kValue, "FILE", "accepted, and without effect"},
  };
  return kFlags;
}

}  // namespace coam
