// acbuild: an image built word by word, with acbuild 0.4's words, flags and exit codes (1 failed,
// 2 the thing to remove is not there, 3 wrong use).
#include <stdlib.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "examples/coam/aci_shared.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;

constexpr Flag kGlobalFlags[] = {
    {"work-path", 0, kValue, "DIR", "where the build's .acbuild directory is (.)"},
    {"no-history", 0, kSwitch, "", "do not note this command in the image"},
    {"modify-appc", 0, kValue, "FILE", "change this image file instead of the build"},
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS[:PORT]", "connect there instead"},
    {"local-config", 0, kValue, "DIR", "where trusted keys are (/etc/rkt)"},
    {"debug", 0, kSwitch, "", "print more"},
};

constexpr Flag kBeginFlags[] = {
    {"build-mode", 0, kValue, "appc", "appc"},
    {"insecure", 0, kSwitch, "", "fetch without signatures and over plain http"},
};
constexpr Flag kWriteFlags[] = {
    {"overwrite", 0, kSwitch, "", "replace an existing file"},
};
constexpr Flag kManifestFlags[] = {
    {"pretty-print", 0, kSwitch, "", "indented"},
};
constexpr Flag kPortFlags[] = {
    {"count", 0, kValue, "N", "size of the range of ports"},
    {"socket-activated", 0, kSwitch, "", "the app takes the listening socket"},
};
constexpr Flag kMountFlags[] = {
    {"read-only", 0, kSwitch, "", "mounted read-only"},
};
constexpr Flag kDependencyFlags[] = {
    {"image-id", 0, kValue, "ID", "the ID the image must have"},
    {"label", 0, kList, "NAME=VALUE", "a label the image must have"},
    {"size", 0, kValue, "BYTES", "the size the image must have"},
};

std::string WorkPath(const Invocation& in) { return in.Value("work-path", "."); }

// The exit code of a failure: 2 for what is not there to be removed.
int Failed(Invocation& in, const Error& error) {
  in.Fail(error);
  return Text(coam_error_reason(error.get())) == "aci.build_missing" ? 2 : 1;
}

// The command's words as a shell would take them, for the history.
std::string Words(const Invocation& in) {
  std::string out = "acbuild " + std::string(in.command->words);
  for (const auto& [name, values] : in.given) {
    bool global = name == "quiet" || name == "verbose" || name == "progress" || name == "format";
    for (const Flag& flag : kGlobalFlags) global = global || flag.name == name;
    if (global) continue;
    for (const std::string& value : values) {
      out += " --" + name + (value == "true" ? "" : "=" + value);
    }
  }
  for (const std::string& arg : in.args) {
    const bool plain =
        !arg.empty() && arg.find_first_of(" \t\n\"'\\$`*?;&|<>()") == std::string::npos;
    out += " ";
    if (plain) {
      out += arg;
      continue;
    }
    out += "'";
    for (char c : arg) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += "'";
  }
  return out;
}

// A build at hand: the one in --work-path, or one made of --modify-appc FILE and written back.
class Build {
 public:
  explicit Build(Invocation& in) : in_(in), file_(in.Value("modify-appc")) {}
  ~Build() {
    if (!temp_.empty()) {
      if (builder_) {
        Error error;
        if (coam_aci_builder_end(builder_.get(), Take(error)) != COAM_OK) in_.Fail(error);
      }
      rmdir(temp_.c_str());
    }
  }
  // The builder, or null after a failure; `code` is then the exit code.
  coam_aci_builder* Open(int* code) {
    Error error;
    if (file_.empty()) {
      if (coam_aci_builder_open(WorkPath(in_).c_str(), Take(builder_), Take(error)) != COAM_OK) {
        *code = Failed(in_, error);
      }
      return builder_.get();
    }
    char name[] = "/tmp/acbuild-XXXXXX";
    if (mkdtemp(name) == nullptr) {
      Say("acbuild: cannot make a directory in /tmp");
      *code = 1;
      return nullptr;
    }
    temp_ = name;
    Options options = NewOptions(in_, "aci.begin");
    if (!options || !SetOption(in_, options, "start", file_) ||
        coam_aci_builder_begin(in_.context(), name, options.get(), Take(builder_), Take(error)) !=
            COAM_OK) {
      *code = error ? Failed(in_, error) : 1;
    }
    return builder_.get();
  }
  // Writes the changed image back, if it is a file.
  int Done() {
    if (file_.empty()) return 0;
    Error error;
    Buf json;
    Options options = NewOptions(in_, "aci.build");
    if (!options || !SetOption(in_, options, "overwrite", "true")) return 1;
    if (coam_aci_builder_write(builder_.get(), in_.context(), file_.c_str(), options.get(),
                               Take(json), Take(error)) != COAM_OK) {
      return Failed(in_, error);
    }
    return 0;
  }

 private:
  Invocation& in_;
  const std::string file_;
  std::string temp_;
  AciBuilder builder_;
};

using Change = std::vector<std::pair<const char*, std::string>>;

int Edit(Invocation& in, const Change& change) {
  Options options = NewOptions(in, "aci.edit");
  if (!options) return 1;
  for (const auto& [key, value] : change) {
    if (!SetOption(in, options, key, value)) return 1;
  }
  if (!in.Has("no-history") && !SetOption(in, options, "history", Words(in))) return 1;
  int code = 1;
  Build build(in);
  coam_aci_builder* builder = build.Open(&code);
  if (builder == nullptr) return code;
  Error error;
  if (coam_aci_builder_edit(builder, options.get(), Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  return build.Done();
}

// Fetches a named image into `dir` and begins with it.
int BeginFetched(Invocation& in, const std::string& name, const std::string& dir,
                 const Options& options) {
  Error error;
  AciStore store;
  AciBuilder builder;
  Buf json;
  Options where = NewOptions(in, "aci.store"), fetch = NewOptions(in, "aci.fetch");
  const SigKeyStore keys = OpenTrustedKeys(in);
  const AciClient client = OpenImageClient(in, keys.get());
  if (!where || !keys || !client || !fetch || !SetOption(in, where, "dir", dir + "/cas") ||
      !SetOption(in, fetch, "dependencies", "false")) {
    return 1;
  }
  if (in.Has("insecure") && (!SetOption(in, fetch, "insecure-image", "true") ||
                             !SetOption(in, fetch, "allow-http", "true"))) {
    return 1;
  }
  if (coam_aci_store_open(where.get(), Take(store), Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  if (coam_aci_fetch(client.get(), store.get(), in.context(), name.c_str(), fetch.get(), Take(json),
                     Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  const JsonDoc doc = ParseJson(in, json);
  if (!doc) return 1;
  const std::string id = JsonText(doc, "/image/id"), file = dir + "/image.aci";
  if (coam_aci_store_export(store.get(), in.context(), id.c_str(), file.c_str(), nullptr,
                            Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  if (!SetOption(in, options, "start", file)) return 1;
  if (coam_aci_builder_begin(in.context(), WorkPath(in).c_str(), options.get(), Take(builder),
                             Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  return 0;
}

int BeginWithName(Invocation& in, const std::string& name, const Options& options) {
  char temp[] = "/tmp/acbuild-XXXXXX";
  if (mkdtemp(temp) == nullptr) {
    Say("acbuild: cannot make a directory in /tmp");
    return 1;
  }
  const int code = BeginFetched(in, name, temp, options);
  RemoveTree(temp);
  return code;
}

int Begin(Invocation& in) {
  if (const std::string mode = in.Value("build-mode", "appc"); mode != "appc") {
    Say("acbuild: build mode " + mode + " is not supported: coam image ... builds OCI images");
    return 1;
  }
  Options options = NewOptions(in, "aci.begin");
  if (!options) return 1;
  if (!in.args.empty()) {
    const std::string& start = in.args[0];
    if (start.rfind("docker://", 0) == 0) {
      Say("acbuild: convert the image first: coam copy " + start + " aci:FILE");
      return 1;
    }
    const char first = start.empty() ? ' ' : start[0];
    if (first != '.' && first != '/' && first != '~') return BeginWithName(in, start, options);
    if (!SetOption(in, options, "start", start)) return 1;
  }
  Error error;
  AciBuilder builder;
  if (coam_aci_builder_begin(in.context(), WorkPath(in).c_str(), options.get(), Take(builder),
                             Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  return 0;
}

int End(Invocation& in) {
  Error error;
  AciBuilder builder;
  if (coam_aci_builder_open(WorkPath(in).c_str(), Take(builder), Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  if (coam_aci_builder_end(builder.get(), Take(error)) != COAM_OK) return Failed(in, error);
  return 0;
}

int Write(Invocation& in) {
  Options options = in.MakeOptions("aci.build");
  if (!options) return 1;
  int code = 1;
  Build build(in);
  coam_aci_builder* builder = build.Open(&code);
  if (builder == nullptr) return code;
  Error error;
  Buf json;
  if (coam_aci_builder_write(builder, in.context(), in.args[0].c_str(), options.get(), Take(json),
                             Take(error)) != COAM_OK) {
    return Failed(in, error);
  }
  in.PrintNotes();
  return 0;
}

int CatManifest(Invocation& in) {
  int code = 1;
  Build build(in);
  coam_aci_builder* builder = build.Open(&code);
  if (builder == nullptr) return code;
  Error error;
  Buf json;
  if (coam_aci_builder_manifest(builder, in.Has("pretty-print") ? 1 : 0, Take(json), Take(error)) !=
      COAM_OK) {
    return Failed(in, error);
  }
  PrintLine(Text(json));
  return 0;
}

int ReplaceManifest(Invocation& in) {
  std::string text;
  if (!in.ReadFile(in.args[0], &text)) return 1;
  return Edit(in, {{"manifest", text}});
}

int Copy(Invocation& in, const std::vector<std::pair<std::string, std::string>>& pairs) {
  int code = 1;
  Build build(in);
  coam_aci_builder* builder = build.Open(&code);
  if (builder == nullptr) return code;
  for (const auto& [source, target] : pairs) {
    Error error;
    if (coam_aci_builder_copy(builder, in.context(), source.c_str(), target.c_str(), Take(error)) !=
        COAM_OK) {
      return Failed(in, error);
    }
  }
  if (!in.Has("no-history")) {
    Options options = NewOptions(in, "aci.edit");
    Error error;
    if (!options || !SetOption(in, options, "history", Words(in))) return 1;
    if (coam_aci_builder_edit(builder, options.get(), Take(error)) != COAM_OK) {
      return Failed(in, error);
    }
  }
  return build.Done();
}

int CopyOne(Invocation& in) { return Copy(in, {{in.args[0], in.args[1]}}); }

int CopyToDir(Invocation& in) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i + 1 < in.args.size(); ++i) {
    std::string source = in.args[i];
    while (source.size() > 1 && source.back() == '/') source.pop_back();
    pairs.emplace_back(in.args[i], in.args.back() + "/" + source.substr(source.rfind('/') + 1));
  }
  return Copy(in, pairs);
}

// All words of a list key, in order.
Change ListOf(const char* key, const std::vector<std::string>& words, size_t from = 0) {
  Change out;
  for (size_t i = from; i < words.size(); ++i) out.emplace_back(key, words[i]);
  return out;
}

int SetName(Invocation& in) { return Edit(in, {{"name", in.args[0]}}); }
int SetUser(Invocation& in) { return Edit(in, {{"user", in.args[0]}}); }
int SetGroup(Invocation& in) { return Edit(in, {{"group", in.args[0]}}); }
int SetDir(Invocation& in) { return Edit(in, {{"working-directory", in.args[0]}}); }
int SetExec(Invocation& in) { return Edit(in, ListOf("exec", in.args)); }
int SetGroups(Invocation& in) { return Edit(in, ListOf("supplementary-gid", in.args)); }
int SetHandler(Invocation& in) {
  const std::string& name = in.args[0];
  if (name != "pre-start" && name != "post-stop") {
    return in.Usage("event handler '" + name + "' is neither pre-start nor post-stop");
  }
  const size_t from = in.args.size() > 1 && in.args[1] == "--" ? 2 : 1;
  return Edit(in, ListOf(name == "pre-start" ? "pre-start" : "post-stop", in.args, from));
}
int LabelAdd(Invocation& in) { return Edit(in, {{"label", in.args[0] + "=" + in.args[1]}}); }
int LabelRemove(Invocation& in) { return Edit(in, {{"remove-label", in.args[0]}}); }
int AnnotationAdd(Invocation& in) {
  return Edit(in, {{"annotation", in.args[0] + "=" + in.args[1]}});
}
int AnnotationRemove(Invocation& in) { return Edit(in, {{"remove-annotation", in.args[0]}}); }
int EnvironmentAdd(Invocation& in) {
  return Edit(in, {{"environment", in.args[0] + "=" + in.args[1]}});
}
int EnvironmentRemove(Invocation& in) { return Edit(in, {{"remove-environment", in.args[0]}}); }
int MountAdd(Invocation& in) {
  return Edit(in, {{"mount", in.args[0] + ",path=" + in.args[1] +
                                 (in.Has("read-only") ? ",readOnly=true" : "")}});
}
int MountRemove(Invocation& in) { return Edit(in, {{"remove-mount", in.args[0]}}); }
int PortAdd(Invocation& in) {
  std::string port = in.args[0] + ",protocol=" + in.args[1] + ",port=" + in.args[2];
  if (in.Has("count")) port += ",count=" + in.Value("count");
  if (in.Has("socket-activated")) port += ",socketActivated=true";
  return Edit(in, {{"port", port}});
}
int PortRemove(Invocation& in) { return Edit(in, {{"remove-port", in.args[0]}}); }
int IsolatorAdd(Invocation& in) {
  std::string text;
  if (!in.ReadFile(in.args[1], &text)) return 1;
  return Edit(in, {{"isolator", in.args[0] + "=" + text}});
}
int IsolatorRemove(Invocation& in) { return Edit(in, {{"remove-isolator", in.args[0]}}); }
int DependencyAdd(Invocation& in) {
  std::string dependency = in.args[0];
  if (in.Has("image-id")) dependency += ",imageid=" + in.Value("image-id");
  if (in.Has("size")) dependency += ",size=" + in.Value("size");
  for (const std::string& label : in.Values("label")) dependency += "," + label;
  return Edit(in, {{"dependency", dependency}});
}
int DependencyRemove(Invocation& in) { return Edit(in, {{"remove-dependency", in.args[0]}}); }

int Version(Invocation&) {
  PrintLine("acbuild version 0.4.0 (coaming " + std::string(coam_version_string()) + ")");
  PrintLine("appc version 0.8.11");
  return 0;
}

constexpr Command Make(std::string_view words, std::string_view usage, std::string_view summary,
                       int min, int max, int (*run)(Invocation&), std::span<const Flag> flags = {},
                       bool pass_rest = false) {
  return {.words = words,
          .usage = usage,
          .summary = summary,
          .flags = flags,
          .min_args = min,
          .max_args = max,
          .pass_rest = pass_rest,
          .run = run};
}

constexpr Command kCommands[] = {
    Make("begin", "[START]", "Begin a build", 0, 1, Begin, kBeginFlags),
    Make("end", "", "End the build and remove its directory", 0, 0, End),
    Make("write", "FILE", "Write the image", 1, 1, Write, kWriteFlags),
    Make("cat-manifest", "", "Print the manifest", 0, 0, CatManifest, kManifestFlags),
    Make("replace-manifest", "FILE", "Put another manifest in place", 1, 1, ReplaceManifest),
    Make("set-name", "NAME", "Name the image", 1, 1, SetName),
    Make("set-exec", "-- CMD [ARGS]", "Set the command to run", 1, -1, SetExec, {}, true),
    Make("set-user", "USER", "Set the user to run as", 1, 1, SetUser),
    Make("set-group", "GROUP", "Set the group to run as", 1, 1, SetGroup),
    Make("set-supp-groups", "GID...", "Set further groups", 0, -1, SetGroups),
    Make("set-working-directory", "DIR", "Set the directory to run in", 1, 1, SetDir),
    Make("set-event-handler", "pre-start|post-stop -- CMD [ARGS]", "Set an event handler", 2, -1,
         SetHandler, {}, true),
    Make("label add", "NAME VALUE", "Add or change a label", 2, 2, LabelAdd),
    Make("label remove", "NAME", "Remove a label", 1, 1, LabelRemove),
    Make("annotation add", "NAME VALUE", "Add or change an annotation", 2, 2, AnnotationAdd),
    Make("annotation remove", "NAME", "Remove an annotation", 1, 1, AnnotationRemove),
    Make("environment add", "NAME VALUE", "Add or change a variable", 2, 2, EnvironmentAdd),
    Make("environment remove", "NAME", "Remove a variable", 1, 1, EnvironmentRemove),
    Make("mount add", "NAME PATH", "Add or change a mount point", 2, 2, MountAdd, kMountFlags),
    Make("mount remove", "NAME|PATH", "Remove a mount point", 1, 1, MountRemove),
    Make("port add", "NAME PROTOCOL PORT", "Add or change a port", 3, 3, PortAdd, kPortFlags),
    Make("port remove", "NAME|PORT", "Remove a port", 1, 1, PortRemove),
    Make("isolator add", "NAME FILE|-", "Add or change an isolator (its value as JSON)", 2, 2,
         IsolatorAdd),
    Make("isolator remove", "NAME", "Remove an isolator", 1, 1, IsolatorRemove),
    Make("dependency add", "NAME", "Add or change a dependency", 1, 1, DependencyAdd,
         kDependencyFlags),
    Make("dependency remove", "NAME", "Remove a dependency", 1, 1, DependencyRemove),
    Make("copy", "SRC DST", "Copy a file or directory into the image", 2, 2, CopyOne),
    Make("copy-to-dir", "SRC... DIR", "Copy files and directories below a directory", 2, -1,
         CopyToDir),
    Make("version", "", "Print versions", 0, 0, Version),
};

}  // namespace

std::span<const Command> AcbuildCommands() { return kCommands; }
std::span<const Flag> AcbuildFlags() { return kGlobalFlags; }

}  // namespace coam
