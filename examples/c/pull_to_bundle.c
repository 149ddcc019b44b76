/* pull_to_bundle: from a registry to a runnable bundle in one pass, with progress and Ctrl-C.
 *
 *   pull_to_bundle docker://127.0.0.1:5000/hello:1 /run/hello
 *
 * Nothing is stored twice: each layer is downloaded, hashed, inflated, hashed again and written while it
 * streams; the bundle appears only when all of it was right. */
#include <coaming/oci.h>
#include <signal.h>
#include <stdio.h>

static coam_cancel *cancel; /* fired from the signal handler, which coam_cancel_fire allows */

static void on_interrupt(int signal_number) {
  (void)signal_number;
  coam_cancel_fire(cancel);
}

/* Comes on this thread, inside our own calls. Anything but 0 would stop the call. */
static int32_t show(void *user, const coam_event *event) {
  (void)user;
  fprintf(stderr, "%s %s %.19s %lld\n", coam_event_kind(event).data, coam_event_phase(event).data,
          coam_event_subject(event).data, (long long)coam_event_done(event));
  return 0;
}

static int fail(const coam_error *error) {
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

static coam_code options_for(const char *family, coam_options **ret_options,
                             coam_error **ret_error) {
  coam_code code = coam_options_new(family, ret_options, ret_error);
  if (code != COAM_OK) return code;
  coam_options_set_cancel(*ret_options, cancel);
  coam_options_set_events(*ret_options, show, NULL, NULL);
  return COAM_OK;
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) opening = NULL;
  COAM_AUTO(coam_options) unpacking = NULL;
  COAM_AUTO(coam_oci_image) image = NULL;
  COAM_AUTO(coam_buf) result = NULL;
  COAM_AUTO(coam_error) error = NULL;

  if (argc != 3) {
    fprintf(stderr, "usage: pull_to_bundle IMAGE DIRECTORY\n");
    return 2;
  }
  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_cancel_new(&cancel, &error) != COAM_OK ||
      options_for("oci.open", &opening, &error) != COAM_OK ||
      options_for("oci.unpack", &unpacking, &error) != COAM_OK) {
    return fail(error);
  }
  signal(SIGINT, on_interrupt);

  if (coam_oci_open(context, argv[1], opening, &image, &error) != COAM_OK) return fail(error);
  printf("%s\n", coam_oci_image_digest(image).data);
  if (coam_oci_image_unpack(image, context, argv[2], unpacking, &result, &error) != COAM_OK) {
    return fail(error);
  }
  printf("%s\n", (const char *)coam_buf_data(result));
  coam_cancel_free(cancel);
  return 0;
}
