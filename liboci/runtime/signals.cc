// Names of signals.
#include <signal.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "liboci/runtime/executor.h"

namespace coaming::run {

int SignalNumber(std::string_view text) {
  constexpr std::pair<std::string_view, int> kNames[] = {
      {"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},
      {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},   {"IOT", SIGABRT},  {"BUS", SIGBUS},
      {"FPE", SIGFPE},   {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
      {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
      {"STKFLT", 16},    {"CHLD", SIGCHLD},   {"CLD", SIGCHLD},  {"CONT", SIGCONT},
      {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
      {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
      {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"POLL", SIGIO},
      {"PWR", SIGPWR},   {"SYS", SIGSYS}};
  int number = -1;
  if (absl::SimpleAtoi(text, &number)) return number >= 0 && number <= 64 ? number : -1;
  std::string name = absl::AsciiStrToUpper(text);
  std::string_view rest = absl::StripPrefix(name, "SIG");
  for (const auto& [known, value] : kNames)
    if (known == rest) return value;
  if (absl::ConsumePrefix(&rest, "RTMIN")) {
    number = rest.empty() ? 0 : -1;
    if (absl::ConsumePrefix(&rest, "+") && !absl::SimpleAtoi(rest, &number)) number = -1;
    return number >= 0 && number <= 30 ? 34 + number : -1;
  }
  if (absl::ConsumePrefix(&rest, "RTMAX")) {
    number = rest.empty() ? 0 : -1;
    if (absl::ConsumePrefix(&rest, "-") && !absl::SimpleAtoi(rest, &number)) number = -1;
    return number >= 0 && number <= 30 ? 64 - number : -1;
  }
  return -1;
}

}  // namespace coaming::run
