"""coaming.oci given images that lie, or want out of their root."""
import gzip
import json
import os
import shutil
import stat
import subprocess
import unittest

from bindings.python.tests.oci_lab import Base, DIR, FIFO, FILE, LINK, Layout, OCI, SYM, tar, tree
from tools.build import junit

import coaming
from coaming import oci


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


if __name__ == "__main__":
    junit.main()
