"""coaming: find, fetch, verify, unpack, run and connect containers.

    import coaming

    with coaming.Context(progress=print) as ctx:
        ...

Modules follow the C headers; see `coaming.errors` for the exceptions, `coaming.aio` for asyncio.
After os.fork() every call raises (reason core.forked): use the "spawn" method of multiprocessing.
"""
from coaming._core import Cancel, Context, Event, Note, features, option_names
from coaming._ffi import ffi as _ffi, lib as _lib
from coaming.errors import CoamingError

__version__ = "1.0.0"
__all__ = ["Cancel", "CoamingError", "Context", "Event", "Note", "features", "library_version",
           "option_names"]


def library_version() -> str:
    """The version of the library that is loaded, with what it was built from."""
    return _ffi.string(_lib.coam_build_details()).decode()
