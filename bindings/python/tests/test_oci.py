"""coaming.oci with a real registry, skopeo and umoci beside it (all Debian's)."""
import json
import os
import shutil
import socket
import stat
import subprocess
import time
import unittest

from bindings.python.tests.oci_lab import (
    Base, CHAR, DIR, FIFO, FILE, LINK, Layout, OCI, SYM, sha, tar, tree)
from tools.build import junit

from coaming import oci
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
