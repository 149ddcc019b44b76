/* inspect: what an image is, wherever it lies.
 *
 *   inspect docker://quay.io/org/app:1
 *   inspect oci:layout:app
 *
 * Shows: documents by their exact bytes, and results as JSON read by pointers. */
#include <coaming/json.h>
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
  COAM_AUTO(coam_json) json = NULL;
  COAM_AUTO(coam_error) error = NULL;
  coam_str text;
  size_t i;

  if (argc != 2) {
    fprintf(stderr, "usage: inspect IMAGE\n");
    return 2;
  }
  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_oci_open(context, argv[1], NULL, &image, &error) != COAM_OK) {
    return fail(error);
  }
  text = coam_oci_image_json(image);
  if (coam_json_parse(text.data, text.size, &json, &error) != COAM_OK) return fail(error);

  printf("digest   %s\n", coam_oci_image_digest(image).data);
  printf("platform %s\n", coam_json_text(json, "/platform").data);
  for (i = 0; i < coam_json_count(json, "/entrypoint"); ++i) {
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/entrypoint/%zu", i);
    printf("entry    %s\n", coam_json_text(json, pointer).data);
  }
  for (i = 0; i < coam_oci_image_layer_count(image); ++i) {
    char digest[64], size[64];
    snprintf(digest, sizeof digest, "/layers/%zu/digest", i);
    snprintf(size, sizeof size, "/layers/%zu/size", i);
    printf("layer    %s %lld\n", coam_json_text(json, digest).data,
           (long long)coam_json_int(json, size, -1));
  }
  printf("config   %s\n", coam_oci_image_config(image).data);
  return 0;
}
