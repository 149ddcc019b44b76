/* tuf_update: keep a program's files up to date from a TUF repository.
 *
 *   tuf_update --metadata-dir DIR init ROOT.json
 *   tuf_update --metadata-dir DIR --metadata-url URL refresh
 *   tuf_update --metadata-dir DIR --metadata-url URL --target-base-url URL --target-dir DIR
 *              --target-name NAME [--target-name NAME...] download
 *
 * These are the words that the conformance suite of TUF calls a client by. A real program would carry
 * its root metadata inside; here `init` puts them aside, and each later call brings them along. */
#include <coaming/core.h>
#include <coaming/tuf.h>
#include <stdio.h>
#include <string.h>

static char root[1 << 20];

static int fail(const coam_error *error) {
  fprintf(stderr, "tuf_update: %s: %s\n", coam_error_reason(error).data,
          coam_error_message(error).data);
  return 1;
}

static size_t read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  size_t size = file != NULL ? fread(root, 1, sizeof root, file) : 0;
  if (file != NULL) fclose(file);
  return size;
}

static int init(const char *kept, const char *from) {
  size_t size = read_file(from);
  FILE *file = size > 0 ? fopen(kept, "wb") : NULL;
  if (file == NULL || fwrite(root, 1, size, file) != size || fclose(file) != 0) {
    fprintf(stderr, "tuf_update: cannot keep %s\n", from);
    return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *dir = "", *metadata_url = "", *targets_url = "", *target_dir = "", *word = NULL;
  const char *names[64];
  size_t count = 0, n, size;
  char kept[4096];
  int i;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) options = NULL;
  COAM_AUTO(coam_tuf_client) client = NULL;
  COAM_AUTO(coam_error) error = NULL;

  for (i = 1; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    if (strcmp(argv[i], "--metadata-dir") == 0) dir = argv[i + 1];
    if (strcmp(argv[i], "--metadata-url") == 0) metadata_url = argv[i + 1];
    if (strcmp(argv[i], "--target-base-url") == 0) targets_url = argv[i + 1];
    if (strcmp(argv[i], "--target-dir") == 0) target_dir = argv[i + 1];
    if (strcmp(argv[i], "--target-name") == 0 && count < 64) names[count++] = argv[i + 1];
  }
  if (i < argc) word = argv[i];
  if (word == NULL) {
    fprintf(stderr, "usage: tuf_update --metadata-dir DIR ... init ROOT | refresh | download\n");
    return 2;
  }
  snprintf(kept, sizeof kept, "%s/root.json", dir);
  if (strcmp(word, "init") == 0) return i + 1 < argc ? init(kept, argv[i + 1]) : 2;

  size = read_file(kept);
  if (coam_context_new(NULL, &context, &error) != COAM_OK ||
      coam_options_new("tuf.client", &options, &error) != COAM_OK ||
      coam_options_set(options, "metadata-url", metadata_url, &error) != COAM_OK ||
      coam_options_set(options, "targets-url", targets_url, &error) != COAM_OK ||
      coam_options_set(options, "allow-http", "true", &error) != COAM_OK ||
      coam_tuf_client_open(context, dir, root, size, options, &client, &error) != COAM_OK ||
      coam_tuf_refresh(client, NULL, &error) != COAM_OK) {
    return fail(error);
  }
  for (n = 0; n < count; n++) {
    COAM_AUTO(coam_buf) path = NULL;
    if (coam_tuf_download(client, names[n], target_dir, NULL, &path, &error) != COAM_OK) {
      return fail(error);
    }
    printf("%s\n", (const char *)coam_buf_data(path));
  }
  return 0;
}
