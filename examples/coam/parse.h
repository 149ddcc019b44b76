// The grammar of the command line: words of the command, flags as GNU and Go spell them, arguments.
#ifndef COAMING_EXAMPLES_COAM_PARSE_H_
#define COAMING_EXAMPLES_COAM_PARSE_H_

#include <span>
#include <string>
#include <vector>

#include "examples/coam/cli.h"

namespace coam {

// One flag that a command line may hold, from whichever table it came.
struct KnownFlag {
  std::string name;
  char letter = 0;
  FlagKind kind = FlagKind::kSwitch;
  std::string value_name;
  std::string help;
  std::string fallback;  // shown in help
  enum class From { kGlobal, kPersonality, kCommand, kFamily } from = From::kCommand;
};

// The flags that every command of every personality takes.
std::span<const Flag> GlobalFlags();
// All flags of `command` (may be null) under `personality`, in the order that help shows.
std::vector<KnownFlag> KnownFlags(const Personality& personality, const Command* command);

struct Parsed {
  const Command* command = nullptr;  // null: no command was named
  bool help = false;
  bool version = false;
  std::string error;  // not empty: the command line is wrong
};

// Parse reads `words` (without the program's name) into `in` (args, given).
Parsed Parse(const Personality& personality, std::span<const std::string> words, Invocation* in);

// Help of one command, or of the personality with its list of commands.
std::string CommandHelp(const Personality& personality, const Command& command);
std::string PersonalityHelp(const Personality& personality);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_PARSE_H_
