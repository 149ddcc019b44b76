/* coaming/core.h: codes, errors, options, callbacks, cancel, jobs: what every other header uses.
 *
 * THE RULES OF THE WHOLE ABI (capi/CONVENTIONS.md has them with reasons):
 *
 *  - A call that can fail returns a coam_code. Results are named ret_..., come after the inputs and
 *    are untouched on failure; the error comes last. ret_error may be NULL; else it receives a new
 *    coam_error on failure, which the caller frees with coam_error_free.
 *  - NULL options mean the defaults. Options are copied at the call: free them at once if you like.
 *  - Strings in are NUL-terminated. Text is UTF-8, paths are bytes. Data in is pointer + size.
 *    Strings out are coam_str: borrowed, sized, and NUL-terminated after `size`.
 *  - "New": the caller frees it with the function named. "Borrowed": valid until the object it came
 *    from is freed or next changed. Objects are reference-counted and children keep their parents
 *    alive: free in any order; coam_x_free(NULL) does nothing.
 *  - [immutable]: share it between threads freely. [single]: one thread at a time. [shared]: locked
 *    inside.
 *  - Callbacks come only inside a call that the host itself made, on that thread.
 *  - In a process forked after the library was loaded every call answers COAM_FAILED_PRECONDITION
 *    with reason core.forked; coam_x_free still releases memory and closes descriptors.
 *  - The library never exits, prints, changes signals, directory, umask, environment, locale, and
 *    leaves no descriptor that is not close-on-exec.
 */
#ifndef COAMING_CORE_H_
#define COAMING_CORE_H_

#include <coaming/export.h>
#include <coaming/version.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Codes ---------------------------------------------------------------------------------- */

/* Branch on the code for policy (retry on COAM_UNAVAILABLE), on the reason for particulars. The
 * numbers are those of gRPC and never change. */
typedef int32_t coam_code;

#define COAM_OK 0
#define COAM_CANCELLED 1           /* the caller asked to stop */
#define COAM_INVALID_ARGUMENT 3    /* the caller's fault, whatever the state */
#define COAM_DEADLINE_EXCEEDED 4   /* ran past the deadline */
#define COAM_NOT_FOUND 5           /* the named thing does not exist */
#define COAM_ALREADY_EXISTS 6      /* the named thing exists */
#define COAM_PERMISSION_DENIED 7   /* kernel, server or policy said no; retrying will not help */
#define COAM_RESOURCE_EXHAUSTED 8  /* limit, disk, memory */
#define COAM_FAILED_PRECONDITION 9 /* the state must change first */
#define COAM_ABORTED 10            /* lost a race: try again */
#define COAM_OUT_OF_RANGE 11       /* past the end */
#define COAM_UNIMPLEMENTED 12      /* this build or kernel lacks it */
#define COAM_INTERNAL 13           /* a fault of coaming: please report */
#define COAM_UNAVAILABLE 14        /* network or system: try again with back-off */
#define COAM_DATA_LOSS 15          /* bytes do not match their digest or cannot be decoded */
#define COAM_UNAUTHENTICATED 16    /* no or bad credentials */

/* coam_code_name returns "NOT_FOUND" for COAM_NOT_FOUND, "UNKNOWN" for no code. Static. */
COAM_API const char *coam_code_name(coam_code code);

/* A borrowed string of `size` bytes with a NUL after them. JSON strings may hold NUL bytes, so use
 * the size. data is never NULL. */
typedef struct coam_str {
  const char *data;
  size_t size;
} coam_str;

/* ---- Errors --------------------------------------------------------------------------------- */

/* What happened, to what, why, and what to do next. [immutable] */
typedef struct coam_error coam_error;

/* coam_error_ref returns its argument with one more reference. */
COAM_API coam_error *coam_error_ref(coam_error *error);
/* coam_error_free drops one reference. NULL is allowed. */
COAM_API void coam_error_free(coam_error *error);
COAM_DEFINE_FREEP(coam_error)

COAM_API coam_code coam_error_code(const coam_error *error);
/* A stable dotted name, "oci.digest_mismatch"; all are listed by coam_reason_at. Borrowed. */
COAM_API coam_str coam_error_reason(const coam_error *error);
/* One line, no newline, no trailing stop; names the subject. Borrowed. */
COAM_API coam_str coam_error_message(const coam_error *error);
/* What to do next, in the imperative; may be empty. Borrowed. */
COAM_API coam_str coam_error_hint(const coam_error *error);
/* The errno of the system call that failed, or 0. */
COAM_API int32_t coam_error_errno(const coam_error *error);
/* The detail called `key` ("http.status"), or an empty string. Borrowed. */
COAM_API coam_str coam_error_detail(const coam_error *error, const char *key);
/* The key of detail `index`, or an empty string past the end. Borrowed. */
COAM_API coam_str coam_error_detail_key(const coam_error *error, size_t index);
/* The error beneath, or NULL. Borrowed from `error`. */
COAM_API const coam_error *coam_error_cause(const coam_error *error);
/* Milliseconds that the other side asked to wait before a retry, or -1. */
COAM_API int64_t coam_error_retry_after_ms(const coam_error *error);
/* The exit code of a tool that ends with this error (see coam_reason_exit_code). */
COAM_API int32_t coam_error_exit_code(const coam_error *error);

/* Bytes owned by the library. [immutable] */
typedef struct coam_buf coam_buf;

COAM_API coam_buf *coam_buf_ref(coam_buf *buf);
COAM_API void coam_buf_free(coam_buf *buf);
COAM_DEFINE_FREEP(coam_buf)
/* The first byte; a NUL follows the last. Borrowed. Never NULL. */
COAM_API const void *coam_buf_data(const coam_buf *buf);
COAM_API size_t coam_buf_size(const coam_buf *buf);

/* coam_error_to_json renders the error and its causes as one JSON object in *ret_json (new).
 * Errors: core.no_memory. */
COAM_CHECKED coam_code coam_error_to_json(const coam_error *error, coam_buf **ret_json,
                                          coam_error **ret_error);

/* One row of the table of reasons. Static. */
typedef struct coam_reason coam_reason;

/* coam_reason_at returns row `index`, or NULL past the end. coam_reason_find returns the row called
 * `name`, or NULL. Static. */
COAM_API const coam_reason *coam_reason_at(size_t index);
COAM_API const coam_reason *coam_reason_find(const char *name);
COAM_API coam_str coam_reason_name(const coam_reason *reason);
COAM_API coam_code coam_reason_code(const coam_reason *reason);
COAM_API coam_str coam_reason_since(const coam_reason *reason);
COAM_API coam_str coam_reason_meaning(const coam_reason *reason);
COAM_API coam_str coam_reason_hint(const coam_reason *reason);
/* The name of the Python exception class. */
COAM_API coam_str coam_reason_python_class(const coam_reason *reason);
COAM_API int32_t coam_reason_exit_code(const coam_reason *reason);

/* ---- Features ------------------------------------------------------------------------------- */

/* coam_has_feature returns 1 if this build has the feature ("run.cgroup.v2"), else 0.
 * coam_feature_at returns the name of feature `index`, or NULL past the end. Static. */
COAM_API int32_t coam_has_feature(const char *name);
COAM_API const char *coam_feature_at(size_t index);

/* ---- Cancel --------------------------------------------------------------------------------- */

/* Asks running calls to stop. [shared] It stays fired: make a new one for the next call. */
typedef struct coam_cancel coam_cancel;

/* coam_cancel_new makes a cancel object in *ret_cancel (new). Errors: core.io (no descriptor). */
COAM_CHECKED coam_code coam_cancel_new(coam_cancel **ret_cancel, coam_error **ret_error);
COAM_API coam_cancel *coam_cancel_ref(coam_cancel *cancel);
COAM_API void coam_cancel_free(coam_cancel *cancel);
COAM_DEFINE_FREEP(coam_cancel)
/* coam_cancel_fire asks every call that was given this object to stop. Any thread; allowed in a
 * signal handler. Calls return core.cancelled within 100 ms in network waits, within one archive
 * block in unpacking, at once between launch steps. */
COAM_API void coam_cancel_fire(coam_cancel *cancel);
COAM_API int32_t coam_cancel_fired(const coam_cancel *cancel);
/* Readable once fired. Borrowed; poll it, do not read it. */
COAM_API int coam_cancel_fd(const coam_cancel *cancel);

/* ---- Events and notes ----------------------------------------------------------------------- */

/* News about a running call, valid inside the callback only. */
typedef struct coam_event coam_event;

COAM_API coam_str coam_event_kind(const coam_event *event);    /* "download", "unpack", ... */
COAM_API coam_str coam_event_phase(const coam_event *event);   /* "start", "progress", "done" */
COAM_API coam_str coam_event_subject(const coam_event *event); /* digest, URL, path */
COAM_API int64_t coam_event_done(const coam_event *event);     /* in units */
COAM_API int64_t coam_event_total(const coam_event *event);    /* in units; -1 if not known */
COAM_API coam_str coam_event_unit(const coam_event *event);    /* "bytes", "entries", "" */
COAM_API coam_str coam_event_text(const coam_event *event);    /* a line for people; may be "" */

/* Return 0 to go on, COAM_CB_PASS for "not mine", any other value to stop the call, which then
 * returns COAM_CANCELLED with the value in the detail callback.code. At most one event every 100 ms
 * for one subject, besides the first and the last. */
typedef int32_t (*coam_event_fn)(void *user, const coam_event *event);
#define COAM_CB_PASS (-0x7fffffff)

/* "Done, but": what was not as asked in a call that succeeded. [single] */
typedef struct coam_notes coam_notes;

COAM_CHECKED coam_code coam_notes_new(coam_notes **ret_notes, coam_error **ret_error);
COAM_API coam_notes *coam_notes_ref(coam_notes *notes);
COAM_API void coam_notes_free(coam_notes *notes);
COAM_DEFINE_FREEP(coam_notes)
COAM_API size_t coam_notes_count(const coam_notes *notes);
/* Of note `index`; empty past the end. Borrowed until the notes are given to another call. */
COAM_API coam_str coam_notes_reason(const coam_notes *notes, size_t index);
COAM_API coam_str coam_notes_subject(const coam_notes *notes, size_t index);
COAM_API coam_str coam_notes_text(const coam_notes *notes, size_t index);

/* ---- Options -------------------------------------------------------------------------------- */

/* Named settings of one family ("oci.pull"); each call names the family it takes. Every family also
 * carries a cancel object, a deadline, an event callback and notes. [single] */
typedef struct coam_options coam_options;

/* coam_options_new makes options of `family` with all defaults in *ret_options (new).
 * Errors: core.not_found (no such family). */
COAM_CHECKED coam_code coam_options_new(const char *family, coam_options **ret_options,
                                        coam_error **ret_error);
COAM_API coam_options *coam_options_ref(coam_options *options);
COAM_API void coam_options_free(coam_options *options);
COAM_DEFINE_FREEP(coam_options)
/* coam_options_set sets `key` from text, checked at once. Keys of type list and map append;
 * value NULL puts the default back. Errors: core.not_found (no such key),
 * core.invalid_argument (the text does not fit the type; the message says what does). */
COAM_CHECKED coam_code coam_options_set(coam_options *options, const char *key, const char *value,
                                        coam_error **ret_error);
/* For keys of type int, size, duration (ms), bool and fd. A descriptor is borrowed for the call. */
COAM_CHECKED coam_code coam_options_set_int(coam_options *options, const char *key, int64_t value,
                                            coam_error **ret_error);
/* For keys of type bytes and string; the bytes are copied. */
COAM_CHECKED coam_code coam_options_set_bytes(coam_options *options, const char *key,
                                              const void *data, size_t size,
                                              coam_error **ret_error);
/* coam_options_get returns the value or default of `key` as text; of a list the entry `index`, and
 * an empty string past its end or for no such key. Borrowed until the next set. */
COAM_API coam_str coam_options_get(const coam_options *options, const char *key, size_t index);

/* coam_options_set_cancel keeps a reference to `cancel` (NULL: none). */
COAM_API void coam_options_set_cancel(coam_options *options, coam_cancel *cancel);
/* coam_options_set_deadline ends the call at an absolute CLOCK_MONOTONIC time in ns; 0: never. */
COAM_API void coam_options_set_deadline(coam_options *options, int64_t monotonic_ns);
/* coam_options_set_events has `fn` called with `user`. user_free (may be NULL) is called once with
 * `user` when nothing refers to it any more. */
COAM_API void coam_options_set_events(coam_options *options, coam_event_fn fn, void *user,
                                      void (*user_free)(void *user));
/* coam_options_set_notes collects notes of calls in `notes` (kept by reference; NULL: none). */
COAM_API void coam_options_set_notes(coam_options *options, coam_notes *notes);

/* One key of a family: what tools and bindings build their flags and arguments from. Static. */
typedef struct coam_option coam_option;

/* coam_options_family_at returns the name of family `index`, or NULL past the end. Static.
 * coam_options_key returns key `index` of `family`, or NULL past the end. Static. */
COAM_API const char *coam_options_family_at(size_t index);
COAM_API const coam_option *coam_options_key(const char *family, size_t index);
COAM_API coam_str coam_option_name(const coam_option *option);
/* "string", "path", "bool", "int", "size", "duration", "list", "map", "fd" or "bytes". */
COAM_API coam_str coam_option_type(const coam_option *option);
COAM_API coam_str coam_option_default(const coam_option *option);
COAM_API coam_str coam_option_since(const coam_option *option);
/* One line. */
COAM_API coam_str coam_option_help(const coam_option *option);

/* ---- Context -------------------------------------------------------------------------------- */

/* What calls share: limits, log, whether threads may be made. [shared] Cheap: make as many as you
 * like; there is no global state. */
typedef struct coam_context coam_context;

/* coam_context_new makes a context from options of family "context" (limits.*, threads) in
 * *ret_context (new). Errors: core.invalid_argument. */
COAM_CHECKED coam_code coam_context_new(const coam_options *options, coam_context **ret_context,
                                        coam_error **ret_error);
COAM_API coam_context *coam_context_ref(coam_context *context);
COAM_API void coam_context_free(coam_context *context);
COAM_DEFINE_FREEP(coam_context)

#define COAM_LOG_DEBUG 0
#define COAM_LOG_INFO 1
#define COAM_LOG_WARNING 2
#define COAM_LOG_ERROR 3

/* The host's log. Filled by the host; later versions add members at the end only. */
typedef struct coam_log_sink {
  uint32_t struct_size; /* sizeof(coam_log_sink) */
  int32_t min_level;    /* COAM_LOG_... */
  /* Called inside calls of the host, on its thread. Texts are NUL-terminated and borrowed. */
  void (*write)(void *user, int32_t level, const char *component, const char *message);
  void *user;
} coam_log_sink;

/* coam_context_set_log has records of calls with this context written to `sink` (copied; NULL:
 * none). Not while another call uses the context. Errors: core.invalid_argument (struct_size). */
COAM_CHECKED coam_code coam_context_set_log(coam_context *context, const coam_log_sink *sink,
                                            coam_error **ret_error);

/* ---- Jobs ----------------------------------------------------------------------------------- */

/* A long call on a thread of its own, for event loops. [single]
 * coam_x_start returns a job; poll coam_job_fd; call coam_job_dispatch when it is readable, which
 * delivers events on the caller's thread; when coam_job_done says 1, take the result with the
 * coam_x_finish of the same call. Freeing a job cancels it and waits for its thread. */
typedef struct coam_job coam_job;

COAM_API coam_job *coam_job_ref(coam_job *job);
COAM_API void coam_job_free(coam_job *job);
COAM_DEFINE_FREEP(coam_job)
/* Readable when there is news. Borrowed; poll it, do not read it. */
COAM_API int coam_job_fd(const coam_job *job);
/* coam_job_dispatch runs the event callback for all news so far and never blocks. A callback that
 * stops the call takes effect at its next block. Errors: core.reentered. */
COAM_CHECKED coam_code coam_job_dispatch(coam_job *job, coam_error **ret_error);
/* 1 when the call has ended and all its events were dispatched. */
COAM_API int32_t coam_job_done(const coam_job *job);
/* coam_job_cancel asks the call to stop. Any thread. */
COAM_API void coam_job_cancel(coam_job *job);
/* coam_job_wait waits up to timeout_ms (-1: for ever) for the end, dispatching meanwhile.
 * Errors: core.deadline_exceeded (still running), core.reentered. */
COAM_CHECKED coam_code coam_job_wait(coam_job *job, int64_t timeout_ms, coam_error **ret_error);
/* coam_job_result returns the code of the ended call and its error (new, if ret_error is not NULL).
 * Errors: those of the call; core.state (still running). */
COAM_CHECKED coam_code coam_job_result(coam_job *job, coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_CORE_H_ */
