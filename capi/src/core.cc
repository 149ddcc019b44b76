// Errors, reasons, buffers, cancel, events, notes and contexts of coaming/core.h.
#include <coaming/core.h>
#include <string.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/limits.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"

namespace base = coaming::base;
namespace capi = coaming::capi;

struct coam_reason : base::ReasonInfo {};

namespace {

constexpr coam_str kEmpty{"", 0};

const coam_reason* AsReason(const base::ReasonInfo* row) {
  return static_cast<const coam_reason*>(row);
}

const base::Note* NoteAt(const coam_notes* notes, size_t index) {
  return notes != nullptr && index < notes->notes.size() ? &notes->notes[index] : nullptr;
}

}  // namespace

const char* coam_code_name(coam_code code) {
  return COAM_BOUNDARY_VALUE("UNKNOWN", {
    static constexpr const char* kNames[] = {"OK",
                                             "CANCELLED",
                                             "UNKNOWN",
                                             "INVALID_ARGUMENT",
                                             "DEADLINE_EXCEEDED",
                                             "NOT_FOUND",
                                             "ALREADY_EXISTS",
                                             "PERMISSION_DENIED",
                                             "RESOURCE_EXHAUSTED",
                                             "FAILED_PRECONDITION",
                                             "ABORTED",
                                             "OUT_OF_RANGE",
                                             "UNIMPLEMENTED",
                                             "INTERNAL",
                                             "UNAVAILABLE",
                                             "DATA_LOSS",
                                             "UNAUTHENTICATED"};
    return code >= 0 && code < static_cast<coam_code>(std::size(kNames)) ? kNames[code] : kNames[2];
  });
}

coam_error* coam_error_ref(coam_error* error) { return COAM_BOUNDARY_REF(error); }
void coam_error_free(coam_error* error) { COAM_BOUNDARY_FREE(error); }

coam_code coam_error_code(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(
      COAM_OK, { return error != nullptr ? static_cast<coam_code>(error->error.code) : COAM_OK; });
}

coam_str coam_error_reason(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return error != nullptr ? capi::View(error->error.reason) : kEmpty; });
}

coam_str coam_error_message(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return error != nullptr ? capi::View(error->error.message) : kEmpty; });
}

coam_str coam_error_hint(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return error != nullptr ? capi::View(error->error.hint) : kEmpty; });
}

int32_t coam_error_errno(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(0, { return error != nullptr ? error->error.sys_errno : 0; });
}

coam_str coam_error_detail(const coam_error* error, const char* key) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (error == nullptr || key == nullptr) return kEmpty;
    for (const auto& [name, value] : error->error.details) {
      if (name == key) return capi::View(value);
    }
    return kEmpty;
  });
}

coam_str coam_error_detail_key(const coam_error* error, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (error == nullptr || index >= error->error.details.size()) return kEmpty;
    return capi::View(error->error.details[index].first);
  });
}

const coam_error* coam_error_cause(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(nullptr, {
    const coam_error* cause = error != nullptr ? error->cause : nullptr;
    return cause;
  });
}

int64_t coam_error_retry_after_ms(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(-1, {
    int64_t ms = -1;
    if (error == nullptr || !absl::SimpleAtoi(error->error.Detail("retry_after_ms"), &ms)) {
      return int64_t{-1};
    }
    return ms;
  });
}

int32_t coam_error_exit_code(const coam_error* error) {
  return COAM_BOUNDARY_VALUE(1, {
    if (error == nullptr) return 0;
    const base::ReasonInfo* row = base::FindReason(error->error.reason);
    return row != nullptr ? row->exit_code : 1;
  });
}

coam_code coam_error_to_json(const coam_error* error, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(error, "error"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    *ret_json = new coam_buf(base::ErrorToJson(error->error));
    return absl::OkStatus();
  });
}

coam_buf* coam_buf_ref(coam_buf* buf) { return COAM_BOUNDARY_REF(buf); }
void coam_buf_free(coam_buf* buf) { COAM_BOUNDARY_FREE(buf); }

const void* coam_buf_data(const coam_buf* buf) {
  return COAM_BOUNDARY_VALUE(
      "", { return static_cast<const void*>(buf != nullptr ? buf->bytes.c_str() : ""); });
}

size_t coam_buf_size(const coam_buf* buf) {
  return COAM_BOUNDARY_VALUE(0, { return buf != nullptr ? buf->bytes.size() : size_t{0}; });
}

const coam_reason* coam_reason_at(size_t index) {
  return COAM_BOUNDARY_VALUE(nullptr, { return AsReason(base::ReasonAt(index)); });
}

const coam_reason* coam_reason_find(const char* name) {
  return COAM_BOUNDARY_VALUE(
      nullptr, { return AsReason(name != nullptr ? base::FindReason(name) : nullptr); });
}

coam_str coam_reason_name(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return reason != nullptr ? capi::ViewStatic(reason->name) : kEmpty; });
}
coam_code coam_reason_code(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(COAM_INTERNAL, {
    return reason != nullptr ? static_cast<coam_code>(reason->code) : COAM_INTERNAL;
  });
}
coam_str coam_reason_since(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return reason != nullptr ? capi::ViewStatic(reason->since) : kEmpty; });
}
coam_str coam_reason_meaning(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return reason != nullptr ? capi::ViewStatic(reason->meaning) : kEmpty; });
}
coam_str coam_reason_hint(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return reason != nullptr ? capi::ViewStatic(reason->hint) : kEmpty; });
}
coam_str coam_reason_python_class(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return reason != nullptr ? capi::ViewStatic(reason->python_class) : kEmpty; });
}
int32_t coam_reason_exit_code(const coam_reason* reason) {
  return COAM_BOUNDARY_VALUE(1, { return reason != nullptr ? reason->exit_code : 1; });
}

coam_code coam_cancel_new(coam_cancel** ret_cancel, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_cancel, "ret_cancel"));
    COAM_ASSIGN_OR_RETURN(auto cancel, base::Cancel::New());
    *ret_cancel = new coam_cancel(std::move(cancel));
    return absl::OkStatus();
  });
}

coam_cancel* coam_cancel_ref(coam_cancel* cancel) { return COAM_BOUNDARY_REF(cancel); }
void coam_cancel_free(coam_cancel* cancel) { COAM_BOUNDARY_FREE(cancel); }

void coam_cancel_fire(coam_cancel* cancel) {
  COAM_BOUNDARY_VALUE(0, {
    if (cancel != nullptr) cancel->cancel->Fire();
    return 0;
  });
}

int32_t coam_cancel_fired(const coam_cancel* cancel) {
  return COAM_BOUNDARY_VALUE(0, { return cancel != nullptr && cancel->cancel->fired() ? 1 : 0; });
}

int coam_cancel_fd(const coam_cancel* cancel) {
  return COAM_BOUNDARY_VALUE(-1, { return cancel != nullptr ? cancel->cancel->fd() : -1; });
}

coam_str coam_event_kind(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return event != nullptr ? capi::ViewStatic(event->event.kind) : kEmpty; });
}
coam_str coam_event_phase(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return event != nullptr ? capi::ViewStatic(event->event.phase) : kEmpty; });
}
coam_str coam_event_subject(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return event != nullptr ? capi::ViewStatic(event->event.subject) : kEmpty; });
}
int64_t coam_event_done(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(0, { return event != nullptr ? event->event.done : 0; });
}
int64_t coam_event_total(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(-1, { return event != nullptr ? event->event.total : -1; });
}
coam_str coam_event_unit(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return event != nullptr ? capi::ViewStatic(event->event.unit) : kEmpty; });
}
coam_str coam_event_text(const coam_event* event) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return event != nullptr ? capi::ViewStatic(event->event.text) : kEmpty; });
}

coam_code coam_notes_new(coam_notes** ret_notes, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_notes, "ret_notes"));
    *ret_notes = new coam_notes();
    return absl::OkStatus();
  });
}

coam_notes* coam_notes_ref(coam_notes* notes) { return COAM_BOUNDARY_REF(notes); }
void coam_notes_free(coam_notes* notes) { COAM_BOUNDARY_FREE(notes); }

size_t coam_notes_count(const coam_notes* notes) {
  return COAM_BOUNDARY_VALUE(0, { return notes != nullptr ? notes->notes.size() : size_t{0}; });
}

coam_str coam_notes_reason(const coam_notes* notes, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const base::Note* note = NoteAt(notes, index);
    return note != nullptr ? capi::View(note->reason) : kEmpty;
  });
}

coam_str coam_notes_subject(const coam_notes* notes, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const base::Note* note = NoteAt(notes, index);
    return note != nullptr ? capi::View(note->subject) : kEmpty;
  });
}

coam_str coam_notes_text(const coam_notes* notes, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const base::Note* note = NoteAt(notes, index);
    return note != nullptr ? capi::View(note->text) : kEmpty;
  });
}

coam_code coam_context_new(const coam_options* options, coam_context** ret_context,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_context, "ret_context"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("context", options));
    auto context = capi::Ref<coam_context>::Adopt(new coam_context());
    context->threads = opt.Bool("threads");
    for (size_t i = 0; const base::LimitInfo* limit = base::LimitAt(i); ++i) {
      context->limits.*(limit->field) = opt.Int(absl::StrCat("limits.", limit->name));
    }
    *ret_context = context.Release();
    return absl::OkStatus();
  });
}

coam_context* coam_context_ref(coam_context* context) { return COAM_BOUNDARY_REF(context); }
void coam_context_free(coam_context* context) { COAM_BOUNDARY_FREE(context); }

coam_code coam_context_set_log(coam_context* context, const coam_log_sink* sink,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    if (sink == nullptr) {
      context->sink = coam_log_sink{};
      return absl::OkStatus();
    }
    // A program of an older release has a shorter structure, of a newer one a longer: what both know
    // is read, and the rest keeps its default.
    constexpr size_t kSize1_0 = offsetof(coam_log_sink, user) + sizeof(void*);
    if (sink->struct_size < kSize1_0) {
      return base::Fail("core.invalid_argument")
             << "coam_log_sink.struct_size is " << sink->struct_size << ", which is less than "
             << kSize1_0 << ", its size in release 1.0";
    }
    coam_log_sink known{};
    memcpy(&known, sink, std::min(size_t{sink->struct_size}, sizeof known));
    context->sink = known;
    return absl::OkStatus();
  });
}
