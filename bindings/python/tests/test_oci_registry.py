"""coaming.oci against a registry that misbehaves in one way for each repository name.

The registry is a program of its own, so that this process has no thread but its own."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

from tools.build import junit

import coaming
from coaming import errors, oci

SERVER = r'''
import base64, gzip, hashlib, io, json, sys, tarfile, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()

raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as t:
    info = tarfile.TarInfo("data")
    info.size = 3 << 20
    t.addfile(info, io.BytesIO(bytes(range(256)) * (12 << 10)))
layer = raw.getvalue()
OCI = "application/vnd.oci.image."
config = json.dumps({"architecture": "amd64", "os": "linux",
                     "rootfs": {"type": "layers", "diff_ids": [sha(layer)]}}).encode()
manifest = json.dumps({
    "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
    "config": {"mediaType": OCI + "config.v1+json", "digest": sha(config), "size": len(config)},
    "layers": [{"mediaType": OCI + "layer.v1.tar", "digest": sha(layer), "size": len(layer)}]}
    ).encode()
blobs = {sha(config): config, sha(layer): layer}
count, seen, uploads = {}, [], {}
lock = threading.Lock()
other = None

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def reply(self, status, body=b"", headers=(), length=None, cut=None):
        self.send_response(status)
        for k, v in headers: self.send_header(k, v)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "HEAD": return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
    def number(self, key):
        with lock:
            count[key] = count.get(key, 0) + 1
            return count[key]
    def do(self):
        with lock:
            seen.append([self.server.server_port, self.command, self.path,
                         self.headers.get("Authorization", ""), self.headers.get("Range", "")])
        path, _, query = self.path.partition("?")
        if path == "/seen": return self.reply(200, json.dumps(seen).encode())
        if path == "/v2/": return self.reply(200, b"{}")
        if path.startswith("/storage/"):
            return self.reply(200, blobs.get(path[9:], b""))
        if path == "/token":
            return self.reply(200, json.dumps({"token": "T0KEN", "expires_in": 300}).encode())
        parts = path.split("/")
        how, kind = parts[2], parts[3]
        if how.startswith("auth") and self.headers.get("Authorization") != "Bearer T0KEN":
            return self.reply(401, b"{}", [("WWW-Authenticate",
                'Bearer realm="http://%s/token",service="x",scope="repository:%s:pull"'
                % (self.headers["Host"], how))])
        if kind == "manifests" and self.command in ("GET", "HEAD"): return self.manifest(how, parts[4])
        if kind == "blobs" and self.command in ("GET", "HEAD"): return self.blob(how, parts[4])
        if kind == "tags": return self.tags(how, query)
        if kind == "blobs" or kind == "manifests": return self.upload(how, parts, query)
        self.reply(404, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no\\nsuch"}]}')
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do
    def manifest(self, how, ref):
        body, kind, headers = manifest, OCI + "manifest.v1+json", []
        if how == "wrongdigest": headers = [("Docker-Content-Digest", sha(b"other"))]
        if how == "wrongtype": kind = OCI + "index.v1+json"
        if how == "notype": kind = "text/plain; charset=utf-8"
        if how == "schema1": kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
        if how == "big": body = b'{"x":"' + b"a" * (5 << 20) + b'"}'
        if how == "html": return self.reply(200, b"<html>hello</html>", [("Content-Type", "text/html")])
        if how == "late": return self.reply(429, b"", [("Retry-After", "7200")])
        if how == "denied": return self.reply(403, b'{"errors":[{"code":"DENIED","message":"no"}]}')
        if how == "broken" : return self.reply(500, b"<html>")
        if how == "flaky" and self.number("flaky") < 3: return self.reply(503, b"")
        if how == "round": return self.reply(307, b"", [("Location", self.path)])
        if how == "hang": time.sleep(60)
        if how == "teapot": return self.reply(418, b"\x00\x1b[31mevil\n")
        if how == "changed" and ref.startswith("sha256:"): body = manifest + b" "
        if how == "warn": headers = [("Warning", '299 - "use another\tregistry"')]
        self.reply(200, body, [("Content-Type", kind)] + headers)
    def blob(self, how, digest):
        body = blobs.get(digest)
        empty = ("relative", "absolute", "failonce", "plainpush", "chunks", "noplace", "refuse")
        if body is None or how in empty: return self.reply(404, b"")
        big = len(body) > 1 << 20
        start = 0
        if self.headers.get("Range") and how not in ("norange",):
            start = int(self.headers["Range"][6:].split("-")[0])
        headers = [("Content-Range", "bytes %d-%d/%d" % (start, len(body) - 1, len(body)))] if start else []
        status = 206 if start else 200
        if big and how in ("cut", "norange") and self.number(how) == 1:
            return self.reply(200, body, cut=1 << 20)
        if big and how == "cutalways": return self.reply(status, body[start:], headers, cut=1000)
        if big and how == "evil": body = body[:-1] + b"X"
        if big and how == "short": return self.reply(200, body[:-5])
        if big and how == "long": return self.reply(200, body + b"tail")
        if big and how == "stall":
            self.reply(200, body[:500000], length=len(body))
            time.sleep(60)
            return
        if big and how == "badrange" and self.number(how) == 1: return self.reply(200, body, cut=1 << 20)
        if big and how == "badrange": return self.reply(206, body[5:], [("Content-Range", "bytes 5-%d/%d" % (len(body) - 1, len(body)))])
        if how == "authredirect":
            return self.reply(307, b"", [("Location", "http://127.0.0.1:%d/storage/%s?sig=S3CRET" % (other, digest))])
        if how == "loop": return self.reply(307, b"", [("Location", self.path)])
        self.reply(status, body[start:], headers)
    def tags(self, how, query):
        base = "/v2/%s/tags/list" % how
        if how == "tagloop": return self.reply(200, b'{"tags":["a"]}', [("Link", '<%s?n=1000>; rel="next"' % base)])
        if how == "tagout": return self.reply(200, b'{"tags":["a"]}', [("Link", '<http://127.0.0.1:%d%s>; rel="next"' % (other, base))])
        if how == "tagnull": return self.reply(200, b'{"name":"x","tags":null}')
        if "last=b" in query: return self.reply(200, b'{"tags":["c"]}')
        self.reply(200, b'{"tags":["b","a"]}', [("Link", '<%s?last=b&n=2>; rel="next"' % base)])
    def upload(self, how, parts, query):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts[3] == "manifests":
            return self.reply(201, b"", [("Docker-Content-Digest", sha(body if how != "liar" else b"x"))])
        if self.command == "POST":
            if how == "noplace": return self.reply(202, b"")
            if how == "refuse": return self.reply(413, b"")
            key = "u%d" % self.number("upload")
            uploads[key] = b""
            to = {"relative": "/v2/relative/blobs/uploads/%s?_state=a%%2Fb",
                  "absolute": "http://%s/v2/absolute/blobs/uploads/%%s" % self.headers["Host"]}.get(how, "/v2/" + how + "/blobs/uploads/%s")
            return self.reply(202, b"", [("Location", to % key)])
        key = parts[5]
        if how == "relative" and "_state=a%2Fb" not in query: return self.reply(400, b"")
        if how == "failonce" and self.command == "PUT" and self.number("failonce") == 1:
            return self.reply(503, b"")
        if self.command == "DELETE": return self.reply(204)
        uploads[key] += body
        if self.command == "PATCH":
            return self.reply(202, b"", [("Location", self.path), ("Range", "0-%d" % (len(uploads[key]) - 1))])
        digest = query.split("digest=")[1].replace("%3A", ":")
        if sha(uploads[key]) != digest: return self.reply(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        blobs_up[digest] = uploads[key]
        self.reply(201)
blobs_up = {}
servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
other = servers[1].server_port
for s in servers:
    s.daemon_threads = True
    s.handle_error = lambda *args: None
    threading.Thread(target=s.serve_forever, daemon=True).start()
print(servers[0].server_port, servers[1].server_port, flush=True)
sys.stdin.read()
'''


class RegistryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        cls.port, cls.other = map(int, cls.server.stdout.readline().split())

    @classmethod
    def tearDownClass(cls):
        cls.server.stdin.close()
        cls.server.wait()
        cls.server.stdout.close()

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="coam-reg-")
        self.addCleanup(self.tmp.cleanup)
        self.dir = self.tmp.name
        self.ctx = coaming.Context(limits={"http_stall_ms": 2000})
        self.addCleanup(self.ctx.close)

    def name(self, how, tag="1"):
        return f"docker://127.0.0.1:{self.port}/{how}:{tag}"

    def refused(self, reason, function, *args, **kwargs):
        with self.assertRaises(errors.CoamingError) as caught:
            function(self.ctx, *args, **kwargs)
        error = caught.exception
        self.assertIn(error.reason, reason if isinstance(reason, tuple) else (reason,), str(error))
        self.assertFalse(any(c in error.message for c in "\n\x1b\x00"), repr(error.message))
        for secret in ("T0KEN", "S3CRET", "sig="):
            self.assertNotIn(secret, str(error))
        return error

    def seen(self, how):
        import urllib.request
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen") as answer:
            return [row for row in json.load(answer) if f"/{how}" in row[2] or how == "*"]

    def pull(self, how, **options):
        return oci.pull(self.ctx, self.name(how), self.dir + "/l", "a", **options)

    def files(self):
        return [os.path.relpath(os.path.join(d, f), self.dir)
                for d, _, names in os.walk(self.dir) for f in names]

    def test_manifests_that_lie(self):
        for how, reason in (("wrongdigest", "digest.mismatch"), ("wrongtype", "oci.media_type"),
                            ("schema1", "oci.schema1"), ("big", "core.limit"),
                            ("html", ("json.invalid", "oci.manifest")), ("denied", "oci.denied"),
                            ("broken", "http.status"), ("round", "http.redirect"),
                            ("teapot", "oci.registry"), ("nothing/here", "oci.not_found")):
            with self.subTest(how):
                if how in ("broken",):
                    self.ctx = coaming.Context(limits={"http_retries": 0})
                self.refused(reason, oci.open, self.name(how))
                self.assertEqual(self.files(), [])
        digest = oci.open(self.ctx, self.name("changed")).digest
        self.refused("digest.mismatch", oci.open,
                     f"docker://127.0.0.1:{self.port}/changed@{digest}")
        oci.open(self.ctx, self.name("notype"))
        notes = []
        oci.open(self.ctx, self.name("warn"), notes=notes)
        self.assertEqual(notes[0].text, "use another registry")

    def test_rate_limits_are_told_not_slept_through(self):
        begin = time.monotonic()
        error = self.refused("http.rate_limited", oci.open, self.name("late"))
        self.assertLess(time.monotonic() - begin, 30)
        self.assertIn(error.details.get("retry_after_ms"), ("7200000", 7200000))

    def test_a_server_that_recovers(self):
        oci.open(self.ctx, self.name("flaky"))

    def test_broken_downloads_go_on(self):
        for how in ("cut", "norange"):
            with self.subTest(how):
                self.pull(how)
        ranges = [row[4] for row in self.seen("cut/blobs") if row[4]]
        self.assertEqual(len(ranges), 1)

    def test_blobs_that_lie(self):
        for how, reason in (("evil", "digest.mismatch"), ("short", "digest.size_mismatch"),
                            ("long", ("digest.size_mismatch", "core.limit")),
                            ("loop", "http.redirect"),
                            ("badrange", ("http.truncated", "oci.registry", "digest.mismatch",
                                          "http.status"))):
            with self.subTest(how):
                self.refused(reason, oci.pull, self.name(how), self.dir + "/l", "a")
                self.assertFalse(os.path.exists(self.dir + "/l/index.json"))
                layer = [f for f in self.files() if "blobs/" in f and
                         os.path.getsize(self.dir + "/" + f) > 1 << 20]
                self.assertEqual(layer, [])
                self.refused(reason + ("stream.corrupt", "archive.corrupt")
                             if isinstance(reason, tuple)
                             else (reason, "archive.corrupt", "stream.corrupt"),
                             lambda ctx: oci.open(ctx, self.name(how)).unpack(self.dir + "/b"))
                self.assertFalse(os.path.exists(self.dir + "/b"))

    def test_cut_again_and_again(self):
        self.refused("http.truncated", oci.pull, self.name("cutalways"), self.dir + "/l", "a")
        self.assertFalse(os.path.exists(self.dir + "/l/index.json"))

    def test_stalls_end(self):
        begin = time.monotonic()
        self.refused(("core.deadline_exceeded",), oci.open, self.name("hang"), timeout=1)
        self.refused(("core.deadline_exceeded",), oci.pull, self.name("stall"), self.dir + "/l", "a",
                     timeout=1)
        self.refused(("core.deadline_exceeded",),
                     lambda ctx: oci.open(ctx, self.name("stall")).unpack(self.dir + "/b",
                                                                          timeout=1))
        self.assertLess(time.monotonic() - begin, 20)
        self.assertFalse(os.path.exists(self.dir + "/b"))
        cancel = coaming.Cancel()
        cancel.fire()
        self.refused("core.cancelled", oci.open, self.name("good"), cancel=cancel)

    def test_a_later_call_goes_on_where_one_stopped(self):
        self.refused("core.deadline_exceeded", oci.pull, self.name("stall"), self.dir + "/l", "a",
                     timeout=1)
        partials = [f for f in self.files() if "/partial/sha256-" in f and not f.endswith(".rec")]
        self.assertEqual(len(partials), 1)
        have = os.path.getsize(self.dir + "/" + partials[0])
        self.assertGreater(have, 0)
        self.pull("later")
        self.assertEqual([row[4] for row in self.seen("later/blobs") if row[4]],
                         [f"bytes={have}-"])
        self.assertEqual(os.listdir(self.dir + "/l/.coaming/partial"), [])

    def test_tokens_stay_at_home(self):
        self.pull("authredirect")
        rows = self.seen("*")
        stored = [row for row in rows if row[2].startswith("/storage/")]
        self.assertTrue(stored)
        self.assertTrue(all(row[0] == self.other and row[3] == "" for row in stored))
        self.assertTrue(any(row[3] == "Bearer T0KEN" for row in rows if "/authredirect/" in row[2]))

    def test_credentials_are_not_sent_to_strangers(self):
        self.pull("authplain", credentials=("me", "s3cret"))
        tokens = [row for row in self.seen("token")]
        self.assertTrue(any(row[3].startswith("Basic ") for row in tokens))

    def test_tags(self):
        self.assertEqual(oci.list_names(self.ctx, self.name("pages")), ["a", "b", "c"])
        self.assertEqual(oci.list_names(self.ctx, self.name("tagnull")), [])
        self.refused("oci.registry", oci.list_names, self.name("tagloop"))
        self.refused("oci.registry", oci.list_names, self.name("tagout"))

    def test_pushes(self):
        self.pull("good")
        source = f"oci:{self.dir}/l:a"
        for how in ("relative", "absolute", "failonce", "plainpush"):
            with self.subTest(how):
                oci.copy(self.ctx, source, self.name(how))
        oci.copy(self.ctx, source, self.name("chunks"), chunk_size=1 << 20)
        self.refused("oci.registry", oci.copy, source, self.name("noplace"))
        self.refused("oci.registry", oci.copy, source, self.name("refuse"))
        self.refused("digest.mismatch", oci.copy, source, self.name("liar"))


if __name__ == "__main__":
    junit.main()
