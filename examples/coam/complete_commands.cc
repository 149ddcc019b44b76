// coam complete: what may come next on a command line, from the tables that the parser uses; and the
// few lines that make a shell ask. The shells' own file names come where this says nothing.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "examples/coam/commands.h"
#include "examples/coam/parse.h"

namespace coam {
namespace {

// A shell asks with the line up to the cursor; a line of answer is a word, a tab and what it means.
// Bash breaks words at = and : as well, so what it has already is taken off each answer.
constexpr std::string_view kBash = R"(# Completion of coam and the names it answers to, for bash.
_coam() {
  local line=${COMP_LINE:0:COMP_POINT} part=${COMP_WORDS[COMP_CWORD]} word whole strip
  [[ $part == [=:] ]] && part=
  whole=${line##*[[:blank:]]}
  strip=${whole%"$part"}
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    [[ -n $word && $word == "$whole"* ]] && COMPREPLY+=("${word#"$strip"}")
  done < <(coam complete "$line" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -o default -F _coam coam rkt acbuild actool cnitool
)";

constexpr std::string_view kZsh = R"(#compdef coam rkt acbuild actool cnitool
# Completion of coam and the names it answers to, for zsh.
local -a names shown
local word meaning
while IFS=$'\t' read -r word meaning; do
  names+=("$word")
  shown+=("$word  -- $meaning")
done < <(coam complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)
if (( ${#names} == 0 )); then
  _files
elif [[ ${#names} -eq 1 && $names[1] == *= ]]; then
  compadd -S '' -- $names
else
  compadd -l -d shown -- $names
fi
)";

constexpr std::string_view kFish = R"(# Completion of coam and the names it answers to, for fish.
for name in coam rkt acbuild actool cnitool
    complete -c $name -a '(coam complete (commandline -cp) 2>/dev/null)'
end
)";

struct Script {
  std::string_view shell, text;
};
constexpr Script kScripts[] = {{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}};

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c != ' ' && c != '\t') {
      out.back() += c;
    } else if (!out.back().empty()) {
      out.emplace_back();
    }
  }
  return out;
}

void Answer(std::string_view word, std::string_view meaning, std::string_view begun) {
  if (word.starts_with(begun)) PrintLine(std::string(word) + "\t" + std::string(meaning));
}

// The values of a flag whose help is a list of them: "auto, tty, plain, json or none".
std::vector<std::string> ValuesOf(const KnownFlag& flag) {
  std::vector<std::string> out;
  std::string help = flag.help.substr(0, flag.help.find_first_of(";("));
  while (!help.empty() && help.back() == ' ') help.pop_back();
  if (const size_t last = help.rfind(" or "); last != std::string::npos) {
    help.replace(last, 4, ", ");
  } else {
    return out;
  }
  for (size_t at = 0; at < help.size();) {
    const size_t end = std::min(help.find(", ", at), help.size());
    out.push_back(help.substr(at, end - at));
    if (out.back().find(' ') != std::string::npos) return {};
    at = end + 2;
  }
  return out;
}

const KnownFlag* Find(const std::vector<KnownFlag>& known, std::string_view word) {
  for (const KnownFlag& flag : known) {
    if (word == "--" + flag.name) return &flag;
    if (flag.letter != 0 && word == std::string("-") + flag.letter) return &flag;
  }
  return nullptr;
}

// The command whose words `plain` begins with; null if they are too few or too many.
const Command* FindCommand(const Personality& personality, const std::vector<std::string>& plain) {
  const Command* best = nullptr;
  size_t most = 0;
  for (const Command& command : personality.commands()) {
    const std::vector<std::string> words = Split(command.words);
    if (words.size() <= most || words.size() > plain.size()) continue;
    if (!std::equal(words.begin(), words.end(), plain.begin())) continue;
    best = &command;
    most = words.size();
  }
  return best;
}

void NextWords(const Personality& personality, const std::vector<std::string>& plain,
               std::string_view begun) {
  std::string last;
  for (const Command& command : personality.commands()) {
    const std::vector<std::string> words = Split(command.words);
    if (command.hidden || words.size() <= plain.size()) continue;
    if (!std::equal(plain.begin(), plain.end(), words.begin())) continue;
    const std::string& next = words[plain.size()];
    if (next == last) continue;
    last = next;
    const bool whole = words.size() == plain.size() + 1;
    Answer(next, whole ? command.summary : std::string_view("..."), begun);
  }
}

// What exists already, where a command wants one of it: the listing that a person would ask for.
struct Listing {
  std::string_view personality, wanted, command;
  std::vector<std::pair<std::string, std::string>> flags;
};

void Existing(const Personality& personality, const Command& command,
              const std::vector<std::string>& words) {
  static const Listing listings[] = {
      {"coam", "IMAGE", "images", {}},
      {"coam", "ID", "list", {{"quiet", "true"}}},
      {"rkt", "IMAGE", "image list", {{"fields", "name"}, {"no-legend", "true"}}},
      {"rkt", "UUID", "list", {{"full", "true"}, {"no-legend", "true"}}},
  };
  for (const Listing& listing : listings) {
    if (listing.personality != personality.name) continue;
    if (command.usage.find(listing.wanted) == std::string_view::npos) continue;
    for (const Command& list : personality.commands()) {
      if (list.words != listing.command) continue;
      // Flags that say where to look count here as well.
      Invocation asked;
      Parse(personality, words, &asked);
      asked.personality = &personality;
      asked.command = &list;
      asked.args.clear();
      for (const auto& [flag, value] : listing.flags) asked.given[flag] = {value};
      list.run(asked);
    }
  }
}

int Complete(Invocation& in) {
  for (const Script& script : kScripts) {
    if (in.Value("script") != script.shell) continue;
    Print(script.text);
    return 0;
  }
  if (in.Has("script")) return in.Usage("--script: want bash, zsh or fish");
  if (in.args.empty()) return in.Usage("wants the command line so far");
  std::vector<std::string> words = Split(in.args[0]);
  const Personality* personality = &FindPersonality(words.front());
  words.erase(words.begin());
  if (words.empty()) return 0;
  const std::string begun = words.back();
  words.pop_back();
  std::vector<std::string> plain;
  const Command* command = nullptr;
  std::ptrdiff_t start = 0;          // where the words of the personality begin
  const KnownFlag* wants = nullptr;  // the flag before, which takes the next word as its value
  std::vector<KnownFlag> known = KnownFlags(*personality, nullptr);
  for (const std::string& word : words) {
    if (wants != nullptr) {
      wants = nullptr;
      continue;
    }
    if (word.starts_with("-")) {
      const KnownFlag* flag = Find(known, word);
      if (flag != nullptr && flag->kind != FlagKind::kSwitch) wants = flag;
      continue;
    }
    const Personality& named = FindPersonality(word);
    if (plain.empty() && named.name == word) {
      personality = &named;
      start = &word - words.data() + 1;
    } else {
      plain.push_back(word);
    }
    command = FindCommand(*personality, plain);
    known = KnownFlags(*personality, command);
  }
  if (wants != nullptr) {
    for (const std::string& value : ValuesOf(*wants)) Answer(value, "", begun);
  } else if (begun.starts_with("-")) {
    const size_t equals = begun.find('=');
    for (const KnownFlag& flag : known) {
      const std::string name = "--" + flag.name;
      if (equals == std::string::npos) {
        Answer(name + (flag.kind == FlagKind::kSwitch ? "" : "="), flag.help, begun);
      } else if (begun.substr(0, equals) == name) {
        for (const std::string& value : ValuesOf(flag)) Answer(name + "=" + value, "", begun);
      }
    }
  } else if (command == nullptr) {
    NextWords(*personality, plain, begun);
  } else {
    Existing(*personality, *command, {words.begin() + start, words.end()});
  }
  return 0;
}

constexpr Flag kFlags[] = {
    {"script", 0, FlagKind::kValue, "SHELL", "bash, zsh or fish; what that shell is to read"},
};
constexpr Command kCommands[] = {
    {.words = "complete",
     .usage = "[LINE]",
     .summary = "Tell what may come next on a command line, for shells",
     .flags = kFlags,
     .examples = "coam complete 'coam cni '\ncoam complete --script=bash",
     .max_args = 1,
     .run = Complete},
};

}  // namespace

std::span<const Command> CompleteCommands() { return kCommands; }

}  // namespace coam
