/* gpg_verify: is this file signed by one of these keys?
 *
 *   gpg_verify pubkeys.gpg hello.aci.asc hello.aci
 *
 * The data is given to the verifier in pieces, as it would arrive from a network, and nothing is done
 * with it before the verdict. Exit status: 0 good, 6 refused, another code for other failures. */
#include <coaming/core.h>
#include <coaming/sig.h>
#include <stdio.h>

/* Says what went wrong and what to do about it; gives the exit status. */
static int fail(const coam_error *error) {
  fprintf(stderr, "gpg_verify: %s\n", coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

/* Feeds the whole of `file` to the verifier. */
static coam_code feed(coam_sig_verifier *verifier, FILE *file, coam_error **ret_error) {
  static char block[1 << 16];
  size_t got;
  while ((got = fread(block, 1, sizeof block, file)) > 0) {
    coam_code code = coam_sig_verifier_update(verifier, block, got, ret_error);
    if (code != COAM_OK) return code;
  }
  return COAM_OK;
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_sig_keyring) keys = NULL;
  COAM_AUTO(coam_sig_verifier) verifier = NULL;
  COAM_AUTO(coam_sig_verdict) verdict = NULL;
  COAM_AUTO(coam_error) error = NULL;
  char signature[65536];
  size_t size, i;
  FILE *file;
  coam_code code;

  if (argc != 4) {
    fprintf(stderr, "usage: gpg_verify KEYS SIGNATURE FILE\n");
    return 2;
  }
  if (coam_context_new(NULL, &context, &error) != COAM_OK) return fail(error);
  if (coam_sig_keyring_load(context, argv[1], &keys, &error) != COAM_OK) return fail(error);

  file = fopen(argv[2], "rb");
  if (file == NULL) {
    perror(argv[2]);
    return 1;
  }
  size = fread(signature, 1, sizeof signature, file);
  fclose(file);
  if (coam_sig_verifier_new(context, keys, signature, size, NULL, &verifier, &error) != COAM_OK) {
    return fail(error);
  }

  file = fopen(argv[3], "rb");
  if (file == NULL) {
    perror(argv[3]);
    return 1;
  }
  code = feed(verifier, file, &error);
  fclose(file);
  if (code != COAM_OK) return fail(error);
  if (coam_sig_verifier_finish(verifier, &verdict, &error) != COAM_OK) return fail(error);

  /* One line for each signature; only the check below decides. */
  for (i = 0; i < coam_sig_verdict_count(verdict); i++) {
    coam_str reason = coam_sig_verdict_reason(verdict, i);
    printf("%s %s %s\n", reason.size == 0 ? "good" : reason.data,
           coam_sig_verdict_fingerprint(verdict, i).data, coam_sig_verdict_user(verdict, i).data);
  }
  if (coam_sig_verdict_check(verdict, argv[3], &error) != COAM_OK) return fail(error);
  return 0;
}
