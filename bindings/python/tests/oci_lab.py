"""What the tests of coaming.oci share: trees compared, tars and layouts written by hand."""
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
import unittest

import coaming
from coaming import errors


def tree(root):
    """Every path below `root` with all that an image keeps of it, and hard links by group."""
    out, links = {}, {}
    for directory, names, files in os.walk(root):
        for name in sorted(names + files) + ([""] if directory == root else []):
            path = os.path.join(directory, name) if name else root
            st = os.lstat(path)
            rel = os.path.relpath(path, root)
            row = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid]
            if rel != ".":
                row.append(int(st.st_mtime))
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    row.append(hashlib.sha256(file.read()).hexdigest())
                if st.st_nlink > 1:
                    row.append(links.setdefault(st.st_ino, rel))
            elif stat.S_ISLNK(st.st_mode):
                row.append(os.readlink(path))
            elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                row.append(st.st_rdev)
            row.append(sorted((n, os.getxattr(path, n, follow_symlinks=False))
                              for n in os.listxattr(path, follow_symlinks=False)
                              if n != "security.selinux"))
            out[rel] = row
    return out


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(*entries):
    """A tar of (name, type, extra) entries; extra is bytes or keyword arguments of TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, extra in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644, 7
            data = extra if isinstance(extra, bytes) else b""
            for key, value in (extra if isinstance(extra, dict) else {}).items():
                if key == "data":
                    data = value
                else:
                    setattr(info, key, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


FILE, DIR, SYM, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
CHAR, FIFO = tarfile.CHRTYPE, tarfile.FIFOTYPE
OCI = "application/vnd.oci.image."


class Layout:
    """Writes layouts by hand, so that they can be wrong in any way."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "blobs/sha256"))
        with open(os.path.join(path, "oci-layout"), "w", encoding="utf-8") as out:
            out.write('{"imageLayoutVersion":"1.0.0"}')
        self.index([])

    def index(self, manifests):
        with open(os.path.join(self.path, "index.json"), "w", encoding="utf-8") as out:
            json.dump({"schemaVersion": 2, "manifests": manifests}, out)

    def blob(self, data, kind, **more):
        with open(os.path.join(self.path, "blobs/sha256", sha(data)[7:]), "wb") as out:
            out.write(data)
        return {"mediaType": kind, "digest": sha(data), "size": len(data), **more}

    def image(self, *tars, compress=gzip.compress, config=None, diff_ids=None, tweak=None):
        layers = [self.blob(compress(t) if compress else t,
                            OCI + "layer.v1.tar" + ("+gzip" if compress else "")) for t in tars]
        doc = {"architecture": "amd64", "os": "linux", "config": config or {},
               "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha(t) for t in tars]}}
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                    "config": self.blob(json.dumps(doc).encode(), OCI + "config.v1+json"),
                    "layers": layers}
        if tweak:
            tweak(manifest)
        d = self.blob(json.dumps(manifest).encode(), OCI + "manifest.v1+json",
                      annotations={"org.opencontainers.image.ref.name": "a"})
        self.index([d])
        return f"oci:{self.path}:a"


class Base(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="coam-oci-")
        self.addCleanup(self.tmp.cleanup)
        self.dir = self.tmp.name
        self.ctx = coaming.Context()
        self.addCleanup(self.ctx.close)

    def path(self, name):
        return os.path.join(self.dir, name)

    def assertReason(self, reason, function, *args, **kwargs):
        with self.assertRaises(errors.CoamingError) as caught:
            function(*args, **kwargs)
        self.assertIn(caught.exception.reason, reason if isinstance(reason, tuple) else (reason,),
                      str(caught.exception))
        self.assertNotIn("\n", caught.exception.message)
        return caught.exception

    def left(self, allowed=()):
        """What is in the test's directory besides what is allowed."""
        return sorted(set(os.listdir(self.dir)) - set(allowed))
