// Functions of coaming/run.h for those who watch: attaching to a container, and events.
#include <coaming/run.h>

#include <memory>
#include <optional>
#include <utility>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "capi/src/run_handles.h"
#include "liboci/runtime/attach.h"
#include "liboci/runtime/events.h"

namespace capi = coaming::capi;
namespace run = coaming::run;

struct coam_run_attach : capi::Object {
  explicit coam_run_attach(std::unique_ptr<run::Attachment> a) : attachment(std::move(a)) {}
  const std::unique_ptr<run::Attachment> attachment;
};

struct coam_run_events : capi::Object {
  explicit coam_run_events(std::unique_ptr<run::Events> e) : events(std::move(e)) {}
  const std::unique_ptr<run::Events> events;
};

coam_run_attach* coam_run_attach_ref(coam_run_attach* attach) { return COAM_BOUNDARY_REF(attach); }
void coam_run_attach_free(coam_run_attach* attach) { COAM_BOUNDARY_FREE(attach); }
coam_run_events* coam_run_events_ref(coam_run_events* events) { return COAM_BOUNDARY_REF(events); }
void coam_run_events_free(coam_run_events* events) { COAM_BOUNDARY_FREE(events); }

coam_code coam_run_container_attach(coam_run_container* container, const coam_options* options,
                                    coam_run_attach** ret_attach, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_attach, "ret_attach"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("run.wait", options).status());
    capi::Call call(nullptr, options);
    COAM_ASSIGN_OR_RETURN(auto attachment, container->container->Attach(call.op()));
    *ret_attach = new coam_run_attach(std::move(attachment));
    return absl::OkStatus();
  });
}

int coam_run_attach_fd(const coam_run_attach* attach) {
  return COAM_BOUNDARY_VALUE(-1,
                             { return attach != nullptr ? attach->attachment->poll_fd() : -1; });
}

coam_code coam_run_attach_next(coam_run_attach* attach, int32_t* ret_stream, coam_buf** ret_data,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(attach, "attach"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_stream, "ret_stream"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_data, "ret_data"));
    COAM_ASSIGN_OR_RETURN(run::Attachment::Piece piece, attach->attachment->Next());
    using Kind = run::Attachment::Piece::Kind;
    *ret_data = nullptr;
    switch (piece.kind) {
      case Kind::kNothing: *ret_stream = COAM_RUN_ATTACH_NOTHING; break;
      case Kind::kEnd: *ret_stream = COAM_RUN_ATTACH_END; break;
      case Kind::kOutput:
      case Kind::kError:
        *ret_data = new coam_buf(std::move(piece.bytes));
        *ret_stream = piece.kind == Kind::kOutput ? COAM_RUN_ATTACH_STDOUT : COAM_RUN_ATTACH_STDERR;
        break;
    }
    return absl::OkStatus();
  });
}

coam_code coam_run_attach_send(coam_run_attach* attach, const void* data, size_t size,
                               const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(attach, "attach"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("run.wait", options).status());
    capi::Call call(nullptr, options);
    if (size == 0) return attach->attachment->CloseInput(call.op());
    COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    return attach->attachment->Send(call.op(), {static_cast<const char*>(data), size});
  });
}

coam_code coam_run_container_resize(coam_run_container* container, int32_t rows, int32_t columns,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return container->container->Resize(rows, columns);
  });
}

coam_code coam_run_container_reopen_log(coam_run_container* container, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return container->container->ReopenLog();
  });
}

coam_code coam_run_events_new(coam_run_runtime* runtime, const char* id,
                              coam_run_events** ret_events, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_events, "ret_events"));
    COAM_ASSIGN_OR_RETURN(auto events, runtime->runtime->Watch(id != nullptr ? id : ""));
    *ret_events = new coam_run_events(std::move(events));
    return absl::OkStatus();
  });
}

int coam_run_events_fd(const coam_run_events* events) {
  return COAM_BOUNDARY_VALUE(-1, { return events != nullptr ? events->events->poll_fd() : -1; });
}

coam_code coam_run_events_next(coam_run_events* events, coam_buf** ret_json,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(events, "events"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const std::optional<run::Event> event, events->events->Next());
    *ret_json = event ? new coam_buf(run::EventToJson(*event)) : nullptr;
    return absl::OkStatus();
  });
}
