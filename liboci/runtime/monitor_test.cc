// Monitors: status, log, attaching and notices of containers that outlive their host.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/attach.h"
#include "liboci/runtime/events.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/testing_bundle.h"

namespace coaming::run {
namespace {

using testing::TestBundle;

std::string ReadText(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  base::UniqueFd owner(fd);
  return testing::ReadAll(fd);
}

// Gathers what an attachment gets until the end, or until `text` has come.
std::string Gather(Attachment* a, std::string_view text = "",
                   std::optional<ExitStatus>* end = nullptr, std::string* errors = nullptr) {
  std::string all;
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(20000));
  for (;;) {
    Attachment::Piece piece = REQUIRE_VALUE(a->Next());
    if (piece.kind == Attachment::Piece::Kind::kEnd) {
      if (end != nullptr) *end = piece.status;
      return all;
    }
    const bool error = errors != nullptr && piece.kind == Attachment::Piece::Kind::kError;
    (error ? *errors : all) += piece.bytes;
    if (!text.empty() && absl::StrContains(all, text)) return all;
    if (piece.kind == Attachment::Piece::Kind::kNothing)
      REQUIRE_OK(base::WaitFd(op, a->poll_fd(), POLLIN));
  }
}

TEST_CASE("monitor: a container's status is known to a host that opens it after its end",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "read x; exit 7"}));
  o.monitor.on = true;
  o.in.kind = Stdio::Kind::kPipe;
  base::UniqueFd input;
  {
    std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
    input = c->TakeStdio(0);
    REQUIRE(REQUIRE_VALUE(c->Info()).monitored);
  }
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Open(o.id));
  REQUIRE(REQUIRE_VALUE(c->Info()).status == Status::kRunning);
  REQUIRE(c->TryWait()->has_value() == false);
  input.Reset();
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 7);
  // And to one that comes when all is over.
  std::unique_ptr<Container> late = REQUIRE_VALUE(b.NewRuntime()->Open(o.id));
  ContainerInfo info = REQUIRE_VALUE(late->Info());
  REQUIRE(info.status == Status::kStopped);
  REQUIRE(info.exit->code == 7);
  REQUIRE(REQUIRE_VALUE(late->Wait(op)).code == 7);
  REQUIRE(late->TryWait()->value().code == 7);
  REQUIRE_OK(late->Delete(op, false));
  REQUIRE_REASON(b.NewRuntime()->Open(o.id), "run.not_found");
}

TEST_CASE("monitor: it is no child of the host, and goes with its container",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::vector<int> before = base::testing::OpenFds();
  {
    std::shared_ptr<Runtime> runtime = b.NewRuntime();
    CreateOptions o = b.Options(TestBundle::SpecOf({"sleep", "100"}));
    o.monitor.on = true;
    std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Create(op, o));
    std::string children;
    base::testing::Shell(absl::StrCat("cat /proc/", getpid(), "/task/", getpid(), "/children"),
                         &children);
    REQUIRE(!absl::StrContains(absl::StrCat(" ", children), absl::StrCat(" ", c->pid(), " ")));
    REQUIRE_OK(c->Start(op));
    std::string record = ReadText(b.tree() / absl::StrCat("state/", o.id, "/container"));
    size_t at = record.find("\"monitor\":") + 10;
    pid_t monitor = atoi(record.substr(at, 10).c_str());
    REQUIRE(ReadText(absl::StrCat("/proc/", monitor, "/comm")) == "coaming-monitor\n");
    // It has its own few descriptors and none of the program's or the host's.
    std::string fds;
    base::testing::Shell(absl::StrCat("ls -l /proc/", monitor, "/fd"), &fds);
    REQUIRE(!absl::StrContains(fds, "/dev/null"));
    REQUIRE_OK(c->Kill(SIGTERM));  // the first process of a pid namespace ignores it
    REQUIRE_OK(c->Kill(SIGKILL));
    REQUIRE(REQUIRE_VALUE(c->Wait(op)).signal == SIGKILL);
    // Gone, or a zombie that the system's first process has not reaped yet.
    char exe[8];
    REQUIRE(readlink(absl::StrCat("/proc/", monitor, "/exe").c_str(), exe, sizeof exe) == -1);
    REQUIRE_OK(c->Delete(op, false));
  }
  REQUIRE(base::testing::OpenFds() == before);
}

TEST_CASE("monitor: the status survives when monitor and host are killed, or is said to be lost",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  CreateOptions o = b.Options(TestBundle::SpecOf({"sleep", "100"}));
  o.monitor.on = true;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
  std::string record = ReadText(b.tree() / absl::StrCat("state/", o.id, "/container"));
  pid_t monitor = atoi(record.substr(record.find("\"monitor\":") + 10, 10).c_str());
  REQUIRE(kill(monitor, SIGKILL) == 0);
  REQUIRE_OK(c->Kill(SIGKILL));
  absl::StatusOr<ExitStatus> status = c->Wait(op);
  if (status.ok()) REQUIRE(status->signal == SIGKILL);  // the kernel still tells (6.15)
  else REQUIRE_REASON(status, "run.status_taken");
  REQUIRE_OK(c->Delete(op, true));
}

TEST_CASE("log: lines get time, stream and tag, long ones come in parts",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::string log = b.tree() / "app.log";
  CreateOptions o = b.Options(TestBundle::SpecOf(
      {"sh", "-c",
       "echo one; echo two >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; printf end"}));
  o.monitor.log_path = log;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 0);
  REQUIRE(REQUIRE_VALUE(c->Info()).log == log);
  std::vector<std::string> out, err;
  for (std::string_view line : absl::StrSplit(ReadText(log), '\n', absl::SkipEmpty())) {
    INFO(line.substr(0, 60));
    REQUIRE(line.substr(0, 2) == "20");
    REQUIRE(line.substr(10, 1) == "T");
    REQUIRE(line.substr(19, 1) == ".");
    REQUIRE(line.substr(29, 5) == "Z std");
    std::string_view rest = line.substr(31);
    (absl::StartsWith(rest, "stderr") ? err : out).push_back(std::string(rest));
  }
  REQUIRE(err == std::vector<std::string>{"stderr F two"});
  REQUIRE(out == std::vector<std::string>{
                     "stdout F one", absl::StrCat("stdout P ", std::string(16384, 'x')),
                     absl::StrCat("stdout F ", std::string(20000 - 16384, 'x')), "stdout F end"});
  struct stat st;
  REQUIRE(stat(log.c_str(), &st) == 0);
  REQUIRE((st.st_mode & 07777) == 0640);
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("log: it is rotated by size, keeps so many files and is opened anew on demand",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::string log = b.tree() / "app.log";
  CreateOptions o = b.Options(TestBundle::SpecOf(
      {"sh", "-c", "for i in $(seq 1 200); do echo line $i; done; read x; echo after"}));
  o.in.kind = Stdio::Kind::kRelay;
  o.monitor.log_path = log;
  o.monitor.log_max_size = 4000;
  o.monitor.log_max_files = 3;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Create(op, o));
  std::unique_ptr<Attachment> a = REQUIRE_VALUE(c->Attach(op));
  REQUIRE_OK(c->Start(op));
  Gather(a.get(), "line 200\n");
  REQUIRE_OK(c->ReopenLog());  // answered after what came before is written
  std::string now = ReadText(log), one = ReadText(log + ".1"), two = ReadText(log + ".2");
  REQUIRE(access((log + ".3").c_str(), F_OK) != 0);
  for (const std::string& text : {now, one, two}) REQUIRE(text.size() <= 4000);
  REQUIRE(absl::EndsWith(now, "line 200\n"));
  REQUIRE(one.size() > 3900);

  REQUIRE(rename(log.c_str(), (log + ".moved").c_str()) == 0);
  REQUIRE_OK(c->ReopenLog());
  REQUIRE_OK(a->Send(op, "go\n"));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 0);
  REQUIRE(absl::EndsWith(ReadText(log), " stdout F after\n"));
  REQUIRE(ReadText(log).size() < 60);
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("attach: several read the same, one writes, the end tells the status",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "cat; echo done >&2; exit 3"}));
  o.in.kind = o.out.kind = o.err.kind = Stdio::Kind::kRelay;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Create(op, o));
  std::unique_ptr<Attachment> a = REQUIRE_VALUE(c->Attach(op)), d = REQUIRE_VALUE(c->Attach(op));
  { std::unique_ptr<Attachment> gone = REQUIRE_VALUE(c->Attach(op)); }
  REQUIRE_OK(c->Start(op));
  // More than a pipe holds, so that input has to wait for the program.
  std::string text;
  for (int i = 0; i < 20000; ++i) absl::StrAppend(&text, "number ", i, "\n");
  REQUIRE_OK(a->Send(op, text));
  REQUIRE_OK(a->CloseInput(op));
  std::optional<ExitStatus> end;
  // Each stream is in order; between the two there is none.
  std::string errors;
  bool same = Gather(a.get(), "", &end, &errors) == text;
  REQUIRE(same);
  REQUIRE(end->code == 3);
  REQUIRE(errors == "done\n");
  same = Gather(d.get(), "", &end, &errors) == text;
  REQUIRE(same);
  REQUIRE(errors == "done\ndone\n");
  REQUIRE(a->Next()->kind == Attachment::Piece::Kind::kEnd);
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 3);
  REQUIRE_REASON(c->Attach(op), "run.monitor");
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("attach: a reader that does not read is let go of, and holds nothing up",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(60000));
  CreateOptions o = b.Options(TestBundle::SpecOf({"head", "-c", "20000000", "/dev/zero"}));
  o.out.kind = Stdio::Kind::kRelay;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Create(op, o));
  std::unique_ptr<Attachment> lazy = REQUIRE_VALUE(c->Attach(op));
  REQUIRE_OK(c->Start(op));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 0);
  absl::StatusOr<Attachment::Piece> piece = lazy->Next();
  while (piece.ok() && piece->kind == Attachment::Piece::Kind::kOutput) piece = lazy->Next();
  REQUIRE_REASON(piece, "run.monitor");
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("attach: a terminal is the monitor's, takes a size and outlives its reader",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  Spec spec = TestBundle::SpecOf({"sh", "-c", "echo ready; read x; stty size; read x; exit 4"});
  spec.process->terminal = true;
  CreateOptions o = b.Options(spec);
  o.monitor.log_path = b.tree() / "tty.log";
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Create(op, o));
  REQUIRE(!c->TakeConsole().ok());
  std::unique_ptr<Attachment> a = REQUIRE_VALUE(c->Attach(op));
  REQUIRE_OK(c->Resize(33, 77));
  REQUIRE_OK(c->Start(op));
  Gather(a.get(), "ready");
  a.reset();
  a = REQUIRE_VALUE(b.NewRuntime()->Open(o.id).value()->Attach(op));
  REQUIRE_OK(a->Send(op, "\n"));
  Gather(a.get(), "33 77");
  REQUIRE_OK(a->CloseInput(op));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 4);
  REQUIRE(absl::StrContains(ReadText(o.monitor.log_path), " stdout F 33 77"));
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("monitor: it works with two stages, in a user namespace", "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  Spec spec = TestBundle::SpecOf({"sh", "-c", "id -u; exit 9"});
  spec.linux_.namespaces.push_back({"user", ""});
  spec.linux_.uid_mappings = spec.linux_.gid_mappings = {{0, 100000, 65536}};
  std::erase_if(spec.mounts,
                [](const Mount& m) { return m.type == "sysfs" || m.type == "mqueue"; });
  REQUIRE(base::testing::Shell(absl::StrCat("chown -R 100000:100000 ", b.Root(""))) == 0);
  CreateOptions o = b.Options(spec);
  o.monitor.log_path = b.tree() / "user.log";
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 9);
  REQUIRE(absl::EndsWith(ReadText(o.monitor.log_path), " stdout F 0\n"));
  REQUIRE_OK(c->Delete(op, false));
}

TEST_CASE("monitor: what cannot be started names its step and leaves nothing",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  CreateOptions o = b.Options(TestBundle::SpecOf({"no-such-program"}));
  o.monitor.on = true;
  REQUIRE_REASON(runtime->Run(op, o), "run.exec_not_found");
  o = b.Options(TestBundle::SpecOf({"true"}));
  b.tree().MakeDir("taken.log");
  o.monitor.log_path = b.tree() / "taken.log";
  REQUIRE_REASON(runtime->Run(op, o), "run.monitor");
  o.monitor.log_path = b.tree() / "missing/app.log";
  REQUIRE_REASON(runtime->Run(op, o), "core.not_found");
  REQUIRE(REQUIRE_VALUE(runtime->List()).empty());
}

TEST_CASE("notify: readiness is passed on with the pid that the host sees, private things are not",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  if (base::testing::ProgramPath("python3").empty()) SKIP("needs python3");
  TestBundle b;
  base::Op op;
  std::string path = b.tree() / "manager.sock";
  base::UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  strcpy(address.sun_path, path.c_str());  // NOLINT: fits, see above
  REQUIRE(bind(manager.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) == 0);
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "echo $NOTIFY_SOCKET; sleep 100"}));
  o.notify_socket = path;
  o.out.kind = Stdio::Kind::kPipe;
  std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
  char line[100] = {};
  REQUIRE(read(c->TakeStdio(1).get(), line, sizeof line) > 0);
  REQUIRE(std::string(line) == "/run/notify/notify.sock\n");
  // Spoken from the host through the container's own root: busybox has no program for it.
  std::string inside = absl::StrCat("/proc/", c->pid(), "/root/run/notify/notify.sock");
  REQUIRE(base::testing::Shell(absl::StrCat(
              "python3 -c \"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("
              "b'STATUS=warm\\nMAINPID=1\\nREADY=1\\nFDSTORE=1', '",
              inside, "')\"")) == 0);
  char got[500] = {};
  REQUIRE(recv(manager.get(), got, sizeof got, 0) > 0);
  REQUIRE(std::string(got) == absl::StrCat("STATUS=warm\nMAINPID=", c->pid(), "\nREADY=1"));
  REQUIRE_OK(c->Delete(op, true));
}

TEST_CASE("activation: listening sockets arrive as 3 and on, with the program's own pid",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::UniqueFd s(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(listen(s.get(), 1) == 0);
  base::Op op;
  for (bool own_pids : {true, false}) {
    Spec spec = TestBundle::SpecOf(
        {"sh", "-c",
         "echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && readlink /proc/self/fd/4"});
    if (!own_pids)
      std::erase_if(spec.linux_.namespaces, [](const Namespace& n) { return n.type == "pid"; });
    CreateOptions o = b.Options(spec);
    o.listen_fds = {{s.get(), "web"}, {s.get(), ""}};
    o.out.kind = Stdio::Kind::kPipe;
    std::unique_ptr<Container> c = REQUIRE_VALUE(b.NewRuntime()->Run(op, o));
    std::string out = testing::ReadAll(c->TakeStdio(1).get());
    REQUIRE(absl::StartsWith(out, "2 web:unknown\nsocket:["));
    REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 0);
    REQUIRE_OK(c->Delete(op, false));
  }
}

// Takes events until one of `type` has come.
std::vector<Event> Until(Events* events, std::string_view type) {
  std::vector<Event> all;
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(20000));
  for (;;) {
    std::optional<Event> e = REQUIRE_VALUE(events->Next());
    if (!e) {
      REQUIRE_OK(base::WaitFd(op, events->poll_fd(), POLLIN));
      continue;
    }
    all.push_back(*e);
    if (e->type == type) return all;
  }
}

std::string Types(const std::vector<Event>& events) {
  std::string out;
  for (const Event& e : events) absl::StrAppend(&out, out.empty() ? "" : " ", e.type);
  return out;
}

TEST_CASE("events: a stream tells what any process does to containers, in order",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  std::unique_ptr<Events> all = REQUIRE_VALUE(b.NewRuntime()->Watch(""));
  REQUIRE(!REQUIRE_VALUE(all->Next()));
  std::shared_ptr<Runtime> other = b.NewRuntime();
  CreateOptions o = b.Options(TestBundle::SpecOf({"sh", "-c", "exit 5"}));
  std::unique_ptr<Events> one = REQUIRE_VALUE(other->Watch(o.id));
  REQUIRE_REASON(other->Watch("../x"), "run.id");
  std::unique_ptr<Container> c = REQUIRE_VALUE(other->Create(op, o));
  REQUIRE_OK(c->Start(op));
  REQUIRE(REQUIRE_VALUE(c->Wait(op)).code == 5);
  REQUIRE_OK(c->Delete(op, false));
  // A second container, which the other stream must not see.
  CreateOptions o2 = b.Options(TestBundle::SpecOf({"sleep", "100"}));
  std::unique_ptr<Container> c2 = REQUIRE_VALUE(other->Run(op, o2));
  REQUIRE_OK(c2->Pause());
  REQUIRE_OK(c2->Resume());
  REQUIRE_OK(c2->Delete(op, true));

  std::vector<Event> seen = Until(one.get(), "deleted");
  REQUIRE(Types(seen) == "created started exited deleted");
  REQUIRE(seen[0].pid == c->pid());
  REQUIRE(seen[2].status->code == 5);
  REQUIRE(seen[0].time_ns > 0);
  REQUIRE(!REQUIRE_VALUE(one->Next()));
  std::vector<Event> of_all = Until(all.get(), "deleted");
  REQUIRE(Types(of_all) == "created started exited deleted");
  REQUIRE(Types(Until(all.get(), "deleted")) == "created started paused resumed exited deleted");
  REQUIRE(absl::StrContains(EventToJson(seen[2]), "\"code\":5,\"signal\":0"));
  one.reset();
  all.reset();
  std::string left;
  base::testing::Shell(absl::StrCat("ls -A ", b.tree() / "state"), &left);
  REQUIRE(left.empty());
}

TEST_CASE("events: running out of memory is told, and the end of what was there before",
          "[liboci][runtime][root]") {
  COAM_NEEDS_CONTAINERS();
  TestBundle b;
  base::Op op;
  Spec spec = TestBundle::SpecOf({"sh", "-c", "read x; x=$(yes | head -c 60000000)"});
  spec.linux_.resources.emplace();
  spec.linux_.resources->memory.emplace();
  spec.linux_.resources->memory->limit = 20 << 20;
  CreateOptions o = b.Options(spec);
  o.in.kind = Stdio::Kind::kPipe;
  o.monitor.on = true;
  std::shared_ptr<Runtime> runtime = b.NewRuntime();
  std::unique_ptr<Container> c = REQUIRE_VALUE(runtime->Run(op, o));
  std::unique_ptr<Events> events = REQUIRE_VALUE(runtime->Watch(o.id));
  c->TakeStdio(0).Reset();
  std::vector<Event> seen = Until(events.get(), "exited");
  REQUIRE(Types(seen) == "oom exited");
  REQUIRE(seen[1].status->signal == SIGKILL);
  REQUIRE_OK(c->Delete(op, false));
}

}  // namespace
}  // namespace coaming::run
