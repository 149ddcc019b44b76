// rkt run, prepare and run-prepared: images with flags before and arguments after each of them.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "examples/coam/commands.h"
#include "examples/coam/rkt_pod.h"
#include "examples/coam/terminal.h"

extern char** environ;

namespace coam {
namespace {

using enum FlagKind;

// Flags of the pod as a whole.
constexpr Flag kPodFlags[] = {
    {"volume", 0, kList, "NAME,kind=host,source=PATH", "a volume of the pod"},
    {"net", 0, kList, "NET[,NET...]", "networks: default, none, host, all or names"},
    {"port", 0, kList, "NAME:[HOSTIP:]HOSTPORT", "forward a port of the host to an app"},
    {"dns", 0, kList, "IP", "name server; or 'none'"},
    {"dns-search", 0, kList, "DOMAIN", "search domain"},
    {"dns-opt", 0, kList, "OPTION", "resolver option"},
    {"dns-domain", 0, kValue, "DOMAIN", "domain of the resolver"},
    {"hostname", 0, kValue, "NAME", "host name of the pod"},
    {"hosts-entry", 0, kList, "IP=NAME", "entry of /etc/hosts"},
    {"ipc", 0, kValue, "private|parent", "System V IPC of its own or the host's"},
    {"inherit-env", 0, kSwitch, "", "give the apps this program's environment"},
    {"set-env", 0, kList, "NAME=VALUE", "a variable for all apps"},
    {"set-env-file", 0, kList, "FILE", "variables for all apps, one a line"},
    {"interactive", 0, kSwitch, "", "run the only app on this terminal"},
    {"pod-manifest", 0, kValue, "FILE", "a pod manifest instead of images and flags"},
    {"pull-policy", 0, kValue, "new|never|update", "when to fetch images (default new)"},
    {"no-overlay", 0, kSwitch, "", "accepted: roots are always rendered into the pod"},
    {"uuid-file-save", 0, kValue, "FILE", "write the pod's UUID there"},
    {"stdio", 0, kValue, "inherit|null|log", "where apps write; log keeps POD/logs/APP"},
    {"mds-register", 0, kSwitch, "", "accepted; see metadata-service"},
};

// Flags of the image before them, and --mount, which before the first image holds for all.
constexpr Flag kAppFlags[] = {
    {"exec", 0, kValue, "PATH", "program instead of the image's"},
    {"name", 0, kValue, "NAME", "name of the app"},
    {"user", 0, kValue, "USER", "user to run as"},
    {"group", 0, kValue, "GROUP", "group to run as"},
    {"supplementary-gids", 0, kList, "GID", "further groups"},
    {"working-dir", 0, kValue, "DIR", "directory to run in"},
    {"environment", 0, kList, "NAME=VALUE", "a variable of this app"},
    {"readonly-rootfs", 0, kSwitch, "", "read-only root file system"},
    {"mount", 0, kList, "volume=V,target=PATH", "mount a volume"},
    {"memory", 0, kValue, "BYTES", "memory limit (64Mi)"},
    {"cpu", 0, kValue, "CPUS", "CPU limit (500m)"},
    {"cpu-shares", 0, kValue, "N", "CPU weight"},
    {"oom-score-adj", 0, kValue, "N", "OOM score adjustment"},
    {"caps-retain", 0, kList, "CAP[,CAP...]", "capabilities to keep"},
    {"caps-remove", 0, kList, "CAP[,CAP...]", "capabilities to take away"},
    {"seccomp", 0, kValue, "mode=MODE,...", "system call filter"},
    {"annotation", 0, kList, "NAME=VALUE", "annotation of the app"},
    {"user-annotation", 0, kList, "NAME=VALUE", "user annotation of the app"},
    {"user-label", 0, kList, "NAME=VALUE", "user label of the app"},
    {"signature", 0, kValue, "FILE", "signature of the image"},
};

struct Image {
  std::string name;
  std::vector<std::pair<std::string, std::string>> options;  // of family pod.app, and signature
  std::vector<std::string> args;
};

// The whole of "IMAGE --flag -- ARGS --- IMAGE ...".
struct Request {
  std::vector<std::string> for_all_mounts;
  std::vector<Image> images;
};

const Flag* FindFlag(std::span<const Flag> flags, std::string_view name) {
  const auto it =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == name; });
  return it != flags.end() ? &*it : nullptr;
}

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    if (end > at) out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Reads the words from the first image on; what belongs to the pod goes into in.given.
std::string ReadImages(Invocation& in, Request* request) {
  request->for_all_mounts = in.Values("mount");
  for (const Flag& flag : kAppFlags) {
    if (flag.name != "mount" && in.given.count(flag.name) > 0) {
      return "flag '--" + std::string(flag.name) + "' stands before any image";
    }
  }
  for (size_t i = 0; i < in.args.size(); ++i) {
    const std::string& word = in.args[i];
    if (word == "---") continue;
    if (word == "--") {
      if (request->images.empty()) return "arguments ('--') before any image";
      Image& image = request->images.back();
      if (!image.args.empty()) return "arguments ('--') twice for image " + image.name;
      while (++i < in.args.size() && in.args[i] != "---") image.args.push_back(in.args[i]);
      continue;
    }
    if (word.size() < 3 || word.substr(0, 2) != "--") {
      request->images.push_back({word, {}, {}});
      continue;
    }
    const size_t eq = word.find('=');
    const std::string name = word.substr(2, eq == std::string::npos ? eq : eq - 2);
    const Flag* app = FindFlag(kAppFlags, name);
    const Flag* flag = app != nullptr ? app : FindFlag(in.command->flags, name);
    if (flag == nullptr) return "unknown flag '--" + name + "'";
    std::string value = "true";
    if (eq != std::string::npos) {
      value = word.substr(eq + 1);
    } else if (flag->kind != kSwitch) {
      if (++i >= in.args.size()) return "flag '--" + name + "' wants a value";
      value = in.args[i];
    }
    if (app == nullptr) {
      std::vector<std::string>& values = in.given[name];
      if (flag->kind != kList) values.clear();
      values.push_back(value);
    } else if (request->images.empty()) {
      return "flag '--" + name + "' stands before any image";
    } else if (name == "caps-retain" || name == "caps-remove" || name == "supplementary-gids") {
      for (std::string& part : SplitCommas(value)) {
        request->images.back().options.emplace_back(name, std::move(part));
      }
    } else {
      request->images.back().options.emplace_back(name, value);
    }
  }
  return "";
}

bool Set(Invocation& in, coam_options* options, const char* key, const std::string& value) {
  Error error;
  if (coam_options_set(options, key, value.c_str(), Take(error)) == COAM_OK) return true;
  in.Fail(error);
  return false;
}

// Variables of --set-env-file: NAME=VALUE lines; comments with # or ;.
bool SetEnvironmentFile(Invocation& in, const std::string& path, coam_options* options) {
  std::string text;
  if (!in.ReadFile(path, &text)) return false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (!Set(in, options, "environment", line)) return false;
  }
  return true;
}

using PodRequest = Handle<coam_pod_request, coam_pod_request_free>;

PodRequest MakeRequest(Invocation& in, const Request& request) {
  Error error;
  Options options = in.MakeOptions("pod.request");
  if (!options) return nullptr;
  for (char** e = environ; in.Has("inherit-env") && *e != nullptr; ++e) {
    if (!Set(in, options.get(), "inherit-environment", *e)) return nullptr;
  }
  for (const std::string& file : in.Values("set-env-file")) {
    if (!SetEnvironmentFile(in, file, options.get())) return nullptr;
  }
  for (const std::string& variable : in.Values("set-env")) {
    if (!Set(in, options.get(), "environment", variable)) return nullptr;
  }
  if (const std::string path = in.Value("pod-manifest"); !path.empty()) {
    std::string text;
    if (!in.ReadFile(path, &text)) return nullptr;
    if (!Set(in, options.get(), "pod-manifest", text)) return nullptr;
  }
  PodRequest made;
  if (coam_pod_request_new(options.get(), Take(made), Take(error)) != COAM_OK) {
    in.Fail(error);
    return nullptr;
  }
  for (const Image& image : request.images) {
    Options app;
    if (coam_options_new("pod.app", Take(app), Take(error)) != COAM_OK) {
      in.Fail(error);
      return nullptr;
    }
    std::string signature;
    for (const auto& [key, value] : image.options) {
      if (key == "signature") {
        signature = value;
      } else if (!Set(in, app.get(), key.c_str(), value)) {
        return nullptr;
      }
    }
    for (const std::string& mount : request.for_all_mounts) {
      if (!Set(in, app.get(), "mount", mount)) return nullptr;
    }
    for (const std::string& arg : image.args) {
      if (!Set(in, app.get(), "arg", arg)) return nullptr;
    }
    std::string id;
    if (EnsureImage(in, image.name, signature, &id) != 0) return nullptr;
    if (coam_pod_request_add_app(made.get(), id.c_str(), app.get(), Take(error)) != COAM_OK) {
      in.Fail(error, image.name);
      return nullptr;
    }
  }
  return made;
}

bool SaveUuid(Invocation& in, const std::string& uuid) {
  const std::string path = in.Value("uuid-file-save");
  if (path.empty()) return true;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written =
      fd >= 0 && write(fd, uuid.data(), uuid.size()) == static_cast<ssize_t>(uuid.size());
  if (fd >= 0) close(fd);
  if (!written) Say("rkt: cannot write " + path);
  return written;
}

// Prepares the pod of the command line; an empty string after a failure that was told.
std::string PreparePod(Invocation& in, coam_pods* pods) {
  Request request;
  if (const std::string wrong = ReadImages(in, &request); !wrong.empty()) {
    in.Usage(wrong);
    return "";
  }
  if (request.images.empty() && !in.Has("pod-manifest")) {
    in.Usage("must provide at least one image or specify the pod manifest");
    return "";
  }
  if (in.Has("interactive") && request.images.size() > 1) {
    in.Usage("interactive option can only be used with one image");
    return "";
  }
  const PodRequest made = MakeRequest(in, request);
  if (!made) return "";
  const Options options = in.MakeOptions("pod.prepare");
  if (!options) return "";
  Error error;
  Buf uuid;
  if (coam_pods_prepare(pods, in.context(), made.get(), options.get(), Take(uuid), Take(error)) !=
      COAM_OK) {
    in.Fail(error);
    return "";
  }
  const std::string text(Text(uuid));
  return SaveUuid(in, text) ? text : "";
}

bool SetRunOptions(Invocation& in, coam_options* options) {
  for (const std::string& word : in.Values("net")) {
    for (const std::string& net : SplitCommas(word)) {
      if (!Set(in, options, "net", net)) return false;
    }
  }
  if (in.Has("interactive") && isatty(STDIN_FILENO) == 1) {
    if (!Set(in, options, "terminal", "true")) return false;
  }
  const std::string insecure = in.Value("insecure-options");
  for (const std::string& word : SplitCommas(insecure)) {
    const bool all = word == "all" || word == "all-run";
    if ((all || word == "capabilities") && !Set(in, options, "insecure-capabilities", "true")) {
      return false;
    }
    if ((all || word == "paths") && !Set(in, options, "insecure-paths", "true")) return false;
    if ((all || word == "seccomp") && !Set(in, options, "insecure-seccomp", "true")) return false;
  }
  return true;
}

int RunPod(Invocation& in, coam_pods* pods, const std::string& uuid) {
  // --net takes several networks in one word, so its values are set by SetRunOptions.
  auto net = in.given.extract("net");
  Options options = in.MakeOptions("pod.run");
  if (!net.empty()) in.given.insert(std::move(net));
  if (!options || !SetRunOptions(in, options.get())) return in.personality->error_exit;
  Error error;
  Handle<coam_pod, coam_pod_free> pod;
  if (coam_pods_run(pods, in.context(), uuid.c_str(), options.get(), Take(pod), Take(error)) !=
      COAM_OK) {
    return in.Fail(error);
  }
  if (const int console = coam_pod_take_console(pod.get()); console >= 0) {
    RelayTerminal(console, coam_pod_fd(pod.get()));
  }
  int32_t status = 0;
  Options wait = in.MakeOptions("pod.wait");
  if (!wait) return in.personality->error_exit;
  coam_code code = coam_pod_wait(pod.get(), in.context(), wait.get(), &status, Take(error));
  if (code == COAM_CANCELLED || code == COAM_DEADLINE_EXCEEDED) {
    Say("rkt: stopping pod " + uuid);
    const int stopped = coam_error_exit_code(error.get());  // 130 or 124, whatever the apps answer
    code = coam_pod_shutdown(pod.get(), 10'000, &status, Take(error));
    if (code == COAM_OK) return stopped;
  }
  return code == COAM_OK ? status : in.Fail(error);
}

int Prepare(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  const std::string uuid = PreparePod(in, pods.get());
  if (uuid.empty()) return in.personality->error_exit;
  PrintLine(uuid);
  return 0;
}

int Run(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  const std::string uuid = PreparePod(in, pods.get());
  return uuid.empty() ? in.personality->error_exit : RunPod(in, pods.get(), uuid);
}

int RunPrepared(Invocation& in) {
  const Pods pods = OpenPods(in);
  if (!pods) return in.personality->error_exit;
  return RunPod(in, pods.get(), in.args[0]);
}

// Both lists, for the commands that take images.
std::span<const Flag> AllFlags() {
  static const std::vector<Flag> all = [] {
    std::vector<Flag> out(std::begin(kPodFlags), std::end(kPodFlags));
    out.insert(out.end(), std::begin(kAppFlags), std::end(kAppFlags));
    return out;
  }();
  return all;
}

}  // namespace

std::span<const Command> RktRunCommands() {
  static const Command commands[] = {
      {.words = "run",
       .usage = "[FLAGS] IMAGE [FLAGS] [-- ARGS ---] [IMAGE ...]",
       .summary = "Run images in a new pod",
       .flags = AllFlags(),
       .examples = "rkt run example.com/hello\n"
                   "rkt run --net=default --port=http:8080 example.com/web --memory=64Mi -- -v",
       .max_args = -1,
       .pass_rest = true,
       .run = Run},
      {.words = "prepare",
       .usage = "[FLAGS] IMAGE [FLAGS] [-- ARGS ---] [IMAGE ...]",
       .summary = "Prepare images to be run in a pod later",
       .flags = AllFlags(),
       .examples = "rkt prepare example.com/hello",
       .max_args = -1,
       .pass_rest = true,
       .run = Prepare},
      {.words = "run-prepared",
       .usage = "UUID",
       .summary = "Run a prepared pod",
       .flags = AllFlags(),
       .examples = "rkt run-prepared 0b0e5a3c",
       .min_args = 1,
       .max_args = 1,
       .run = RunPrepared},
  };
  return commands;
}

}  // namespace coam
