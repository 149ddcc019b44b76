"""coaming.tuf: a repository made, served on loopback, and followed by a client."""
import functools
import http.server
import os
import tempfile
import threading
import time
import unittest

from tools.build import junit

import coaming
from coaming import errors, tuf
from coaming._ffi import ffi, lib

DAY = 86400


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class TufTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.ctx = coaming.Context()
        self.now = int(time.time())
        self.root, self.second = tuf.generate_key(self.ctx), tuf.generate_key(self.ctx, "ecdsa")
        self.online = tuf.generate_key(self.ctx, "ed25519", "open sesame")
        self.repo = tuf.Repository(self.ctx, self.path("repo"))
        self.repo.init(root_key=[self.root.public.decode(), self.second.public.decode()],
                       targets_key=[self.online.public.decode()],
                       snapshot_key=[self.online.public.decode()],
                       timestamp_key=[self.online.public.decode()], threshold={"root": 2})
        self.repo.sign("root", self.root.private)
        with self.assertRaises(errors.ThresholdError):
            self.repo.publish()
        self.repo.sign("root", self.second.private)
        self.target("app.tar", b"one")
        self.publish()
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=self.path("repo")))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        with open(self.path("repo/metadata/1.root.json"), "rb") as file:
            self.bootstrap = file.read()

    def path(self, name):
        return os.path.join(self.dir, name)

    def target(self, path, content, role="targets", custom=None):
        with open(self.path("file"), "wb") as out:
            out.write(content)
        self.repo.add_target(path, self.path("file"), role, custom)

    def publish(self):
        self.repo.snapshot(self.now + 7 * DAY)
        self.repo.timestamp(self.now + DAY)
        for staged in self.repo.staged():
            for key, passphrase in ((self.online, "open sesame"), (self.root, None),
                                    (self.second, None)):
                try:
                    self.repo.sign(staged["role"], key.private, passphrase)
                except errors.CoamingError:
                    pass
        self.repo.publish()
        self.repo.verify()

    def client(self):
        return tuf.Client(self.ctx, self.path("client"), self.bootstrap, allow_http=True,
                          metadata_url=self.url + "/metadata", targets_url=self.url + "/targets")

    def test_update(self):
        client = self.client()
        client.refresh()
        self.assertEqual(client.state()["root"]["version"], 1)
        self.assertEqual(client.find("app.tar")["length"], 3)
        path = client.download("app.tar", self.path("out"))
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"one")
        self.target("app.tar", b"two", custom={"v": 2})
        self.publish()
        client = self.client()
        self.assertEqual(client.download("app.tar", self.path("out"), as_="now"),
                         self.path("out/now"))
        self.assertEqual(client.find("app.tar")["custom"], {"v": 2})
        with self.assertRaises(errors.NotFoundError):
            client.find("other")
        out = ffi.new("coam_buf **")
        self.assertEqual(lib.coam_tuf_download(client._ptr, b"app.tar", self.path("out").encode(),
                                               ffi.NULL, out, ffi.NULL), 0)
        lib.coam_buf_free(out[0])
        self.assertEqual(lib.coam_tuf_client_ref(client._ptr), client._ptr)
        lib.coam_tuf_client_free(client._ptr)

    def test_refusals(self):
        self.client().refresh()
        stamp = self.path("repo/metadata/timestamp.json")
        with open(stamp, "rb") as file:
            old = file.read()
        self.target("more", b"more")
        self.publish()
        self.client().refresh()
        with open(stamp, "wb") as file:
            file.write(old)
        with self.assertRaises(errors.RollbackError):
            self.client().refresh()
        with open(stamp, "wb") as file:
            file.write(b"{}")
        with self.assertRaises(errors.VerificationError):
            self.client().refresh()
        with self.assertRaises(errors.InvalidArgumentError):
            tuf.Client(self.ctx, self.path("client"), b"", metadata_url=self.url)

    def test_rotation_and_ceremony(self):
        third = tuf.generate_key(self.ctx, "rsa")
        keyid = tuf.key_id(third.public)
        self.repo.add_key("root", third.public)
        self.repo.remove_key("root", tuf.key_id(self.root.public))
        self.repo.set_threshold("root", 1)
        self.assertIn(b'"_type":"root"', self.repo.to_be_signed("root"))
        with self.assertRaises(errors.VerificationError):
            self.repo.add_signature("root", keyid, b"junk")
        self.repo.sign("root", third.private)
        state = {s["role"]: s for s in self.repo.staged()}["root"]
        self.assertEqual(state["version"], 2)
        self.assertFalse(state["ready"])
        self.assertIn(tuf.key_id(self.root.public), state["byOldRoot"]["missing"])
        self.publish()
        client = self.client()
        client.refresh()
        self.assertEqual(client.state()["root"]["version"], 2)
        self.repo.set_expiry("targets", self.now + 5 * DAY)
        self.publish()

    def test_delegations(self):
        team = tuf.generate_key(self.ctx)
        self.repo.delegate("team", key=[team.public.decode()], path=["team/*"])
        self.target("team/a", b"a", "team")
        self.repo.sign("team", team.private)
        self.publish()
        self.assertEqual(self.client().find("team/a")["length"], 1)
        self.repo.remove_target("team/a", "team")
        self.repo.sign("team", team.private)
        self.publish()
        with self.assertRaises(errors.NotFoundError):
            self.client().find("team/a")
        self.repo.remove_delegation("team")
        self.repo.delegate("bin", key=[team.public.decode()], hash_prefix=[""])
        self.repo.sign("bin", team.private)
        self.publish()
        self.assertEqual(lib.coam_tuf_repository_ref(self.repo._ptr), self.repo._ptr)
        lib.coam_tuf_repository_free(self.repo._ptr)


if __name__ == "__main__":
    junit.main()
