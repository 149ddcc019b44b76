/* Finds an App Container image by its name, fetches it with its signature, verifies it and stores it.
 *
 *   aci_discover_fetch NAME STORE-DIR KEYS-DIR [CA-FILE [HOST:PORT:ADDRESS[:PORT]]]
 *
 * KEYS-DIR is a trustedkeys directory as rkt has it. Prints each step, then the ID of the image.
 */
#include <coaming/aci.h>
#include <coaming/json.h>
#include <stdio.h>

static int fail(coam_error *error) {
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  int code = coam_error_exit_code(error);
  coam_error_free(error);
  return code;
}

static int32_t on_event(void *user, const coam_event *event) {
  (void)user;
  if (coam_event_text(event).size > 0) fprintf(stderr, "%s\n", coam_event_text(event).data);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s NAME STORE-DIR KEYS-DIR [CA-FILE [RESOLVE]]\n", argv[0]);
    return 2;
  }
  coam_error *error = NULL;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) options = NULL;
  COAM_AUTO(coam_options) where = NULL;
  COAM_AUTO(coam_options) wiring = NULL;
  COAM_AUTO(coam_options) how = NULL;
  COAM_AUTO(coam_sig_keystore) keys = NULL;
  COAM_AUTO(coam_aci_store) store = NULL;
  COAM_AUTO(coam_aci_client) client = NULL;
  COAM_AUTO(coam_buf) found = NULL;
  COAM_AUTO(coam_buf) fetched = NULL;
  COAM_AUTO(coam_json) steps = NULL;
  COAM_AUTO(coam_json) result = NULL;

  if (coam_context_new(NULL, &context, &error) != COAM_OK) return fail(error);

  /* Which keys count, and where images are kept. */
  if (coam_options_new("sig.keystore", &options, &error) != COAM_OK ||
      coam_options_set(options, "local-dir", argv[3], &error) != COAM_OK ||
      coam_sig_keystore_open(context, options, &keys, &error) != COAM_OK ||
      coam_options_new("aci.store", &where, &error) != COAM_OK ||
      coam_options_set(where, "dir", argv[2], &error) != COAM_OK ||
      coam_aci_store_open(where, &store, &error) != COAM_OK) {
    return fail(error);
  }

  /* How to reach servers: a CA of our own and a mapped host are for tests. */
  if (coam_options_new("aci.client", &wiring, &error) != COAM_OK ||
      (argc > 4 && coam_options_set(wiring, "ca-file", argv[4], &error) != COAM_OK) ||
      (argc > 5 && coam_options_set(wiring, "resolve", argv[5], &error) != COAM_OK) ||
      coam_aci_client_new(wiring, keys, &client, &error) != COAM_OK) {
    return fail(error);
  }

  /* Where is it? Each page that was asked is a step. */
  if (coam_aci_discover(client, context, argv[1], NULL, &found, &error) != COAM_OK ||
      coam_json_parse(coam_buf_data(found), coam_buf_size(found), &steps, &error) != COAM_OK) {
    return fail(error);
  }
  for (size_t i = 0; i < coam_json_count(steps, "/steps"); ++i) {
    char at[64];
    snprintf(at, sizeof at, "/steps/%zu/url", i);
    printf("asked %s", coam_json_text(steps, at).data);
    snprintf(at, sizeof at, "/steps/%zu/outcome", i);
    printf(": %s\n", coam_json_text(steps, at).data);
  }

  /* Signature first, then the image, then the verdict; only a good one reaches the store. */
  if (coam_options_new("aci.fetch", &how, &error) != COAM_OK) return fail(error);
  coam_options_set_events(how, on_event, NULL, NULL);
  if (coam_aci_fetch(client, store, context, argv[1], how, &fetched, &error) != COAM_OK ||
      coam_json_parse(coam_buf_data(fetched), coam_buf_size(fetched), &result, &error) != COAM_OK) {
    return fail(error);
  }
  printf("signed by %s\n", coam_json_text(result, "/image/signer").data);
  printf("%s\n", coam_json_text(result, "/image/id").data);
  return 0;
}
