"""A world of its own for tests of the tool: namespaces, a web server with faults, and what was there.

A test program calls world.enter() first: it starts itself again in network, mount and PID namespaces of
its own, so that its servers may have ports 443 and 5000, nothing touches the machine, and a process,
mount, link or cgroup that the tool leaves is seen by World.traces().
"""
import http.server
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

# The program's own path, since Python resolves the links of what it imports.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
COAM = os.path.join(ROOT, "examples/coam/coam")
ENTERED = "COAM_E2E_ENTERED"
RKT_ERROR = 254


def enter():
    """Re-executes the program in namespaces of its own; says why and ends if that cannot be."""
    if os.environ.get(ENTERED):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        print("skipped: needs root")
        sys.exit(0)
    os.environ[ENTERED] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc",
                          "--propagation", "private", "--kill-child", "--",
                          sys.executable, *sys.argv])


def reasons():
    """Exit code by reason, from the table."""
    table = {}
    with open(os.path.join(ROOT, "capi/abi/reasons.tsv"), encoding="utf-8") as file:
        for line in file:
            cells = line.rstrip("\n").split("\t")
            if not line.startswith("#") and len(cells) >= 7:
                table[cells[0]] = int(cells[6])
    return table


class Gone(Exception):
    """Raised by a page: the server drops the connection."""


class Site:
    """Pages by path: bytes, a status number, a (status, headers, bytes) triple, or a function of the
    handler that returns one of these."""

    def __init__(self, port, tls=None):
        self.pages = {}
        self.seen = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                path = self.path.partition("?")[0]
                site.seen.append((self.command, path))
                page = site.pages.get(path, 404)
                try:
                    if callable(page):
                        page = page(self)
                    if page is None:
                        return
                    if isinstance(page, int):
                        page = (page, {}, b"")
                    if isinstance(page, bytes):
                        page = (200, {}, page)
                    status, headers, body = page
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if "Content-Length" not in headers:
                        self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(body)
                except (Gone, OSError):
                    self.close_connection = True

            do_HEAD = do_GET
            do_POST = do_GET
            do_PUT = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake belongs to the connection's thread, not to the accepting one.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        self.pages.clear()
        self.seen.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def truncated(body, at):
    """A page that promises `body` and breaks off after `at` bytes."""
    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:at])
        raise Gone()
    return page


def stalled(body, at, event):
    """A page that sends `at` bytes, sets `event`, and then nothing until the client goes."""
    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:at])
        handler.wfile.flush()
        event.set()
        handler.connection.settimeout(30)
        try:
            handler.connection.recv(1)
        except OSError:
            pass
        raise Gone()
    return page


def shell(text, cwd=None):
    done = subprocess.run(["bash", "-c", text], cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"{text}: {done.stderr.decode()}")
    return done.stdout.decode()


def authority(where):
    """A CA, a certificate of example.com by it, and one for another name."""
    shell("""set -e
      new='ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
      openssl req -x509 -newkey $new -days 2 -subj '/CN=Test authority' -keyout ca.key -out ca.pem
      for name in example.com other.example; do
        openssl req -newkey $new -subj "/CN=$name" -keyout $name.key -out $name.csr
        openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
          -out $name.pem -extfile <(echo "subjectAltName=DNS:$name")
      done""", cwd=where)


def _lines(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    return set(done.stdout.decode().split("\n")) - {""}


class World(unittest.TestCase):
    """A test case that compares what is there before and after, and judges refusals."""

    reason_exit = reasons()
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="coam-e2e.", dir="/tmp")
        cls.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": cls.work, "LC_ALL": "C.UTF-8",
                   "GNUPGHOME": os.path.join(cls.work, "gnupg")}
        os.environ["GNUPGHOME"] = cls.env["GNUPGHOME"]

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(cls.work)

    def traces(self):
        return {
            "mounts": _lines("awk '{ print $5, $9 }' /proc/self/mountinfo"),
            "processes": _lines("ps -eo pid=,ppid=,args= | grep -vE ' (ps -eo|grep -vE|bash -c|awk)|"
                                "gpg-agent|<defunct>' | awk '$1 != 1'"),
            "links": _lines("ip -o link | cut -d: -f2 | cut -d@ -f1 | grep -v e2e0"),
            "cgroups": _lines("find /sys/fs/cgroup -type d -path '*/coaming/*'"),
            "files": _lines("find /run/coaming /run/netns /var/lib/cni /var/lib/rkt /etc/rkt"
                            " /var/lib/coaming -type f 2>/dev/null"),
        }

    def setUp(self):
        self.before = self.traces()
        self.addCleanup(self.nothing_left)

    def nothing_left(self):
        # A process that was killed may still be going.
        deadline = time.monotonic() + 3
        after = self.traces()
        while after["processes"] - self.before["processes"] and time.monotonic() < deadline:
            time.sleep(0.05)
            after = self.traces()
        for kind, before in self.before.items():
            self.assertEqual(after[kind] - before, set(), f"{kind} are left")

    def path(self, *names):
        return os.path.join(self.work, *names)

    def run_tool(self, *words, cwd=None, name="coam", timeout=60, env=None):
        """Runs the tool under `name`; (exit code, stdout, stderr)."""
        words = [str(word) for word in words]
        argv = [COAM, *([name] if name != "coam" else []), *words]
        done = subprocess.run(argv, cwd=cwd or self.work, env={**self.env, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              check=False)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(
            errors="replace")

    def ok(self, *words, **kwargs):
        code, out, err = self.run_tool(*words, **kwargs)
        self.assertEqual(code, 0, f"{words}: {err}")
        return out

    def interrupt(self, event, *words, name="coam", cwd=None):
        """Runs the tool, sends SIGINT once `event` (a threading.Event or a function) is there."""
        argv = [COAM, *([name] if name != "coam" else []), *[str(word) for word in words]]
        with subprocess.Popen(argv, cwd=cwd or self.work, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            deadline = time.monotonic() + 30
            there = event.is_set if hasattr(event, "is_set") else event
            while not there():
                self.assertIsNone(child.poll(), "it ended before it could be interrupted: "
                                  + child.stderr.read().decode() if child.poll() is not None else "")
                self.assertLess(time.monotonic(), deadline, "nothing to interrupt")
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=30)
        return child.returncode, out.decode(), err.decode()

    def refused(self, text, reason, *words, name="coam", **kwargs):
        """The tool must fail: with `text` (a pattern) in its message, a hint, and the exit code that
        the table gives `reason` (or a number)."""
        code, out, err = self.run_tool(*words, name=name, **kwargs)
        self.judge(text, reason, name, code, out, err)

    def judge(self, text, reason, name, code, out, err):
        want = reason if isinstance(reason, int) else self.reason_exit[reason]
        said = f"\nexit code {code}\nstdout: {out}\nstderr: {err}"
        self.assertRegex(err, re.compile(text, re.IGNORECASE), said)
        self.assertEqual(code, want, said)
        self.assertRegex(err, rf"(?m)^{name}: ", said)
        self.assertRegex(err, r"(?m)^hint: ", said)
        for ugly in ("Traceback", "terminate called", "Assertion", "Segmentation", "ERROR: Address"):
            self.assertNotIn(ugly, err, said)
        self.assertEqual(out, "", said)
