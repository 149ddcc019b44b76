"""An installed prefix serves pkg-config and CMake, shared and static, from wherever it lies."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from tools.build import junit

SOURCE = os.path.abspath("tests/consumer/consumer.c")
CXX_SOURCE = os.path.abspath("tests/consumer/consumer.cc")
NAMES = ("coam", "coam-acbuild", "coam-actool", "coam-cnitool", "coam-rkt", "coam-runc")
# Asks bash for completions as it would at the end of a line, which is given word by word.
ASK = """. "$1"; shift
COMP_LINE=$1; COMP_POINT=${#1}; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_coam
printf '%s\\n' "${COMPREPLY[@]}"
"""
CMAKE = """cmake_minimum_required(VERSION 3.20)
project(consumer C CXX)
find_package(Coaming 1.0 REQUIRED)
add_executable(shared consumer.c)
target_link_libraries(shared Coaming::coaming)
add_executable(static consumer.c)
target_link_libraries(static Coaming::static)
add_executable(cxx consumer.cc)
target_link_libraries(cxx Coaming::coaming)
"""


def run(*command, **kwargs):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **kwargs)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Prefix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="coam-consumer-")
        cls.prefix = os.path.join(cls.work, "a prefix")
        with tarfile.open("dist.tar.gz") as tar:
            tar.extractall(cls.prefix)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def flags(self, *options, package="coaming"):
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.prefix, "lib/pkgconfig"))
        # pkg-config escapes blanks for the shell, so the shell does the splitting.
        return run("pkg-config", *options, package, env=env).strip()

    def test_pkg_config_knows_the_version(self):
        with open(os.path.join(self.prefix, "include/coaming/version.h"), encoding="utf-8") as file:
            self.assertIn(f'COAM_VERSION_STRING "{self.flags("--modversion")}"', file.read())

    def test_a_c_program_links_the_shared_object_by_pkg_config(self):
        out = os.path.join(self.work, "shared")
        run("sh", "-c", f"gcc -std=gnu99 -Wall -Werror -o {out} {SOURCE} "
            + self.flags("--cflags", "--libs"))
        env = {"LD_LIBRARY_PATH": os.path.join(self.prefix, "lib")}
        self.assertIn("coaming 1.", run(out, env=env))

    def test_a_c_program_links_the_static_archive_by_pkg_config(self):
        out = os.path.join(self.work, "static")
        flags = self.flags("--cflags", "--libs", "--static").replace(
            "-lcoaming", "-l:libcoaming.a")
        run("sh", "-c", f"gcc -std=gnu99 -o {out} {SOURCE} {flags}")
        self.assertIn("coaming 1.", run(out, env={}))

    def test_a_c_program_links_the_executor_alone_and_fully_static(self):
        out = os.path.join(self.work, "run_shared")
        run("sh", "-c", f"gcc -std=gnu99 -o {out} {SOURCE} "
            + self.flags("--cflags", "--libs", package="coaming-run"))
        env = {"LD_LIBRARY_PATH": os.path.join(self.prefix, "lib")}
        self.assertIn("coaming 1.", run(out, env=env))
        self.assertNotIn("curl", run("ldd", out, env=env))
        out = os.path.join(self.work, "run_static")
        run("sh", "-c", f"gcc -static -std=gnu99 -o {out} {SOURCE} "
            + self.flags("--cflags", "--libs", "--static", package="coaming-run"))
        self.assertIn("coaming 1.", run(out, env={}))
        self.assertNotIn("INTERP", run("readelf", "-lW", out))

    def test_runc_is_a_static_program(self):
        runc = os.path.join(self.prefix, "bin/coaming-runc")
        self.assertNotIn("INTERP", run("readelf", "-lW", runc))
        self.assertIn("runc version 1.", run(runc, "--version", env={}))

    def test_a_cxx_program_links_the_shared_object_by_pkg_config(self):
        out = os.path.join(self.work, "cxx")
        run("sh", "-c", f"g++ -std=c++11 -Wall -Werror -o {out} {CXX_SOURCE} "
            + self.flags("--cflags", "--libs"))
        env = {"LD_LIBRARY_PATH": os.path.join(self.prefix, "lib")}
        self.assertIn("from C++", run(out, env=env))

    def test_each_name_of_the_tool_has_a_manual_page(self):
        for name in NAMES:
            page = os.path.join(self.prefix, "share/man/man1", name + ".1")
            if not shutil.which("groff"):
                self.skipTest("needs groff")
            shown = re.sub(".\b", "", run("groff", "-man", "-Tascii", "-ww", "-P-c", page))
            self.assertRegex(shown, "(?s)NAME.*SYNOPSIS.*OPTIONS.*COMMANDS", name)
            self.assertNotIn("warning", shown)

    def complete(self, line, *words):
        script = os.path.join(self.prefix, "share/bash-completion/completions/coam")
        env = dict(os.environ, PATH=os.path.join(self.prefix, "bin") + ":/usr/bin:/bin")
        return run("bash", "-c", ASK, "ask", script, line, *words, env=env).split()

    def test_bash_completes_words_flags_and_values(self):
        self.assertEqual(self.complete("coam cni sta", "coam", "cni", "sta"), ["status"])
        self.assertIn("cni", self.complete("coam ", "coam", ""))
        self.assertEqual(self.complete("coam images --prog", "coam", "images", "--prog"),
                         ["--progress="])
        self.assertEqual(self.complete("coam images --progress=p", "coam", "images", "--progress",
                                       "=", "p"), ["plain"])
        self.assertEqual(self.complete("rkt image l", "rkt", "image", "l"), ["list"])
        self.assertEqual(self.complete("coam rkt image l", "coam", "rkt", "image", "l"), ["list"])

    def test_bash_completes_the_names_in_the_store(self):
        store = os.path.join(self.work, "store")
        tool = os.path.join(self.prefix, "bin/coam")
        run(tool, "build", f"oci:{store}:hello")
        run(tool, "build", f"oci:{store}:other")
        line = f"coam inspect --store {store} h"
        self.assertEqual(self.complete(line, *line.split()), ["hello"])

    def test_completions_lie_where_shells_look(self):
        share = os.path.join(self.prefix, "share")
        for path in ("bash-completion/completions/rkt", "fish/vendor_completions.d/rkt.fish",
                     "zsh/site-functions/_coam"):
            with open(os.path.join(share, path), encoding="utf-8") as file:
                self.assertIn("coam complete", file.read())
        for shell, path in (("bash", "bash-completion/completions/coam"),
                            ("fish", "fish/vendor_completions.d/coam.fish"),
                            ("zsh", "zsh/site-functions/_coam")):
            if shutil.which(shell):
                run(shell, "-n", os.path.join(share, path))

    def test_a_cmake_project_finds_both_targets(self):
        source = os.path.join(self.work, "cmake")
        os.mkdir(source)
        shutil.copy(SOURCE, source)
        shutil.copy(CXX_SOURCE, source)
        with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(CMAKE)
        build = os.path.join(source, "build")
        run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        for name in ("shared", "static"):
            self.assertIn("coaming 1.", run(os.path.join(build, name), env={}))
        self.assertIn("from C++", run(os.path.join(build, "cxx"), env={}))

    def test_the_tool_runs_on_the_shared_object_beside_it(self):
        tool = os.path.join(self.prefix, "bin/coam")
        self.assertIn(os.path.join(self.prefix, "lib/libcoaming.so.1"), run("ldd", tool).replace(
            "bin/../", ""))
        self.assertIn("1.", run(tool, "--version", env={}))

    def test_the_prefix_can_be_moved(self):
        moved = os.path.join(self.work, "moved")
        shutil.copytree(self.prefix, moved, symlinks=True)
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(moved, "lib/pkgconfig"))
        self.assertIn(moved, run("pkg-config", "--cflags", "coaming", env=env))


if __name__ == "__main__":
    junit.main()
