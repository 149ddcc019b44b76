"""Pods of App Container images: prepare, run, enter, stop, collect. See <coaming/pod.h>.

    pods = coaming.pod.Pods(dir="/var/lib/rkt")
    with pods.run([coaming.pod.App("example.com/hello")], net=["default"]) as pod:
        status = pod.wait(timeout=30)
"""
from __future__ import annotations

import json
import select
import time
from typing import Any, Dict, Iterable, List, Optional, Sequence, Union

from coaming import _core
from coaming._core import Context, Handle, Options, encode, ffi, lib, text

__all__ = ["App", "Pod", "Pods", "Process"]

_FOREVER_MS = 1 << 30


def _wait_fd(fd: int, timeout: Optional[float]) -> bool:
    """Waits until `fd` is readable; Ctrl-C and signals act at once. False: the time is over."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(_FOREVER_MS if timeout is None else max(0, int(timeout * 1000))))


class App:
    """One app of a pod: an image in the store (ID, prefix, or name[:version]) and what is changed.

    Keyword arguments are the options of family "pod.app": exec, arg, user, environment, memory, ...
    """

    def __init__(self, image: str, **options: Any):
        self.image = image
        self.options = options

    def __repr__(self) -> str:
        return f"App({self.image!r})"


class Process(Handle):
    """A process put into an app of a running pod."""

    _free = lib.coam_pod_process_free

    def fileno(self) -> int:
        return lib.coam_pod_process_fd(self._ptr)

    def take_console(self) -> int:
        """The terminal's master, now yours to close; -1 if there is none."""
        return lib.coam_pod_process_take_console(self._ptr)

    def kill(self, signal: int) -> None:
        _core.call(lib.coam_pod_process_kill, self._ptr, signal)

    def wait(self, timeout: Optional[float] = None) -> int:
        """The exit status, 128 + n for signal n. Raises DeadlineError when the time is over."""
        ended = _wait_fd(self.fileno(), timeout)
        status = ffi.new("int32_t *")
        options = Options("pod.wait", {} if ended else {"timeout": 0.0})
        _core.call(lib.coam_pod_process_wait, self._ptr, ffi.NULL, options.pointer, status)
        return status[0]


class Pod(Handle):
    """A pod that this process runs. As a context manager it is shut down at the end."""

    _free = lib.coam_pod_free

    @property
    def uuid(self) -> str:
        return text(lib.coam_pod_uuid(self._ptr))

    def fileno(self) -> int:
        return lib.coam_pod_fd(self._ptr)

    def poll(self) -> Optional[int]:
        """The pod's status if it has ended, else None. Call it when fileno() is readable."""
        ended, status = ffi.new("int32_t *"), ffi.new("int32_t *")
        _core.call(lib.coam_pod_poll, self._ptr, ended, status)
        return status[0] if ended[0] else None

    def wait(self, timeout: Optional[float] = None) -> int:
        """The status of the first app that failed, or 0. Raises DeadlineError when the time is
        over; the pod then runs on."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            status = self.poll()
            if status is not None:
                return status
            left = None if end is None else end - time.monotonic()
            if not _wait_fd(self.fileno(), left) and left is not None:
                options = Options("pod.wait", {"timeout": 0.0})
                out = ffi.new("int32_t *")
                _core.call(lib.coam_pod_wait, self._ptr, ffi.NULL, options.pointer, out)
                return out[0]

    def shutdown(self, grace: float = 10.0) -> int:
        """Ends the pod now: SIGTERM, SIGKILL after `grace` seconds; returns its status."""
        status = ffi.new("int32_t *")
        _core.call(lib.coam_pod_shutdown, self._ptr, int(grace * 1000), status)
        return status[0]

    def take_console(self) -> int:
        """The terminal's master, now yours to close; -1 if there is none."""
        return lib.coam_pod_take_console(self._ptr)

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.shutdown()
        self.close()


class Pods(Handle):
    """The pods of one directory. Keyword arguments: dir, network_dir, plugin_dir, cgroup_parent.

    Methods take a UUID or the beginning of one.
    """

    _free = lib.coam_pods_free

    def __init__(self, context: Optional[Context] = None, **options: Any):
        out = ffi.new("coam_pods **")
        made = Options("pods", options)
        _core.call(lib.coam_pods_open, made.pointer, out)
        super().__init__(out[0])
        self._context = context if context is not None else Context()

    def _request(self, apps: Iterable[Union[App, str]], options: Dict[str, Any]) -> Any:
        made = Options("pod.request", options)
        out = ffi.new("coam_pod_request **")
        _core.call(lib.coam_pod_request_new, made.pointer, out)
        request = ffi.gc(out[0], lib.coam_pod_request_free)
        for app in apps:
            app = app if isinstance(app, App) else App(app)
            of_app = Options("pod.app", app.options)
            _core.call(lib.coam_pod_request_add_app, request, encode(app.image), of_app.pointer)
        return request

    def prepare(self, apps: Iterable[Union[App, str]], *, progress: Any = None, cancel: Any = None,
                timeout: Optional[float] = None, **options: Any) -> str:
        """Renders the apps and returns the UUID of the prepared pod. Keyword arguments: those of
        "pod.request" (volume, port, environment, ...)."""
        request = self._request(apps, options)
        calls = self._context.with_defaults(
            {"progress": progress, "cancel": cancel, "timeout": timeout})
        return _core.job(
            "pod.prepare", calls,
            lambda o, ret: _core.call(lib.coam_pods_prepare_start, self._ptr, self._context._ptr,
                                      request, o, ret),
            lambda j: _core.take_buf(lib.coam_pods_prepare_finish, j).decode())

    def start(self, uuid: str, **options: Any) -> Pod:
        """Runs a prepared pod. Keyword arguments: those of "pod.run" (net, hostname, dns, ...)."""
        return _core.job(
            "pod.run", self._context.with_defaults(options),
            lambda o, ret: _core.call(lib.coam_pods_run_start, self._ptr, self._context._ptr,
                                      encode(uuid), o, ret),
            lambda j: _core.new(Pod, "coam_pod", lib.coam_pods_run_finish, j))

    def run(self, apps: Iterable[Union[App, str]], *, volume: Sequence[str] = (),
            port: Sequence[str] = (), environment: Optional[Dict[str, str]] = None,
            **options: Any) -> Pod:
        """prepare and start in one."""
        uuid = self.prepare(apps, volume=list(volume), port=list(port),
                            environment=environment or {})
        return self.start(uuid, **options)

    def status(self, uuid: str) -> Dict[str, Any]:
        """What is known of a pod: schema coam.pod.v1 of <coaming/pod.h>."""
        return json.loads(_core.take_buf(lib.coam_pods_status, self._ptr, encode(uuid)))

    def list(self) -> List[Dict[str, Any]]:
        """All pods, sorted by UUID."""
        return json.loads(_core.take_buf(lib.coam_pods_list, self._ptr))

    def manifest(self, uuid: str) -> bytes:
        """The pod manifest as it was written."""
        return _core.take_buf(lib.coam_pods_manifest, self._ptr, encode(uuid))

    def wait_exit(self, uuid: str, **options: Any) -> None:
        """Waits until a pod of any process has ended."""
        _core.blocking("pod.wait", options, lambda o: _core.call(
            lib.coam_pods_wait_exit, self._ptr, self._context._ptr, encode(uuid), o))

    def stop(self, uuid: str, force: bool = False) -> None:
        _core.call(lib.coam_pods_stop, self._ptr, self._context._ptr, encode(uuid), int(force))

    def remove(self, uuid: str) -> None:
        _core.call(lib.coam_pods_remove, self._ptr, self._context._ptr, encode(uuid))

    def gc(self, **options: Any) -> List[str]:
        """Removes pods that have ended; returns their UUIDs. Keyword arguments: grace_period,
        expire_prepared, mark_only."""
        return json.loads(_core.blocking("pod.gc", self._context.with_defaults(options), lambda o: (
            _core.take_buf(lib.coam_pods_gc, self._ptr, self._context._ptr, o))))

    def enter(self, uuid: str, args: Sequence[str], *, app: str = "", terminal: bool = False,
              **options: Any) -> Process:
        """Starts a program in an app of a running pod."""
        options.update(arg=list(args), app=app, terminal=terminal)
        return _core.blocking("pod.enter", self._context.with_defaults(options), lambda o: (
            _core.new(Process, "coam_pod_process", lib.coam_pods_enter, self._ptr,
                      self._context._ptr, encode(uuid), o)))
