// rkt list, status, enter, stop, rm, gc and cat-manifest.
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "examples/coam/commands.h"
#include "examples/coam/rkt_pod.h"
#include "examples/coam/terminal.h"

namespace coam {
namespace {

using enum FlagKind;
using Json = Handle<coam_json, coam_json_free>;

constexpr size_t kShortUuid = 8;

Json Read(Invocation& in, const Buf& text) {
  Error error;
  Json json;
  if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(json),
                      Take(error)) != COAM_OK) {
    in.Fail(error);
  }
  return json;
}

std::string At(const Json& json, const std::string& pointer) {
  return std::string(Text(coam_json_text(json.get(), pointer.c_str())));
}

int64_t Number(const Json& json, const std::string& pointer) {
  return coam_json_int(json.get(), pointer.c_str(), 0);
}

// "2026-11-25 02:15:57 +0000 UTC", as rkt prints times; "" for none.
std::string FullTime(int64_t ns) {
  if (ns == 0) return "";
  const time_t seconds = ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
  return text;
}

// "5 minutes ago"
std::string Ago(int64_t ns) {
  if (ns == 0) return "";
  const int64_t seconds = time(nullptr) - ns / 1'000'000'000;
  struct Step {
    int64_t size;
    const char* name;
  };
  for (const Step& step :
       {Step{7 * 86400, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}}) {
    const int64_t count = seconds / step.size;
    if (count < 1) continue;
    return std::to_string(count) + " " + step.name + (count > 1 ? "s" : "") + " ago";
  }
  return "now";
}

std::string Networks(const Json& json, const std::string& pod) {
  std::string out;
  for (size_t i = 0; i < coam_json_count(json.get(), (pod + "/networks").c_str()); ++i) {
    const std::string at = pod + "/networks/" + std::to_string(i);
    out += (out.empty() ? "" : ", ") + At(json, at + "/name") + ":ip4=" + At(json, at + "/address");
  }
  return out;
}

// The UUIDs of the arguments and of --uuid-file; empty after a failure that was told.
std::vector<std::string> Uuids(Invocation& in) {
  std::vector<std::string> out = in.args;
  if (const std::string file = in.Value("uuid-file"); !file.empty()) {
    char text[64] = {};
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    if (n <= 0) {
      Say("rkt: cannot read a UUID from " + file);
      return {};
    }
    std::string uuid(text, static_cast<size_t>(n));
    uuid.erase(uuid.find_last_not_of(" \n") + 1);
    out.push_back(std::move(uuid));
  }
  if (out.empty()) in.Usage("wants the UUID of a pod");
  return out;
}

int List(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  Error error;
  Buf text;
  if (coam_pods_list(pods.get(), Take(text), Take(error)) != COAM_OK) return in.Fail(error);
  if (const std::string format = in.Value("format"); format == "json" || format == "json-pretty") {
    PrintLine(Text(text));
    return 0;
  }
  const Json json = Read(in, text);
  if (!json) return in.personality->error_exit;
  const bool full = in.Has("full");
  std::vector<std::string> header = {"UUID", "APP", "IMAGE NAME"};
  if (full) header.emplace_back("IMAGE ID");
  for (const char* name : {"STATE", "CREATED", "STARTED", "NETWORKS"}) header.emplace_back(name);
  Table table(std::move(header), 0);
  for (size_t p = 0; p < coam_json_count(json.get(), ""); ++p) {
    const std::string pod = "/" + std::to_string(p);
    const size_t apps = coam_json_count(json.get(), (pod + "/apps").c_str());
    for (size_t a = 0; a < (apps > 0 ? apps : 1); ++a) {
      const std::string app = pod + "/apps/" + std::to_string(a);
      const auto dash = [&](const std::string& value) { return apps > 0 ? value : "-"; };
      // What belongs to the pod as a whole stands in its first line only.
      const auto first = [&](const std::string& value) { return a == 0 ? value : ""; };
      const std::string uuid = At(json, pod + "/uuid");
      std::vector<std::string> row = {first(full ? uuid : uuid.substr(0, kShortUuid)),
                                      dash(At(json, app + "/name")),
                                      dash(At(json, app + "/image_name"))};
      if (full) row.push_back(dash(At(json, app + "/image_id").substr(0, 19)));
      const int64_t created = Number(json, pod + "/created_ns");
      const int64_t started = Number(json, pod + "/started_ns");
      row.push_back(first(At(json, pod + "/state")));
      row.push_back(first(full ? FullTime(created) : Ago(created)));
      row.push_back(first(full ? FullTime(started) : Ago(started)));
      row.push_back(first(Networks(json, pod)));
      table.Row(std::move(row));
    }
  }
  Print(table.Render(!in.Has("no-legend")));
  return 0;
}

int Status(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  const std::vector<std::string> uuids = Uuids(in);
  if (uuids.empty()) return 1;
  Error error;
  if (in.Has("wait")) {
    Options options = in.MakeOptions("pod.wait");
    if (!options || coam_pods_wait_exit(pods.get(), in.context(), uuids[0].c_str(), options.get(),
                                        Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
  }
  Buf text;
  if (coam_pods_status(pods.get(), uuids[0].c_str(), Take(text), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  if (const std::string format = in.Value("format"); format == "json" || format == "json-pretty") {
    PrintLine(Text(text));
    return 0;
  }
  const Json json = Read(in, text);
  if (!json) return in.personality->error_exit;
  const std::string state = At(json, "/state");
  PrintLine("state=" + state);
  PrintLine("created=" + FullTime(Number(json, "/created_ns")));
  if (const int64_t started = Number(json, "/started_ns"); started != 0) {
    PrintLine("started=" + FullTime(started));
  }
  if (const std::string networks = Networks(json, ""); !networks.empty()) {
    PrintLine("networks=" + networks);
  }
  if (const int64_t pid = Number(json, "/pid"); pid != 0) PrintLine("pid=" + std::to_string(pid));
  PrintLine(std::string("exited=") + (state.rfind("exited", 0) == 0 ? "true" : "false"));
  for (size_t a = 0; a < coam_json_count(json.get(), "/apps"); ++a) {
    const std::string app = "/apps/" + std::to_string(a);
    if (*coam_json_type(json.get(), (app + "/exit_code").c_str()) == 0) continue;
    PrintLine("app-" + At(json, app + "/name") + "=" +
              std::to_string(Number(json, app + "/exit_code")));
  }
  return 0;
}

int Enter(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  Options options = in.MakeOptions("pod.enter");
  if (!options) return in.personality->error_exit;
  Error error;
  const std::string uuid = in.args[0];
  std::vector<std::string> words(in.args.begin() + 1, in.args.end());
  if (words.empty()) words.emplace_back("/bin/bash");
  for (const std::string& word : words) {
    if (coam_options_set(options.get(), "arg", word.c_str(), Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
  }
  const bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  if (terminal && coam_options_set(options.get(), "terminal", "true", Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  Handle<coam_pod_process, coam_pod_process_free> process;
  if (coam_pods_enter(pods.get(), in.context(), uuid.c_str(), options.get(), Take(process),
                      Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  if (const int console = coam_pod_process_take_console(process.get()); console >= 0) {
    RelayTerminal(console, coam_pod_process_fd(process.get()));
  }
  int32_t status = 0;
  Options wait = in.MakeOptions("pod.wait");
  if (!wait) return in.personality->error_exit;
  const coam_code code =
      coam_pod_process_wait(process.get(), in.context(), wait.get(), &status, Take(error));
  return code == COAM_OK ? status : in.Fail(error);
}

int Stop(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  int exit = 0;
  for (const std::string& uuid : Uuids(in)) {
    Error error;
    const int32_t force = in.Has("force") ? 1 : 0;
    if (coam_pods_stop(pods.get(), in.context(), uuid.c_str(), force, Take(error)) != COAM_OK) {
      exit = in.Fail(error);
    } else {
      PrintLine(JsonQuote(uuid));
    }
  }
  return exit;
}

int Remove(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  int exit = 0;
  for (const std::string& uuid : Uuids(in)) {
    Error error;
    if (coam_pods_remove(pods.get(), in.context(), uuid.c_str(), Take(error)) != COAM_OK) {
      exit = in.Fail(error);
    } else {
      PrintLine(JsonQuote(uuid));
    }
  }
  return exit;
}

int Gc(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  const Options options = in.MakeOptions("pod.gc");
  if (!options) return in.personality->error_exit;
  Error error;
  Buf text;
  if (coam_pods_gc(pods.get(), in.context(), options.get(), Take(text), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  const Json json = Read(in, text);
  if (!json) return in.personality->error_exit;
  for (size_t i = 0; i < coam_json_count(json.get(), ""); ++i) {
    PrintLine("Garbage collecting pod " + JsonQuote(At(json, "/" + std::to_string(i))));
  }
  return 0;
}

int CatManifest(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  const std::vector<std::string> uuids = Uuids(in);
  if (uuids.empty()) return in.personality->error_exit;
  Error error;
  Buf text;
  if (coam_pods_manifest(pods.get(), uuids[0].c_str(), Take(text), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  PrintLine(Text(text));
  return 0;
}

constexpr Flag kUuidFile[] = {{"uuid-file", 0, kValue, "FILE", "read the UUID from FILE"}};
constexpr Flag kListFlags[] = {
    {"full", 0, kSwitch, "", "whole UUIDs and image IDs, and exact times"},
    {"no-legend", 0, kSwitch, "", "leave the head line out"},
    {"format", 0, kValue, "FORMAT", "json or json-pretty"},
};
constexpr Flag kStatusFlags[] = {
    {"wait", 0, kSwitch, "", "wait until the pod has ended"},
    {"format", 0, kValue, "FORMAT", "json or json-pretty"},
    {"uuid-file", 0, kValue, "FILE", "read the UUID from FILE"},
};
constexpr Flag kStopFlags[] = {
    {"force", 0, kSwitch, "", "SIGKILL instead of SIGTERM"},
    {"uuid-file", 0, kValue, "FILE", "read the UUID from FILE"},
};

constexpr Command kCommands[] = {
    {.words = "list", .summary = "List pods", .flags = kListFlags, .run = List},
    {.words = "status",
     .usage = "UUID",
     .summary = "Show the state of a pod",
     .flags = kStatusFlags,
     .max_args = 1,
     .run = Status},
    {.words = "enter",
     .usage = "[--app=NAME] UUID [CMD [ARGS...]]",
     .summary = "Run a program in an app of a running pod",
     .family = "pod.enter",
     .min_args = 1,
     .max_args = -1,
     .pass_rest = true,
     .run = Enter},
    {.words = "stop",
     .usage = "UUID...",
     .summary = "Stop pods",
     .flags = kStopFlags,
     .max_args = -1,
     .run = Stop},
    {.words = "rm",
     .usage = "UUID...",
     .summary = "Remove pods that have ended",
     .flags = kUuidFile,
     .max_args = -1,
     .run = Remove},
    {.words = "gc",
     .summary = "Remove pods that ended some time ago",
     .family = "pod.gc",
     .run = Gc},
    {.words = "cat-manifest",
     .usage = "UUID",
     .summary = "Print the manifest of a pod",
     .flags = kUuidFile,
     .max_args = 1,
     .run = CatManifest},
};

}  // namespace

std::span<const Command> RktPodCommands() { return kCommands; }

Pods OpenPods(Invocation& in) {
  Error error;
  Pods pods;
  Options options = in.MakeOptions("pods");
  if (!options) return nullptr;
  // An administrator's own networks, then those of the distribution.
  for (const std::string& config :
       {in.Value("local-config", "/etc/rkt"), in.Value("system-config", "/usr/lib/rkt")}) {
    if (coam_options_set(options.get(), "network-dir", (config + "/net.d").c_str(), Take(error)) !=
        COAM_OK) {
      in.Fail(error);
      return nullptr;
    }
  }
  if (coam_pods_open(options.get(), Take(pods), Take(error)) != COAM_OK) {
    in.Fail(error);
    return nullptr;
  }
  return pods;
}

}  // namespace coam
