// Transport's calls: a Flow for each request, and a loop that drives the session.
#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/fork_guard.h"
#include "base/core/status_macros.h"
#include "base/http/exchange.h"
#include "base/http/flow.h"
#include "base/http/transport.h"

namespace coaming::base {
namespace {

using internal::Flow;

// Drives once and lets the flows know how long that took.
absl::Status DriveFor(const Op& op, HttpSession& session, std::span<Flow* const> flows,
                      std::span<const Cancel* const> cancels) {
  int wait_ms = -1;
  for (Flow* flow : flows) {
    const int ms = flow->WaitMs();
    if (wait_ms < 0 || ms < wait_ms) wait_ms = ms;
  }
  const int64_t before = op.clock().MonotonicNs();
  COAM_RETURN_IF_ERROR(session.Drive(op, wait_ms, cancels));
  const int64_t spent = op.clock().MonotonicNs() - before;
  for (Flow* flow : flows) flow->Waited(spent);
  return absl::OkStatus();
}

class Stream final : public HttpStream {
 public:
  Stream(const Op& op, const HttpRequest& request, std::unique_ptr<HttpSession> session)
      : op_(op), request_(request), session_(std::move(session)), flow_(op_, request_) {}

  absl::Status Begin() {
    COAM_RETURN_IF_ERROR(flow_.Begin());
    while (!flow_.has_head() && !flow_.ended()) COAM_RETURN_IF_ERROR(Turn());
    return flow_.has_head() ? absl::OkStatus() : flow_.status();
  }

  const HttpResponse& response() const override { return flow_.response(); }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    for (;;) {
      const size_t n = flow_.Take(out);
      if (n > 0) return n;
      if (flow_.ended()) {
        COAM_RETURN_IF_ERROR(flow_.status());
        return size_t{0};
      }
      if (absl::Status s = Turn(); !s.ok()) {
        flow_.Fail(s);
        return s;
      }
    }
  }

 private:
  absl::Status Turn() {
    if (flow_.Step(*session_) || flow_.ended()) return absl::OkStatus();
    Flow* flows[] = {&flow_};
    return DriveFor(op_, *session_, flows, {});
  }

  const Op& op_;
  const HttpRequest request_;  // the caller's may be gone while the body is read
  std::unique_ptr<HttpSession> session_;
  Flow flow_;
};

// One job of FetchAll under way.
struct Running {
  FetchJob* job;
  std::unique_ptr<Flow> flow;
  bool begun = false;
};

// Moves what is there from the flow to the sink. True if anything moved.
bool Pump(Running& r, std::span<char> block) {
  if (!r.flow->has_head()) return false;
  if (!r.begun && r.flow->response().ok() && r.job->sink != nullptr) {
    r.begun = true;
    if (absl::Status s = r.job->sink->Begin(r.flow->response()); !s.ok()) {
      r.flow->Fail(std::move(s));
      return true;
    }
  }
  // A bound, so that one fast peer does not keep the others waiting.
  for (int i = 0; i < 8; ++i) {
    const size_t n = r.flow->Take(block);
    if (n == 0) return i > 0 || r.flow->ended();
    if (r.job->sink == nullptr) continue;
    if (absl::Status s = r.job->sink->Write({block.data(), n}); !s.ok()) {
      r.flow->Fail(std::move(s));
      return true;
    }
  }
  return true;
}

absl::Status RunAll(const Op& op, HttpSession& session, std::span<FetchJob> jobs, size_t parallel,
                    bool stop_on_error) {
  std::vector<Running> running;
  size_t next = 0;
  absl::Status stop;
  const auto block = std::make_unique_for_overwrite<char[]>(kBlockBytes);
  const std::span<char> span(block.get(), kBlockBytes);
  while (stop.ok() && (next < jobs.size() || !running.empty())) {
    stop = op.Check();
    if (!stop.ok()) break;
    while (running.size() < parallel && next < jobs.size()) {
      FetchJob& job = jobs[next++];
      Running r;
      r.job = &job;
      r.flow = std::make_unique<Flow>(op, job.request);
      if (absl::Status s = r.flow->Begin(); !s.ok()) r.flow->Fail(std::move(s));
      running.push_back(std::move(r));
    }
    bool moved = false;
    for (Running& r : running) {
      if (r.job->cancel != nullptr && r.job->cancel->fired()) {
        r.flow->Fail(Fail("core.cancelled")
                     << UrlForMessage(r.job->request.url) << ": the download was cancelled");
      }
      moved |= r.flow->Step(session);
      moved |= Pump(r, span);
    }
    bool failed = false;
    for (size_t i = 0; i < running.size();) {
      Running& r = running[i];
      if (!r.flow->ended()) {
        ++i;
        continue;
      }
      moved = true;
      if (r.flow->status().ok()) {
        // A body of no bytes, too, begins.
        absl::Status begun;
        if (!r.begun && r.flow->response().ok() && r.job->sink != nullptr) {
          begun = r.job->sink->Begin(r.flow->response());
        }
        r.job->result = begun.ok() ? absl::StatusOr<HttpResponse>(r.flow->response())
                                   : absl::StatusOr<HttpResponse>(begun);
      } else {
        r.job->result = r.flow->status();
        // A listener that said stop means the whole operation.
        if (GetError(r.flow->status()).Detail("callback.code") != "") stop = r.flow->status();
      }
      failed |= !r.job->result.ok();
      running.erase(running.begin() + static_cast<ptrdiff_t>(i));
    }
    if (failed && stop_on_error && stop.ok()) {
      stop = Fail("core.cancelled") << "another download failed";
      break;
    }
    if (moved || running.empty()) continue;
    std::vector<Flow*> flows;
    std::vector<const Cancel*> cancels;
    for (const Running& r : running) {
      flows.push_back(r.flow.get());
      if (r.job->cancel != nullptr) cancels.push_back(r.job->cancel);
    }
    stop = DriveFor(op, session, flows, cancels);
  }
  if (stop.ok()) return absl::OkStatus();
  for (Running& r : running) r.job->result = stop;
  for (; next < jobs.size(); ++next) jobs[next].result = stop;
  running.clear();
  // With stop_on_error the result that matters is with the job that failed.
  return op.Check().ok() && stop_on_error && HasReason(stop, "core.cancelled") &&
                 GetError(stop).Detail("callback.code").empty()
             ? absl::OkStatus()
             : stop;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpStream>> Transport::Open(const Op& op,
                                                            const HttpRequest& request) {
  COAM_RETURN_IF_ERROR(CheckNotForked());
  COAM_RETURN_IF_ERROR(op.Check());
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<HttpSession> session, NewSession());
  auto stream = std::make_unique<Stream>(op, request, std::move(session));
  COAM_RETURN_IF_ERROR(stream->Begin());
  return stream;
}

absl::StatusOr<HttpResponse> Transport::Fetch(const Op& op, const HttpRequest& request,
                                              BodySink* sink) {
  COAM_RETURN_IF_ERROR(CheckNotForked());
  COAM_RETURN_IF_ERROR(op.Check());
  FetchJob job;
  job.request = request;
  job.sink = sink;
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<HttpSession> session, NewSession());
  COAM_RETURN_IF_ERROR(RunAll(op, *session, {&job, 1}, 1, false));
  return std::move(job.result);
}

absl::StatusOr<std::string> Transport::FetchBytes(const Op& op, const HttpRequest& request,
                                                  int64_t max, std::string_view limit_name) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<HttpStream> stream, Open(op, request));
  COAM_RETURN_IF_ERROR(CheckHttpStatus(request, stream->response()));
  const auto too_long = [&] {
    return FailLimit(limit_name, max)
           << UrlForMessage(request.url) << ": the answer is longer than " << max << " bytes";
  };
  if (stream->response().content_length > max && request.method != "HEAD") return too_long();
  std::string out;
  const auto block = std::make_unique_for_overwrite<char[]>(kBlockBytes);
  for (;;) {
    COAM_ASSIGN_OR_RETURN(size_t n, stream->Read({block.get(), kBlockBytes}));
    if (n == 0) return out;
    if (static_cast<int64_t>(out.size() + n) > max) return too_long();
    out.append(block.get(), n);
  }
}

absl::Status Transport::FetchAll(const Op& op, std::span<FetchJob> jobs, bool stop_on_error) {
  COAM_RETURN_IF_ERROR(CheckNotForked());
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<HttpSession> session, NewSession());
  const size_t parallel = static_cast<size_t>(std::max<int64_t>(1, op.limits().parallel_downloads));
  return RunAll(op, *session, jobs, parallel, stop_on_error);
}

}  // namespace coaming::base
