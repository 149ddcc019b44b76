// The frame of the tool `coam`: commands as tables, one way to parse, print, report and stop.
//
// A module adds a file <module>_commands.cc with a plain array of Command and one row in commands.cc.
// The tool includes <coaming/*.h> only, so whatever it can do, any embedder can do. Results go to
// stdout; progress, notes and errors to stderr.
#ifndef COAMING_EXAMPLES_COAM_CLI_H_
#define COAMING_EXAMPLES_COAM_CLI_H_

#include <coaming/coaming.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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

// The one owner of a handle: frees it with kFree.
template <typename T, auto kFree>
class Handle {
 public:
  Handle() = default;
  Handle(std::nullptr_t) {}  // NOLINT: `return nullptr` is a function's way to say none
  explicit Handle(T* object) : object_(object) {}
  Handle(Handle&& other) noexcept : object_(other.release()) {}
  Handle& operator=(Handle&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Handle() { reset(); }

  T* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  T* release() { return std::exchange(object_, nullptr); }
  void reset(T* object = nullptr) {
    if (T* old = std::exchange(object_, object)) kFree(old);
  }

 private:
  template <typename U, auto kFreeU>
  friend U** Take(Handle<U, kFreeU>& to);
  T* object_ = nullptr;
};

// Take receives a handle from an out-parameter: Error error; coam_x_do(x, Take(error)). It frees what
// `to` held, so `to` is no input of the same call; what the call gives is there when the call returns.
template <typename U, auto kFreeU>
U** Take(Handle<U, kFreeU>& to) {
  to.reset();
  return &to.object_;
}

using Error = Handle<coam_error, coam_error_free>;
using Options = Handle<coam_options, coam_options_free>;
using Context = Handle<coam_context, coam_context_free>;
using Buf = Handle<coam_buf, coam_buf_free>;

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
  // Reads a file that the command line names, "-" being standard input; false after it has told why not.
  bool ReadFile(const std::string& path, std::string* out) const;
  // The notes of the last MakeOptions, to stderr.
  void PrintNotes();

  // Internal to the frame.
  std::map<std::string, std::vector<std::string>, std::less<>> given;
  Context context_holder;
  Handle<coam_notes, coam_notes_free> notes;
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
