"""Containers of the OCI runtime specification: create, start, exec, watch, remove.

    runtime = coaming.run.Runtime()
    with runtime.run("web", bundle="/bundles/web", stdout="pipe") as container:
        print(container.stdout.read())
        print(container.wait(timeout=30).code)

Leaving the `with` block kills and deletes the container. Keyword arguments are the keys of the option
families "run.runtime", "run.create" and "run.exec" (coaming.option_names), beside timeout, cancel,
progress and notes. A container is a child of this process and is reaped by its own descriptor; with
monitor=True (or log_path, stdout="relay", ...) a small process stands between and outlives this one:

    runtime.run("web", bundle="/bundles/web", log_path="/var/log/web.log").close()
    ...                                     # another program, another day
    container = runtime.open("web")
    with container.attach() as attachment:
        for stream, data in attachment: ...
    container.wait().code
"""
from __future__ import annotations

import io
import json
import os
import select
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from coaming import _core, errors
from coaming._core import Context, Handle, PathLike, blocking, call, encode, new, take_buf, text
from coaming._ffi import ffi, lib

__all__ = ["Attachment", "Container", "Events", "ExitStatus", "Process", "Runtime", "check_spec",
           "default_spec", "features", "probe", "signal_number"]

# A wait is cut into slices, so that Ctrl-C acts within 100 ms.
_SLICE = 0.05

Document = Union[str, bytes, Mapping[str, Any]]


class ExitStatus(NamedTuple):
    """How a process ended: its exit code, or 128 + signal; the signal, or 0."""

    code: int
    signal: int


def _document(value: Document) -> bytes:
    if isinstance(value, Mapping):
        value = json.dumps(value)
    return value.encode() if isinstance(value, str) else bytes(value)


def _prepare(values: Dict[str, Any]) -> Dict[str, Any]:
    """Documents given as objects become JSON; descriptors {5: sock} become FD:N, and listening
    sockets, a list or {name: sock}, become FD:NAME."""
    def number(fd: Any) -> int:
        return fd if isinstance(fd, int) else int(fd.fileno())

    for key in ("spec", "process"):
        if values.get(key) is not None:
            values[key] = bytearray(_document(values[key]))
    pass_fds = values.pop("pass_fds", None)
    if pass_fds is not None:
        values["pass_fd"] = [f"{number(fd)}:{target}" for target, fd in pass_fds.items()]
    listen_fds = values.pop("listen_fds", None)
    if isinstance(listen_fds, Mapping):
        values["listen_fd"] = [f"{number(fd)}:{name}" for name, fd in listen_fds.items()]
    elif listen_fds is not None:
        values["listen_fd"] = [str(number(fd)) for fd in listen_fds]
    return values


def _ready(handle: Any, timeout: Optional[float]) -> bool:
    """Waits until a handle's descriptor is readable; a signal handler may raise meanwhile."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _json(data: bytes) -> Any:
    return json.loads(data.decode("utf-8", "surrogateescape"))


def _wait(function: Any, pointer: Any, values: Dict[str, Any]) -> ExitStatus:
    code, signal = ffi.new("int32_t *"), ffi.new("int32_t *")

    def once(**now: Any) -> ExitStatus:
        blocking("run.wait", now, lambda o: call(function, pointer, o, code, signal))
        return ExitStatus(code[0], signal[0])

    if "timeout" in values and values["timeout"] is not None:
        return once(**values)
    values.pop("timeout", None)
    while True:
        try:
            return once(timeout=_SLICE, **values)
        except errors.CoamingError as error:
            if error.reason != "core.deadline_exceeded":
                raise


class _Streams:
    """The caller's ends of what was to be pipes, and of the terminal."""

    _ptr: Any
    _take_stdio: Any
    _take_console: Any

    def __init__(self) -> None:
        self._files: Dict[int, Optional[io.FileIO]] = {}

    def _stream(self, which: int) -> Optional[io.FileIO]:
        if which not in self._files:
            fd = (type(self)._take_console(self._ptr) if which == 3
                  else type(self)._take_stdio(self._ptr, which))
            mode = "wb" if which == 0 else "r+b" if which == 3 else "rb"
            self._files[which] = io.FileIO(fd, mode) if fd >= 0 else None
        return self._files[which]

    @property
    def stdin(self) -> Optional[io.FileIO]:
        """The end to write the program's input to, if stdin="pipe"."""
        return self._stream(0)

    @property
    def stdout(self) -> Optional[io.FileIO]:
        return self._stream(1)

    @property
    def stderr(self) -> Optional[io.FileIO]:
        return self._stream(2)

    @property
    def console(self) -> Optional[io.FileIO]:
        """The master of the terminal, if there is one and no console_socket was given."""
        return self._stream(3)

    def _close_streams(self) -> None:
        for file in self._files.values():
            if file is not None:
                file.close()


class Process(_Streams, Handle):
    """A process added to a container."""

    _free = lib.coam_run_process_free
    _take_stdio = lib.coam_run_process_take_stdio
    _take_console = lib.coam_run_process_take_console

    def __init__(self, pointer: Any):
        Handle.__init__(self, pointer)
        _Streams.__init__(self)

    @property
    def pid(self) -> int:
        return lib.coam_run_process_pid(self._ptr)

    def fileno(self) -> int:
        """Readable when the process has ended."""
        return lib.coam_run_process_fd(self._ptr)

    def wait(self, **options: Any) -> ExitStatus:
        return _wait(lib.coam_run_process_wait, self._ptr, options)

    def kill(self, signal: int) -> None:
        call(lib.coam_run_process_kill, self._ptr, int(signal))

    def feed_status(self, wait_status: int) -> None:
        """The status that this program's own reaping got for the pid."""
        lib.coam_run_process_feed_status(self._ptr, wait_status)

    def close(self) -> None:
        self._close_streams()
        Handle.close(self)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


class Attachment(Handle):
    """A connection to a container's monitor. Iterating gives (1 or 2, bytes) until the container
    ends; closing it detaches and ends nothing."""

    _free = lib.coam_run_attach_free

    def fileno(self) -> int:
        """Readable when read() has something."""
        return lib.coam_run_attach_fd(self._ptr)

    def read(self) -> Optional[Tuple[int, bytes]]:
        """The next piece that is there: (1 or 2, bytes); (0, b"") for none now, None at the end."""
        stream, data = ffi.new("int32_t *"), ffi.new("coam_buf **")
        call(lib.coam_run_attach_next, self._ptr, stream, data)
        if data[0] == ffi.NULL:
            return None if stream[0] == lib.COAM_RUN_ATTACH_END else (0, b"")
        try:
            return stream[0], ffi.buffer(lib.coam_buf_data(data[0]),
                                         lib.coam_buf_size(data[0]))[:]
        finally:
            lib.coam_buf_free(data[0])

    def __iter__(self) -> Iterator[Tuple[int, bytes]]:
        while True:
            piece = self.read()
            if piece is None:
                return
            if piece[0] == 0:
                _ready(self, None)
            else:
                yield piece

    def send(self, data: bytes, **options: Any) -> None:
        """Writes to the program's input; waits while it takes nothing. timeout: seconds."""
        if data:
            blocking("run.wait", options, lambda o: call(
                lib.coam_run_attach_send, self._ptr, ffi.from_buffer(data), len(data), o))

    def close_input(self, **options: Any) -> None:
        """Ends the input; on a terminal it types the end-of-file character."""
        blocking("run.wait", options, lambda o: call(
            lib.coam_run_attach_send, self._ptr, ffi.NULL, 0, o))

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


class Events(Handle):
    """What happens to containers, by whichever process: iterate, or poll fileno() and call next()
    until it gives None. Each event is {"type", "id", "time", "data"}."""

    _free = lib.coam_run_events_free

    def fileno(self) -> int:
        return lib.coam_run_events_fd(self._ptr)

    def next(self) -> Optional[Dict[str, Any]]:
        """The next event that is there, or None."""
        out = ffi.new("coam_buf **")
        call(lib.coam_run_events_next, self._ptr, out)
        if out[0] == ffi.NULL:
            return None
        try:
            return _json(ffi.buffer(lib.coam_buf_data(out[0]), lib.coam_buf_size(out[0]))[:])
        finally:
            lib.coam_buf_free(out[0])

    def wait(self, timeout: Optional[float] = None) -> Optional[Dict[str, Any]]:
        """The next event; None if there is none within `timeout` seconds."""
        while True:
            event = self.next()
            if event is not None or not _ready(self, timeout):
                return event

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        while True:
            event = self.wait()
            if event is not None:
                yield event

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


class Container(_Streams, Handle):
    """One container. Freeing the object leaves it alone; a `with` block deletes it."""

    _free = lib.coam_run_container_free
    _take_stdio = lib.coam_run_container_take_stdio
    _take_console = lib.coam_run_container_take_console

    def __init__(self, pointer: Any):
        Handle.__init__(self, pointer)
        _Streams.__init__(self)

    @property
    def id(self) -> str:
        return text(lib.coam_run_container_id(self._ptr))

    @property
    def pid(self) -> int:
        return lib.coam_run_container_pid(self._ptr)

    @property
    def status(self) -> str:
        """"creating", "created", "running", "paused" or "stopped"."""
        return text(lib.coam_run_container_status(self._ptr))

    @property
    def state(self) -> Dict[str, Any]:
        """The state document of the runtime specification."""
        return _json(take_buf(lib.coam_run_container_state, self._ptr))

    @property
    def spec(self) -> Dict[str, Any]:
        """The configuration as it was at creation."""
        return _json(take_buf(lib.coam_run_container_spec, self._ptr))

    @property
    def stats(self) -> Dict[str, Any]:
        """Counters, as `runc events --stats` gives them."""
        return _json(take_buf(lib.coam_run_container_stats, self._ptr))

    @property
    def pids(self) -> List[int]:
        return _json(take_buf(lib.coam_run_container_pids, self._ptr))

    def fileno(self) -> int:
        """Readable when the first process has ended."""
        return lib.coam_run_container_fd(self._ptr)

    def start(self, **options: Any) -> None:
        blocking("run.wait", options,
                 lambda o: call(lib.coam_run_container_start, self._ptr, o))

    def wait(self, **options: Any) -> ExitStatus:
        """Waits for the end of the first process. timeout: seconds."""
        return _wait(lib.coam_run_container_wait, self._ptr, options)

    def feed_status(self, wait_status: int) -> None:
        """The status that this program's own reaping got for the pid."""
        lib.coam_run_container_feed_status(self._ptr, wait_status)

    def kill(self, signal: int = 15, *, all: bool = False) -> None:  # noqa: A002
        call(lib.coam_run_container_kill, self._ptr, int(signal), int(all))

    def delete(self, *, force: bool = False, context: Optional[Context] = None,
               **options: Any) -> None:
        pointer = context._ptr if context is not None else ffi.NULL
        blocking("run.wait", options,
                 lambda o: call(lib.coam_run_container_delete, self._ptr, pointer, int(force), o))

    def attach(self, **options: Any) -> Attachment:
        """Reads what a container with a monitor writes from now on, and writes to its input."""
        return blocking("run.wait", options, lambda o: new(
            Attachment, "coam_run_attach", lib.coam_run_container_attach, self._ptr, o))

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of the terminal that the monitor holds."""
        call(lib.coam_run_container_resize, self._ptr, rows, columns)

    def reopen_log(self) -> None:
        """Makes the monitor open its log by name again, after a rotation by somebody else."""
        call(lib.coam_run_container_reopen_log, self._ptr)

    def pause(self) -> None:
        call(lib.coam_run_container_pause, self._ptr)

    def resume(self) -> None:
        call(lib.coam_run_container_resume, self._ptr)

    def update(self, resources: Document) -> None:
        """Sets limits from a linux.resources object."""
        data = _document(resources)
        call(lib.coam_run_container_update, self._ptr, data, len(data))

    def exec(self, args: Optional[Iterable[str]] = None, *, context: Optional[Context] = None,
             **options: Any) -> Process:
        """Starts a process in the container: its words, or process={...}."""
        values = _prepare(options)
        if args is not None:
            values["arg"] = list(args)
        pointer = context._ptr if context is not None else ffi.NULL
        return blocking("run.exec", values, lambda o: new(
            Process, "coam_run_process", lib.coam_run_container_exec, self._ptr, pointer, o))

    def close(self) -> None:
        self._close_streams()
        Handle.close(self)

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *exc: Any) -> None:
        try:
            self.delete(force=True)
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<coaming.run.Container {self.id!r} {self.status}>"


class Runtime(Handle):
    """The containers of one state directory."""

    _free = lib.coam_run_runtime_free

    def __init__(self, **options: Any):
        super().__init__(blocking("run.runtime", options, self._open))

    @staticmethod
    def _open(options: Any) -> Any:
        out = ffi.new("coam_run_runtime **")
        call(lib.coam_run_runtime_new, options, out)
        return out[0]

    def _make(self, function: Any, id: str, context: Optional[Context],  # noqa: A002
              values: Dict[str, Any]) -> Container:
        pointer = context._ptr if context is not None else ffi.NULL
        return blocking("run.create", _prepare(values), lambda o: new(
            Container, "coam_run_container", function, self._ptr, pointer, encode(id), o))

    def create(self, id: str, *, context: Optional[Context] = None,  # noqa: A002
               **options: Any) -> Container:
        """Builds a container up to its program; call start() on it."""
        return self._make(lib.coam_run_container_create, id, context, options)

    def run(self, id: str, *, context: Optional[Context] = None,  # noqa: A002
            **options: Any) -> Container:
        """Creates and starts a container."""
        return self._make(lib.coam_run_container_run, id, context, options)

    def open(self, id: str) -> Container:  # noqa: A002
        """Finds a container made before, by this process or another."""
        return new(Container, "coam_run_container", lib.coam_run_container_open, self._ptr,
                   encode(id))

    def list(self) -> List[Dict[str, Any]]:
        return _json(take_buf(lib.coam_run_list, self._ptr))["containers"]

    def events(self, id: Optional[str] = None) -> Events:  # noqa: A002
        """The events of one container, or of all, from now on."""
        return new(Events, "coam_run_events", lib.coam_run_events_new, self._ptr,
                   encode(id) if id is not None else ffi.NULL)

    def remove(self, id: str, *, force: bool = False,  # noqa: A002
               context: Optional[Context] = None) -> None:
        """Deletes a container; with force also a running or half-made one, or none."""
        pointer = context._ptr if context is not None else ffi.NULL
        call(lib.coam_run_remove, self._ptr, pointer, encode(id), int(force))

    def print_plan(self, id: str, **options: Any) -> str:  # noqa: A002
        """The numbered steps of a launch; starts nothing."""
        return blocking("run.create", _prepare(options), lambda o: take_buf(
            lib.coam_run_print_plan, self._ptr, encode(id), o)).decode()


def default_spec(*, rootless: bool = False, uid: Optional[int] = None,
                 gid: Optional[int] = None) -> Dict[str, Any]:
    """A configuration to start from."""
    return _json(take_buf(lib.coam_run_spec_default, int(rootless),
                          os.geteuid() if uid is None else uid,
                          os.getegid() if gid is None else gid))


def check_spec(spec: Document) -> List[str]:
    """Checks a configuration against the specification; returns warnings."""
    data = _document(spec)
    return _json(take_buf(lib.coam_run_spec_check, data, len(data)))


def features() -> Dict[str, Any]:
    """The features document of the runtime specification."""
    return _json(take_buf(lib.coam_run_features))


def probe() -> List[Dict[str, Any]]:
    """What this kernel and user allow: name, works, detail, hint."""
    return _json(take_buf(lib.coam_run_probe))["probes"]


def signal_number(name: str) -> int:
    """The number of "TERM", "SIGTERM" or "RTMIN+3"; ValueError if there is none."""
    number = lib.coam_run_signal_number(encode(name))
    if number < 0:
        raise ValueError(f"no signal {name!r}")
    return number
