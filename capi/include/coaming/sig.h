/* coaming/sig.h: OpenPGP signatures, keys, and rkt's store of trusted keys.
 *
 * Specifications: RFC 9580 and RFC 4880 (detached, inline and cleartext signatures; keys of version 4
 * and 6; RSA, ECDSA on P-256, P-384 and P-521, Ed25519); rkt's trustedkeys directories.
 *
 *   COAM_AUTO(coam_sig_keyring) keys = NULL;
 *   COAM_AUTO(coam_sig_verdict) verdict = NULL;
 *   coam_sig_keyring_load(context, "pubkeys.gpg", &keys, &error);
 *   coam_sig_verify_file(context, keys, "hello.aci.asc", "hello.aci", NULL, &verdict, &error);
 *   if (coam_sig_verdict_check(verdict, "hello.aci", &error) != COAM_OK) refuse(error);
 *
 * A call that verifies answers COAM_OK when it reached a verdict, good or bad; only
 * coam_sig_verdict_check turns a verdict into yes or no. There is one result for each signature.
 * Secret keys and passphrases are wiped after use and left out of core dumps; they are never in
 * messages. Limits: signature_bytes, keyring_bytes.
 */
#ifndef COAMING_SIG_H_
#define COAMING_SIG_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Public keys ---------------------------------------------------------------------------- */

/* OpenPGP certificates. [immutable] */
typedef struct coam_sig_keyring coam_sig_keyring;

/* coam_sig_keyring_parse reads one or more public keys, armored or binary, into *ret_keyring (new).
 * Errors: sig.key_invalid, sig.unsupported, core.limit. */
COAM_CHECKED coam_code coam_sig_keyring_parse(coam_context *context, const void *data, size_t size,
                                              coam_sig_keyring **ret_keyring,
                                              coam_error **ret_error);
/* coam_sig_keyring_load reads a file. Errors: also core.not_found, core.permission. */
COAM_CHECKED coam_code coam_sig_keyring_load(coam_context *context, const char *path,
                                             coam_sig_keyring **ret_keyring,
                                             coam_error **ret_error);
COAM_API coam_sig_keyring *coam_sig_keyring_ref(coam_sig_keyring *keyring);
COAM_API void coam_sig_keyring_free(coam_sig_keyring *keyring);
COAM_DEFINE_FREEP(coam_sig_keyring)
COAM_API size_t coam_sig_keyring_count(const coam_sig_keyring *keyring);
/* The fingerprint of key `index`, lower-case hex; empty past the end. Borrowed. */
COAM_API coam_str coam_sig_keyring_fingerprint(const coam_sig_keyring *keyring, size_t index);
/* What to show before a key is trusted: fingerprints in groups of four, subkeys, identities, as
 * `rkt trust` prints them. Control characters are replaced. Borrowed. */
COAM_API coam_str coam_sig_keyring_review(const coam_sig_keyring *keyring);
/* All keys as one armored block. Borrowed. */
COAM_API coam_str coam_sig_keyring_armored(const coam_sig_keyring *keyring);
/* Schema coam.sig.keyring.v1: {"keys":[{"fingerprint","keyId","algorithm","created","userIds",
 * "subkeys"}]}. User ids are what the key claims. Borrowed. */
COAM_API coam_str coam_sig_keyring_json(const coam_sig_keyring *keyring);

/* ---- Verdicts ------------------------------------------------------------------------------- */

/* What was found out about each signature. [immutable] */
typedef struct coam_sig_verdict coam_sig_verdict;

COAM_API coam_sig_verdict *coam_sig_verdict_ref(coam_sig_verdict *verdict);
COAM_API void coam_sig_verdict_free(coam_sig_verdict *verdict);
COAM_DEFINE_FREEP(coam_sig_verdict)
/* coam_sig_verdict_check is OK if enough signatures are good; `subject` is what errors call the data.
 * Errors: sig.bad, sig.untrusted, sig.expired, sig.key_expired, sig.key_revoked, sig.key_unusable,
 * sig.not_yet_valid, sig.weak, sig.wrong_type, sig.unsupported, sig.malformed, sig.threshold. */
COAM_CHECKED coam_code coam_sig_verdict_check(const coam_sig_verdict *verdict, const char *subject,
                                              coam_error **ret_error);
/* The number of different certificates with a good signature. */
COAM_API int64_t coam_sig_verdict_good(const coam_sig_verdict *verdict);
COAM_API size_t coam_sig_verdict_count(const coam_sig_verdict *verdict);
/* Of signature `index`, in the order of the file; empty past the end. The reason is a name of the
 * table of reasons, empty for a good one. Fingerprints are empty where no key was found. Borrowed. */
COAM_API coam_str coam_sig_verdict_reason(const coam_sig_verdict *verdict, size_t index);
COAM_API coam_str coam_sig_verdict_message(const coam_sig_verdict *verdict, size_t index);
COAM_API coam_str coam_sig_verdict_fingerprint(const coam_sig_verdict *verdict, size_t index);
COAM_API coam_str coam_sig_verdict_signer(const coam_sig_verdict *verdict, size_t index);
/* The first user id that the key's own valid signature binds, made printable. Borrowed. */
COAM_API coam_str coam_sig_verdict_user(const coam_sig_verdict *verdict, size_t index);
/* Seconds since 1970, 0 if it does not say. */
COAM_API int64_t coam_sig_verdict_created(const coam_sig_verdict *verdict, size_t index);
/* Schema coam.sig.verdict.v1. Borrowed. */
COAM_API coam_str coam_sig_verdict_json(const coam_sig_verdict *verdict);

/* ---- Verifying ------------------------------------------------------------------------------ */

/* coam_sig_verify judges a detached signature, armored or binary, over `data`. Options: family
 * "sig.verify". Errors: sig.unsigned (empty), sig.malformed (no signature file; also an inline or
 * cleartext message, which signs other bytes), core.limit. */
COAM_CHECKED coam_code coam_sig_verify(coam_context *context, const coam_sig_keyring *keyring,
                                       const void *signature, size_t signature_size,
                                       const void *data, size_t size, const coam_options *options,
                                       coam_sig_verdict **ret_verdict, coam_error **ret_error);
/* coam_sig_verify_file reads both from files; the data is read once, in blocks. Events: kind
 * "verify". Errors: also core.not_found, core.io. */
COAM_CHECKED coam_code coam_sig_verify_file(coam_context *context, const coam_sig_keyring *keyring,
                                            const char *signature_path, const char *data_path,
                                            const coam_options *options,
                                            coam_sig_verdict **ret_verdict, coam_error **ret_error);
/* The same on a thread of its own (coam_job in core.h). */
COAM_CHECKED coam_code coam_sig_verify_file_start(coam_context *context, coam_sig_keyring *keyring,
                                                  const char *signature_path, const char *data_path,
                                                  const coam_options *options, coam_job **ret_job,
                                                  coam_error **ret_error);
COAM_CHECKED coam_code coam_sig_verify_file_finish(coam_job *job, coam_sig_verdict **ret_verdict,
                                                   coam_error **ret_error);
/* coam_sig_verify_message opens an inline or cleartext signed message. *ret_content (new) receives
 * exactly the bytes that were signed if the verdict is good, else NULL. Errors: sig.unsigned,
 * sig.malformed, core.limit. */
COAM_CHECKED coam_code coam_sig_verify_message(coam_context *context,
                                               const coam_sig_keyring *keyring, const void *message,
                                               size_t size, const coam_options *options,
                                               coam_buf **ret_content,
                                               coam_sig_verdict **ret_verdict,
                                               coam_error **ret_error);

/* Verification while the data arrives. [single] */
typedef struct coam_sig_verifier coam_sig_verifier;

/* coam_sig_verifier_new reads the signature; then the data is given in pieces, and coam_sig_verifier_
 * finish gives the verdict (new), once. Errors: as coam_sig_verify; finish twice: core.state. */
COAM_CHECKED coam_code coam_sig_verifier_new(coam_context *context, const coam_sig_keyring *keyring,
                                             const void *signature, size_t signature_size,
                                             const coam_options *options,
                                             coam_sig_verifier **ret_verifier,
                                             coam_error **ret_error);
COAM_CHECKED coam_code coam_sig_verifier_update(coam_sig_verifier *verifier, const void *data,
                                                size_t size, coam_error **ret_error);
COAM_CHECKED coam_code coam_sig_verifier_finish(coam_sig_verifier *verifier,
                                                coam_sig_verdict **ret_verdict,
                                                coam_error **ret_error);
/* 1 if some signature claims a key of the keyring: worth fetching the data. */
COAM_API int32_t coam_sig_verifier_known(const coam_sig_verifier *verifier);
COAM_API coam_sig_verifier *coam_sig_verifier_ref(coam_sig_verifier *verifier);
COAM_API void coam_sig_verifier_free(coam_sig_verifier *verifier);
COAM_DEFINE_FREEP(coam_sig_verifier)

/* ---- Secret keys and signing ---------------------------------------------------------------- */

/* A key that can sign. [immutable] */
typedef struct coam_sig_key coam_sig_key;

/* coam_sig_key_generate makes a key for "Name <mail>". Options: family "sig.generate". */
COAM_CHECKED coam_code coam_sig_key_generate(coam_context *context, const char *user_id,
                                             const coam_options *options, coam_sig_key **ret_key,
                                             coam_error **ret_error);
/* coam_sig_key_parse reads the first secret key, armored or binary, as gpg exports it; the passphrase
 * may be NULL. Errors: sig.key_invalid, sig.passphrase, sig.unsupported. */
COAM_CHECKED coam_code coam_sig_key_parse(coam_context *context, const void *data, size_t size,
                                          const char *passphrase, coam_sig_key **ret_key,
                                          coam_error **ret_error);
COAM_CHECKED coam_code coam_sig_key_load(coam_context *context, const char *path,
                                         const char *passphrase, coam_sig_key **ret_key,
                                         coam_error **ret_error);
COAM_API coam_sig_key *coam_sig_key_ref(coam_sig_key *key);
COAM_API void coam_sig_key_free(coam_sig_key *key);
COAM_DEFINE_FREEP(coam_sig_key)
COAM_API coam_str coam_sig_key_fingerprint(const coam_sig_key *key);
/* coam_sig_key_public gives the public key as a keyring of one (new). */
COAM_CHECKED coam_code coam_sig_key_public(const coam_sig_key *key, coam_sig_keyring **ret_keyring,
                                           coam_error **ret_error);
/* coam_sig_key_export writes an armored secret key that gpg imports; a NULL or empty passphrase leaves
 * it unprotected. The buffer is wiped when freed. */
COAM_CHECKED coam_code coam_sig_key_export(const coam_sig_key *key, const char *passphrase,
                                           coam_buf **ret_armored, coam_error **ret_error);
/* coam_sig_key_revoke writes an armored revocation certificate; reason 0 none, 1 superseded,
 * 2 compromised, 3 retired. `time` is seconds since 1970; 0 is now. */
COAM_CHECKED coam_code coam_sig_key_revoke(const coam_sig_key *key, int32_t reason,
                                           const char *text, int64_t time, coam_buf **ret_armored,
                                           coam_error **ret_error);
/* coam_sig_sign signs `data`. Options: family "sig.sign" (mode detached, inline or cleartext).
 * Errors: sig.key_expired, sig.key_unusable. */
COAM_CHECKED coam_code coam_sig_sign(coam_context *context, const coam_sig_key *key,
                                     const void *data, size_t size, const coam_options *options,
                                     coam_buf **ret_signature, coam_error **ret_error);
/* coam_sig_sign_file makes a detached signature over a file, read once, in blocks. */
COAM_CHECKED coam_code coam_sig_sign_file(coam_context *context, const coam_sig_key *key,
                                          const char *path, const coam_options *options,
                                          coam_buf **ret_signature, coam_error **ret_error);

/* ---- rkt's key store ------------------------------------------------------------------------ */

/* Which keys count for which image names. [shared] */
typedef struct coam_sig_keystore coam_sig_keystore;

/* coam_sig_keystore_open opens the directories of family "sig.keystore"; by default rkt's. */
COAM_CHECKED coam_code coam_sig_keystore_open(coam_context *context, const coam_options *options,
                                              coam_sig_keystore **ret_keystore,
                                              coam_error **ret_error);
COAM_API coam_sig_keystore *coam_sig_keystore_ref(coam_sig_keystore *keystore);
COAM_API void coam_sig_keystore_free(coam_sig_keystore *keystore);
COAM_DEFINE_FREEP(coam_sig_keystore)
/* coam_sig_keystore_add trusts every key of `keyring` for the names at and beneath `prefix`, or for
 * all names if `prefix` is NULL. Show coam_sig_keyring_review first. Errors: sig.trust_scope,
 * core.permission, core.no_space. */
COAM_CHECKED coam_code coam_sig_keystore_add(coam_context *context, coam_sig_keystore *keystore,
                                             const char *prefix, const coam_sig_keyring *keyring,
                                             coam_error **ret_error);
/* coam_sig_keystore_mask hides a key of the system's directory. Errors: as add, sig.key_invalid. */
COAM_CHECKED coam_code coam_sig_keystore_mask(coam_context *context, coam_sig_keystore *keystore,
                                              const char *prefix, const char *fingerprint,
                                              coam_error **ret_error);
/* coam_sig_keystore_remove takes a local key or mask away. Errors: sig.key_not_found. */
COAM_CHECKED coam_code coam_sig_keystore_remove(coam_context *context, coam_sig_keystore *keystore,
                                                const char *prefix, const char *fingerprint,
                                                coam_error **ret_error);
/* coam_sig_keystore_list gives every key in *ret_json (new), schema coam.sig.keystore.v1:
 * {"keys":[{"prefix","fingerprint","local","masked","userIds"}]}; a root key's prefix is "". */
COAM_CHECKED coam_code coam_sig_keystore_list(coam_context *context, coam_sig_keystore *keystore,
                                              coam_buf **ret_json, coam_error **ret_error);
/* coam_sig_keystore_keyring gives the keys that count for an image name (new); it may be empty.
 * Errors: sig.trust_scope (no name), sig.key_invalid (a damaged file). */
COAM_CHECKED coam_code coam_sig_keystore_keyring(coam_context *context, coam_sig_keystore *keystore,
                                                 const char *name, coam_sig_keyring **ret_keyring,
                                                 coam_error **ret_error);
/* coam_sig_keystore_verify_file judges a detached signature with the keys that count for `name`.
 * Errors: sig.no_keys, those of coam_sig_verify_file. */
COAM_CHECKED coam_code coam_sig_keystore_verify_file(
    coam_context *context, coam_sig_keystore *keystore, const char *name,
    const char *signature_path, const char *data_path, const coam_options *options,
    coam_sig_verdict **ret_verdict, coam_error **ret_error);

/* ---- Trust policies and claims -------------------------------------------------------------- */

/* coam_sig_policy_parse reads a policy.json (containers-policy.json(5): an unknown or repeated member
 * makes all of it invalid) and gives it with its defaults filled in. Schema coam.policy.v1:
 * {"default":[REQUIREMENT],"transports":{"docker":{SCOPE:[REQUIREMENT]}}} in *ret_json (new).
 * coam_oci_policy_explain judges an image by it. Errors: policy.invalid, with the place. */
COAM_CHECKED coam_code coam_sig_policy_parse(coam_context *context, const void *data, size_t size,
                                             coam_buf **ret_json, coam_error **ret_error);

/* coam_sig_claim_sign makes the signature file of simple signing (containers-signature(5)): "the
 * manifest `digest` is `reference`", for signature-N of a lookaside store. The time is now.
 * Errors: policy.signature (no digest, no name), those of coam_sig_sign. */
COAM_CHECKED coam_code coam_sig_claim_sign(coam_context *context, const coam_sig_key *key,
                                           const char *digest, const char *reference,
                                           coam_buf **ret_signature, coam_error **ret_error);
/* coam_sig_claim_verify checks such a file by the keys and gives what it states, schema
 * coam.sig.claim.v1: {"digest","reference","creator","timestamp","fingerprint"} in *ret_json (new).
 * That digest and reference are those of the image is the caller's to compare. Options: "sig.verify".
 * Errors: sig.*, policy.signature. */
COAM_CHECKED coam_code coam_sig_claim_verify(coam_context *context, const coam_sig_keyring *keyring,
                                             const void *signature, size_t size,
                                             const coam_options *options, coam_buf **ret_json,
                                             coam_error **ret_error);
/* coam_sig_cosign_sign makes cosign's payload and its base64 signature (both new) with a private key in
 * PEM: PKCS#8, plain or encrypted by PBES2 with `passphrase` (may be NULL). cosign's own encrypted keys
 * need a cipher that is not built in: sig.key_invalid. Errors: sig.key_invalid, sig.passphrase,
 * policy.signature. */
COAM_CHECKED coam_code coam_sig_cosign_sign(coam_context *context, const void *key, size_t key_size,
                                            const char *passphrase, const char *digest,
                                            const char *reference, coam_buf **ret_payload,
                                            coam_buf **ret_signature, coam_error **ret_error);
/* coam_sig_cosign_verify checks a payload's base64 signature by a public key in PEM and gives what the
 * payload states, as coam_sig_claim_verify does. Errors: sig.bad, sig.key_invalid, policy.signature. */
COAM_CHECKED coam_code coam_sig_cosign_verify(coam_context *context, const void *key,
                                              size_t key_size, const void *payload,
                                              size_t payload_size, const char *signature,
                                              coam_buf **ret_json, coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_SIG_H_ */
