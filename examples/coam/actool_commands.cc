// actool: the App Container tool's words, flags and exit codes (1 failed, 2 wrong use).
#include <string>
#include <vector>

#include "examples/coam/aci_shared.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;

constexpr Flag kGlobalFlags[] = {
    {"debug", 0, kSwitch, "", "print more"},
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS[:PORT]", "connect there instead"},
};
constexpr Flag kBuildFlags[] = {
    {"overwrite", 0, kSwitch, "", "replace an existing file"},
    {"no-compression", 0, kSwitch, "", "do not pack the image with gzip"},
    {"owner-root", 0, kSwitch, "", "give all files to root"},
};
constexpr Flag kValidateFlags[] = {
    {"type", 0, kValue, "TYPE", "appimage, layout or manifest"},
};
constexpr Flag kDiscoverFlags[] = {
    {"json", 0, kSwitch, "", "print the result as JSON"},
    {"port", 0, kValue, "N", "port of the pages"},
    {"insecure", 0, kSwitch, "", "take any certificate, and plain http"},
};
constexpr Flag kManifestFlags[] = {
    {"pretty-print", 0, kSwitch, "", "indented"},
};
constexpr Flag kPatchFlags[] = {
    {"manifest", 0, kValue, "FILE", "replace the whole manifest"},
    {"name", 0, kValue, "NAME", "replace the name"},
    {"exec", 0, kValue, "WORDS", "replace the command, split at blanks"},
    {"user", 0, kValue, "USER", "replace the user"},
    {"group", 0, kValue, "GROUP", "replace the group"},
    {"supplementary-groups", 0, kValue, "GID,...", "replace the further groups"},
    {"capability", 0, kValue, "CAP,...", "capabilities to keep"},
    {"revoke-capability", 0, kValue, "CAP,...", "capabilities to take away"},
    {"mounts", 0, kValue, "NAME,path=PATH[,readOnly=B][:...]", "add mount points"},
    {"ports", 0, kValue, "NAME,protocol=P,port=N[,...][:...]", "add ports"},
    {"isolators", 0, kValue, "NAME,request=Q,limit=Q[:...]", "add isolators"},
    {"seccomp-mode", 0, kValue, "remove|retain[,errno=E]", "seccomp isolator"},
    {"seccomp-set", 0, kValue, "CALL,...", "system calls of the seccomp isolator"},
    {"replace", 0, kSwitch, "", "change the input file"},
    {"overwrite", 0, kSwitch, "", "replace an existing output file"},
    {"no-compression", 0, kSwitch, "", "do not pack the image with gzip"},
};

bool IsAci(const std::string& path) {
  return path.size() > 4 && path.substr(path.size() - 4) == ".aci";
}

int Build(Invocation& in) {
  if (!IsAci(in.args[1])) {
    Say("build: Extension must be .aci (given " + in.args[1] + ")");
    return 1;
  }
  Options options = in.MakeOptions("aci.build");
  if (!options) return 1;
  if (in.Has("no-compression") && !SetOption(in, options, "compression", "none")) return 1;
  Error error;
  Buf json;
  if (coam_aci_build(in.context(), in.args[0].c_str(), in.args[1].c_str(), options.get(),
                     Take(json), Take(error)) != COAM_OK) {
    if (coam_error_code(error.get()) == COAM_ALREADY_EXISTS) {
      Say("build: Target file exists (try --overwrite)");
      return 1;
    }
    return in.Fail(error, "build");
  }
  in.PrintNotes();
  return 0;
}

int Validate(Invocation& in) {
  if (in.args.empty()) {
    Say("must pass one or more files");
    return 1;
  }
  int code = 0;
  for (const std::string& path : in.args) {
    Options options = in.MakeOptions("aci.validate");
    if (!options || !SetOption(in, options, "strict", "true")) return 1;
    Error error;
    Buf kind;
    const coam_code done =
        coam_aci_validate(in.context(), path.c_str(), options.get(), Take(kind), Take(error));
    if (done == COAM_OK) {
      if (in.Has("debug")) Say(path + ": valid " + std::string(Text(kind)));
      continue;
    }
    in.Fail(error, path);
    code = 1;
    // What cannot be opened ends the run at once, as it always did.
    if (done == COAM_NOT_FOUND || done == COAM_PERMISSION_DENIED) {
      if (coam_error_errno(error.get()) != 0) return 1;
    }
  }
  return code;
}

// One name: the failed steps, then what was found.
int DiscoverOne(Invocation& in, coam_aci_client* client, const std::string& name) {
  Options options = in.MakeOptions("aci.discover");
  if (!options) return 1;
  bool ok = SetOption(in, options, "keys", "true");
  if (in.Has("insecure")) {
    ok = ok && SetOption(in, options, "insecure-tls", "true") &&
         SetOption(in, options, "allow-http", "true");
  }
  if (!ok) return 1;
  Error error;
  Buf json;
  if (coam_aci_discover(client, in.context(), name.c_str(), options.get(), Take(json),
                        Take(error)) != COAM_OK) {
    return in.Fail(error, "error fetching endpoints for " + name);
  }
  const JsonDoc doc = ParseJson(in, json);
  if (!doc) return 1;
  for (size_t i = 0; i < coam_json_count(doc.get(), "/steps"); ++i) {
    const std::string at = "/steps/" + std::to_string(i);
    if (JsonText(doc, at + "/reason").empty() &&
        coam_json_int(doc.get(), (at + "/status").c_str(), 0) == 200) {
      continue;
    }
    PrintLine(
        std::string("discover ") +
        (coam_json_int(doc.get(), (at + "/keys").c_str(), 0) != 0 ? "public keys" : "endpoints") +
        " walk: prefix: " + JsonText(doc, at + "/prefix") +
        " error: " + JsonText(doc, at + "/outcome"));
  }
  std::vector<std::string> keys;
  for (size_t i = 0; i < coam_json_count(doc.get(), "/keys"); ++i) {
    keys.push_back(JsonText(doc, "/keys/" + std::to_string(i)));
  }
  const size_t endpoints = coam_json_count(doc.get(), "/endpoints");
  if (in.Has("json")) {
    std::string out = "{\n    \"ACIEndpoints\": [";
    for (size_t i = 0; i < endpoints; ++i) {
      const std::string at = "/endpoints/" + std::to_string(i);
      out += std::string(i > 0 ? "," : "") +
             "\n        {\n            \"ACI\": " + JsonQuote(JsonText(doc, at + "/aci")) +
             ",\n            \"ASC\": " + JsonQuote(JsonText(doc, at + "/asc")) + "\n        }";
    }
    out += "\n    ],\n    \"PublicKeys\": [";
    for (size_t i = 0; i < keys.size(); ++i) {
      out += std::string(i > 0 ? "," : "") + "\n        " + JsonQuote(keys[i]);
    }
    PrintLine(out + "\n    ]\n}");
    return 0;
  }
  for (size_t i = 0; i < endpoints; ++i) {
    const std::string at = "/endpoints/" + std::to_string(i);
    PrintLine("ACI: " + JsonText(doc, at + "/aci") + ", ASC: " + JsonText(doc, at + "/asc"));
  }
  if (!keys.empty()) {
    std::string line = "PublicKeys: ";
    for (size_t i = 0; i < keys.size(); ++i) line += (i > 0 ? "," : "") + keys[i];
    PrintLine(line);
  }
  return 0;
}

int Discover(Invocation& in) {
  if (in.args.empty()) {
    Say("discover: at least one name required");
    return 1;
  }
  const AciClient client = OpenImageClient(in, nullptr);
  if (!client) return 1;
  for (const std::string& name : in.args) {
    if (const int code = DiscoverOne(in, client.get(), name); code != 0) return code;
  }
  return 0;
}

int CatManifest(Invocation& in) {
  Error error;
  Buf json;
  if (coam_aci_file_manifest(in.context(), in.args[0].c_str(), in.Has("pretty-print") ? 1 : 0,
                             Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error, "cat-manifest: Unable to read " + in.args[0]);
  }
  PrintLine(Text(json));
  return 0;
}

// Sets `key` to each part of a flag's value.
bool SetParts(Invocation& in, const Options& edit, const char* flag, const char* key,
              char separator) {
  for (const std::string& part : SplitAt(in.Value(flag), separator)) {
    if (!SetOption(in, edit, key, part)) return false;
  }
  return true;
}

int PatchManifest(Invocation& in) {
  const bool replace = in.Has("replace");
  if (replace && in.Has("overwrite")) {
    Say("patch-manifest: Cannot use both --replace and --overwrite");
    return 1;
  }
  if (in.args.size() != (replace ? 1u : 2u)) {
    Say(replace ? "patch-manifest: Must provide one file"
                : "patch-manifest: Must provide input and output files (or use --replace)");
    return 1;
  }
  const std::string output = replace ? in.args[0] : in.args[1];
  if (!replace && !IsAci(output)) {
    Say("patch-manifest: Extension must be .aci (given " + output + ")");
    return 1;
  }
  Options edit = NewOptions(in, "aci.edit");
  if (!edit) return 1;
  bool ok = true;
  if (in.Has("manifest")) {
    for (const char* other : {"name", "exec", "user", "group", "capability", "mounts"}) {
      if (!in.Has(other)) continue;
      Say("patch-manifest: --manifest is incompatible with other manifest editing options");
      return 1;
    }
    std::string text;
    if (!in.ReadFile(in.Value("manifest"), &text)) return 1;
    ok = SetOption(in, edit, "manifest", text);
  }
  for (const char* key : {"name", "user", "group", "seccomp-mode"}) {
    if (ok && in.Has(key)) ok = SetOption(in, edit, key, in.Value(key));
  }
  ok = ok && SetParts(in, edit, "exec", "exec", ' ') &&
       SetParts(in, edit, "supplementary-groups", "supplementary-gid", ',') &&
       SetParts(in, edit, "capability", "capability-retain", ',') &&
       SetParts(in, edit, "revoke-capability", "capability-remove", ',') &&
       SetParts(in, edit, "mounts", "mount", ':') && SetParts(in, edit, "ports", "port", ':') &&
       SetParts(in, edit, "isolators", "isolator-words", ':') &&
       SetParts(in, edit, "seccomp-set", "seccomp-call", ',');
  Options options = NewOptions(in, "aci.build");
  ok = ok && options &&
       SetOption(in, options, "overwrite", replace || in.Has("overwrite") ? "true" : "false");
  ok = ok && (!in.Has("no-compression") || SetOption(in, options, "compression", "none"));
  if (!ok) return 1;
  Error error;
  Buf json;
  if (coam_aci_patch(in.context(), in.args[0].c_str(), output.c_str(), edit.get(), options.get(),
                     Take(json), Take(error)) != COAM_OK) {
    if (coam_error_code(error.get()) == COAM_ALREADY_EXISTS) {
      Say("patch-manifest: Output file exists (try --overwrite)");
      return 1;
    }
    return in.Fail(error, "patch-manifest: Unable to read " + in.args[0]);
  }
  return 0;
}

int Version(Invocation&) {
  PrintLine("actool version 0.8.11+git (coaming " + std::string(coam_version_string()) + ")");
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "build",
     .usage = "DIRECTORY OUTPUT.aci",
     .summary = "Build an image from an image layout",
     .flags = kBuildFlags,
     .examples = "actool build layout hello.aci\nactool build --overwrite layout hello.aci",
     .min_args = 2,
     .max_args = 2,
     .run = Build},
    {.words = "validate",
     .usage = "FILE...",
     .summary = "Check images, layouts and manifests",
     .flags = kValidateFlags,
     .examples = "actool validate hello.aci\nactool validate --type=manifest manifest.json",
     .max_args = -1,
     .run = Validate},
    {.words = "discover",
     .usage = "NAME...",
     .summary = "Find where images and keys are",
     .flags = kDiscoverFlags,
     .examples = "actool discover example.com/hello\nactool discover --json example.com/hello:1",
     .max_args = -1,
     .run = Discover},
    {.words = "cat-manifest",
     .usage = "FILE",
     .summary = "Print an image's manifest",
     .flags = kManifestFlags,
     .examples = "actool cat-manifest hello.aci\nactool cat-manifest --pretty-print hello.aci",
     .min_args = 1,
     .max_args = 1,
     .run = CatManifest},
    {.words = "patch-manifest",
     .usage = "INPUT.aci [OUTPUT.aci]",
     .summary = "Copy an image with a changed manifest",
     .flags = kPatchFlags,
     .examples = "actool patch-manifest --name=example.com/b a.aci b.aci\n"
                 "actool patch-manifest --replace --exec=/bin/sh a.aci",
     .max_args = 2,
     .run = PatchManifest},
    {.words = "version",
     .summary = "Print the version",
     .examples = "actool version\nactool --debug version",
     .run = Version},
};

}  // namespace

std::span<const Command> ActoolCommands() { return kCommands; }
std::span<const Flag> ActoolFlags() { return kGlobalFlags; }

}  // namespace coam
