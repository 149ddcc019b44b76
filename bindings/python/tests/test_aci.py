"""coaming.aci: images built, checked, signed, fetched from a file, stored and rendered."""
import hashlib
import gzip
import http.server
import json
import os
import tempfile
import threading
import unittest

from tools.build import junit

import coaming
from coaming import aci, errors, sig
from coaming._ffi import ffi, lib


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves a dict of paths over plain http."""

    def do_GET(self):
        body = self.server.pages.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


class AciTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.ctx = coaming.Context()
        self.store = aci.Store(dir=self.path("cas"))

    def path(self, name, content=None):
        path = os.path.join(self.dir, name)
        if content is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(content)
        return path

    def image(self, name="example.com/hello", file="hello.aci", **edit):
        work = self.path("work-" + file)
        os.mkdir(work)
        builder = aci.Builder.begin(self.ctx, work)
        builder.copy(self.path("src/hello", b"hi\n"), "/hello")
        builder.edit(name=name, label={"version": "1"}, exec=["/hello"], **edit)
        info = builder.write(self.path(file))
        builder.end()
        with self.assertRaises(errors.CoamingError) as caught:
            builder.manifest()
        self.assertEqual(caught.exception.reason, "aci.build_state")
        return info

    def serve(self, pages):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.pages = pages
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def test_build_inspect_patch(self):
        info = self.image(environment={"A": "b"}, port=["www,protocol=tcp,port=80"])
        self.assertEqual(info["schema"], "coam.aci.file.v1")
        with gzip.open(self.path("hello.aci")) as tar:
            self.assertEqual(info["id"], "sha512-" + hashlib.sha512(tar.read()).hexdigest())
        self.assertEqual(aci.inspect(self.ctx, self.path("hello.aci"))["id"], info["id"])
        self.assertEqual(aci.validate(self.ctx, self.path("hello.aci")), "app container image")
        manifest = json.loads(aci.file_manifest(self.ctx, self.path("hello.aci")))
        self.assertEqual(manifest["app"]["environment"], [{"name": "A", "value": "b"}])
        self.assertIn("\n    ", aci.file_manifest(self.ctx, self.path("hello.aci"), pretty=True))
        changed = aci.patch(self.ctx, self.path("hello.aci"), self.path("b.aci"),
                            {"name": "example.com/b", "remove_port": ["www"]}, compression="none")
        self.assertEqual(changed["name"], "example.com/b")
        self.assertNotIn("ports", changed["manifest"]["app"])
        text = aci.edit_manifest(self.ctx, json.dumps(manifest), user="7")
        self.assertEqual(json.loads(text)["app"]["user"], "7")
        with self.assertRaises(errors.NotFoundError) as caught:
            aci.edit_manifest(self.ctx, json.dumps(manifest), remove_label=["nope"])
        self.assertEqual(caught.exception.reason, "aci.build_missing")

    def test_build_from_a_layout(self):
        self.path("l/manifest", b'{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a/b"}')
        os.mkdir(self.path("l/rootfs"))
        first = aci.build(self.ctx, self.path("l"), self.path("a.aci"))
        second = aci.build(self.ctx, self.path("l"), self.path("c.aci"), compression="xz")
        self.assertEqual(first["id"], second["id"])
        self.assertEqual(aci.validate(self.ctx, self.path("l")), "image layout")
        with self.assertRaises(errors.ExistsError):
            aci.build(self.ctx, self.path("l"), self.path("a.aci"))
        self.path("l/extra", b"")
        with self.assertRaises(errors.DataError) as caught:
            aci.validate(self.ctx, self.path("l"))
        self.assertEqual(caught.exception.reason, "aci.layout_invalid")

    def test_builder_is_reopened(self):
        os.mkdir(self.path("w"))
        aci.Builder.begin(self.ctx, self.path("w")).close()
        builder = aci.Builder.open(self.ctx, self.path("w"))
        self.assertIn("acbuild-unnamed", builder.manifest(pretty=True))
        with self.assertRaises(errors.StateError):
            aci.Builder.open(self.ctx, self.path("w"))
        builder.end()

    def test_store(self):
        info = self.image()
        image = self.store.add(self.ctx, self.path("hello.aci"))
        self.assertEqual(image, info["id"])
        self.assertEqual(self.store.resolve("example.com/hello:1"), image)
        self.assertEqual([i["id"] for i in self.store.images()], [image])
        self.assertEqual(self.store.record(image[:20])["name"], "example.com/hello")
        self.assertEqual(self.store.manifest(image)["name"], "example.com/hello")
        self.assertIn("\n", self.store.manifest_json(image, pretty=True))
        self.store.export(self.ctx, image, self.path("out.aci"))
        with open(self.path("out.aci"), "rb") as out:
            self.assertEqual("sha512-" + hashlib.sha512(out.read()).hexdigest(), image)
        self.store.render(self.ctx, image, self.path("root"), rootfs_only=True)
        with open(self.path("root/hello"), "rb") as hello:
            self.assertEqual(hello.read(), b"hi\n")
        tree = self.store.tree(self.ctx, image)
        self.assertTrue(os.path.exists(os.path.join(tree.root, "hello")))
        self.assertTrue(tree.id.startswith("deps-sha512-"))
        self.store.verify(self.ctx, image)
        self.assertEqual(self.store.gc(self.ctx, grace_period="0s", dry_run=True, keep_tree=[tree.id]),
                         [image])
        with open(os.path.join(tree.root, "hello"), "wb") as hello:
            hello.write(b"no\n")
        with self.assertRaises(errors.DigestMismatchError) as caught:
            self.store.verify(self.ctx, image)
        self.assertEqual(caught.exception.reason, "aci.tree_damaged")
        tree.close()
        self.store.remove(image)
        with self.assertRaises(errors.NotFoundError):
            self.store.resolve(image)
        self.assertEqual(len(self.store.gc(self.ctx, grace_period="0s")), 1)

    def test_fetch_a_signed_file(self):
        self.image()
        key = sig.Key.generate(self.ctx, "Ann <ann@example.com>")
        keys = sig.KeyStore(self.ctx, local_dir=self.path("keys"), system_dir=self.path("none"))
        client = aci.Client(keys)
        with self.assertRaises(errors.VerificationError) as caught:
            client.fetch(self.ctx, self.store, self.path("hello.aci"))
        self.assertEqual(caught.exception.reason, "aci.unsigned")
        self.path("hello.aci.asc", key.sign_file(self.path("hello.aci")))
        with self.assertRaises(errors.VerificationError) as caught:
            client.fetch(self.ctx, self.store, self.path("hello.aci"))
        self.assertEqual(caught.exception.reason, "sig.no_keys")
        keys.add("example.com/hello", key.public())
        events = []
        got = client.fetch(self.ctx, self.store, self.path("hello.aci"), progress=events.append)
        self.assertEqual(got["image"]["signer"], key.fingerprint)
        self.assertIn("verify", [e.kind for e in events])
        # Nobody to ask: only without verification.
        alone = aci.Client()
        with self.assertRaises(errors.InvalidArgumentError):
            alone.fetch(self.ctx, self.store, self.path("hello.aci"))
        alone.fetch(self.ctx, self.store, self.path("hello.aci"), insecure_image=True)

    def test_discover_and_fetch_over_http(self):
        self.image()
        key = sig.Key.generate(self.ctx, "Ann <ann@example.com>")
        page = (b"<meta name='ac-discovery' content='example.com http://example.com/f.{ext}'>"
                b"<meta name='ac-discovery-pubkeys' content='example.com http://example.com/k'>")
        with open(self.path("hello.aci"), "rb") as image:
            pages = {"/hello?ac-discovery=1": page, "/f.aci": image.read(),
                     "/f.aci.asc": key.sign_file(self.path("hello.aci")),
                     "/k": key.public().armored.encode()}
        port = self.serve(pages)
        rule = [f"example.com:80:127.0.0.1:{port}", "example.com:443:127.0.0.1:1"]
        keys = sig.KeyStore(self.ctx, local_dir=self.path("keys"), system_dir=self.path("none"))
        asked = []

        def review(prefix, url, shown):
            asked.append((prefix, url, shown))
            return len(asked) > 1

        client = aci.Client(keys, resolve=rule, review=review)
        found = client.discover(self.ctx, "example.com/hello:1", allow_http=True, keys=True)
        self.assertEqual(found["endpoints"], [{"aci": "http://example.com/f.aci",
                                               "asc": "http://example.com/f.aci.asc"}])
        self.assertEqual(found["keys"], ["http://example.com/k"])
        self.assertIn(key.fingerprint, sig.Keyring.parse(self.ctx, client.download_keys(
            self.ctx, "http://example.com/k", allow_http=True)).fingerprints)
        with self.assertRaises(errors.CoamingError) as caught:
            client.discover(self.ctx, "example.com/hello:1")
        self.assertEqual(caught.exception.reason, "http.connect")
        with self.assertRaises(errors.VerificationError) as caught:
            client.fetch(self.ctx, self.store, "example.com/hello:1", allow_http=True)
        self.assertEqual(caught.exception.reason, "aci.no_key")
        got = client.fetch(self.ctx, self.store, "example.com/hello:1", allow_http=True)
        self.assertEqual(got["image"]["signer"], key.fingerprint)
        self.assertEqual(asked[1][:2], ("example.com/hello", "http://example.com/k"))
        self.assertIn("ann@example.com", asked[1][2])

        def broken(*args):
            raise RuntimeError("reviewer broke")

        client = aci.Client(sig.KeyStore(self.ctx, local_dir=self.path("k2"),
                                         system_dir=self.path("none")), resolve=rule,
                            review=broken)
        with self.assertRaisesRegex(RuntimeError, "reviewer broke"):
            client.fetch(self.ctx, self.store, "example.com/hello:1", allow_http=True)

    def test_bad_arguments(self):
        for bad in ({"pull_policy": "sometimes"}, {"port": 70000}, {"header": ["nonsense"]}):
            with self.subTest(bad), self.assertRaises(errors.InvalidArgumentError):
                aci.Client().fetch(self.ctx, self.store, "example.com/x", **bad)
        with self.assertRaises(errors.InvalidArgumentError):
            self.store.resolve("NOT A NAME")
        self.assertEqual(lib.coam_aci_store_resolve(ffi.NULL, b"x", ffi.NULL, ffi.NULL),
                         lib.COAM_INVALID_ARGUMENT)
        self.assertEqual(ffi.string(lib.coam_aci_tree_id(ffi.NULL).data), b"")
        self.assertEqual(ffi.string(lib.coam_aci_tree_root(ffi.NULL).data), b"")

    def test_references(self):
        self.image()
        image = self.store.add(self.ctx, self.path("hello.aci"))
        os.mkdir(self.path("w"))
        handles = {"store": self.store, "client": aci.Client(),
                   "tree": self.store.tree(self.ctx, image),
                   "builder": aci.Builder.begin(self.ctx, self.path("w"))}
        for name, handle in handles.items():
            again = getattr(lib, f"coam_aci_{name}_ref")(handle._ptr)
            self.assertEqual(again, handle._ptr)
            getattr(lib, f"coam_aci_{name}_free")(again)
            getattr(lib, f"coam_aci_{name}_free")(ffi.NULL)


if __name__ == "__main__":
    junit.main()
