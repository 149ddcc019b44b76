"""What the modules of this package stand on: calls, handles, options, callbacks, jobs.

No cffi type leaves this package. A module wraps a handle and writes its calls so:

    class Image(Handle):
        _free = lib.coam_oci_image_free

    def pull(ctx, reference, **options):
        return job(ctx, "oci.pull", options,
                   lambda o, ret: call(lib.coam_oci_pull_start, ctx._ptr, encode(reference), o, ret),
                   lambda j: new(Image, "coam_oci_image", lib.coam_oci_pull_finish, j))
"""
from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Union

from coaming import errors
from coaming._ffi import ffi, lib

PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
text = errors.text

# A job is waited for in slices, so that Ctrl-C acts within 100 ms.
_SLICE_MS = 50


class Event(NamedTuple):
    """News about a running call."""

    kind: str
    phase: str
    subject: str
    done: int
    total: int
    unit: str
    text: str


class Note(NamedTuple):
    """"Done, but": what was not as asked in a call that succeeded."""

    reason: str
    subject: str
    text: str


def encode(value: Union[PathLike, int, float, bool]) -> bytes:
    """Text or a path as the bytes that C takes."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (int, float)):
        return str(value).encode()
    return os.fsencode(value)


def call(function: Callable[..., int], *args: Any) -> None:
    """Calls a C function whose last parameter is the error; raises what it reports."""
    error = ffi.new("coam_error **")
    if function(*args, error) != lib.COAM_OK:
        raise errors.take(error[0])


class Handle:
    """Owns one C handle. Freed when Python lets go of it, or by close()."""

    _free: Callable[[Any], None]

    def __init__(self, pointer: Any):
        self._ptr = ffi.gc(pointer, type(self)._free)

    def close(self) -> None:
        """Frees the handle now; using the object afterwards is an error."""
        if self._ptr is not None:
            ffi.release(self._ptr)
            self._ptr = None


def new(kind: type, ctype: str, function: Callable[..., int], *args: Any) -> Any:
    """Calls `function(*args, &handle, &error)` and wraps the handle in `kind`."""
    out = ffi.new(ctype + " **")
    call(function, *args, out)
    return kind(out[0])


def take_buf(function: Callable[..., int], *args: Any) -> bytes:
    """Calls `function(*args, &coam_buf, &error)` and returns its bytes."""
    out = ffi.new("coam_buf **")
    call(function, *args, out)
    try:
        return ffi.buffer(lib.coam_buf_data(out[0]), lib.coam_buf_size(out[0]))[:]
    finally:
        lib.coam_buf_free(out[0])


class Cancel(Handle):
    """Asks running calls to stop, from any thread."""

    _free = lib.coam_cancel_free

    def __init__(self) -> None:
        out = ffi.new("coam_cancel **")
        call(lib.coam_cancel_new, out)
        super().__init__(out[0])

    def fire(self) -> None:
        lib.coam_cancel_fire(self._ptr)

    @property
    def fired(self) -> bool:
        return lib.coam_cancel_fired(self._ptr) == 1

    def fileno(self) -> int:
        return lib.coam_cancel_fd(self._ptr)


class _Listener:
    """The Python side of an event callback; keeps the exception that it raised."""

    def __init__(self, function: Optional[Callable[[Event], Any]]):
        self.function = function
        self.raised: Optional[BaseException] = None


_STOP = 1


@ffi.def_extern(onerror=None)
def coaming_py_event(user, event):
    listener = ffi.from_handle(user)
    if listener.function is None:
        return 0
    try:
        answer = listener.function(Event(
            text(lib.coam_event_kind(event)), text(lib.coam_event_phase(event)),
            text(lib.coam_event_subject(event)), lib.coam_event_done(event),
            lib.coam_event_total(event), text(lib.coam_event_unit(event)),
            text(lib.coam_event_text(event))))
    except BaseException as error:  # KeyboardInterrupt too: it stops the call and is raised again
        listener.raised = error
        return _STOP
    return answer if isinstance(answer, int) and not isinstance(answer, bool) else 0


@ffi.def_extern()
def coaming_py_free(user):
    return None


@ffi.def_extern()
def coaming_py_log(user, level, component, message):
    ffi.from_handle(user)(level, ffi.string(component).decode("utf-8", "replace"),
                          ffi.string(message).decode("utf-8", "replace"))


class Options:
    """Options of one call: keyword arguments checked against the library's own table.

    Beside the keys of the family every call takes: timeout (seconds), cancel (Cancel),
    progress (called with an Event; raising stops the call), notes (a list that is appended to).
    """

    def __init__(self, family: str, values: Mapping[str, Any]):
        out = ffi.new("coam_options **")
        call(lib.coam_options_new, family.encode(), out)
        self.pointer = ffi.gc(out[0], lib.coam_options_free)
        self._notes: Optional[List[Note]] = None
        self._c_notes = None
        self.listener = _Listener(None)
        self._keep: List[Any] = []
        for name, value in values.items():
            self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        if value is None:
            return
        if name == "timeout":
            lib.coam_options_set_deadline(self.pointer, time.monotonic_ns() + int(value * 1e9))
        elif name == "cancel":
            lib.coam_options_set_cancel(self.pointer, value._ptr)
        elif name == "progress":
            self.listener.function = value
            handle = ffi.new_handle(self.listener)
            self._keep.append(handle)
            lib.coam_options_set_events(self.pointer, lib.coaming_py_event, handle, ffi.NULL)
        elif name == "notes":
            self._notes = value
            out = ffi.new("coam_notes **")
            call(lib.coam_notes_new, out)
            self._c_notes = ffi.gc(out[0], lib.coam_notes_free)
            lib.coam_options_set_notes(self.pointer, self._c_notes)
        else:
            self._set_key(name.rstrip("_").replace("_", "-").encode(), value)

    def _set_key(self, key: bytes, value: Any) -> None:
        if isinstance(value, Mapping):
            for k, v in value.items():
                call(lib.coam_options_set, self.pointer, key, encode(k) + b"=" + encode(v))
        elif isinstance(value, (list, tuple)):
            for item in value:
                call(lib.coam_options_set, self.pointer, key, encode(item))
        elif isinstance(value, (bytearray, memoryview)) or (
                isinstance(value, bytes) and b"\0" in value):
            data = ffi.from_buffer(value)
            call(lib.coam_options_set_bytes, self.pointer, key, data, len(data))
        else:
            call(lib.coam_options_set, self.pointer, key, encode(value))

    def finish(self) -> None:
        """Hands the notes over and raises again what the progress callback raised."""
        if self._notes is not None:
            for i in range(lib.coam_notes_count(self._c_notes)):
                self._notes.append(Note(text(lib.coam_notes_reason(self._c_notes, i)),
                                        text(lib.coam_notes_subject(self._c_notes, i)),
                                        text(lib.coam_notes_text(self._c_notes, i))))
        if self.listener.raised is not None:
            raised, self.listener.raised = self.listener.raised, None
            raise raised


def blocking(family: str, values: Mapping[str, Any], run: Callable[[Any], Any]) -> Any:
    """Runs `run(options pointer)` for a short call of `family`."""
    options = Options(family, values)
    try:
        result = run(options.pointer)
    except errors.CoamingError:
        options.finish()
        raise
    options.finish()
    return result


class Job(Handle):
    """A call that runs on a thread of its own."""

    _free = lib.coam_job_free

    def __init__(self, options: Options, start: Callable[[Any, Any], None],
                 finish: Callable[[Any], Any]):
        out = ffi.new("coam_job **")
        start(options.pointer, out)
        super().__init__(out[0])
        self._options = options
        self._finish = finish

    def fileno(self) -> int:
        return lib.coam_job_fd(self._ptr)

    def dispatch(self) -> bool:
        """Delivers events; True when the call has ended."""
        call(lib.coam_job_dispatch, self._ptr)
        return lib.coam_job_done(self._ptr) == 1

    def cancel(self) -> None:
        lib.coam_job_cancel(self._ptr)

    def result(self) -> Any:
        """The result of the ended call."""
        try:
            value = self._finish(self._ptr)
        except errors.CoamingError:
            self._options.finish()
            raise
        self._options.finish()
        return value

    def wait(self) -> Any:
        """Waits for the end. Ctrl-C cancels the call, waits for it to clean up and is raised."""
        try:
            while lib.coam_job_done(self._ptr) == 0:
                error = ffi.new("coam_error **")
                code = lib.coam_job_wait(self._ptr, _SLICE_MS, error)
                if code not in (lib.COAM_OK, lib.COAM_DEADLINE_EXCEEDED):
                    raise errors.take(error[0])
                if code != lib.COAM_OK:
                    lib.coam_error_free(error[0])
        except KeyboardInterrupt:
            self.cancel()
            while lib.coam_job_done(self._ptr) == 0:
                lib.coam_job_wait(self._ptr, -1, ffi.NULL)
            raise
        return self.result()


def job(family: str, values: Mapping[str, Any], start: Callable[[Any, Any], None],
        finish: Callable[[Any], Any]) -> Any:
    """Runs a long call and returns its result; see Job.wait for Ctrl-C."""
    return Job(Options(family, values), start, finish).wait()


class Context(Handle):
    """What calls share: limits, log, whether threads may be made.

    limits: {"manifest_bytes": 8 << 20, ...}. log: called with (level, component, message).
    defaults: keyword arguments for every call made with this context (progress=print).
    """

    _free = lib.coam_context_free

    def __init__(self, *, limits: Optional[Mapping[str, int]] = None, threads: bool = True,
                 log: Optional[Callable[[int, str, str], None]] = None, log_level: int = 1,
                 **defaults: Any):
        values: Dict[str, Any] = {"threads": threads}
        options = Options("context", values)
        for name, value in (limits or {}).items():
            call(lib.coam_options_set, options.pointer, b"limits." + encode(name), encode(value))
        out = ffi.new("coam_context **")
        call(lib.coam_context_new, options.pointer, out)
        super().__init__(out[0])
        self.defaults = defaults
        if log is not None:
            self._log = ffi.new_handle(log)
            sink = ffi.new("coam_log_sink *")
            sink.struct_size = ffi.sizeof("coam_log_sink")
            sink.min_level = log_level
            sink.write = lib.coaming_py_log
            sink.user = self._log
            call(lib.coam_context_set_log, self._ptr, sink)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def with_defaults(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """`values` over the defaults of this context."""
        return {**self.defaults, **values}


def features() -> Iterator[str]:
    """The names of what this build can do."""
    index = 0
    while True:
        name = lib.coam_feature_at(index)
        if name == ffi.NULL:
            return
        yield ffi.string(name).decode()
        index += 1


def option_names(family: str) -> Iterable[str]:
    """The keyword arguments that calls of `family` take."""
    index = 0
    while True:
        key = lib.coam_options_key(family.encode(), index)
        if key == ffi.NULL:
            return
        yield text(lib.coam_option_name(key)).replace("-", "_").replace(".", "_")
        index += 1
