// coam run, create, exec: starting programs and lending them this process's terminal and signals.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "examples/coam/commands.h"
#include "examples/coam/run_shared.h"
#include "examples/coam/terminal.h"

namespace coam {
namespace {

// The process that this tool's own signals are handed to. A tool may have globals.
volatile sig_atomic_t g_target = 0;
volatile sig_atomic_t g_early = 0;  // came before there was a process
coam_cancel* g_stop = nullptr;

void Forward(int signal) {
  if (g_target > 0) {
    kill(static_cast<pid_t>(g_target), signal);
    return;
  }
  if (signal == SIGALRM) {
    coam_cancel_fire(g_stop);
    return;
  }
  g_early = signal;
  if (signal != SIGINT && signal != SIGTERM) return;
  // The program may run already while the call that started it is still to return: then the signal
  // is its own. A creation that takes longer is given up.
  const itimerval soon = {{0, 0}, {0, 100'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
}

// From here on signals end the creation, or reach the process once it is there.
void CatchSignals(coam_cancel* stop) {
  g_stop = stop;
  struct sigaction action {};
  action.sa_handler = Forward;
  action.sa_flags = SA_RESTART;
  for (int s : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGALRM})
    sigaction(s, &action, nullptr);
}

void ForwardSignals(int64_t pid) {
  const itimerval never = {};
  setitimer(ITIMER_REAL, &never, nullptr);
  g_target = static_cast<sig_atomic_t>(pid);
  if (g_early != 0) kill(static_cast<pid_t>(pid), static_cast<int>(g_early));
}

std::string ReadFile(const std::string& path, bool* ok) {
  std::string text;
  const int fd = path == "-" ? dup(0) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  *ok = fd >= 0;
  char buffer[65536];
  for (ssize_t n; *ok && (n = read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0) *ok = false;
    else text.append(buffer, static_cast<size_t>(n));
  }
  if (fd >= 0) close(fd);
  return text;
}

bool Set(const Options& o, const char* key, const std::string& value, Error* error) {
  return coam_options_set(o.get(), key, value.c_str(), Take(*error)) == COAM_OK;
}

// --preserve-fds N and the descriptors of socket activation (LISTEN_FDS), which come before them.
bool PassFds(Invocation& in, const Options& o, Error* error) {
  int n = atoi(in.Value("preserve-fds", "0").c_str());
  const char* listen = getenv("LISTEN_FDS");
  int sockets = listen != nullptr ? atoi(listen) : 0;
  const char* listen_pid = getenv("LISTEN_PID");
  if (listen_pid != nullptr && atoi(listen_pid) != getpid()) sockets = 0;
  if (n < 0 || sockets < 0) return true;
  std::string names = getenv("LISTEN_FDNAMES") != nullptr ? getenv("LISTEN_FDNAMES") : "";
  for (int i = 3; i < 3 + n + sockets; ++i) {
    const std::string text = std::to_string(i);
    if (i >= 3 + sockets) {
      if (!Set(o, "pass-fd", text + ":" + text, error)) return false;
      continue;
    }
    const std::string name = names.substr(0, names.find(':'));
    names.erase(0, std::min(name.size() + 1, names.size()));
    if (!Set(o, "listen-fd", name.empty() ? text : text + ":" + name, error)) return false;
  }
  return true;
}

// The options that run and create share. False: an error was reported and *code is set.
Options StartOptions(Invocation& in, int* code) {
  Options o = in.MakeOptions("run.create");
  Error error;
  if (!o) {
    *code = 2;
    return o;
  }
  // No progress: a hook of the host between the steps would cost a hand-shake.
  coam_options_set_events(o.get(), nullptr, nullptr, nullptr);
  bool ok = in.Has("bundle") || Set(o, "bundle", ".", &error);
  if (const std::string file = in.Value("config"); ok && !file.empty()) {
    bool read = false;
    const std::string text = ReadFile(file, &read);
    if (!read) {
      *code = FailText(in, "reading " + file + ": " + strerror(errno));
      return nullptr;
    }
    ok = coam_options_set_bytes(o.get(), "spec", text.data(), text.size(), Take(error)) == COAM_OK;
  }
  ok = ok && PassFds(in, o, &error);
  // As a service of a manager that waits for readiness.
  if (const char* notify = getenv("NOTIFY_SOCKET"); ok && notify != nullptr && *notify != 0)
    ok = Set(o, "notify-socket", notify, &error);
  if (ok && !IsRunc(in) && in.Has("detach")) ok = Set(o, "monitor", "true", &error);
  if (!ok) {
    *code = FailRun(in, error);
    return nullptr;
  }
  return o;
}

// With --debug each step of the launch is an entry of the log.
void LogPlan(Invocation& in, const Runtime& runtime, const Options& o) {
  if (!IsRunc(in) || !in.Has("debug")) return;
  Buf text;
  if (coam_run_print_plan(runtime.get(), in.args[0].c_str(), o.get(), Take(text), nullptr) !=
      COAM_OK)
    return;
  std::string_view rest = Text(text);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    RuncLog(in, "debug", std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

// Undoes a container whose terminal nobody would hold.
int NoTerminal(Invocation& in, const Container& c) {
  Error error;
  if (coam_run_container_delete(c.get(), nullptr, 1, nullptr, Take(error)) != COAM_OK)
    return FailRun(in, error);
  return FailText(in, "a container with a terminal that is not waited for needs --console-socket");
}

}  // namespace

int CreateCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Options o = StartOptions(in, &code);
  if (!o) return code;
  LogPlan(in, runtime, o);
  Error error;
  Container c;
  if (coam_run_container_create(runtime.get(), in.context(), in.args[0].c_str(), o.get(), Take(c),
                                Take(error)) != COAM_OK)
    return FailRun(in, error);
  if (const int console = coam_run_container_take_console(c.get()); console >= 0) {
    close(console);
    return NoTerminal(in, c);
  }
  return 0;
}

int RunCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Options o = StartOptions(in, &code);
  if (!o) return code;
  Error error;
  if (in.Has("print-plan")) {
    Buf text;
    if (coam_run_print_plan(runtime.get(), in.args[0].c_str(), o.get(), Take(text), Take(error)) !=
        COAM_OK)
      return FailRun(in, error);
    Print(Text(text));
    return 0;
  }
  LogPlan(in, runtime, o);
  Container c;
  if (!in.Has("detach")) CatchSignals(in.cancel());
  if (!in.Has("detach") && (in.Has("monitor") || in.Has("log-path"))) {
    // The monitor has the streams: this tool is its first reader.
    if (coam_run_container_create(runtime.get(), in.context(), in.args[0].c_str(), o.get(), Take(c),
                                  Take(error)) != COAM_OK)
      return FailRun(in, error);
    ForwardSignals(coam_run_container_pid(c.get()));
    code = RunAttached(in, c);
    g_target = 0;
    if (code < 0) return 0;
    if (!in.Has("keep") &&
        coam_run_container_delete(c.get(), in.context(), 1, nullptr, Take(error)) != COAM_OK)
      return FailRun(in, error);
    return code;
  }
  if (coam_run_container_run(runtime.get(), in.context(), in.args[0].c_str(), o.get(), Take(c),
                             Take(error)) != COAM_OK)
    return FailRun(in, error);
  const int console = coam_run_container_take_console(c.get());
  if (in.Has("detach")) {
    if (console < 0) return 0;  // none, or the monitor's
    close(console);
    return NoTerminal(in, c);
  }
  ForwardSignals(coam_run_container_pid(c.get()));
  if (console >= 0) RelayTerminal(console, coam_run_container_fd(c.get()));
  int32_t status = 0;
  if (coam_run_container_wait(c.get(), nullptr, &status, nullptr, Take(error)) != COAM_OK)
    return FailRun(in, error);
  g_target = 0;
  if (in.Has("keep")) return status;
  const Options last = in.MakeOptions("run.wait");
  if (coam_run_container_delete(c.get(), in.context(), 1, last.get(), Take(error)) != COAM_OK)
    return FailRun(in, error);
  return status;
}

int ExecCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Container c = OpenContainer(in, runtime, &code);
  if (!c) return code;
  Options o = in.MakeOptions("run.exec");
  if (!o) return 2;
  Error error;
  bool ok = true;
  if (const std::string file = in.Value("process"); !file.empty()) {
    bool read = false;
    const std::string text = ReadFile(file, &read);
    if (!read) return FailText(in, "reading " + file + ": " + strerror(errno));
    ok = coam_options_set_bytes(o.get(), "process", text.data(), text.size(), Take(error)) ==
         COAM_OK;
  } else if (in.args.size() < 2) {
    return in.Usage("wants a program, or --process FILE");
  }
  for (size_t i = 1; ok && i < in.args.size(); ++i) ok = Set(o, "arg", in.args[i], &error);
  for (const std::string& gid : in.Values("additional-gids"))
    ok = ok && Set(o, "additional-gid", gid, &error);
  ok = ok && PassFds(in, o, &error);
  Process p;
  if (!in.Has("detach")) CatchSignals(in.cancel());
  if (!ok ||
      coam_run_container_exec(c.get(), in.context(), o.get(), Take(p), Take(error)) != COAM_OK)
    return FailRun(in, error);
  const int console = coam_run_process_take_console(p.get());
  if (in.Has("detach")) {
    if (console >= 0) close(console);
    return 0;
  }
  ForwardSignals(coam_run_process_pid(p.get()));
  if (console >= 0) RelayTerminal(console, coam_run_process_fd(p.get()));
  int32_t status = 0;
  if (coam_run_process_wait(p.get(), nullptr, &status, nullptr, Take(error)) != COAM_OK)
    return FailRun(in, error);
  return status;
}

}  // namespace coam
