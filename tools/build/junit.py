"""unittest with JUnit XML for Bazel: `if __name__ == "__main__": junit.main()` in a py_test."""

import os
import sys
import time
import unittest
import xml.etree.ElementTree as xml


class _Result(unittest.TextTestResult):
    """Remembers each case with its time."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = {}
        self.begun = 0.0

    def _case(self, test):
        return self.cases.setdefault(test.id(), {"time": 0.0, "children": []})

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()
        self._case(test)

    def stopTest(self, test):
        super().stopTest(test)
        self._case(test)["time"] = time.monotonic() - self.begun

    def addError(self, test, err):
        super().addError(test, err)
        self._case(test)["children"].append(("error", self.errors[-1][1]))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._case(test)["children"].append(("failure", self.failures[-1][1]))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._case(test)["children"].append(("failure", str(subtest) + repr(err[1])))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._case(test)["children"].append(("skipped", reason))

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._case(test)["children"].append(("failure", "unexpected success"))


def _write(path, result):
    suites = xml.Element("testsuites")
    suite = xml.SubElement(suites, "testsuite", name=os.environ.get("TEST_TARGET", "unittest"),
                           tests=str(len(result.cases)))
    for name, case in result.cases.items():
        element = xml.SubElement(suite, "testcase", name=name, time=f"{case['time']:.3f}")
        for kind, text in case["children"]:
            clean = "".join(c if c in "\n\t" or c >= " " else "?" for c in text)
            xml.SubElement(element, kind, message=clean.splitlines()[0] if clean else "").text = clean
    xml.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main(module="__main__"):
    """Runs the module's test cases and exits; a run without any case fails."""
    runner = unittest.TextTestRunner(resultclass=_Result, verbosity=2)
    program = unittest.main(module=module, testRunner=runner, exit=False, argv=sys.argv)
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        _write(path, program.result)
    sys.exit(0 if program.result.wasSuccessful() and program.result.cases else 1)
