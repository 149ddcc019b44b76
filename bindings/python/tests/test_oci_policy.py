"""coaming.oci under a trust policy: what is refused leaves nothing behind."""
import json
import os
import tempfile
import unittest

from tools.build import junit

import coaming
from coaming import errors, oci, sig

NAME = "example.com/org/app:1"


class PolicyTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-oci-policy.")
        self.addCleanup(tmp.cleanup)
        self.dir = os.path.realpath(tmp.name)
        self.ctx = coaming.Context()
        self.addCleanup(self.ctx.close)
        os.mkdir(self.path("tree"))
        self.layout = f"oci:{self.dir}/layout:app"
        oci.build(self.ctx, self.path("tree"), self.layout)
        key = sig.Key.generate(self.ctx, "Ann <ann@example.com>")
        with open(self.path("ann.sec"), "wb") as out:
            out.write(key.export())
        with open(self.path("ann.pub"), "w", encoding="utf-8") as out:
            out.write(key.public().armored)
        self.policy = json.dumps({"default": [
            {"type": "signedBy", "keyType": "GPGKeys", "keyPath": self.path("ann.pub"),
             "signedIdentity": {"type": "exactReference", "dockerReference": NAME}}]})

    def path(self, name):
        return os.path.join(self.dir, name)

    def test_a_policy_decides_before_anything_is_written(self):
        plain, signed = f"dir:{self.dir}/plain", f"dir:{self.dir}/signed"
        oci.copy(self.ctx, self.layout, plain)
        told = oci.explain_policy(self.ctx, plain, policy_json=self.policy)
        self.assertEqual((told["allowed"], told["signatures"], told["rule"]), (False, 0, "default"))
        self.assertEqual(told["requirements"][0]["reason"], "policy.unsigned")
        for use in (lambda o: oci.open(self.ctx, plain, **o),
                    lambda o: oci.pull(self.ctx, plain, self.path("pulled"), "app", **o),
                    lambda o: oci.copy(self.ctx, plain, f"dir:{self.dir}/copied", **o)):
            with self.assertRaises(errors.VerificationError) as caught:
                use({"policy_json": self.policy})
            self.assertEqual(caught.exception.reason, "policy.unsigned")
            self.assertEqual(caught.exception.details["policy.requirement"], "1:signedBy")
        self.assertFalse(os.path.exists(self.path("copied/manifest.json")))
        oci.copy(self.ctx, self.layout, signed, sign_by=self.path("ann.sec"), sign_identity=NAME)
        self.assertTrue(oci.explain_policy(self.ctx, signed, policy_json=self.policy)["allowed"])
        with open(self.path("policy.json"), "w", encoding="utf-8") as out:
            out.write(self.policy)
        oci.pull(self.ctx, signed, self.path("pulled"), "app", policy=self.path("policy.json"))

    def test_signatures_need_a_place_and_a_name(self):
        with self.assertRaises(errors.StateError) as caught:
            oci.copy(self.ctx, self.layout, f"oci:{self.dir}/layout:two",
                     sign_by=self.path("ann.sec"), sign_identity=NAME)
        self.assertEqual(caught.exception.reason, "policy.store")
        self.assertEqual(oci.list_names(self.ctx, f"oci:{self.dir}/layout"), ["app"])
        with self.assertRaises(errors.InvalidArgumentError):
            oci.copy(self.ctx, self.layout, f"dir:{self.dir}/d", sign_by=self.path("ann.sec"))


if __name__ == "__main__":
    junit.main()
