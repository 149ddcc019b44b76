"""OCI images: open, pull, push, copy, unpack, build, list.

    with coaming.Context() as ctx:
        image = coaming.oci.open(ctx, "docker://quay.io/org/app:1.4", platform="linux/arm64")
        print(image.digest, image.config["config"].get("Env"))
        bundle = image.unpack("/run/app")
        coaming.oci.copy(ctx, "oci:layout:app", "docker://127.0.0.1:5000/app:1")

Images are named as skopeo spells them: docker://, oci:, oci-archive:, dir:. Keyword arguments are the
keys of the option families "oci.open", "oci.pull", "oci.copy", "oci.unpack", "oci.registry", "oci.gc"
and "oci.build" (coaming.option_names), beside timeout, cancel, progress and notes; `credentials` is a
(user, password) pair and never an argument that other processes can see.
"""
from __future__ import annotations

import io
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional

from coaming._core import Context, Handle, PathLike, blocking, call, encode, job, take_buf, text
from coaming._ffi import ffi, lib

__all__ = ["Image", "Layer", "LayerReader", "Name", "Unpacked", "build", "copy", "explain_policy", "gc",
           "list_names",
           "login", "logout", "open", "parse_name", "pull", "referrers", "remove", "resolve"]


class Name(NamedTuple):
    """Where an image is, read but not looked for."""

    transport: str
    path: str
    name: str
    host: str
    repository: str
    tag: str
    digest: str
    text: str


class Layer(NamedTuple):
    """One layer of an image, lowest first."""

    digest: str
    size: int
    media_type: str
    diff_id: Optional[str]


class Unpacked(NamedTuple):
    """What unpacking made."""

    rootfs: str
    config: str
    layers: int
    entries: int
    bytes: int


class _Secret:
    """Credentials as a descriptor, for the time of one call."""

    def __init__(self, values: Dict[str, Any]):
        self.fd = -1
        credentials = values.pop("credentials", None)
        if credentials is None:
            return
        user, password = credentials
        self.fd = os.memfd_create("credentials", os.MFD_CLOEXEC)
        os.write(self.fd, f"{user}:{password}".encode())
        os.lseek(self.fd, 0, os.SEEK_SET)
        values["creds_fd"] = self.fd

    def __enter__(self) -> "_Secret":
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class LayerReader(io.RawIOBase):
    """The bytes of a layer. The end comes only if digest and size were right; else reading raises."""

    def __init__(self, pointer: Any):
        super().__init__()
        self._ptr = ffi.gc(pointer, lib.coam_oci_layer_free)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._ptr is None:
            raise ValueError("read of closed layer")
        view = memoryview(buffer)
        size = ffi.new("size_t *")
        call(lib.coam_oci_layer_read, self._ptr, ffi.from_buffer(view), view.nbytes, size)
        return size[0]

    def close(self) -> None:
        if not self.closed and self._ptr is not None:
            ffi.release(self._ptr)
            self._ptr = None
        super().close()


class Image(Handle):
    """One image of one platform, its documents read and verified."""

    _free = lib.coam_oci_image_free
    _ctx: Context

    @property
    def name(self) -> str:
        return text(lib.coam_oci_image_name(self._ptr))

    @property
    def digest(self) -> str:
        return text(lib.coam_oci_image_digest(self._ptr))

    @staticmethod
    def _bytes(view: Any) -> bytes:
        return ffi.buffer(view.data, view.size)[:]

    @property
    def manifest_bytes(self) -> bytes:
        """The exact bytes that the digest covers."""
        return self._bytes(lib.coam_oci_image_manifest(self._ptr))

    @property
    def config_bytes(self) -> bytes:
        return self._bytes(lib.coam_oci_image_config(self._ptr))

    @property
    def index_bytes(self) -> bytes:
        """What the name points to: an index, or the manifest again."""
        return self._bytes(lib.coam_oci_image_index(self._ptr))

    @property
    def manifest(self) -> Dict[str, Any]:
        return json.loads(self.manifest_bytes)

    @property
    def config(self) -> Dict[str, Any]:
        return json.loads(self.config_bytes)

    @property
    def layers(self) -> List[Layer]:
        return [Layer(l["digest"], l["size"], l["mediaType"], l.get("diffId"))
                for l in self.to_dict()["layers"]]

    def __len__(self) -> int:
        return lib.coam_oci_image_layer_count(self._ptr)

    def to_json(self) -> str:
        """The schema coam.oci.image.v1."""
        return text(lib.coam_oci_image_json(self._ptr))

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(self.to_json())

    def unpack(self, directory: PathLike, **options: Any) -> Unpacked:
        """Makes directory/rootfs and directory/config.json, all or nothing."""
        values = self._ctx.with_defaults(options)
        data = job("oci.unpack", values,
                   lambda o, ret: call(lib.coam_oci_image_unpack_start, self._ptr, self._ctx._ptr,
                                       encode(directory), o, ret),
                   lambda j: take_buf(lib.coam_oci_image_unpack_finish, j))
        result = json.loads(data)
        return Unpacked(result["rootfs"], result["config"], result["layers"], result["entries"],
                        result["bytes"])

    def unpack_here(self, directory: PathLike, **options: Any) -> Unpacked:
        """The same on this thread, for hosts that forbid others."""
        data = blocking("oci.unpack", self._ctx.with_defaults(options),
                        lambda o: take_buf(lib.coam_oci_image_unpack, self._ptr, self._ctx._ptr,
                                           encode(directory), o))
        result = json.loads(data)
        return Unpacked(result["rootfs"], result["config"], result["layers"], result["entries"],
                        result["bytes"])

    def open_layer(self, index: int, *, stored: bool = False, **options: Any) -> LayerReader:
        """Reads layer `index`: uncompressed and checked against its DiffID, or as it is stored."""
        out = ffi.new("coam_oci_layer **")
        blocking("oci.layer", self._ctx.with_defaults(options),
                 lambda o: call(lib.coam_oci_image_open_layer, self._ptr, self._ctx._ptr, index,
                                1 if stored else 0, o, out))
        return LayerReader(out[0])

    def __repr__(self) -> str:
        return f"<coaming.oci.Image {self.name!r} {self.digest}>"


def _image(ctx: Context, pointer: Any) -> Image:
    image = Image(pointer)
    image._ctx = ctx
    return image


def parse_name(name: str) -> Name:
    """Reads an image name without looking for it."""
    d = json.loads(take_buf(lib.coam_oci_name_parse, encode(name)))
    return Name(*(d[field] for field in Name._fields))


def open(ctx: Context, name: str, **options: Any) -> Image:  # noqa: A001
    """Reads the manifest and config that `name` points to; layers are fetched when used."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        def finish(j: Any) -> Image:
            out = ffi.new("coam_oci_image **")
            call(lib.coam_oci_open_finish, j, out)
            return _image(ctx, out[0])
        return job("oci.open", values,
                   lambda o, ret: call(lib.coam_oci_open_start, ctx._ptr, encode(name), o, ret),
                   finish)


def open_here(ctx: Context, name: str, **options: Any) -> Image:
    """The same on this thread."""
    values = ctx.with_defaults(options)
    out = ffi.new("coam_oci_image **")
    with _Secret(values):
        blocking("oci.open", values,
                 lambda o: call(lib.coam_oci_open, ctx._ptr, encode(name), o, out))
    return _image(ctx, out[0])


def pull(ctx: Context, name: str, layout: PathLike, layout_name: str = "", **options: Any) -> Image:
    """Copies an image into the layout directory `layout` and opens it there."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        def finish(j: Any) -> Image:
            out = ffi.new("coam_oci_image **")
            call(lib.coam_oci_pull_finish, j, out)
            return _image(ctx, out[0])
        return job("oci.pull", values,
                   lambda o, ret: call(lib.coam_oci_pull_start, ctx._ptr, encode(name),
                                       encode(layout), encode(layout_name), o, ret),
                   finish)


def pull_here(ctx: Context, name: str, layout: PathLike, layout_name: str = "",
              **options: Any) -> Image:
    """The same on this thread."""
    values = ctx.with_defaults(options)
    out = ffi.new("coam_oci_image **")
    with _Secret(values):
        blocking("oci.pull", values,
                 lambda o: call(lib.coam_oci_pull, ctx._ptr, encode(name), encode(layout),
                                encode(layout_name), o, out))
    return _image(ctx, out[0])


def copy(ctx: Context, source: str, destination: str, **options: Any) -> Dict[str, Any]:
    """Copies an image; pushing is copying to docker://. Gives the schema coam.oci.copy.v1."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        return json.loads(job(
            "oci.copy", values,
            lambda o, ret: call(lib.coam_oci_copy_start, ctx._ptr, encode(source),
                                encode(destination), o, ret),
            lambda j: take_buf(lib.coam_oci_copy_finish, j)))


def copy_here(ctx: Context, source: str, destination: str, **options: Any) -> Dict[str, Any]:
    """The same on this thread."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        return json.loads(blocking(
            "oci.copy", values,
            lambda o: take_buf(lib.coam_oci_copy, ctx._ptr, encode(source), encode(destination),
                               o)))


def list_names(ctx: Context, name: str, **options: Any) -> List[str]:
    """The tags of a repository (docker://HOST/REPOSITORY) or the names of a layout (oci:DIR)."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        data = blocking("oci.registry", values,
                        lambda o: take_buf(lib.coam_oci_list, ctx._ptr, encode(name), o))
    return json.loads(data)["names"]


def resolve(ctx: Context, name: str, **options: Any) -> str:
    """The digest that `name` points to."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        return blocking("oci.registry", values,
                        lambda o: take_buf(lib.coam_oci_resolve, ctx._ptr, encode(name),
                                           o)).decode()


def referrers(ctx: Context, name: str, artifact_type: str = "", **options: Any) -> List[Dict]:
    """The descriptors of artifacts that name the image as their subject."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        data = blocking("oci.registry", values,
                        lambda o: take_buf(lib.coam_oci_referrers, ctx._ptr, encode(name),
                                           encode(artifact_type), o))
    return json.loads(data)["descriptors"]


def explain_policy(ctx: Context, name: str, **options: Any) -> Dict[str, Any]:
    """Judges an image by the options `policy` (a path) or `policy_json`, and `registries_d`, as open, pull
    and copy do; gives the schema coam.policy.decision.v1. A refusal is a result, not an error."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        return json.loads(blocking("oci.open", values,
                                   lambda o: take_buf(lib.coam_oci_policy_explain, ctx._ptr,
                                                      encode(name), o)))


def remove(ctx: Context, name: str, **options: Any) -> None:
    """Takes a name out of a layout, or a tag or digest out of a registry."""
    values = ctx.with_defaults(options)
    with _Secret(values):
        blocking("oci.registry", values,
                 lambda o: call(lib.coam_oci_remove, ctx._ptr, encode(name), o))


def gc(ctx: Context, layout: PathLike, **options: Any) -> Dict[str, Any]:
    """Removes the blobs of a layout that no name reaches. Gives the schema coam.oci.gc.v1."""
    return json.loads(blocking("oci.gc", ctx.with_defaults(options),
                               lambda o: take_buf(lib.coam_oci_gc, ctx._ptr, encode(layout), o)))


def build(ctx: Context, tree: Optional[PathLike], name: str, **options: Any) -> str:
    """Makes an image of the directory `tree` as `name` (oci:DIR[:NAME]); gives its digest."""
    return blocking("oci.build", ctx.with_defaults(options),
                    lambda o: take_buf(lib.coam_oci_build, ctx._ptr,
                                       ffi.NULL if tree is None else encode(tree), encode(name),
                                       o)).decode()


def login(ctx: Context, host: str, user: str, password: str, authfile: PathLike,
          **options: Any) -> None:
    """Asks a registry whether it takes the credentials, and keeps them in `authfile`."""
    values = ctx.with_defaults(options)
    values.update(credentials=(user, password), authfile=authfile)
    with _Secret(values):
        blocking("oci.registry", values,
                 lambda o: call(lib.coam_oci_login, ctx._ptr, encode(host), o))


def logout(ctx: Context, host: str, authfile: PathLike) -> bool:
    """Takes the credentials of `host` out of `authfile`; False if there were none."""
    out = ffi.new("int32_t *")
    call(lib.coam_oci_logout, ctx._ptr, encode(host), encode(authfile), out)
    return out[0] == 1
