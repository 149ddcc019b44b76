"""Python's ssl and hashlib (OpenSSL 3) live beside our object, whichever is loaded first."""

import subprocess
import sys
import unittest

from tools.build import junit

OURS = """
import ctypes
so = ctypes.CDLL("./capi/libcoaming.so.1", mode=MODE)
so.coam_version_string.restype = ctypes.c_char_p
assert so.coam_version_string().startswith(b"1."), "version"
context = ctypes.c_void_p()
assert so.coam_context_new(None, ctypes.byref(context), None) == 0, "context"
so.coam_context_free(context)
"""
THEIRS = """
import hashlib, ssl
ssl.create_default_context()
assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf")
assert len(hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1)) == 64
assert len(hashlib.blake2b(b"x").digest()) == 64
"""


class Beside(unittest.TestCase):
    def test_in_both_orders_and_with_global_symbols(self):
        for mode in ("ctypes.RTLD_LOCAL", "ctypes.RTLD_GLOBAL"):
            ours = OURS.replace("MODE", mode)
            for script in (ours + THEIRS, THEIRS + ours, ours + THEIRS + ours):
                done = subprocess.run([sys.executable, "-c", script], check=False, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    junit.main()
