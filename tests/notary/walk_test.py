"""Content trust from end to end: images in Debian's docker-registry, their signatures in its notary-server.
Push signed, pull verified, pull without trust, refuse unsigned; and `docker trust` where there is one."""
import json
import os
import re
import shutil
import subprocess
import unittest

from tests.notary import lab as labs
from tools.build import junit

LAB = None
MISSING = labs.missing() or (None if shutil.which("docker-registry") else "no docker-registry")


def docker_trust():
    """Whether a docker client with `docker trust` is here; no engine is needed."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run(
        [docker, "trust", "--help"], capture_output=True, check=False).returncode == 0


def setUpModule():
    global LAB
    if MISSING is None:
        LAB = labs.Lab()


def tearDownModule():
    if LAB is not None:
        LAB.close()


class Base(unittest.TestCase):
    count = 0

    def setUp(self):
        if MISSING is not None:
            self.skipTest(MISSING)
        Base.count += 1
        self.dir = LAB.path(f"walk{Base.count}")
        os.makedirs(self.dir + "/tree")
        self.port = labs.free_port()
        config = self.write("registry.yml", (
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.dir}/registry}}, "
            "delete: {enabled: true}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n"))
        registry = subprocess.Popen(["docker-registry", "serve", config],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(registry.wait)
        self.addCleanup(registry.terminate)
        labs.wait_for(self.port, registry)
        self.gun = f"127.0.0.1:{self.port}/app"
        self.docker_dir = self.dir + "/docker"
        os.makedirs(f"{self.docker_dir}/tls/127.0.0.1:{LAB.port}")
        shutil.copy(LAB.path("ca.pem"), f"{self.docker_dir}/tls/127.0.0.1:{LAB.port}/ca.crt")
        self.env = dict(os.environ, HOME=self.dir, DOCKER_CONFIG=self.docker_dir,
                        DOCKER_CONTENT_TRUST_SERVER=LAB.url, **labs.PASSPHRASES)
        for name in list(self.env):
            if name.startswith("NOTARY_"):
                del self.env[name]
        self.web = ["--http-host", f"127.0.0.1:{self.port}", "--ca-file", LAB.path("ca.pem")]
        self.trust = ["--content-trust", LAB.url]

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def coam(self, *words, code=0):
        done = subprocess.run([labs.COAM, *words], cwd=self.dir, env=self.env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done

    def build(self, name, content):
        self.write("tree/file", content)
        return self.coam("build", "--owner", "0:0", "--mtime", "0", "tree",
                         f"oci:layout:{name}").stdout.strip()

    def names(self, layout):
        with open(f"{self.dir}/{layout}/index.json", encoding="utf-8") as file:
            return [m["annotations"]["org.opencontainers.image.ref.name"]
                    for m in json.load(file)["manifests"]]

    def push(self, name, content, *flags):
        digest = self.build(name, content)
        self.coam("push", *self.web, *flags, f"oci:layout:{name}", f"docker://{self.gun}:{name}")
        return digest


class WalkTest(Base):
    def test_push_signed_pull_verified_pull_without_refuse_unsigned(self):
        image = f"docker://{self.gun}"
        digest = self.push("1", "one", *self.trust)
        pulled = self.coam("pull", *self.web, *self.trust, image + ":1", "./verified")
        self.assertEqual(pulled.stdout.strip(), digest)
        self.assertEqual(self.names("verified"), [f"{self.gun}:1"])
        self.assertEqual(self.coam("pull", *self.web, image + ":1", "./without").stdout.strip(),
                         digest)

        # A tag that nobody signed, in a repository that is signed.
        second = self.push("2", "two")
        refused = self.coam("pull", *self.web, *self.trust, image + ":2", "./verified", code=6)
        self.assertIn("No valid trust data for 2", refused.stderr)
        self.assertEqual(self.coam("pull", *self.web, image + ":2", "./without").stdout.strip(),
                         second)

        # A repository that nobody signed: docker's reason, and what to do.
        self.coam("push", *self.web, "oci:layout:2", f"docker://127.0.0.1:{self.port}/plain:1")
        refused = self.coam("pull", *self.web, *self.trust,
                            f"docker://127.0.0.1:{self.port}/plain:1", "./verified", code=6)
        name = f"127.0.0.1:{self.port}/plain"
        self.assertIn(f"remote trust data does not exist for {name}: {LAB.url} does not have trust "
                      f"data for {name}", refused.stderr)
        self.assertIn("hint: ", refused.stderr)
        self.assertEqual(self.names("verified"), [f"{self.gun}:1"])

        # A tag that was moved in the registry still gives what was signed.
        self.coam("copy", *self.web, image + ":2", image + ":1")
        self.assertEqual(self.coam("digest", *self.web, image + ":1").stdout.strip(), second)
        self.assertEqual(self.coam("pull", *self.web, *self.trust, image + ":1",
                                   "./again").stdout.strip(), digest)

        # What is under the signed digest is checked as ever.
        shutil.rmtree(f"{self.dir}/registry/docker/registry/v2/repositories/app/_manifests/"
                      f"revisions/sha256/{digest[7:]}")
        self.coam("pull", *self.web, *self.trust, image + ":1", "./gone", code=4)

    def test_copy_checks_its_source_and_signs_its_destination(self):
        image = f"docker://{self.gun}"
        digest = self.push("1", "one", *self.trust)
        self.coam("copy", *self.web, *self.trust, image + ":1",
                  f"docker://127.0.0.1:{self.port}/mirror:1")
        self.assertEqual(self.coam("pull", *self.web, *self.trust,
                                   f"docker://127.0.0.1:{self.port}/mirror:1",
                                   "./mirrored").stdout.strip(), digest)
        self.push("2", "two")
        self.coam("copy", *self.web, *self.trust, image + ":2", "oci:out:2", code=6)

    def test_sign_and_revoke(self):
        digest = self.push("1", "one")
        self.coam("trust", "sign", *self.web, *self.trust, f"{self.gun}:1")
        flags = ["--server", LAB.url, "--ca-file", LAB.path("ca.pem")]
        shown = json.loads(self.coam("trust", "inspect", *flags, self.gun).stdout)[0]
        self.assertEqual(shown["SignedTags"], [
            {"SignedTag": "1", "Digest": digest[7:], "Signers": ["Repo Admin"]}])
        self.coam("trust", "revoke", *flags, f"{self.gun}:1")
        self.coam("pull", *self.web, *self.trust, f"docker://{self.gun}:1", "./x", code=6)
        # Keys that are not here: refused, and nothing else is tried.
        shutil.rmtree(self.docker_dir + "/trust/private")
        refused = self.coam("trust", "sign", *self.web, *self.trust, f"{self.gun}:1", code=1)
        self.assertIn("could not find signing keys", refused.stderr)

    def test_planted_passphrases_never_show(self):
        self.push("1", "one", *self.trust)
        self.env["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"] = "hunter2-wrong"
        refused = self.coam("trust", "sign", *self.web, *self.trust, f"{self.gun}:1", code=5)
        self.assertNotIn("hunter2", refused.stdout + refused.stderr)
        for root, _, files in os.walk(self.docker_dir):
            for name in files:
                with open(os.path.join(root, name), "rb") as file:
                    self.assertNotIn(b"phrase", file.read())


@unittest.skipUnless(docker_trust(), "no docker client with `docker trust`")
class DockerTest(Base):
    """docker and the tool in turn on the same repositories and the same ~/.docker/trust."""

    def docker(self, *words, ok=True, stdin=None):
        done = subprocess.run(["docker", "trust", *words], cwd=self.dir, env=self.env, text=True,
                              input=stdin, capture_output=True, check=False)
        if ok:
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done

    def inspected(self, image):
        """What both show; they must agree."""
        flags = ["--server", LAB.url, "--ca-file", LAB.path("ca.pem")]
        theirs = json.loads(self.docker("inspect", image).stdout)[0]
        ours = json.loads(self.coam("trust", "inspect", *flags, image).stdout)[0]

        def plain(shown):
            return {"tags": {t["SignedTag"]: (t["Digest"], sorted(t["Signers"]))
                             for t in shown["SignedTags"] or []},
                    "signers": {s["Name"]: sorted(k["ID"] for k in s["Keys"])
                                for s in shown["Signers"] or []},
                    "admins": {a["Name"]: len(a["Keys"]) for a in shown["AdministrativeKeys"]}}
        self.assertEqual(plain(ours), plain(theirs))
        return plain(ours)

    def test_what_we_signed_docker_reads_and_extends(self):
        flags = ["--server", LAB.url, "--ca-file", LAB.path("ca.pem")]
        digest = self.push("1", "one", *self.trust)
        self.assertEqual(self.inspected(self.gun)["tags"], {"1": (digest[7:], ["Repo Admin"])})
        # docker makes a signer's key and lets him in, with the keys that we made.
        self.docker("key", "generate", "alice")
        self.docker("signer", "add", "--key", "alice.pub", "alice", self.gun)
        self.assertEqual(list(self.inspected(self.gun)["signers"]), ["alice"])
        # We sign as that signer.
        second = self.push("2", "two", *self.trust)
        self.assertEqual(self.inspected(self.gun)["tags"],
                         {"1": (digest[7:], ["Repo Admin"]), "2": (second[7:], ["alice"])})
        # We make a signer; docker signs as that one what is signed already.
        self.coam("trust", "key", "generate", "bob")
        self.coam("trust", "signer", "add", *flags, "--key", "bob.pub", "bob", self.gun)
        self.assertEqual(sorted(self.inspected(self.gun)["signers"]), ["alice", "bob"])
        self.docker("sign", f"{self.gun}:2")
        self.assertEqual(self.inspected(self.gun)["tags"]["2"], (second[7:], ["alice", "bob"]))
        self.assertEqual(self.coam("pull", *self.web, *self.trust, f"docker://{self.gun}:2",
                                   "./out").stdout.strip(), second)
        # Each revokes.
        self.docker("revoke", f"{self.gun}:2")
        self.assertEqual(list(self.inspected(self.gun)["tags"]), ["1"])
        self.coam("pull", *self.web, *self.trust, f"docker://{self.gun}:2", "./out", code=6)
        self.coam("trust", "signer", "remove", *flags, "bob", self.gun)
        self.assertEqual(list(self.inspected(self.gun)["signers"]), ["alice"])
        self.coam("trust", "revoke", *flags, f"{self.gun}:1")
        self.assertEqual(self.inspected(self.gun)["tags"], {})

    def test_what_docker_began_we_extend(self):
        self.coam("trust", "key", "generate", "carol")
        with open(self.dir + "/carol.pub", encoding="utf-8") as file:
            self.assertIn("role: carol", file.read())
        # docker begins a repository for a signer whose key we made.
        self.docker("signer", "add", "--key", "carol.pub", "carol", self.gun)
        self.assertEqual(self.inspected(self.gun)["tags"], {})
        digest = self.push("1", "one", *self.trust)
        self.assertEqual(self.inspected(self.gun)["tags"], {"1": (digest[7:], ["carol"])})
        # Keys that each loads from a file are the other's.
        private, _, _ = labs.signer_key(LAB, f"dave{self.port}")
        self.docker("key", "load", private, "--name", "dave")
        keys = self.coam("notary", "-d", self.docker_dir + "/trust", "key", "list").stdout
        self.assertRegex(keys, r"(?m)^dave ")
        self.assertRegex(keys, r"(?m)^carol ")
        self.assertRegex(keys, r"(?m)^root ")
        # Rotated by us, followed by docker, with its pinned root.
        rotate = ["notary", "-s", LAB.url, "-d", self.docker_dir + "/trust", "--tlscacert",
                  LAB.path("ca.pem"), "key", "rotate", self.gun]
        self.coam(*rotate, "targets")
        self.coam(*rotate, "root")
        self.coam(*rotate, "timestamp", "-r")
        self.assertEqual(self.inspected(self.gun)["tags"], {"1": (digest[7:], ["carol"])})
        second = self.push("2", "two", *self.trust)
        self.assertEqual(self.inspected(self.gun)["tags"]["2"], (second[7:], ["carol"]))

    def test_refusals_read_alike(self):
        unsigned = f"127.0.0.1:{self.port}/none"
        flags = ["--server", LAB.url, "--ca-file", LAB.path("ca.pem")]
        theirs = self.docker("inspect", unsigned, ok=False)
        ours = self.coam("trust", "inspect", *flags, unsigned, code=6)
        self.assertNotEqual(theirs.returncode, 0)
        for said in (theirs.stderr, ours.stderr):
            self.assertRegex(said, re.escape(f"no signatures or cannot access {unsigned}"))


if __name__ == "__main__":
    junit.main()
