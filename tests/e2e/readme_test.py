"""README.md keeps its promises: its program compiles, runs, and is as short as it says; it is short."""
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import inputs
import world
from tools.build import junit


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(world.ROOT, "README.md"), encoding="utf-8") as file:
            cls.text = file.read()
        cls.work = tempfile.mkdtemp(prefix="coam-readme.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.work)
        with tarfile.open(os.path.join(world.ROOT, "dist.tar.gz")) as tar:
            tar.extractall(os.path.join(cls.work, "prefix"))

    def program(self):
        return re.search(r"<!-- program -->\n```c\n(.*?)```", self.text, re.S)[1]

    def test_it_is_short(self):
        self.assertLess(self.text.count("\n"), 120)

    def test_its_links_lead_somewhere(self):
        # The tree itself: this test is not sandboxed.
        tree = os.path.dirname(os.path.realpath(os.path.join(world.ROOT, "README.md")))
        for target in re.findall(r"\]\(([^)#:]+)\)", self.text):
            self.assertTrue(os.path.exists(os.path.join(tree, target)), target)

    def test_its_size_of_the_shared_object_is_true(self):
        size = os.path.getsize(os.path.join(self.work, "prefix/lib/libcoaming.so.1")) / 2**20
        said = float(re.search(r"shared object is ([\d.]+) MiB", self.text)[1])
        self.assertLess(size, 12)
        self.assertAlmostEqual(size, said, delta=0.5)

    def test_the_reference_of_commands_is_current(self):
        made = subprocess.run([world.COAM, "help", "--markdown"], capture_output=True, text=True,
                              check=True).stdout
        with open(os.path.join(world.ROOT, "docs/reference/commands.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), made,
                             "run: coam help --markdown > docs/reference/commands.md")

    def test_every_name_has_a_manual_page(self):
        for name in ("coam", "rkt", "acbuild", "actool", "cnitool", "runc"):
            page = subprocess.run([world.COAM, "help", "--man", name], capture_output=True,
                                  text=True, check=True).stdout
            self.assertTrue(page.startswith(f".TH {name} 1 "))
            self.assertIn("\n.SH COMMANDS\n.SS ", page)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_its_program_runs_an_image(self):
        source, program = os.path.join(self.work, "app.c"), os.path.join(self.work, "app")
        with open(source, "w", encoding="utf-8") as file:
            file.write(self.program())
        prefix = os.path.join(self.work, "prefix")
        done = subprocess.run(
            ["sh", "-c", f"gcc -Wall -Wextra -Werror -o {program} {source} "
             "$(pkg-config --cflags --libs coaming)"], capture_output=True, text=True, check=False,
            env=dict(os.environ, PKG_CONFIG_PATH=os.path.join(prefix, "lib/pkgconfig")))
        self.assertEqual(done.returncode, 0, done.stderr)
        inputs.write_layout(os.path.join(self.work, "layout"), inputs.OciImage(
            config={"Entrypoint": ["/bin/busybox", "sh", "-c", "echo hello; exit 7"]}))
        env = {"LD_LIBRARY_PATH": os.path.join(prefix, "lib")}
        run = lambda *words: subprocess.run([program, *words], cwd=self.work, env=env, text=True,
                                            capture_output=True, check=False)
        done = run("oci:layout:app", "bundle")
        self.assertEqual((done.returncode, done.stdout), (7, "hello\n"), done.stderr)
        done = run("oci:layout:other", "bundle2")
        self.assertEqual(done.returncode, 4)
        self.assertIn("hint: ", done.stderr)


if __name__ == "__main__":
    junit.main()
