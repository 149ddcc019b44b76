// coam help: the help of a command, or the whole reference as Markdown (docs/reference/commands.md) or
// as a manual page, made from the same tables that the parser uses.
#include <algorithm>
#include <string>

#include "examples/coam/commands.h"
#include "examples/coam/parse.h"

namespace coam {
namespace {

std::string Spelling(const KnownFlag& flag) {
  std::string out = flag.letter != 0 ? std::string("-") + flag.letter + ", " : "";
  out += "--" + flag.name;
  if (flag.kind != FlagKind::kSwitch) out += "=" + flag.value_name;
  return out;
}

std::string Meaning(const KnownFlag& flag) {
  std::string out = flag.help;
  if (flag.kind == FlagKind::kList) out += "; may be repeated";
  if (!flag.fallback.empty() && flag.fallback != "false") out += " (default " + flag.fallback + ")";
  return out;
}

// Calls `line` for each line of `text`.
template <typename F>
void Lines(std::string_view text, F line) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    line(text.substr(at, end - at));
    at = end + 1;
  }
}

// A table cell must not end its table.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string FlagRows(const Personality& personality, const Command* command, bool own_only) {
  std::string out;
  for (const KnownFlag& flag : KnownFlags(personality, command)) {
    const bool own =
        flag.from == KnownFlag::From::kCommand || flag.from == KnownFlag::From::kFamily;
    if (own != own_only) continue;
    if (out.empty()) out = "| flag | meaning |\n| --- | --- |\n";
    out += "| `" + Cell(Spelling(flag)) + "` | " + Cell(Meaning(flag)) + " |\n";
  }
  return out.empty() ? out : out + "\n";
}

std::string Markdown() {
  std::string out =
      "# Commands\n\nMade by `coam help --markdown` from the tables that the parser uses; do not "
      "edit.\nCalled by a link of another name (`coam install-links DIR`), or with that name as "
      "its "
      "first word, the tool\ntakes that program's words, flags and exit codes.\n\n";
  for (const Personality& personality : Personalities()) {
    out += "- [" + std::string(personality.name) + "](#" + std::string(personality.name) +
           "): " + std::string(personality.summary) + "\n";
  }
  for (const Personality& personality : Personalities()) {
    const std::string name(personality.name);
    out += "\n## " + name + "\n\n" + std::string(personality.summary) +
           ". Flags of every command:\n\n" + FlagRows(personality, nullptr, false);
    for (const Command& command : personality.commands()) {
      if (command.hidden) continue;
      out += "### " + name + " " + std::string(command.words) + "\n\n`" + name + " " +
             std::string(command.words) +
             (command.usage.empty() ? "" : " " + std::string(command.usage)) + "`\n\n" +
             std::string(command.summary) + ".\n\n" + FlagRows(personality, &command, true);
      if (command.examples.empty()) continue;
      out += "```\n";
      Lines(command.examples, [&](std::string_view line) { out += std::string(line) + "\n"; });
      out += "```\n\n";
    }
    while (out.ends_with("\n\n")) out.pop_back();
  }
  return out;
}

// Text as roff takes it: no line begins with a control character, and hyphens stay hyphens.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '-') out += '\\';
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

std::string FlagParagraphs(const Personality& personality, const Command* command, bool own_only) {
  std::string out;
  for (const KnownFlag& flag : KnownFlags(personality, command)) {
    const bool own =
        flag.from == KnownFlag::From::kCommand || flag.from == KnownFlag::From::kFamily;
    if (own == own_only) {
      out += ".TP\n.B " + Roff(Spelling(flag)) + "\n" + Roff(Meaning(flag)) + "\n";
    }
  }
  return out;
}

std::string ManualPage(const Personality& personality) {
  const std::string name(personality.name);
  std::string out = ".TH " + name + " 1 \"\" \"coaming " + coam_version_string() +
                    "\"\n.SH NAME\n" + Roff(name) + " \\- " + Roff(personality.summary) +
                    "\n.SH SYNOPSIS\n.B " + Roff(name) +
                    "\nCOMMAND [FLAGS] [ARGS]\n.SH OPTIONS\nOf every command:\n" +
                    FlagParagraphs(personality, nullptr, false) + ".SH COMMANDS\n";
  for (const Command& command : personality.commands()) {
    if (command.hidden) continue;
    out += ".SS " + Roff(std::string(command.words) + " " + std::string(command.usage)) + "\n" +
           Roff(command.summary) + ".\n" + FlagParagraphs(personality, &command, true);
    if (command.examples.empty()) continue;
    out += ".PP\n.EX\n";
    Lines(command.examples, [&](std::string_view line) { out += Roff(line) + "\n"; });
    out += ".EE\n";
  }
  if (personality.error_exit == 0) {
    out +=
        ".SH EXIT STATUS\n0 done; 1 other failure; 2 usage; 3 done with notes; 4 not found; 5 no "
        "permission or not logged in; 6 verification refused; 7 corrupt data; 8 network, worth a "
        "retry; 9 not supported here; 10 limit; 124 timed out; 125 to 127 run: the container could "
        "not be made, its program not executed, not found; 130 interrupted.\n";
  }
  return out;
}

int Help(Invocation& in) {
  if (in.Has("markdown")) {
    Print(Markdown());
    return 0;
  }
  const Personality* personality = in.personality;
  std::string words;
  for (size_t i = 0; i < in.args.size(); ++i) {
    const auto other =
        std::find_if(Personalities().begin(), Personalities().end(),
                     [&](const Personality& p) { return i == 0 && p.name == in.args[0]; });
    if (other != Personalities().end()) {
      personality = &*other;
    } else {
      words += (words.empty() ? "" : " ") + in.args[i];
    }
  }
  if (in.Has("man")) {
    Print(ManualPage(*personality));
    return 0;
  }
  if (words.empty()) {
    Print(PersonalityHelp(*personality));
    return 0;
  }
  for (const Command& command : personality->commands()) {
    if (command.words == words) {
      Print(CommandHelp(*personality, command));
      return 0;
    }
  }
  return in.Usage("there is no command '" + words + "'");
}

constexpr Flag kFlags[] = {
    {"markdown", 0, FlagKind::kSwitch, "", "the whole reference, as Markdown"},
    {"man", 0, FlagKind::kSwitch, "", "a manual page (of coam, or of the name given)"},
};
constexpr Command kCommands[] = {
    {.words = "help",
     .usage = "[NAME] [COMMAND]",
     .summary = "Show the help of a command, of coam or of a name that it answers to",
     .flags = kFlags,
     .examples = "coam help run\ncoam help --man rkt | man -l -",
     .max_args = -1,
     .run = Help},
};

}  // namespace

std::span<const Command> HelpCommands() { return kCommands; }

}  // namespace coam
