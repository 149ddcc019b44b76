// What the name runc says in runc's own forms: its log, its help, its version, wrong use.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "examples/coam/commands.h"
#include "examples/coam/parse.h"
#include "examples/coam/run_shared.h"

namespace coam {
namespace {

// An entry of the log, as text for people or JSON for engines.
std::string Entry(const Invocation& in, std::string_view level, const std::string& message) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char stamp[40];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (in.Value("log-format") == "json") {
    return "{\"level\":" + JsonQuote(level) + ",\"msg\":" + JsonQuote(message) + ",\"time\":\"" +
           stamp + "\"}";
  }
  return "time=\"" + std::string(stamp) + "\" level=" + std::string(level) +
         " msg=" + JsonQuote(message);
}

std::string Spelling(const KnownFlag& flag) {
  const std::string value = flag.kind == FlagKind::kSwitch ? "" : " value";
  std::string out = "--" + flag.name + value;
  if (flag.letter != 0) out += std::string(", -") + flag.letter + value;
  return out;
}

std::string OptionLines(const std::vector<KnownFlag>& known, bool global) {
  size_t width = 0;
  auto shown = [&](const KnownFlag& flag) {
    return flag.name == "help" || (flag.from == KnownFlag::From::kPersonality) == global;
  };
  for (const KnownFlag& flag : known) {
    if (flag.from != KnownFlag::From::kGlobal && shown(flag))
      width = std::max(width, Spelling(flag).size());
  }
  std::string out;
  for (const KnownFlag& flag : known) {
    // Of the frame's own flags runc has but one.
    if (!shown(flag) || (flag.from == KnownFlag::From::kGlobal && flag.name != "help")) continue;
    const std::string spelling = Spelling(flag);
    out += "   " + spelling + std::string(width + 2 - std::min(width, spelling.size()), ' ') +
           flag.help + "\n";
  }
  return out;
}

}  // namespace

void RuncLog(const Invocation& in, std::string_view level, const std::string& message) {
  const std::string line = Entry(in, level, message);
  const std::string log = in.Value("log");
  if (log.empty()) {
    Say(line);
    return;
  }
  // Engines read this file for the reason of a failure.
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string text = line + "\n";
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) Say("cannot write " + log);
  if (fd >= 0) close(fd);
  if (level == "error") Say(message);
}

bool RuncLogIsUsable(Invocation& in, int* code) {
  *code = 1;
  if (const std::string format = in.Value("log-format", "text");
      format != "text" && format != "json") {
    Say("unknown log-format \"" + format + "\"");
    return false;
  }
  if (const std::string log = in.Value("log"); !log.empty()) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
      Say("opening " + log + ": " + strerror(errno));
      return false;
    }
    close(fd);
  }
  *code = 0;
  return true;
}

void RuncNote(Invocation& in, std::string_view subject, std::string_view text) {
  RuncLog(in, "warning", std::string(subject) + ": " + std::string(text));
}

std::string RuncHelp(const Personality& personality, const Command* command) {
  const std::string name(personality.name);
  std::string out = "NAME:\n   " + name;
  if (command != nullptr) {
    const std::string words(command->words);
    out += " " + words + " - " + std::string(command->summary) + "\n\nUSAGE:\n   " + name + " " +
           words + " [command options] " + std::string(command->usage) + "\n\nOPTIONS:\n";
    return out + OptionLines(KnownFlags(personality, command), false) + "   \n";
  }
  out += " - Open Container Initiative runtime, made of coaming's executor\n\nUSAGE:\n   " + name +
         " [global options] command [command options] [arguments...]\n\nVERSION:\n   " +
         std::string(coam_version_string()) + "\n\nCOMMANDS:\n";
  size_t width = 0;
  for (const Command& c : personality.commands()) width = std::max(width, c.words.size());
  for (const Command& c : personality.commands()) {
    if (c.hidden) continue;
    out += "   " + std::string(c.words) + std::string(width + 2 - c.words.size(), ' ') +
           std::string(c.summary) + "\n";
  }
  return out + "\nGLOBAL OPTIONS:\n" + OptionLines(KnownFlags(personality, nullptr), true);
}

std::string RuncVersion() {
  // Callers read the lines by their first words.
  return "runc version " + std::string(coam_version_string()) +
         "\ncommit: " + coam_build_details() + "\nspec: 1.3.0";
}

int RuncUsage(Invocation& in, std::string_view message) {
  if (in.command == nullptr) {
    constexpr std::string_view kUnknown = "unknown command ";
    if (message.starts_with(kUnknown))
      RuncLog(in, "error", "No help topic for " + std::string(message.substr(kUnknown.size())));
    else RuncLog(in, "error", std::string(message));
    return 3;
  }
  Print("Incorrect Usage.\n\n" + RuncHelp(*in.personality, in.command));
  RuncLog(in, "error", std::string(message));
  return in.personality->usage_exit;
}

const Personality& RuncPersonality() {
  static const Personality kRunc = {
      .name = "runc",
      .summary = "Run containers of the OCI runtime specification",
      .commands = RuncCommands,
      .flags = RuncFlags(),
      .go_flags = true,
      .usage_exit = 1,
      .error_exit = 1,
      .help = RuncHelp,
      .version = RuncVersion,
      .usage = RuncUsage,
      .note = RuncNote,
  };
  return kRunc;
}

}  // namespace coam
