"""version_script.py symbols.tsv [HEADER...]: the linker's version script of libcoaming.so on stdout.

With headers, of a flavour that exports what these declare and no more. One node per release, each inheriting the one before; what is unstable has a node of its own.
"""

import sys


def version_script(rows):
    nodes, unstable = {}, []
    for symbol, _, since, state in rows:
        if state == "unstable":
            unstable.append(symbol)
        else:
            nodes.setdefault(tuple(int(p) for p in since.split(".")), []).append(symbol)
    out, last = [], ""
    for version in sorted(nodes):
        name = "COAM_" + ".".join(str(p) for p in version)
        local = "" if last else "  local:\n    *;\n"
        symbols = "".join(f"    {s};\n" for s in sorted(nodes[version]))
        out.append(f"{name} {{\n  global:\n{symbols}{local}}}{' ' + last if last else ''};\n")
        last = name
    if unstable:
        symbols = "".join(f"    {s};\n" for s in sorted(unstable))
        out.append(f"COAM_UNSTABLE {{\n  global:\n{symbols}}};\n")
    return "".join(out)


def main(path, *headers):
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t")[:4] for line in file
                if line.strip() and not line.startswith("#")]
    sys.stdout.write(version_script([r for r in rows if not headers or r[1] in headers]))


if __name__ == "__main__":
    main(*sys.argv[1:])
