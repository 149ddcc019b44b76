"""coam verify, sign and keys, and gpg_verify: with each other and with gpg."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
EXAMPLE = os.path.join(ROOT, "examples/c/gpg_verify")
REFUSED = 6


class ToolTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-sig-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.write("hello.aci", b"an image\n" * 1000)

    def write(self, name, content):
        with open(os.path.join(self.dir, name), "wb") as out:
            out.write(content)

    def read(self, name):
        with open(os.path.join(self.dir, name), "rb") as file:
            return file.read()

    def run_tool(self, *words, program=COAM, stdin=subprocess.DEVNULL):
        return subprocess.run([program, *words], cwd=self.dir, capture_output=True, check=False,
                              stdin=stdin)

    def ok(self, *words, **kwargs):
        done = self.run_tool(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def generate(self, name="Ann <ann@example.com>", stem="ann"):
        return self.ok("keys", "generate", f"--output={stem}.sec", f"--public={stem}.pub",
                       name).strip()

    def test_sign_and_verify(self):
        fingerprint = self.generate()
        self.assertEqual(os.stat(os.path.join(self.dir, "ann.sec")).st_mode & 0o777, 0o600)
        self.ok("sign", "--key=ann.sec", "hello.aci")
        done = self.run_tool("verify", "--key=ann.pub", "hello.aci")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"good signature by", done.stderr)
        verdict = json.loads(self.ok("verify", "--key=ann.pub", "--format=json", "hello.aci"))
        self.assertEqual(verdict["signatures"][0]["fingerprint"], fingerprint)
        self.write("hello.aci", b"another")
        done = self.run_tool("verify", "--key=ann.pub", "hello.aci")
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(b"does not fit the data", done.stderr)
        self.assertIn(b"hint:", done.stderr)

    def test_message_modes(self):
        self.generate()
        self.write("note", b"one\ntwo\n")
        self.ok("sign", "--key=ann.sec", "--mode=cleartext", "note")
        self.assertEqual(self.ok("verify", "--key=ann.pub", "--message", "note.asc"), "one\ntwo")
        self.ok("sign", "--key=ann.sec", "--mode=inline", "note")
        self.assertEqual(self.ok("verify", "--key=ann.pub", "--message", "note.asc"), "one\ntwo\n")

    def test_key_store(self):
        fingerprint = self.generate()
        dirs = ["--local-dir=local", "--system-dir=system"]
        self.ok("sign", "--key=ann.sec", "hello.aci")
        done = self.run_tool("verify", "--name=example.com/hello", *dirs, "hello.aci")
        self.assertEqual(done.returncode, REFUSED)
        done = self.run_tool("keys", "trust", "--prefix=example.com", *dirs, "ann.pub")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--yes", done.stderr)
        done = self.run_tool("keys", "trust", *dirs, "ann.pub")
        self.assertEqual(done.returncode, 2)
        self.ok("keys", "trust", "--prefix=example.com", "--yes", *dirs, "ann.pub")
        self.assertTrue(os.path.exists(os.path.join(
            self.dir, "local/prefix.d/example.com", fingerprint)))
        self.ok("verify", "--name=example.com/hello", *dirs, "hello.aci")
        self.assertIn(fingerprint, self.ok("keys", "list", *dirs))
        self.assertIn("Ann <ann@example.com>", self.ok("keys", "show", "ann.pub"))
        self.ok("keys", "remove", "--prefix=example.com", *dirs, fingerprint)
        self.assertEqual(self.run_tool("keys", "remove", "--prefix=example.com", *dirs,
                                       fingerprint).returncode, 4)
        self.ok("keys", "trust", "--root", "--yes", *dirs, "ann.pub")
        self.ok("keys", "mask", "--prefix=example.com", *dirs, fingerprint)
        self.assertEqual(self.run_tool("verify", "--name=example.com/hello", *dirs,
                                       "hello.aci").returncode, REFUSED)

    def test_passphrase_file(self):
        self.write("pass", b"open sesame\n")
        self.write("wrong", b"no\n")
        self.ok("keys", "generate", "--output=k.sec", "--passphrase-file=pass", "Ann")
        self.ok("sign", "--key=k.sec", "--passphrase-file=pass", "hello.aci")
        done = self.run_tool("sign", "--key=k.sec", "--passphrase-file=wrong", "hello.aci")
        self.assertEqual(done.returncode, 5)
        self.assertNotIn(b"sesame", done.stderr + done.stdout)

    def test_teaching_program(self):
        fingerprint = self.generate()
        self.generate("Eve", "eve")
        self.ok("sign", "--key=ann.sec", "hello.aci")
        self.assertEqual(self.ok("ann.pub", "hello.aci.asc", "hello.aci", program=EXAMPLE),
                         f"good {fingerprint} Ann <ann@example.com>\n")
        done = self.run_tool("eve.pub", "hello.aci.asc", "hello.aci", program=EXAMPLE)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(b"sig.untrusted", done.stdout)

    @unittest.skipUnless(shutil.which("gpg"), "gpg is not installed")
    def test_with_gpg(self):
        home = os.path.join(self.dir, "gnupg")
        os.mkdir(home, 0o700)
        env = dict(os.environ, GNUPGHOME=home)
        self.addCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env=env, check=False)

        def gpg(*words):
            return subprocess.run(["gpg", "--batch", "--yes", "--quiet", "--pinentry-mode=loopback",
                                   "--passphrase=", *words], cwd=self.dir, env=env, check=True,
                                  capture_output=True)
        gpg("--quick-generate-key", "Gil <gil@example.com>", "rsa2048", "sign", "0")
        gpg("--armor", "--export", "-o", "pubkeys.gpg")
        gpg("--armor", "--detach-sign", "hello.aci")
        self.ok("verify", "--key=pubkeys.gpg", "hello.aci")
        self.ok("pubkeys.gpg", "hello.aci.asc", "hello.aci", program=EXAMPLE)
        self.generate()
        gpg("--import", "ann.pub")
        self.ok("sign", "--key=ann.sec", "hello.aci")
        self.assertIn(b"GOODSIG", gpg("--status-fd=1", "--verify", "hello.aci.asc",
                                      "hello.aci").stdout)


if __name__ == "__main__":
    junit.main()
