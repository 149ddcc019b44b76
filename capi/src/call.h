// Call turns a context and options into the base::Op of one blocking call: limits, cancel, deadline,
// events, notes and log, all delivered on the calling thread.
//
//   COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("oci.pull", options));
//   capi::Call call(context, options);
//   COAM_ASSIGN_OR_RETURN(auto image, oci::Pull(call.op(), ...));
//
// The same body runs inside a job by passing the job's Call (job.h).
#ifndef COAMING_CAPI_SRC_CALL_H_
#define COAMING_CAPI_SRC_CALL_H_

#include <coaming/core.h>

#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "base/core/op.h"
#include "capi/src/boundary.h"
#include "capi/src/options.h"

struct coam_event {
  coaming::base::Event event;  // texts are NUL-terminated for the time of the callback
};

struct coam_context : coaming::capi::Object {
  coaming::base::Limits limits;
  bool threads = true;
  coam_log_sink sink{};  // write is null if nobody listens
};

namespace coaming::capi {

// OwnedEvent is a base::Event with its own copies of the texts.
struct OwnedEvent {
  explicit OwnedEvent(const base::Event& event);
  base::Event View() const;
  std::string kind, phase, subject, unit, text;
  int64_t done, total;
};

// RunHandler gives one event to the host's callback; COAM_CB_PASS counts as "go on".
int RunHandler(const EventHandler* handler, const base::Event& event);

// LogQueue keeps records that worker threads write until the calling thread drains them, so that
// host code runs only inside host calls.
class LogQueue : public base::LogSink {
 public:
  explicit LogQueue(const coam_log_sink& sink) : sink_(sink), owner_(std::this_thread::get_id()) {}
  ~LogQueue() override { Drain(); }
  void Write(base::LogLevel level, std::string_view component, std::string_view message,
             base::LogFields fields) override;
  void Drain();

 private:
  struct Record {
    int level;
    std::string component, message;
  };
  const coam_log_sink sink_;
  const std::thread::id owner_;
  std::mutex mutex_;
  std::deque<Record> records_;  // guarded by mutex_
};

class Call : private base::EventSink {
 public:
  // Both may be null. They must outlive the call.
  Call(const coam_context* context, const coam_options* options);
  // With `events` instead of the options' own handler (for jobs).
  Call(const coam_context* context, const coam_options* options, base::EventSink* events,
       const base::Cancel* cancel);
  ~Call() override = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const base::Op& op() const { return op_; }

 private:
  int OnEvent(const base::Event& event) override;
  LogQueue log_;
  const EventHandler* handler_ = nullptr;
  base::Op op_;
};

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_CALL_H_
