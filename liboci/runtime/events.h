// Events is a stream of what happens to the containers of one state root, whoever makes it happen.
//
//   COAM_ASSIGN_OR_RETURN(auto events, runtime->Watch(""));
//   for (;;) { WaitFd(op, events->poll_fd(), POLLIN); while (auto e = events->Next()) ... }
//
// "created", "started", "paused", "resumed" and "deleted" are told by the process that does it (any
// user of the library on this state root), "exited" and "oom" are seen by the stream itself, through
// the pidfd and the memory cgroup. Containers that are there already are watched without an event.
// A stream that leaves 4,096 of the told ones unread (net.core.somaxconn) misses those after.
// Ownership: keeps the Runtime alive; its socket in STATE/.events goes with it. Threads: [single].
#ifndef COAMING_LIBOCI_RUNTIME_EVENTS_H_
#define COAMING_LIBOCI_RUNTIME_EVENTS_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/executor.h"

namespace coaming::run {

struct Event {
  std::string type, id;
  int64_t time_ns = 0;  // CLOCK_REALTIME
  pid_t pid = 0;
  std::optional<ExitStatus> status;  // of "exited", where it can be known
};
// {"type", "id", "time", "data": {"pid", "code", "signal"}}, as `runc events` nests its own.
std::string EventToJson(const Event& event);

class Events {
 public:
  ~Events();
  // Readable when Next has something, but for what one call has left over: call it until it gives
  // nothing. Borrowed.
  int poll_fd() const { return epoll_.get(); }
  // Next gives the next event, or nothing; it never waits.
  absl::StatusOr<std::optional<Event>> Next();

 private:
  friend class Runtime;
  struct Watched;
  Events(std::shared_ptr<Runtime> runtime, internal::RuntimeRep* host, std::string id);
  absl::Status Open();
  absl::Status WatchOne(const std::string& id, base::UniqueFd pidfd);
  bool Add(Watched* w, int fd, char what, const std::string& id);
  void Drop(Watched* w);
  void Accept();
  bool Told(int speaker);
  void CheckAll();
  void Seen(const std::string& id, char what);
  void Exited(const std::string& id, Watched* w, std::optional<ExitStatus> status);
  void CheckOom(const std::string& id, Watched* w);
  void Emit(std::string_view type, const std::string& id, pid_t pid,
            const std::optional<ExitStatus>& status = {});

  std::shared_ptr<Runtime> runtime_;
  internal::RuntimeRep* host_;
  const std::string id_;
  std::string name_;  // of the socket in .events
  base::UniqueFd epoll_, listener_, timer_;
  std::map<std::string, std::unique_ptr<Watched>, std::less<>> watched_;
  std::map<uint64_t, std::string> keys_;  // what a descriptor in the epoll set stands for
  uint64_t next_key_ = 1;
  // Those that have connected and not yet spoken, by key.
  std::map<uint64_t, base::UniqueFd> speakers_;
  std::deque<Event> ready_;
};

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_EVENTS_H_
