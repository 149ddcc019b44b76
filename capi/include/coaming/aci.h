/* coaming/aci.h: App Container Images: build, validate, change, discover, fetch, store, render.
 *
 * Specification: appc/spec 0.8.11. Images are named by ID ("sha512-" and 128 hex digits, over the
 * uncompressed tar) or by name ("example.com/app:1.0,os=linux,arch=amd64").
 *
 *   coam_aci_store *store = NULL; coam_aci_client *client = NULL; coam_buf *json = NULL;
 *   coam_aci_store_open(NULL, &store, &error);
 *   coam_aci_client_new(NULL, keystore, &client, &error);
 *   coam_aci_fetch(client, store, context, "example.com/app:1.0", NULL, &json, &error);
 *
 * Results that nest are JSON with a schema name (coaming/json.h reads them). Nothing unverified is
 * ever in the store under its ID: the signature is checked over the raw bytes first, then layout,
 * manifest, name and labels. Archives cannot write outside the directory they are rendered into.
 * Limits: limits.manifest_bytes, blob_bytes, unpacked_bytes, unpacked_files, discovery_bytes,
 * signature_bytes, dependencies, dependency_depth.
 */
#ifndef COAMING_ACI_H_
#define COAMING_ACI_H_

#include <coaming/core.h>
#include <coaming/sig.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The store ------------------------------------------------------------------------------ */

/* Images on disk, by ID. [shared], also between processes. */
typedef struct coam_aci_store coam_aci_store;

/* coam_aci_store_open opens the store of options "aci.store" (dir), making it if it is missing, in
 * *ret_store (new). Errors: core.permission, core.io. */
COAM_CHECKED coam_code coam_aci_store_open(const coam_options *options, coam_aci_store **ret_store,
                                           coam_error **ret_error);
COAM_API coam_aci_store *coam_aci_store_ref(coam_aci_store *store);
COAM_API void coam_aci_store_free(coam_aci_store *store);
COAM_DEFINE_FREEP(coam_aci_store)

/* coam_aci_store_resolve gives the full ID (new) of a full or abbreviated ID or a name with labels.
 * Errors: aci.not_found, aci.ambiguous, aci.image_id_invalid, aci.name_invalid. */
COAM_CHECKED coam_code coam_aci_store_resolve(coam_aci_store *store, const char *image,
                                              coam_buf **ret_id, coam_error **ret_error);
/* coam_aci_store_list gives {"schema":"coam.aci.images.v1","images":[...]} (new), oldest first;
 * coam_aci_store_record one of them, schema coam.aci.image.v1: id, name, version, labels, latest,
 * size, importTime, lastUsed, source, signer. `image` as for resolve. */
COAM_CHECKED coam_code coam_aci_store_list(coam_aci_store *store, coam_buf **ret_json,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_aci_store_record(coam_aci_store *store, const char *image,
                                             coam_buf **ret_json, coam_error **ret_error);
/* coam_aci_store_manifest gives the image manifest (new), as it stands in the image, or indented if
 * `pretty` is not 0. */
COAM_CHECKED coam_code coam_aci_store_manifest(coam_aci_store *store, const char *image,
                                               int32_t pretty, coam_buf **ret_json,
                                               coam_error **ret_error);
/* coam_aci_store_import puts a file into the store without asking for a signature; options
 * "aci.import" (latest, want-id). *ret_id (new) is its ID. Errors: aci.not_image,
 * aci.layout_invalid, aci.manifest_invalid, aci.id_mismatch, fs.escape, core.limit. */
COAM_CHECKED coam_code coam_aci_store_import(coam_aci_store *store, coam_context *context,
                                             const char *path, const coam_options *options,
                                             coam_buf **ret_id, coam_error **ret_error);
/* coam_aci_store_remove removes an image. Errors: aci.not_found, aci.in_use. */
COAM_CHECKED coam_code coam_aci_store_remove(coam_aci_store *store, const char *image,
                                             coam_error **ret_error);
/* coam_aci_store_gc removes images and rendered trees that nobody has used for the grace period of
 * options "aci.gc" (grace-period, dry-run, keep-tree); *ret_json (new) is the array of the IDs. */
COAM_CHECKED coam_code coam_aci_store_gc(coam_aci_store *store, coam_context *context,
                                         const coam_options *options, coam_buf **ret_json,
                                         coam_error **ret_error);
/* coam_aci_store_export writes the uncompressed image to `path`, hashed on the way; options
 * "aci.export" (overwrite). Errors: core.exists, aci.store_corrupt. */
COAM_CHECKED coam_code coam_aci_store_export(coam_aci_store *store, coam_context *context,
                                             const char *image, const char *path,
                                             const coam_options *options, coam_error **ret_error);
/* coam_aci_store_verify reads the stored image, and its rendered tree if there is one, and compares
 * them with their hashes; options "aci.verify". Errors: aci.store_corrupt, aci.tree_damaged. */
COAM_CHECKED coam_code coam_aci_store_verify(coam_aci_store *store, coam_context *context,
                                             const char *image, const coam_options *options,
                                             coam_error **ret_error);
/* coam_aci_store_render puts an image with its dependencies into the directory `path`, which appears
 * whole or not at all; options "aci.render" (overwrite, rootfs-only, dependencies, keep-owner).
 * Errors: core.exists, aci.not_found (a dependency), aci.dependency_cycle, aci.store_corrupt. */
COAM_CHECKED coam_code coam_aci_store_render(coam_aci_store *store, coam_context *context,
                                             const char *image, const char *path,
                                             const coam_options *options, coam_error **ret_error);

/* A rendered root file system that the store keeps, made once and shared. While the handle lives
 * nobody removes it. Do not write to it: put an overlay on top. [immutable] */
typedef struct coam_aci_tree coam_aci_tree;

/* coam_aci_store_tree gives the tree of an image (new), rendering it if need be; options "aci.tree". */
COAM_CHECKED coam_code coam_aci_store_tree(coam_aci_store *store, coam_context *context,
                                           const char *image, const coam_options *options,
                                           coam_aci_tree **ret_tree, coam_error **ret_error);
COAM_API coam_aci_tree *coam_aci_tree_ref(coam_aci_tree *tree);
COAM_API void coam_aci_tree_free(coam_aci_tree *tree);
COAM_DEFINE_FREEP(coam_aci_tree)
/* Borrowed. The root is an absolute path if the store's directory is. */
COAM_API coam_str coam_aci_tree_id(const coam_aci_tree *tree);
COAM_API coam_str coam_aci_tree_root(const coam_aci_tree *tree);

/* ---- Discovery and fetching ------------------------------------------------------------------ */

/* The HTTP side, and who is trusted. [shared] */
typedef struct coam_aci_client coam_aci_client;

/* coam_aci_client_new makes a client with options "aci.client" (ca-file, resolve, proxies, ...).
 * `keystore` (kept by reference) decides which signatures count; with NULL only calls that ask for
 * no verification can fetch. Errors: core.invalid_argument, core.io. */
COAM_CHECKED coam_code coam_aci_client_new(const coam_options *options, coam_sig_keystore *keystore,
                                           coam_aci_client **ret_client, coam_error **ret_error);
COAM_API coam_aci_client *coam_aci_client_ref(coam_aci_client *client);
COAM_API void coam_aci_client_free(coam_aci_client *client);
COAM_DEFINE_FREEP(coam_aci_client)

/* Asked inside coam_aci_fetch for keys that discovery found for a name that has none: return 0 to
 * trust `keys` (borrowed) for `prefix`, anything else to refuse them (aci.no_key). */
typedef int32_t (*coam_aci_review_fn)(void *user, const char *prefix, const char *url,
                                      const coam_sig_keyring *keys);
/* coam_aci_client_set_review has `fn` asked; without it no discovered key is taken. user_free (may be
 * NULL) is called once with `user`. Not while a call uses the client. Inside a job no review is asked:
 * keys must be there before. */
COAM_API void coam_aci_client_set_review(coam_aci_client *client, coam_aci_review_fn fn, void *user,
                                         void (*user_free)(void *user));

/* coam_aci_discover asks where a name's image and keys are; options "aci.discover" (images, keys,
 * allow-http, insecure-tls, port, simple, header). *ret_json (new): schema coam.aci.discovery.v1 with
 * endpoints [{aci,asc}], keys [URL], steps [{prefix,url,keys,status,outcome,reason}].
 * Errors: aci.discovery_failed (the message tells the whole way), http.*. */
COAM_CHECKED coam_code coam_aci_discover(coam_aci_client *client, coam_context *context,
                                         const char *name, const coam_options *options,
                                         coam_buf **ret_json, coam_error **ret_error);
/* coam_aci_download_keys fetches public keys (new) from a URL for coam_sig_keyring_parse; options
 * "aci.discover". https unless allow-http. Errors: http.*, core.limit. */
COAM_CHECKED coam_code coam_aci_download_keys(coam_aci_client *client, coam_context *context,
                                              const char *url, const coam_options *options,
                                              coam_buf **ret_keys, coam_error **ret_error);

/* coam_aci_fetch brings an image with its dependencies into the store: `image` is a name, an ID, a
 * URL or a file ending in .aci; options "aci.fetch" (pull-policy, insecure-image, allow-http,
 * signature, ...). *ret_json (new): schema coam.aci.fetch.v1 with image, fromStore, dependencies,
 * steps. A refusal leaves nothing, a broken network a partial file that the next call continues.
 * Events: discover, fetch, download, verify. Errors: aci.discovery_failed, aci.unsigned, aci.no_key,
 * aci.name_mismatch, aci.id_mismatch, aci.dependency_cycle, sig.*, http.*, core.limit. */
COAM_CHECKED coam_code coam_aci_fetch(coam_aci_client *client, coam_aci_store *store,
                                      coam_context *context, const char *image,
                                      const coam_options *options, coam_buf **ret_json,
                                      coam_error **ret_error);
COAM_CHECKED coam_code coam_aci_fetch_start(coam_aci_client *client, coam_aci_store *store,
                                            coam_context *context, const char *image,
                                            const coam_options *options, coam_job **ret_job,
                                            coam_error **ret_error);
COAM_CHECKED coam_code coam_aci_fetch_finish(coam_job *job, coam_buf **ret_json,
                                             coam_error **ret_error);

/* ---- Image files ------------------------------------------------------------------------------ */

/* coam_aci_inspect reads an image file to its end; options "aci.inspect" (strict). *ret_json (new):
 * schema coam.aci.file.v1 with id, name, labels, compression, size, manifest. */
COAM_CHECKED coam_code coam_aci_inspect(coam_context *context, const char *path,
                                        const coam_options *options, coam_buf **ret_json,
                                        coam_error **ret_error);
/* coam_aci_file_manifest gives the manifest (new) of an image file, reading no further. */
COAM_CHECKED coam_code coam_aci_file_manifest(coam_context *context, const char *path,
                                              int32_t pretty, coam_buf **ret_json,
                                              coam_error **ret_error);
/* coam_aci_validate checks an image file, a layout directory, or a manifest of either kind; options
 * "aci.validate" (type, strict). *ret_kind (new): "app container image", "image layout", "image
 * manifest" or "pod manifest". Errors: aci.not_image, aci.layout_invalid, aci.manifest_invalid, ... */
COAM_CHECKED coam_code coam_aci_validate(coam_context *context, const char *path,
                                         const coam_options *options, coam_buf **ret_kind,
                                         coam_error **ret_error);
/* coam_aci_build makes an image file of a layout directory (manifest, rootfs); options "aci.build"
 * (compression, owner-root, overwrite, clamp-mtime). The file appears whole or not at all, and the
 * same tree gives the same ID. *ret_json (new): schema coam.aci.file.v1. */
COAM_CHECKED coam_code coam_aci_build(coam_context *context, const char *layout, const char *output,
                                      const coam_options *options, coam_buf **ret_json,
                                      coam_error **ret_error);
/* coam_aci_manifest_edit changes a manifest (JSON text) with options "aci.edit"; *ret_json (new).
 * Errors: aci.build_missing (a thing to remove is not there), aci.manifest_invalid, ... */
COAM_CHECKED coam_code coam_aci_manifest_edit(coam_context *context, const char *manifest,
                                              const coam_options *edit, coam_buf **ret_json,
                                              coam_error **ret_error);
/* coam_aci_patch copies an image file with a manifest changed by options `edit` ("aci.edit"), packed
 * as options "aci.build" say. `output` may be `path` with overwrite. */
COAM_CHECKED coam_code coam_aci_patch(coam_context *context, const char *path, const char *output,
                                      const coam_options *edit, const coam_options *options,
                                      coam_buf **ret_json, coam_error **ret_error);

/* ---- Building word by word -------------------------------------------------------------------- */

/* An image in the making, in a directory `.acbuild`; locked against others while it lives. [single] */
typedef struct coam_aci_builder coam_aci_builder;

/* coam_aci_builder_begin starts a build in `work_path` from nothing, or from options "aci.begin"
 * (start: image, tar of a root, or directory). coam_aci_builder_open takes the one that is there.
 * Errors: aci.build_state (there is one, there is none, somebody else has it). */
COAM_CHECKED coam_code coam_aci_builder_begin(coam_context *context, const char *work_path,
                                              const coam_options *options,
                                              coam_aci_builder **ret_builder,
                                              coam_error **ret_error);
COAM_CHECKED coam_code coam_aci_builder_open(const char *work_path, coam_aci_builder **ret_builder,
                                             coam_error **ret_error);
COAM_API coam_aci_builder *coam_aci_builder_ref(coam_aci_builder *builder);
COAM_API void coam_aci_builder_free(coam_aci_builder *builder);
COAM_DEFINE_FREEP(coam_aci_builder)
COAM_CHECKED coam_code coam_aci_builder_manifest(coam_aci_builder *builder, int32_t pretty,
                                                 coam_buf **ret_json, coam_error **ret_error);
/* coam_aci_builder_edit changes the manifest with options "aci.edit", all changes or none; the key
 * history becomes an annotation. */
COAM_CHECKED coam_code coam_aci_builder_edit(coam_aci_builder *builder, const coam_options *edit,
                                             coam_error **ret_error);
/* coam_aci_builder_copy copies a host file, or the contents of a host directory, to `target` in the
 * image; links in the image never lead out of it. Errors: fs.escape, core.not_found, core.no_space. */
COAM_CHECKED coam_code coam_aci_builder_copy(coam_aci_builder *builder, coam_context *context,
                                             const char *source, const char *target,
                                             coam_error **ret_error);
/* coam_aci_builder_write makes the image file with options "aci.build"; *ret_json (new) as
 * coam_aci_build. Errors: aci.build_state (no name yet), core.exists. */
COAM_CHECKED coam_code coam_aci_builder_write(coam_aci_builder *builder, coam_context *context,
                                              const char *output, const coam_options *options,
                                              coam_buf **ret_json, coam_error **ret_error);
/* coam_aci_builder_end removes the build; afterwards only free it. */
COAM_CHECKED coam_code coam_aci_builder_end(coam_aci_builder *builder, coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_ACI_H_ */
