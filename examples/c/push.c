/* push: make an image of a directory and send it to a registry.
 *
 *   push TREE LAYOUT docker://127.0.0.1:5000/hello:1 PROGRAM [AUTHFILE]
 *
 * The same tree and options give the same digest, whenever and wherever it is built. */
#include <coaming/oci.h>
#include <stdio.h>

static int fail(const coam_error *error) {
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) build = NULL;
  COAM_AUTO(coam_options) copy = NULL;
  COAM_AUTO(coam_buf) digest = NULL;
  COAM_AUTO(coam_buf) result = NULL;
  COAM_AUTO(coam_error) error = NULL;
  char name[4096];

  if (argc < 5 || argc > 6) {
    fprintf(stderr, "usage: push TREE LAYOUT docker://HOST/REPOSITORY:TAG PROGRAM [AUTHFILE]\n");
    return 2;
  }
  snprintf(name, sizeof name, "oci:%s:image", argv[2]);
  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_options_new("oci.build", &build, &error) != COAM_OK ||
      coam_options_set(build, "entrypoint", argv[4], &error) != COAM_OK ||
      coam_options_set(build, "owner", "0:0", &error) != COAM_OK ||
      coam_options_set(build, "mtime", "0", &error) != COAM_OK ||
      coam_oci_build(context, argv[1], name, build, &digest, &error) != COAM_OK) {
    return fail(error);
  }
  printf("%s\n", (const char *)coam_buf_data(digest));
  if (coam_options_new("oci.copy", &copy, &error) != COAM_OK ||
      (argc == 6 && coam_options_set(copy, "authfile", argv[5], &error) != COAM_OK) ||
      coam_oci_copy(context, name, argv[3], copy, &result, &error) != COAM_OK) {
    return fail(error);
  }
  printf("%s\n", (const char *)coam_buf_data(result));
  return 0;
}
