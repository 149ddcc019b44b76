#include "examples/coam/parse.h"

#include <algorithm>

namespace coam {
namespace {

constexpr Flag kGlobalFlags[] = {
    {"help", 'h', FlagKind::kSwitch, "", "show this help"},
    {"quiet", 0, FlagKind::kSwitch, "", "no progress and no notes"},
    {"format", 0, FlagKind::kValue, "FORMAT", "table or json"},
    {"progress", 0, FlagKind::kValue, "STYLE", "auto, tty, plain, json or none"},
    {"timeout", 0, FlagKind::kValue, "TIME", "give up after TIME (30s, 5m)"},
    {"limit", 0, FlagKind::kList, "NAME=VALUE", "raise or lower a limit (manifest_bytes=8Mi)"},
};

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> out;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void Append(std::span<const Flag> flags, KnownFlag::From from, std::vector<KnownFlag>* out) {
  for (const Flag& flag : flags) {
    // A command's own flag hides a wider one of the same name or letter.
    const bool named = std::any_of(out->begin(), out->end(),
                                   [&](const KnownFlag& known) { return known.name == flag.name; });
    if (named) continue;
    const bool letter_taken =
        flag.letter != 0 && std::any_of(out->begin(), out->end(), [&](const KnownFlag& known) {
          return known.letter == flag.letter;
        });
    KnownFlag known;
    known.name = flag.name;
    known.letter = letter_taken ? 0 : flag.letter;
    known.kind = flag.kind;
    known.value_name = flag.value_name;
    known.help = flag.help;
    known.from = from;
    out->push_back(std::move(known));
  }
}

const KnownFlag* FindName(const std::vector<KnownFlag>& known, std::string_view name) {
  for (const KnownFlag& flag : known) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const KnownFlag* FindLetter(const std::vector<KnownFlag>& known, char letter) {
  for (const KnownFlag& flag : known) {
    if (flag.letter == letter) return &flag;
  }
  return nullptr;
}

// The state of reading one command line.
class Reader {
 public:
  Reader(const Personality& personality, std::span<const std::string> words, Invocation* in)
      : personality_(personality), words_(words), in_(in) {}

  Parsed Read() {
    known_ = KnownFlags(personality_, nullptr);
    while (at_ < words_.size() && parsed_.error.empty()) {
      const std::string& word = words_[at_];
      if (plain_ || word.size() < 2 || word[0] != '-') {
        if (!Argument(word)) break;
      } else if (word == "--") {
        plain_ = true;
        ++at_;
        // The rest belongs to the program that the command runs.
        if (parsed_.command != nullptr && parsed_.command->pass_rest) break;
      } else {
        ++at_;
        ReadFlag(word);
      }
    }
    for (; at_ < words_.size(); ++at_) in_->args.push_back(words_[at_]);
    return parsed_;
  }

 private:
  // Returns false when the rest is to be taken as it stands.
  bool Argument(const std::string& word) {
    if (parsed_.command == nullptr) {
      FindCommand();
      return true;
    }
    in_->args.push_back(word);
    ++at_;
    return !parsed_.command->pass_rest;
  }

  // "; one of: cni add, cni del" if `word` begins commands.
  std::string FurtherWords(const std::string& word) const {
    std::string out;
    for (const Command& command : personality_.commands()) {
      if (command.hidden || !command.words.starts_with(word + " ")) continue;
      out += (out.empty() ? "; there are: " : ", ") + std::string(command.words);
    }
    return out;
  }

  void FindCommand() {
    const Command* best = nullptr;
    size_t best_words = 0;
    for (const Command& command : personality_.commands()) {
      const std::vector<std::string> want = Words(command.words);
      if (want.size() <= best_words || want.size() > words_.size() - at_) continue;
      if (std::equal(want.begin(), want.end(), words_.begin() + static_cast<long>(at_))) {
        best = &command;
        best_words = want.size();
      }
    }
    if (best == nullptr) {
      parsed_.error = "unknown command '" + words_[at_] + "'" + FurtherWords(words_[at_]);
      return;
    }
    parsed_.command = best;
    at_ += best_words;
    known_ = KnownFlags(personality_, best);
  }

  void ReadFlag(const std::string& word) {
    const bool two = word[1] == '-';
    std::string name = word.substr(two ? 2 : 1);
    std::string value;
    bool has_value = false;
    if (const size_t eq = name.find('='); eq != std::string::npos) {
      value = name.substr(eq + 1);
      name.resize(eq);
      has_value = true;
    }
    const KnownFlag* flag = nullptr;
    if (two || personality_.go_flags) flag = FindName(known_, name);
    if (flag != nullptr || two) {
      if (flag == nullptr && name.starts_with("no-")) {
        flag = FindName(known_, name.substr(3));
        if (flag != nullptr && flag->kind == FlagKind::kSwitch && !has_value) {
          in_->given[flag->name] = {"false"};
          return;
        }
        flag = nullptr;
      }
      if (flag == nullptr) {
        parsed_.error = "unknown flag '" + word.substr(0, word.find('=')) + "'";
        return;
      }
      Take(*flag, has_value ? &value : nullptr, word);
      return;
    }
    Letters(word);
  }

  // -abc, -fVALUE, -f VALUE
  void Letters(const std::string& word) {
    for (size_t i = 1; i < word.size(); ++i) {
      const KnownFlag* flag = FindLetter(known_, word[i]);
      if (flag == nullptr) {
        parsed_.error = "unknown flag '-" + word.substr(i, 1) + "' in '" + word + "'";
        return;
      }
      if (flag->kind == FlagKind::kSwitch) {
        Take(*flag, nullptr, word);
        continue;
      }
      std::string value = word.substr(i + 1);
      if (!value.empty() && value[0] == '=') value.erase(0, 1);
      Take(*flag, i + 1 < word.size() ? &value : nullptr, word);
      return;
    }
  }

  void Take(const KnownFlag& flag, const std::string* value, const std::string& word) {
    std::string text;
    if (value != nullptr) {
      text = *value;
    } else if (flag.kind == FlagKind::kSwitch) {
      text = "true";
    } else if (at_ < words_.size()) {
      text = words_[at_++];
    } else {
      parsed_.error = "flag '" + word + "' wants a value";
      return;
    }
    if (flag.name == "help") parsed_.help = true;
    if (flag.name == "version" && parsed_.command == nullptr) parsed_.version = true;
    std::vector<std::string>& values = in_->given[flag.name];
    if (flag.kind != FlagKind::kList) values.clear();
    values.push_back(std::move(text));
  }

  const Personality& personality_;
  const std::span<const std::string> words_;
  Invocation* const in_;
  size_t at_ = 0;
  bool plain_ = false;
  std::vector<KnownFlag> known_;
  Parsed parsed_;
};

std::string FlagColumn(const KnownFlag& flag) {
  std::string out = flag.letter != 0 ? std::string("-") + flag.letter + ", " : "    ";
  out += "--" + flag.name;
  if (flag.kind != FlagKind::kSwitch) out += "=" + flag.value_name;
  return out;
}

std::string FlagHelp(const std::vector<KnownFlag>& known) {
  constexpr size_t kColumn = 34;
  std::string out;
  for (const KnownFlag& flag : known) {
    std::string line = "  " + FlagColumn(flag);
    line += line.size() + 2 > kColumn ? "\n" + std::string(kColumn, ' ')
                                      : std::string(kColumn - line.size(), ' ');
    line += flag.help;
    if (!flag.fallback.empty() && flag.fallback != "false")
      line += " (default " + flag.fallback + ")";
    out += line + "\n";
  }
  return out;
}

}  // namespace

std::span<const Flag> GlobalFlags() { return kGlobalFlags; }

std::vector<KnownFlag> KnownFlags(const Personality& personality, const Command* command) {
  std::vector<KnownFlag> out;
  if (command != nullptr) {
    Append(command->flags, KnownFlag::From::kCommand, &out);
    for (size_t i = 0; !command->family.empty(); ++i) {
      const coam_option* option = coam_options_key(std::string(command->family).c_str(), i);
      if (option == nullptr) break;
      const std::string_view type = Text(coam_option_type(option));
      KnownFlag flag;
      flag.name = Text(coam_option_name(option));
      if (FindName(out, flag.name) != nullptr) continue;
      flag.kind = type == "bool"                    ? FlagKind::kSwitch
                  : type == "list" || type == "map" ? FlagKind::kList
                                                    : FlagKind::kValue;
      for (const char c : type) flag.value_name += static_cast<char>(c >= 'a' ? c - 32 : c);
      if (type == "list") flag.value_name = "VALUE";
      if (type == "map") flag.value_name = "KEY=VALUE";
      flag.help = Text(coam_option_help(option));
      flag.fallback = Text(coam_option_default(option));
      flag.from = KnownFlag::From::kFamily;
      out.push_back(std::move(flag));
    }
  }
  Append(personality.flags, KnownFlag::From::kPersonality, &out);
  Append(kGlobalFlags, KnownFlag::From::kGlobal, &out);
  return out;
}

Parsed Parse(const Personality& personality, std::span<const std::string> words, Invocation* in) {
  return Reader(personality, words, in).Read();
}

std::string CommandHelp(const Personality& personality, const Command& command) {
  std::string out = std::string(personality.name) + " " + std::string(command.words);
  if (!command.usage.empty()) out += " " + std::string(command.usage);
  out += "\n\n" + std::string(command.summary) + ".\n\nFlags:\n";
  out += FlagHelp(KnownFlags(personality, &command));
  if (!command.examples.empty()) {
    out += "\nExamples:\n";
    size_t at = 0;
    const std::string_view text = command.examples;
    while (at < text.size()) {
      const size_t end = std::min(text.find('\n', at), text.size());
      out += "  " + std::string(text.substr(at, end - at)) + "\n";
      at = end + 1;
    }
  }
  return out;
}

std::string PersonalityHelp(const Personality& personality) {
  std::string out = std::string(personality.name) + " COMMAND [FLAGS] [ARGS]\n\n" +
                    std::string(personality.summary) + ".\n\nCommands:\n";
  size_t width = 0;
  for (const Command& command : personality.commands()) {
    if (!command.hidden) width = std::max(width, command.words.size());
  }
  for (const Command& command : personality.commands()) {
    if (command.hidden) continue;
    out += "  " + std::string(command.words) + std::string(width + 2 - command.words.size(), ' ') +
           std::string(command.summary) + "\n";
  }
  out += "\nFlags:\n" + FlagHelp(KnownFlags(personality, nullptr));
  out += "\n'" + std::string(personality.name) + " COMMAND --help' tells more of a command.\n";
  return out;
}

}  // namespace coam
