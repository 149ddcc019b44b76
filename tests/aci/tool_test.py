"""acbuild, actool, rkt trust, fetch and image, coam aci, and the teaching programs over HTTPS."""
import gzip
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import tarfile
import tempfile
import threading
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
FETCH = os.path.join(ROOT, "examples/c/aci_discover_fetch")
RENDER = os.path.join(ROOT, "examples/c/aci_render")
RKT_FAILED = 254


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves a dict of paths."""

    def do_GET(self):
        body = self.server.pages.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


class ToolTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-aci-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as out:
            out.write(content)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run_tool(self, *words, program=COAM, stdin=b""):
        return subprocess.run([program, *words], cwd=self.dir, capture_output=True, check=False,
                              input=stdin)

    def ok(self, *words, **kwargs):
        done = self.run_tool(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def fails(self, code, *words, says="", **kwargs):
        done = self.run_tool(*words, **kwargs)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertIn(says, done.stderr.decode())
        return done

    def build(self, file="hello.aci", name="example.com/hello"):
        self.write("src/hello", b"#!/bin/sh\necho hello\n")
        self.ok("acbuild", "begin")
        self.ok("acbuild", "set-name", name)
        self.ok("acbuild", "copy", "src/hello", "/bin/hello")
        self.ok("acbuild", "set-exec", "--", "/bin/hello", "--loud", "a b")
        self.ok("acbuild", "port", "add", "http", "tcp", "5000")
        self.ok("acbuild", "label", "add", "version", "0.0.1")
        self.ok("acbuild", "write", file)
        self.ok("acbuild", "end")

    # ---- acbuild

    def test_acbuild_words(self):
        self.ok("acbuild", "begin")
        self.fails(1, "acbuild", "begin", says="in progress")
        self.fails(1, "acbuild", "write", "x.aci", says="no name")
        for words in (["set-name", "example.com/hello"], ["set-user", "7"], ["set-group", "8"],
                      ["set-supp-groups", "9", "10"], ["set-working-directory", "/srv"],
                      ["set-event-handler", "pre-start", "--", "/pre", "x"],
                      ["label", "add", "version", "2"], ["annotation", "add", "authors", "me"],
                      ["environment", "add", "A", "b c=d"],
                      ["mount", "add", "db", "/db", "--read-only"],
                      ["port", "add", "www", "tcp", "80", "--count=2"],
                      ["dependency", "add", "example.com/base", "--label", "version=1",
                       "--size=10"]):
            self.ok("acbuild", *words)
        self.ok("acbuild", "isolator", "add", "resource/memory", "-", stdin=b'{"limit":"64Mi"}')
        self.write("src/a", b"a")
        self.write("src/d/b", b"b")
        self.ok("acbuild", "copy-to-dir", "src/a", "src/d", "/opt")
        manifest = json.loads(self.ok("acbuild", "cat-manifest"))
        with open(self.path(".acbuild/currentaci/manifest"), encoding="utf-8") as text:
            self.assertEqual(json.load(text), manifest)
        app = manifest["app"]
        self.assertEqual((app["user"], app["group"], app["supplementaryGIDs"]), ("7", "8", [9, 10]))
        self.assertEqual(app["environment"], [{"name": "A", "value": "b c=d"}])
        self.assertEqual(app["ports"][0]["count"], 2)
        self.assertEqual(app["mountPoints"][0]["readOnly"], True)
        self.assertEqual(manifest["dependencies"][0]["size"], 10)
        history = [a for a in manifest["annotations"] if a["name"].startswith("coreos.com/acbuild")]
        self.assertEqual(history[0]["value"], "acbuild set-name example.com/hello")
        for words in (["label", "remove", "version"], ["annotation", "remove", "authors"],
                      ["environment", "remove", "A"], ["mount", "remove", "/db"],
                      ["port", "remove", "80"], ["isolator", "remove", "resource/memory"],
                      ["dependency", "remove", "example.com/base"]):
            self.ok("acbuild", "--no-history", *words)
            self.fails(2, "acbuild", *words, says="there is no")
        self.fails(1, "acbuild", "set-name", "BAD NAME", says="AC Identifier")
        self.fails(1, "acbuild", "port", "add", "x", "tcp", "70000")
        self.fails(1, "acbuild", "copy", "src/a", "/../../x", says="goes up")
        self.fails(3, "acbuild", "set-name")
        self.fails(3, "acbuild", "no-such-word")
        self.ok("acbuild", "write", "x.aci")
        self.fails(1, "acbuild", "write", "x.aci", says="exists")
        self.ok("acbuild", "write", "--overwrite", "x.aci")
        self.ok("acbuild", "end")
        self.assertFalse(os.path.exists(self.path(".acbuild")))
        self.fails(1, "acbuild", "set-name", "a", says="no build is in progress")
        with tarfile.open(self.path("x.aci")) as tar:
            names = tar.getnames()
        self.assertEqual(names[-1], "manifest")
        self.assertIn("rootfs/opt/d/b", names)

    def test_acbuild_changes_an_image_in_place(self):
        self.build()
        self.ok("acbuild", "--modify-appc=hello.aci", "label", "add", "version", "9")
        labels = json.loads(self.ok("actool", "cat-manifest", "hello.aci"))["labels"]
        self.assertIn({"name": "version", "value": "9"}, labels)
        self.ok("acbuild", "begin", "./hello.aci")
        self.assertIn("example.com/hello", self.ok("acbuild", "cat-manifest"))
        self.ok("acbuild", "end")

    # ---- actool

    def test_actool(self):
        self.build()
        self.assertEqual(self.run_tool("actool", "validate", "hello.aci").stderr, b"")
        done = self.run_tool("actool", "-debug", "validate", "hello.aci")
        self.assertIn(b"hello.aci: valid app container image", done.stderr)
        self.write("bad.json", b'{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a/../b"}')
        self.fails(1, "actool", "validate", "bad.json", "hello.aci", says="bad.json")
        self.fails(1, "actool", "validate", "missing.aci")
        self.fails(1, "actool", "validate")
        self.fails(1, "actool", "discover", says="at least one name")
        self.fails(2, "actool", "nonsense")
        self.write("l/manifest", b'{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a/b"}')
        os.mkdir(self.path("l/rootfs"))
        self.fails(1, "actool", "build", "l", "l.tar", says="Extension must be .aci")
        self.ok("actool", "build", "l", "l.aci")
        self.fails(1, "actool", "build", "l", "l.aci", says="--overwrite")
        self.ok("actool", "build", "--overwrite", "--no-compression", "l", "l.aci")
        self.assertTrue(tarfile.is_tarfile(self.path("l.aci")))
        self.ok("actool", "patch-manifest", "--name=example.com/p", "--exec=/bin/sh -c", "--user=5",
                "--ports=a,protocol=tcp,port=1:b,protocol=udp,port=2",
                "--isolators=resource/cpu,request=50m,limit=100m",
                "--capability=CAP_KILL,CAP_CHOWN", "--seccomp-mode=retain,errno=EPERM",
                "--seccomp-set=read,write", "hello.aci", "p.aci")
        app = json.loads(self.ok("actool", "cat-manifest", "--pretty-print", "p.aci"))["app"]
        self.assertEqual(app["exec"], ["/bin/sh", "-c"])
        self.assertEqual([p["name"] for p in app["ports"]], ["http", "a", "b"])
        self.assertEqual([i["name"] for i in app["isolators"]],
                         ["resource/cpu", "os/linux/capabilities-retain-set",
                          "os/linux/seccomp-retain-set"])
        self.fails(1, "actool", "patch-manifest", "--name=BAD", "hello.aci", "q.aci")
        self.assertFalse(os.path.exists(self.path("q.aci")))
        self.ok("actool", "patch-manifest", "--replace", "--name=example.com/r", "p.aci")
        self.assertIn("example.com/r", self.ok("actool", "cat-manifest", "p.aci"))

    # ---- rkt

    def serve(self):
        """Signs hello.aci, serves all of it over HTTPS as example.com; returns the global flags."""
        self.ok("keys", "generate", "--output=ann.sec", "--public=ann.pub", "Ann <ann@example.com>")
        self.ok("sign", "--key=ann.sec", "hello.aci")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=example.com", "-addext",
             "subjectAltName=DNS:example.com", "-keyout", self.path("tls.key"), "-out",
             self.path("ca.pem")], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("ca.pem"), self.path("tls.key"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.pages = server.pages = {
            "/hello?ac-discovery=1":
                b"<meta name='ac-discovery' content='example.com "
                b"https://example.com/f/{name}-{version}.{ext}'>"
                b"<meta name='ac-discovery-pubkeys' content='example.com "
                b"https://example.com/pubkeys.gpg'>",
            "/f/example.com/hello-0.0.1.aci": self.read("hello.aci"),
            "/f/example.com/hello-0.0.1.aci.asc": self.read("hello.aci.asc"),
            "/pubkeys.gpg": self.read("ann.pub"),
        }
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.resolve = f"example.com:443:127.0.0.1:{server.server_address[1]}"
        return ["--dir=rkt", "--local-config=etc", "--system-config=none", "--ca-file=ca.pem",
                f"--resolve={self.resolve}"]

    def test_rkt_from_name_to_store(self):
        self.build()
        flags = self.serve()
        rkt = ["rkt", *flags]
        self.fails(RKT_FAILED, *rkt, "fetch", "example.com/hello:0.0.1", says="rkt trust --prefix")
        self.fails(RKT_FAILED, *rkt, "trust", "--prefix=example.com/hello",
                   says="--skip-fingerprint-review")
        self.fails(RKT_FAILED, *rkt, "trust", "ann.pub", says="implicit unbounded trust")
        out = self.ok(*rkt, "trust", "--prefix=example.com/hello", "--skip-fingerprint-review")
        self.assertIn("ann@example.com", out)
        self.assertIn('Added key for prefix "example.com/hello" at "etc/trustedkeys/prefix.d/', out)
        image = self.ok(*rkt, "fetch", "--full", "example.com/hello:0.0.1").strip()
        with gzip.open(self.path("hello.aci")) as tar:
            self.assertEqual(image, "sha512-" + hashlib.sha512(tar.read()).hexdigest())
        self.assertEqual(self.ok(*rkt, "fetch", "example.com/hello:0.0.1").strip(), image[:71])
        lines = self.ok(*rkt, "image", "list").splitlines()
        self.assertEqual(lines[0].split(), ["ID", "NAME", "SIZE", "IMPORT", "TIME", "LAST", "USED"])
        self.assertEqual(lines[1].split()[:2], [image[:19], "example.com/hello:0.0.1"])
        self.assertEqual(
            self.ok(*rkt, "image", "list", "--fields=name", "--no-legend").strip(),
            "example.com/hello:0.0.1")
        listed = json.loads(self.ok(*rkt, "image", "list", "--format=json"))
        self.assertEqual(listed[0]["id"], image)
        manifest = json.loads(self.ok(*rkt, "image", "cat-manifest", "example.com/hello"))
        self.assertEqual(manifest["app"]["exec"][2], "a b")
        self.ok(*rkt, "image", "export", image[:20], "out.aci")
        self.fails(RKT_FAILED, *rkt, "image", "export", image, "out.aci", says="--overwrite")
        self.ok(*rkt, "image", "extract", "--rootfs-only", image, "root")
        self.assertEqual(self.read("root/bin/hello"), b"#!/bin/sh\necho hello\n")
        self.ok(*rkt, "image", "render", image, "rendered")
        self.assertTrue(os.path.exists(self.path("rendered/rootfs/bin/hello")))
        self.assertIn("successfully verified", self.ok(*rkt, "image", "verify", image))
        self.fails(RKT_FAILED, *rkt, "image", "rm", "example.com/none", says="cannot be removed")
        done = self.run_tool(*rkt, "image", "rm", image)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"1 image(s) successfully removed", done.stderr)
        self.assertEqual(self.ok(*rkt, "image", "list", "--no-legend"), "")
        self.ok(*rkt, "image", "gc", "--grace-period=0s")
        self.assertIn("rkt Version", self.ok("rkt", "version"))

    def test_rkt_refusals(self):
        self.build()
        flags = self.serve()
        rkt = ["rkt", *flags, "--trust-keys-from-https"]
        image = "example.com/hello:0.0.1"
        asc = "/f/example.com/hello-0.0.1.aci.asc"
        good = self.pages[asc]
        del self.pages[asc]
        self.fails(RKT_FAILED, *rkt, "fetch", image, says="there is no signature")
        self.assertEqual(self.ok("rkt", *flags, "--insecure-options=image", "fetch", image)[:7],
                         "sha512-")
        self.ok(*rkt, "image", "rm", image)
        self.pages[asc] = good
        bytes_ = self.pages["/f/example.com/hello-0.0.1.aci"]
        self.pages["/f/example.com/hello-0.0.1.aci"] = bytes_[:-9] + b"x" + bytes_[-8:]
        done = self.fails(RKT_FAILED, *rkt, "fetch", image, says="does not fit the data")
        self.assertIn(b"hint:", done.stderr)
        self.pages["/f/example.com/hello-0.0.1.aci"] = bytes_
        self.fails(RKT_FAILED, "rkt", "--dir=rkt", "--local-config=etc",
                   f"--resolve={self.resolve}", "fetch", image, says="certificate")
        self.fails(RKT_FAILED, *rkt, "fetch", "example.com/other", says="discovery failed")
        self.fails(RKT_FAILED, *rkt, "fetch", "docker://busybox", says="docker")
        self.fails(RKT_FAILED, *rkt, "no-such-command")
        self.ok(*rkt, "fetch", image)
        self.ok(*rkt, "fetch", "--pull-policy=never", image)

    def test_coam_discover_and_aci(self):
        self.build()
        self.serve()
        reach = ["--ca-file=ca.pem", f"--resolve={self.resolve}"]
        out = self.run_tool("discover", *reach, "--keys=true", "example.com/hello:0.0.1")
        self.assertEqual(out.returncode, 0, out.stderr.decode())
        self.assertIn(b"image      https://example.com/f/example.com/hello-0.0.1.aci", out.stdout)
        self.assertIn(b"https://example.com/hello: 1 endpoint", out.stderr)
        found = json.loads(self.ok("actool", *reach, "discover", "--json", "example.com/hello:0.0.1"))
        self.assertEqual(found["PublicKeys"], ["https://example.com/pubkeys.gpg"])
        self.assertTrue(found["ACIEndpoints"][0]["ASC"].endswith(".aci.asc"))
        info = json.loads(self.ok("aci", "inspect", "--format=json", "hello.aci"))
        self.assertEqual(info["schema"], "coam.aci.file.v1")
        self.assertIn("valid app container image", self.ok("aci", "validate", "hello.aci"))
        self.assertEqual(self.ok("aci", "import", "--dir=rkt", "hello.aci").strip(), info["id"])
        self.ok("aci", "render", "--dir=rkt", "--rootfs-only=true", info["id"], "root")
        self.assertTrue(os.path.exists(self.path("root/bin/hello")))
        self.ok("aci", "edit", "--name=example.com/e", "--remove-port=http", "hello.aci")
        self.assertIn("example.com/e", self.ok("aci", "inspect", "hello.aci"))

    def test_teaching_programs(self):
        self.build()
        flags = self.serve()
        self.ok("rkt", *flags, "trust", "--prefix=example.com/hello", "--skip-fingerprint-review")
        out = self.ok("example.com/hello:0.0.1", "store", "etc/trustedkeys", "ca.pem", self.resolve,
                      program=FETCH)
        self.assertIn("asked https://example.com/hello: 1 endpoint", out)
        self.assertIn("signed by ", out)
        self.fails(6, "example.com/hello:0.0.1", "store", "none", "ca.pem", self.resolve,
                   program=FETCH)
        out = self.ok("hello.aci", "store2", "root", program=RENDER)
        self.assertIn("example.com/hello", out)
        self.assertEqual(self.read("root/bin/hello"), b"#!/bin/sh\necho hello\n")


if __name__ == "__main__":
    junit.main()
