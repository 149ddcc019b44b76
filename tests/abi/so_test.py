"""The shared object from outside: what it exports, needs, weighs and calls."""

import fnmatch
import os
import re
import subprocess
import unittest

from capi.abi import abi
from tools.build import junit

SO = "capi/libcoaming.so.1"
ARCHIVE = "capi/libcoaming.a"
# Debian 12's C library; a symbol newer than this could not be resolved there.
GLIBC = (2, 36)
NEEDED = {
    "libarchive.so.13", "libbz2.so.1.0", "libcurl-gnutls.so.4", "libdeflate.so.0", "libisal.so.2",
    "liblzma.so.5", "libmicrohttpd.so.12", "libmnl.so.0", "libnftables.so.1", "libseccomp.so.2",
    "libxml2.so.2", "libz.so.1", "libzstd.so.1",
    "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
BYTES = 12 << 20
# The executor alone.
RUN_SO = "capi/libcoaming-run.so.1"
RUN_ARCHIVE = "capi/libcoaming-run.a"
RUN_HEADERS = {"core.h", "json.h", "run.h", "version.h"}
RUN_NEEDED = {
    "libseccomp.so.2", "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6",
    "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}
RUN_BYTES = 3 << 20


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class SharedObject(unittest.TestCase):
    def test_exports_exactly_the_symbols_of_the_table(self):
        exported = {}
        for line in run("nm", "-D", "--defined-only", "--with-symbol-versions", SO).splitlines():
            symbol, _, version = line.split()[-1].partition("@@")
            if line.split()[-2] != "A":
                exported[symbol] = version
        listed = {r["symbol"]: r for r in abi.read_symbols()}
        self.assertEqual({s for s in exported if not s.startswith("coam_")}, set())
        self.assertEqual(set(listed) - set(exported), set(), "in symbols.tsv but not exported")
        self.assertEqual(set(exported) - set(listed), set(), "exported but not in symbols.tsv")
        for symbol, version in exported.items():
            row = listed[symbol]
            node = "COAM_UNSTABLE" if row["state"] == "unstable" else "COAM_" + row["since"]
            self.assertEqual(version, node, symbol)

    def test_has_the_soname_and_no_text_relocations(self):
        dynamic = run("readelf", "-d", SO)
        self.assertIn("Library soname: [libcoaming.so.1]", dynamic)
        self.assertNotIn("TEXTREL", dynamic)
        self.assertIn("NOW", dynamic)
        self.assertNotIn("RUNPATH", dynamic.replace("$ORIGIN", ""))

    def test_has_no_executable_stack(self):
        stack = [l for l in run("readelf", "-lW", SO).splitlines() if "GNU_STACK" in l]
        self.assertEqual(len(stack), 1)
        self.assertNotRegex(stack[0], r"\bRWE\b")

    def test_needs_only_the_libraries_we_mean(self):
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", SO)))
        self.assertEqual(needed - NEEDED, set())

    def test_needs_no_newer_c_library_than_debian_12(self):
        versions = re.findall(r"GLIBC_(\d+)\.(\d+)", run("nm", "-D", "--with-symbol-versions", SO))
        self.assertLessEqual(max((int(a), int(b)) for a, b in versions), GLIBC)

    def test_stays_under_twelve_mebibytes_without_debug_information(self):
        stripped = os.path.join(os.environ["TEST_TMPDIR"], "so")
        run("strip", "--strip-debug", "-o", stripped, SO)
        print(f"libcoaming.so.1: {os.path.getsize(stripped)} bytes")
        self.assertLess(os.path.getsize(stripped), BYTES)

    def test_calls_nothing_outside_the_allowed_list(self):
        with open("tests/abi/undefined_allowed.txt", encoding="utf-8") as file:
            allowed = [l.split()[0] for l in file if l.strip() and not l.startswith("#")]
        exact = {a for a in allowed if "*" not in a}
        patterns = [a for a in allowed if "*" in a]
        wanted = {l.split()[-1].split("@")[0]
                  for l in run("nm", "-D", "--undefined-only", SO).splitlines()}
        unknown = sorted(s for s in wanted - exact
                         if not any(fnmatch.fnmatchcase(s, p) for p in patterns))
        self.assertEqual(unknown, [], "calls that tests/abi/undefined_allowed.txt does not know; add "
                         "what is harmless to a host process, never what DESIGN 2.9 forbids")


class RunFlavour(unittest.TestCase):
    def listed(self):
        return {r["symbol"] for r in abi.read_symbols() if r["header"] in RUN_HEADERS}

    def test_exports_core_json_and_run_and_no_more(self):
        exported = {l.split()[-1] for l in run("nm", "-D", "--defined-only", RUN_SO).splitlines()
                    if l.split()[-2] != "A"}
        self.assertEqual({s.partition("@")[0] for s in exported}, self.listed())

    def test_needs_nothing_but_seccomp_and_the_language(self):
        dynamic = run("readelf", "-d", RUN_SO)
        self.assertIn("Library soname: [libcoaming-run.so.1]", dynamic)
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
        self.assertEqual(needed - RUN_NEEDED, set())

    def test_stays_under_three_mebibytes_without_debug_information(self):
        stripped = os.path.join(os.environ["TEST_TMPDIR"], "run_so")
        run("strip", "--strip-debug", "-o", stripped, RUN_SO)
        print(f"libcoaming-run.so.1: {os.path.getsize(stripped)} bytes")
        self.assertLess(os.path.getsize(stripped), RUN_BYTES)

    def test_the_archive_keeps_only_these_symbols_global(self):
        defined = {l.split()[-1] for l in
                   run("nm", "-g", "--defined-only", RUN_ARCHIVE).splitlines()
                   if len(l.split()) == 3}
        self.assertEqual(defined, self.listed())


class StaticArchive(unittest.TestCase):
    def test_keeps_only_the_symbols_of_the_table_global(self):
        defined = {l.split()[-1] for l in
                   run("nm", "-g", "--defined-only", ARCHIVE).splitlines() if len(l.split()) == 3}
        self.assertEqual(defined, {r["symbol"] for r in abi.read_symbols()})

    def test_has_no_section_groups_left(self):
        self.assertNotIn("COMDAT", run("readelf", "-gW", ARCHIVE))


if __name__ == "__main__":
    junit.main()
