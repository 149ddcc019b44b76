/* Puts an App Container image from a file into a store and renders its root into a directory.
 *
 *   aci_render IMAGE.aci STORE-DIR DIR
 *
 * The directory appears whole or not at all; a hostile image cannot write outside it.
 */
#include <coaming/aci.h>
#include <stdio.h>

static int fail(coam_error *error) {
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  int code = coam_error_exit_code(error);
  coam_error_free(error);
  return code;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s IMAGE.aci STORE-DIR DIR\n", argv[0]);
    return 2;
  }
  coam_error *error = NULL;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) where = NULL;
  COAM_AUTO(coam_options) how = NULL;
  COAM_AUTO(coam_notes) notes = NULL;
  COAM_AUTO(coam_aci_store) store = NULL;
  COAM_AUTO(coam_buf) id = NULL;
  COAM_AUTO(coam_buf) manifest = NULL;

  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_options_new("aci.store", &where, &error) != COAM_OK ||
      coam_options_set(where, "dir", argv[2], &error) != COAM_OK ||
      coam_aci_store_open(where, &store, &error) != COAM_OK) {
    return fail(error);
  }

  /* No signature is asked for here; see aci_discover_fetch.c for how it is. */
  if (coam_aci_store_import(store, context, argv[1], NULL, &id, &error) != COAM_OK) {
    return fail(error);
  }
  const char *image = coam_buf_data(id);
  printf("%s\n", image);
  if (coam_aci_store_manifest(store, image, 1, &manifest, &error) != COAM_OK) return fail(error);
  printf("%s\n", (const char *)coam_buf_data(manifest));

  /* Without privilege owners cannot be kept: that is a note, not a failure. */
  if (coam_notes_new(&notes, &error) != COAM_OK ||
      coam_options_new("aci.render", &how, &error) != COAM_OK ||
      coam_options_set(how, "rootfs-only", "true", &error) != COAM_OK) {
    return fail(error);
  }
  coam_options_set_notes(how, notes);
  if (coam_aci_store_render(store, context, image, argv[3], how, &error) != COAM_OK) {
    return fail(error);
  }
  for (size_t i = 0; i < coam_notes_count(notes); ++i) {
    printf("note: %s: %s\n", coam_notes_subject(notes, i).data, coam_notes_text(notes, i).data);
  }
  return 0;
}
