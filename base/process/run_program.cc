// RunProgram: start, feed, gather, wait; bounded in bytes and time, without threads.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/process/process.h"

namespace coaming::base {
namespace {

constexpr size_t kBlock = 64 << 10;
constexpr int kReapMs = 5000;  // a killed process is gone well before

struct Pipe {
  UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return FailErrno("core.io", errno) << "make a pipe";
  Pipe p;
  UniqueFd write_end(fds[1]);
  COAM_ASSIGN_OR_RETURN(p.read, HighFd(fds[0]));
  COAM_ASSIGN_OR_RETURN(p.write, HighFd(write_end.Release()));
  // Only our end: the program expects a blocking pipe.
  if (fcntl(p.read.get(), F_SETFL, O_NONBLOCK) != 0) {
    return FailErrno("core.io", errno) << "set a pipe non-blocking";
  }
  return p;
}

// Standard input is a file in memory: nothing to feed, nothing that can block or raise SIGPIPE.
absl::StatusOr<UniqueFd> InputFile(std::string_view bytes) {
  const int raw = memfd_create("stdin", MFD_CLOEXEC);
  if (raw < 0) return FailErrno("core.io", errno) << "make a file for standard input";
  COAM_ASSIGN_OR_RETURN(UniqueFd fd, HighFd(raw));
  while (!bytes.empty()) {
    const ssize_t n = write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FailErrno("core.no_memory", errno) << "fill standard input";
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (lseek(fd.get(), 0, SEEK_SET) != 0) return FailErrno("core.io", errno) << "rewind a file";
  return fd;
}

// Keeps the first and the last part of what comes.
class Bounded {
 public:
  explicit Bounded(int64_t max) : half_(static_cast<size_t>(std::max<int64_t>(max, 2)) / 2) {}
  void Add(std::string_view bytes) {
    if (head_.size() < half_) {
      const size_t n = std::min(half_ - head_.size(), bytes.size());
      head_ += bytes.substr(0, n);
      bytes.remove_prefix(n);
    }
    tail_ += bytes;
    if (tail_.size() > 2 * half_ + kBlock) Trim();
  }
  std::string Take() {
    Trim();
    if (dropped_ == 0) return head_ + tail_;
    return absl::StrCat(head_, "\n[", dropped_, " bytes left out]\n", tail_);
  }

 private:
  void Trim() {
    if (tail_.size() <= half_) return;
    dropped_ += tail_.size() - half_;
    tail_.erase(0, tail_.size() - half_);
  }
  size_t half_, dropped_ = 0;
  std::string head_, tail_;
};

class Runner {
 public:
  Runner(const Op& op, const ProgramSpec& spec)
      : op_(op),
        spec_(spec),
        max_out_(spec.max_stdout >= 0 ? spec.max_stdout : op.limits().plugin_output_bytes),
        err_(spec.max_stderr) {}

  absl::StatusOr<ProgramResult> Run() {
    COAM_ASSIGN_OR_RETURN(UniqueFd in, InputFile(spec_.stdin_bytes));
    COAM_ASSIGN_OR_RETURN(Pipe out, MakePipe());
    COAM_ASSIGN_OR_RETURN(Pipe err, MakePipe());
    SpawnOptions o;
    o.program = spec_.program;
    o.argv = spec_.argv;
    o.env = spec_.env;
    o.cwd = spec_.cwd;
    o.cwd_fd = spec_.cwd_fd;
    o.new_session = true;
    o.fds = spec_.fds;
    o.fds.push_back({in.get(), 0});
    o.fds.push_back({out.write.get(), 1});
    o.fds.push_back({err.write.get(), 2});
    COAM_ASSIGN_OR_RETURN(child_, Spawn(op_, o));
    out.write.Reset();
    err.write.Reset();
    out_fd_ = std::move(out.read);
    err_fd_ = std::move(err.read);
    absl::Status gathered = Gather();
    if (!gathered.ok()) {
      // All of them, also those that hold our pipes after the program itself has ended.
      (void)child_.SignalGroup(SIGKILL);
      (void)child_.Signal(SIGKILL);
      Op reap;
      reap.set_deadline(Deadline::AfterMs(kReapMs));
      (void)child_.Wait(reap);
      for (int i = 0; i < 64 && err_fd_.ok() && ReadErr(); ++i) {
      }
      return Describe(gathered);
    }
    ProgramResult result;
    COAM_ASSIGN_OR_RETURN(result.status, child_.Wait(op_));
    result.out = std::move(out_);
    result.err = err_.Take();
    return result;
  }

 private:
  absl::Status Describe(const absl::Status& why) {
    Error error = GetError(why);
    error.message = absl::StrCat(spec_.program, ": ", error.message);
    const std::string err = err_.Take();
    if (!err.empty()) error.details.emplace_back("stderr", err);
    return ToStatus(error);
  }

  // Reads until both pipes end, or the program has ended and the linger is over.
  absl::Status Gather() {
    Deadline linger;
    bool ended = false;
    while (out_fd_.ok() || err_fd_.ok()) {
      COAM_RETURN_IF_ERROR(op_.Check());
      pollfd fds[4] = {{out_fd_.get(), POLLIN, 0},
                       {err_fd_.get(), POLLIN, 0},
                       {ended ? -1 : child_.pidfd(), POLLIN, 0},
                       {op_.cancel() != nullptr ? op_.cancel()->fd() : -1, POLLIN, 0}};
      int wait_ms = op_.deadline().PollMs(-1, op_.clock());
      if (ended) {
        const int rest = linger.PollMs();
        if (wait_ms < 0 || rest < wait_ms) wait_ms = rest;
      }
      const int n = poll(fds, 4, wait_ms);
      if (n < 0 && errno != EINTR) return FailErrno("core.io", errno) << "wait for output";
      if (n <= 0) {
        if (ended && linger.Passed()) return absl::OkStatus();
        continue;
      }
      if (fds[0].revents != 0) COAM_RETURN_IF_ERROR(ReadOut());
      if (fds[1].revents != 0) ReadErr();
      if (!ended && fds[2].revents != 0) {
        ended = true;
        linger = Deadline::AfterMs(spec_.linger_ms);
      }
      if (ended && linger.Passed()) return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status ReadOut() {
    const ssize_t n = read(out_fd_.get(), block_.get(), kBlock);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (n <= 0) {
      out_fd_.Reset();
      return absl::OkStatus();
    }
    if (static_cast<int64_t>(out_.size()) + n > max_out_) {
      return FailLimit("plugin_output_bytes", max_out_)
             << "it printed more than " << max_out_ << " bytes";
    }
    out_.append(block_.get(), static_cast<size_t>(n));
    return absl::OkStatus();
  }

  // False if there was nothing.
  bool ReadErr() {
    const ssize_t n = read(err_fd_.get(), block_.get(), kBlock);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
      err_fd_.Reset();
      return false;
    }
    err_.Add({block_.get(), static_cast<size_t>(n)});
    return true;
  }

  const Op& op_;
  const ProgramSpec& spec_;
  const int64_t max_out_;
  Child child_;
  UniqueFd out_fd_, err_fd_;
  std::string out_;
  Bounded err_;
  std::unique_ptr<char[]> block_ = std::make_unique_for_overwrite<char[]>(kBlock);
};

}  // namespace

absl::StatusOr<ProgramResult> RunProgram(const Op& op, const ProgramSpec& spec) {
  return Runner(op, spec).Run();
}

}  // namespace coaming::base
