"""`pip install ./bindings/python` against an installed prefix gives a package that works."""
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from tools.build import junit

SOURCES = os.path.abspath("bindings/python")
PROGRAM = """
import coaming
from coaming import errors
assert coaming.library_version().startswith("coaming 1.")
assert "core.jobs" in set(coaming.features())
with coaming.Context(limits={"layers": 3}):
    pass
try:
    coaming.Context(limits={"layers": "many"})
except errors.InvalidArgumentError as error:
    assert error.reason == "core.invalid_argument"
print("it works")
"""


class PipTest(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="coam-pip-")
        self.addCleanup(shutil.rmtree, self.work)

    def run_in(self, *command, **environment):
        done = subprocess.run(command, cwd=self.work, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              env=dict(os.environ, HOME=self.work, **environment))
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_pip_installs_the_package(self):
        prefix = os.path.join(self.work, "prefix")
        with tarfile.open("dist.tar.gz") as tar:
            tar.extractall(prefix)
        sources = os.path.join(self.work, "sources")
        # Bazel hands the files out as links; pip wants to write beside them.
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("_ffi*"))
        self.run_in("/usr/bin/python3", "-m", "venv", "--system-site-packages", "venv")
        python = os.path.join(self.work, "venv/bin/python")
        self.run_in(python, "-m", "pip", "install", "--no-index", "--no-deps",
                    "--no-build-isolation", sources,
                    PKG_CONFIG_PATH=os.path.join(prefix, "lib/pkgconfig"))
        self.assertIn("it works", self.run_in(python, "-c", PROGRAM))


if __name__ == "__main__":
    junit.main()
