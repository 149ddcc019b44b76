"""Runs the Python tests and the C examples under the host witness: every function of the ABI is
called, and none of them leaves a trace in its host."""
import glob
import os
import subprocess
import tempfile
import unittest

from capi.abi import abi
from tools.build import junit

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class WitnessTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="coam-witness.")
        cls.out = os.path.join(folder, "out")
        environment = dict(os.environ, COAM_WITNESS_OUT=cls.out,
                           # The library too: RTLD_NEXT must find it when an extension loads it.
                           LD_PRELOAD=os.pathsep.join(
                               [os.path.join(HERE, "libwitness.so"),
                                os.path.join(ROOT, "capi/libcoaming.so.1")]),
                           PYTHONPATH=os.pathsep.join(
                               [os.path.join(ROOT, "bindings/python"), ROOT]))
        environment.pop("XML_OUTPUT_FILE", None)
        cls.failed = []
        programs = [["/usr/bin/python3", path] for path in
                    sorted(glob.glob(os.path.join(ROOT, "bindings/python/tests/test_*.py")))]
        programs.append([os.path.join(HERE, "witness_rest")])
        for program in programs:
            run = subprocess.run(program, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if run.returncode != 0:
                cls.failed.append((program[-1], run.returncode, run.stdout))
        with open(cls.out, encoding="utf-8", errors="replace") as lines:
            cls.lines = lines.read().splitlines()

    def test_the_programs_pass_under_the_witness(self):
        self.assertEqual(self.failed, [])

    def test_no_call_leaves_a_trace(self):
        self.assertEqual(sorted({l for l in self.lines if l.startswith("differs ")}), [])

    def test_every_function_was_called(self):
        called = {line.split()[1] for line in self.lines if line.startswith("call ")}
        missing = [row["symbol"] for row in abi.read_symbols() if row["symbol"] not in called]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    junit.main()
