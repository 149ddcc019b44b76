"""coam tuf with itself: a repository made by the tool, and tuf_update as its client."""
import functools
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
EXAMPLE = os.path.join(ROOT, "examples/c/tuf_update")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class TufTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-tuf-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        os.makedirs(os.path.join(self.dir, "repo"))
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=os.path.join(self.dir, "repo")))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def write(self, name, content):
        with open(os.path.join(self.dir, name), "wb") as out:
            out.write(content)

    def run_tool(self, *words, program=COAM):
        return subprocess.run([program, *words], cwd=self.dir, capture_output=True, check=False)

    def ok(self, *words, **kwargs):
        done = self.run_tool(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def tuf(self, word, *rest):
        return self.ok("tuf", *word.split(), "--dir=repo", *rest)

    def publish(self, *roles):
        self.tuf("snapshot")
        self.tuf("timestamp")
        self.tuf("sign", "--key=online", *roles, "snapshot", "timestamp")
        self.tuf("publish")
        self.tuf("verify")

    def test_walk(self):
        self.ok("tuf", "key", "generate", "--output=root")
        self.ok("tuf", "key", "generate", "--type=ecdsa", "--output=second")
        self.ok("tuf", "key", "generate", "--output=online")
        self.tuf("init", "--root=root.pub", "--root=second.pub", "--threshold=root=2",
                 "--targets=online.pub", "--snapshot=online.pub", "--timestamp=online.pub")
        self.write("file", b"one")
        self.tuf("add", "app.tar", "file")
        self.tuf("sign", "--key=root", "root")
        done = self.run_tool("tuf", "publish", "--dir=repo")
        self.assertEqual(done.returncode, 6)
        state = {s["role"]: s for s in json.loads(self.tuf("show"))["staged"]}
        self.assertEqual(len(state["root"]["missing"]), 1)
        self.tuf("sign", "--key=second", "root")
        self.publish("targets")

        words = ["--metadata-dir", self.dir + "/meta", "--metadata-url", self.url + "/metadata",
                 "--target-base-url", self.url + "/targets", "--target-dir", self.dir + "/out",
                 "--target-name", "app.tar"]
        os.mkdir(self.dir + "/meta")
        self.ok(*words, "init", "repo/metadata/1.root.json", program=EXAMPLE)
        path = self.ok(*words, "download", program=EXAMPLE).strip()
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"one")
        self.write("file", b"two")
        self.tuf("add", "app.tar", "file")
        self.publish("targets")
        self.ok(*words, "download", program=EXAMPLE)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"two")

        # The tool's own client; and a client whose anchor is another root is refused.
        client = ["--root=repo/metadata/1.root.json", "--dir=meta2", "--allow-http",
                  f"--metadata-url={self.url}/metadata", f"--targets-url={self.url}/targets"]
        self.assertIn('"length":3', self.ok("tuf", "find", *client, "app.tar"))
        with open(self.dir + "/repo/metadata/1.root.json", encoding="utf-8") as file:
            self.write("forged.json", file.read().replace('"version":1', '"version":7').encode())
        done = self.run_tool("tuf", "find", "--root=forged.json", *client[1:], "app.tar")
        self.assertEqual(done.returncode, 6)


if __name__ == "__main__":
    junit.main()
