/* coaming/run.h: containers of the OCI runtime specification: create, start, exec, watch, remove.
 *
 * Follows runtime-spec 1.3. A container is made from a bundle (a directory with config.json and a
 * root file system). The launch is planned in this process and carried out by a small static helper
 * that is started straight into the new namespaces; a step that fails is named in the error
 * ("mounting tmpfs on /dev/shm (step 14): Permission denied", reason run.mount).
 *
 *   coam_run_runtime *runtime = NULL; coam_run_container *c = NULL; coam_options *o = NULL;
 *   int32_t code = 0;
 *   coam_run_runtime_new(NULL, &runtime, NULL);
 *   coam_options_new("run.create", &o, NULL);
 *   coam_options_set(o, "bundle", "/bundles/web", NULL);
 *   coam_run_container_run(runtime, NULL, "web", o, &c, NULL);
 *   coam_run_container_wait(c, NULL, &code, NULL, NULL);
 *   coam_run_container_delete(c, NULL, 0, NULL, NULL);
 *
 * Container processes are children of the calling process; the library reaps them through their own
 * pidfds and installs no SIGCHLD handler. A host that reaps all children itself gives their status
 * to coam_run_container_feed_status (needed before Linux 6.15 only). With option monitor (or a log, a
 * relayed stream, a notify socket) a small static process stands between: it is the container's
 * parent, outlives the host, keeps exit status, log and terminal, and ends with its container; it
 * stays in the host's cgroup and namespaces, and is no child of the host. The exit status comes by
 * this ladder: the monitor's record, waiting for the child, what the kernel keeps of a reaped
 * process (6.15), what was fed, else run.status_taken. Freeing an object kills nothing and removes
 * nothing. Whatever kills the host, at whatever step: coam_run_remove with force leaves
 * nothing of the container behind.
 */
#ifndef COAMING_RUN_H_
#define COAMING_RUN_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The containers of one state directory ----------------------------------------------------- */

/* [shared] */
typedef struct coam_run_runtime coam_run_runtime;

/* coam_run_runtime_new opens the containers of options "run.runtime" (state-root, launcher, cgroups,
 * cgroup-parent, seccomp-cache, lenient-labels, hook-env) in *ret_runtime (new).
 * Errors: core.permission, core.io, run.launcher. */
COAM_CHECKED coam_code coam_run_runtime_new(const coam_options *options,
                                            coam_run_runtime **ret_runtime, coam_error **ret_error);
COAM_API coam_run_runtime *coam_run_runtime_ref(coam_run_runtime *runtime);
COAM_API void coam_run_runtime_free(coam_run_runtime *runtime);
COAM_DEFINE_FREEP(coam_run_runtime)

/* A container. Freeing it kills and removes nothing. [shared] */
typedef struct coam_run_container coam_run_container;
COAM_API coam_run_container *coam_run_container_ref(coam_run_container *container);
COAM_API void coam_run_container_free(coam_run_container *container);
COAM_DEFINE_FREEP(coam_run_container)

/* coam_run_container_create builds container `id` up to its program, which then waits for
 * coam_run_container_start; coam_run_container_run starts it at once. Options "run.create" (bundle,
 * spec, stdin, stdout, stderr, pass-fd, listen-fd, console-socket, pidfd-socket, pid-file, monitor,
 * log-path, log-max-size, log-max-files, notify-socket, no-pivot, no-new-keyring, pause).
 * A stream is inherited, /dev/null, a pipe, fd:N, file:PATH or "relay": the monitor writes it to the
 * log, a line "2026-01-02T03:04:05.678901234Z stdout F text" each (P: the line goes on), and to
 * those who attach; a terminal without console-socket is the monitor's, if there is one. listen-fd
 * hands sockets on as 3, 4, ... with LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES. notify-socket gives
 * the program a NOTIFY_SOCKET; what it says there goes on to the host's, without its own MAINPID and
 * descriptors, and READY=1 with the MAINPID that the host sees. pidfd-socket gets the pidfd.
 * An event callback gets kind "run.namespaces" once the namespaces exist, before the root is
 * entered: subject is the path of the network namespace, `done` the process id; network set-up goes
 * there, and a value other than 0 undoes the creation. `context` may be NULL.
 * On failure nothing is left. *ret_container is new.
 * Errors: run.id, run.exists, run.spec, json.*, run.* (the step that failed), core.cancelled. */
COAM_CHECKED coam_code coam_run_container_create(coam_run_runtime *runtime, coam_context *context,
                                                 const char *id, const coam_options *options,
                                                 coam_run_container **ret_container,
                                                 coam_error **ret_error);
COAM_CHECKED coam_code coam_run_container_run(coam_run_runtime *runtime, coam_context *context,
                                              const char *id, const coam_options *options,
                                              coam_run_container **ret_container,
                                              coam_error **ret_error);
/* coam_run_container_open finds a container made before, by this process or another, in
 * *ret_container (new). Errors: run.not_found, run.corrupt, run.id. */
COAM_CHECKED coam_code coam_run_container_open(coam_run_runtime *runtime, const char *id,
                                               coam_run_container **ret_container,
                                               coam_error **ret_error);

/* coam_run_list renders all containers as JSON in *ret_json (new), schema "coam.run.list.v1":
 * {"schema", "containers": [{"id", "pid", "status", "bundle", "rootfs", "created", "owner",
 * "cgroup", "log", "monitored", "exitCode", "exitSignal", "annotations"}]}; the last two only of a
 * stopped one whose status is known. Errors: core.io. */
COAM_CHECKED coam_code coam_run_list(coam_run_runtime *runtime, coam_buf **ret_json,
                                     coam_error **ret_error);
/* coam_run_remove deletes container `id`: with force != 0 also a running one and what a killed host
 * left of a half-made one, and an unknown id is no error. Errors: those of delete. */
COAM_CHECKED coam_code coam_run_remove(coam_run_runtime *runtime, coam_context *context,
                                       const char *id, int32_t force, coam_error **ret_error);

/* ---- One container ----------------------------------------------------------------------------- */

/* Borrowed. */
COAM_API coam_str coam_run_container_id(const coam_run_container *container);
/* The first process in the host's view; 0 once another process of the host made it and it ended. */
COAM_API int64_t coam_run_container_pid(const coam_run_container *container);
/* Readable when the first process has ended: poll it. Borrowed; -1 if it had ended when opened. */
COAM_API int coam_run_container_fd(const coam_run_container *container);
/* "creating", "created", "running", "paused" or "stopped". Static. */
COAM_API coam_str coam_run_container_status(const coam_run_container *container);
/* coam_run_container_state renders the state document of runtime.md (with rootfs, created and owner
 * as runc adds them) in *ret_json (new). */
COAM_CHECKED coam_code coam_run_container_state(const coam_run_container *container,
                                                coam_buf **ret_json, coam_error **ret_error);
/* coam_run_container_spec gives the configuration as it was at creation, in *ret_json (new). */
COAM_CHECKED coam_code coam_run_container_spec(const coam_run_container *container,
                                               coam_buf **ret_json, coam_error **ret_error);
/* coam_run_container_take_stdio gives the caller's end of a descriptor that was to be a pipe (0: the
 * end to write its input to). The caller closes it; -1 if there is none (any more). */
COAM_API int coam_run_container_take_stdio(coam_run_container *container, int32_t which);
/* coam_run_container_take_console gives the master of the container's terminal, when it has one and
 * no console-socket was given. The caller closes it; -1 if there is none (any more). */
COAM_API int coam_run_container_take_console(coam_run_container *container);

/* coam_run_container_start lets a created container run its program. Runs poststart hooks.
 * Options "run.wait". Errors: run.state (not created), the step that failed (run.exec, ...). */
COAM_CHECKED coam_code coam_run_container_start(coam_run_container *container,
                                                const coam_options *options,
                                                coam_error **ret_error);
/* coam_run_container_wait waits for the end of the first process: its exit code, or 128 + signal, in
 * *ret_code, and the signal (or 0) in *ret_signal; both may be NULL. Options "run.wait" (cancel,
 * deadline). Errors: core.cancelled, core.deadline_exceeded (it runs on), run.status_taken. */
COAM_CHECKED coam_code coam_run_container_wait(coam_run_container *container,
                                               const coam_options *options, int32_t *ret_code,
                                               int32_t *ret_signal, coam_error **ret_error);
/* coam_run_container_feed_status tells the status that the host's own reaping got for the pid. */
COAM_API void coam_run_container_feed_status(coam_run_container *container, int32_t wait_status);
/* coam_run_container_kill signals the first process, or every process if all != 0.
 * Errors: run.state (stopped), run.kill, core.invalid_argument (no such signal). */
COAM_CHECKED coam_code coam_run_container_kill(coam_run_container *container, int32_t signal,
                                               int32_t all, coam_error **ret_error);
/* coam_run_container_delete removes cgroups and state of a stopped or created container and runs
 * poststop hooks; with force != 0 a running one is killed first. Options "run.wait".
 * Errors: run.state (running), run.cgroup. */
COAM_CHECKED coam_code coam_run_container_delete(coam_run_container *container,
                                                 coam_context *context, int32_t force,
                                                 const coam_options *options,
                                                 coam_error **ret_error);
/* Errors of both: run.state, run.unsupported (no freezer), run.cgroup. */
COAM_CHECKED coam_code coam_run_container_pause(coam_run_container *container,
                                                coam_error **ret_error);
COAM_CHECKED coam_code coam_run_container_resume(coam_run_container *container,
                                                 coam_error **ret_error);
/* coam_run_container_update sets limits from a linux.resources object (JSON).
 * Errors: run.state, json.*, run.cgroup, run.unsupported. */
COAM_CHECKED coam_code coam_run_container_update(coam_run_container *container, const void *json,
                                                 size_t size, coam_error **ret_error);
/* coam_run_container_stats renders counters as `runc events --stats` does, in *ret_json (new). */
COAM_CHECKED coam_code coam_run_container_stats(const coam_run_container *container,
                                                coam_buf **ret_json, coam_error **ret_error);
/* coam_run_container_pids renders the host's process ids as a JSON array, in *ret_json (new). */
COAM_CHECKED coam_code coam_run_container_pids(const coam_run_container *container,
                                               coam_buf **ret_json, coam_error **ret_error);

/* ---- Watching ----------------------------------------------------------------------------------- */

/* A connection to a container's monitor: what the program writes from now on, and its input. There
 * may be 16 at a time; each gets everything. One that leaves a megabyte unread is let go of: readers
 * never hold a container up. Freeing it detaches and ends nothing. [single], but send may run beside
 * next. */
typedef struct coam_run_attach coam_run_attach;
COAM_API coam_run_attach *coam_run_attach_ref(coam_run_attach *attach);
COAM_API void coam_run_attach_free(coam_run_attach *attach);
COAM_DEFINE_FREEP(coam_run_attach)

/* coam_run_container_attach connects to a container with a monitor. Options "run.wait". *ret_attach
 * is new. Errors: run.monitor (there is none, or it relays nothing, or it is gone). */
COAM_CHECKED coam_code coam_run_container_attach(coam_run_container *container,
                                                 const coam_options *options,
                                                 coam_run_attach **ret_attach,
                                                 coam_error **ret_error);
/* Readable when coam_run_attach_next has something. Borrowed. */
COAM_API int coam_run_attach_fd(const coam_run_attach *attach);
#define COAM_RUN_ATTACH_NOTHING 0 /* nothing is there now */
#define COAM_RUN_ATTACH_STDOUT 1  /* a terminal has this one only */
#define COAM_RUN_ATTACH_STDERR 2
#define COAM_RUN_ATTACH_END 3 /* the container has ended */
/* coam_run_attach_next gives the next piece of output and never waits: its stream in *ret_stream and
 * its bytes in *ret_data (new; NULL if there are none). Errors: run.monitor (let go of, or the
 * monitor was killed). */
COAM_CHECKED coam_code coam_run_attach_next(coam_run_attach *attach, int32_t *ret_stream,
                                            coam_buf **ret_data, coam_error **ret_error);
/* coam_run_attach_send writes to the program's input and waits while it takes nothing; size 0 ends
 * the input (on a terminal: types the end-of-file character). Options "run.wait".
 * Errors: run.monitor, core.cancelled, core.deadline_exceeded. */
COAM_CHECKED coam_code coam_run_attach_send(coam_run_attach *attach, const void *data, size_t size,
                                            const coam_options *options, coam_error **ret_error);
/* coam_run_container_resize sets the size of the terminal that a monitor holds.
 * Errors: run.monitor, core.invalid_argument. */
COAM_CHECKED coam_code coam_run_container_resize(coam_run_container *container, int32_t rows,
                                                 int32_t columns, coam_error **ret_error);
/* coam_run_container_reopen_log makes the monitor open its log by its name again, after somebody
 * else has moved it away. Errors: run.monitor. */
COAM_CHECKED coam_code coam_run_container_reopen_log(coam_run_container *container,
                                                     coam_error **ret_error);

/* A stream of events: what happens to one container, or to all of a state root, from now on, by
 * whichever process. [single] */
typedef struct coam_run_events coam_run_events;
COAM_API coam_run_events *coam_run_events_ref(coam_run_events *events);
COAM_API void coam_run_events_free(coam_run_events *events);
COAM_DEFINE_FREEP(coam_run_events)

/* coam_run_events_new opens a stream for container `id` (NULL or "": all; it need not exist yet) in
 * *ret_events (new). Errors: run.id, core.io, core.permission. */
COAM_CHECKED coam_code coam_run_events_new(coam_run_runtime *runtime, const char *id,
                                           coam_run_events **ret_events, coam_error **ret_error);
/* Readable when there is news: call coam_run_events_next then until it gives NULL. Borrowed. */
COAM_API int coam_run_events_fd(const coam_run_events *events);
/* coam_run_events_next gives the next event in *ret_json (new; NULL if there is none now) and never
 * waits: {"type", "id", "time", "data": {"pid", "code", "signal"}}. Types: created, started, exited
 * (with code and signal where they can be known), oom, paused, resumed, deleted. A stream that
 * leaves 4,096 of them unread may miss those after. Errors: core.io. */
COAM_CHECKED coam_code coam_run_events_next(coam_run_events *events, coam_buf **ret_json,
                                            coam_error **ret_error);

/* ---- Further processes -------------------------------------------------------------------------- */

/* A process added to a container; a child of the caller. [shared] */
typedef struct coam_run_process coam_run_process;
COAM_API coam_run_process *coam_run_process_ref(coam_run_process *process);
COAM_API void coam_run_process_free(coam_run_process *process);
COAM_DEFINE_FREEP(coam_run_process)

/* coam_run_container_exec starts a process in all namespaces and cgroups of a running container.
 * Options "run.exec": either process (a process object, JSON), or arg, env, cwd, user, ... over the
 * container's own; stdin, stdout, stderr, pass-fd, console-socket, pid-file as for create.
 * *ret_process is new. Errors: run.state (stopped, paused), the step that failed. */
COAM_CHECKED coam_code coam_run_container_exec(coam_run_container *container, coam_context *context,
                                               const coam_options *options,
                                               coam_run_process **ret_process,
                                               coam_error **ret_error);
COAM_API int64_t coam_run_process_pid(const coam_run_process *process);
COAM_API int coam_run_process_fd(const coam_run_process *process);
COAM_API int coam_run_process_take_stdio(coam_run_process *process, int32_t which);
COAM_API int coam_run_process_take_console(coam_run_process *process);
COAM_CHECKED coam_code coam_run_process_wait(coam_run_process *process, const coam_options *options,
                                             int32_t *ret_code, int32_t *ret_signal,
                                             coam_error **ret_error);
COAM_CHECKED coam_code coam_run_process_kill(coam_run_process *process, int32_t signal,
                                             coam_error **ret_error);
COAM_API void coam_run_process_feed_status(coam_run_process *process, int32_t wait_status);

/* ---- Documents ---------------------------------------------------------------------------------- */

/* coam_run_print_plan compiles the launch of options "run.create" and renders its numbered steps, a
 * line each, in *ret_text (new). Starts nothing. Errors: run.spec, json.*, run.unsupported. */
COAM_CHECKED coam_code coam_run_print_plan(coam_run_runtime *runtime, const char *id,
                                           const coam_options *options, coam_buf **ret_text,
                                           coam_error **ret_error);
/* coam_run_spec_default renders a configuration to start from, in *ret_json (new): byte for byte what
 * runc writes on this host, but for ociVersion; its rootless form for these ids if rootless != 0. */
COAM_CHECKED coam_code coam_run_spec_default(int32_t rootless, uint32_t uid, uint32_t gid,
                                             coam_buf **ret_json, coam_error **ret_error);
/* coam_run_spec_check parses a configuration and checks what the specification demands; *ret_json
 * (new) is a JSON array of warnings. Errors: json.*, run.spec (detail spec.member). */
COAM_CHECKED coam_code coam_run_spec_check(const void *json, size_t size, coam_buf **ret_json,
                                           coam_error **ret_error);
/* coam_run_features renders the features document of runtime-spec, in *ret_json (new). */
COAM_CHECKED coam_code coam_run_features(coam_buf **ret_json, coam_error **ret_error);
/* coam_run_probe tells what this kernel and user allow, in *ret_json (new), schema
 * "coam.run.probe.v1": {"schema", "probes": [{"name", "works", "detail", "hint"}]}. */
COAM_CHECKED coam_code coam_run_probe(coam_buf **ret_json, coam_error **ret_error);
/* coam_run_signal_number reads "TERM", "SIGTERM", "15" or "RTMIN+3"; -1: no such signal. */
COAM_API int32_t coam_run_signal_number(const char *text);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_RUN_H_ */
