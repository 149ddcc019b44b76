/* A program outside the tree: right versions, one good call, one refused call. */
#include <coaming/coaming.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) options = NULL;
  if (coam_version_number() != COAM_VERSION_NUMBER) return 1;
  if (coam_context_new(NULL, &context, &error) != COAM_OK) return 2;
  if (coam_options_new("no.such.family", &options, &error) != COAM_NOT_FOUND) return 3;
  if (strcmp(coam_error_reason(error).data, "core.not_found") != 0) return 4;
  printf("coaming %s\n", coam_version_string());
  return 0;
}
