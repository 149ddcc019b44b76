// Op is what every long operation carries: cancel, deadline, limits, clock, progress, notes, log.
//
// It borrows everything; the caller keeps the pieces alive for the call. A default Op has no
// cancel, no deadline, default limits, the system clock and nobody listening.
// Threads: Check and the getters may be used from worker threads of the operation; Emit only on the
// thread that made the call, since it runs the host's callback (DESIGN 2.7).
#ifndef COAMING_BASE_CORE_OP_H_
#define COAMING_BASE_CORE_OP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/core/cancel.h"
#include "base/core/clock.h"
#include "base/core/limits.h"
#include "base/core/log.h"

namespace coaming::base {

// Event is one piece of news about a running operation.
struct Event {
  std::string_view kind;     // "download", "unpack", "verify", "discover", "launch", ...
  std::string_view phase;    // "start", "progress", "done", "skip"
  std::string_view subject;  // digest, URL without query, path: what `done` counts for
  int64_t done = 0;
  int64_t total = -1;     // -1 if not known
  std::string_view unit;  // "bytes", "entries", "" for none
  std::string_view text;  // one line for people; may be empty
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Zero goes on; any other value stops the operation, which returns core.cancelled with the value
  // in the detail callback.code.
  virtual int OnEvent(const Event& event) = 0;
};

// Note is a "done, but": the operation succeeded and something was not as asked.
struct Note {
  std::string reason;   // dotted name ("layer.xattr_dropped")
  std::string subject;  // path, digest, name
  std::string text;     // one line
};
using Notes = std::vector<Note>;

class Op {
 public:
  Op();  // defaults

  Op& set_cancel(const Cancel* cancel);
  Op& set_deadline(Deadline deadline);
  Op& set_limits(const Limits* limits);
  Op& set_clock(const Clock* clock);
  Op& set_events(EventSink* events);
  Op& set_notes(Notes* notes);
  Op& set_log(LogSink* log);

  const Cancel* cancel() const { return cancel_; }
  Deadline deadline() const { return deadline_; }
  const Limits& limits() const { return *limits_; }
  const Clock& clock() const { return *clock_; }
  LogSink* log() const { return log_; }  // may be null

  // Check fails with core.cancelled or core.deadline_exceeded if the operation must stop now.
  // Cheap: call it once per block, entry or step.
  absl::Status Check() const;
  // Emit tells the listener, if any, and fails with core.cancelled if the listener said stop.
  absl::Status Emit(const Event& event) const;
  // AddNote keeps a note, if anybody collects them. Only on the calling thread.
  void AddNote(std::string_view reason, std::string_view subject, std::string_view text) const;

 private:
  const Cancel* cancel_ = nullptr;
  Deadline deadline_;
  const Limits* limits_;
  const Clock* clock_;
  EventSink* events_ = nullptr;
  Notes* notes_ = nullptr;
  LogSink* log_ = nullptr;
};

// ProgressMeter emits at most one "progress" event every 100 ms for its subject, always "start" and
// "done". Threads: [single], on the calling thread.
class ProgressMeter {
 public:
  ProgressMeter(const Op& op, std::string_view kind, std::string_view subject, int64_t total,
                std::string_view unit);
  absl::Status Start(std::string_view text = "");
  absl::Status Advance(int64_t done);  // the new absolute count
  absl::Status Finish(std::string_view text = "");

 private:
  absl::Status Send(std::string_view phase, std::string_view text);
  const Op& op_;
  std::string kind_, subject_, unit_;
  int64_t done_ = 0, total_, last_ns_ = 0;
};

// WaitFd waits until `fd` has `events` (poll bits), the operation is cancelled or its deadline
// passes. Errors: core.cancelled, core.deadline_exceeded, core.io.
absl::Status WaitFd(const Op& op, int fd, short events);

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_OP_H_
