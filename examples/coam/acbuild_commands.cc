// acbuild: an image made word by word, in a directory .acbuild that lives between the calls.
#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;
using Builder = std::unique_ptr<coam_aci_builder, Freer<coam_aci_builder_free>>;
using Change = std::pair<std::string, std::string>;  // key of family aci.edit, value

// acbuild's exit code for "the thing to remove is not there".
constexpr int kMissing = 2;

std::string WorkPath(const Invocation& in) { return in.Value("work-path", "."); }

// Tells the error and gives acbuild's exit code for it.
int FailBuild(const Invocation& in, const Error& error) {
  const int code = in.Fail(error);
  return Text(coam_error_reason(error.get())) == "aci.build_missing" ? kMissing : code;
}

Builder Open(Invocation& in, int* code) {
  Error error;
  Builder builder;
  if (coam_aci_builder_open(WorkPath(in).c_str(), Take(builder), Take(error)) != COAM_OK) {
    *code = in.Fail(error);
  }
  return builder;
}

// What the history annotation says: the command line without its global flags.
std::string Words(const Invocation& in) {
  std::string out(in.command->words);
  for (const std::string& arg : in.args) out += " \"" + arg + "\"";
  return out;
}

int Edit(Invocation& in, const std::vector<Change>& changes) {
  int code = 1;
  const Builder builder = Open(in, &code);
  if (!builder) return code;
  Error error;
  Options options;
  if (coam_options_new("aci.edit", Take(options), Take(error)) != COAM_OK) return in.Fail(error);
  std::vector<Change> all = changes;
  if (!in.Has("no-history")) all.emplace_back("history", Words(in));
  for (const auto& [key, value] : all) {
    if (coam_options_set(options.get(), key.c_str(), value.c_str(), Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
  }
  if (coam_aci_builder_edit(builder.get(), options.get(), Take(error)) != COAM_OK) {
    return FailBuild(in, error);
  }
  return 0;
}

std::vector<Change> Each(std::string_view key, std::span<const std::string> values) {
  std::vector<Change> out;
  for (const std::string& value : values) out.emplace_back(key, value);
  return out;
}

int Begin(Invocation& in) {
  Error error;
  Options options;
  if (coam_options_new("aci.begin", Take(options), Take(error)) != COAM_OK) return in.Fail(error);
  if (!in.args.empty()) {
    std::string start = in.args[0];
    if (start[0] != '.' && start[0] != '/' && start[0] != '~') {
      return in.Usage("START must be a path beginning with '.', '/' or '~'; fetch an image by name "
                      "with 'rkt fetch' and 'rkt image export' first");
    }
    if (coam_options_set(options.get(), "start", start.c_str(), Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
  }
  Builder builder;
  if (coam_aci_builder_begin(in.context(), WorkPath(in).c_str(), options.get(), Take(builder),
                             Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  return 0;
}

int End(Invocation& in) {
  int code = 1;
  const Builder builder = Open(in, &code);
  if (!builder) return code;
  Error error;
  return coam_aci_builder_end(builder.get(), Take(error)) == COAM_OK ? 0 : in.Fail(error);
}

int Write(Invocation& in) {
  int code = 1;
  const Builder builder = Open(in, &code);
  if (!builder) return code;
  Error error;
  Buf json;
  const Options options = in.MakeOptions("aci.build");
  if (!options) return in.personality->usage_exit;
  if (coam_aci_builder_write(builder.get(), in.context(), in.args[0].c_str(), options.get(),
                             Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  return 0;
}

int CatManifest(Invocation& in) {
  int code = 1;
  const Builder builder = Open(in, &code);
  if (!builder) return code;
  Error error;
  Buf json;
  if (coam_aci_builder_manifest(builder.get(), in.Has("pretty-print") ? 1 : 0, Take(json),
                                Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  PrintLine(Text(json));
  return 0;
}

// The whole of a file, or of standard input for "-".
bool ReadWhole(const std::string& path, std::string* out) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[4096];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) out->append(buffer, static_cast<size_t>(n));
  if (fd != STDIN_FILENO) close(fd);
  return n == 0;
}

int ReplaceManifest(Invocation& in) {
  std::string text;
  if (!ReadWhole(in.args[0], &text)) return in.Usage("cannot read " + in.args[0]);
  return Edit(in, {{"manifest", text}});
}

int SetName(Invocation& in) { return Edit(in, {{"name", in.args[0]}}); }
int SetUser(Invocation& in) { return Edit(in, {{"user", in.args[0]}}); }
int SetGroup(Invocation& in) { return Edit(in, {{"group", in.args[0]}}); }
int SetSuppGroups(Invocation& in) { return Edit(in, Each("supplementary-gid", in.args)); }
int SetExec(Invocation& in) { return Edit(in, Each("exec", in.args)); }
int SetWorkingDirectory(Invocation& in) { return Edit(in, {{"working-directory", in.args[0]}}); }

int SetEventHandler(Invocation& in) {
  const std::string kind = in.args[0];
  if (kind != "pre-start" && kind != "post-stop") {
    return in.Usage("the handler is pre-start or post-stop, not '" + kind + "'");
  }
  std::span<const std::string> words(in.args);
  words = words.subspan(1);
  if (!words.empty() && words[0] == "--") words = words.subspan(1);
  return Edit(in, Each(kind, words));
}

// label, annotation and environment: NAME VALUE.
int AddPair(Invocation& in) {
  const std::string key(in.command->words.substr(0, in.command->words.find(' ')));
  return Edit(in, {{key, in.args[0] + "=" + in.args[1]}});
}

int RemoveNamed(Invocation& in) {
  const std::string key(in.command->words.substr(0, in.command->words.find(' ')));
  return Edit(in, {{"remove-" + key, in.args[0]}});
}

int AddDependency(Invocation& in) {
  std::string text = in.args[0];
  if (const std::string id = in.Value("image-id"); !id.empty()) text += ",imageid=" + id;
  if (const std::string size = in.Value("size"); !size.empty()) text += ",size=" + size;
  for (const std::string& label : in.Values("label")) text += "," + label;
  return Edit(in, {{"dependency", text}});
}

int AddMount(Invocation& in) {
  return Edit(in, {{"mount", in.args[0] + ",path=" + in.args[1] +
                                 (in.Has("read-only") ? ",readOnly=true" : "")}});
}

int AddPort(Invocation& in) {
  const std::string& port = in.args[2];
  const bool digits = std::all_of(port.begin(), port.end(),
                                  [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || port.size() > 5 || std::stoi(port) > 65535) {
    return in.Usage("'" + port + "' is not a port (0 to 65535)");
  }
  std::string text = in.args[0] + ",protocol=" + in.args[1] + ",port=" + port;
  if (const std::string count = in.Value("count"); !count.empty()) text += ",count=" + count;
  if (in.Has("socket-activated")) text += ",socketActivated=true";
  return Edit(in, {{"port", text}});
}

int AddIsolator(Invocation& in) {
  std::string value;
  if (!ReadWhole(in.args[1], &value)) return in.Usage("cannot read " + in.args[1]);
  return Edit(in, {{"isolator", in.args[0] + "=" + value}});
}

int CopyAll(Invocation& in, std::span<const std::pair<std::string, std::string>> pairs) {
  int code = 1;
  const Builder builder = Open(in, &code);
  if (!builder) return code;
  for (const auto& [source, target] : pairs) {
    Error error;
    if (coam_aci_builder_copy(builder.get(), in.context(), source.c_str(), target.c_str(),
                              Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
  }
  return 0;
}

int Copy(Invocation& in) {
  const std::pair<std::string, std::string> pair(in.args[0], in.args[1]);
  return CopyAll(in, {&pair, 1});
}

int CopyToDir(Invocation& in) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i + 1 < in.args.size(); ++i) {
    std::string source = in.args[i];
    while (source.size() > 1 && source.back() == '/') source.pop_back();
    pairs.emplace_back(source, in.args.back() + "/" + source.substr(source.rfind('/') + 1));
  }
  return CopyAll(in, pairs);
}

constexpr Flag kGlobal[] = {
    {"work-path", 0, kValue, "DIR", "directory of the build (default .)"},
    {"no-history", 0, kSwitch, "", "keep no annotation of what was done"},
    {"debug", 0, kSwitch, "", "accepted"},
};
constexpr Flag kBeginFlags[] = {
    {"build-mode", 0, kValue, "appc", "kind of image; only appc is built word by word"},
};
constexpr Flag kDependencyFlags[] = {
    {"image-id", 0, kValue, "ID", "ID that the image must have"},
    {"label", 0, kList, "NAME=VALUE", "label that the image must have"},
    {"size", 0, kValue, "BYTES", "size that the image must have"},
};
constexpr Flag kMountFlags[] = {{"read-only", 0, kSwitch, "", "mount it read-only"}};
constexpr Flag kPortFlags[] = {
    {"count", 0, kValue, "N", "so many ports in a row"},
    {"socket-activated", 0, kSwitch, "", "the app takes a listening socket"},
};
constexpr Flag kPretty[] = {{"pretty-print", 0, kSwitch, "", "indent it"}};

constexpr Command kCommands[] = {
    {.words = "begin", .usage = "[START]", .summary = "Start a build", .flags = kBeginFlags,
     .max_args = 1, .run = Begin},
    {.words = "end", .summary = "Remove the build", .run = End},
    {.words = "write", .usage = "FILE", .summary = "Write the image to a file",
     .family = "aci.build", .min_args = 1, .max_args = 1, .run = Write},
    {.words = "cat-manifest", .summary = "Print the manifest", .flags = kPretty,
     .run = CatManifest},
    {.words = "replace-manifest", .usage = "FILE", .summary = "Take a whole manifest",
     .min_args = 1, .max_args = 1, .run = ReplaceManifest},
    {.words = "set-name", .usage = "NAME", .summary = "Name the image", .min_args = 1,
     .max_args = 1, .run = SetName},
    {.words = "set-exec", .usage = "-- CMD [ARGS...]", .summary = "Set the program to run",
     .min_args = 1, .max_args = -1, .pass_rest = true, .run = SetExec},
    {.words = "set-user", .usage = "USER", .summary = "Set the user to run as", .min_args = 1,
     .max_args = 1, .run = SetUser},
    {.words = "set-group", .usage = "GROUP", .summary = "Set the group to run as", .min_args = 1,
     .max_args = 1, .run = SetGroup},
    {.words = "set-supp-groups", .usage = "GID...", .summary = "Set further groups",
     .min_args = 1, .max_args = -1, .run = SetSuppGroups},
    {.words = "set-working-directory", .usage = "DIR", .summary = "Set the directory to run in",
     .min_args = 1, .max_args = 1, .run = SetWorkingDirectory},
    {.words = "set-event-handler", .usage = "pre-start|post-stop -- CMD [ARGS...]",
     .summary = "Set an event handler", .min_args = 2, .max_args = -1, .pass_rest = true,
     .run = SetEventHandler},
    {.words = "annotation add", .usage = "NAME VALUE", .summary = "Set an annotation",
     .min_args = 2, .max_args = 2, .run = AddPair},
    {.words = "annotation remove", .usage = "NAME", .summary = "Remove an annotation",
     .min_args = 1, .max_args = 1, .run = RemoveNamed},
    {.words = "label add", .usage = "NAME VALUE", .summary = "Set a label", .min_args = 2,
     .max_args = 2, .run = AddPair},
    {.words = "label remove", .usage = "NAME", .summary = "Remove a label", .min_args = 1,
     .max_args = 1, .run = RemoveNamed},
    {.words = "environment add", .usage = "NAME VALUE", .summary = "Set a variable",
     .min_args = 2, .max_args = 2, .run = AddPair},
    {.words = "environment remove", .usage = "NAME", .summary = "Remove a variable",
     .min_args = 1, .max_args = 1, .run = RemoveNamed},
    {.words = "dependency add", .usage = "NAME", .summary = "Add or change a dependency",
     .flags = kDependencyFlags, .min_args = 1, .max_args = 1, .run = AddDependency},
    {.words = "dependency remove", .usage = "NAME", .summary = "Remove a dependency",
     .min_args = 1, .max_args = 1, .run = RemoveNamed},
    {.words = "mount add", .usage = "NAME PATH", .summary = "Add or change a mount point",
     .flags = kMountFlags, .min_args = 2, .max_args = 2, .run = AddMount},
    {.words = "mount remove", .usage = "NAME|PATH", .summary = "Remove a mount point",
     .min_args = 1, .max_args = 1, .run = RemoveNamed},
    {.words = "port add", .usage = "NAME PROTOCOL PORT", .summary = "Add or change a port",
     .flags = kPortFlags, .min_args = 3, .max_args = 3, .run = AddPort},
    {.words = "port remove", .usage = "NAME|PORT", .summary = "Remove a port", .min_args = 1,
     .max_args = 1, .run = RemoveNamed},
    {.words = "isolator add", .usage = "NAME FILE|-", .summary = "Add or change an isolator",
     .min_args = 2, .max_args = 2, .run = AddIsolator},
    {.words = "isolator remove", .usage = "NAME", .summary = "Remove an isolator", .min_args = 1,
     .max_args = 1, .run = RemoveNamed},
    {.words = "copy", .usage = "SRC DST", .summary = "Copy a file or directory into the image",
     .min_args = 2, .max_args = 2, .run = Copy},
    {.words = "copy-to-dir", .usage = "SRC... DIR", .summary = "Copy files below a directory",
     .min_args = 2, .max_args = -1, .run = CopyToDir},
};

}  // namespace

std::span<const Command> AcbuildCommands() { return kCommands; }
std::span<const Flag> AcbuildFlags() { return kGlobal; }

}  // namespace coam
