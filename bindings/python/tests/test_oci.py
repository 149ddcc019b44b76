"""coaming.oci with a real registry, skopeo and umoci beside it (all Debian's)."""
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import tempfile
import time
import unittest

from tools.build import junit

import coaming
from coaming import errors, oci
from coaming._ffi import ffi, lib


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on loopback, for one class of tests."""

    def __init__(self, directory, htpasswd=""):
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        config = os.path.join(directory, f"registry-{self.port}.yml")
        data = os.path.join(directory, f"registry-{self.port}")
        auth = f"auth: {{htpasswd: {{realm: test, path: {htpasswd}}}}}\n" if htpasswd else ""
        with open(config, "w", encoding="utf-8") as out:
            out.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {data}}}, "
                      "delete: {enabled: true}}\n"
                      f"http: {{addr: '{self.host}'}}\n{auth}")
        self.process = subprocess.Popen(["docker-registry", "serve", config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("the registry does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait()


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


def rich_tree(root):
    """A tree with one of each kind of file."""
    os.makedirs(root + "/bin/deep/er")
    os.makedirs(root + "/etc")
    shutil.copy("/bin/busybox", root + "/bin/busybox")
    os.symlink("busybox", root + "/bin/sh")
    os.link(root + "/bin/busybox", root + "/bin/ls")
    with open(root + "/etc/passwd", "w", encoding="utf-8") as out:
        out.write("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n")
    with open(root + "/etc/group", "w", encoding="utf-8") as out:
        out.write("root:x:0:\napp:x:1001:\nextra:x:44:app\n")
    with open(root + "/bin/deep/er/file \u00e9\n", "w", encoding="utf-8") as out:
        out.write("x" * 100000)
    os.chown(root + "/etc/passwd", 12, 34)
    os.chmod(root + "/bin/busybox", 0o4755)
    os.mkdir(root + "/tmp")
    os.chmod(root + "/tmp", 0o1777)
    if os.geteuid() == 0:
        os.mknod(root + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(root + "/fifo")
    try:
        os.setxattr(root + "/etc", "user.note", b"a\0b")
    except OSError:
        pass
    for directory, names, files in os.walk(root, topdown=False):
        for name in names + files:
            os.utime(os.path.join(directory, name), (1234567890, 1234567890),
                     follow_symlinks=False)


@unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is not installed")
class RegistryTest(Base):
    def setUp(self):
        super().setUp()
        self.registry = Registry(self.dir)
        self.addCleanup(self.registry.stop)
        rich_tree(self.path("tree"))
        self.name = f"docker://{self.registry.host}/org/app:1"

    def skopeo(self, *args):
        return subprocess.run(["skopeo", *args], check=True, capture_output=True).stdout

    def test_build_push_pull_unpack(self):
        digest = oci.build(self.ctx, self.path("tree"), f"oci:{self.dir}/layout:app",
                           entrypoint=["/bin/sh"], cmd=["-c", "true"], env={"A": "b"},
                           user="app", label={"k": "v"}, port=["80/tcp"])
        self.assertEqual(digest, oci.resolve(self.ctx, f"oci:{self.dir}/layout:app"))
        events = []
        pushed = oci.copy(self.ctx, f"oci:{self.dir}/layout:app", self.name,
                          progress=events.append, additional_tag=["2"])
        self.assertEqual(pushed["digest"], digest)
        self.assertEqual(pushed["blobsCopied"], 2)
        self.assertTrue(any(e.kind == "upload" for e in events))
        self.assertEqual(oci.list_names(self.ctx, self.name[:-2]), ["1", "2"])
        # skopeo sees the same.
        seen = json.loads(self.skopeo("inspect", "--tls-verify=false", self.name))
        self.assertEqual(seen["Digest"], digest)
        # Pushing again moves nothing.
        again = oci.copy_here(self.ctx, f"oci:{self.dir}/layout:app", self.name)
        self.assertEqual((again["blobsCopied"], again["blobsReused"]), (0, 2))
        # Another repository of the same registry is given the blobs by mounting.
        oci.copy(self.ctx, self.name, f"docker://{self.registry.host}/other/app:1")

        image = oci.pull(self.ctx, self.name, self.path("pulled"), "app",
                         progress=events.append)
        self.assertEqual(image.digest, digest)
        self.assertTrue(any(e.kind == "download" and e.phase == "done" for e in events))
        self.assertEqual(image.config["config"]["Entrypoint"], ["/bin/sh"])
        self.assertEqual(len(image), 1)
        result = image.unpack(self.path("bundle"))
        self.assertEqual(result.rootfs, self.path("bundle/rootfs"))
        want, got = tree(self.path("tree")), tree(self.path("bundle/rootfs"))
        want.pop("."), got.pop(".")
        self.assertEqual(want, got)
        with open(result.config, encoding="utf-8") as file:
            spec = json.load(file)
        self.assertEqual(spec["process"]["args"], ["/bin/sh", "-c", "true"])
        self.assertIn("A=b", spec["process"]["env"])
        self.assertEqual(spec["process"]["user"],
                         {"uid": 1000, "gid": 1001, "additionalGids": [44]})
        self.assertEqual(spec["annotations"]["k"], "v")
        self.assertEqual(spec["annotations"]["org.opencontainers.image.exposedPorts"], "80/tcp")
        # Straight from the registry the result is the same.
        oci.open(self.ctx, self.name).unpack(self.path("direct"))
        direct = tree(self.path("direct/rootfs"))
        direct.pop(".")
        self.assertEqual(want, direct)
        # The same input gives the same digest.
        self.assertEqual(digest, oci.build(
            self.ctx, self.path("tree"), f"oci:{self.dir}/layout:app", entrypoint=["/bin/sh"],
            cmd=["-c", "true"], env={"A": "b"}, user="app", label={"k": "v"}, port=["80/tcp"]))

    def test_skopeo_in_both_directions(self):
        oci.build(self.ctx, self.path("tree"), f"oci:{self.dir}/ours:app")
        self.skopeo("copy", "--dest-tls-verify=false", f"oci:{self.dir}/ours:app", self.name)
        image = oci.pull(self.ctx, self.name, self.path("back"), "app")
        self.assertEqual(image.digest, oci.resolve(self.ctx, f"oci:{self.dir}/ours:app"))
        for kind in ("oci", "oci-archive", "dir"):
            with self.subTest(kind):
                ours, theirs = f"{kind}:{self.dir}/o-{kind}", f"{kind}:{self.dir}/t-{kind}"
                name = ":app" if kind != "dir" else ""
                oci.copy(self.ctx, self.name, ours + name)
                self.skopeo("copy", "--src-tls-verify=false", self.name, theirs + name)
                self.assertEqual(image.digest, oci.resolve(self.ctx, theirs + name))
                raw = self.skopeo("inspect", "--raw", ours + name)
                self.assertEqual(sha(raw), image.digest)
                if kind == "dir":
                    self.assertEqual(tree(ours[4:]).keys(), tree(theirs[4:]).keys())
                oci.open(self.ctx, theirs + name).unpack(self.path("x-" + kind))
                self.skopeo("copy", ours + name, f"dir:{self.dir}/re-{kind}")
        # A docker schema 2 image from skopeo.
        self.skopeo("copy", "--format", "v2s2", "--dest-tls-verify=false",
                    f"oci:{self.dir}/ours:app", self.name + "-docker")
        docker = oci.pull(self.ctx, self.name + "-docker", self.path("docker"), "d")
        self.assertEqual(docker.to_dict()["mediaType"],
                         "application/vnd.docker.distribution.manifest.v2+json")
        docker.unpack(self.path("docker-bundle"))

    @unittest.skipUnless(shutil.which("umoci"), "umoci is not installed")
    def test_unpacks_as_umoci_does(self):
        layout = Layout(self.path("layout"))
        lower = tar(("a", DIR, {}), ("a/keep", FILE, b"1"), ("a/gone", FILE, b"2"),
                    ("a/dir", DIR, {}), ("a/dir/x", FILE, b"3"), ("o", DIR, {}),
                    ("o/low", FILE, b"4"), ("f", FILE, b"5"), ("d", DIR, {}), ("d/y", FILE, b"6"),
                    ("l", SYM, {"linkname": "a"}), ("usr", DIR, {}), ("usr/lib", DIR, {}),
                    ("lib", SYM, {"linkname": "usr/lib"}), ("h1", FILE, b"h"),
                    ("h2", LINK, {"linkname": "h1"}))
        upper = tar(("a/.wh.gone", FILE, b""), ("a/.wh.dir", FILE, b""),
                    ("o/.wh..wh..opq", FILE, b""), ("o/new", FILE, b"7"),
                    ("f", DIR, {}), ("f/in", FILE, b"8"), ("d", FILE, b"9"),
                    ("lib/through", FILE, b"10"), ("a/keep", FILE, b"11"),
                    ("h3", LINK, {"linkname": "h2"}),
                    ("fifo", FIFO, {}), ("null", CHAR, {"devmajor": 1, "devminor": 3}),
                    ("suid", FILE, {"data": b"s", "mode": 0o6755, "uid": 5, "gid": 6}),
                    ("x", FILE, {"data": b"", "pax_headers": {"SCHILY.xattr.user.k": "v"}}))
        name = layout.image(lower, upper)
        oci.open(self.ctx, name).unpack(self.path("ours"))
        subprocess.run(["umoci", "unpack", "--image", self.path("layout") + ":a",
                        self.path("theirs")], check=True, capture_output=True)
        ours, theirs = tree(self.path("ours/rootfs")), tree(self.path("theirs/rootfs"))
        ours.pop("."), theirs.pop(".")
        self.assertEqual(ours, theirs)

    def test_what_is_not_there(self):
        self.assertReason("oci.not_found", oci.open, self.ctx, self.name)
        self.assertReason("oci.not_found", oci.pull, self.ctx, self.name, self.path("x"))
        self.assertFalse(os.path.exists(self.path("x")))
        self.assertReason("http.connect", oci.open, self.ctx,
                          f"docker://127.0.0.1:{free_port()}/a:1")
        self.assertReason("oci.reference", oci.open, self.ctx, "docker://UPPER/../x")
        self.assertReason("oci.transport", oci.open, self.ctx, "busybox")
        self.assertReason("oci.not_found", oci.open, self.ctx, f"oci:{self.dir}/nothing")

    def test_referrers_by_the_fallback_tag(self):
        layout = Layout(self.path("layout"))
        oci.copy(self.ctx, layout.image(tar(("a", FILE, b"1"))), self.name)
        digest = oci.resolve(self.ctx, self.name)
        subject = {"mediaType": OCI + "manifest.v1+json", "digest": digest,
                   "size": len(oci.open(self.ctx, self.name).manifest_bytes)}

        def to_artifact(manifest):
            manifest["config"] = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
            manifest["artifactType"] = "application/x-sbom"
            manifest["subject"] = subject

        self.assertEqual(oci.referrers(self.ctx, self.name), [])
        oci.copy(self.ctx, layout.image(tar(("sbom", FILE, b"2")), tweak=to_artifact),
                 f"docker://{self.registry.host}/org/app:sbom")
        found = oci.referrers(self.ctx, self.name)
        self.assertEqual([d["artifactType"] for d in found], ["application/x-sbom"])
        self.assertEqual(oci.referrers(self.ctx, self.name, "other/type"), [])
        artifact = oci.open(self.ctx, f"docker://{self.registry.host}/org/app:sbom")
        self.assertReason("oci.unsupported", artifact.unpack, self.path("bundle"))

    def test_remove(self):
        layout = Layout(self.path("layout"))
        oci.copy(self.ctx, layout.image(tar(("a", FILE, b"1"))), self.name)
        digest = oci.resolve(self.ctx, self.name)
        self.assertReason("oci.registry", oci.remove, self.ctx, self.name)  # by tag: it cannot
        oci.remove(self.ctx, f"docker://{self.registry.host}/org/app@{digest}")
        self.assertReason("oci.not_found", oci.open, self.ctx, self.name)

    def test_chunked_push(self):
        layout = Layout(self.path("layout"))
        name = layout.image(tar(("a", FILE, os.urandom(300000))), compress=None)
        oci.copy(self.ctx, name, self.name, chunk_size=100000)
        self.assertEqual(oci.pull_here(self.ctx, self.name, self.path("back"), "a").digest,
                         oci.open_here(self.ctx, name).digest)

    def test_progress_that_raises_stops_a_pull_and_leaves_only_partials(self):
        layout = Layout(self.path("layout"))
        name = layout.image(tar(("a", FILE, os.urandom(8 << 20))), compress=None)
        oci.copy(self.ctx, name, self.name)

        class Stop(Exception):
            pass

        def progress(event):
            if event.kind == "download" and event.total > 1 << 20:
                raise Stop

        with self.assertRaises(Stop):
            oci.pull_here(self.ctx, self.name, self.path("x"), "a", progress=progress)
        files = [os.path.relpath(os.path.join(d, f), self.path("x"))
                 for d, _, names in os.walk(self.path("x")) for f in names]
        self.assertTrue(all(f.startswith((".coaming/", "blobs/sha256/")) for f in files), files)
        self.assertFalse(os.path.exists(self.path("x/index.json")))
        oci.pull(self.ctx, self.name, self.path("x"), "a")
        self.assertEqual(os.listdir(self.path("x/.coaming/partial")), [])


@unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is not installed")
class LoginTest(Base):
    def test_login_logout(self):
        users = self.path("users")
        with open(users, "w", encoding="utf-8") as out:  # bcrypt of "s3cret:x"
            out.write("me:$2y$04$QWc9jxZL0AjKM.vD.Mwt8e5PeeFXXIitN7N1CKC4GiIPlwof1FCLW\n")
        registry = Registry(self.dir, users)
        self.addCleanup(registry.stop)
        name = f"docker://{registry.host}/a:1"
        source = Layout(self.path("layout")).image(tar(("a", FILE, b"1")))
        authfile = self.path("auth.json")
        error = self.assertReason("oci.auth", oci.copy, self.ctx, source, name)
        self.assertTrue(error.hint)
        error = self.assertReason("oci.auth", oci.login, self.ctx, registry.host, "me", "wr0ng",
                                  authfile)
        self.assertNotIn("wr0ng", str(error))
        self.assertFalse(os.path.exists(authfile))
        oci.copy(self.ctx, source, name, credentials=("me", "s3cret:x"))
        oci.login(self.ctx, registry.host, "me", "s3cret:x", authfile)
        self.assertEqual(stat.S_IMODE(os.stat(authfile).st_mode), 0o600)
        oci.open(self.ctx, name, authfile=authfile)
        # skopeo reads the same file.
        subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--authfile", authfile, name],
                       check=True, capture_output=True)
        self.assertTrue(oci.logout(self.ctx, registry.host, authfile))
        self.assertFalse(oci.logout(self.ctx, registry.host, authfile))
        self.assertReason("oci.auth", oci.open, self.ctx, name, authfile=authfile)


class LayoutTest(Base):
    def test_names_and_gc(self):
        layout = Layout(self.path("layout"))
        name = layout.image(tar(("a", FILE, b"1")))
        self.assertEqual(oci.list_names(self.ctx, f"oci:{layout.path}"), ["a"])
        oci.remove(self.ctx, name)
        self.assertEqual(oci.list_names(self.ctx, f"oci:{layout.path}"), [])
        self.assertEqual(oci.gc(self.ctx, layout.path, dry_run=True)["blobs"], 3)
        self.assertEqual(oci.gc(self.ctx, layout.path)["blobs"], 3)
        parsed = oci.parse_name("docker://busybox")
        self.assertEqual((parsed.host, parsed.repository, parsed.tag),
                         ("docker.io", "library/busybox", "latest"))

    def test_layers_as_streams(self):
        layout = Layout(self.path("layout"))
        data = tar(("a", FILE, b"x" * 300000))
        image = oci.open(self.ctx, layout.image(data))
        with image.open_layer(0) as layer:
            self.assertEqual(layer.readall(), data)
        with image.open_layer(0, stored=True) as layer:
            self.assertEqual(sha(layer.readall()), image.layers[0].digest)
        self.assertReason("core.invalid_argument", image.open_layer, 7)
        self.assertEqual(image.manifest["schemaVersion"], 2)
        self.assertEqual(image.index_bytes, image.manifest_bytes)
        bad = oci.open(self.ctx, layout.image(data, diff_ids=[sha(b"other")]))
        with bad.open_layer(0) as layer:
            self.assertReason("digest.mismatch", layer.readall)

    def test_unpack_is_all_or_nothing(self):
        layout = Layout(self.path("layout"))
        good = layout.image(tar(("a", FILE, b"1")))
        oci.open(self.ctx, good).unpack_here(self.path("bundle"))
        self.assertReason("core.exists", oci.open(self.ctx, good).unpack, self.path("bundle"))
        other = Layout(self.path("other")).image(tar(("b", FILE, b"2")))
        oci.open(self.ctx, other).unpack(self.path("bundle"), replace=True)
        self.assertEqual(os.listdir(self.path("bundle/rootfs")), ["b"])
        broken = Layout(self.path("broken")).image(tar(("c", FILE, b"3")),
                                                   diff_ids=[sha(b"no")])
        self.assertReason("digest.mismatch", oci.open(self.ctx, broken).unpack,
                          self.path("bundle"), replace=True)
        self.assertEqual(os.listdir(self.path("bundle/rootfs")), ["b"])
        self.assertEqual(self.left(), ["broken", "bundle", "layout", "other"])

    def test_platforms(self):
        layout = Layout(self.path("layout"))
        entries = []
        for arch in ("arm64", "amd64", "s390x"):
            layout.image(tar((arch, FILE, b"")))
            with open(layout.path + "/index.json", encoding="utf-8") as file:
                d = json.load(file)["manifests"][0]
            d.pop("annotations")
            entries.append({**d, "platform": {"os": "linux", "architecture": arch}})
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}
        d = layout.blob(json.dumps(index).encode(), OCI + "index.v1+json")
        layout.index([d])
        name = f"oci:{layout.path}"
        image = oci.open(self.ctx, name, platform="linux/s390x")
        self.assertEqual(image.digest, entries[2]["digest"])
        self.assertEqual(image.to_dict()["indexDigest"], d["digest"])
        error = self.assertReason("oci.no_platform", oci.open, self.ctx, name,
                                  platform="linux/riscv64")
        self.assertIn("linux/s390x", error.message)
        # All of it: the index arrives as it was.
        oci.copy(self.ctx, name, f"oci:{self.dir}/all:x", all=True)
        self.assertEqual(oci.resolve(self.ctx, f"oci:{self.dir}/all:x"), d["digest"])
        self.assertEqual(len(os.listdir(self.path("all/blobs/sha256"))), 10)
        self.assertReason("core.invalid_argument", oci.copy, self.ctx, name,
                          f"oci:{self.dir}/y", all=True, platform="linux/amd64")


class HostileTest(Base):
    """Layers that want out, and documents that lie. A canary stands beside the root."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("outside"))
        with open(self.path("outside/canary"), "w", encoding="utf-8") as out:
            out.write("alive")
        self.before = tree(self.path("outside"))

    def unpack(self, *tars, **kwargs):
        shutil.rmtree(self.path("layout"), ignore_errors=True)
        shutil.rmtree(self.path("b"), ignore_errors=True)
        name = Layout(self.path("layout")).image(*tars, **kwargs)
        return oci.open(self.ctx, name).unpack(self.path("b"))

    def check(self, expect, *tars, **kwargs):
        """`expect`: the reason of the refusal, or "" if it is to be contained."""
        if expect:
            error = self.assertReason(expect, self.unpack, *tars, **kwargs)
            self.assertEqual(self.left(), ["layout", "outside"], str(error))
        else:
            self.unpack(*tars, **kwargs)
        self.assertEqual(tree(self.path("outside")), self.before)

    def test_entries_that_want_out(self):
        out = self.path("outside")
        up = "../" * 12
        rows = [
            ("oci.layer", [("../x", FILE, b"")]),
            ("oci.layer", [("a/../../x", FILE, b"")]),
            ("oci.layer", [("..", DIR, {})]),
            ("", [("/abs", FILE, b"")]),
            ("", [("a/../b", FILE, b"")]),
            ("", [(".", DIR, {}), ("./", DIR, {}), ("./x", FILE, b"")]),
            ("oci.layer", [(".", FILE, b"")]),
            ("oci.layer", [("/", SYM, {"linkname": out})]),
            ("", [("l", SYM, {"linkname": out}), ("l/canary", FILE, b"evil")]),
            ("", [("l", SYM, {"linkname": up + out[1:]}), ("l/canary", FILE, b"evil")]),
            ("", [("l", SYM, {"linkname": out}), ("l", DIR, {}), ("l/canary", FILE, b"evil")]),
            ("", [("l", SYM, {"linkname": out + "/canary"}), ("l", FILE, b"evil")]),
            ("", [("a", SYM, {"linkname": "b"}), ("b", SYM, {"linkname": out}),
                  ("a/new", FILE, b"evil")]),
            ("fs.loop", [("a", SYM, {"linkname": "b"}), ("b", SYM, {"linkname": "a"}),
                         ("a/x", FILE, b"")]),
            ("oci.layer", [("h", LINK, {"linkname": "../outside/canary"})]),
            ("oci.layer", [("h", LINK, {"linkname": out + "/canary"})]),
            ("oci.layer", [("l", SYM, {"linkname": out}), ("h", LINK, {"linkname": "l/canary"})]),
            # A hard link to a link links the link; what comes later is not written through it.
            ("", [("l", SYM, {"linkname": out + "/canary"}), ("h", LINK, {"linkname": "l"}),
                  ("h", FILE, b"evil")]),
            ("", [("l", SYM, {"linkname": out + "/canary", "mode": 0o4777, "uid": 7}),
                  ("h", LINK, {"linkname": "l", "mode": 0o4777, "uid": 7})]),
            ("oci.layer", [("d", DIR, {}), ("h", LINK, {"linkname": "d"})]),
            ("oci.layer", [("h", LINK, {"linkname": "missing"})]),
            ("oci.layer", [("h", LINK, {"linkname": "/"})]),
            ("oci.layer", [("x/.wh.", FILE, b"")]),
            ("oci.layer", [("x/.wh..", FILE, b"")]),
            ("oci.layer", [("x/.wh...", FILE, b"")]),
            ("oci.layer", [("../.wh.outside", FILE, b"")]),
        ]
        for expect, entries in rows:
            with self.subTest(str(entries)):
                self.check(expect, tar(*entries))
                # The same in a second layer, where whiteouts count and levels are opened anew.
                self.check(expect, tar(("z", FILE, b"")), tar(*entries))
                if expect == "" and len(entries) > 1:
                    self.check("", *[tar(e) for e in entries])

    def test_whiteouts_through_links(self):
        out = self.path("outside")
        link = tar(("l", SYM, {"linkname": out}), ("m", SYM, {"linkname": out + "/canary"}))
        for name in ("l/.wh.canary", "l/.wh..wh..opq", ".wh.l", ".wh.m"):
            with self.subTest(name):
                self.check("", link, tar((name, FILE, b"")))

    def test_whiteouts_hide_lower_layers_only(self):
        self.unpack(tar(("d", DIR, {}), ("d/old", FILE, b""), ("f", FILE, b"")),
                    tar(("d/new", FILE, b""), ("d/.wh..wh..opq", FILE, b""), ("f", FILE, b"new"),
                        (".wh.f", FILE, b""), ("e", DIR, {}), ("e/x", FILE, b""),
                        (".wh.e", FILE, b""), ("d/.wh..wh.plnk", FILE, b"")))
        self.assertEqual(os.listdir(self.path("b/rootfs/d")), ["new"])
        self.assertEqual(sorted(os.listdir(self.path("b/rootfs"))), ["d", "e", "f"])
        self.assertEqual(os.listdir(self.path("b/rootfs/e")), ["x"])

    def test_kinds_that_change(self):
        kinds = [("x", FILE, b"1"), ("x", DIR, {}), ("x", SYM, {"linkname": "y"}), ("x", FIFO, {})]
        for first in kinds:
            for second in kinds:
                self.check("", tar(first), tar(second))
                self.check("", tar(first, second))
                mode = os.lstat(self.path("b/rootfs/x")).st_mode
                want = {FILE: stat.S_ISREG, DIR: stat.S_ISDIR, SYM: stat.S_ISLNK,
                        FIFO: stat.S_ISFIFO}[second[1]]
                self.assertTrue(want(mode), (first, second))

    def test_damaged_layers(self):
        data = tar(("a", FILE, os.urandom(100000)))
        packed = gzip.compress(data)
        self.check(("stream.corrupt", "archive.corrupt"), data,
                   compress=lambda t: gzip.compress(t)[:-20])
        self.check(("stream.corrupt", "archive.corrupt"), data,
                   compress=lambda t: gzip.compress(t) + b"junk")
        self.check("", data, compress=lambda t: gzip.compress(t[:1000]) + gzip.compress(t[1000:]))
        self.check("", data, compress=lambda t: gzip.compress(t) + b"\0" * 100)
        self.check(("archive.corrupt", "stream.corrupt"), data[:5000], compress=None)
        self.check(("archive.corrupt", "archive.entry"), b"\1" * 10240, compress=None)
        self.assertGreater(len(packed), 0)

    def test_blobs_that_lie(self):
        for change in ("flip", "cut", "grow", "gone"):
            with self.subTest(change):
                shutil.rmtree(self.path("layout"), ignore_errors=True)
                name = Layout(self.path("layout")).image(tar(("a", FILE, b"x" * 9000)))
                image = oci.open(self.ctx, name)
                path = self.path("layout/blobs/sha256/" + image.layers[0].digest[7:])
                with open(path, "rb") as file:
                    data = file.read()
                data = {"flip": data[:50] + bytes([data[50] ^ 1]) + data[51:], "cut": data[:-1],
                        "grow": data + b"\0", "gone": data}[change]
                with open(path, "wb") as file:
                    file.write(data)
                if change == "gone":
                    os.unlink(path)
                self.assertReason(("digest.mismatch", "digest.size_mismatch", "oci.not_found",
                                   "stream.corrupt"), image.unpack, self.path("b"))
                self.assertEqual(self.left(), ["layout", "outside"])
                self.assertReason(("digest.mismatch", "digest.size_mismatch", "oci.not_found"),
                                  oci.copy, self.ctx, name, f"oci:{self.dir}/copy:a")
                self.assertFalse(os.path.exists(self.path("copy/index.json")))
                shutil.rmtree(self.path("copy"), ignore_errors=True)

    def test_bombs(self):
        big = b"\0" * (40 << 20)
        bomb = tar(("zeros", FILE, big))
        small = coaming.Context(limits={"unpacked_bytes": 1 << 20})
        name = Layout(self.path("layout")).image(bomb)
        error = self.assertReason("core.limit", oci.open(small, name).unpack, self.path("b"))
        self.assertTrue(error.details.get("limit.name"))
        ratio = coaming.Context(limits={"compression_ratio": 100})
        error = self.assertReason("core.limit", oci.open(ratio, name).unpack, self.path("b"))
        files = coaming.Context(limits={"unpacked_files": 10})
        many = Layout(self.path("many")).image(tar(*[(f"f{i}", FILE, b"") for i in range(20)]))
        self.assertReason("core.limit", oci.open(files, many).unpack, self.path("b"))
        self.assertEqual(self.left(), ["layout", "many", "outside"])

    def test_documents(self):
        layout = Layout(self.path("layout"))
        data = tar(("a", FILE, b""))

        def tweaked(tweak):
            return layout.image(data, tweak=tweak)

        def both(m):
            m["manifests"] = []

        def one(m):
            m["schemaVersion"] = 1

        def lying(m):
            m["mediaType"] = OCI + "index.v1+json"

        def negative(m):
            m["layers"][0]["size"] = -5

        def foreign(m):
            m["layers"][0]["mediaType"] = "application/x-unknown"

        self.assertReason("oci.media_type", oci.open, self.ctx, tweaked(both))
        self.assertReason("oci.schema1", oci.open, self.ctx, tweaked(one))
        self.assertReason("oci.media_type", oci.open, self.ctx, tweaked(lying))
        self.assertReason("oci.manifest", oci.open, self.ctx, tweaked(negative))
        name = tweaked(foreign)
        self.assertReason("oci.unsupported", oci.open(self.ctx, name).unpack, self.path("b"))
        oci.copy(self.ctx, name, f"oci:{self.dir}/copy:a")  # copying is no unpacking
        small = coaming.Context(limits={"manifest_bytes": 100})
        self.assertReason("core.limit", oci.open, small, name)
        # An index that names itself cannot have the right digest; nested ones are bounded.
        d = layout.blob(b'{"schemaVersion":2,"manifests":[]}', OCI + "index.v1+json")
        for _ in range(20):
            doc = {"schemaVersion": 2, "manifests": [d]}
            d = layout.blob(json.dumps(doc).encode(), OCI + "index.v1+json")
        layout.index([d])
        self.assertReason("oci.cycle", oci.open, self.ctx, f"oci:{layout.path}")
        self.assertReason("oci.cycle", oci.copy, self.ctx, f"oci:{layout.path}",
                          f"oci:{self.dir}/deep:a", all=True)

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_full_disk(self):
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small])
        name = Layout(self.path("layout")).image(tar(("a", FILE, os.urandom(4 << 20))))
        self.assertReason("core.no_space", oci.open(self.ctx, name).unpack, small + "/bundle")
        self.assertEqual(os.listdir(small), [])
        self.assertReason("core.no_space", oci.pull, self.ctx, name, small + "/pull", "a")
        self.assertFalse(os.path.exists(small + "/pull/index.json"))

    def test_cancelled_while_unpacking(self):
        name = Layout(self.path("layout")).image(
            *[tar(*[(f"d{k}/f{i}", FILE, b"x" * 4000) for i in range(200)]) for k in range(5)])
        for after in (1, 2, 4, 6, 9):
            seen = []

            def progress(event):
                seen.append(event)
                return 1 if len(seen) >= after else 0

            self.assertReason("core.cancelled", oci.open(self.ctx, name).unpack,
                              self.path("b"), progress=progress)
            self.assertEqual(self.left(), ["layout", "outside"])


class AbiTest(Base):
    """What Python's own calls do not reach."""

    def test_references(self):
        image = oci.open(self.ctx, Layout(self.path("layout")).image(tar(("a", FILE, b"1"))))
        lib.coam_oci_image_free(lib.coam_oci_image_ref(image._ptr))
        lib.coam_oci_image_free(ffi.NULL)
        layer = image.open_layer(0)
        lib.coam_oci_layer_free(lib.coam_oci_layer_ref(layer._ptr))
        image.close()  # the layer keeps what it needs
        self.assertTrue(layer.readall())
        layer.close()
        lib.coam_oci_layer_free(ffi.NULL)
        self.assertEqual(lib.coam_oci_image_name(ffi.NULL).size, 0)
        self.assertEqual(lib.coam_oci_image_layer_count(ffi.NULL), 0)
        error = ffi.new("coam_error **")
        self.assertNotEqual(lib.coam_oci_open(ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL, error), 0)
        lib.coam_error_free(error[0])


if __name__ == "__main__":
    junit.main()
