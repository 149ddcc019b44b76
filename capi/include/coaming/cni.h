/* coaming/cni.h: containers on networks by CNI plugins: ADD, DEL, CHECK, GC, STATUS, VERSION.
 *
 * Specification: https://www.cni.dev/docs/spec/ versions 0.1.0 to 1.1.0. Files in the result cache are
 * those of the reference client, so that either can take over what the other attached.
 *
 *   COAM_AUTO(coam_cni_client) client = NULL;
 *   COAM_AUTO(coam_cni_network) network = NULL;
 *   COAM_AUTO(coam_cni_result) result = NULL;
 *   coam_cni_client_new(context, NULL, &client, &error);
 *   coam_cni_network_load(context, client, "web", NULL, &network, &error);
 *   coam_cni_add(context, client, network, "c1", "/run/netns/c1", NULL, &result, &error);
 *
 * A failed ADD is undone, DEL may be repeated, and a plugin that outlives the call's deadline is ended
 * with everything it started. Errors of every call that runs plugins: cni.name, cni.conf.invalid,
 * cni.version, cni.plugin.*, core.cancelled, core.deadline_exceeded, core.limit, core.io; details
 * cni.network, cni.plugin, cni.index, cni.verb, cni.code, cni.msg, cni.details, cni.rollback,
 * exit.status or exit.signal, stderr.
 * Limits: plugin_output_bytes for what a plugin prints, manifest_bytes for each document.
 */
#ifndef COAMING_CNI_H_
#define COAMING_CNI_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Clients -------------------------------------------------------------------------------- */

/* Where plugins, configurations and cached results are, and how strictly to work. [shared]
 * Operations on one container take turns, and garbage collection excludes ADD and DEL on its
 * network, among the calls on one client. */
typedef struct coam_cni_client coam_cni_client;

/* coam_cni_client_new makes a client from options of family "cni.client" in *ret_client (new).
 * Errors: core.invalid_argument. */
COAM_CHECKED coam_code coam_cni_client_new(coam_context *context, const coam_options *options,
                                           coam_cni_client **ret_client, coam_error **ret_error);
COAM_API coam_cni_client *coam_cni_client_ref(coam_cni_client *client);
COAM_API void coam_cni_client_free(coam_cni_client *client);
COAM_DEFINE_FREEP(coam_cni_client)

/* ---- Networks ------------------------------------------------------------------------------- */

/* A named list of plugins. [immutable] */
typedef struct coam_cni_network coam_cni_network;

/* coam_cni_network_load finds the network called `name` in the client's configuration directories,
 * lists (.conflist) before single plugins (.conf, .json). Options: family "cni.load".
 * Errors: cni.conf.not_found, cni.conf.invalid, cni.version, core.io. */
COAM_CHECKED coam_code coam_cni_network_load(coam_context *context, coam_cni_client *client,
                                             const char *name, const coam_options *options,
                                             coam_cni_network **ret_network,
                                             coam_error **ret_error);
/* coam_cni_network_load_file reads one file. Errors: as coam_cni_network_load. */
COAM_CHECKED coam_code coam_cni_network_load_file(coam_context *context, const char *path,
                                                  coam_cni_network **ret_network,
                                                  coam_error **ret_error);
/* coam_cni_network_parse reads a list, or a single plugin's configuration, from `size` bytes of JSON.
 * Errors: cni.conf.invalid, cni.version, core.limit. */
COAM_CHECKED coam_code coam_cni_network_parse(coam_context *context, const void *json, size_t size,
                                              coam_cni_network **ret_network,
                                              coam_error **ret_error);
COAM_API coam_cni_network *coam_cni_network_ref(coam_cni_network *network);
COAM_API void coam_cni_network_free(coam_cni_network *network);
COAM_DEFINE_FREEP(coam_cni_network)
COAM_API coam_str coam_cni_network_name(const coam_cni_network *network);
/* The version selected from cniVersion and cniVersions; empty means 0.1.0. Borrowed. */
COAM_API coam_str coam_cni_network_version(const coam_cni_network *network);
/* The document. Borrowed. */
COAM_API coam_str coam_cni_network_json(const coam_cni_network *network);
/* The file it came from, or empty. Borrowed. */
COAM_API coam_str coam_cni_network_path(const coam_cni_network *network);
COAM_API size_t coam_cni_network_plugin_count(const coam_cni_network *network);
/* The type of plugin `index`, or empty past the end. Borrowed. */
COAM_API coam_str coam_cni_network_plugin_type(const coam_cni_network *network, size_t index);

/* Every network of the client's configuration directories. [single] A snapshot. */
typedef struct coam_cni_networks coam_cni_networks;

/* coam_cni_networks_new reads them all; files that cannot be read, and names given twice, become the
 * note cni.conf.skipped. Options: family "cni.load". Errors: core.io. */
COAM_CHECKED coam_code coam_cni_networks_new(coam_context *context, coam_cni_client *client,
                                             const coam_options *options,
                                             coam_cni_networks **ret_networks,
                                             coam_error **ret_error);
/* coam_cni_networks_next gives the next one (new) in *ret_network, NULL at the end. */
COAM_CHECKED coam_code coam_cni_networks_next(coam_cni_networks *networks,
                                              coam_cni_network **ret_network,
                                              coam_error **ret_error);
COAM_API coam_cni_networks *coam_cni_networks_ref(coam_cni_networks *networks);
COAM_API void coam_cni_networks_free(coam_cni_networks *networks);
COAM_DEFINE_FREEP(coam_cni_networks)

/* ---- Results -------------------------------------------------------------------------------- */

/* What ADD gave: interfaces, addresses, routes, name service. [immutable] */
typedef struct coam_cni_result coam_cni_result;

/* coam_cni_result_parse reads a result of any version; one that names none is read as
 * `fallback_version` (NULL: 0.1.0). Errors: cni.result.invalid, cni.version, core.limit. */
COAM_CHECKED coam_code coam_cni_result_parse(coam_context *context, const void *json, size_t size,
                                             const char *fallback_version,
                                             coam_cni_result **ret_result, coam_error **ret_error);
/* coam_cni_result_convert says it in another version; what the older shape cannot say is lost.
 * Errors: cni.result.convert (0.2.0 and older need an address), cni.version. */
COAM_CHECKED coam_code coam_cni_result_convert(const coam_cni_result *result, const char *version,
                                               coam_cni_result **ret_result,
                                               coam_error **ret_error);
COAM_API coam_cni_result *coam_cni_result_ref(coam_cni_result *result);
COAM_API void coam_cni_result_free(coam_cni_result *result);
COAM_DEFINE_FREEP(coam_cni_result)
/* One line of JSON in the shape of its version. Borrowed. */
COAM_API coam_str coam_cni_result_json(const coam_cni_result *result);
/* The same as plugins print it, indented by four spaces. Borrowed. */
COAM_API coam_str coam_cni_result_json_pretty(const coam_cni_result *result);
COAM_API coam_str coam_cni_result_version(const coam_cni_result *result);
COAM_API size_t coam_cni_result_interface_count(const coam_cni_result *result);
/* Of interface `index`; empty past the end. The sandbox is empty for one on the host. Borrowed. */
COAM_API coam_str coam_cni_result_interface_name(const coam_cni_result *result, size_t index);
COAM_API coam_str coam_cni_result_interface_mac(const coam_cni_result *result, size_t index);
COAM_API coam_str coam_cni_result_interface_sandbox(const coam_cni_result *result, size_t index);
COAM_API size_t coam_cni_result_ip_count(const coam_cni_result *result);
/* Address and prefix length of IP `index`, "10.88.0.2/16"; empty past the end. Borrowed. */
COAM_API coam_str coam_cni_result_ip_address(const coam_cni_result *result, size_t index);
/* Its gateway, or empty. Borrowed. */
COAM_API coam_str coam_cni_result_ip_gateway(const coam_cni_result *result, size_t index);
/* The index of its interface, or -1 if the result does not say. */
COAM_API int64_t coam_cni_result_ip_interface(const coam_cni_result *result, size_t index);

/* ---- Attaching and detaching ---------------------------------------------------------------- */

/* coam_cni_add attaches container `container_id`, whose network namespace is at `netns`, and gives
 * what the last plugin answered (new). Options: family "cni.attach". On failure nothing is left
 * attached; if undoing failed too, the detail cni.rollback says why, and coam_cni_recover tries again.
 * Errors: also cni.attached (that interface exists), cni.result.invalid, cni.cache.collision. */
COAM_CHECKED coam_code coam_cni_add(coam_context *context, coam_cni_client *client,
                                    const coam_cni_network *network, const char *container_id,
                                    const char *netns, const coam_options *options,
                                    coam_cni_result **ret_result, coam_error **ret_error);
/* coam_cni_del detaches; netns may be NULL when the namespace is gone. It is no error if nothing is
 * attached. Every plugin is run even if one fails; the first failure is returned. */
COAM_CHECKED coam_code coam_cni_del(coam_context *context, coam_cni_client *client,
                                    const coam_cni_network *network, const char *container_id,
                                    const char *netns, const coam_options *options,
                                    coam_error **ret_error);
/* coam_cni_check asks each plugin whether the attachment is as it was made (from 0.4.0 on).
 * Errors: also cni.not_attached, cni.cache.corrupt. */
COAM_CHECKED coam_code coam_cni_check(coam_context *context, coam_cni_client *client,
                                      const coam_cni_network *network, const char *container_id,
                                      const char *netns, const coam_options *options,
                                      coam_error **ret_error);

/* The same ADD and DEL on a thread of their own, for event loops (coam_job in core.h). */
COAM_CHECKED coam_code coam_cni_add_start(coam_context *context, coam_cni_client *client,
                                          const coam_cni_network *network, const char *container_id,
                                          const char *netns, const coam_options *options,
                                          coam_job **ret_job, coam_error **ret_error);
COAM_CHECKED coam_code coam_cni_add_finish(coam_job *job, coam_cni_result **ret_result,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_cni_del_start(coam_context *context, coam_cni_client *client,
                                          const coam_cni_network *network, const char *container_id,
                                          const char *netns, const coam_options *options,
                                          coam_job **ret_job, coam_error **ret_error);
COAM_CHECKED coam_code coam_cni_del_finish(coam_job *job, coam_error **ret_error);

/* ---- Looking after networks ------------------------------------------------------------------ */

/* coam_cni_status asks each plugin whether ADD would work now; always OK below 1.1.0. Options:
 * family "cni.run". Errors: also cni.plugin.not_available, cni.plugin.limited. */
COAM_CHECKED coam_code coam_cni_status(coam_context *context, coam_cni_client *client,
                                       const coam_cni_network *network, const coam_options *options,
                                       coam_error **ret_error);
/* coam_cni_gc removes every attachment of the network but those listed by the option `keep` of
 * family "cni.gc" ("CONTAINER/INTERFACE", once for each). It goes on after failures and returns the
 * first, with their number in the detail cni.failures. */
COAM_CHECKED coam_code coam_cni_gc(coam_context *context, coam_cni_client *client,
                                   const coam_cni_network *network, const coam_options *options,
                                   coam_error **ret_error);
/* coam_cni_recover undoes attachments that were begun and not finished (a crash in the middle) and
 * puts their number into *ret_count, which may be NULL. Options: family "cni.run". */
COAM_CHECKED coam_code coam_cni_recover(coam_context *context, coam_cni_client *client,
                                        const coam_options *options, int64_t *ret_count,
                                        coam_error **ret_error);
/* coam_cni_validate checks that every plugin of the network is installed and speaks its version, and
 * gives the capabilities it can use as a JSON list of names in *ret_json (new; may be NULL).
 * Options: family "cni.run". Errors: cni.plugin.not_found, cni.plugin.version. */
COAM_CHECKED coam_code coam_cni_validate(coam_context *context, coam_cni_client *client,
                                         const coam_cni_network *network,
                                         const coam_options *options, coam_buf **ret_json,
                                         coam_error **ret_error);
/* coam_cni_plugin_versions asks the plugin `type` which versions it speaks; *ret_json (new) is its
 * answer: {"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}. Options: "cni.run". */
COAM_CHECKED coam_code coam_cni_plugin_versions(coam_context *context, coam_cni_client *client,
                                                const char *type, const coam_options *options,
                                                coam_buf **ret_json, coam_error **ret_error);

/* coam_cni_netns_id gives the container id that cnitool derives from a namespace's absolute path, in
 * *ret_id (new): "cnitool-" and 20 hex digits. */
COAM_CHECKED coam_code coam_cni_netns_id(const char *netns, coam_buf **ret_id,
                                         coam_error **ret_error);

/* ---- What is attached ------------------------------------------------------------------------ */

/* One attachment as the cache remembers it. [immutable] */
typedef struct coam_cni_attachment coam_cni_attachment;
/* All of them, or those of one container. [single] A snapshot. */
typedef struct coam_cni_attachments coam_cni_attachments;

/* coam_cni_attachments_new lists them, of one container unless container_id is NULL.
 * Errors: core.io, core.permission. */
COAM_CHECKED coam_code coam_cni_attachments_new(coam_context *context, coam_cni_client *client,
                                                const char *container_id,
                                                coam_cni_attachments **ret_attachments,
                                                coam_error **ret_error);
/* coam_cni_attachments_next gives the next one (new) in *ret_attachment, NULL at the end. */
COAM_CHECKED coam_code coam_cni_attachments_next(coam_cni_attachments *attachments,
                                                 coam_cni_attachment **ret_attachment,
                                                 coam_error **ret_error);
COAM_API coam_cni_attachments *coam_cni_attachments_ref(coam_cni_attachments *attachments);
COAM_API void coam_cni_attachments_free(coam_cni_attachments *attachments);
COAM_DEFINE_FREEP(coam_cni_attachments)
COAM_API coam_cni_attachment *coam_cni_attachment_ref(coam_cni_attachment *attachment);
COAM_API void coam_cni_attachment_free(coam_cni_attachment *attachment);
COAM_DEFINE_FREEP(coam_cni_attachment)
/* Borrowed. */
COAM_API coam_str coam_cni_attachment_network(const coam_cni_attachment *attachment);
COAM_API coam_str coam_cni_attachment_container(const coam_cni_attachment *attachment);
COAM_API coam_str coam_cni_attachment_interface(const coam_cni_attachment *attachment);
COAM_API coam_str coam_cni_attachment_netns(const coam_cni_attachment *attachment);
/* The configuration it was made with; empty if the cache does not know. Borrowed. */
COAM_API coam_str coam_cni_attachment_config(const coam_cni_attachment *attachment);
/* coam_cni_attachment_result gives its result (new), or NULL. */
COAM_API coam_cni_result *coam_cni_attachment_result(const coam_cni_attachment *attachment);
/* coam_cni_attachment_del undoes it by the configuration it was made with, whatever the directories
 * say now. Options: family "cni.run". Errors: as coam_cni_del; cni.cache.corrupt. */
COAM_CHECKED coam_code coam_cni_attachment_del(coam_context *context, coam_cni_client *client,
                                               const coam_cni_attachment *attachment,
                                               const coam_options *options, coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_CNI_H_ */
