"""Exceptions: one class for each name in the reasons table, made when the library is loaded.

Every exception is a CoamingError with code, reason, message, hint and details. Several are also the
built-in exception that Python programs expect.
"""
from __future__ import annotations

from typing import Dict, Optional, Type

from coaming._ffi import ffi, lib

__all__ = ["CoamingError"]


def text(value) -> str:
    """A coam_str as str; bytes that are not UTF-8 survive as surrogates."""
    return ffi.buffer(value.data, value.size)[:].decode("utf-8", "surrogateescape")


class CoamingError(Exception):
    """What happened, to what, why, and what to do next.

    code: "NOT_FOUND" and so on, for policy. reason: a stable dotted name. hint: what to do next, may
    be empty. details: {"http.status": "401", ...}. errno: of the system call, or 0.
    """

    def __init__(self, message: str, *, code: str = "INTERNAL", reason: str = "core.internal",
                 hint: str = "", details: Optional[Dict[str, str]] = None, errno: int = 0):
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.hint = hint
        self.details = dict(details or {})
        self.errno = errno
        if hint and hasattr(self, "add_note"):
            self.add_note("hint: " + hint)

    def __str__(self) -> str:
        return f"{self.message} [{self.reason}]"


# The built-in exceptions that a class of the table also is.
_ALSO: Dict[str, tuple] = {
    "NotFoundError": (LookupError,),
    "PermissionDeniedError": (PermissionError,),
    "UnsupportedError": (NotImplementedError,),
    "InvalidArgumentError": (ValueError,),
    "DeadlineError": (TimeoutError,),
    "LimitError": (),
    "ExistsError": (FileExistsError,),
}
# The classes of the table that are kinds of another.
_UNDER: Dict[str, str] = {
    "DigestMismatchError": "DataError",
    "ExpiredError": "VerificationError",
    "RollbackError": "VerificationError",
    "ThresholdError": "VerificationError",
}


def _class(name: str, made: Dict[str, Type[CoamingError]]) -> Type[CoamingError]:
    if name == "CoamingError":
        return CoamingError
    if name not in made:
        parent = _class(_UNDER[name], made) if name in _UNDER else CoamingError
        made[name] = type(name, (parent, *_ALSO.get(name, ())),
                          {"__module__": __name__, "__doc__": "See `coam reasons`."})
    return made[name]


def _load() -> Dict[str, Type[CoamingError]]:
    by_reason: Dict[str, Type[CoamingError]] = {}
    made: Dict[str, Type[CoamingError]] = {}
    index = 0
    while True:
        row = lib.coam_reason_at(index)
        if row == ffi.NULL:
            break
        by_reason[text(lib.coam_reason_name(row))] = _class(
            text(lib.coam_reason_python_class(row)), made)
        index += 1
    globals().update(made)
    __all__.extend(sorted(made))
    return by_reason


_BY_REASON = _load()


def take(error) -> CoamingError:
    """Turns a coam_error (owned) into an exception with its causes chained."""
    try:
        return _convert(error)
    finally:
        lib.coam_error_free(error)


def _convert(error) -> CoamingError:
    reason = text(lib.coam_error_reason(error))
    details: Dict[str, str] = {}
    index = 0
    while True:
        key = text(lib.coam_error_detail_key(error, index))
        if not key:
            break
        details[key] = text(lib.coam_error_detail(error, key.encode()))
        index += 1
    made = _BY_REASON.get(reason, CoamingError)(
        text(lib.coam_error_message(error)),
        code=ffi.string(lib.coam_code_name(lib.coam_error_code(error))).decode(),
        reason=reason, hint=text(lib.coam_error_hint(error)), details=details,
        errno=lib.coam_error_errno(error))
    cause = lib.coam_error_cause(error)
    if cause != ffi.NULL:
        made.__cause__ = _convert(cause)
    return made
