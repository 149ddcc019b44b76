"""Copies tests/layering/include_table.txt into ARCHITECTURE.md; --check only compares."""
import pathlib
import re
import sys

PAGE = pathlib.Path("ARCHITECTURE.md")
TABLE = pathlib.Path("tests/layering/include_table.txt")


def main():
    page = PAGE.read_text(encoding="utf-8")
    table = TABLE.read_text(encoding="utf-8").rstrip("\n")
    made = re.sub(r"(<!-- include_table -->\n).*?(<!-- /include_table -->)",
                  lambda m: f"{m[1]}```\n{table}\n```\n{m[2]}", page, flags=re.S)
    if "--check" in sys.argv:
        if made != page:
            sys.exit("ARCHITECTURE.md: the include table is old; run tools/architecture_table.py")
    else:
        PAGE.write_text(made, encoding="utf-8")


main()
