#include "capi/src/call.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace coaming::capi {

OwnedEvent::OwnedEvent(const base::Event& event)
    : kind(event.kind),
      phase(event.phase),
      subject(event.subject),
      unit(event.unit),
      text(event.text),
      done(event.done),
      total(event.total) {}

base::Event OwnedEvent::View() const {
  return base::Event{kind, phase, subject, done, total, unit, text};
}

int RunHandler(const EventHandler* handler, const base::Event& event) {
  if (handler == nullptr || handler->fn == nullptr) return 0;
  const OwnedEvent owned(event);  // NUL-terminated copies
  const coam_event shown{owned.View()};
  const int32_t answer = handler->fn(handler->user, &shown);
  return answer == COAM_CB_PASS ? 0 : answer;
}

void LogQueue::Write(base::LogLevel level, std::string_view component, std::string_view message,
                     base::LogFields fields) {
  if (sink_.write == nullptr || static_cast<int>(level) < sink_.min_level) return;
  Record record{static_cast<int>(level), std::string(component), std::string(message)};
  for (const auto& [key, value] : fields) absl::StrAppend(&record.message, " ", key, "=", value);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    records_.push_back(std::move(record));
  }
  if (std::this_thread::get_id() == owner_) Drain();
}

void LogQueue::Drain() {
  if (sink_.write == nullptr) return;
  for (;;) {
    Record record;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (records_.empty()) return;
      record = std::move(records_.front());
      records_.pop_front();
    }
    sink_.write(sink_.user, record.level, record.component.c_str(), record.message.c_str());
  }
}

Call::Call(const coam_context* context, const coam_options* options)
    : Call(context, options, this,
           options != nullptr && options->cancel ? options->cancel->cancel.get() : nullptr) {
  if (options == nullptr) return;
  handler_ = options->events.get();
}

Call::Call(const coam_context* context, const coam_options* options, base::EventSink* events,
           const base::Cancel* cancel)
    : log_(context != nullptr ? context->sink : coam_log_sink{}) {
  if (context != nullptr) op_.set_limits(&context->limits);
  if (options != nullptr) op_.set_deadline(options->deadline);
  // Of a job too: its notes are to be read when it has ended.
  if (options != nullptr && options->notes) op_.set_notes(&options->notes->notes);
  op_.set_cancel(cancel).set_events(events).set_log(&log_);
}

int Call::OnEvent(const base::Event& event) {
  log_.Drain();
  return RunHandler(handler_, event);
}

}  // namespace coaming::capi
