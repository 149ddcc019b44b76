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

#ifdef __cplusplus
}
#endif

#endif /* COAMING_TUF_H_ */
