"""Images good and bad, made without the code under test: tarfile, gzip, json, hashlib."""
import gzip
import hashlib
import io
import json
import os
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"


def busybox():
    with open("/bin/busybox", "rb") as file:
        return file.read()


def tar(entries):
    """A tar of (name, content) and of (name, type, link); directories end in a slash."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry[0].rstrip("/") or "/")
            info.mode = 0o755
            content = b""
            if entry[0].endswith("/"):
                info.type = tarfile.DIRTYPE
            elif len(entry) == 3:
                info.type, info.linkname = entry[1], entry[2]
            else:
                content = entry[1]
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def aci_manifest(name="example.com/hello", version="1", **more):
    return {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": name,
            "labels": [{"name": "version", "value": version}, {"name": "os", "value": "linux"},
                       {"name": "arch", "value": "amd64"}],
            "app": {"exec": ["/bin/busybox", "sleep", "100"], "user": "0", "group": "0"}, **more}


def aci(manifest=None, entries=None, packed=True):
    """An ACI; `manifest` is a dict, or bytes as they are, or False for none."""
    if manifest is None:
        manifest = aci_manifest()
    if isinstance(manifest, dict):
        manifest = json.dumps(manifest).encode()
    if entries is None:
        entries = [("rootfs/bin/", ), ("rootfs/bin/busybox", busybox())]
    head = [("manifest", manifest)] if manifest is not False else []
    data = tar(head + [("rootfs/", )] + entries)
    return gzip.compress(data, 1, mtime=0) if packed else data


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


class OciImage:
    """An OCI image with the given layers (lists of entries), as documents and blobs."""

    def __init__(self, *layers, config=None):
        layers = layers or ([("bin/", ), ("bin/busybox", busybox())], )
        tars = [tar(layer) for layer in layers]
        blobs = [gzip.compress(data, 1, mtime=0) for data in tars]
        self.config = json.dumps({
            "architecture": "amd64", "os": "linux",
            "config": {"Entrypoint": ["/bin/busybox", "true"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in tars]}}).encode()
        self.layers = blobs
        self.document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, self.config),
            "layers": [descriptor(LAYER, blob) for blob in blobs]}

    @property
    def manifest(self):
        return json.dumps(self.document).encode()

    def serve(self, site, name="app", tag="1"):
        """Puts it into a registry that has nothing else of that name."""
        site.pages["/v2/"] = b"{}"
        for blob in [self.config, *self.layers]:
            site.pages[f"/v2/{name}/blobs/{digest(blob)}"] = blob
        serve_manifest(site, self.manifest, MANIFEST, name, tag)
        return self


def write_layout(path, image, name="app"):
    """An OCI layout that holds `image` under `name`."""
    os.makedirs(os.path.join(path, "blobs/sha256"))
    for blob in (image.config, image.manifest, *image.layers):
        with open(os.path.join(path, "blobs", *digest(blob).split(":")), "wb") as file:
            file.write(blob)
    entry = descriptor(MANIFEST, image.manifest,
                       annotations={"org.opencontainers.image.ref.name": name})
    for leaf, document in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                           ("index.json", {"schemaVersion": 2, "manifests": [entry]})):
        with open(os.path.join(path, leaf), "w", encoding="utf-8") as file:
            json.dump(document, file)


def serve_manifest(site, data, media_type, name="app", tag="1"):
    page = (200, {"Content-Type": media_type, "Docker-Content-Digest": digest(data)}, data)
    site.pages[f"/v2/{name}/manifests/{tag}"] = page
    site.pages[f"/v2/{name}/manifests/{digest(data)}"] = page


def runtime_config(*args, **more):
    """A config.json with own namespaces; members of `more` replace whole ones."""
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": list(args) or ["/bin/busybox", "true"], "cwd": "/",
                    "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")]}}
    config.update(more)
    return config
