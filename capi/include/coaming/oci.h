/* coaming/oci.h: OCI images: open, pull, push, copy, unpack, build, list, and credentials.
 *
 * Specifications: OCI image-spec 1.1.1, distribution-spec 1.1.1, and Docker's schema 2 documents.
 *
 *   COAM_AUTO(coam_oci_image) image = NULL;
 *   COAM_AUTO(coam_buf) result = NULL;
 *   if (coam_oci_open(context, "docker://quay.io/org/app:1", NULL, &image, &error) == COAM_OK &&
 *       coam_oci_image_unpack(image, context, "/run/app", NULL, &result, &error) == COAM_OK)
 *     run("/run/app");
 *
 * An image is named as skopeo spells it: docker://HOST/REPOSITORY[:TAG|@DIGEST], oci:DIR[:NAME],
 * oci-archive:FILE[:NAME], dir:DIR. Every document is checked against its digest before it is read,
 * every layer while it streams; nothing appears under its final name before that, and a failed or
 * cancelled call leaves nothing, or partial downloads named by digest that the next try goes on with.
 * Plain http is spoken to loopback addresses (when https fails) and to hosts of the option http-host.
 * Limits: manifest_bytes, layers, blob_bytes, unpacked_bytes, unpacked_files, parallel_downloads, ...
 * Errors of all calls: oci.*, digest.*, http.*, stream.*, archive.*, json.*, fs.*, core.*.
 */
#ifndef COAMING_OCI_H_
#define COAMING_OCI_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Images --------------------------------------------------------------------------------- */

/* One image of one platform: its documents, read and verified, and the place that it came from.
 * The documents are [immutable]; unpacking and reading layers is [single]. */
typedef struct coam_oci_image coam_oci_image;

COAM_API coam_oci_image *coam_oci_image_ref(coam_oci_image *image);
COAM_API void coam_oci_image_free(coam_oci_image *image);
COAM_DEFINE_FREEP(coam_oci_image)

/* coam_oci_open reads the manifest and config that `name` points to, chosen by platform, into
 * *ret_image (new). Layers are fetched when they are used. Options: family "oci.open". */
COAM_CHECKED coam_code coam_oci_open(coam_context *context, const char *name,
                                     const coam_options *options, coam_oci_image **ret_image,
                                     coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_open_start(coam_context *context, const char *name,
                                           const coam_options *options, coam_job **ret_job,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_open_finish(coam_job *job, coam_oci_image **ret_image,
                                            coam_error **ret_error);

/* coam_oci_pull copies the image `name` into the layout directory `layout` (made if missing), under
 * `layout_name` (NULL or "": the reference that it was pulled by), and opens it there into
 * *ret_image (new). What is there already is not fetched again. Options: family "oci.pull". */
COAM_CHECKED coam_code coam_oci_pull(coam_context *context, const char *name, const char *layout,
                                     const char *layout_name, const coam_options *options,
                                     coam_oci_image **ret_image, coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_pull_start(coam_context *context, const char *name,
                                           const char *layout, const char *layout_name,
                                           const coam_options *options, coam_job **ret_job,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_pull_finish(coam_job *job, coam_oci_image **ret_image,
                                            coam_error **ret_error);

/* The name that it was opened by, written out. Borrowed. */
COAM_API coam_str coam_oci_image_name(const coam_oci_image *image);
/* The digest of the manifest, "sha256:...". Borrowed. */
COAM_API coam_str coam_oci_image_digest(const coam_oci_image *image);
/* The exact bytes of the manifest, of the config, and of what the name points to (an index, or the
 * manifest again). Borrowed. */
COAM_API coam_str coam_oci_image_manifest(const coam_oci_image *image);
COAM_API coam_str coam_oci_image_config(const coam_oci_image *image);
COAM_API coam_str coam_oci_image_index(const coam_oci_image *image);
/* Layers of the image, lowest first. */
COAM_API size_t coam_oci_image_layer_count(const coam_oci_image *image);
/* Schema coam.oci.image.v1: {"name","digest","mediaType","indexDigest","artifactType","annotations",
 * "size","imageId","platform","created","user","env","entrypoint","cmd","workingDir","exposedPorts",
 * "volumes","labels","stopSignal","history","layers":[descriptor with "diffId"]}. Borrowed. */
COAM_API coam_str coam_oci_image_json(const coam_oci_image *image);

/* coam_oci_image_unpack makes `directory`/rootfs and `directory`/config.json (image-spec,
 * conversion.md) in one pass from the source, all or nothing. *ret_json (new) has the schema
 * coam.oci.unpack.v1: {"rootfs","config","layers","entries","bytes"}. Options: "oci.unpack". */
COAM_CHECKED coam_code coam_oci_image_unpack(coam_oci_image *image, coam_context *context,
                                             const char *directory, const coam_options *options,
                                             coam_buf **ret_json, coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_image_unpack_start(coam_oci_image *image, coam_context *context,
                                                   const char *directory,
                                                   const coam_options *options, coam_job **ret_job,
                                                   coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_image_unpack_finish(coam_job *job, coam_buf **ret_json,
                                                    coam_error **ret_error);

/* The bytes of one layer, read in order. [single] */
typedef struct coam_oci_layer coam_oci_layer;

/* coam_oci_image_open_layer opens layer `index` into *ret_layer (new): uncompressed and checked
 * against its DiffID, or with `stored` not 0 as it is stored. Options: "oci.layer"; the layer keeps
 * its cancel and deadline. */
COAM_CHECKED coam_code coam_oci_image_open_layer(coam_oci_image *image, coam_context *context,
                                                 size_t index, int32_t stored,
                                                 const coam_options *options,
                                                 coam_oci_layer **ret_layer,
                                                 coam_error **ret_error);
COAM_API coam_oci_layer *coam_oci_layer_ref(coam_oci_layer *layer);
COAM_API void coam_oci_layer_free(coam_oci_layer *layer);
COAM_DEFINE_FREEP(coam_oci_layer)
/* coam_oci_layer_read puts up to `size` bytes at `data` and their number into *ret_size; 0 is the end,
 * and comes only if digest and size were right. Errors: digest.mismatch, stream.corrupt, ... */
COAM_CHECKED coam_code coam_oci_layer_read(coam_oci_layer *layer, void *data, size_t size,
                                           size_t *ret_size, coam_error **ret_error);

/* ---- Copying -------------------------------------------------------------------------------- */

/* coam_oci_copy brings an image from `from` to `to`, bytes unchanged; blobs that are there already
 * are not moved. Pushing is copying to docker://. *ret_json (new) has the schema coam.oci.copy.v1:
 * {"digest","mediaType","size","blobsCopied","blobsReused","bytesCopied"}. Options: "oci.copy". */
COAM_CHECKED coam_code coam_oci_copy(coam_context *context, const char *from, const char *to,
                                     const coam_options *options, coam_buf **ret_json,
                                     coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_copy_start(coam_context *context, const char *from, const char *to,
                                           const coam_options *options, coam_job **ret_job,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_oci_copy_finish(coam_job *job, coam_buf **ret_json,
                                            coam_error **ret_error);

/* ---- Trust policies ------------------------------------------------------------------------- */

/* The options "policy" (or "policy-json") and "registries-d" of "oci.open", "oci.pull" and "oci.copy"
 * make these calls judge every manifest that they use by containers-policy.json(5), before anything of
 * the image is written: the one chosen from an index, or with "all" the index and each of its
 * manifests. Without a policy any image is taken. Signatures are those of the lookaside store and,
 * where registries.d says use-sigstore-attachments, of the tag sha256-HEX.sig; of dir: its files.
 * Errors: policy.rejected, policy.unsigned, policy.signature, policy.identity, policy.invalid,
 * policy.unsupported (Fulcio, PKI and Rekor are never passed over), sig.*; the details policy.scope and
 * policy.requirement say which rule and which of its requirements did not hold. */

/* coam_oci_policy_explain judges the image `name` in the same way, fetches nothing but its manifest and
 * signatures, and tells in *ret_json (new) what came of each requirement; a refusal is a result, not an
 * error. Schema coam.policy.decision.v1: {"image","digest","rule","allowed","signatures",
 * "requirements":[{"type","holds","reason","message","hint"}]}. Options: "oci.open". */
COAM_CHECKED coam_code coam_oci_policy_explain(coam_context *context, const char *name,
                                               const coam_options *options, coam_buf **ret_json,
                                               coam_error **ret_error);

/* ---- Names ---------------------------------------------------------------------------------- */

/* coam_oci_name_parse reads a name without looking for it. Schema coam.oci.reference.v1:
 * {"transport","path","name","host","repository","tag","digest","familiar","text"} in *ret_json (new).
 * Errors: oci.transport, oci.reference. */
COAM_CHECKED coam_code coam_oci_name_parse(const char *name, coam_buf **ret_json,
                                           coam_error **ret_error);
/* coam_oci_list gives the tags of a repository (docker://HOST/REPOSITORY) or the names of a layout.
 * Schema coam.oci.names.v1: {"name","names":[...]} in *ret_json (new). Options: "oci.registry". */
COAM_CHECKED coam_code coam_oci_list(coam_context *context, const char *name,
                                     const coam_options *options, coam_buf **ret_json,
                                     coam_error **ret_error);
/* coam_oci_resolve gives the digest that `name` points to in *ret_digest (new). Options:
 * "oci.registry". */
COAM_CHECKED coam_code coam_oci_resolve(coam_context *context, const char *name,
                                        const coam_options *options, coam_buf **ret_digest,
                                        coam_error **ret_error);
/* coam_oci_referrers lists the artifacts (signatures, attestations) that name the image `name` as
 * their subject; `artifact_type` NULL or "": all. Schema coam.oci.descriptors.v1:
 * {"name","descriptors":[...]} in *ret_json (new). Options: "oci.registry". */
COAM_CHECKED coam_code coam_oci_referrers(coam_context *context, const char *name,
                                          const char *artifact_type, const coam_options *options,
                                          coam_buf **ret_json, coam_error **ret_error);
/* coam_oci_remove takes a name out of a layout, or a tag or digest out of a registry. Blobs of a
 * layout stay until coam_oci_gc. Options: "oci.registry". */
COAM_CHECKED coam_code coam_oci_remove(coam_context *context, const char *name,
                                       const coam_options *options, coam_error **ret_error);
/* coam_oci_gc removes the blobs of a layout that no name reaches, and old partial downloads. Schema
 * coam.oci.gc.v1: {"blobs","bytes","kept","removed"} in *ret_json (new). Options: "oci.gc". */
COAM_CHECKED coam_code coam_oci_gc(coam_context *context, const char *layout,
                                   const coam_options *options, coam_buf **ret_json,
                                   coam_error **ret_error);

/* ---- Building ------------------------------------------------------------------------------- */

/* coam_oci_build makes an image of the directory `tree` (NULL: of no layer of its own) as `name`,
 * which is oci:DIR[:NAME]. The same tree and options give the same digest, which goes to *ret_digest
 * (new). Options: "oci.build". */
COAM_CHECKED coam_code coam_oci_build(coam_context *context, const char *tree, const char *name,
                                      const coam_options *options, coam_buf **ret_digest,
                                      coam_error **ret_error);

/* ---- Credentials ---------------------------------------------------------------------------- */

/* coam_oci_login asks the registry `host` whether it takes the credentials of the option creds-fd, and
 * keeps them in the file of the option authfile. Options: "oci.registry". Errors: oci.auth. */
COAM_CHECKED coam_code coam_oci_login(coam_context *context, const char *host,
                                      const coam_options *options, coam_error **ret_error);
/* coam_oci_logout takes the credentials of `host` out of the file `authfile`; *ret_removed is 1 if
 * there were any. */
COAM_CHECKED coam_code coam_oci_logout(coam_context *context, const char *host,
                                       const char *authfile, int32_t *ret_removed,
                                       coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_OCI_H_ */
