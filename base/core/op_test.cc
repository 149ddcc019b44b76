#include "base/core/op.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/core/fork_guard.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

class Fixed : public Clock {
 public:
  int64_t MonotonicNs() const override { return now; }
  int64_t RealtimeNs() const override { return now; }
  int64_t now = 1'000'000'000;
};

class Recorder : public EventSink {
 public:
  int OnEvent(const Event& event) override {
    phases.emplace_back(event.phase);
    last_done = event.done;
    return answer;
  }
  std::vector<std::string> phases;
  int64_t last_done = -1;
  int answer = 0;
};

TEST_CASE("op: progress comes first, at most every 100 ms, and last", "[base][core]") {
  Fixed clock;
  Recorder recorder;
  Op op;
  op.set_clock(&clock).set_events(&recorder);
  ProgressMeter meter(op, "download", "sha256:x", 1000, "bytes");
  REQUIRE(meter.Start().ok());
  for (int i = 1; i <= 100; ++i) {
    clock.now += 10'000'000;
    REQUIRE(meter.Advance(i * 10).ok());
  }
  REQUIRE(meter.Finish().ok());
  CHECK(recorder.phases.size() == 12);
  CHECK(recorder.phases.front() == "start");
  CHECK(recorder.phases.back() == "done");
  CHECK(recorder.last_done == 1000);
}

TEST_CASE("op: a listener's own stop code is kept", "[base][core]") {
  Recorder recorder;
  recorder.answer = 42;
  Op op;
  op.set_events(&recorder);
  const absl::Status status = op.Emit(Event{});
  CHECK(HasReason(status, "core.cancelled"));
  CHECK(GetError(status).Detail("callback.code") == "42");
}

TEST_CASE("op: cancel ends a wait from another thread", "[base][core]") {
  auto cancel = *Cancel::New();
  Op op;
  op.set_cancel(cancel.get());
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  UniqueFd in(fds[0]), out(fds[1]);
  std::thread other([&] { cancel->Fire(); });
  CHECK(HasReason(WaitFd(op, in.get(), POLLIN), "core.cancelled"));
  other.join();
}

TEST_CASE("op: a deadline ends a wait", "[base][core]") {
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  UniqueFd in(fds[0]), out(fds[1]);
  Op op;
  op.set_deadline(Deadline::AfterMs(1));
  CHECK(HasReason(WaitFd(op, in.get(), POLLIN), "core.deadline_exceeded"));
}

TEST_CASE("fork guard: a forked child is told so, its parent is not", "[base][core]") {
  REQUIRE(CheckNotForked().ok());
  const pid_t child = fork();
  if (child == 0) _exit(HasReason(CheckNotForked(), "core.forked") ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(CheckNotForked().ok());
}

TEST_CASE("limits: each row names its member and default", "[base][core]") {
  const Limits limits;
  size_t rows = 0;
  for (; const LimitInfo* row = LimitAt(rows); ++rows) {
    CHECK(limits.*(row->field) == row->fallback);
    CHECK(FindLimit(row->name) == row);
  }
  CHECK(rows >= 20);
}

TEST_CASE("fds: a descriptor at 0 to 2 moves up and is close-on-exec", "[base][core]") {
  const int saved = dup(0);
  close(0);
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  REQUIRE(fds[0] == 0);
  auto high = HighFd(fds[0]);
  REQUIRE(high.ok());
  CHECK(high->get() > 2);
  close(fds[1]);
  REQUIRE(dup2(saved, 0) == 0);
  close(saved);
}

}  // namespace
}  // namespace coaming::base
