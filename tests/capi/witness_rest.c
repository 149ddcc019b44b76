/* Calls, for the host witness, the functions that no Python test reaches: getters that Python reads
 * otherwise, references, and calls with NULL. Exit status 0 if each did what its comment says. */
#include <coaming/coaming.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CHECK(x)                                              \
  do {                                                        \
    if (!(x)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
      return 1;                                               \
    }                                                         \
  } while (0)

static int core(void) {
  coam_error *error = NULL;
  coam_options *options = NULL;
  CHECK(coam_version_number() == COAM_VERSION_NUMBER);
  CHECK(strcmp(coam_version_string(), COAM_VERSION_STRING) == 0);
  CHECK(coam_has_feature("core.jobs") == 1);
  CHECK(coam_options_new("no.such", &options, &error) == COAM_NOT_FOUND);
  CHECK(coam_error_exit_code(error) == 4);
  CHECK(coam_error_retry_after_ms(error) == -1);
  CHECK(coam_error_cause(error) == NULL);
  coam_buf *json = NULL;
  CHECK(coam_error_to_json(error, &json, NULL) == COAM_OK);
  CHECK(coam_buf_ref(json) == json);
  coam_buf_free(json);
  CHECK(coam_buf_size(json) > 10 && coam_buf_data(json) != NULL);
  coam_buf_free(json);
  CHECK(coam_error_ref(error) == error);
  coam_error_free(error);
  coam_error_free(error);
  const coam_reason *reason = coam_reason_find("core.limit");
  CHECK(reason != NULL && coam_reason_exit_code(reason) == 10);
  CHECK(coam_reason_code(reason) == COAM_RESOURCE_EXHAUSTED);
  CHECK(coam_reason_since(reason).size > 0 && coam_reason_meaning(reason).size > 0);
  CHECK(coam_reason_hint(reason).size > 0);

  CHECK(coam_options_family_at(0) != NULL);
  const coam_option *key = coam_options_key("context", 0);
  CHECK(key != NULL && coam_option_name(key).size > 0 && coam_option_type(key).size > 0);
  CHECK(coam_option_default(key).size > 0 && coam_option_since(key).size > 0);
  CHECK(coam_option_help(key).size > 0);
  CHECK(coam_options_new("context", &options, NULL) == COAM_OK);
  CHECK(coam_options_set_int(options, "limits.layers", 9, NULL) == COAM_OK);
  CHECK(coam_options_get(options, "limits.layers", 0).size == 1);
  CHECK(coam_options_set_bytes(options, "limits.layers", "7", 1, NULL) == COAM_OK);
  CHECK(coam_options_ref(options) == options);
  coam_options_free(options);

  coam_cancel *cancel = NULL;
  CHECK(coam_cancel_new(&cancel, NULL) == COAM_OK);
  CHECK(coam_cancel_ref(cancel) == cancel);
  coam_cancel_free(cancel);
  coam_options_set_cancel(options, cancel);
  coam_options_set_deadline(options, 0);
  coam_options_set_events(options, NULL, NULL, NULL);
  coam_notes *notes = NULL;
  CHECK(coam_notes_new(&notes, NULL) == COAM_OK);
  CHECK(coam_notes_ref(notes) == notes);
  coam_notes_free(notes);
  CHECK(coam_notes_count(notes) == 0 && coam_notes_reason(notes, 0).size == 0);
  CHECK(coam_notes_subject(notes, 0).size == 0 && coam_notes_text(notes, 0).size == 0);
  coam_options_set_notes(options, notes);
  coam_cancel_fire(cancel);
  CHECK(coam_cancel_fired(cancel) == 1 && coam_cancel_fd(cancel) > 2);

  coam_context *context = NULL;
  CHECK(coam_context_new(options, &context, NULL) == COAM_OK);
  CHECK(coam_context_ref(context) == context);
  coam_context_free(context);
  CHECK(coam_context_set_log(context, NULL, NULL) == COAM_OK);
  coam_context_free(context);
  coam_options_free(options);
  coam_cancel_free(cancel);
  coam_notes_free(notes);
  return 0;
}

static int json(void) {
  static const char text[] = "{\"a\":[1,true],\"b\":\"c\"}";
  coam_json *json = NULL;
  CHECK(coam_json_parse(text, sizeof text - 1, &json, NULL) == COAM_OK);
  CHECK(coam_json_ref(json) == json);
  coam_json_free(json);
  CHECK(strcmp(coam_json_type(json, "/a"), "array") == 0 && coam_json_count(json, "/a") == 2);
  CHECK(coam_json_int(json, "/a/0", -1) == 1 && coam_json_text(json, "/b").size == 1);
  CHECK(coam_json_key(json, "", 1).size == 1);
  coam_json_free(json);
  return 0;
}

static int run(void) {
  coam_buf *buf = NULL;
  CHECK(coam_run_runtime_ref(NULL) == NULL && coam_run_container_ref(NULL) == NULL);
  CHECK(coam_run_process_ref(NULL) == NULL);
  CHECK(coam_run_attach_ref(NULL) == NULL && coam_run_events_ref(NULL) == NULL);
  CHECK(coam_run_attach_fd(NULL) == -1 && coam_run_events_fd(NULL) == -1);
  CHECK(coam_run_container_resize(NULL, 1, 1, NULL) == COAM_INVALID_ARGUMENT);
  CHECK(coam_run_container_id(NULL).size == 0 && coam_run_container_pid(NULL) == 0);
  CHECK(coam_run_container_fd(NULL) == -1 && coam_run_container_status(NULL).size == 0);
  CHECK(coam_run_container_take_stdio(NULL, 1) == -1 &&
        coam_run_container_take_console(NULL) == -1);
  CHECK(coam_run_process_pid(NULL) == 0 && coam_run_process_fd(NULL) == -1);
  CHECK(coam_run_process_take_stdio(NULL, 0) == -1 && coam_run_process_take_console(NULL) == -1);
  CHECK(coam_run_container_start(NULL, NULL, NULL) == COAM_INVALID_ARGUMENT);
  CHECK(coam_run_spec_check("{", 1, &buf, NULL) == COAM_DATA_LOSS);
  CHECK(coam_run_signal_number(NULL) == -1);
  return 0;
}

static int pods(void) {
  int32_t status = 0;
  coam_buf *buf = NULL;
  CHECK(coam_pods_ref(NULL) == NULL && coam_pod_request_ref(NULL) == NULL);
  CHECK(coam_notary_ref(NULL) == NULL);
  CHECK(coam_pod_ref(NULL) == NULL && coam_pod_process_ref(NULL) == NULL);
  CHECK(coam_pods_prepare(NULL, NULL, NULL, NULL, &buf, NULL) == COAM_INVALID_ARGUMENT);
  CHECK(coam_pods_run(NULL, NULL, "x", NULL, NULL, NULL) == COAM_INVALID_ARGUMENT);
  CHECK(coam_pod_uuid(NULL).size == 0 && coam_pod_fd(NULL) == -1);
  CHECK(coam_pod_wait(NULL, NULL, NULL, &status, NULL) == COAM_INVALID_ARGUMENT);
  return 0;
}

/* A job from start to end, by the calls of an event loop. */
static int job(void) {
  coam_job *started = NULL;
  coam_error *error = NULL;
  CHECK(coam_oci_open_start(NULL, "oci:/no/such/layout", NULL, &started, NULL) == COAM_OK);
  CHECK(coam_job_ref(started) == started);
  coam_job_free(started);
  CHECK(coam_job_fd(started) > 2);
  while (coam_job_done(started) == 0) {
    struct pollfd news = {coam_job_fd(started), POLLIN, 0};
    CHECK(poll(&news, 1, 10000) == 1);
    CHECK(coam_job_dispatch(started, NULL) == COAM_OK);
  }
  CHECK(coam_job_dispatch(started, NULL) == COAM_OK);
  coam_job_cancel(started);
  CHECK(coam_job_result(started, &error) != COAM_OK && error != NULL);
  coam_error_free(error);
  coam_job_free(started);
  return 0;
}

int main(void) { return core() || json() || run() || pods() || job(); }
