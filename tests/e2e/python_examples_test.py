"""The Python teaching programs do what they say, and say what went wrong."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import coaming
import inputs
import world
from tools.build import junit

PROGRAMS = os.path.join(world.ROOT, "examples/python")
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(coaming.__file__)))


class Programs(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="coam-python.", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.work)
        image = inputs.OciImage(config={"Entrypoint": [
            "/bin/busybox", "sh", "-c", "echo hello; exit 7"]})
        inputs.write_layout(os.path.join(self.work, "layout"), image)
        self.digest = inputs.digest(image.manifest)

    def run_program(self, name, *words):
        return subprocess.run([sys.executable, os.path.join(PROGRAMS, name), *words], cwd=self.work,
                              env=dict(os.environ, PYTHONPATH=PACKAGE), capture_output=True,
                              text=True, check=False)

    def ok(self, *words):
        done = self.run_program(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_inspect_image(self):
        out = self.ok("inspect_image.py", "oci:layout:app")
        self.assertIn(self.digest, out)
        self.assertIn("echo hello", out)

    def test_copy_layout(self):
        self.assertIn("2 copied", self.ok("copy_layout.py", "oci:layout:app", "oci:other:app"))
        self.assertIn("2 reused", self.ok("copy_layout.py", "oci:layout:app", "oci:other:again"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_pull_to_bundle_and_run_bundle(self):
        self.assertIn("entries", self.ok("pull_to_bundle.py", "oci:layout:app", "bundle"))
        done = self.run_program("run_bundle.py", "bundle")
        self.assertEqual((done.returncode, done.stdout), (7, "it says: hello\n"), done.stderr)

    def test_failures_have_reasons_and_hints(self):
        done = self.run_program("inspect_image.py", "oci:layout:nothing")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^oci\.not_found: .*\nhint: ")
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    junit.main()
