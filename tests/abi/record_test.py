"""What the last release promised is still there: symbols, constants, structures, options, reasons.

capi/abi/record-1.0.tsv is that release as programs see it. Additions are free; whatever is recorded
may neither go nor change. It is renewed when a release is made, and by nothing else:

    bazel run //tests/abi:record_test -- --renew $PWD/capi/abi/record-1.0.tsv
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

from capi.abi import abi
from tools.build import junit

RECORD = "capi/abi/record-1.0.tsv"
SO = os.path.abspath("capi/libcoaming.so.1")


def structs():
    """{name: members} of the structures that programs lay out themselves."""
    found = {}
    for header in abi.headers():
        for item in abi.declarations(header):
            body = re.fullmatch(r"typedef struct (\w+) \{(.*)\} \1;", item.text)
            if body:
                members = re.findall(r"\(\*(\w+)\)\(|(\w+)\s*(?:\[\d+\])?;", body[2] + ";")
                found[item.name] = list(dict.fromkeys(a or b for a, b in members))
    return found


def built(work):
    """The program of record.c on today's headers and object."""
    lines = []
    for name, members in structs().items():
        lines.append(f'printf("struct\\t{name}\\t%zu\\n", sizeof({name}));')
        lines += [f'printf("member\\t{name}.{m}\\t%zu\\n", offsetof({name}, {m}));' for m in members]
    with open(os.path.join(work, "structs.h"), "w", encoding="utf-8") as file:
        file.write("#define STRUCTS \\\n" + " \\\n".join(lines) + "\n")
    program = os.path.join(work, "record")
    subprocess.run(["gcc", "-std=gnu99", "-Wall", "-Werror", "-I", work, "-I", abi.INCLUDE,
                    "-o", program, "tests/abi/record.c", SO, "-Wl,-rpath," + os.path.dirname(SO)],
                   check=True)
    return program


def today(work):
    """Lines "kind<TAB>name<TAB>value" of what programs rely on now."""
    lines = subprocess.run([built(work)], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.splitlines()
    for line in subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", SO],
                               check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        symbol, _, version = line.split()[-1].partition("@@")
        if line.split()[-2] != "A" and version != "COAM_UNSTABLE":
            lines.append(f"symbol\t{symbol}\t{version}")
    for header in abi.headers():
        for item in abi.declarations(header):
            if item.kind == "constant" and not item.name.startswith("COAM_VERSION"):
                lines.append(f"constant\t{item.name}\t{item.text.split(None, 2)[2]}")
    return sorted(lines)


class Record(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.work = work.name

    def test_what_was_released_is_there_and_unchanged(self):
        now = {}
        for line in today(self.work):
            kind, name, value = line.split("\t")
            now[kind, name] = value
        with open(RECORD, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
        self.assertGreater(len(rows), 500)
        wrong = []
        for kind, name, value in rows:
            found = now.get((kind, name))
            # A structure with a size of its own may grow at its end.
            grows = kind == "struct" and ("member", name + ".struct_size") in now
            if found != value and not (grows and found and int(found) > int(value)):
                wrong.append(f"{kind} {name}: {value} in the release, {found or 'gone'} now")
        self.assertEqual(wrong, [], "programs of the last release break; undo it")

    def test_programs_of_other_releases_get_what_conventions_say(self):
        self.assertEqual(subprocess.run([built(self.work), "old"], check=False).returncode, 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--renew"]:
        with tempfile.TemporaryDirectory() as folder, open(sys.argv[2], "w", encoding="utf-8") as out:
            out.write("# kind\tname\tvalue: what the release promised (tests/abi/record_test.py)\n"
                      + "\n".join(today(folder)) + "\n")
    else:
        junit.main()
