"""coaming.sig: keys made, exchanged and trusted; verdicts; and gpg where it is installed."""
import os
import shutil
import subprocess
import tempfile
import unittest

from tools.build import junit

import coaming
from coaming import errors, sig
from coaming._ffi import ffi, lib


class SigTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.ctx = coaming.Context()
        self.key = sig.Key.generate(self.ctx, "Ann <ann@example.com>")

    def path(self, name, content=None):
        path = os.path.join(self.dir, name)
        if content is not None:
            with open(path, "wb") as out:
                out.write(content)
        return path

    def test_sign_and_verify_bytes(self):
        signature = self.key.sign(b"data")
        self.assertTrue(signature.startswith(b"-----BEGIN PGP SIGNATURE-----"))
        keys = self.key.public()
        verdict = keys.verify(signature, b"data")
        verdict.check()
        self.assertEqual(verdict.good, 1)
        found = verdict.signatures[0]
        self.assertTrue(found.good)
        self.assertEqual(found.fingerprint, self.key.fingerprint)
        self.assertEqual(found.signer, self.key.fingerprint)
        self.assertEqual(found.user, "Ann <ann@example.com>")
        self.assertGreater(found.created, 1600000000)
        self.assertEqual(verdict.to_dict()["signatures"][0]["status"], "good")
        self.assertIn("good=1", repr(verdict))
        bad = keys.verify(signature, b"date")
        self.assertEqual(bad.signatures[0].reason, "sig.bad")
        with self.assertRaises(errors.VerificationError) as caught:
            bad.check("hello.aci")
        self.assertEqual(caught.exception.reason, "sig.bad")
        self.assertIn("hello.aci", caught.exception.message)

    def test_each_refusal_has_its_reason(self):
        now = 1700000000
        old = sig.Key.generate(self.ctx, "Old", time=now, expires="1h")
        keys = old.public()
        good = old.sign(b"x", time=now + 10)
        self.assertEqual(keys.verify(good, b"x", time=now + 20).signatures[0].reason, "")
        self.assertEqual(keys.verify(good, b"x", time=now + 7200).signatures[0].reason, "")
        self.assertEqual(keys.verify(good, b"x", time=now + 7200,
                                     require_alive_now=True).signatures[0].reason,
                         "sig.key_expired")
        short = old.sign(b"x", time=now + 10, expires="10s")
        with self.assertRaises(errors.ExpiredError):
            keys.verify(short, b"x", time=now + 60).check()
        self.assertEqual(keys.verify(good, b"x", time=now - 7200).signatures[0].reason,
                         "sig.key_unusable")
        self.assertEqual(self.key.public().verify(good, b"x").signatures[0].reason,
                         "sig.untrusted")
        with self.assertRaises(errors.ThresholdError):
            keys.verify(good, b"x", time=now + 20, required=2).check()
        with self.assertRaises(errors.CoamingError) as caught:
            keys.verify(b"\n", b"x")
        self.assertEqual(caught.exception.reason, "sig.malformed")
        with self.assertRaises(errors.VerificationError) as caught:
            old.sign(b"x", time=now + 7200)
        self.assertEqual(caught.exception.reason, "sig.key_expired")

    def test_files_messages_and_streams(self):
        data = self.path("data", b"z" * 300000)
        made = self.path("data.asc", self.key.sign_file(data))
        keys = self.key.public()
        events = []
        keys.verify_file(made, data, progress=events.append).check()
        self.assertEqual(events[0].kind, "verify")
        for mode in ("inline", "cleartext"):
            content, verdict = keys.verify_message(self.key.sign(b"hello\nyou", mode=mode))
            verdict.check()
            self.assertEqual(content, b"hello\nyou")
        content, verdict = sig.Key.generate(self.ctx, "B").public().verify_message(
            self.key.sign(b"hello", mode="inline"))
        self.assertIsNone(content)
        with open(made, "rb") as file:
            verifier = keys.verifier(file.read())
        self.assertTrue(verifier.known)
        for _ in range(3):
            verifier.update(b"z" * 100000)
        verifier.finish().check()
        with self.assertRaises(errors.CoamingError):
            verifier.finish()

    def test_keys_are_exchanged(self):
        for passphrase in (None, "open sesame"):
            secret = self.key.export(passphrase)
            again = sig.Key.parse(self.ctx, secret, passphrase)
            self.assertEqual(again.fingerprint, self.key.fingerprint)
            self.assertEqual(sig.Key.load(self.ctx, self.path("sec", secret),
                                          passphrase).fingerprint, again.fingerprint)
        with self.assertRaises(errors.AuthenticationError):
            sig.Key.parse(self.ctx, secret, "wrong")
        public = self.key.public()
        self.assertEqual(public.fingerprints, [self.key.fingerprint])
        self.assertIn("gpg key fingerprint is:", public.review)
        self.assertEqual(public.to_dict()["keys"][0]["userIds"], ["Ann <ann@example.com>"])
        self.assertEqual(sig.Keyring.parse(self.ctx, public.armored).fingerprints,
                         public.fingerprints)
        self.assertEqual(len(sig.Keyring.load(self.ctx, self.path(
            "pub", public.armored.encode()))), 1)
        self.assertIn("BEGIN PGP PUBLIC KEY BLOCK", self.key.revoke(1, "replaced"))

    def test_key_store(self):
        store = sig.KeyStore(self.ctx, local_dir=self.path("local"),
                             system_dir=self.path("system"))
        data = self.path("data", b"image")
        made = self.path("data.asc", self.key.sign(b"image"))
        with self.assertRaises(errors.VerificationError) as caught:
            store.verify_file("example.com/app", made, data)
        self.assertEqual(caught.exception.reason, "sig.no_keys")
        store.add("example.com/app", self.key.public())
        store.verify_file("example.com/app/sub", made, data).check()
        self.assertEqual(len(store.keyring("example.com/application")), 0)
        self.assertEqual(store.keyring("example.com/app").fingerprints, [self.key.fingerprint])
        self.assertEqual(store.keys(), [sig.TrustedKey(
            "example.com/app", self.key.fingerprint, True, False, ["Ann <ann@example.com>"])])
        store.remove("example.com/app", self.key.fingerprint)
        store.add(None, self.key.public())
        store.verify_file("example.org/any", made, data).check()
        store.mask("example.org", self.key.fingerprint)
        self.assertEqual(len(store.keyring("example.org/any")), 0)
        with self.assertRaises(errors.InvalidArgumentError):
            store.add("", self.key.public())

    @unittest.skipUnless(shutil.which("gpg"), "gpg is not installed")
    def test_gpg_reads_what_we_write(self):
        home = self.path("gnupg")
        os.mkdir(home, 0o700)
        env = dict(os.environ, GNUPGHOME=home)
        self.addCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env=env, check=False)
        self.path("pub.asc", self.key.public().armored.encode())
        self.path("data", b"data")
        self.path("data.asc", self.key.sign(b"data"))
        subprocess.run(["gpg", "--batch", "--quiet", "--import", "pub.asc"], cwd=self.dir, env=env,
                       check=True, capture_output=True)
        out = subprocess.run(["gpg", "--batch", "--status-fd=1", "--verify", "data.asc", "data"],
                             cwd=self.dir, env=env, check=True, capture_output=True)
        self.assertIn(b"GOODSIG", out.stdout)

    def test_claims_and_policies(self):
        digest, name = "sha256:" + "a" * 64, "quay.io/org/app:1"
        made = self.key.sign_claim(digest, name)
        claim = self.key.public().verify_claim(made)
        self.assertEqual((claim.digest, claim.reference, claim.fingerprint),
                         (digest, name, self.key.fingerprint))
        with self.assertRaises(errors.VerificationError):
            sig.Key.generate(self.ctx, "Bob <b@example.com>").public().verify_claim(made)
        with self.assertRaises(errors.VerificationError) as caught:
            self.key.sign_claim("sha256:short", name)
        self.assertEqual(caught.exception.reason, "policy.signature")
        keys = []
        for i in range(2):
            secret = subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519"],
                                    check=True, capture_output=True).stdout
            public = subprocess.run(["openssl", "pkey", "-pubout"], input=secret, check=True,
                                    capture_output=True).stdout
            keys.append((secret, public))
        payload, signature = sig.cosign_sign(self.ctx, keys[0][0], digest, name)
        self.assertEqual(sig.cosign_verify(self.ctx, keys[0][1], payload, signature).reference, name)
        with self.assertRaises(errors.VerificationError) as caught:
            sig.cosign_verify(self.ctx, keys[1][1], payload, signature)
        self.assertEqual(caught.exception.reason, "sig.bad")
        policy = sig.parse_policy(self.ctx, '{"default":[{"type":"reject"}]}')
        self.assertEqual((policy["schema"], policy["default"]),
                         ("coam.policy.v1", [{"type": "reject"}]))
        with self.assertRaises(errors.InvalidArgumentError) as caught:
            sig.parse_policy(self.ctx, '{"default":[]}')
        self.assertEqual(caught.exception.reason, "policy.invalid")

    def test_plain_calls(self):
        data = self.path("data", b"data")
        made = self.path("data.asc", self.key.sign(b"data"))
        keys = self.key.public()
        verdict = ffi.new("coam_sig_verdict **")
        self.assertEqual(lib.coam_sig_verify_file(self.ctx._ptr, keys._ptr, made.encode(),
                                                  data.encode(), ffi.NULL, verdict, ffi.NULL), 0)
        self.assertEqual(lib.coam_sig_verdict_ref(verdict[0]), verdict[0])
        lib.coam_sig_verdict_free(verdict[0])
        lib.coam_sig_verdict_free(verdict[0])
        for name, handle in (("keyring", keys), ("key", self.key),
                             ("verifier", keys.verifier(self.key.sign(b"x"))),
                             ("keystore", sig.KeyStore(self.ctx, local_dir=self.path("l"),
                                                       system_dir=self.path("s")))):
            ref = getattr(lib, "coam_sig_" + name + "_ref")
            self.assertEqual(ref(handle._ptr), handle._ptr)
            getattr(lib, "coam_sig_" + name + "_free")(handle._ptr)


if __name__ == "__main__":
    junit.main()
