/* Prints what a compiled program relies on and the headers do not show: sizes and offsets (STRUCTS is
 * made by record_test.py from the headers), options, reasons. With the argument "old", behaves as
 * programs of other releases do, and ends with the number of what went wrong. */
#include <coaming/coaming.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "structs.h"

static void print_record(void) {
  const char *family;
  const coam_option *option;
  const coam_reason *reason;
  size_t i, j;
  STRUCTS
  for (i = 0; (family = coam_options_family_at(i)) != NULL; ++i) {
    for (j = 0; (option = coam_options_key(family, j)) != NULL; ++j)
      printf("option\t%s %s\t%s\n", family, coam_option_name(option).data,
             coam_option_type(option).data);
  }
  for (i = 0; (reason = coam_reason_at(i)) != NULL; ++i)
    printf("reason\t%s\t%d %d\n", coam_reason_name(reason).data, (int)coam_reason_code(reason),
           (int)coam_reason_exit_code(reason));
}

static void write_log(void *user, int32_t level, const char *component, const char *message) {
  (void)user, (void)level, (void)component, (void)message;
}

/* The structure of release 1.0, and one of a release to come. */
struct sink_1_0 {
  uint32_t struct_size;
  int32_t min_level;
  void (*write)(void *, int32_t, const char *, const char *);
  void *user;
};
struct sink_later {
  struct sink_1_0 known;
  void *unknown[8];
};

static int other_releases(void) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) options = NULL;
  struct sink_1_0 old;
  struct sink_later later;
  memset(&old, 0, sizeof old);
  memset(&later, 0x5a, sizeof later);
  old.struct_size = sizeof old;
  old.write = write_log;
  later.known = old;
  later.known.struct_size = sizeof later;
  if (coam_context_new(NULL, &context, &error) != COAM_OK) return 1;
  if (coam_context_set_log(context, (const coam_log_sink *)&old, &error) != COAM_OK) return 2;
  if (coam_context_set_log(context, (const coam_log_sink *)&later, &error) != COAM_OK) return 3;
  old.struct_size = sizeof old - 1;
  if (coam_context_set_log(context, (const coam_log_sink *)&old, &error) != COAM_INVALID_ARGUMENT)
    return 4;
  if (strstr(coam_error_message(error).data, "struct_size") == NULL) return 5;
  coam_error_free(error);
  error = NULL;

  /* A key that this release lacks is refused by name, and what was set before stays. */
  if (coam_options_new("context", &options, &error) != COAM_OK) return 6;
  if (coam_options_set(options, "limits.layers", "3", &error) != COAM_OK) return 7;
  if (coam_options_set(options, "key-of-a-later-release", "x", &error) != COAM_NOT_FOUND) return 8;
  if (strcmp(coam_error_reason(error).data, "core.not_found") != 0) return 9;
  if (strstr(coam_error_message(error).data, "key-of-a-later-release") == NULL) return 10;
  coam_context_free(context);
  context = NULL;
  if (coam_context_new(options, &context, NULL) != COAM_OK) return 11;
  /* Options of another family are no options for this call. */
  coam_options_free(options);
  options = NULL;
  coam_context_free(context);
  context = NULL;
  if (coam_options_new("oci.open", &options, NULL) != COAM_OK) return 12;
  if (coam_context_new(options, &context, NULL) != COAM_INVALID_ARGUMENT) return 13;
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "old") == 0) return other_releases();
  print_record();
  return 0;
}
