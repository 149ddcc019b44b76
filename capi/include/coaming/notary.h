/* coaming/notary.h: signed names of images and files by Notary v1, which is Docker Content Trust.
 *
 * Specification: the protocol of notary-server 0.7, the file formats of its client, and what docker 28
 * does with them. For TUF itself see coaming/tuf.h.
 *
 *   COAM_AUTO(coam_notary) notary = NULL;
 *   COAM_AUTO(coam_buf) name = NULL;
 *   coam_options_new("notary.open", &options, &error);
 *   coam_options_set(options, "server", "https://notary.example", &error);
 *   coam_options_set(options, "trust-dir", "/home/me/.docker/trust", &error);
 *   coam_notary_open(context, options, &notary, &error);
 *   coam_notary_resolve(notary, "registry.example/app:1.4", NULL, &name, &error);
 *   coam_oci_pull(context, name's text, "/var/lib/images", "app:1.4", NULL, &image, &error);
 *
 * A repository has a name, its GUN: "registry.example/team/app". Its root is held by certificates that
 * name it; the first root that is seen is pinned in the trust directory, unless pins say otherwise. The
 * trust directory is shared with `notary` (~/.notary) and docker (~/.docker/trust), both ways.
 * Limits: tuf_metadata_bytes, tuf_delegations, json_*.
 * Errors of all that ask the server: notary.unsigned (it has no trust data for the name), notary.root (the
 * root is not the pinned one, or not for this name), tuf.threshold, tuf.rollback, tuf.expired,
 * tuf.mismatch, tuf.invalid, notary.auth, http.*, core.*.
 */
#ifndef COAMING_NOTARY_H_
#define COAMING_NOTARY_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A server and a trust directory. [single] A call during another one on the same object answers
 * core.reentered; processes that share the directory take turns. */
typedef struct coam_notary coam_notary;

/* coam_notary_open asks nothing of the server and makes the trust directory if it is missing. Options:
 * family "notary.open": server, trust-dir, pins, TLS. Errors: core.invalid_argument, core.permission. */
COAM_CHECKED coam_code coam_notary_open(coam_context *context, const coam_options *options,
                                        coam_notary **ret_notary, coam_error **ret_error);
COAM_API coam_notary *coam_notary_ref(coam_notary *notary);
COAM_API void coam_notary_free(coam_notary *notary);
COAM_DEFINE_FREEP(coam_notary)

/* Asked inside a call for the passphrase of a private key: `role` is "root", "targets", "snapshot",
 * "delegation" or the name of a signer; `create` is 1 for a key that is to be protected from now on;
 * `attempt` counts the wrong ones before. Write it, NUL-terminated, into `passphrase` (`size` bytes, wiped
 * afterwards; empty leaves a new key unprotected) and return 0; anything else gives sig.passphrase. */
typedef int32_t (*coam_notary_passphrase_fn)(void *user, const char *key_id, const char *role,
                                             int32_t create, int32_t attempt, char *passphrase,
                                             size_t size);
/* coam_notary_set_passphrase has `fn` asked; without it only unprotected keys can be used. user_free
 * (may be NULL) is called once with `user`. Not while a call uses the object. */
COAM_API void coam_notary_set_passphrase(coam_notary *notary, coam_notary_passphrase_fn fn,
                                         void *user, void (*user_free)(void *user));

/* ---- Reading --------------------------------------------------------------------------------- */

/* coam_notary_list gives the targets of a repository. Options: "notary.target": role (in order of
 * priority; none: targets and everything beneath) or released (docker's view: targets/releases, then
 * targets). *ret_json (new): schema coam.notary.targets.v1: {"gun","targets":[{"name","role","length",
 * "digest","hashes","custom"}]}. */
COAM_CHECKED coam_code coam_notary_list(coam_notary *notary, const char *gun,
                                        const coam_options *options, coam_buf **ret_json,
                                        coam_error **ret_error);
/* coam_notary_lookup gives one of them, schema coam.notary.target.v1. Errors: also notary.no_target. */
COAM_CHECKED coam_code coam_notary_lookup(coam_notary *notary, const char *gun, const char *name,
                                          const coam_options *options, coam_buf **ret_json,
                                          coam_error **ret_error);
/* coam_notary_verify compares a file of the host with the target of that name. Errors: also
 * notary.no_target, tuf.mismatch. */
COAM_CHECKED coam_code coam_notary_verify(coam_notary *notary, const char *gun, const char *name,
                                          const char *file, const coam_options *options,
                                          coam_error **ret_error);
/* coam_notary_state tells of the roles, schema coam.notary.state.v1: {"gun","roles":[{"role","version",
 * "expires","threshold","keys":[{"id","keyId","type"}],"signedBy":[id],"paths","valid"}]}. Options:
 * "notary.run". */
COAM_CHECKED coam_code coam_notary_state(coam_notary *notary, const char *gun,
                                         const coam_options *options, coam_buf **ret_json,
                                         coam_error **ret_error);
/* coam_notary_resolve gives the name with its tag replaced by the digest that is signed for it,
 * "docker://registry.example/app@sha256:..." (new), as docker does before a pull. A name that has a digest
 * is given back. Errors: also notary.no_target (no valid trust data for the tag). */
COAM_CHECKED coam_code coam_notary_resolve(coam_notary *notary, const char *image,
                                           const coam_options *options, coam_buf **ret_name,
                                           coam_error **ret_error);

/* ---- Publishing at once ---------------------------------------------------------------------- */

/* coam_notary_sign signs an image's tag as docker does after a push: `digest` is that of its manifest of
 * `size` bytes. A repository that the server lacks is begun, with the snapshot key at the server. The
 * roles that were signed go to *ret_json (new), schema coam.notary.roles.v1: {"gun","name","roles"}.
 * Options: "notary.run". Errors: also notary.no_key, notary.refused, sig.passphrase. */
COAM_CHECKED coam_code coam_notary_sign(coam_notary *notary, const char *image, const char *digest,
                                        int64_t size, const coam_options *options,
                                        coam_buf **ret_json, coam_error **ret_error);
/* coam_notary_revoke takes an image's tag, or all tags of a name without one, out of every role whose key
 * is here. Same result. Errors: also notary.no_target. */
COAM_CHECKED coam_code coam_notary_revoke(coam_notary *notary, const char *image,
                                          const coam_options *options, coam_buf **ret_json,
                                          coam_error **ret_error);
/* coam_notary_rotate replaces the keys of "root", "targets", "snapshot" or "timestamp". Options:
 * "notary.rotate": server (by a new key of the server's), or key-id; else a new key is made. */
COAM_CHECKED coam_code coam_notary_rotate(coam_notary *notary, const char *gun, const char *role,
                                          const coam_options *options, coam_error **ret_error);
/* coam_notary_delete removes the metadata and changes kept here and, if `remote` is not 0, those on the
 * server. Private keys stay. */
COAM_CHECKED coam_code coam_notary_delete(coam_notary *notary, const char *gun, int32_t remote,
                                          const coam_options *options, coam_error **ret_error);

/* ---- Publishing in steps --------------------------------------------------------------------- */

/* coam_notary_init makes the first metadata of a repository, here only. Options: "notary.init". Errors:
 * also notary.exists. */
COAM_CHECKED coam_code coam_notary_init(coam_notary *notary, const char *gun,
                                        const coam_options *options, coam_error **ret_error);
/* The list of changes for the next publication. coam_notary_add and _remove are about a target, options
 * "notary.add": file, or length and hash; role; custom. */
COAM_CHECKED coam_code coam_notary_add(coam_notary *notary, const char *gun, const char *name,
                                       const coam_options *options, coam_error **ret_error);
COAM_CHECKED coam_code coam_notary_remove(coam_notary *notary, const char *gun, const char *name,
                                          const coam_options *options, coam_error **ret_error);
/* coam_notary_delegate adds keys and paths to a role beneath targets, which is made if it is new.
 * coam_notary_undelegate takes keys (by id) and paths from it, or with none of them the role itself; of
 * "targets/..." ending in a star it takes the keys from all roles there. Options: "notary.delegation". */
COAM_CHECKED coam_code coam_notary_delegate(coam_notary *notary, const char *gun, const char *role,
                                            const coam_options *options, coam_error **ret_error);
COAM_CHECKED coam_code coam_notary_undelegate(coam_notary *notary, const char *gun,
                                              const char *role, const coam_options *options,
                                              coam_error **ret_error);
/* coam_notary_witness has a role signed again as it stands, also one that lost its signatures. */
COAM_CHECKED coam_code coam_notary_witness(coam_notary *notary, const char *gun, const char *role,
                                           coam_error **ret_error);
/* coam_notary_staged lists the changes, schema coam.notary.changes.v1: {"gun","changes":[{"action","role",
 * "type","path"}]}; coam_notary_unstage drops the one at `index`, or all if it is -1. */
COAM_CHECKED coam_code coam_notary_staged(coam_notary *notary, const char *gun, coam_buf **ret_json,
                                          coam_error **ret_error);
COAM_CHECKED coam_code coam_notary_unstage(coam_notary *notary, const char *gun, int64_t index,
                                           coam_error **ret_error);
/* coam_notary_publish applies the changes to what the server has now, signs, uploads, and empties the
 * list. Options: "notary.run". Errors: also notary.role, notary.no_key, notary.change, notary.refused. */
COAM_CHECKED coam_code coam_notary_publish(coam_notary *notary, const char *gun,
                                           const coam_options *options, coam_error **ret_error);

/* ---- Private keys ---------------------------------------------------------------------------- */

/* coam_notary_keys lists the private keys, schema coam.notary.keys.v1: {"keys":[{"id","role","gun"}]}. */
COAM_CHECKED coam_code coam_notary_keys(coam_notary *notary, coam_buf **ret_json,
                                        coam_error **ret_error);
/* coam_notary_key_generate makes a key for a role; `gun` is NULL but for targets and snapshot. *ret_json
 * (new): schema coam.notary.key.v1: {"id","role","gun","public": PEM}. */
COAM_CHECKED coam_code coam_notary_key_generate(coam_notary *notary, const char *role,
                                                const char *gun, coam_buf **ret_json,
                                                coam_error **ret_error);
/* coam_notary_key_import takes the private keys of a PEM text; `role` and `gun`, unless NULL, override
 * what the text says. *ret_json (new): schema coam.notary.imported.v1: {"ids"}. */
COAM_CHECKED coam_code coam_notary_key_import(coam_notary *notary, const char *pem,
                                              const char *role, const char *gun,
                                              coam_buf **ret_json, coam_error **ret_error);
/* coam_notary_key_export gives keys as they are kept (new, wiped when freed): the one with `key_id`, or
 * those of `gun`, or with both NULL all. */
COAM_CHECKED coam_code coam_notary_key_export(coam_notary *notary, const char *key_id,
                                              const char *gun, coam_buf **ret_pem,
                                              coam_error **ret_error);
/* coam_notary_key_protect asks for the old passphrase and then for a new one. */
COAM_CHECKED coam_code coam_notary_key_protect(coam_notary *notary, const char *key_id,
                                               coam_error **ret_error);
COAM_CHECKED coam_code coam_notary_key_remove(coam_notary *notary, const char *key_id,
                                              coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_NOTARY_H_ */
