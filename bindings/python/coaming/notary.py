"""Signed names by Notary v1, which is Docker Content Trust.

    with coaming.Context() as ctx:
        trust = coaming.notary.Notary(ctx, server="https://notary.example",
                                      trust_dir="/home/me/.docker/trust",
                                      passphrase=lambda request: getpass(request.role))
        name = trust.resolve("registry.example/app:1.4")     # docker://registry.example/app@sha256:...
        trust.sign("registry.example/app:1.5", digest, size)

Keyword arguments are the keys of the option families "notary.open", "notary.target", "notary.add",
"notary.init", "notary.delegation", "notary.rotate" and "notary.run" (coaming.option_names), beside
timeout, cancel, progress and notes.
"""
from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

from coaming import _core
from coaming._core import Context, Handle, blocking, call, encode, take_buf
from coaming._ffi import ffi, lib

__all__ = ["Notary", "PassphraseRequest"]


class PassphraseRequest(NamedTuple):
    """What a passphrase is asked for: `create` if a key is to be protected from now on."""

    key_id: str
    role: str
    create: bool
    attempt: int


# Gives the passphrase, or None to give up.
Passphrase = Callable[[PassphraseRequest], Optional[str]]


class _Asker:
    def __init__(self, function: Passphrase):
        self.function = function
        self.raised: Optional[BaseException] = None


@ffi.def_extern(onerror=None)
def coaming_py_notary_passphrase(user, key_id, role, create, attempt, passphrase, size):
    asker = ffi.from_handle(user)
    try:
        given = asker.function(PassphraseRequest(ffi.string(key_id).decode(),
                                                 ffi.string(role).decode(), create != 0, attempt))
    except BaseException as error:  # raised again by the call
        asker.raised = error
        return -1
    if given is None:
        return 1
    data = given.encode()
    if len(data) >= size or b"\0" in data:
        return 1
    ffi.memmove(passphrase, data + b"\0", len(data) + 1)
    return 0


class Notary(Handle):
    """A notary-server and a trust directory, which may be that of `notary` or docker.

    passphrase: a text for all keys, or a function that is asked for each.
    """

    _free = lib.coam_notary_free

    def __init__(self, ctx: Context, *, passphrase: Union[str, Passphrase, None] = None,
                 **options: Any):
        self._ctx = ctx
        out = ffi.new("coam_notary **")
        blocking("notary.open", options, lambda o: call(lib.coam_notary_open, ctx._ptr, o, out))
        super().__init__(out[0])
        self._asker: Optional[_Asker] = None
        if passphrase is not None:
            fixed = passphrase
            ask = fixed if callable(fixed) else (
                lambda request: fixed if request.attempt == 0 else None)
            self._asker = _Asker(ask)
            self._asker_handle = ffi.new_handle(self._asker)
            lib.coam_notary_set_passphrase(self._ptr, lib.coaming_py_notary_passphrase,
                                           self._asker_handle, ffi.NULL)

    def _run(self, family: str, options: Dict[str, Any], body: Callable[[Any], Any]) -> Any:
        try:
            return blocking(family, self._ctx.with_defaults(options), body)
        finally:
            if self._asker is not None:
                raised, self._asker.raised = self._asker.raised, None
                if raised is not None:
                    raise raised

    def _json(self, family: str, options: Dict[str, Any], function: Any, *args: Any) -> Any:
        return json.loads(self._run(family, options, lambda o: take_buf(
            function, self._ptr, *[encode(a) for a in args], o)))

    def _do(self, family: str, options: Dict[str, Any], function: Any, *args: Any) -> None:
        self._run(family, options, lambda o: call(
            function, self._ptr, *[encode(a) for a in args], o))

    # Reading.

    def list(self, gun: str, **options: Any) -> List[Dict[str, Any]]:
        """The targets: name, role, length, digest, hashes, custom."""
        return self._json("notary.target", options, lib.coam_notary_list, gun)["targets"]

    def lookup(self, gun: str, name: str, **options: Any) -> Dict[str, Any]:
        """What is signed about one target."""
        return self._json("notary.target", options, lib.coam_notary_lookup, gun, name)

    def verify(self, gun: str, name: str, file: _core.PathLike, **options: Any) -> None:
        """Compares a file with what is signed."""
        self._do("notary.target", options, lib.coam_notary_verify, gun, name, file)

    def state(self, gun: str, **options: Any) -> List[Dict[str, Any]]:
        """The roles: version, expires, threshold, keys, signedBy, paths, valid."""
        return self._json("notary.run", options, lib.coam_notary_state, gun)["roles"]

    def resolve(self, image: str, **options: Any) -> str:
        """The image's name with the digest that is signed for its tag, for Context.pull."""
        return self._run("notary.run", options, lambda o: take_buf(
            lib.coam_notary_resolve, self._ptr, encode(image), o)).decode()

    # Publishing at once.

    def sign(self, image: str, digest: str, size: int, **options: Any) -> List[str]:
        """Signs a tag as docker does after a push; the roles that were signed."""
        return json.loads(self._run("notary.run", options, lambda o: take_buf(
            lib.coam_notary_sign, self._ptr, encode(image), encode(digest), size, o)))["roles"]

    def revoke(self, image: str, **options: Any) -> List[str]:
        """Takes a tag, or all tags of a name without one, away; the roles it was taken from."""
        return self._json("notary.run", options, lib.coam_notary_revoke, image)["roles"]

    def rotate(self, gun: str, role: str, **options: Any) -> None:
        """Replaces a role's keys: server=True, key_id=[...], or a new key."""
        self._do("notary.rotate", options, lib.coam_notary_rotate, gun, role)

    def delete(self, gun: str, remote: bool = False, **options: Any) -> None:
        """Removes the trust data kept here, and those on the server; private keys stay."""
        self._run("notary.run", options, lambda o: call(
            lib.coam_notary_delete, self._ptr, encode(gun), int(remote), o))

    # Publishing in steps.

    def init(self, gun: str, **options: Any) -> None:
        """Makes the first metadata of a repository, here only."""
        self._do("notary.init", options, lib.coam_notary_init, gun)

    def add(self, gun: str, name: str, **options: Any) -> None:
        """Stages a target: file=PATH, or length=N and hash={"sha256": HEX}."""
        self._do("notary.add", options, lib.coam_notary_add, gun, name)

    def remove(self, gun: str, name: str, **options: Any) -> None:
        """Stages the removal of a target."""
        self._do("notary.add", options, lib.coam_notary_remove, gun, name)

    def delegate(self, gun: str, role: str, **options: Any) -> None:
        """Stages keys (key=[PEM]) and paths for a role beneath targets."""
        self._do("notary.delegation", options, lib.coam_notary_delegate, gun, role)

    def undelegate(self, gun: str, role: str, **options: Any) -> None:
        """Stages the removal of keys (key_id), paths, or without them the role."""
        self._do("notary.delegation", options, lib.coam_notary_undelegate, gun, role)

    def witness(self, gun: str, role: str) -> None:
        """Stages that a role is signed again as it stands."""
        call(lib.coam_notary_witness, self._ptr, encode(gun), encode(role))

    def staged(self, gun: str) -> List[Dict[str, str]]:
        """The changes: action, role, type, path."""
        return json.loads(take_buf(lib.coam_notary_staged, self._ptr, encode(gun)))["changes"]

    def unstage(self, gun: str, index: Optional[int] = None) -> None:
        """Drops the change at `index`, or all."""
        call(lib.coam_notary_unstage, self._ptr, encode(gun), -1 if index is None else index)

    def publish(self, gun: str, **options: Any) -> None:
        """Signs what is staged and uploads it."""
        self._do("notary.run", options, lib.coam_notary_publish, gun)

    # Private keys.

    def keys(self) -> List[Dict[str, str]]:
        """The private keys: id, role, gun."""
        return json.loads(take_buf(lib.coam_notary_keys, self._ptr))["keys"]

    def _keys_call(self, body: Callable[[], Any]) -> Any:
        return self._run("notary.run", {}, lambda o: body())

    def generate_key(self, role: str, gun: Optional[str] = None) -> Dict[str, str]:
        """Makes a key: id, role, gun, public (PEM)."""
        return json.loads(self._keys_call(lambda: take_buf(
            lib.coam_notary_key_generate, self._ptr, encode(role),
            encode(gun) if gun else ffi.NULL)))

    def import_keys(self, pem: Union[str, bytes], role: Optional[str] = None,
                    gun: Optional[str] = None) -> List[str]:
        """Takes the private keys of a PEM text; their ids."""
        return json.loads(self._keys_call(lambda: take_buf(
            lib.coam_notary_key_import, self._ptr, encode(pem), encode(role) if role else ffi.NULL,
            encode(gun) if gun else ffi.NULL)))["ids"]

    def export_keys(self, key_id: Optional[str] = None, gun: Optional[str] = None) -> bytes:
        """Keys as they are kept: one, those of a repository, or all."""
        return take_buf(lib.coam_notary_key_export, self._ptr,
                        encode(key_id) if key_id else ffi.NULL, encode(gun) if gun else ffi.NULL)

    def protect_key(self, key_id: str) -> None:
        """Asks for the old passphrase and then for a new one."""
        self._keys_call(lambda: call(lib.coam_notary_key_protect, self._ptr, encode(key_id)))

    def remove_key(self, key_id: str) -> None:
        """Deletes a private key."""
        call(lib.coam_notary_key_remove, self._ptr, encode(key_id))
