// The host's side of a monitor (launch/monitor.c): what it shall do, its descriptors, its record.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "liboci/runtime/attach.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace internal {

namespace {

absl::StatusOr<std::string> WholePath(const base::Dir& dir) {
  char buffer[4096];
  ssize_t n = readlink(absl::StrCat("/proc/self/fd/", dir.fd()).c_str(), buffer, sizeof buffer);
  if (n <= 0 || n == sizeof buffer)
    return base::FailErrno("core.io", errno) << "finding the path of " << dir.name();
  return std::string(buffer, static_cast<size_t>(n));
}

// Directory and name of a file that need not exist.
absl::StatusOr<std::pair<base::Dir, std::string>> SplitPath(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == ".." || name.size() > 240)
    return base::Fail("core.invalid_argument") << "\"" << path << "\" does not name a log file";
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::Open(slash == std::string::npos ? "."
                                                       : slash == 0               ? "/"
                                                                    : path.substr(0, slash)));
  return std::make_pair(std::move(dir), std::move(name));
}

struct Address {
  struct sockaddr_un sun = {};
  socklen_t size = sizeof sun;
};

absl::StatusOr<Address> AddressOf(const std::string& path, std::string_view what) {
  Address a;
  a.sun.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof a.sun.sun_path)
    return base::Fail("core.invalid_argument")
           << what << " \"" << path << "\": the path is too long";
  memcpy(a.sun.sun_path, path.data(), path.size());
  // "@name" is a socket without a file.
  if (path[0] == '@') {
    a.sun.sun_path[0] = '\0';
    a.size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
  }
  return a;
}

absl::StatusOr<base::UniqueFd> Socket(int type) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a socket";
  return base::HighFd(fd);
}

absl::StatusOr<base::UniqueFd> Bound(int dir, const std::string& name, int type, mode_t mode) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, Socket(type));
  COAM_ASSIGN_OR_RETURN(Address a,
                        AddressOf(absl::StrCat("/proc/self/fd/", dir, "/", name), "the socket"));
  if (bind(fd.get(), reinterpret_cast<struct sockaddr*>(&a.sun), a.size) != 0 ||
      fchmodat(dir, name.c_str(), mode, 0) != 0 ||
      (type == SOCK_SEQPACKET && listen(fd.get(), 16) != 0))
    return base::FailErrno("core.io", errno) << "making the socket " << name;
  return fd;
}

}  // namespace

absl::StatusOr<Monitor> PlanMonitor(const CreateOptions& o, bool terminal,
                                    const std::string& state_root) {
  Monitor m;
  const MonitorOptions& wanted = o.monitor;
  bool relays = !wanted.log_path.empty();
  for (const Stdio* s : {&o.in, &o.out, &o.err}) relays |= s->kind == Stdio::Kind::kRelay;
  m.plan.on = wanted.on || relays || !o.notify_socket.empty();
  if (!m.plan.on) return m;
  if (wanted.log_max_size < 0 || wanted.log_max_files < 1 || wanted.log_max_files > 1000)
    return base::Fail("core.invalid_argument") << "a log has 1 to 1000 files, and no negative size";
  uint32_t& flags = m.plan.flags;
  if (terminal && o.console_socket.empty() && (wanted.on || relays)) {
    flags |= COAM_MONITOR_TERMINAL | COAM_MONITOR_ATTACH;
  } else if (!terminal) {
    auto relayed = [&](const Stdio& s, bool output) {
      return s.kind == Stdio::Kind::kRelay ||
             (output && s.kind == Stdio::Kind::kInherit && !wanted.log_path.empty());
    };
    if (relayed(o.in, false)) flags |= COAM_MONITOR_IN | COAM_MONITOR_ATTACH;
    if (relayed(o.out, true)) flags |= COAM_MONITOR_OUT | COAM_MONITOR_ATTACH;
    if (relayed(o.err, true)) flags |= COAM_MONITOR_ERR | COAM_MONITOR_ATTACH;
  }
  if (!wanted.log_path.empty()) {
    flags |= COAM_MONITOR_LOG | COAM_MONITOR_ATTACH;
    COAM_ASSIGN_OR_RETURN(auto place, SplitPath(wanted.log_path));
    COAM_ASSIGN_OR_RETURN(std::string dir, WholePath(place.first));
    m.log_path = absl::StrCat(dir == "/" ? "" : dir, "/", place.second);
    m.plan.log_name = place.second;
    m.plan.log_max_size = static_cast<uint64_t>(wanted.log_max_size);
    m.plan.log_max_files = static_cast<uint64_t>(wanted.log_max_files);
  }
  if (!o.notify_socket.empty()) {
    flags |= COAM_MONITOR_NOTIFY;
    COAM_ASSIGN_OR_RETURN(base::Dir root, base::Dir::Open(state_root));
    COAM_ASSIGN_OR_RETURN(std::string whole, WholePath(root));
    m.notify_dir = absl::StrCat(whole, "/", o.id, "/notify");
  }
  return m;
}

absl::Status OpenMonitor(const CreateOptions& o, int state_dir, Stdios* stdio, Monitor* m) {
  m->fds.resize(COAM_MONITOR_SLOTS);
  auto& fds = m->fds;
  uint32_t flags = m->plan.flags;
  COAM_ASSIGN_OR_RETURN(fds[COAM_MONITOR_STATE_DIR], base::DupFd(state_dir));
  if (flags & COAM_MONITOR_LOG) {
    COAM_ASSIGN_OR_RETURN(auto place, SplitPath(m->log_path));
    COAM_ASSIGN_OR_RETURN(fds[COAM_MONITOR_LOG_DIR], base::DupFd(place.first.fd()));
  }
  if (flags & COAM_MONITOR_ATTACH) {
    COAM_ASSIGN_OR_RETURN(fds[COAM_MONITOR_ATTACH_FD],
                          Bound(state_dir, "attach", SOCK_SEQPACKET, 0600));
  }
  constexpr uint32_t kRelays[] = {COAM_MONITOR_IN, COAM_MONITOR_OUT, COAM_MONITOR_ERR};
  for (int i = 0; i < 3; ++i)
    if (flags & kRelays[i]) fds[COAM_MONITOR_IN_FD + i] = std::move(stdio->ours[i]);
  if (flags & COAM_MONITOR_NOTIFY) {
    if (mkdirat(state_dir, "notify", 0755) != 0)
      return base::FailErrno("core.io", errno) << "making " << m->notify_dir;
    int fd = OpenAt(state_dir, "notify", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0) return base::FailErrno("core.io", -fd) << "opening " << m->notify_dir;
    base::UniqueFd dir(fd);
    // Any user of the container may use it, whatever the host's umask.
    if (fchmod(fd, 0755) != 0) return base::FailErrno("core.io", errno) << "opening up the socket";
    COAM_ASSIGN_OR_RETURN(fds[COAM_MONITOR_NOTIFY_FD], Bound(fd, "notify.sock", SOCK_DGRAM, 0777));
    COAM_ASSIGN_OR_RETURN(base::UniqueFd host, Socket(SOCK_DGRAM));
    COAM_ASSIGN_OR_RETURN(Address a, AddressOf(o.notify_socket, "the notify socket"));
    if (connect(host.get(), reinterpret_cast<struct sockaddr*>(&a.sun), a.size) != 0)
      return base::FailErrno("run.monitor", errno)
             << "connecting to the notify socket " << o.notify_socket;
    fds[COAM_MONITOR_NOTIFY_HOST_FD] = std::move(host);
  }
  return absl::OkStatus();
}

std::optional<ExitStatus> ReadExit(int state_dir) {
  std::string text;
  int error = 0, status = 0;
  if (!ReadAt(state_dir, "exit", &text, &error) ||
      !absl::SimpleAtoi(text.substr(0, text.find(' ')), &status))
    return std::nullopt;
  return FromWaitStatus(status);
}

}  // namespace internal

// ---- Attaching ------------------------------------------------------------------------------------

namespace {

// A monitor answers at once, but for a disk that does not.
constexpr int64_t kAnswerMs = 10000;

absl::Status NoMonitor(const internal::ContainerRep& c, std::string_view why) {
  return base::Fail("run.monitor") << "container \"" << c.record.id << "\" " << why;
}

absl::StatusOr<base::UniqueFd> Reach(const internal::ContainerRep& c) {
  if (c.record.monitor == 0) return NoMonitor(c, "has no monitor");
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, internal::Socket(SOCK_SEQPACKET));
  COAM_ASSIGN_OR_RETURN(
      internal::Address a,
      internal::AddressOf(absl::StrCat("/proc/self/fd/", c.dir.get(), "/attach"), "the socket"));
  if (connect(fd.get(), reinterpret_cast<struct sockaddr*>(&a.sun), a.size) == 0) return fd;
  if (errno == ENOENT) return NoMonitor(c, "has nothing to attach to: it relays no stream");
  if (errno == ECONNREFUSED) return NoMonitor(c, "has no monitor any more");
  return base::FailErrno("core.io", errno) << "reaching the monitor of " << c.record.id;
}

absl::Status SendPacket(const base::Op& op, int fd, char kind, std::string_view bytes) {
  std::string packet(1, kind);
  packet.append(bytes);
  for (;;) {
    ssize_t n = send(fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return absl::OkStatus();
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return base::FailErrno("run.monitor", errno) << "telling the monitor";
    COAM_RETURN_IF_ERROR(base::WaitFd(op, fd, POLLOUT));
  }
}

// Asks for something and waits for the answer, an errno.
absl::Status Ask(const base::Op& op, int fd, char kind, std::string_view bytes,
                 std::string_view what) {
  COAM_RETURN_IF_ERROR(SendPacket(op, fd, kind, bytes));
  COAM_RETURN_IF_ERROR(base::WaitFd(op, fd, POLLIN));
  char answer[8];
  ssize_t n;
  do n = recv(fd, answer, sizeof answer, 0);
  while (n < 0 && errno == EINTR);
  int error = 0;
  if (n != 5 || answer[0] != COAM_ATTACH_REPLY)
    return base::Fail("run.monitor") << what << ": the monitor is gone";
  memcpy(&error, answer + 1, sizeof error);
  if (error == 0) return absl::OkStatus();
  return base::FailErrno("run.monitor", error) << what;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Attachment>> Container::Attach(const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, Reach(*rep_));
  COAM_RETURN_IF_ERROR(Ask(op, fd.get(), COAM_ATTACH_OUTPUT, "", "attaching"));
  return std::unique_ptr<Attachment>(new Attachment(std::move(fd)));
}

absl::Status Container::Resize(int rows, int columns) const {
  if (rows < 0 || columns < 0 || rows > 65535 || columns > 65535)
    return base::Fail("core.invalid_argument")
           << "a terminal cannot have " << rows << " rows and " << columns << " columns";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, Reach(*rep_));
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(kAnswerMs));
  uint16_t size[2] = {static_cast<uint16_t>(rows), static_cast<uint16_t>(columns)};
  return Ask(op, fd.get(), COAM_ATTACH_SIZE,
             std::string_view(reinterpret_cast<const char*>(size), sizeof size),
             "setting the size of the terminal");
}

absl::Status Container::ReopenLog() const {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, Reach(*rep_));
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(kAnswerMs));
  return Ask(op, fd.get(), COAM_ATTACH_REOPEN, "", "opening the log again");
}

Attachment::Attachment(base::UniqueFd fd) : fd_(std::move(fd)) {}
Attachment::~Attachment() = default;

absl::StatusOr<Attachment::Piece> Attachment::Next() {
  Piece piece;
  if (ended_) {
    piece.kind = Piece::Kind::kEnd;
    return piece;
  }
  char packet[1 + COAM_ATTACH_MAX];
  ssize_t n;
  do n = recv(fd_.get(), packet, sizeof packet, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return piece;
  if (n < 0 && errno != ECONNRESET)
    return base::FailErrno("core.io", errno) << "reading from the monitor";
  if (n > 0 && (packet[0] == 1 || packet[0] == 2)) {
    piece.kind = packet[0] == 1 ? Piece::Kind::kOutput : Piece::Kind::kError;
    piece.bytes.assign(packet + 1, static_cast<size_t>(n) - 1);
    return piece;
  }
  ended_ = true;
  piece.kind = Piece::Kind::kEnd;
  if (n == 5 && packet[0] == COAM_ATTACH_END) {
    int status = 0;
    memcpy(&status, packet + 1, sizeof status);
    piece.status = internal::FromWaitStatus(status);
    return piece;
  }
  return base::Fail("run.monitor")
         << "the monitor has let go of this reader, which did not keep up, or it was killed";
}

absl::Status Attachment::Send(const base::Op& op, std::string_view bytes) {
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, COAM_ATTACH_MAX);
    COAM_RETURN_IF_ERROR(SendPacket(op, fd_.get(), COAM_ATTACH_INPUT, part));
    bytes.remove_prefix(part.size());
  }
  return absl::OkStatus();
}

absl::Status Attachment::CloseInput(const base::Op& op) {
  return SendPacket(op, fd_.get(), COAM_ATTACH_CLOSE, "");
}

}  // namespace coaming::run
