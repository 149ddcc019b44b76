// coam attach, logs, wait, events: watching containers that run under a monitor, and all others.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "examples/coam/commands.h"
#include "examples/coam/run_shared.h"

namespace coam {
namespace {

using Attach = Handle<coam_run_attach, coam_run_attach_free>;
using Events = Handle<coam_run_events, coam_run_events_free>;

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// The member of a container's row in the list.
std::string Listed(const Runtime& runtime, const std::string& id, const std::string& member) {
  Buf text;
  Json json;
  if (coam_run_list(runtime.get(), Take(text), nullptr) != COAM_OK) return "";
  if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(json), nullptr) !=
      COAM_OK)
    return "";
  for (size_t i = 0; i < coam_json_count(json.get(), "/containers"); ++i) {
    const std::string at = "/containers/" + std::to_string(i) + "/";
    if (Text(coam_json_text(json.get(), (at + "id").c_str())) == id)
      return std::string(Text(coam_json_text(json.get(), (at + member).c_str())));
  }
  return "";
}

// The terminal of this tool in raw mode, for as long as it lives.
class RawTerminal {
 public:
  explicit RawTerminal(bool wanted) : on_(wanted && tcgetattr(STDIN_FILENO, &saved_) == 0) {
    if (!on_) return;
    termios mode = saved_;
    cfmakeraw(&mode);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
  }
  ~RawTerminal() {
    if (on_) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  bool on() const { return on_; }

 private:
  termios saved_{};
  bool on_;
};

// What was typed, up to ctrl-p ctrl-q, which means "detach" and is not passed on.
bool Typed(std::string_view bytes, bool* control_p, std::string* out) {
  for (const char c : bytes) {
    if (*control_p && c == 17) return false;
    if (*control_p) out->push_back(16);
    *control_p = c == 16;
    if (!*control_p) out->push_back(c);
  }
  return true;
}

// Relays until the container's end (true) or until somebody detaches.
bool Relay(Invocation& in, const Container& c, const Attach& attach, Error* error) {
  const RawTerminal raw(isatty(STDIN_FILENO) != 0 && !in.Has("no-stdin"));
  winsize size{};
  bool input = !in.Has("no-stdin"), control_p = false, sized = raw.on();
  for (;;) {
    winsize now{};
    if (sized && ioctl(STDIN_FILENO, TIOCGWINSZ, &now) == 0 &&
        (now.ws_row != size.ws_row || now.ws_col != size.ws_col)) {
      size = now;
      // A container without a terminal has no size.
      sized = coam_run_container_resize(c.get(), now.ws_row, now.ws_col, nullptr) == COAM_OK;
    }
    pollfd fds[3] = {{coam_run_attach_fd(attach.get()), POLLIN, 0},
                     {input ? STDIN_FILENO : -1, POLLIN, 0},
                     {coam_cancel_fd(in.cancel()), POLLIN, 0}};
    if (poll(fds, 3, sized ? 250 : -1) < 0 && errno != EINTR) return false;
    if (fds[2].revents != 0) return false;
    for (int32_t stream = -1; fds[0].revents != 0 && stream != COAM_RUN_ATTACH_NOTHING;) {
      Buf data;
      if (coam_run_attach_next(attach.get(), &stream, Take(data), Take(*error)) != COAM_OK)
        return false;
      if (stream == COAM_RUN_ATTACH_END) return true;
      if (data)
        WriteAll(stream == COAM_RUN_ATTACH_STDERR ? STDERR_FILENO : STDOUT_FILENO, Text(data));
    }
    if (fds[1].revents == 0) continue;
    char buffer[4096];
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    std::string typed;
    if (n > 0 && raw.on()) {
      if (!Typed({buffer, static_cast<size_t>(n)}, &control_p, &typed)) return false;
    } else if (n > 0) {
      typed.assign(buffer, static_cast<size_t>(n));
    }
    input = n > 0;
    if (n > 0 && typed.empty()) continue;
    // Nothing to send is the end of the input.
    if (coam_run_attach_send(attach.get(), typed.data(), typed.size(), nullptr, nullptr) != COAM_OK)
      input = false;
  }
}

int StatusOf(Invocation& in, const Container& c, bool print) {
  const Options o = in.MakeOptions("run.wait");
  Error error;
  int32_t code = 0;
  if (!o) return 2;
  if (coam_run_container_wait(c.get(), o.get(), &code, nullptr, Take(error)) != COAM_OK)
    return FailRun(in, error);
  if (print) PrintLine(std::to_string(code));
  return print ? 0 : code;
}

// "TIME stdout F text": prints the text to where it belongs.
void PrintLogLine(std::string_view line, bool timestamps) {
  const size_t stream = line.find(' '), tag = line.find(' ', stream + 1);
  if (stream == line.npos || tag == line.npos || tag + 3 > line.size()) return;
  std::string out;
  if (timestamps) out.append(line.substr(0, stream + 1));
  out.append(line.substr(tag + 3));
  if (line[tag + 1] == 'F') out.push_back('\n');
  const bool error = line.substr(stream + 1, tag - stream - 1) == "stderr";
  WriteAll(error ? STDERR_FILENO : STDOUT_FILENO, out);
}

// One log file being read line by line.
class LogReader {
 public:
  explicit LogReader(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~LogReader() {
    if (fd_ >= 0) close(fd_);
  }
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;
  bool ok() const { return fd_ >= 0; }
  bool Is(const std::string& path) const {
    struct stat mine {
    }, named{};
    return fstat(fd_, &mine) == 0 && stat(path.c_str(), &named) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
  }
  // Adds the whole lines that have come since.
  void Read(std::vector<std::string>* lines) {
    char buffer[65536];
    ssize_t n;
    while ((n = read(fd_, buffer, sizeof buffer)) > 0) rest_.append(buffer, static_cast<size_t>(n));
    size_t from = 0;
    for (size_t end; (end = rest_.find('\n', from)) != std::string::npos; from = end + 1)
      lines->push_back(rest_.substr(from, end - from));
    rest_.erase(0, from);
  }

 private:
  int fd_;
  std::string rest_;
};

// The events that are there now; false on a failure. With `of` only that type, and true in *ended
// once the container has ended.
bool PrintEvents(const Events& events, std::string_view only, bool* ended, Error* error) {
  for (;;) {
    Buf text;
    if (coam_run_events_next(events.get(), Take(text), Take(*error)) != COAM_OK) return false;
    if (!text) return true;
    Json json;
    if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(json),
                        nullptr) != COAM_OK)
      continue;
    const std::string_view type = Text(coam_json_text(json.get(), "/type"));
    if (type == "exited" || type == "deleted") *ended = true;
    if (!only.empty() && type != only) continue;
    if (only.empty()) PrintLine(Text(text));
    else  // runc's form
      PrintLine("{\"type\":" + JsonQuote(type) +
                ",\"id\":" + JsonQuote(Text(coam_json_text(json.get(), "/id"))) + "}");
    fflush(stdout);
  }
}

}  // namespace

int RunAttached(Invocation& in, const Container& c) {
  Error error;
  Attach attach;
  if (coam_run_container_attach(c.get(), nullptr, Take(attach), Take(error)) != COAM_OK ||
      coam_run_container_start(c.get(), nullptr, Take(error)) != COAM_OK)
    return FailRun(in, error);
  if (Relay(in, c, attach, &error)) return StatusOf(in, c, false);
  return error ? FailRun(in, error) : -1;
}

int AttachCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Container c = OpenContainer(in, runtime, &code);
  if (!c) return code;
  const Options o = in.MakeOptions("run.wait");
  if (!o) return 2;
  Error error;
  Attach attach;
  if (coam_run_container_attach(c.get(), o.get(), Take(attach), Take(error)) != COAM_OK)
    return FailRun(in, error);
  if (in.Has("start") && coam_run_container_start(c.get(), o.get(), Take(error)) != COAM_OK)
    return FailRun(in, error);
  if (Relay(in, c, attach, &error)) return StatusOf(in, c, false);
  return error ? FailRun(in, error) : 0;
}

int WaitCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Container c = OpenContainer(in, runtime, &code);
  return c ? StatusOf(in, c, true) : code;
}

int LogsCommand(Invocation& in) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Container c = OpenContainer(in, runtime, &code);
  if (!c) return code;
  const std::string path = Listed(runtime, in.args[0], "log");
  if (path.empty())
    return FailText(in, "container \"" + in.args[0] + "\" has no log (run it with --log-path)");
  const bool timestamps = in.Has("timestamps");
  std::vector<std::string> lines;
  int oldest = 0;
  while (access((path + "." + std::to_string(oldest + 1)).c_str(), F_OK) == 0) ++oldest;
  for (; oldest > 0; --oldest) {
    LogReader old(path + "." + std::to_string(oldest));
    if (old.ok()) old.Read(&lines);
  }
  auto now = std::make_unique<LogReader>(path);
  if (!now->ok()) return FailText(in, "opening " + path + ": " + strerror(errno));
  now->Read(&lines);
  size_t first = 0;
  if (const std::string tail = in.Value("tail"); !tail.empty()) {
    char* end = nullptr;
    const unsigned long wanted = strtoul(tail.c_str(), &end, 10);
    if (*end != 0) return in.Usage("--tail: '" + tail + "' is not a number of lines");
    first = lines.size() - std::min<size_t>(lines.size(), wanted);
  }
  for (size_t i = first; i < lines.size(); ++i) PrintLogLine(lines[i], timestamps);
  // A log has no descriptor to wait for: it is looked at now and then, and once more at the end.
  for (bool ended = !in.Has("follow"); !ended;) {
    pollfd wait[2] = {{coam_run_container_fd(c.get()), POLLIN, 0},
                      {coam_cancel_fd(in.cancel()), POLLIN, 0}};
    poll(wait, 2, 200);
    if (wait[1].revents != 0) break;
    if (wait[0].fd < 0 || wait[0].revents != 0) {
      ended = true;
      // The monitor's last lines are there when the status is.
      if (coam_run_container_wait(c.get(), nullptr, nullptr, nullptr, nullptr) != COAM_OK) break;
    }
    lines.clear();
    now->Read(&lines);
    if (!now->Is(path)) {
      now = std::make_unique<LogReader>(path);
      if (!now->ok()) break;
      now->Read(&lines);
    }
    for (const std::string& line : lines) PrintLogLine(line, timestamps);
  }
  return 0;
}

int EventsCommand(Invocation& in) {
  const std::string interval = in.Value("interval", "5s");
  char* unit = nullptr;
  const long number = strtol(interval.c_str(), &unit, 10);
  const long ms = strcmp(unit, "ms") == 0                ? number
                  : strcmp(unit, "m") == 0               ? number * 60000
                  : *unit == 0 || strcmp(unit, "s") == 0 ? number * 1000
                                                         : -1;
  if (ms <= 0) return FailText(in, "--interval: \"" + interval + "\" is not a time such as 5s");
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  Error error;
  Events events;
  const std::string id = in.args.empty() ? "" : in.args[0];
  Container c;
  if (!id.empty()) {
    c = OpenContainer(in, runtime, &code);
    if (!c) return code;
    if (Text(coam_run_container_status(c.get())) == "stopped")
      return FailText(in, "container \"" + id + "\" is not running");
  }
  if (!in.Has("stats") &&
      coam_run_events_new(runtime.get(), id.c_str(), Take(events), Take(error)) != COAM_OK)
    return FailRun(in, error);
  for (bool ended = false;;) {
    if (c && !ended) {
      Buf text;
      if (coam_run_container_stats(c.get(), Take(text), Take(error)) != COAM_OK)
        return FailRun(in, error);
      PrintLine(Text(text));
      fflush(stdout);
      if (in.Has("stats")) return 0;
    }
    pollfd wait[2] = {{coam_run_events_fd(events.get()), POLLIN, 0},
                      {coam_cancel_fd(in.cancel()), POLLIN, 0}};
    int n;
    while ((n = poll(wait, 2, c ? static_cast<int>(ms) : -1)) != 0) {
      if (wait[1].revents != 0) return 0;
      if (!PrintEvents(events, IsRunc(in) ? "oom" : "", &ended, &error)) return FailRun(in, error);
      if (c && ended) return 0;
    }
  }
}

}  // namespace coam
