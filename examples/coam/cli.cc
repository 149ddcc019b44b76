#include "examples/coam/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "examples/coam/parse.h"
#include "examples/coam/progress.h"

namespace coam {
namespace {

// The one cancel of this process, fired by Ctrl-C. A tool may have globals; the library may not.
coam_cancel* g_cancel = nullptr;
Progress* g_progress = nullptr;

void OnSignal(int) { coam_cancel_fire(g_cancel); }

void CatchSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends the tool at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

// "30s", "5m", "500ms", "2h" in milliseconds; -1 if it is none.
int64_t Milliseconds(const std::string& text) {
  char* end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  const std::string_view unit = end;
  if (end == text.c_str() || number < 0 || number > 1'000'000'000) return -1;
  if (unit == "ms") return number;
  if (unit.empty() || unit == "s") return number * 1000;
  if (unit == "m") return number * 60'000;
  if (unit == "h") return number * 3'600'000;
  return -1;
}

std::string BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string Help(const Personality& personality, const Command* command) {
  if (personality.help != nullptr) return personality.help(personality, command);
  return command != nullptr ? CommandHelp(personality, *command) : PersonalityHelp(personality);
}

// True if `message` begins with `subject`, or says "of SUBJECT:".
bool Names(std::string_view message, std::string_view subject) {
  if (message.starts_with(subject)) return true;
  return message.find("of " + std::string(subject) + ":") != std::string_view::npos;
}

}  // namespace

bool Invocation::Has(std::string_view flag) const {
  const auto it = given.find(flag);
  return it != given.end() && it->second.back() != "false";
}

std::string Invocation::Value(std::string_view flag, std::string_view fallback) const {
  const auto it = given.find(flag);
  return it != given.end() ? it->second.back() : std::string(fallback);
}

const std::vector<std::string>& Invocation::Values(std::string_view flag) const {
  static const std::vector<std::string> none;
  const auto it = given.find(flag);
  return it != given.end() ? it->second : none;
}

bool Invocation::quiet() const { return Has("quiet"); }
bool Invocation::json() const { return Value("format") == "json"; }
coam_cancel* Invocation::cancel() const { return g_cancel; }

coam_context* Invocation::context() {
  if (context_holder) return context_holder.get();
  Error error;
  Options options;
  if (coam_options_new("context", Take(options), Take(error)) == COAM_OK) {
    for (const std::string& limit : Values("limit")) {
      const size_t eq = limit.find('=');
      const std::string key = "limits." + limit.substr(0, eq);
      const std::string value = eq == std::string::npos ? "" : limit.substr(eq + 1);
      if (coam_options_set(options.get(), key.c_str(), value.c_str(), Take(error)) != COAM_OK) {
        Fail(error, "--limit");
        return nullptr;
      }
    }
    if (coam_context_new(options.get(), Take(context_holder), Take(error)) == COAM_OK) {
      return context_holder.get();
    }
  }
  Fail(error);
  return nullptr;
}

Options Invocation::MakeOptions(std::string_view family) {
  Error error;
  Options options;
  if (coam_options_new(std::string(family).c_str(), Take(options), Take(error)) != COAM_OK) {
    Fail(error);
    return nullptr;
  }
  for (size_t i = 0; const coam_option* key = coam_options_key(std::string(family).c_str(), i);
       ++i) {
    const std::string name(Text(coam_option_name(key)));
    for (const std::string& value : Values(name)) {
      if (coam_options_set(options.get(), name.c_str(), value.c_str(), Take(error)) != COAM_OK) {
        Fail(error);
        return nullptr;
      }
    }
  }
  coam_options_set_cancel(options.get(), g_cancel);
  if (const std::string timeout = Value("timeout"); !timeout.empty()) {
    const int64_t ms = Milliseconds(timeout);
    if (ms < 0) {
      Usage("--timeout: '" + timeout + "' is not a time such as 30s or 5m");
      return nullptr;
    }
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    coam_options_set_deadline(options.get(),
                              now.tv_sec * 1'000'000'000LL + now.tv_nsec + ms * 1'000'000);
  }
  if (g_progress != nullptr && !quiet()) {
    coam_options_set_events(options.get(), Progress::Callback, g_progress, nullptr);
  }
  if (!notes && coam_notes_new(Take(notes), Take(error)) != COAM_OK) {
    Fail(error);
    return nullptr;
  }
  coam_options_set_notes(options.get(), notes.get());
  return options;
}

int Invocation::Fail(const Error& error, std::string_view subject) const {
  if (g_progress != nullptr) g_progress->Close();
  if (json()) {
    Buf text;
    if (coam_error_to_json(error.get(), Take(text), nullptr) == COAM_OK) Say(Text(text));
  } else {
    const std::string message(Text(coam_error_message(error.get())));
    std::string line = std::string(personality->name) + ": ";
    // A message that names the subject in its own place needs it no second time.
    if (!subject.empty() && !Names(message, subject)) line += std::string(subject) + ": ";
    Say(line + message);
    if (const auto hint = Text(coam_error_hint(error.get())); !hint.empty()) {
      Say("hint: " + std::string(hint));
    }
  }
  if (personality->error_exit != 0) return personality->error_exit;
  return coam_error_exit_code(error.get());
}

int Invocation::Usage(std::string_view message) {
  if (personality->usage != nullptr) return personality->usage(*this, message);
  const std::string name(personality->name);
  Say(name + ": " + std::string(message));
  Say("hint: see '" + name + (command != nullptr ? " " + std::string(command->words) : "") +
      " --help'");
  return personality->usage_exit;
}

bool Invocation::ReadFile(const std::string& path, std::string* out) const {
  const int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[65536];
  ssize_t n = fd < 0 ? -1 : 1;
  while (n > 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
    out->append(buffer, static_cast<size_t>(n));
  }
  if (n < 0) {
    const int why = errno;
    Say(std::string(personality->name) + ": read " + path + ": " + std::strerror(why));
    Say("hint: name a file that is there and may be read, or - for standard input");
  }
  if (fd >= 0) close(fd);
  return n == 0;
}

void Invocation::PrintNotes() {
  if (!notes || quiet()) return;
  for (size_t i = 0; i < coam_notes_count(notes.get()); ++i) {
    if (personality->note != nullptr) {
      personality->note(*this, Text(coam_notes_subject(notes.get(), i)),
                        Text(coam_notes_text(notes.get(), i)));
      continue;
    }
    Say("note: " + std::string(Text(coam_notes_subject(notes.get(), i))) + ": " +
        std::string(Text(coam_notes_text(notes.get(), i))));
  }
}

int RunPersonality(const Personality& personality, std::span<char*> argv) {
  Invocation in;
  in.personality = &personality;
  const std::vector<std::string> words(argv.begin(), argv.end());
  const Parsed parsed = Parse(personality, words, &in);
  in.command = parsed.command;
  if (!parsed.error.empty()) return in.Usage(parsed.error);
  if (parsed.version) {
    PrintLine(personality.version != nullptr
                  ? personality.version()
                  : std::string(personality.name) + " " + coam_version_string());
    return 0;
  }
  if (parsed.command == nullptr && !parsed.help) {
    Say(Help(personality, nullptr));
    return personality.usage_exit;
  }
  if (parsed.help) {
    Print(Help(personality, parsed.command));
    return 0;
  }
  const int count = static_cast<int>(in.args.size());
  const Command& command = *parsed.command;
  if (count < command.min_args || (command.max_args >= 0 && count > command.max_args)) {
    return in.Usage("wants " + std::string(personality.name) + " " + std::string(command.words) +
                    " " + std::string(command.usage));
  }
  Progress::Style style = Progress::Style::kNone;
  if (!Progress::Choose(in.Value("progress", "auto"), &style)) {
    return in.Usage("--progress: want auto, tty, plain, json or none");
  }
  if (const std::string format = in.Value("format", "table");
      personality.name == "coam" && format != "table" && format != "json") {
    return in.Usage("--format: want table or json");
  }
  Error error;
  if (coam_cancel_new(&g_cancel, Take(error)) != COAM_OK) return in.Fail(error);
  CatchSignals();
  Progress progress(style);
  g_progress = &progress;
  const int code = command.run(in);
  progress.Close();
  in.PrintNotes();
  g_progress = nullptr;
  return code;
}

const Personality& FindPersonality(std::string_view program) {
  const std::string name = BaseName(program);
  for (const Personality& personality : Personalities()) {
    if (personality.name == name) return personality;
  }
  return Personalities().front();
}

}  // namespace coam
