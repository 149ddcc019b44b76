"""coaming.notary against Debian's notary-server and notary-signer on loopback."""
import hashlib
import importlib.util
import os
import unittest

from tools.build import junit

import coaming
from coaming import errors, notary

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
spec = importlib.util.spec_from_file_location("lab", os.path.join(ROOT, "tests/notary/lab.py"))
labs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(labs)

GUN = "registry.example/team/app"
DIGEST = "sha256:" + hashlib.sha256(b"manifest").hexdigest()


@unittest.skipIf(labs.missing(), labs.missing())
class NotaryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = labs.Lab()
        cls.ctx = coaming.Context()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def open(self, name, passphrase="open sesame", **options):
        return notary.Notary(self.ctx, server=self.lab.url, ca_file=self.lab.path("ca.pem"),
                             trust_dir=self.lab.path("trust-" + name), passphrase=passphrase,
                             **options)

    def test_steps(self):
        asked = []

        def passphrase(request):
            asked.append(request)
            return "for " + request.role

        gun = GUN + "/steps"
        trust, reader = self.open("steps", passphrase), self.open("reader")
        file = self.lab.write("steps-file", b"content")
        trust.init(gun, server_snapshot=True)
        self.assertEqual({(r.role, r.create) for r in asked}, {("root", True), ("targets", True)})
        trust.add(gun, "v1", file=file, custom='{"b":1,"a":[true,null]}')
        trust.add(gun, "v2", length=7, hash={"sha256": hashlib.sha256(b"content").hexdigest()})
        trust.add(gun, "v3", file=file)
        self.assertEqual([c["path"] for c in trust.staged(gun)], ["v1", "v2", "v3"])
        trust.unstage(gun, 2)
        trust.publish(gun)
        self.assertEqual(trust.staged(gun), [])
        with self.assertRaises(errors.ExistsError):
            trust.init(gun)

        listed = reader.list(gun)
        self.assertEqual([t["name"] for t in listed], ["v1", "v2"])
        self.assertEqual(listed[0]["custom"], {"a": [True, None], "b": 1})
        self.assertEqual(listed[0]["digest"],
                         "sha256:" + hashlib.sha256(b"content").hexdigest())
        self.assertEqual(reader.lookup(gun, "v2")["role"], "targets")
        reader.verify(gun, "v1", file)
        with self.assertRaises(errors.DigestMismatchError):
            reader.verify(gun, "v1", self.lab.write("other", b"contents"))
        with self.assertRaises(errors.VerificationError) as refused:
            reader.lookup(gun, "v9")
        self.assertEqual(refused.exception.reason, "notary.no_target")

        _, cert, _ = labs.signer_key(self.lab, "alice")
        with open(cert, encoding="utf-8") as pem:
            trust.delegate(gun, "targets/alice", key=[pem.read()], path=["a/"])
        trust.publish(gun)
        roles = {r["role"]: r for r in reader.state(gun)}
        self.assertEqual(roles["targets/alice"]["paths"], ["a/"])
        self.assertEqual(roles["targets"]["signedBy"], [k["id"] for k in roles["targets"]["keys"]])
        trust.undelegate(gun, "targets/alice")
        trust.witness(gun, "targets")
        trust.remove(gun, "v2")
        trust.publish(gun)
        self.assertEqual([t["name"] for t in reader.list(gun)], ["v1"])
        with self.assertRaises(errors.InvalidArgumentError):
            trust.delegate(gun, "targets/Alice", all_paths=True)

        trust.rotate(gun, "timestamp", server=True)
        trust.rotate(gun, "targets")
        trust.add(gun, "v4", file=file)
        trust.publish(gun)
        self.assertEqual([t["name"] for t in reader.list(gun)], ["v1", "v4"])
        trust.unstage(gun)
        trust.delete(gun, remote=True)
        with self.assertRaises(errors.VerificationError) as refused:
            self.open("newcomer").list(gun)
        self.assertEqual(refused.exception.reason, "notary.unsigned")

    def test_images(self):
        image = "registry.example/team/image"
        trust, reader = self.open("images"), self.open("image-reader")
        with self.assertRaises(errors.VerificationError) as refused:
            reader.resolve(image + ":1")
        self.assertIn("remote trust data does not exist for " + image, str(refused.exception))
        self.assertEqual(trust.sign(image + ":1", DIGEST, 8), ["targets"])
        self.assertEqual(reader.resolve("docker://" + image + ":1"),
                         f"docker://{image}@{DIGEST}")
        with self.assertRaises(errors.VerificationError) as refused:
            reader.resolve(image + ":2")
        self.assertIn("No valid trust data for 2", str(refused.exception))
        self.assertEqual([t["name"] for t in reader.list(image, released=True)], ["1"])
        self.assertEqual(trust.revoke(image + ":1"), ["targets"])
        self.assertEqual(reader.list(image), [])
        with self.assertRaises(errors.VerificationError):
            self.open("pinned", tofu=False).list(image)

    def test_keys(self):
        trust = self.open("keys")
        made = trust.generate_key("alice")
        self.assertIn("role: alice", made["public"])
        self.assertEqual(trust.keys(), [{"id": made["id"], "role": "alice", "gun": ""}])
        other = self.open("other-keys")
        exported = trust.export_keys(made["id"])
        self.assertIn(b"path: " + made["id"].encode(), exported)
        self.assertEqual(other.import_keys(exported), [made["id"]])
        with self.assertRaises(errors.AuthenticationError) as wrong:
            self.open("wrong-keys", "wrong").import_keys(exported)
        self.assertEqual(wrong.exception.reason, "sig.passphrase")
        self.assertNotIn("open sesame", str(wrong.exception))
        answers = iter(["open sesame", "a new one"])
        changing = self.open("keys", lambda request: next(answers))
        changing.protect_key(made["id"])
        with self.assertRaises(errors.AuthenticationError):
            self.open("third", "open sesame").import_keys(changing.export_keys())
        self.assertEqual(self.open("third", "a new one").import_keys(changing.export_keys()),
                         [made["id"]])
        trust.remove_key(made["id"])
        self.assertEqual(trust.keys(), [])
        with self.assertRaises(errors.StateError) as gone:
            trust.remove_key(made["id"])
        self.assertEqual(gone.exception.reason, "notary.no_key")

    def test_an_exception_in_the_callback_comes_back(self):
        def passphrase(request):
            raise KeyError(request.role)

        with self.assertRaises(KeyError):
            self.open("raising", passphrase).generate_key("alice")
        with self.assertRaises(errors.AuthenticationError):
            self.open("silent", lambda request: None).generate_key("alice")

    def test_names_that_are_no_repository(self):
        trust = self.open("names")
        for gun in ("", "../x", "a//b", "a/metadata/targets", "a\nb", "/a"):
            with self.assertRaises(errors.InvalidArgumentError):
                trust.list(gun)


if __name__ == "__main__":
    junit.main()
