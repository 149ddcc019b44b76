// The frame of the tool `coam`: commands as tables, one way to parse, print, report and stop.
//
// A module adds a file <module>_commands.cc with a plain array of Command and one row in commands.cc.
// The tool includes <coaming/*.h> only, so whatever it can do, any embedder can do. Results go to
// stdout; progress, notes and errors to stderr.
#ifndef COAMING_EXAMPLES_COAM_CLI_H_
#define COAMING_EXAMPLES_COAM_CLI_H_

#include <coaming/coaming.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coam {

enum class FlagKind {
  kSwitch,  // --quiet
  kValue,   // --name=VALUE; the last one counts
  kList,    // --label=VALUE, again and again
};

struct Flag {
  std::string_view name;  // "insecure-options"
  char letter = 0;        // 'q', or 0
  FlagKind kind = FlagKind::kSwitch;
  std::string_view value_name;  // "NAME", for help
  std::string_view help;        // one line
};

class Invocation;

struct Command {
  std::string_view words;    // "image list": one to three words
  std::string_view usage;    // "IMAGE [IMAGE...]"
  std::string_view summary;  // one line, no stop
  std::string_view family;   // option family whose keys become flags as well, or ""
  std::span<const Flag> flags;
  std::string_view examples;  // lines, each a command
  int min_args = 0;
  int max_args = 0;        // -1: any number
  bool pass_rest = false;  // from the first argument on nothing is a flag (run IMAGE CMD...)
  int (*run)(Invocation& in) = nullptr;  // returns the exit code
  bool hidden = false;                   // not in help
};

// A name the tool answers to: its own commands, its own global flags.
struct Personality {
  std::string_view name;  // "rkt"
  std::string_view summary;
  std::span<const Command> (*commands)();
  std::span<const Flag> flags;  // before or after the command
  bool go_flags = false;        // accept -flag for --flag, as Go's flag package does
  int usage_exit = 2;           // exit code for a wrong command line
  int error_exit = 0;           // exit code for failures; 0: from reasons.tsv
  // What the program it stands in for says in forms of its own; null: as coam does.
  std::string (*help)(const Personality& personality, const Command* command) = nullptr;
  std::string (*version)() = nullptr;
  int (*usage)(Invocation& in, std::string_view message) = nullptr;  // returns the exit code
  void (*note)(Invocation& in, std::string_view subject, std::string_view text) = nullptr;
};

// Pointers to handles that free themselves.
template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Error = std::unique_ptr<coam_error, Freer<coam_error_free>>;
using Options = std::unique_ptr<coam_options, Freer<coam_options_free>>;
using Context = std::unique_ptr<coam_context, Freer<coam_context_free>>;
using Buf = std::unique_ptr<coam_buf, Freer<coam_buf_free>>;

// Take receives a handle from an out-parameter:
//   Error error; coam_x_do(x, Take(error));
template <typename T, typename D>
class TakePtr {
 public:
  explicit TakePtr(std::unique_ptr<T, D>& to) : to_(to) {}
  ~TakePtr() {
    if (raw_ != nullptr) to_.reset(raw_);
  }
  TakePtr(const TakePtr&) = delete;
  TakePtr& operator=(const TakePtr&) = delete;
  operator T**() { return &raw_; }  // NOLINT: implicit on purpose

 private:
  std::unique_ptr<T, D>& to_;
  T* raw_ = nullptr;
};
template <typename T, typename D>
TakePtr<T, D> Take(std::unique_ptr<T, D>& to) {
  return TakePtr<T, D>(to);
}

inline std::string_view Text(coam_str s) { return {s.data, s.size}; }
inline std::string_view Text(const Buf& b) {
  return {static_cast<const char*>(coam_buf_data(b.get())), coam_buf_size(b.get())};
}

// One command line, parsed.
class Invocation {
 public:
  const Personality* personality = nullptr;
  const Command* command = nullptr;
  std::vector<std::string> args;  // what is not a flag

  bool Has(std::string_view flag) const;  // was given
  std::string Value(std::string_view flag, std::string_view fallback = "") const;
  const std::vector<std::string>& Values(std::string_view flag) const;  // of a kList, in order

  // The context of this run, with the limits of --limit NAME=VALUE. Made at first use.
  coam_context* context();
  // Options of `family` with every flag of that family that was given, this run's cancel, --timeout,
  // and progress. On failure prints the error and returns null; return 2 then.
  Options MakeOptions(std::string_view family);
  // Cancel fired by Ctrl-C and SIGTERM.
  coam_cancel* cancel() const;

  bool quiet() const;
  bool json() const;  // --format=json
  // Prints "coam: SUBJECT: message" and "hint: ...", or the error's JSON with --format=json, to
  // stderr; returns the exit code of the error's reason (or the personality's own).
  int Fail(const Error& error, std::string_view subject = "") const;
  // A wrong use of the command line: message, a pointer to --help; returns the usage exit code.
  int Usage(std::string_view message);
  // The notes of the last MakeOptions, to stderr.
  void PrintNotes();

  // Internal to the frame.
  std::map<std::string, std::vector<std::string>, std::less<>> given;
  Context context_holder;
  std::unique_ptr<coam_notes, Freer<coam_notes_free>> notes;
};

// Rows of text in aligned columns, as people read them.
class Table {
 public:
  // Columns are `gap` spaces apart (Go's tabwriter prints tabs as padding to 8 with gap 0), and at
  // least `width` wide with their gap.
  explicit Table(std::vector<std::string> header, int gap = 2, size_t width = 0)
      : gap_(gap), width_(width) {
    rows_.push_back(std::move(header));
  }
  void Row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // The last column is not padded. `legend` false leaves the header out.
  std::string Render(bool legend = true) const;

 private:
  int gap_;
  size_t width_;
  std::vector<std::vector<std::string>> rows_;
};

void Print(std::string_view text);      // to stdout, as it is
void PrintLine(std::string_view text);  // with a newline
void Say(std::string_view line);        // to stderr, with a newline
std::string HumanBytes(int64_t bytes);  // "4.2 MiB"
std::string JsonQuote(std::string_view text);

// Runs argv as `personality` and returns the exit code.
int RunPersonality(const Personality& personality, std::span<char*> argv);
// The personality that argv[0] or the first word names; `coam` itself if none.
const Personality& FindPersonality(std::string_view program);
std::span<const Personality> Personalities();

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_CLI_H_
