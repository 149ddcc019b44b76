"""OpenPGP signatures and keys, and rkt's store of trusted keys.

    with coaming.Context() as ctx:
        keys = coaming.sig.Keyring.load(ctx, "pubkeys.gpg")
        verdict = keys.verify_file("hello.aci.asc", "hello.aci")
        verdict.check("hello.aci")           # raises VerificationError unless it is good
        print(verdict.signatures[0].user)

Keyword arguments are the keys of the option families "sig.verify", "sig.generate", "sig.sign" and
"sig.keystore" (coaming.option_names), beside timeout, cancel, progress and notes.
"""
from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from coaming import _core
from coaming._core import Context, Handle, PathLike, blocking, call, encode, job, new, take_buf, text
from coaming._ffi import ffi, lib

__all__ = ["Claim", "Key", "KeyStore", "Keyring", "Signature", "TrustedKey", "Verdict", "Verifier",
           "cosign_sign", "cosign_verify", "parse_policy"]

Data = Union[bytes, bytearray, memoryview]


class Signature(NamedTuple):
    """What was found out about one signature; the reason is empty for a good one."""

    reason: str
    message: str
    fingerprint: str
    signer: str
    user: str
    created: int

    @property
    def good(self) -> bool:
        return not self.reason


class Claim(NamedTuple):
    """What the signature of an image states; the fingerprint is that of an OpenPGP key."""

    digest: str
    reference: str
    creator: str
    timestamp: int
    fingerprint: str


def _claim(data: bytes) -> Claim:
    parsed = json.loads(data)
    return Claim(*(parsed[field] for field in Claim._fields))


class Verdict(Handle):
    """The results of all signatures of a file."""

    _free = lib.coam_sig_verdict_free

    def check(self, subject: str = "the data") -> None:
        """Raises VerificationError, naming the subject, unless enough signatures are good."""
        call(lib.coam_sig_verdict_check, self._ptr, encode(subject))

    @property
    def good(self) -> int:
        """The number of different keys with a good signature."""
        return lib.coam_sig_verdict_good(self._ptr)

    @property
    def signatures(self) -> List[Signature]:
        return [Signature(text(lib.coam_sig_verdict_reason(self._ptr, i)),
                          text(lib.coam_sig_verdict_message(self._ptr, i)),
                          text(lib.coam_sig_verdict_fingerprint(self._ptr, i)),
                          text(lib.coam_sig_verdict_signer(self._ptr, i)),
                          text(lib.coam_sig_verdict_user(self._ptr, i)),
                          lib.coam_sig_verdict_created(self._ptr, i))
                for i in range(lib.coam_sig_verdict_count(self._ptr))]

    def to_json(self) -> str:
        return text(lib.coam_sig_verdict_json(self._ptr))

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(self.to_json())

    def __repr__(self) -> str:
        return f"<coaming.sig.Verdict good={self.good} of {len(self.signatures)}>"


class Verifier(Handle):
    """Verification while the data arrives."""

    _free = lib.coam_sig_verifier_free

    @property
    def known(self) -> bool:
        """Whether some signature claims a key of the keyring."""
        return lib.coam_sig_verifier_known(self._ptr) == 1

    def update(self, data: Data) -> None:
        call(lib.coam_sig_verifier_update, self._ptr, ffi.from_buffer(data), len(data))

    def finish(self) -> Verdict:
        return new(Verdict, "coam_sig_verdict", lib.coam_sig_verifier_finish, self._ptr)


class Keyring(Handle):
    """OpenPGP certificates."""

    _free = lib.coam_sig_keyring_free
    _ctx: Context

    @classmethod
    def _wrap(cls, ctx: Context, function: Any, *args: Any) -> "Keyring":
        out = new(cls, "coam_sig_keyring", function, *args)
        out._ctx = ctx
        return out

    @classmethod
    def parse(cls, ctx: Context, data: Union[str, Data]) -> "Keyring":
        """Reads one or more public keys, armored or binary."""
        raw = data.encode() if isinstance(data, str) else data
        return cls._wrap(ctx, lib.coam_sig_keyring_parse, ctx._ptr, ffi.from_buffer(raw), len(raw))

    @classmethod
    def load(cls, ctx: Context, path: PathLike) -> "Keyring":
        return cls._wrap(ctx, lib.coam_sig_keyring_load, ctx._ptr, encode(path))

    def verify_claim(self, signature: Data, **options: Any) -> Claim:
        """Checks a signature file of simple signing; gives what it states, for the caller to compare."""
        return _claim(blocking("sig.verify", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_sig_claim_verify, self._ctx._ptr, self._ptr, ffi.from_buffer(signature),
            len(signature), o)))

    def __len__(self) -> int:
        return lib.coam_sig_keyring_count(self._ptr)

    @property
    def fingerprints(self) -> List[str]:
        return [text(lib.coam_sig_keyring_fingerprint(self._ptr, i)) for i in range(len(self))]

    @property
    def review(self) -> str:
        """What to show before a key is trusted."""
        return text(lib.coam_sig_keyring_review(self._ptr))

    @property
    def armored(self) -> str:
        return text(lib.coam_sig_keyring_armored(self._ptr))

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(text(lib.coam_sig_keyring_json(self._ptr)))

    def verify(self, signature: Data, data: Data, **options: Any) -> Verdict:
        """Judges a detached signature over bytes."""
        return blocking("sig.verify", self._ctx.with_defaults(options), lambda o: new(
            Verdict, "coam_sig_verdict", lib.coam_sig_verify, self._ctx._ptr, self._ptr,
            ffi.from_buffer(signature), len(signature), ffi.from_buffer(data), len(data), o))

    def verify_file(self, signature: PathLike, data: PathLike, **options: Any) -> Verdict:
        """Judges a detached signature in a file over another file; Ctrl-C stops it."""
        return job("sig.verify", self._ctx.with_defaults(options), lambda o, ret: call(
            lib.coam_sig_verify_file_start, self._ctx._ptr, self._ptr, encode(signature),
            encode(data), o, ret), lambda j: new(
                Verdict, "coam_sig_verdict", lib.coam_sig_verify_file_finish, j))

    def verify_message(self, message: Data, **options: Any) -> Tuple[Optional[bytes], Verdict]:
        """Opens an inline or cleartext message: its content (None if refused) and the verdict."""
        content = ffi.new("coam_buf **")

        def run(pointer: Any) -> Verdict:
            return new(Verdict, "coam_sig_verdict", lib.coam_sig_verify_message, self._ctx._ptr,
                       self._ptr, ffi.from_buffer(message), len(message), pointer, content)

        verdict = blocking("sig.verify", self._ctx.with_defaults(options), run)
        if content[0] == ffi.NULL:
            return None, verdict
        try:
            return ffi.buffer(lib.coam_buf_data(content[0]),
                              lib.coam_buf_size(content[0]))[:], verdict
        finally:
            lib.coam_buf_free(content[0])

    def verifier(self, signature: Data, **options: Any) -> Verifier:
        """A verifier to feed with the data as it arrives."""
        return blocking("sig.verify", self._ctx.with_defaults(options), lambda o: new(
            Verifier, "coam_sig_verifier", lib.coam_sig_verifier_new, self._ctx._ptr, self._ptr,
            ffi.from_buffer(signature), len(signature), o))


def _secret(passphrase: Optional[str]) -> Any:
    return passphrase.encode() if passphrase else ffi.NULL


class Key(Handle):
    """A secret key that can sign."""

    _free = lib.coam_sig_key_free
    _ctx: Context

    @classmethod
    def _wrap(cls, ctx: Context, function: Any, *args: Any) -> "Key":
        out = new(cls, "coam_sig_key", function, *args)
        out._ctx = ctx
        return out

    @classmethod
    def generate(cls, ctx: Context, user_id: str, **options: Any) -> "Key":
        """Makes a key for "Name <mail>"."""
        return blocking("sig.generate", ctx.with_defaults(options), lambda o: cls._wrap(
            ctx, lib.coam_sig_key_generate, ctx._ptr, encode(user_id), o))

    @classmethod
    def parse(cls, ctx: Context, data: Union[str, Data],
              passphrase: Optional[str] = None) -> "Key":
        raw = data.encode() if isinstance(data, str) else data
        return cls._wrap(ctx, lib.coam_sig_key_parse, ctx._ptr, ffi.from_buffer(raw), len(raw),
                         _secret(passphrase))

    @classmethod
    def load(cls, ctx: Context, path: PathLike, passphrase: Optional[str] = None) -> "Key":
        return cls._wrap(ctx, lib.coam_sig_key_load, ctx._ptr, encode(path), _secret(passphrase))

    @property
    def fingerprint(self) -> str:
        return text(lib.coam_sig_key_fingerprint(self._ptr))

    def public(self) -> Keyring:
        return Keyring._wrap(self._ctx, lib.coam_sig_key_public, self._ptr)

    def export(self, passphrase: Optional[str] = None) -> bytes:
        """The armored secret key, protected by the passphrase if there is one."""
        return take_buf(lib.coam_sig_key_export, self._ptr, _secret(passphrase))

    def revoke(self, reason: int = 0, explanation: str = "", time: int = 0) -> str:
        """An armored revocation certificate; reason 0 none, 1 superseded, 2 compromised, 3 retired."""
        return take_buf(lib.coam_sig_key_revoke, self._ptr, reason, encode(explanation),
                        time).decode()

    def sign(self, data: Data, **options: Any) -> bytes:
        return blocking("sig.sign", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_sig_sign, self._ctx._ptr, self._ptr, ffi.from_buffer(data), len(data), o))

    def sign_claim(self, digest: str, reference: str) -> bytes:
        """The signature file of simple signing: the manifest `digest` is the image `reference`."""
        return take_buf(lib.coam_sig_claim_sign, self._ctx._ptr, self._ptr, encode(digest),
                        encode(reference))

    def sign_file(self, path: PathLike, **options: Any) -> bytes:
        return blocking("sig.sign", self._ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_sig_sign_file, self._ctx._ptr, self._ptr, encode(path), o))


def parse_policy(ctx: Context, data: Union[str, Data]) -> Dict[str, Any]:
    """Reads a policy.json as strictly as it is enforced; gives the schema coam.policy.v1."""
    raw = data.encode() if isinstance(data, str) else data
    return json.loads(take_buf(lib.coam_sig_policy_parse, ctx._ptr, ffi.from_buffer(raw), len(raw)))


def cosign_sign(ctx: Context, key_pem: Union[str, Data], digest: str, reference: str,
                passphrase: Optional[str] = None) -> Tuple[bytes, str]:
    """cosign's payload and its signature, base64, by a private key in PEM."""
    raw = key_pem.encode() if isinstance(key_pem, str) else key_pem
    payload = ffi.new("coam_buf **")
    signature = take_buf(lib.coam_sig_cosign_sign, ctx._ptr, ffi.from_buffer(raw), len(raw),
                         _secret(passphrase), encode(digest), encode(reference), payload)
    buf = ffi.gc(payload[0], lib.coam_buf_free)
    return ffi.buffer(lib.coam_buf_data(buf), lib.coam_buf_size(buf))[:], signature.decode()


def cosign_verify(ctx: Context, key_pem: Union[str, Data], payload: Data, signature: str) -> Claim:
    """Checks a payload's signature by a public key in PEM; gives what the payload states."""
    raw = key_pem.encode() if isinstance(key_pem, str) else key_pem
    return _claim(take_buf(lib.coam_sig_cosign_verify, ctx._ptr, ffi.from_buffer(raw), len(raw),
                           ffi.from_buffer(payload), len(payload), encode(signature)))


class TrustedKey(NamedTuple):
    """A key of the store; the prefix is empty for one that counts for every name."""

    prefix: str
    fingerprint: str
    local: bool
    masked: bool
    users: List[str]


def _prefix(prefix: Optional[str]) -> Any:
    return encode(prefix) if prefix is not None else ffi.NULL


class KeyStore(Handle):
    """Which keys count for which image names; a prefix of None means every name."""

    _free = lib.coam_sig_keystore_free

    def __init__(self, ctx: Context, **options: Any):
        self._ctx = ctx
        opened = _core.Options("sig.keystore", options)
        out = ffi.new("coam_sig_keystore **")
        call(lib.coam_sig_keystore_open, ctx._ptr, opened.pointer, out)
        super().__init__(out[0])

    def add(self, prefix: Optional[str], keyring: Keyring) -> None:
        """Trusts every key of the keyring; show keyring.review first."""
        call(lib.coam_sig_keystore_add, self._ctx._ptr, self._ptr, _prefix(prefix), keyring._ptr)

    def mask(self, prefix: Optional[str], fingerprint: str) -> None:
        """Hides a key of the system's directory."""
        call(lib.coam_sig_keystore_mask, self._ctx._ptr, self._ptr, _prefix(prefix),
             encode(fingerprint))

    def remove(self, prefix: Optional[str], fingerprint: str) -> None:
        call(lib.coam_sig_keystore_remove, self._ctx._ptr, self._ptr, _prefix(prefix),
             encode(fingerprint))

    def keys(self) -> List[TrustedKey]:
        listed = json.loads(take_buf(lib.coam_sig_keystore_list, self._ctx._ptr, self._ptr))
        return [TrustedKey(k["prefix"], k["fingerprint"], k["local"], k["masked"], k["userIds"])
                for k in listed["keys"]]

    def keyring(self, name: str) -> Keyring:
        """The keys that count for an image name."""
        return Keyring._wrap(self._ctx, lib.coam_sig_keystore_keyring, self._ctx._ptr, self._ptr,
                             encode(name))

    def verify_file(self, name: str, signature: PathLike, data: PathLike,
                    **options: Any) -> Verdict:
        """Judges a detached signature with the keys that count for the name."""
        return blocking("sig.verify", self._ctx.with_defaults(options), lambda o: new(
            Verdict, "coam_sig_verdict", lib.coam_sig_keystore_verify_file, self._ctx._ptr,
            self._ptr, encode(name), encode(signature), encode(data), o))
