// Names of signals, and the JSON of counters.
#include <signal.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/json/json.h"
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

std::string StatsToJson(std::string_view id, const Stats& s) {
  using base::json::Value;
  auto number = [](Value* o, std::string_view key, int64_t value) {
    if (value >= 0) o->Set(key, value);
  };
  Value usage = Value::MakeObject(), throttling = Value::MakeObject(), cpu = Value::MakeObject();
  number(&usage, "total", s.cpu_usage_ns);
  number(&usage, "kernel", s.cpu_system_ns);
  number(&usage, "user", s.cpu_user_ns);
  number(&throttling, "periods", s.cpu_periods);
  number(&throttling, "throttledPeriods", s.cpu_throttled_periods);
  number(&throttling, "throttledTime", s.cpu_throttled_ns);
  cpu.Set("usage", std::move(usage));
  cpu.Set("throttling", std::move(throttling));
  Value memory = Value::MakeObject(), memory_usage = Value::MakeObject(), raw = Value::MakeObject();
  number(&memory, "cache", s.memory_cache);
  number(&memory_usage, "limit", s.memory_limit);
  number(&memory_usage, "usage", s.memory_usage);
  number(&memory_usage, "max", s.memory_max_usage);
  number(&memory_usage, "failcnt", s.memory_failcnt);
  memory.Set("usage", std::move(memory_usage));
  number(&raw, "rss", s.memory_rss);
  number(&raw, "swap", s.memory_swap);
  number(&raw, "oom_kill", s.oom_kills);
  memory.Set("raw", std::move(raw));
  Value pids = Value::MakeObject();
  number(&pids, "current", s.pids_current);
  number(&pids, "limit", s.pids_limit);
  Value io = Value::MakeObject();
  auto add_io = [&io](std::string_view op, int64_t value) {
    if (value < 0) return;
    Value entry = Value::MakeObject();
    entry.Set("op", op);
    entry.Set("value", value);
    if (io.Find("ioServiceBytesRecursive") == nullptr)
      io.Set("ioServiceBytesRecursive", Value::MakeArray());
    io.FindMutable("ioServiceBytesRecursive")->Push(std::move(entry));
  };
  add_io("Read", s.io_read_bytes);
  add_io("Write", s.io_write_bytes);
  Value data = Value::MakeObject();
  data.Set("cpu", std::move(cpu));
  data.Set("memory", std::move(memory));
  data.Set("pids", std::move(pids));
  data.Set("blkio", std::move(io));
  Value v = Value::MakeObject();
  v.Set("type", "stats");
  v.Set("id", id);
  v.Set("data", std::move(data));
  return base::json::Write(v);
}

}  // namespace coaming::run
