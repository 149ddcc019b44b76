"""Secure updates by The Update Framework: the client, and the repository side.

    with coaming.Context() as ctx:
        client = coaming.tuf.Client(ctx, "/var/lib/app/tuf", root=ROOT_JSON,
                                    metadata_url="https://updates.example/metadata",
                                    targets_url="https://updates.example/targets")
        client.refresh()
        path = client.download("app.tar", "/var/lib/app")

Keyword arguments are the keys of the option families "tuf.client", "tuf.run", "tuf.download", "tuf.init"
and "tuf.delegate" (coaming.option_names), beside timeout, cancel, progress and notes.
"""
from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Union

from coaming import _core
from coaming._core import Context, Handle, PathLike, blocking, call, encode, job, new, take_buf
from coaming._ffi import ffi, lib

__all__ = ["Client", "KeyPair", "Repository", "generate_key", "key_id"]


class KeyPair(NamedTuple):
    """A key as two PEM texts."""

    private: bytes
    public: bytes


class _Buf(Handle):
    _free = lib.coam_buf_free

    def take(self) -> bytes:
        try:
            return ffi.buffer(lib.coam_buf_data(self._ptr), lib.coam_buf_size(self._ptr))[:]
        finally:
            self.close()


def generate_key(ctx: Context, kind: str = "ed25519", passphrase: Optional[str] = None) -> KeyPair:
    """Makes a key: "ed25519", "ecdsa" or "rsa"; the private half is protected by the passphrase."""
    private, public = ffi.new("coam_buf **"), ffi.new("coam_buf **")
    call(lib.coam_tuf_key_generate, ctx._ptr, encode(kind),
         encode(passphrase) if passphrase else ffi.NULL, private, public)
    return KeyPair(_Buf(private[0]).take(), _Buf(public[0]).take())


def key_id(public: Union[str, bytes]) -> str:
    """The key id of a public key in PEM."""
    return take_buf(lib.coam_tuf_key_id, encode(public)).decode()


class Client(Handle):
    """A client of one repository."""

    _free = lib.coam_tuf_client_free

    def __init__(self, ctx: Context, metadata_dir: PathLike, root: Union[str, bytes],
                 **options: Any):
        self._ctx = ctx
        data = root.encode() if isinstance(root, str) else root
        opened = _core.Options("tuf.client", options)
        out = ffi.new("coam_tuf_client **")
        call(lib.coam_tuf_client_open, ctx._ptr, encode(metadata_dir), ffi.from_buffer(data),
             len(data), opened.pointer, out)
        super().__init__(out[0])

    def refresh(self, **options: Any) -> None:
        """Brings the top-level metadata up to date."""
        blocking("tuf.run", self._ctx.with_defaults(options), lambda o: call(
            lib.coam_tuf_refresh, self._ptr, o))

    def find(self, path: str, **options: Any) -> Dict[str, Any]:
        """What is signed about a target: length, hashes, custom."""
        return json.loads(blocking("tuf.run", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_tuf_find, self._ptr, encode(path), o)))

    def download(self, path: str, directory: PathLike, **options: Any) -> str:
        """Puts a verified target into the directory; the path of the file. Ctrl-C stops it."""
        return job("tuf.download", self._ctx.with_defaults(options), lambda o, ret: call(
            lib.coam_tuf_download_start, self._ptr, encode(path), encode(directory), o, ret),
            lambda j: take_buf(lib.coam_tuf_download_finish, j)).decode()

    def state(self) -> Dict[str, Any]:
        """Versions and expiry of what is trusted now."""
        return json.loads(take_buf(lib.coam_tuf_state, self._ptr))


class Repository(Handle):
    """A repository in a directory; metadata/ and targets/ are what a web server serves."""

    _free = lib.coam_tuf_repository_free

    def __init__(self, ctx: Context, directory: PathLike):
        self._ctx = ctx
        out = ffi.new("coam_tuf_repository **")
        call(lib.coam_tuf_repository_open, ctx._ptr, encode(directory), out)
        super().__init__(out[0])

    def init(self, **options: Any) -> None:
        """Stages version 1 of the four roles."""
        blocking("tuf.init", options, lambda o: call(lib.coam_tuf_repository_init, self._ptr, o))

    def add_key(self, role: str, public: Union[str, bytes]) -> None:
        call(lib.coam_tuf_repository_add_key, self._ptr, encode(role), encode(public))

    def remove_key(self, role: str, keyid: str) -> None:
        call(lib.coam_tuf_repository_remove_key, self._ptr, encode(role), encode(keyid))

    def set_threshold(self, role: str, threshold: int) -> None:
        call(lib.coam_tuf_repository_set_threshold, self._ptr, encode(role), threshold)

    def set_expiry(self, role: str, expires: int) -> None:
        call(lib.coam_tuf_repository_set_expiry, self._ptr, encode(role), expires)

    def add_target(self, path: str, file: PathLike, role: str = "targets",
                   custom: Optional[Dict[str, Any]] = None) -> None:
        call(lib.coam_tuf_repository_add_target, self._ptr, encode(role), encode(path),
             encode(file), encode(json.dumps(custom)) if custom is not None else ffi.NULL)

    def remove_target(self, path: str, role: str = "targets") -> None:
        call(lib.coam_tuf_repository_remove_target, self._ptr, encode(role), encode(path))

    def delegate(self, name: str, role: str = "targets", **options: Any) -> None:
        """Makes or replaces a delegation; with bits=N to 2**N hashed bins."""
        blocking("tuf.delegate", options, lambda o: call(
            lib.coam_tuf_repository_delegate, self._ptr, encode(role), encode(name), o))

    def remove_delegation(self, name: str, role: str = "targets") -> None:
        call(lib.coam_tuf_repository_remove_delegation, self._ptr, encode(role), encode(name))

    def _stage(self, function: Any, expires: int) -> bool:
        changed = ffi.new("int32_t *")
        call(function, self._ptr, expires, changed)
        return changed[0] == 1

    def snapshot(self, expires: int) -> bool:
        """Stages a new snapshot if it is needed; whether it was."""
        return self._stage(lib.coam_tuf_repository_snapshot, expires)

    def timestamp(self, expires: int) -> bool:
        return self._stage(lib.coam_tuf_repository_timestamp, expires)

    def to_be_signed(self, role: str) -> bytes:
        return take_buf(lib.coam_tuf_repository_to_be_signed, self._ptr, encode(role))

    def add_signature(self, role: str, keyid: str, signature: bytes) -> None:
        call(lib.coam_tuf_repository_add_signature, self._ptr, encode(role), encode(keyid),
             ffi.from_buffer(signature), len(signature))

    def sign(self, role: str, private: Union[str, bytes], passphrase: Optional[str] = None) -> None:
        call(lib.coam_tuf_repository_sign, self._ptr, encode(role), encode(private),
             encode(passphrase) if passphrase else ffi.NULL)

    def staged(self) -> List[Dict[str, Any]]:
        """The staged roles: version, ready, threshold, signedBy, missing."""
        return json.loads(take_buf(lib.coam_tuf_repository_state, self._ptr))["staged"]

    def publish(self) -> None:
        """Writes what is staged, if every role meets its threshold."""
        call(lib.coam_tuf_repository_publish, self._ptr)

    def verify(self, time: int = 0) -> None:
        """Walks what is published as a client would."""
        call(lib.coam_tuf_repository_verify, self._ptr, time)
