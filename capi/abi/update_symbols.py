"""Appends to symbols.tsv a row for each exported function of the headers that has none yet.

Usage: python3 capi/abi/update_symbols.py   (from the top of the tree)
Rows are never removed or changed by this script: the life of a symbol is a decision, not a diff.
"""
import pathlib
import re

TABLE = pathlib.Path("capi/abi/symbols.tsv")
HEAD = "# symbol\theader\tsince\tstate\treplaced by\n"
DECLARATION = re.compile(r"^COAM_(?:API|CHECKED)\b[^;{]*?\b(coam_\w+)\s*\(", re.M | re.S)


def main():
    text = TABLE.read_text() if TABLE.exists() else HEAD
    have = {line.split("\t")[0] for line in text.splitlines() if not line.startswith("#")}
    for header in sorted(pathlib.Path("capi/include/coaming").glob("*.h")):
        for name in DECLARATION.findall(header.read_text()):
            if name not in have:
                have.add(name)
                text += f"{name}\tcoaming/{header.name}\t1.0\tstable\t\n"
    TABLE.write_text(text)


main()
