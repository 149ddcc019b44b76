"""The installed headers compile as C99 and C++11: alone, twice, in both orders, without a warning."""

import itertools
import os
import subprocess
import tempfile
import unittest

from capi.abi import abi
from tools.build import junit

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", abi.INCLUDE]
C99 = ["-x", "c", "-std=c99", "-Wc++-compat", "-Wstrict-prototypes", *WARNINGS]
CXX11 = ["-x", "c++", "-std=c++11", *WARNINGS]


def compilers():
    """gcc always; clang where the machine has it."""
    yield "/usr/bin/gcc"
    if os.path.exists("/usr/bin/clang-14"):
        yield "/usr/bin/clang-14"


class Headers(unittest.TestCase):
    def check(self, text, what):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write(text + "int coaming_not_empty;\n")
            file.flush()
            for compiler, flags in itertools.product(compilers(), (C99, CXX11)):
                done = subprocess.run([compiler, *flags, file.name], text=True, check=False,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0,
                                 f"{what} by {compiler} {flags[2]}:\n{done.stdout}")

    def test_each_alone_and_twice(self):
        for header in abi.headers():
            include = f"#include <coaming/{header}>\n"
            self.check(include, header)
            self.check(include * 2, f"{header} twice")

    def test_all_in_both_orders(self):
        includes = [f"#include <coaming/{h}>\n" for h in abi.headers()]
        self.check("".join(includes), "all")
        self.check("".join(reversed(includes)), "all, reversed")

    def test_the_cxx_wrapper_compiles_as_cxx17(self):
        wrapper = os.path.join(abi.INCLUDE, "coaming/cxx.hpp")
        if not os.path.exists(wrapper):
            self.skipTest("no coaming/cxx.hpp")
        for compiler in compilers():
            subprocess.run([compiler, "-x", "c++", "-std=c++17", *WARNINGS[:-3], "-fsyntax-only",
                            "-I", abi.INCLUDE, wrapper], check=True)


if __name__ == "__main__":
    junit.main()
