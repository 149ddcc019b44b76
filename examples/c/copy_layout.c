/* copy_layout: bring an image into a layout on disk, then remove what nothing names any more.
 *
 *   copy_layout docker://127.0.0.1:5000/hello:1 /var/lib/images hello
 *
 * A copy that is interrupted goes on where it stopped the next time. */
#include <coaming/oci.h>
#include <stdio.h>

static int fail(const coam_error *error) {
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_oci_image) image = NULL;
  COAM_AUTO(coam_buf) collected = NULL;
  COAM_AUTO(coam_error) error = NULL;

  if (argc != 4) {
    fprintf(stderr, "usage: copy_layout IMAGE LAYOUT NAME\n");
    return 2;
  }
  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_oci_pull(context, argv[1], argv[2], argv[3], NULL, &image, &error) != COAM_OK) {
    return fail(error);
  }
  printf("%s\n", coam_oci_image_digest(image).data);
  if (coam_oci_gc(context, argv[2], NULL, &collected, &error) != COAM_OK) return fail(error);
  printf("%s\n", (const char *)coam_buf_data(collected));
  return 0;
}
