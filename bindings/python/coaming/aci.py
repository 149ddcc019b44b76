"""App Container images: build, validate, change, discover, fetch, store, render.

    with coaming.Context() as ctx:
        store = coaming.aci.Store(dir="/var/lib/rkt/cas")
        client = coaming.aci.Client(coaming.sig.KeyStore(ctx))
        got = client.fetch(ctx, store, "example.com/hello:0.0.1")
        store.render(ctx, got["image"]["id"], "/tmp/hello")

Keyword arguments are the keys of the option families "aci.*" (coaming.option_names), beside timeout,
cancel, progress and notes. Results that nest are dicts with a "schema".
"""
from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Union

from coaming import _core, sig
from coaming._core import Context, Handle, PathLike, blocking, call, encode, job, take_buf, text
from coaming._ffi import ffi, lib

__all__ = ["Builder", "Client", "Store", "Tree", "build", "edit_manifest", "file_manifest",
           "inspect", "patch", "validate"]


def _object(function: Callable[..., int], *args: Any) -> Any:
    return json.loads(take_buf(function, *args))


class Tree(Handle):
    """A rendered root file system that the store keeps while this lives. Do not write to it."""

    _free = lib.coam_aci_tree_free

    @property
    def id(self) -> str:
        return text(lib.coam_aci_tree_id(self._ptr))

    @property
    def root(self) -> str:
        return text(lib.coam_aci_tree_root(self._ptr))


class Store(Handle):
    """Images on disk. Images are named by ID, the beginning of one, or name[:version][,label=value]."""

    _free = lib.coam_aci_store_free

    def __init__(self, **options: Any):
        out = ffi.new("coam_aci_store **")
        blocking("aci.store", options, lambda o: call(lib.coam_aci_store_open, o, out))
        super().__init__(out[0])

    def resolve(self, image: str) -> str:
        """The full ID of an image."""
        return take_buf(lib.coam_aci_store_resolve, self._ptr, encode(image)).decode()

    def images(self) -> List[Dict[str, Any]]:
        """The records of all images, oldest first."""
        return _object(lib.coam_aci_store_list, self._ptr)["images"]

    def record(self, image: str) -> Dict[str, Any]:
        return _object(lib.coam_aci_store_record, self._ptr, encode(image))

    def manifest(self, image: str) -> Dict[str, Any]:
        return json.loads(self.manifest_json(image))

    def manifest_json(self, image: str, pretty: bool = False) -> str:
        """The manifest as it stands in the image, or indented."""
        return take_buf(lib.coam_aci_store_manifest, self._ptr, encode(image),
                        int(pretty)).decode()

    def add(self, ctx: Context, path: PathLike, **options: Any) -> str:
        """Puts a file into the store without asking for a signature; gives its ID."""
        return blocking("aci.import", ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_aci_store_import, self._ptr, ctx._ptr, encode(path), o)).decode()

    def remove(self, image: str) -> None:
        call(lib.coam_aci_store_remove, self._ptr, encode(image))

    def gc(self, ctx: Context, **options: Any) -> List[str]:
        """Removes what nobody has used for the grace period; gives the IDs."""
        return blocking("aci.gc", ctx.with_defaults(options), lambda o: _object(
            lib.coam_aci_store_gc, self._ptr, ctx._ptr, o))

    def export(self, ctx: Context, image: str, path: PathLike, **options: Any) -> None:
        """Writes the uncompressed image to a file."""
        blocking("aci.export", ctx.with_defaults(options), lambda o: call(
            lib.coam_aci_store_export, self._ptr, ctx._ptr, encode(image), encode(path), o))

    def verify(self, ctx: Context, image: str, **options: Any) -> None:
        """Compares the stored bytes, and the rendered tree, with their hashes."""
        blocking("aci.verify", ctx.with_defaults(options), lambda o: call(
            lib.coam_aci_store_verify, self._ptr, ctx._ptr, encode(image), o))

    def render(self, ctx: Context, image: str, path: PathLike, **options: Any) -> None:
        """Puts an image with its dependencies into a directory, whole or not at all."""
        blocking("aci.render", ctx.with_defaults(options), lambda o: call(
            lib.coam_aci_store_render, self._ptr, ctx._ptr, encode(image), encode(path), o))

    def tree(self, ctx: Context, image: str, **options: Any) -> Tree:
        """A shared rendered tree; made if it is not there."""
        out = ffi.new("coam_aci_tree **")
        blocking("aci.tree", ctx.with_defaults(options), lambda o: call(
            lib.coam_aci_store_tree, self._ptr, ctx._ptr, encode(image), o, out))
        return Tree(out[0])


# Asked with (prefix, URL, review text); true trusts the keys.
Review = Callable[[str, str, str], bool]


class _Reviewer:
    def __init__(self, function: Review):
        self.function = function
        self.raised: Optional[BaseException] = None


@ffi.def_extern(onerror=None)
def coaming_py_aci_review(user, prefix, url, keys):
    reviewer = ffi.from_handle(user)
    try:
        trusted = reviewer.function(ffi.string(prefix).decode(), ffi.string(url).decode(),
                                    text(lib.coam_sig_keyring_review(keys)))
    except BaseException as error:  # raised again by the call
        reviewer.raised = error
        return -1
    return 0 if trusted else 1


class Client(Handle):
    """The HTTP side of images; `keystore` says whose signatures count.

    review: asked about keys that discovery finds for a name that has none.
    """

    _free = lib.coam_aci_client_free

    def __init__(self, keystore: Optional[sig.KeyStore] = None, *,
                 review: Optional[Review] = None, **options: Any):
        out = ffi.new("coam_aci_client **")
        keys = keystore._ptr if keystore is not None else ffi.NULL
        blocking("aci.client", options, lambda o: call(lib.coam_aci_client_new, o, keys, out))
        super().__init__(out[0])
        self._reviewer: Optional[_Reviewer] = None
        if review is not None:
            self._reviewer = _Reviewer(review)
            self._review_handle = ffi.new_handle(self._reviewer)
            lib.coam_aci_client_set_review(self._ptr, lib.coaming_py_aci_review,
                                           self._review_handle, ffi.NULL)

    def discover(self, ctx: Context, name: str, **options: Any) -> Dict[str, Any]:
        """Where a name's image (images=True) and keys (keys=True) are, and each step asked."""
        return blocking("aci.discover", ctx.with_defaults(options), lambda o: _object(
            lib.coam_aci_discover, self._ptr, ctx._ptr, encode(name), o))

    def download_keys(self, ctx: Context, url: str, **options: Any) -> bytes:
        """Public keys for sig.Keyring.parse."""
        return blocking("aci.discover", ctx.with_defaults(options), lambda o: take_buf(
            lib.coam_aci_download_keys, self._ptr, ctx._ptr, encode(url), o))

    def fetch(self, ctx: Context, store: Store, image: Union[str, PathLike],
              **options: Any) -> Dict[str, Any]:
        """Brings an image and what it depends on into the store. Ctrl-C stops it.

        With a review function the call runs on this thread, since the function is asked inside.
        """
        values = ctx.with_defaults(options)
        name = encode(image)
        if self._reviewer is None:
            return job("aci.fetch", values, lambda o, ret: call(
                lib.coam_aci_fetch_start, self._ptr, store._ptr, ctx._ptr, name, o, ret),
                lambda j: _object(lib.coam_aci_fetch_finish, j))
        try:
            return blocking("aci.fetch", values, lambda o: _object(
                lib.coam_aci_fetch, self._ptr, store._ptr, ctx._ptr, name, o))
        finally:
            raised, self._reviewer.raised = self._reviewer.raised, None
            if raised is not None:
                raise raised


def inspect(ctx: Context, path: PathLike, **options: Any) -> Dict[str, Any]:
    """Reads an image file to its end: id, name, labels, compression, size, manifest."""
    return blocking("aci.inspect", ctx.with_defaults(options), lambda o: _object(
        lib.coam_aci_inspect, ctx._ptr, encode(path), o))


def file_manifest(ctx: Context, path: PathLike, pretty: bool = False) -> str:
    """The manifest of an image file, reading no further."""
    return take_buf(lib.coam_aci_file_manifest, ctx._ptr, encode(path), int(pretty)).decode()


def validate(ctx: Context, path: PathLike, **options: Any) -> str:
    """Checks an image, a layout directory or a manifest; says which it is."""
    return blocking("aci.validate", ctx.with_defaults(options), lambda o: take_buf(
        lib.coam_aci_validate, ctx._ptr, encode(path), o)).decode()


def build(ctx: Context, layout: PathLike, output: PathLike, **options: Any) -> Dict[str, Any]:
    """Makes an image file of a directory with manifest and rootfs."""
    return blocking("aci.build", ctx.with_defaults(options), lambda o: _object(
        lib.coam_aci_build, ctx._ptr, encode(layout), encode(output), o))


def edit_manifest(ctx: Context, manifest: str, **edit: Any) -> str:
    """A manifest changed by keys of "aci.edit" (name="...", label={"version": "1"}, ...)."""
    return blocking("aci.edit", edit, lambda o: take_buf(
        lib.coam_aci_manifest_edit, ctx._ptr, encode(manifest), o)).decode()


def patch(ctx: Context, path: PathLike, output: PathLike, edit: Dict[str, Any],
          **options: Any) -> Dict[str, Any]:
    """Copies an image file with a changed manifest."""
    change = _core.Options("aci.edit", edit)
    return blocking("aci.build", ctx.with_defaults(options), lambda o: _object(
        lib.coam_aci_patch, ctx._ptr, encode(path), encode(output), change.pointer, o))


class Builder(Handle):
    """An image in the making, in a directory `.acbuild` of the work path."""

    _free = lib.coam_aci_builder_free
    _ctx: Context

    @classmethod
    def begin(cls, ctx: Context, work_path: PathLike, **options: Any) -> "Builder":
        out = ffi.new("coam_aci_builder **")
        blocking("aci.begin", ctx.with_defaults(options), lambda o: call(
            lib.coam_aci_builder_begin, ctx._ptr, encode(work_path), o, out))
        builder = cls(out[0])
        builder._ctx = ctx
        return builder

    @classmethod
    def open(cls, ctx: Context, work_path: PathLike) -> "Builder":
        out = ffi.new("coam_aci_builder **")
        call(lib.coam_aci_builder_open, encode(work_path), out)
        builder = cls(out[0])
        builder._ctx = ctx
        return builder

    def manifest(self, pretty: bool = False) -> str:
        return take_buf(lib.coam_aci_builder_manifest, self._ptr, int(pretty)).decode()

    def edit(self, **edit: Any) -> None:
        """Changes the manifest by keys of "aci.edit", all or none."""
        blocking("aci.edit", edit, lambda o: call(lib.coam_aci_builder_edit, self._ptr, o))

    def copy(self, source: PathLike, target: str) -> None:
        """Copies a file, or the contents of a directory, to `target` in the image."""
        call(lib.coam_aci_builder_copy, self._ptr, self._ctx._ptr, encode(source), encode(target))

    def write(self, output: PathLike, **options: Any) -> Dict[str, Any]:
        return blocking("aci.build", self._ctx.with_defaults(options), lambda o: _object(
            lib.coam_aci_builder_write, self._ptr, self._ctx._ptr, encode(output), o))

    def end(self) -> None:
        """Removes the build."""
        call(lib.coam_aci_builder_end, self._ptr)
