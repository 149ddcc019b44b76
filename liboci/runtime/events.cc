#include "liboci/runtime/events.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

using base::json::Value;

constexpr char kDir[] = ".events";
constexpr size_t kMaxMessage = 4096;

int64_t Now() {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * int64_t{1000000000} + t.tv_nsec;
}

struct sockaddr_un AddressIn(int dir, const std::string& name) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", dir, "/", name);
  memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

Value ToValue(const Event& e, bool readable) {
  Value v = Value::MakeObject(), data = Value::MakeObject();
  v.Set("type", e.type);
  v.Set("id", e.id);
  if (readable) v.Set("time", base::FormatRfc3339(e.time_ns));
  else v.Set("time", e.time_ns);
  if (e.pid > 0) data.Set("pid", static_cast<int64_t>(e.pid));
  if (e.status) {
    data.Set("code", e.status->code);
    data.Set("signal", e.status->signal);
  }
  v.Set("data", std::move(data));
  return v;
}

std::optional<Event> FromText(std::string_view text) {
  absl::StatusOr<Value> v = base::json::ParseObject(text);
  if (!v.ok()) return std::nullopt;
  auto number = [](const Value* o, std::string_view key) -> std::optional<int64_t> {
    const Value* m = o == nullptr ? nullptr : o->Find(key);
    return m == nullptr ? std::nullopt : m->as_int64();
  };
  const Value *type = v->Find("type"), *id = v->Find("id"), *data = v->Find("data");
  if (type == nullptr || id == nullptr || !CheckId(id->as_string()).ok()) return std::nullopt;
  Event e;
  e.type = type->as_string();
  e.id = id->as_string();
  e.time_ns = number(&*v, "time").value_or(0);
  e.pid = static_cast<pid_t>(number(data, "pid").value_or(0));
  if (std::optional<int64_t> code = number(data, "code")) {
    e.status.emplace();
    e.status->code = static_cast<int>(*code);
    e.status->signal = static_cast<int>(number(data, "signal").value_or(0));
  }
  return e;
}

void Tell(int dir, const std::string& name, const std::string& text, int pidfd) {
  int raw = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  absl::StatusOr<base::UniqueFd> s = base::HighFd(raw);
  if (raw < 0 || !s.ok()) return;
  struct sockaddr_un address = AddressIn(dir, name);
  if (connect(s->get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) unlinkat(dir, name.c_str(), 0);  // of a listener that was killed
    return;
  }
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct iovec iov = {const_cast<char*>(text.data()), text.size()};
  struct msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (pidfd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pidfd, sizeof pidfd);
  }
  sendmsg(s->get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

std::string EventToJson(const Event& event) { return base::json::Write(ToValue(event, true)); }

namespace internal {

void Announce(const RuntimeRep& host, std::string_view type, const Record& record, int pidfd,
              const std::optional<ExitStatus>& status) {
  // One failing call where nobody listens.
  int raw = OpenAt(host.store.dir().fd(), kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (raw < 0) return;
  absl::StatusOr<base::Dir> dir = base::Dir::FromFd(base::UniqueFd(raw), kDir);
  if (!dir.ok()) return;
  absl::StatusOr<std::vector<base::DirEntry>> listeners = dir->List();
  if (!listeners.ok()) return;
  Event e;
  e.type = type;
  e.id = record.id;
  e.time_ns = Now();
  e.pid = record.pid;
  e.status = status;
  std::string text = base::json::Write(ToValue(e, false));
  // A hidden one does not listen yet.
  for (const base::DirEntry& l : *listeners)
    if (l.name[0] != '.') Tell(dir->fd(), l.name, text, pidfd);
}

}  // namespace internal

// A container whose end and memory are watched.
struct Events::Watched {
  pid_t pid = 0;
  bool exited = false;
  int64_t oom_kills = 0;  // told
  std::string cgroup_path;
  base::UniqueFd pidfd, oom, monitor_pidfd;
  base::UniqueFd dir;          // of a monitor's record
  std::vector<uint64_t> keys;  // of its descriptors in the epoll set
};

Events::Events(std::shared_ptr<Runtime> runtime, internal::RuntimeRep* host, std::string id)
    : runtime_(std::move(runtime)), host_(host), id_(std::move(id)) {}

Events::~Events() {
  if (name_.empty()) return;
  int root = host_->store.dir().fd();
  int dir = OpenAt(root, kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (dir < 0) return;
  base::UniqueFd owner(dir);
  unlinkat(dir, name_.c_str(), 0);
  // The last one takes the directory away, so that nobody looks into it in vain.
  unlinkat(root, kDir, AT_REMOVEDIR);
}

bool Events::Add(Watched* w, int fd, char what, const std::string& id) {
  struct epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = next_key_;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  if (w != nullptr) w->keys.push_back(next_key_);
  keys_[next_key_++] = absl::StrCat(std::string_view(&what, 1), id);
  return true;
}

// A pidfd that came in a message is the sender's too: closing it alone would leave it in the set.
void Events::Drop(Watched* w) {
  for (base::UniqueFd* fd : {&w->pidfd, &w->oom, &w->monitor_pidfd}) {
    if (fd->ok()) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd->get(), nullptr);
    fd->Reset();
  }
  for (uint64_t key : w->keys) keys_.erase(key);
  w->keys.clear();
}

absl::Status Events::Open() {
  COAM_ASSIGN_OR_RETURN(epoll_, base::HighFd(epoll_create1(EPOLL_CLOEXEC)));
  COAM_ASSIGN_OR_RETURN(
      listener_, base::HighFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  static std::atomic<uint64_t> number{0};
  std::string name = absl::StrCat(getpid(), "-", number++, "-", Now());
  int root = host_->store.dir().fd();
  // Made under a hidden name, which nobody tells anything, until it listens. Another listener's end
  // may take the directory away in between.
  std::string hidden = absl::StrCat(".", name);
  base::UniqueFd dir;
  for (int tries = 0;; ++tries) {
    if (mkdirat(root, kDir, 0700) != 0 && errno != EEXIST)
      return base::FailErrno("core.io", errno) << "making " << host_->store.root() << "/" << kDir;
    int opened = OpenAt(root, kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    dir.Reset(opened < 0 ? -1 : opened);
    struct sockaddr_un address = AddressIn(opened, hidden);
    if (opened >= 0 &&
        bind(listener_.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) == 0)
      break;
    const int error = opened < 0 ? -opened : errno;
    if (tries == 100 || error != ENOENT)
      return base::FailErrno("core.io", error) << "making a socket for events";
  }
  if (listen(listener_.get(), 4096) != 0 ||
      renameat(dir.get(), hidden.c_str(), dir.get(), name.c_str()) != 0) {
    const int error = errno;
    unlinkat(dir.get(), hidden.c_str(), 0);
    return base::FailErrno("core.io", error) << "listening for events";
  }
  name_ = name;
  COAM_ASSIGN_OR_RETURN(timer_,
                        base::HighFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)));
  if (!Add(nullptr, timer_.get(), 'c', "") || !Add(nullptr, listener_.get(), 't', ""))
    return base::FailErrno("core.io", errno) << "watching a socket";
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> ids, host_->store.Ids());
  for (const std::string& id : ids)
    if (id_.empty() || id == id_) COAM_RETURN_IF_ERROR(WatchOne(id, base::UniqueFd()));
  return absl::OkStatus();
}

absl::Status Events::WatchOne(const std::string& id, base::UniqueFd pidfd) {
  absl::StatusOr<StateStore::Found> found = host_->store.Read(id);
  auto w = std::make_unique<Watched>();
  if (found.ok()) {
    const Record& r = found->record;
    w->pid = r.pid;
    if (!pidfd.ok()) pidfd = internal::OpenProcess(r.pid, r.identity);
    w->cgroup_path = r.cgroup_path;
    w->monitor_pidfd = internal::OpenProcess(r.monitor, r.monitor_identity);
    if (r.monitor != 0) w->dir = std::move(found->dir);
    if (!r.cgroup_path.empty()) {
      Cgroups cgroups(host_->cgroups.get(), r.cgroup_path);
      w->oom = cgroups.OomFd();
      w->oom_kills = cgroups.OomKills();
    }
  }
  w->pidfd = std::move(pidfd);
  w->exited = !w->pidfd.ok();  // before this stream began
  std::unique_ptr<Watched>& place = watched_[id];
  if (place != nullptr) Drop(place.get());
  place = std::move(w);
  Watched* now = place.get();
  if (now->pidfd.ok() && !Add(now, now->pidfd.get(), 'x', id))
    return base::FailErrno("core.io", errno) << "watching container " << id;
  if (now->oom.ok() && !Add(now, now->oom.get(), 'o', id))
    return base::FailErrno("core.io", errno) << "watching the memory of container " << id;
  return absl::OkStatus();
}

void Events::Emit(std::string_view type, const std::string& id, pid_t pid,
                  const std::optional<ExitStatus>& status) {
  Event e;
  e.type = type;
  e.id = id;
  e.time_ns = Now();
  e.pid = pid;
  e.status = status;
  ready_.push_back(std::move(e));
}

void Events::CheckOom(const std::string& id, Watched* w) {
  if (w->exited || w->cgroup_path.empty()) return;
  int64_t kills = Cgroups(host_->cgroups.get(), w->cgroup_path).OomKills();
  if (kills <= w->oom_kills) return;  // -1: the cgroup has gone, which is signalled too
  Emit("oom", id, w->pid);
  w->oom_kills = kills;
}

void Events::Exited(const std::string& id, Watched* w, std::optional<ExitStatus> status) {
  if (w->exited) return;
  CheckOom(id, w);
  w->exited = true;
  if (!status && w->dir.ok()) status = internal::ReadExit(w->dir.get());
  if (!status && w->pidfd.ok()) {
    absl::StatusOr<std::optional<ExitStatus>> got =
        internal::ReapPidfd(w->pidfd.get(), false, /*keep=*/true);
    if (got.ok()) status = *got;
  }
  Emit("exited", id, w->pid, status);
  Drop(w);
}

void Events::Seen(const std::string& id, char what) {
  auto it = watched_.find(id);
  if (it == watched_.end()) return;
  Watched* w = it->second.get();
  if (what == 'o') {
    uint64_t ignored[64];
    // On v1 the signal comes before the kernel counts, and again and again until the victim is gone:
    // the counter is read a little later.
    struct itimerspec soon = {{0, 0}, {0, 20'000'000}};
    if (w->oom.ok() && read(w->oom.get(), ignored, sizeof ignored) > 0)
      timerfd_settime(timer_.get(), 0, &soon, nullptr);
    return;
  }
  // The monitor tells the status, but only when it has drained the log.
  if (what == 'x' && w->monitor_pidfd.ok()) {
    struct pollfd p = {w->monitor_pidfd.get(), POLLIN, 0};
    if (poll(&p, 1, 0) == 0 && Add(w, w->monitor_pidfd.get(), 'm', id)) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, w->pidfd.get(), nullptr);
      return;
    }
  }
  Exited(id, w, std::nullopt);
}

void Events::Accept() {
  for (;;) {
    int raw = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (raw < 0) return;
    absl::StatusOr<base::UniqueFd> c = base::HighFd(raw);
    if (!c.ok() || Told(c->get())) continue;
    const uint64_t key = next_key_;
    if (Add(nullptr, c->get(), 's', "")) speakers_[key] = *std::move(c);
  }
}

// Takes what one process has to tell; false if it has only connected so far.
bool Events::Told(int speaker) {
  char text[kMaxMessage];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct iovec iov = {text, sizeof text};
  struct msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = recvmsg(speaker, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n <= 0) return n == 0 || errno != EAGAIN;
  base::UniqueFd pidfd;
  for (cmsghdr* h = CMSG_FIRSTHDR(&message); h != nullptr; h = CMSG_NXTHDR(&message, h))
    if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
      int fd;
      memcpy(&fd, CMSG_DATA(h), sizeof fd);
      pidfd.Reset(fd);
    }
  std::optional<Event> e = FromText(std::string_view(text, static_cast<size_t>(n)));
  if (!e || (!id_.empty() && e->id != id_)) return true;
  std::optional<ExitStatus> status = std::exchange(e->status, std::nullopt);
  if (e->type == "created") {
    WatchOne(e->id, std::move(pidfd)).IgnoreError();  // without: no news of its end
    watched_[e->id]->pid = e->pid;
    ready_.push_back(*std::move(e));
    return true;
  }
  auto it = watched_.find(e->id);
  bool deleted = e->type == "deleted";
  if (deleted && it != watched_.end()) Exited(e->id, it->second.get(), status);
  ready_.push_back(*std::move(e));
  if (deleted && it != watched_.end()) {
    Drop(it->second.get());
    watched_.erase(it);
  }
  return true;
}

void Events::CheckAll() {
  uint64_t ticks = 0;
  if (read(timer_.get(), &ticks, sizeof ticks) < 0) return;
  for (auto& [id, w] : watched_) CheckOom(id, w.get());
}

absl::StatusOr<std::optional<Event>> Events::Next() {
  if (ready_.empty()) {
    struct epoll_event events[32];
    int n = epoll_wait(epoll_.get(), events, 32, 0);
    if (n < 0 && errno != EINTR) return base::FailErrno("core.io", errno) << "watching containers";
    for (int i = 0; i < n; ++i) {
      auto key = keys_.find(events[i].data.u64);
      if (key == keys_.end()) continue;
      std::string what = key->second;
      if (what[0] == 't') {
        Accept();
      } else if (what[0] == 's') {
        const uint64_t speaker = key->first;
        if (!Told(speakers_[speaker].get())) continue;
        speakers_.erase(speaker);
        keys_.erase(speaker);
      } else if (what[0] == 'c') CheckAll();
      else Seen(what.substr(1), what[0]);
    }
  }
  if (ready_.empty()) return std::optional<Event>();
  Event e = std::move(ready_.front());
  ready_.pop_front();
  return std::optional<Event>(std::move(e));
}

absl::StatusOr<std::unique_ptr<Events>> Runtime::Watch(std::string_view id) {
  if (!id.empty()) COAM_RETURN_IF_ERROR(CheckId(id));
  std::unique_ptr<Events> events(new Events(shared_from_this(), rep_.get(), std::string(id)));
  COAM_RETURN_IF_ERROR(events->Open());
  return events;
}

}  // namespace coaming::run
