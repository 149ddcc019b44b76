#include "base/core/op.h"

#include <poll.h>

#include <cerrno>

#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

constinit const Limits kDefaultLimits;
constexpr int64_t kProgressIntervalNs = 100'000'000;

}  // namespace

Op::Op() : limits_(&kDefaultLimits), clock_(&SystemClock()) {}

Op& Op::set_cancel(const Cancel* cancel) {
  cancel_ = cancel;
  return *this;
}
Op& Op::set_deadline(Deadline deadline) {
  deadline_ = deadline;
  return *this;
}
Op& Op::set_limits(const Limits* limits) {
  limits_ = limits != nullptr ? limits : &kDefaultLimits;
  return *this;
}
Op& Op::set_clock(const Clock* clock) {
  clock_ = clock != nullptr ? clock : &SystemClock();
  return *this;
}
Op& Op::set_events(EventSink* events) {
  events_ = events;
  return *this;
}
Op& Op::set_notes(Notes* notes) {
  notes_ = notes;
  return *this;
}
Op& Op::set_log(LogSink* log) {
  log_ = log;
  return *this;
}

absl::Status Op::Check() const {
  if (cancel_ != nullptr && cancel_->fired()) {
    return Fail("core.cancelled") << "the operation was cancelled";
  }
  if (deadline_.Passed(*clock_)) {
    return Fail("core.deadline_exceeded") << "the operation ran past its deadline";
  }
  return absl::OkStatus();
}

absl::Status Op::Emit(const Event& event) const {
  if (events_ == nullptr) return absl::OkStatus();
  if (const int answer = events_->OnEvent(event); answer != 0) {
    return Fail("core.cancelled").Detail("callback.code", answer)
           << "the progress callback stopped the operation";
  }
  return absl::OkStatus();
}

void Op::AddNote(std::string_view reason, std::string_view subject, std::string_view text) const {
  if (notes_ == nullptr) return;
  notes_->push_back(Note{std::string(reason), std::string(subject), std::string(text)});
}

ProgressMeter::ProgressMeter(const Op& op, std::string_view kind, std::string_view subject,
                             int64_t total, std::string_view unit)
    : op_(op), kind_(kind), subject_(subject), unit_(unit), total_(total) {}

absl::Status ProgressMeter::Send(std::string_view phase, std::string_view text) {
  last_ns_ = op_.clock().MonotonicNs();
  return op_.Emit(Event{kind_, phase, subject_, done_, total_, unit_, text});
}

absl::Status ProgressMeter::Start(std::string_view text) { return Send("start", text); }

absl::Status ProgressMeter::Advance(int64_t done) {
  done_ = done;
  if (op_.clock().MonotonicNs() - last_ns_ < kProgressIntervalNs) return absl::OkStatus();
  return Send("progress", "");
}

absl::Status ProgressMeter::Finish(std::string_view text) { return Send("done", text); }

absl::Status WaitFd(const Op& op, int fd, short events) {
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    pollfd fds[2] = {{fd, events, 0}, {op.cancel() != nullptr ? op.cancel()->fd() : -1, POLLIN, 0}};
    const int n = poll(fds, 2, op.deadline().PollMs(-1, op.clock()));
    if (n < 0 && errno != EINTR) {
      return FailErrno("core.io", errno) << "wait for descriptor " << fd;
    }
    if (n > 0 && fds[0].revents != 0) return absl::OkStatus();
  }
}

}  // namespace coaming::base
