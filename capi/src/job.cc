#include "capi/src/job.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

struct coam_job : coaming::capi::Object, private coaming::base::EventSink {
  coam_job(std::string_view f, coam_context* c, const coam_options* o)
      : family(f),
        context(coaming::capi::Ref<coam_context>::Share(c)),
        options(coaming::capi::Ref<coam_options>::Adopt(o != nullptr ? new coam_options(*o)
                                                                     : nullptr)) {}
  ~coam_job() override;

  // Runs the body; on the job's thread.
  void Run() noexcept;
  absl::Status Dispatch();

  const std::string family;
  const coaming::capi::Ref<coam_context> context;
  const coaming::capi::Ref<coam_options> options;
  coaming::capi::JobBody body;
  std::shared_ptr<coaming::base::Cancel> cancel;  // fired by cancel and by a callback's stop
  coaming::base::UniqueFd news;                   // eventfd
  pthread_t thread{};
  bool started = false;
  coaming::capi::BusyFlag dispatching;

  std::mutex mutex;
  // Guarded by mutex:
  std::deque<coaming::capi::OwnedEvent> queue;
  bool ended = false;
  int stop_answer = 0;
  absl::StatusOr<coaming::capi::Ref<coaming::capi::Object>> result =
      coaming::base::Fail("core.state") << "the job still runs";

 private:
  int OnEvent(const coaming::base::Event& event) override;
  void Tell() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(news.get(), &one, sizeof one);
  }
};

coam_job::~coam_job() {
  if (started) {
    cancel->Fire();
    pthread_join(thread, nullptr);
  }
}

int coam_job::OnEvent(const coaming::base::Event& event) {
  const std::lock_guard<std::mutex> lock(mutex);
  queue.emplace_back(event);
  Tell();
  return stop_answer;
}

void coam_job::Run() noexcept {
  absl::StatusOr<coaming::capi::Ref<coaming::capi::Object>> made =
      coaming::base::Fail("core.internal") << "the job ended without a result";
  coaming::capi::Ref<coam_error> error;
  coam_error* raw = nullptr;
  const coam_code code = coaming::capi::Boundary(&raw, [&]() -> absl::Status {
    // The host's own cancel is watched too: its thread-safe flag is chained into the job's.
    coaming::capi::Call call(context.get(), options.get(), this, cancel.get());
    made = body(call.op(), options.get());
    return made.status();
  });
  if (code != COAM_OK && raw != nullptr) {
    made = coaming::base::ToStatus(raw->error);
    coaming::capi::FreeHandle(raw);
  }
  const std::lock_guard<std::mutex> lock(mutex);
  if (stop_answer != 0 && !made.ok()) {
    made = coaming::base::Fail("core.cancelled").Detail("callback.code", stop_answer)
           << "the progress callback stopped the operation";
  }
  result = std::move(made);
  ended = true;
  Tell();
}

absl::Status coam_job::Dispatch() {
  if (!dispatching.Enter()) {
    return coaming::base::Fail("core.reentered") << "the job is being dispatched already";
  }
  uint64_t drained;
  [[maybe_unused]] const ssize_t n = read(news.get(), &drained, sizeof drained);
  for (;;) {
    std::deque<coaming::capi::OwnedEvent> batch;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      batch.swap(queue);
    }
    if (batch.empty()) break;
    for (const auto& event : batch) {
      const auto* handler = options ? options->events.get() : nullptr;
      if (const int answer = coaming::capi::RunHandler(handler, event.View()); answer != 0) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (stop_answer == 0) stop_answer = answer;
        cancel->Fire();
      }
    }
  }
  dispatching.Leave();
  return absl::OkStatus();
}

namespace coaming::capi {

absl::StatusOr<coam_job*> StartJob(std::string_view family, coam_context* context,
                                   const coam_options* options, JobBody body) {
  if (context != nullptr && !context->threads) {
    return base::Fail("core.no_threads") << "job " << family;
  }
  auto job = Ref<coam_job>::Adopt(new coam_job(family, context, options));
  job->body = std::move(body);
  if (options != nullptr && options->cancel) {
    job->cancel = options->cancel->cancel;
  } else {
    COAM_ASSIGN_OR_RETURN(job->cancel, base::Cancel::New());
  }
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return base::FailErrno("core.io", errno) << "make an eventfd for a job";
  COAM_ASSIGN_OR_RETURN(job->news, base::HighFd(fd));
  // The thread inherits a full mask, so the host's handlers never run on it.
  sigset_t all, saved;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &saved);
  const int failed = pthread_create(
      &job->thread, nullptr,
      [](void* self) -> void* {
        static_cast<coam_job*>(self)->Run();
        return nullptr;
      },
      job.get());
  pthread_sigmask(SIG_SETMASK, &saved, nullptr);
  if (failed != 0) return base::FailErrno("core.io", failed) << "start a thread for a job";
  job->started = true;
  return job.Release();
}

absl::StatusOr<Object*> JobResult(coam_job* job, std::string_view family) {
  if (job->family != family) {
    return base::Fail("core.invalid_argument")
           << "a job of " << job->family << " was given where one of " << family << " is taken";
  }
  const std::lock_guard<std::mutex> lock(job->mutex);
  if (!job->result.ok()) return job->result.status();
  return RefHandle(job->result->get());
}

}  // namespace coaming::capi

namespace capi = coaming::capi;

coam_job* coam_job_ref(coam_job* job) { return COAM_BOUNDARY_REF(job); }
void coam_job_free(coam_job* job) { COAM_BOUNDARY_FREE(job); }

int coam_job_fd(const coam_job* job) {
  return COAM_BOUNDARY_VALUE(-1, { return job != nullptr ? job->news.get() : -1; });
}

coam_code coam_job_dispatch(coam_job* job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    return job->Dispatch();
  });
}

int32_t coam_job_done(const coam_job* job) {
  return COAM_BOUNDARY_VALUE(0, {
    if (job == nullptr) return 0;
    auto* self = const_cast<coam_job*>(job);
    const std::lock_guard<std::mutex> lock(self->mutex);
    return self->ended && self->queue.empty() ? 1 : 0;
  });
}

void coam_job_cancel(coam_job* job) {
  COAM_BOUNDARY_VALUE(0, {
    if (job != nullptr) job->cancel->Fire();
    return 0;
  });
}

coam_code coam_job_wait(coam_job* job, int64_t timeout_ms, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    const auto deadline =
        timeout_ms < 0 ? coaming::base::Deadline() : coaming::base::Deadline::AfterMs(timeout_ms);
    for (;;) {
      COAM_RETURN_IF_ERROR(job->Dispatch());
      if (coam_job_done(job) != 0) return absl::OkStatus();
      if (deadline.Passed()) {
        return coaming::base::Fail("core.deadline_exceeded")
               << "job " << job->family << " still runs after " << timeout_ms << " ms";
      }
      pollfd p{job->news.get(), POLLIN, 0};
      poll(&p, 1, deadline.PollMs());
    }
  });
}

coam_code coam_job_result(coam_job* job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    const std::lock_guard<std::mutex> lock(job->mutex);
    return job->result.status();
  });
}
