"""Trust policies: what skopeo takes we take, what it refuses we refuse, over the same registry, store,
images and signatures, made in turn by both."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
ACCEPT = {"type": "insecureAcceptAnything"}
REJECT = {"type": "reject"}


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"),
                     "docker-registry or skopeo is not installed")
class PolicyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tmp = tempfile.TemporaryDirectory(prefix="coam-policy.", dir="/tmp")
        cls.addClassCleanup(tmp.cleanup)
        cls.dir = tmp.name
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            cls.port = s.getsockname()[1]
        config = cls.dir + "/registry.yml"
        with open(config, "w", encoding="utf-8") as out:
            out.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {cls.dir}/registry}}}}\n"
                      f"http: {{addr: '127.0.0.1:{cls.port}'}}\n")
        registry = subprocess.Popen(["docker-registry", "serve", config],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(registry.wait)
        cls.addClassCleanup(registry.terminate)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", cls.port)) == 0:
                    break
            time.sleep(0.02)
        os.makedirs(cls.dir + "/home/.gnupg", 0o700)
        cls.env = dict(os.environ, HOME=cls.dir + "/home", GNUPGHOME=cls.dir + "/home/.gnupg")
        cls.host = f"127.0.0.1:{cls.port}"
        cls.prepare()

    @classmethod
    def run_program(cls, *args, code=0):
        done = subprocess.run(args, capture_output=True, text=True, check=False, cwd=cls.dir,
                              env=cls.env)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    @classmethod
    def prepare(cls):
        coam = lambda *args: cls.run_program(COAM, *args).stdout.strip()
        cls.keys = {}
        for name in "ab":
            cls.keys[name] = coam("keys", "generate", "--output", f"{name}.sec", "--public",
                                  f"{name}.pub", f"{name} <{name}@example.com>", "--type=rsa2048")
            cls.run_program("gpg", "--batch", "--quiet", "--import", f"{name}.sec")
        cls.addClassCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env=cls.env, check=False)
        for name in ("c", "d"):
            cls.run_program("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-out", name + ".pem")
            cls.run_program("openssl", "pkey", "-in", name + ".pem", "-pubout", "-out",
                            name + ".pub")
        cls.write("registries.d/default.yaml",
                  "# where the signatures are\n"
                  f"default-docker:\n  lookaside: file://{cls.dir}/store\n"
                  f"docker:\n  {cls.host}/cosign:\n    use-sigstore-attachments: true\n"
                  f"  {cls.host}/elsewhere:\n    lookaside: 'file://{cls.dir}/nothing'\n")
        cls.write("tree/file", "hello")
        cls.write("accept.json", json.dumps({"default": [ACCEPT]}))
        coam("build", "--mtime", "0", "tree", "oci:layout:one")
        common = ("--registries-d", "registries.d")

        def ours(name, *args):
            coam("copy", *common, *args, "oci:layout:one", f"docker://{cls.host}/{name}")

        def theirs(name, *args):
            cls.run_program("skopeo", "--policy", "accept.json", "--registries.d", "registries.d",
                            "copy", "--dest-tls-verify=false", *args, "oci:layout:one",
                            f"docker://{cls.host}/{name}")
        # Every image is the same manifest; the repositories keep the signatures apart.
        coam("copy", "oci:layout:one", f"docker://{cls.host}/org/unsigned:1")
        ours("org/ours:1", "--sign-by", "a.sec")
        theirs("org/theirs:1", "--sign-by", cls.keys["a"])
        ours("org/byb:1", "--sign-by", "b.sec")
        ours("org/both:1", "--sign-by", "b.sec")
        ours("org/both:1", "--sign-by", "a.sec")
        ours("org/renamed:1", "--sign-by", "a.sec", "--sign-identity", "example.com/org/renamed:1")
        theirs("org/retagged:2", "--sign-by", cls.keys["a"])
        coam("copy", "oci:layout:one", f"docker://{cls.host}/org/retagged:1")
        ours("cosign/app:1", "--sign-by-sigstore-private-key", "c.pem")
        ours("cosign/two:1", "--sign-by-sigstore-private-key", "d.pem")
        ours("cosign/two:1", "--sign-by-sigstore-private-key", "c.pem", "--sign-by", "a.sec")
        coam("copy", "oci:layout:one", f"docker://{cls.host}/elsewhere/app:1")
        cls.digest = coam("digest", "oci:layout:one")
        coam("copy", "oci:layout:one", f"docker://{cls.host}/org/damaged:1")
        damaged = f"store/org/damaged@{cls.digest.replace(':', '=')}/signature-1"
        cls.write(damaged, "not a signature")
        with open(os.path.join(cls.dir, "a.pub"), "rb") as key:
            cls.key_data = base64.b64encode(key.read()).decode()
        cls.images = ["org/unsigned:1", "org/ours:1", "org/theirs:1", "org/byb:1", "org/both:1",
                      "org/renamed:1", "org/retagged:1", "org/retagged:2", "cosign/app:1",
                      "cosign/two:1", "elsewhere/app:1", "org/damaged:1",
                      "org/ours@" + cls.digest, "org/retagged@" + cls.digest]

    def signed_by(self, key="a", **more):
        return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": f"{self.dir}/{key}.pub",
                **more}

    def sigstore(self, key="c", **more):
        return {"type": "sigstoreSigned", "keyPath": f"{self.dir}/{key}.pub", **more}

    def docker(self, scopes, default=None):
        return {"default": [default or REJECT], "transports": {"docker": scopes}}

    def verdicts(self, policy, image):
        """Whether skopeo and we take the image, and what we say."""
        self.write("policy.json", policy if isinstance(policy, str) else json.dumps(policy))
        for out in ("out1", "out2"):
            shutil.rmtree(os.path.join(self.dir, out), ignore_errors=True)
        theirs = self.run_program("skopeo", "--policy", "policy.json", "--registries.d",
                                  "registries.d", "copy", "--src-tls-verify=false",
                                  "--remove-signatures", image, "dir:out1", code=None)
        ours = self.run_program(COAM, "copy", "--policy", "policy.json", "--registries-d",
                                "registries.d", image, "dir:out2", code=None)
        if ours.returncode != 0:
            self.assertFalse(os.path.exists(os.path.join(self.dir, "out2/manifest.json")))
        return theirs, ours

    def compare(self, cases):
        taken = refused = 0
        for label, policy, image in cases:
            with self.subTest(label, image=image):
                theirs, ours = self.verdicts(policy, image)
                taken += ours.returncode == 0
                refused += ours.returncode != 0
                # Debian's skopeo refuses what cosign signed, whoever signed it.
                if "sigstore disabled" in theirs.stderr:
                    continue
                self.assertEqual(theirs.returncode == 0, ours.returncode == 0,
                                 f"skopeo: {theirs.stderr}\ncoam: {ours.stderr}")
        return taken, refused

    def test_requirements_for_each_image(self):
        host = self.host
        exact = {"signedIdentity": {"type": "matchExact"}}
        policies = {
            "any": {"default": [ACCEPT]},
            "none": {"default": [REJECT]},
            "a": {"default": [self.signed_by()]},
            "data": {"default": [{"type": "signedBy", "keyType": "GPGKeys",
                                  "keyData": self.key_data}]},
            "a and b": {"default": [self.signed_by(), self.signed_by("b")]},
            "exact": {"default": [self.signed_by(**exact)]},
            "repository": {"default": [self.signed_by(
                signedIdentity={"type": "matchRepository"})]},
            "reference": {"default": [self.signed_by(signedIdentity={
                "type": "exactReference", "dockerReference": f"{host}/org/ours:1"})]},
            "one repository": {"default": [self.signed_by(signedIdentity={
                "type": "exactRepository", "dockerRepository": f"{host}/org/retagged"})]},
            "remap": {"default": [self.signed_by(signedIdentity={
                "type": "remapIdentity", "prefix": host, "signedPrefix": "example.com"})]},
            "sigstore": {"default": [self.sigstore()]},
            "both kinds": {"default": [self.sigstore(), self.signed_by()]},
            "sigstore d": {"default": [self.sigstore(
                "d", signedIdentity={"type": "matchRepository"})]},
        }
        taken, refused = self.compare(
            [(label, policy, f"docker://{host}/{image}")
             for label, policy in policies.items() for image in self.images])
        self.assertGreater(taken, 40)
        self.assertGreater(refused, 60)

    def test_cosign_by_key(self):
        # As cosign writes them, by tag; the verdicts of ours alone, since Debian's skopeo has none.
        for image, policy, code in (
                ("cosign/app:1", self.sigstore(), 0), ("cosign/app:1", self.sigstore("d"), 6),
                ("cosign/two:1", self.sigstore(), 0), ("cosign/two:1", self.sigstore("d"), 0),
                ("org/unsigned:1", self.sigstore(), 6),
                ("cosign/app:1", self.sigstore(signedIdentity={
                    "type": "exactRepository", "dockerRepository": "example.com/x"}), 6),
                ("cosign/app:1", self.sigstore(rekorPublicKeyPath=f"{self.dir}/c.pub"), 9)):
            self.write("policy.json", json.dumps({"default": [policy]}))
            with self.subTest(image=image, policy=policy):
                self.run_program(COAM, "copy", "--policy", "policy.json", "--registries-d",
                                 "registries.d", f"docker://{self.host}/{image}", "dir:out4",
                                 code=code)

    def test_scopes(self):
        host = self.host
        image = f"docker://{host}/org/ours:1"
        scopes = [f"{host}/org/ours:1", f"{host}/org/ours", f"{host}/org", host, "",
                  f"{host}/org/ours:2", f"{host}/or", f"{host}/org/", "127.0.0.1", "*.0.0.1",
                  "*.0.1", "*.1", "*", f"*.0.0.1:{self.port}", f"{host}/*",
                  f"{host}/org/ours@{self.digest}"]
        cases = [(f"accept {s}", self.docker({s: [ACCEPT]}), image) for s in scopes]
        cases += [(f"reject {s}", self.docker({s: [REJECT]}, ACCEPT), image) for s in scopes]
        cases += [(f"narrower {a} {b}", self.docker({a: [ACCEPT], b: [REJECT]}), image)
                  for a, b in zip(scopes, scopes[1:5])]
        cases += [("by digest", self.docker({s: [ACCEPT]}), f"docker://{host}/org/ours@{self.digest}")
                  for s in (scopes[0], scopes[1], scopes[-1])]
        taken, refused = self.compare(cases)
        self.assertGreater(taken, 15)
        self.assertGreater(refused, 15)

    def test_paths(self):
        layout, link = self.dir + "/layout", self.dir + "/link"
        os.path.exists(link) or os.symlink(layout, link)
        cases = []
        for image in (f"oci:{layout}:one", f"oci:{link}:one", "oci:layout:one"):
            for scope in (layout, self.dir, "/tmp", "", layout + "/", layout + ":one", link, "tmp"):
                cases.append((scope, {"default": [REJECT],
                                      "transports": {"oci": {scope: [ACCEPT]}}}, image))
        self.compare(cases)

    def test_files_that_are_malformed(self):
        host = self.host
        image = f"docker://{host}/org/ours:1"
        bad = ['', '{}', '[]', 'null', '{"default":[]}', '{"default":null}', '{"default":{}}',
               '{"default":[{}]}', '{"default":[{"type":"x"}]}', '{"default":[{"type":"reject","a":1}]}',
               '{"default":[{"type":"insecureAcceptAnything"}],"x":1}',
               '{"default":[{"type":"insecureAcceptAnything"}],"default":[{"type":"reject"}]}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":null}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":[]}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":[]}}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"":[]}}}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"mars":{"x":[{"type":"reject"}]}}}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"dir":{"x":[{"type":"reject"}]}}}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"dir":{"/":[{"type":"reject"}]}}}',
               '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"dir":{"/x/":[{"type":"reject"}]}}}',
               '{"Default":[{"type":"insecureAcceptAnything"}]}',
               '{"default":[{"TYPE":"insecureAcceptAnything"}]}',
               '{"default":[{"type":"insecureAcceptAnything"}]} x']
        cases = [(text, text, image) for text in bad]
        for more in ({"keyType": "x"}, {"keyPath": ""}, {"keyData": "!"}, {"keyData": "YQ=="},
                     {"x": 1}, {"keyPath": "/does/not/exist"}, {"keyPath": 1},
                     {"signedIdentity": None}, {"signedIdentity": {}}, {"signedIdentity": []},
                     {"signedIdentity": {"type": "matchExact", "x": 1}},
                     {"signedIdentity": {"type": "x"}},
                     {"signedIdentity": {"type": "exactReference"}},
                     {"signedIdentity": {"type": "exactReference", "dockerReference": "a/b"}},
                     {"signedIdentity": {"type": "exactReference", "dockerReference": "UPPER:1"}},
                     {"signedIdentity": {"type": "exactRepository", "dockerRepository": "a/b:1"}},
                     {"signedIdentity": {"type": "remapIdentity", "prefix": host}},
                     {"signedIdentity": {"type": "remapIdentity", "prefix": "a b",
                                         "signedPrefix": host}},
                     {"signedIdentity": {"type": "remapIdentity", "prefix": host + "/org",
                                         "signedPrefix": host + "/org"}},
                     {"signedIdentity": {"type": "remapIdentity", "prefix": host + "/o",
                                         "signedPrefix": host + "/o"}},
                     {"signedIdentity": {"type": "remapIdentity", "prefix": host + "/org:1",
                                         "signedPrefix": host}}):
            cases.append((str(more), {"default": [self.signed_by(**more)]}, image))
            if "keyType" not in more:
                cases.append((str(more), {"default": [self.sigstore(**more)]},
                              f"docker://{host}/cosign/app:1"))
        self.compare(cases)

    def test_what_a_refusal_says(self):
        policy = {"default": [ACCEPT], "transports": {"docker": {
            f"{self.host}/org": [ACCEPT, self.signed_by()]}}}
        self.write("policy.json", json.dumps(policy))
        image = f"docker://{self.host}/org/unsigned:1"
        common = ("--policy", "policy.json", "--registries-d", "registries.d")
        said = self.run_program(COAM, "pull", *common, "--store", "pulled", image, code=6).stderr
        self.assertIn(f"requirement 2 (signedBy) of docker:{self.host}/org", said)
        self.assertIn("hint:", said)
        self.assertEqual(self.run_program(COAM, "images", "pulled", code=None).stdout, "")
        shown = json.loads(self.run_program(COAM, "trust", "policy", "check", "--format=json",
                                            *common, image, code=6).stdout)
        self.assertEqual((shown["schema"], shown["allowed"], shown["rule"], shown["signatures"]),
                         ("coam.policy.decision.v1", False, f"docker:{self.host}/org", 0))
        self.assertEqual([(r["type"], r["holds"], r.get("reason")) for r in shown["requirements"]],
                         [("insecureAcceptAnything", True, None),
                          ("signedBy", False, "policy.unsigned")])
        good = self.run_program(COAM, "trust", "policy", "check", *common,
                                f"docker://{self.host}/org/theirs:1").stdout
        self.assertIn("Verdict:      allowed", good)
        self.assertIn("signedBy", self.run_program(COAM, "trust", "policy", "show",
                                                   "policy.json").stdout)
        said = self.run_program(COAM, "copy", "--registries-d", "registries.d", image, "dir:out3",
                                code=2).stderr
        self.assertIn("no policy asks", said)

    def test_standalone_signatures(self):
        name = "example.com/org/app:1"
        self.run_program(COAM, "copy", "oci:layout:one", "dir:loose")
        self.run_program("skopeo", "standalone-sign", "loose/manifest.json", name, self.keys["a"],
                         "-o", "theirs.sig")
        self.run_program(COAM, "trust", "claim", "sign", "-k", "a.sec", "-o", "ours.sig",
                         self.digest, name)
        for made in ("theirs.sig", "ours.sig"):
            self.run_program("skopeo", "standalone-verify", "loose/manifest.json", name,
                             self.keys["a"].upper(), made)
            self.run_program(COAM, "trust", "claim", "verify", "-k", "a.pub", made, self.digest,
                             name)
        self.run_program(COAM, "trust", "claim", "verify", "-k", "b.pub", "ours.sig", self.digest,
                         name, code=6)
        said = self.run_program(COAM, "trust", "claim", "verify", "-k", "a.pub", "theirs.sig",
                                self.digest, name + "2", code=6).stderr
        self.assertIn("for " + name, said)

    def test_cosign_claims_are_what_openssl_verifies(self):
        self.run_program(COAM, "trust", "claim", "sign", "-k", "c.pem", "--cosign", "payload",
                         "-o", "payload.sig", self.digest, "example.com/a:1")
        with open(self.dir + "/payload.sig", encoding="ascii") as made, \
                open(self.dir + "/payload.der", "wb") as out:
            out.write(base64.b64decode(made.read()))
        self.run_program("openssl", "dgst", "-sha256", "-verify", "c.pub", "-signature",
                         "payload.der", "payload")
        verify = ("trust", "claim", "verify", "--cosign", "payload", "payload.sig", self.digest)
        self.run_program(COAM, *verify, "-k", "c.pub")
        self.run_program(COAM, *verify, "-k", "d.pub", code=6)


if __name__ == "__main__":
    junit.main()
