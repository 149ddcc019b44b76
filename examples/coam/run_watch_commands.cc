// coam start, state, kill, delete, list, ps, pause, resume, update, spec, features, probe.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <cstring>

#include "examples/coam/commands.h"
#include "examples/coam/run_shared.h"

namespace coam {
namespace {

// Opens the runtime and the container of the first argument and hands both to `body`.
template <typename Body>
int With(Invocation& in, Body body) {
  int code = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Container c = OpenContainer(in, runtime, &code);
  if (!c) return code;
  Error error;
  return body(c, error) ? 0 : FailRun(in, error);
}

Json ParseBuf(const Buf& text) {
  Json json;
  if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(json), nullptr) !=
      COAM_OK)
    return nullptr;
  return json;
}

std::string Field(const Json& json, const std::string& pointer) {
  return std::string(Text(coam_json_text(json.get(), pointer.c_str())));
}

// "64M" and its like in bytes, as runc reads sizes; false if it is none.
bool ReadBytes(const std::string& text, std::string* out) {
  char* unit = nullptr;
  errno = 0;
  const long long number = strtoll(text.c_str(), &unit, 10);
  if (unit == text.c_str() || errno != 0) return false;
  std::string suffix = unit;
  for (char& c : suffix) c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
  if (suffix.ends_with("IB")) suffix.erase(suffix.size() - 2);
  else if (suffix.ends_with("B")) suffix.pop_back();
  const size_t power = suffix.empty() ? 0 : std::string("KMGTP").find(suffix) + 1;
  if (suffix.size() > 1 || (!suffix.empty() && power == 0)) return false;
  const long long scale = 1LL << (10 * power);
  if (number > INT64_MAX / scale || number < -1 || (number < 0 && power > 0)) return false;
  *out = std::to_string(number * scale);
  return true;
}

}  // namespace

int StartCommand(Invocation& in) {
  const Options o = in.MakeOptions("run.wait");
  if (!o) return 2;
  return With(in, [&](const Container& c, Error& error) {
    return coam_run_container_start(c.get(), o.get(), Take(error)) == COAM_OK;
  });
}

int StateCommand(Invocation& in) {
  return With(in, [](const Container& c, Error& error) {
    Buf text;
    if (coam_run_container_state(c.get(), Take(text), Take(error)) != COAM_OK) return false;
    PrintLine(Text(text));
    return true;
  });
}

int KillCommand(Invocation& in) {
  const std::string name = in.args.size() > 1 ? in.args[1] : "TERM";
  const int32_t signal = coam_run_signal_number(name.c_str());
  if (signal < 0) return FailText(in, "unknown signal \"" + name + "\"");
  return With(in, [&](const Container& c, Error& error) {
    return coam_run_container_kill(c.get(), signal, in.Has("all"), Take(error)) == COAM_OK;
  });
}

int DeleteCommand(Invocation& in) {
  int code = 0, worst = 0;
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  const Options o = in.MakeOptions("run.wait");
  if (!o) return 2;
  for (const std::string& id : in.args) {
    Error error;
    Container c;
    // What a killed host left half-made cannot be opened, but it can be removed.
    const bool opened =
        coam_run_container_open(runtime.get(), id.c_str(), Take(c), nullptr) == COAM_OK;
    const coam_code done = opened ? coam_run_container_delete(c.get(), in.context(),
                                                              in.Has("force"), o.get(), Take(error))
                                  : coam_run_remove(runtime.get(), in.context(), id.c_str(),
                                                    in.Has("force"), Take(error));
    if (done != COAM_OK) worst = FailRun(in, error);
  }
  return worst;
}

int ListCommand(Invocation& in) {
  int code = 0;
  // A root that was named must be there; the one that is meant by default may still be to come.
  if (const std::string root = in.Value("root");
      IsRunc(in) && !root.empty() && access(root.c_str(), F_OK) != 0)
    return FailText(in, "open " + root + ": " + strerror(errno));
  const Runtime runtime = OpenRuntime(in, &code);
  if (!runtime) return code;
  Error error;
  Buf text;
  if (coam_run_list(runtime.get(), Take(text), Take(error)) != COAM_OK) return FailRun(in, error);
  if (in.json() && !IsRunc(in)) {
    PrintLine(Text(text));
    return 0;
  }
  const Json json = ParseBuf(text);
  const size_t n = coam_json_count(json.get(), "/containers");
  if (in.json()) {
    // runc's form: an array of states.
    std::string out;
    for (size_t i = 0; i < n; ++i) {
      const std::string at = "/containers/" + std::to_string(i) + "/";
      out += (i > 0 ? ",{" : "{") + std::string("\"ociVersion\":\"1.3.0\",\"id\":") +
             JsonQuote(Field(json, at + "id")) + ",\"pid\":" + Field(json, at + "pid") +
             ",\"status\":" + JsonQuote(Field(json, at + "status")) +
             ",\"bundle\":" + JsonQuote(Field(json, at + "bundle")) +
             ",\"rootfs\":" + JsonQuote(Field(json, at + "rootfs")) +
             ",\"created\":" + JsonQuote(Field(json, at + "created")) +
             ",\"owner\":" + JsonQuote(Field(json, at + "owner")) + "}";
    }
    PrintLine(n == 0 ? "null" : "[" + out + "]");
    return 0;
  }
  Table table({"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}, IsRunc(in) ? 3 : 2,
              IsRunc(in) ? 12 : 0);
  for (size_t i = 0; i < n; ++i) {
    const std::string at = "/containers/" + std::to_string(i) + "/";
    if (in.quiet()) {
      PrintLine(Field(json, at + "id"));
      continue;
    }
    table.Row({Field(json, at + "id"), Field(json, at + "pid"), Field(json, at + "status"),
               Field(json, at + "bundle"), Field(json, at + "created"), Field(json, at + "owner")});
  }
  if (!in.quiet()) Print(table.Render());
  return 0;
}

int PsCommand(Invocation& in) {
  return With(in, [&](const Container& c, Error& error) {
    Buf text;
    if (coam_run_container_pids(c.get(), Take(text), Take(error)) != COAM_OK) return false;
    if (in.json()) {
      PrintLine(Text(text));
      return true;
    }
    const Json json = ParseBuf(text);
    std::string command = "ps";
    for (size_t i = 1; i < in.args.size(); ++i) {
      command += " '";
      for (const char ch : in.args[i])
        command += ch == '\'' ? std::string("'\\''") : std::string(1, ch);
      command += "'";
    }
    if (in.args.size() < 2) command += " -ef";
    FILE* ps = popen(command.c_str(), "r");
    if (ps == nullptr) return true;
    char* line = nullptr;
    size_t size = 0;
    int column = -1;
    while (getline(&line, &size, ps) > 0) {
      // The header tells which column holds the process id.
      int at = 0, pid_column = -1;
      std::string pid_text;
      std::string copy = line;
      char* rest = nullptr;
      for (char* word = strtok_r(copy.data(), " \t\n", &rest); word != nullptr;
           word = strtok_r(nullptr, " \t\n", &rest), ++at) {
        if (strcmp(word, "PID") == 0) pid_column = at;
        if (at == column) pid_text = word;
      }
      if (column < 0) {
        column = pid_column;
        Print(line);
        if (column < 0) break;
        continue;
      }
      for (size_t i = 0; i < coam_json_count(json.get(), ""); ++i)
        if (Field(json, "/" + std::to_string(i)) == pid_text) Print(line);
    }
    free(line);
    pclose(ps);
    return true;
  });
}

int PauseCommand(Invocation& in) {
  return With(in, [](const Container& c, Error& error) {
    return coam_run_container_pause(c.get(), Take(error)) == COAM_OK;
  });
}

int ResumeCommand(Invocation& in) {
  return With(in, [](const Container& c, Error& error) {
    return coam_run_container_resume(c.get(), Take(error)) == COAM_OK;
  });
}

int UpdateCommand(Invocation& in) {
  std::string json;
  if (const std::string file = in.Value("resources"); !file.empty()) {
    FILE* f = file == "-" ? stdin : fopen(file.c_str(), "re");
    if (f == nullptr) return FailText(in, "reading " + file + ": " + strerror(errno));
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) json.append(buffer, n);
    if (f != stdin) fclose(f);
  } else {
    enum class Kind { kNumber, kBytes, kText };
    struct Row {
      const char *flag, *object, *member;
      Kind kind;
    };
    constexpr Row kRows[] = {
        {"memory", "memory", "limit", Kind::kBytes},
        {"memory-reservation", "memory", "reservation", Kind::kBytes},
        {"memory-swap", "memory", "swap", Kind::kBytes},
        {"kernel-memory", "memory", "kernel", Kind::kBytes},
        {"kernel-memory-tcp", "memory", "kernelTCP", Kind::kBytes},
        {"cpu-period", "cpu", "period", Kind::kNumber},
        {"cpu-quota", "cpu", "quota", Kind::kNumber},
        {"cpu-burst", "cpu", "burst", Kind::kNumber},
        {"cpu-share", "cpu", "shares", Kind::kNumber},
        {"cpu-rt-period", "cpu", "realtimePeriod", Kind::kNumber},
        {"cpu-rt-runtime", "cpu", "realtimeRuntime", Kind::kNumber},
        {"cpu-idle", "cpu", "idle", Kind::kNumber},
        {"cpuset-cpus", "cpu", "cpus", Kind::kText},
        {"cpuset-mems", "cpu", "mems", Kind::kText},
        {"pids-limit", "pids", "limit", Kind::kNumber},
        {"blkio-weight", "blockIO", "weight", Kind::kNumber},
    };
    for (const char* object : {"memory", "cpu", "pids", "blockIO"}) {
      std::string members;
      for (const Row& row : kRows) {
        if (strcmp(row.object, object) != 0 || !in.Has(row.flag)) continue;
        std::string value = in.Value(row.flag);
        if (row.kind == Kind::kText) value = JsonQuote(value);
        else if (!ReadBytes(value, &value) ||
                 (row.kind == Kind::kNumber && value != in.Value(row.flag)))
          return FailText(
              in, std::string("--") + row.flag + ": invalid value \"" + in.Value(row.flag) + "\"");
        members += (members.empty() ? "" : ",") + JsonQuote(row.member) + ":" + value;
      }
      if (!members.empty())
        json += (json.empty() ? "" : ",") + JsonQuote(object) + ":{" + members + "}";
    }
    json = "{" + json + "}";
  }
  for (const char* flag : {"l3-cache-schema", "mem-bw-schema"})
    if (in.Has(flag))
      return FailText(in, std::string("--") + flag + ": Intel RDT is not supported by this build");
  return With(in, [&](const Container& c, Error& error) {
    return coam_run_container_update(c.get(), json.data(), json.size(), Take(error)) == COAM_OK;
  });
}

int SpecCommand(Invocation& in) {
  Error error;
  Buf text;
  if (coam_run_spec_default(in.Has("rootless"), geteuid(), getegid(), Take(text), Take(error)) !=
      COAM_OK)
    return FailRun(in, error);
  const std::string path = in.Value("bundle", ".") + "/config.json";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) return FailText(in, "File config.json exists. Remove it first");
  if (fd < 0) return FailText(in, "making " + path + ": " + strerror(errno));
  const std::string_view bytes = Text(text);
  const bool ok = write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  close(fd);
  return ok ? 0 : FailText(in, "writing " + path + ": " + strerror(errno));
}

int RuntimeFeaturesCommand(Invocation& in) {
  Error error;
  Buf text;
  if (coam_run_features(Take(text), Take(error)) != COAM_OK) return FailRun(in, error);
  PrintLine(Text(text));
  return 0;
}

int ProbeCommand(Invocation& in) {
  Error error;
  Buf text;
  if (coam_run_probe(Take(text), Take(error)) != COAM_OK) return FailRun(in, error);
  if (in.json()) {
    PrintLine(Text(text));
    return 0;
  }
  const Json json = ParseBuf(text);
  Table table({"FEATURE", "WORKS", "DETAIL", "HINT"});
  for (size_t i = 0; i < coam_json_count(json.get(), "/probes"); ++i) {
    const std::string at = "/probes/" + std::to_string(i) + "/";
    table.Row({Field(json, at + "name"),
               coam_json_int(json.get(), (at + "works").c_str(), 0) != 0 ? "yes" : "no",
               Field(json, at + "detail"), Field(json, at + "hint")});
  }
  Print(table.Render());
  return 0;
}

}  // namespace coam
