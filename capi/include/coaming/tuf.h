/* coaming/tuf.h: secure updates by The Update Framework.
 *
 * Specification: TUF 1.0.34, with delegations, hash prefixes and succinct bins (TAP 15).
 *
 *   COAM_AUTO(coam_tuf_client) client = NULL;
 *   COAM_AUTO(coam_buf) path = NULL;
 *   coam_options_new("tuf.client", &options, &error);
 *   coam_options_set(options, "metadata-url", "https://updates.example/metadata", &error);
 *   coam_options_set(options, "targets-url", "https://updates.example/targets", &error);
 *   coam_tuf_client_open(context, "/var/lib/app/tuf", root, root_size, options, &client, &error);
 *   coam_tuf_refresh(client, NULL, &error);
 *   coam_tuf_download(client, "app.tar", "/var/lib/app", NULL, &path, &error);
 *
 * The bootstrap root comes with your program and is given at each start: what is kept on disk is never
 * the anchor of trust. A failed update leaves the last good state and can be tried again.
 * Limits: tuf_metadata_bytes, json_depth, json_values, and the options' own.
 */
#ifndef COAMING_TUF_H_
#define COAMING_TUF_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A client of one repository. [shared] Calls on it take turns; so do processes on its directory. */
typedef struct coam_tuf_client coam_tuf_client;

/* coam_tuf_client_open keeps metadata in `metadata_dir` (made if missing) and trusts the `root_size`
 * bytes of root metadata that the application brings. Nothing is fetched. Options: family
 * "tuf.client". Errors: core.invalid_argument, core.permission, http.url. */
COAM_CHECKED coam_code coam_tuf_client_open(coam_context *context, const char *metadata_dir,
                                            const void *root, size_t root_size,
                                            const coam_options *options,
                                            coam_tuf_client **ret_client, coam_error **ret_error);
COAM_API coam_tuf_client *coam_tuf_client_ref(coam_tuf_client *client);
COAM_API void coam_tuf_client_free(coam_tuf_client *client);
COAM_DEFINE_FREEP(coam_tuf_client)

/* coam_tuf_refresh brings the top-level metadata up to date. Options: family "tuf.run".
 * Errors: tuf.threshold, tuf.rollback, tuf.version, tuf.expired, tuf.mismatch, tuf.invalid, http.*,
 * core.cancelled, core.deadline_exceeded, core.limit. */
COAM_CHECKED coam_code coam_tuf_refresh(coam_tuf_client *client, const coam_options *options,
                                        coam_error **ret_error);
/* coam_tuf_find searches the targets and delegations for a path, refreshing first if that was not
 * done. *ret_json (new) has schema coam.tuf.target.v1: {"path","length","hashes","custom"}.
 * Errors: also tuf.not_found. */
COAM_CHECKED coam_code coam_tuf_find(coam_tuf_client *client, const char *path,
                                     const coam_options *options, coam_buf **ret_json,
                                     coam_error **ret_error);
/* coam_tuf_download puts a target into `directory` (made if missing) under one encoded name, where it
 * appears only when it is verified; a file there with the right hashes is not fetched again. The
 * path of the file goes to *ret_path (new). Options: family "tuf.download". Events: kind "download".
 * Errors: also tuf.not_found, tuf.mismatch, core.no_space. */
COAM_CHECKED coam_code coam_tuf_download(coam_tuf_client *client, const char *path,
                                         const char *directory, const coam_options *options,
                                         coam_buf **ret_path, coam_error **ret_error);
/* The same on a thread of its own (coam_job in core.h). */
COAM_CHECKED coam_code coam_tuf_download_start(coam_tuf_client *client, const char *path,
                                               const char *directory, const coam_options *options,
                                               coam_job **ret_job, coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_download_finish(coam_job *job, coam_buf **ret_path,
                                                coam_error **ret_error);
/* coam_tuf_state tells what is trusted now, schema coam.tuf.state.v1: {"root":{"version","expires"},
 * "timestamp":...}; roles not yet loaded are left out. */
COAM_CHECKED coam_code coam_tuf_state(coam_tuf_client *client, coam_buf **ret_json,
                                      coam_error **ret_error);

/* ---- Repositories ---------------------------------------------------------------------------- */

/* A TUF repository in a directory: metadata/ and targets/ are what a web server serves. [shared]
 * Edits are staged: a changed role gets the next version and no signatures, and coam_tuf_repository_
 * publish refuses until each meets its threshold. Keys are PEM; a role's name is "root", "timestamp",
 * "snapshot", "targets" or that of a delegated role. Errors of all: tuf.repository, core.io. */
typedef struct coam_tuf_repository coam_tuf_repository;

/* coam_tuf_repository_open opens or makes the directory, and locks it until the object is freed. */
COAM_CHECKED coam_code coam_tuf_repository_open(coam_context *context, const char *directory,
                                                coam_tuf_repository **ret_repository,
                                                coam_error **ret_error);
COAM_API coam_tuf_repository *coam_tuf_repository_ref(coam_tuf_repository *repository);
COAM_API void coam_tuf_repository_free(coam_tuf_repository *repository);
COAM_DEFINE_FREEP(coam_tuf_repository)
/* coam_tuf_repository_init stages version 1 of the four roles. Options: family "tuf.init", with the
 * public keys of each role. */
COAM_CHECKED coam_code coam_tuf_repository_init(coam_tuf_repository *repository,
                                                const coam_options *options,
                                                coam_error **ret_error);
/* Edits of root; `public_pem` is NUL-terminated. */
COAM_CHECKED coam_code coam_tuf_repository_add_key(coam_tuf_repository *repository,
                                                   const char *role, const char *public_pem,
                                                   coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_remove_key(coam_tuf_repository *repository,
                                                      const char *role, const char *keyid,
                                                      coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_set_threshold(coam_tuf_repository *repository,
                                                         const char *role, int64_t threshold,
                                                         coam_error **ret_error);
/* coam_tuf_repository_set_expiry stages a role with a new expiry, in seconds since 1970. */
COAM_CHECKED coam_code coam_tuf_repository_set_expiry(coam_tuf_repository *repository,
                                                      const char *role, int64_t expires,
                                                      coam_error **ret_error);
/* coam_tuf_repository_add_target copies a file into targets/ and names it in `role`. `custom` is a
 * JSON object or NULL. */
COAM_CHECKED coam_code coam_tuf_repository_add_target(coam_tuf_repository *repository,
                                                      const char *role, const char *path,
                                                      const char *file, const char *custom,
                                                      coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_remove_target(coam_tuf_repository *repository,
                                                         const char *role, const char *path,
                                                         coam_error **ret_error);
/* coam_tuf_repository_delegate makes or replaces a delegation of `role` to `name`. Options: family
 * "tuf.delegate"; with `bits` the delegation is to that many hashed bins named NAME-xx. */
COAM_CHECKED coam_code coam_tuf_repository_delegate(coam_tuf_repository *repository,
                                                    const char *role, const char *name,
                                                    const coam_options *options,
                                                    coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_remove_delegation(coam_tuf_repository *repository,
                                                             const char *role, const char *name,
                                                             coam_error **ret_error);
/* coam_tuf_repository_snapshot and _timestamp stage a new one if it is needed; *ret_changed (may be
 * NULL) tells. `expires` is seconds since 1970. */
COAM_CHECKED coam_code coam_tuf_repository_snapshot(coam_tuf_repository *repository,
                                                    int64_t expires, int32_t *ret_changed,
                                                    coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_timestamp(coam_tuf_repository *repository,
                                                     int64_t expires, int32_t *ret_changed,
                                                     coam_error **ret_error);
/* The ceremony: bytes out (new), a signature in. Errors: also sig.bad. */
COAM_CHECKED coam_code coam_tuf_repository_to_be_signed(coam_tuf_repository *repository,
                                                        const char *role, coam_buf **ret_bytes,
                                                        coam_error **ret_error);
COAM_CHECKED coam_code coam_tuf_repository_add_signature(coam_tuf_repository *repository,
                                                         const char *role, const char *keyid,
                                                         const void *signature, size_t size,
                                                         coam_error **ret_error);
/* coam_tuf_repository_sign signs with a private key in PEM; the passphrase may be NULL. Errors: also
 * sig.key_invalid, sig.passphrase. */
COAM_CHECKED coam_code coam_tuf_repository_sign(coam_tuf_repository *repository, const char *role,
                                                const char *private_pem, const char *passphrase,
                                                coam_error **ret_error);
/* coam_tuf_repository_state tells what is staged and whose signatures are missing (new), schema
 * coam.tuf.repository.v1: {"staged":[{"role","version","ready","threshold","signedBy","missing",
 * "byOldRoot"}]}. */
COAM_CHECKED coam_code coam_tuf_repository_state(coam_tuf_repository *repository,
                                                 coam_buf **ret_json, coam_error **ret_error);
/* coam_tuf_repository_publish writes what is staged in an order that no reader stumbles over.
 * Errors: tuf.threshold, and then nothing was written. */
COAM_CHECKED coam_code coam_tuf_repository_publish(coam_tuf_repository *repository,
                                                   coam_error **ret_error);
/* coam_tuf_repository_verify walks what is published as a client would at `time` (seconds since 1970;
 * 0: now), all delegations. Errors: tuf.*. */
COAM_CHECKED coam_code coam_tuf_repository_verify(coam_tuf_repository *repository, int64_t time,
                                                  coam_error **ret_error);

/* coam_tuf_key_generate makes a key of type "ed25519", "ecdsa" or "rsa": a private PEM (new, wiped when
 * freed; protected if there is a passphrase) and a public one (new). */
COAM_CHECKED coam_code coam_tuf_key_generate(coam_context *context, const char *type,
                                             const char *passphrase, coam_buf **ret_private_pem,
                                             coam_buf **ret_public_pem, coam_error **ret_error);
/* coam_tuf_key_id gives the key id (new) of a public key in PEM. */
COAM_CHECKED coam_code coam_tuf_key_id(const char *public_pem, coam_buf **ret_keyid,
                                       coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_TUF_H_ */
