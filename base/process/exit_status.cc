#include <signal.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"
#include "base/process/process.h"

namespace coaming::base {

ExitStatus ExitStatus::FromWait(int wstatus) {
  ExitStatus s;
  if (WIFSIGNALED(wstatus)) {
    s.signal = WTERMSIG(wstatus);
    s.core_dumped = WCOREDUMP(wstatus);
  } else {
    s.code = WEXITSTATUS(wstatus);
  }
  return s;
}

std::string ExitStatus::ToString() const {
  if (signal == 0) return absl::StrCat("exit status ", code);
  return absl::StrCat("killed by signal ", signal, " (", SignalName(signal), ")",
                      core_dumped ? ", core dumped" : "");
}

std::string SignalName(int signal) {
  static constexpr const char* kNames[] = {
      "0",    "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
      "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
      "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};
  if (signal > 0 && signal < 32) return absl::StrCat("SIG", kNames[signal]);
  if (signal >= 34 && signal <= 64) {
    return signal == 34 ? "SIGRTMIN" : absl::StrCat("SIGRTMIN+", signal - 34);
  }
  return absl::StrCat("signal ", signal);
}

}  // namespace coaming::base
