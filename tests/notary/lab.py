"""A notary-server, a notary-signer and an authority of their own on loopback, and who works with them.

Everything is Debian's package `notary`: storage in memory, TLS by certificates made for this run, ports
chosen by the kernel. A Person has a trust directory and drives one client: the tool or `notary`.
"""
import base64
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

# The program's own path, since Python resolves the links of what it imports.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
COAM = os.path.join(ROOT, "examples/coam/coam")

PASSPHRASES = {
    "NOTARY_ROOT_PASSPHRASE": "the root of it all",
    "NOTARY_TARGETS_PASSPHRASE": "the targets phrase",
    "NOTARY_SNAPSHOT_PASSPHRASE": "the snapshot phrase",
    "NOTARY_DELEGATION_PASSPHRASE": "the delegation phrase",
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "the root of it all",
    "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "the repository phrase",
}


def missing():
    """Why this cannot run here, or None."""
    for program in ("notary", "notary-server", "notary-signer", "openssl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    for _ in range(500):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not answer")


class Lab:
    def __init__(self, auth=None):
        self.tmp = tempfile.TemporaryDirectory(prefix="coam-notary.", dir="/tmp")
        self.dir = self.tmp.name
        self.processes = []
        self.certificates()
        self.signer_port, self.port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.auth = auth
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def certificates(self):
        new = "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        self.write("ext", "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                          "extendedKeyUsage=serverAuth,clientAuth\n")
        subprocess.run(["sh", "-ec", f"""
            openssl req -x509 -newkey {new} -days 2 -subj '/CN=Test authority' -keyout ca.key \\
              -out ca.pem
            openssl req -newkey {new} -subj /CN=127.0.0.1 -keyout server.key -out server.csr
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
              -extfile ext -out server.pem
            """], cwd=self.dir, check=True, capture_output=True)

    def start(self):
        self.write("signer.json", json.dumps({
            "server": {"grpc_addr": f"127.0.0.1:{self.signer_port}",
                       "tls_cert_file": self.path("server.pem"),
                       "tls_key_file": self.path("server.key"),
                       "client_ca_file": self.path("ca.pem")},
            "logging": {"level": "error"}, "storage": {"backend": "memory"}}))
        server = {
            "server": {"http_addr": f"127.0.0.1:{self.port}",
                       "tls_cert_file": self.path("server.pem"),
                       "tls_key_file": self.path("server.key")},
            "trust_service": {"type": "remote", "hostname": "127.0.0.1",
                              "port": str(self.signer_port), "key_algorithm": "ecdsa",
                              "tls_ca_file": self.path("ca.pem"),
                              "tls_client_cert": self.path("server.pem"),
                              "tls_client_key": self.path("server.key")},
            "logging": {"level": "error"}, "storage": {"backend": "memory"}}
        if self.auth is not None:
            server["auth"] = self.auth
        self.write("server.json", json.dumps(server))
        for program, port in (("notary-signer", self.signer_port), ("notary-server", self.port)):
            env = dict(os.environ, NOTARY_SIGNER_DEFAULT_ALIAS="ALIAS",
                       NOTARY_SIGNER_ALIAS="the alias phrase")
            config = self.path(program.split("-")[1] + ".json")
            with open(self.path(program + ".log"), "wb") as log:
                process = subprocess.Popen([program, f"-config={config}"], env=env, stdout=log,
                                           stderr=log)
            self.processes.append(process)
            wait_for(port, process)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        self.processes.clear()

    def close(self):
        self.stop()
        self.tmp.cleanup()

    def ask(self, method, path, body=None, content_type=None):
        """(status, body) of the server, without a client of trust."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        request = urllib.request.Request(self.url + path, data=body or None, method=method)
        if content_type:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def fetch(self, path):
        return self.ask("GET", path)[1]


class Person:
    """One trust directory and one client. `tool` is "coam" or "notary": both take the same words."""

    def __init__(self, lab, name, tool, url=None, trust_dir=None):
        self.lab, self.name, self.tool = lab, name, tool
        self.url = url or lab.url
        self.dir = trust_dir or lab.path("trust-" + name)
        self.env = dict(os.environ, HOME=lab.path("home-" + name), **PASSPHRASES)
        os.makedirs(self.env["HOME"], exist_ok=True)
        self.flags = ["-s", self.url, "-d", self.dir, "--tlscacert", lab.path("ca.pem")]

    def other(self, tool):
        """The other client on the same directory."""
        twin = Person(self.lab, self.name, tool, self.url, self.dir)
        twin.flags = list(self.flags)
        twin.env = self.env
        return twin

    def run(self, *words, stdin=b""):
        program = [COAM, "notary"] if self.tool == "coam" else ["notary"]
        return subprocess.run([*program, *self.flags, *words], input=stdin, env=self.env,
                              cwd=self.lab.dir, capture_output=True, check=False, timeout=60)

    def ok(self, *words, stdin=b""):
        done = self.run(*words, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"{self.name} ({self.tool}) {' '.join(words)}: "
                                 f"{done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout.decode()

    def refused(self, *words, stdin=b""):
        done = self.run(*words, stdin=stdin)
        if done.returncode == 0:
            raise AssertionError(f"{self.name} ({self.tool}) {' '.join(words)} should have failed: "
                                 f"{done.stdout.decode()}")
        return done.stdout.decode() + done.stderr.decode()

    def targets(self, gun, *flags):
        """{name: (sha256, size, role)} as the client lists them."""
        return rows(self.ok("list", gun, *flags), 4)

    def keys(self):
        """[(role, gun, id)]"""
        listed = self.ok("key", "list")
        out = []
        for line in listed.splitlines():
            cells = line.split()
            for i, cell in enumerate(cells):
                if re.fullmatch("[0-9a-f]{64}", cell):
                    out.append((cells[0], cells[1] if i == 2 else "", cell))
        return sorted(out)

    def key_of(self, role):
        return [k for k in self.keys() if k[0] == role][0][2]

    def delegations(self, gun):
        """{role: (set of paths, set of key ids)}"""
        out, role = {}, None
        for line in self.ok("delegation", "list", gun).splitlines():
            cells = line.split()
            if not cells or cells[0] in ("ROLE", "----", "No"):
                continue
            if cells[0].startswith("targets/"):
                role = cells.pop(0)
                out[role] = (set(), set())
            for cell in cells:
                if re.fullmatch("[0-9a-f]{64}", cell):
                    out[role][1].add(cell)
                elif cell == '""':
                    out[role][0].add("")
                elif cell not in ("<all", "paths>", "1"):
                    out[role][0].add(cell)
        return out


def rows(text, columns):
    out = {}
    for line in text.splitlines():
        cells = line.split()
        if len(cells) == columns and re.fullmatch("[0-9a-f]{64}", cells[1]):
            out[cells[0]] = tuple(cells[1:])
    return out


def signer_key(lab, name):
    """A key pair made by openssl: (private PEM file, certificate file, public key file)."""
    base = lab.path(name)
    subprocess.run(["sh", "-ec", f"""
        openssl ecparam -name prime256v1 -genkey -noout -out {base}.ec
        openssl pkcs8 -topk8 -nocrypt -in {base}.ec -out {base}.key
        openssl req -x509 -key {base}.key -days 300 -subj /CN={name} -out {base}.crt
        openssl pkey -in {base}.key -pubout -out {base}.pub
        chmod 600 {base}.key
        """], check=True, capture_output=True)
    return base + ".key", base + ".crt", base + ".pub"


class Proxy:
    """Stands in front of the lab's server: what it gives may be changed, and a login wanted.

    change(path, bytes or status) -> bytes or status, of GET; login "USER:PASSWORD": tokens are needed, as a
    registry's token server gives them."""

    def __init__(self, lab, change=None, login=None):
        self.lab, self.change, self.login = lab, change, login
        self.seen, self.scopes = [], []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, content, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def token(self):
                wanted = "Basic " + base64.b64encode(proxy.login.encode()).decode()
                scope = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["scope"][0]
                # Anybody may read: Debian's client asks for no more than that without its login.
                given = self.headers.get("Authorization")
                if given != wanted and not (given is None and scope.endswith(":pull")):
                    return self.answer(401, b"{}")
                proxy.scopes.append(scope)
                return self.answer(200, json.dumps({"token": "for-" + scope}).encode())

            def serve(self):
                size = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(size)
                proxy.seen.append((self.command, self.path))
                if proxy.login is not None:
                    if self.path.startswith("/token"):
                        return self.token()
                    given = self.headers.get("Authorization", "")
                    need = "pull" if self.command == "GET" else "push"
                    if not given.startswith("Bearer for-") or not (need in given or "*" in given):
                        return self.answer(401, b"{}", WWW_Authenticate=(
                            f'Bearer realm="{proxy.url}/token",service="notary"'))
                status, body = proxy.lab.ask(self.command, self.path, sent,
                                             self.headers.get("Content-Type"))
                if proxy.change is not None and self.command == "GET":
                    body = proxy.change(self.path, body if status == 200 else status)
                    status, body = (body, b"{}") if isinstance(body, int) else (200, body)
                return self.answer(status, body)

            do_GET = do_POST = do_DELETE = serve

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lab.path("server.pem"), lab.path("server.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
