/* coaming/pod.h: pods of App Container images: prepare, run, enter, stop, collect.
 *
 * A pod is one or more apps that share network, IPC and UTS namespaces and a cgroup; each app has its
 * own root file system, mount and PID namespace. The life cycle on disk, the words and the defaults
 * are rkt's (DIR/pods/{embryo,prepare,prepared,run,exited-garbage,garbage}); the rules are those of
 * appc/spec 0.8.11, "App Container Executor" and "Pod Manifest Schema". Needs root.
 *
 *   coam_pods *pods = NULL; coam_pod_request *request = NULL; coam_buf *uuid = NULL;
 *   coam_pod *pod = NULL; int32_t status = 0;
 *   coam_pods_open(NULL, &pods, NULL);
 *   coam_pod_request_new(NULL, &request, NULL);
 *   coam_pod_request_add_app(request, "example.com/hello", NULL, NULL);
 *   coam_pods_prepare(pods, context, request, NULL, &uuid, NULL);
 *   coam_pods_run(pods, context, coam_buf_data(uuid), NULL, &pod, NULL);
 *   coam_pod_wait(pod, context, NULL, &status, NULL);
 *
 * Whatever kills the host, at whatever step: coam_pods_gc leaves nothing of the pod behind.
 */
#ifndef COAMING_POD_H_
#define COAMING_POD_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The pods of one directory ---------------------------------------------------------------- */

/* [shared] */
typedef struct coam_pods coam_pods;

/* coam_pods_open opens the pods of options "pods" (dir, network-dir, plugin-dir, cgroup-parent,
 * launcher) in *ret_pods (new). Makes the directory if it is missing.
 * Errors: core.permission (not root), core.io. */
COAM_CHECKED coam_code coam_pods_open(const coam_options *options, coam_pods **ret_pods,
                                      coam_error **ret_error);
COAM_API coam_pods *coam_pods_ref(coam_pods *pods);
COAM_API void coam_pods_free(coam_pods *pods);
COAM_DEFINE_FREEP(coam_pods)

/* ---- What to run -------------------------------------------------------------------------------- */

/* The apps of a pod to be, and what they share. [single] */
typedef struct coam_pod_request coam_pod_request;

/* coam_pod_request_new makes a request from options "pod.request" (volume, port, environment,
 * inherit-environment, annotation, pod-manifest) in *ret_request (new). Errors:
 * core.invalid_argument. */
COAM_CHECKED coam_code coam_pod_request_new(const coam_options *options,
                                            coam_pod_request **ret_request, coam_error **ret_error);
COAM_API coam_pod_request *coam_pod_request_ref(coam_pod_request *request);
COAM_API void coam_pod_request_free(coam_pod_request *request);
COAM_DEFINE_FREEP(coam_pod_request)
/* coam_pod_request_add_app adds the app of `image` (an ID, the beginning of one, or
 * name[:version][,label=value...] of an image in the store) with options "pod.app".
 * Errors: core.invalid_argument, aci.quantity. */
COAM_CHECKED coam_code coam_pod_request_add_app(coam_pod_request *request, const char *image,
                                                const coam_options *options,
                                                coam_error **ret_error);

/* coam_pods_prepare renders the apps and writes the pod's manifest; *ret_uuid (new) is its UUID.
 * Options "pod.prepare". A failure leaves an aborted prepare, which coam_pods_gc removes.
 * Errors: aci.not_found (image), pod.app, aci.volume_unmet, those of rendering. */
COAM_CHECKED coam_code coam_pods_prepare(coam_pods *pods, coam_context *context,
                                         const coam_pod_request *request,
                                         const coam_options *options, coam_buf **ret_uuid,
                                         coam_error **ret_error);
COAM_CHECKED coam_code coam_pods_prepare_start(coam_pods *pods, coam_context *context,
                                               const coam_pod_request *request,
                                               const coam_options *options, coam_job **ret_job,
                                               coam_error **ret_error);
COAM_CHECKED coam_code coam_pods_prepare_finish(coam_job *job, coam_buf **ret_uuid,
                                                coam_error **ret_error);

/* ---- Running ------------------------------------------------------------------------------------ */

/* A pod that this process runs. Freeing it stops nothing. [shared] */
typedef struct coam_pod coam_pod;

/* coam_pods_run starts a prepared pod with options "pod.run" (net, hostname, dns, ...); each pod runs
 * once. A failure stops what was started, leaves its networks and leaves the pod exited.
 * Errors: pod.not_found, pod.ambiguous, pod.state (not prepared), pod.network, run.* (a step of the
 * launch failed; the message names it). */
COAM_CHECKED coam_code coam_pods_run(coam_pods *pods, coam_context *context, const char *uuid,
                                     const coam_options *options, coam_pod **ret_pod,
                                     coam_error **ret_error);
COAM_CHECKED coam_code coam_pods_run_start(coam_pods *pods, coam_context *context, const char *uuid,
                                           const coam_options *options, coam_job **ret_job,
                                           coam_error **ret_error);
COAM_CHECKED coam_code coam_pods_run_finish(coam_job *job, coam_pod **ret_pod,
                                            coam_error **ret_error);
COAM_API coam_pod *coam_pod_ref(coam_pod *pod);
COAM_API void coam_pod_free(coam_pod *pod);
COAM_DEFINE_FREEP(coam_pod)
/* Borrowed. */
COAM_API coam_str coam_pod_uuid(const coam_pod *pod);
/* Readable when coam_pod_poll has something to do. Borrowed; poll it, do not read it. */
COAM_API int coam_pod_fd(const coam_pod *pod);
/* coam_pod_poll takes the statuses of apps that have ended and never waits for one to end;
 * *ret_ended is 1 once the pod has ended, and *ret_status then as in coam_pod_wait. When the last app
 * has ended it stops the others, which may take ten seconds. */
COAM_CHECKED coam_code coam_pod_poll(coam_pod *pod, int32_t *ret_ended, int32_t *ret_status,
                                     coam_error **ret_error);
/* coam_pod_wait waits until all apps have ended or one has failed, ends the rest, takes the pod down
 * and gives the status of the first app that failed, or 0 (128 + n for signal n). Options "pod.wait".
 * A cancelled wait leaves the pod running. Errors: core.cancelled, core.deadline_exceeded, run.*. */
COAM_CHECKED coam_code coam_pod_wait(coam_pod *pod, coam_context *context,
                                     const coam_options *options, int32_t *ret_status,
                                     coam_error **ret_error);
/* coam_pod_shutdown ends the pod now: SIGTERM, SIGKILL after grace_ms, then as coam_pod_wait. */
COAM_CHECKED coam_code coam_pod_shutdown(coam_pod *pod, int64_t grace_ms, int32_t *ret_status,
                                         coam_error **ret_error);
/* The master of the terminal that option terminal=true asked for; the caller closes it. -1: none. */
COAM_API int coam_pod_take_console(coam_pod *pod);

/* ---- Pods of any process: all take a UUID or the beginning of one --------------------------------- */

/* coam_pods_status gives JSON (new): {"schema":"coam.pod.v1","uuid","state","created_ns",
 * "started_ns","pid","apps":[{"name","image_name","image_id","state","exit_code","pid",...}],
 * "networks":[{"name","interface","address"}]}. Errors: pod.not_found, pod.ambiguous. */
COAM_CHECKED coam_code coam_pods_status(coam_pods *pods, const char *uuid, coam_buf **ret_json,
                                        coam_error **ret_error);
/* coam_pods_list gives a JSON array (new) of such objects, sorted by UUID. */
COAM_CHECKED coam_code coam_pods_list(coam_pods *pods, coam_buf **ret_json, coam_error **ret_error);
/* coam_pods_manifest gives the pod manifest (new) as it was written. */
COAM_CHECKED coam_code coam_pods_manifest(coam_pods *pods, const char *uuid, coam_buf **ret_json,
                                          coam_error **ret_error);
/* coam_pods_wait_exit waits until the pod has ended; options "pod.wait". Errors: pod.state (never
 * run), core.cancelled, core.deadline_exceeded. */
COAM_CHECKED coam_code coam_pods_wait_exit(coam_pods *pods, coam_context *context, const char *uuid,
                                           const coam_options *options, coam_error **ret_error);
/* coam_pods_stop sends SIGTERM to the apps, or SIGKILL if `force` is not 0. If the process that ran
 * the pod is gone, it takes the pod down itself. Errors: pod.state (not running). */
COAM_CHECKED coam_code coam_pods_stop(coam_pods *pods, coam_context *context, const char *uuid,
                                      int32_t force, coam_error **ret_error);
/* coam_pods_remove removes a pod that does not run, at once. Errors: pod.state. */
COAM_CHECKED coam_code coam_pods_remove(coam_pods *pods, coam_context *context, const char *uuid,
                                        coam_error **ret_error);
/* coam_pods_gc marks pods that have ended and removes those that ended before the grace period, with
 * options "pod.gc" (grace-period, expire-prepared, mark-only); *ret_json (new) is the array of UUIDs
 * that were removed. A pod that cannot be cleaned is a note (pod.gc). */
COAM_CHECKED coam_code coam_pods_gc(coam_pods *pods, coam_context *context,
                                    const coam_options *options, coam_buf **ret_json,
                                    coam_error **ret_error);

/* A process put into an app of a running pod. Freeing it stops nothing. [shared] */
typedef struct coam_pod_process coam_pod_process;

/* coam_pods_enter starts a program in an app with options "pod.enter" (app, arg, terminal).
 * Errors: pod.state (not running), pod.app (no such app, or several and none named), run.*. */
COAM_CHECKED coam_code coam_pods_enter(coam_pods *pods, coam_context *context, const char *uuid,
                                       const coam_options *options, coam_pod_process **ret_process,
                                       coam_error **ret_error);
COAM_API coam_pod_process *coam_pod_process_ref(coam_pod_process *process);
COAM_API void coam_pod_process_free(coam_pod_process *process);
COAM_DEFINE_FREEP(coam_pod_process)
/* Readable when the process has ended. Borrowed. */
COAM_API int coam_pod_process_fd(const coam_pod_process *process);
/* The terminal's master, if one was asked for; the caller closes it. -1: none. */
COAM_API int coam_pod_process_take_console(coam_pod_process *process);
COAM_CHECKED coam_code coam_pod_process_kill(coam_pod_process *process, int32_t signal,
                                             coam_error **ret_error);
/* coam_pod_process_wait gives the exit status, 128 + n for signal n; options "pod.wait". */
COAM_CHECKED coam_code coam_pod_process_wait(coam_pod_process *process, coam_context *context,
                                             const coam_options *options, int32_t *ret_status,
                                             coam_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_POD_H_ */
