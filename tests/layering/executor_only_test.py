"""The executor links without HTTP, TLS, archives, protobuf or any library but those it stands on."""

import re
import unittest

from tools.build import junit

LIBRARIES = {"-lseccomp", "-pthread", "-lm", "-ldl"}
OWN = re.compile(r"^(liboci/(runtime|spec/runtime)|base/(core|json|fs|process)|libcni|capi/(include|src))/")
THIRD = re.compile(r"^(\.\./|external/)com_google_absl/")


class ExecutorOnly(unittest.TestCase):
    def test_brings_only_what_the_executor_stands_on(self):
        with open("tests/layering/executor_only.txt", encoding="utf-8") as file:
            items = [l.strip() for l in file if l.strip()]
        self.assertTrue(any(i.startswith("liboci/runtime/") for i in items), items)
        strangers = [i for i in items
                     if i not in LIBRARIES and not OWN.match(i) and not THIRD.match(i)]
        self.assertEqual(strangers, [], "DESIGN 1.2: an init system must be able to link the "
                         "executor without curl and BoringSSL")


if __name__ == "__main__":
    junit.main()
