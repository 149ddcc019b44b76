// actool: build, check, find and change App Container Images, with Go's flags.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;
using Json = std::unique_ptr<coam_json, Freer<coam_json_free>>;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Options BuildOptions(Invocation& in) {
  Options options = in.MakeOptions("aci.build");
  Error error;
  if (options && in.Has("no-compression") &&
      coam_options_set(options.get(), "compression", "none", Take(error)) != COAM_OK) {
    in.Fail(error);
    return nullptr;
  }
  return options;
}

bool EndsInAci(const std::string& path) { return path.size() > 4 && path.ends_with(".aci"); }

int Build(Invocation& in) {
  if (!EndsInAci(in.args[1])) {
    return in.Usage("the name of the image must end in .aci: " + in.args[1]);
  }
  const Options options = BuildOptions(in);
  if (!options) return in.personality->usage_exit;
  Error error;
  Buf json;
  if (coam_aci_build(in.context(), in.args[0].c_str(), in.args[1].c_str(), options.get(),
                     Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  return 0;
}

int Validate(Invocation& in) {
  int exit = 0;
  for (const std::string& path : in.args) {
    Error error;
    Options options = in.MakeOptions("aci.validate");
    if (!options) return in.personality->usage_exit;
    // actool refuses isolators that it does not know.
    if (coam_options_set(options.get(), "strict", "true", Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
    Buf kind;
    if (coam_aci_validate(in.context(), path.c_str(), options.get(), Take(kind), Take(error)) !=
        COAM_OK) {
      exit = in.Fail(error, path);
    } else if (in.Has("debug")) {
      Say(path + ": valid " + std::string(Text(kind)));
    }
  }
  return exit;
}

int CatManifest(Invocation& in) {
  Error error;
  Buf json;
  if (coam_aci_file_manifest(in.context(), in.args[0].c_str(), in.Has("pretty-print") ? 1 : 0,
                             Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  PrintLine(Text(json));
  return 0;
}

// Prints what discovery found; true if it found an image and keys.
void PrintDiscovery(const Json& json) {
  const auto at = [&](const std::string& pointer) {
    return std::string(Text(coam_json_text(json.get(), pointer.c_str())));
  };
  for (size_t i = 0; i < coam_json_count(json.get(), "/endpoints"); ++i) {
    const std::string endpoint = "/endpoints/" + std::to_string(i);
    PrintLine("ACI: " + at(endpoint + "/aci") + ", ASC: " + at(endpoint + "/asc"));
  }
  std::string keys;
  for (size_t i = 0; i < coam_json_count(json.get(), "/keys"); ++i) {
    keys += (i > 0 ? "," : "") + at("/keys/" + std::to_string(i));
  }
  PrintLine("PublicKeys: " + keys);
}

int Discover(Invocation& in) {
  Error error;
  std::unique_ptr<coam_aci_client, Freer<coam_aci_client_free>> client;
  const Options client_options = in.MakeOptions("aci.client");
  if (!client_options) return in.personality->usage_exit;
  if (coam_aci_client_new(client_options.get(), nullptr, Take(client), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  for (const std::string& name : in.args) {
    const Options options = in.MakeOptions("aci.discover");
    if (!options) return in.personality->usage_exit;
    for (const char* key : {"keys", "insecure-tls", "allow-http"}) {
      const bool on = std::string_view(key) == "keys" || in.Has("insecure");
      if (coam_options_set(options.get(), key, on ? "true" : "false", Take(error)) != COAM_OK) {
        return in.Fail(error);
      }
    }
    Buf text;
    if (coam_aci_discover(client.get(), in.context(), name.c_str(), options.get(), Take(text),
                          Take(error)) != COAM_OK) {
      return in.Fail(error, name);
    }
    if (in.Has("json")) {
      PrintLine(Text(text));
      continue;
    }
    Json json;
    if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(json),
                        Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
    PrintDiscovery(json);
  }
  return 0;
}

// A flag of patch-manifest, the key of family aci.edit that it means, and what separates its parts
// (0: it is one).
struct Patch {
  const char* flag;
  const char* key;
  char separator;
};
constexpr Patch kPatches[] = {
    {"name", "name", 0},
    {"exec", "exec", ' '},
    {"user", "user", 0},
    {"group", "group", 0},
    {"supplementary-groups", "supplementary-gid", ','},
    {"capability", "capability-retain", ','},
    {"revoke-capability", "capability-remove", ','},
    {"mounts", "mount", ':'},
    {"ports", "port", ':'},
    {"isolators", "isolator-words", ':'},
    {"seccomp-mode", "seccomp-mode", 0},
    {"seccomp-set", "seccomp-call", ','},
};

bool SetEdit(Invocation& in, coam_options* edit) {
  Error error;
  for (const Patch& patch : kPatches) {
    const std::string value = in.Value(patch.flag);
    if (value.empty()) continue;
    const std::vector<std::string> parts =
        patch.separator != 0 ? Split(value, patch.separator) : std::vector<std::string>{value};
    for (const std::string& part : parts) {
      if (coam_options_set(edit, patch.key, part.c_str(), Take(error)) != COAM_OK) {
        in.Fail(error);
        return false;
      }
    }
  }
  const std::string path = in.Value("manifest");
  if (path.empty()) return true;
  std::string text;
  char buffer[4096];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ssize_t n = -1;
  while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(n));
  }
  if (fd >= 0) close(fd);
  if (n < 0) {
    in.Usage("cannot read " + path);
    return false;
  }
  if (coam_options_set_bytes(edit, "manifest", text.data(), text.size(), Take(error)) == COAM_OK) {
    return true;
  }
  in.Fail(error);
  return false;
}

int PatchManifest(Invocation& in) {
  const bool replace = in.Has("replace");
  if (replace == (in.args.size() == 2)) {
    return in.Usage("give either --replace or a second file for the result");
  }
  Error error;
  Options edit;
  if (coam_options_new("aci.edit", Take(edit), Take(error)) != COAM_OK) return in.Fail(error);
  if (!SetEdit(in, edit.get())) return in.personality->usage_exit;
  const Options build = BuildOptions(in);
  if (!build) return in.personality->usage_exit;
  if (replace &&
      coam_options_set(build.get(), "overwrite", "true", Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  const std::string& output = replace ? in.args[0] : in.args[1];
  Buf json;
  if (coam_aci_patch(in.context(), in.args[0].c_str(), output.c_str(), edit.get(), build.get(),
                     Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error);
  }
  return 0;
}

int Version(Invocation&) {
  PrintLine(std::string("actool version 0.8.11 (coaming ") + coam_version_string() + ")");
  return 0;
}

constexpr Flag kGlobal[] = {{"debug", 0, kSwitch, "", "say what was found to be valid"}};
constexpr Flag kBuildFlags[] = {
    {"no-compression", 0, kSwitch, "", "do not compress"},
};
constexpr Flag kPretty[] = {{"pretty-print", 0, kSwitch, "", "indent it"}};
constexpr Flag kDiscoverFlags[] = {
    {"json", 0, kSwitch, "", "print JSON"},
    {"insecure", 0, kSwitch, "", "take any certificate, and plain http"},
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS", "connect there instead"},
};
constexpr Flag kPatchFlags[] = {
    {"manifest", 0, kValue, "FILE", "take a whole manifest"},
    {"name", 0, kValue, "NAME", "name of the image"},
    {"exec", 0, kValue, "\"CMD ARGS\"", "program, split at blanks"},
    {"user", 0, kValue, "USER", "user"},
    {"group", 0, kValue, "GROUP", "group"},
    {"supplementary-groups", 0, kValue, "GID,...", "further groups"},
    {"capability", 0, kValue, "CAP,...", "capabilities to keep"},
    {"revoke-capability", 0, kValue, "CAP,...", "capabilities to take away"},
    {"mounts", 0, kValue, "NAME,path=P[:...]", "mount points to add"},
    {"ports", 0, kValue, "NAME,protocol=P,port=N[:...]", "ports to add"},
    {"isolators", 0, kValue, "NAME,limit=L[:...]", "isolators to add"},
    {"seccomp-mode", 0, kValue, "MODE[,errno=E]", "remove or retain"},
    {"seccomp-set", 0, kValue, "CALL,...", "system calls"},
    {"replace", 0, kSwitch, "", "change the file itself"},
    {"no-compression", 0, kSwitch, "", "do not compress"},
};

constexpr Command kCommands[] = {
    {.words = "build", .usage = "DIRECTORY OUTPUT.aci", .summary = "Make an image of a layout",
     .family = "aci.build", .flags = kBuildFlags, .min_args = 2, .max_args = 2, .run = Build},
    {.words = "validate", .usage = "FILE...", .summary = "Check images, layouts and manifests",
     .family = "aci.validate", .min_args = 1, .max_args = -1, .run = Validate},
    {.words = "discover", .usage = "NAME...", .summary = "Find images and keys by name",
     .family = "aci.discover", .flags = kDiscoverFlags, .max_args = -1, .run = Discover},
    {.words = "cat-manifest", .usage = "FILE", .summary = "Print the manifest of an image",
     .flags = kPretty, .min_args = 1, .max_args = 1, .run = CatManifest},
    {.words = "patch-manifest", .usage = "INPUT [OUTPUT]",
     .summary = "Copy an image with a changed manifest", .family = "aci.build",
     .flags = kPatchFlags, .min_args = 1, .max_args = 2, .run = PatchManifest},
    {.words = "version", .summary = "Print the version", .run = Version},
};

}  // namespace

std::span<const Command> ActoolCommands() { return kCommands; }
std::span<const Flag> ActoolFlags() { return kGlobal; }

}  // namespace coam
