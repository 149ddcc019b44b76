// The commands of `coam` and the names it answers to. A module adds its commands here.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

int Features(Invocation& in) {
  if (in.json()) {
    std::string out =
        "{\"schema\":\"coam.features.v1\",\"version\":" + JsonQuote(coam_version_string()) +
        ",\"features\":[";
    for (size_t i = 0; const char* feature = coam_feature_at(i); ++i) {
      out += (i > 0 ? "," : "") + JsonQuote(feature);
    }
    PrintLine(out + "]}");
    return 0;
  }
  PrintLine(coam_build_details());
  return 0;
}

int Reasons(Invocation& in) {
  if (in.args.size() == 1) {
    const coam_reason* reason = coam_reason_find(in.args[0].c_str());
    if (reason == nullptr) return in.Usage("no reason '" + in.args[0] + "'");
    PrintLine(std::string(Text(coam_reason_name(reason))) + ": " +
              std::string(Text(coam_reason_meaning(reason))));
    PrintLine("code " + std::string(coam_code_name(coam_reason_code(reason))) + ", exit code " +
              std::to_string(coam_reason_exit_code(reason)));
    if (coam_reason_hint(reason).size > 0) {
      PrintLine("hint: " + std::string(Text(coam_reason_hint(reason))));
    }
    return 0;
  }
  Table table({"REASON", "CODE", "EXIT", "MEANING"});
  for (size_t i = 0; const coam_reason* reason = coam_reason_at(i); ++i) {
    table.Row({std::string(Text(coam_reason_name(reason))),
               coam_code_name(coam_reason_code(reason)),
               std::to_string(coam_reason_exit_code(reason)),
               std::string(Text(coam_reason_meaning(reason)))});
  }
  Print(table.Render());
  return 0;
}

int InstallLinks(Invocation& in) {
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return in.Usage("cannot tell where this program lies");
  self[n] = 0;
  for (const Personality& personality : Personalities().subspan(1)) {
    const std::string path = in.args[0] + "/" + std::string(personality.name);
    std::string target = self;
    // runc is installed as a program of its own, which starts faster.
    if (const std::string own = target.substr(0, target.rfind('/')) + "/coaming-runc";
        personality.name == "runc" && access(own.c_str(), X_OK) == 0)
      target = own;
    if (symlink(target.c_str(), path.c_str()) != 0 && errno != EEXIST) {
      Say("coam: link " + path + ": " + std::strerror(errno));
      return 1;
    }
    PrintLine(path);
  }
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "features",
     .summary = "Show the version and what this build can do",
     .examples = "coam features\ncoam features --format=json",
     .run = Features},
    {.words = "reasons",
     .usage = "[REASON]",
     .summary = "Explain the reasons that errors carry",
     .examples = "coam reasons\ncoam reasons digest.mismatch",
     .max_args = 1,
     .run = Reasons},
    {.words = "install-links",
     .usage = "DIR",
     .summary = "Make links in DIR for the other names this program answers to",
     .examples = "coam install-links /usr/local/bin",
     .min_args = 1,
     .max_args = 1,
     .run = InstallLinks},
};

// All commands of `coam`: those of the modules first, in reading order.
std::span<const Command> CoamCommands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> out;
    for (const std::span<const Command> part : {
             OciCommands(),
             AciCommands(),
             CniCommands(),
             SigCommands(),
             TufCommands(),
             PolicyCommands(),
             TrustCommands(),
             RunCommands(),
             std::span<const Command>(kCommands),
             HelpCommands(),
             CompleteCommands(),
         }) {
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }();
  return all;
}

constexpr Flag kVersionFlag[] = {
    {"version", 0, FlagKind::kSwitch, "", "show the version"},
};

const Personality kPersonalities[] = {
    {.name = "coam",
     .summary = "Find, fetch, verify, unpack, run and connect containers",
     .commands = CoamCommands,
     .flags = kVersionFlag},
    {.name = "rkt",
     .summary = "Fetch App Container images and run pods of them",
     .commands = RktCommands,
     .flags = RktFlags(),
     .usage_exit = 254,
     .error_exit = 254},
    {.name = "acbuild",
     .summary = "Build App Container images word by word",
     .commands = AcbuildCommands,
     .flags = AcbuildFlags(),
     .usage_exit = 3,
     .error_exit = 1},
    {.name = "actool",
     .summary = "Build, check and change App Container images",
     .commands = ActoolCommands,
     .flags = ActoolFlags(),
     .go_flags = true,
     .usage_exit = 2,
     .error_exit = 1},
    {.name = "cnitool",
     .summary = "Attach network namespaces to CNI networks",
     .commands = CnitoolCommands,
     .usage_exit = 1,
     .error_exit = 1},
    {.name = "notary",
     .summary = "Sign and verify names by a notary-server",
     .commands = NotaryCommands,
     .flags = NotaryFlags(),
     .usage_exit = 1,
     .error_exit = 1},
    RuncPersonality(),
};

}  // namespace

std::span<const Personality> Personalities() { return kPersonalities; }

}  // namespace coam
