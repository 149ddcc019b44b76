"""The C ABI as data: read from the installed headers, compared with the tables kept beside this file.

symbols.tsv keeps what a person decides (since, state, replaced-by); shapes-1.0.txt the normalised
declarations of everything stable; docs/reference/*.md the pages made from the headers. All three
are renewed by update_symbols.py and held by tests/abi.
"""

import functools
import os
import re
import subprocess
import tempfile

from pycparser import c_ast, c_generator, c_parser

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INCLUDE = os.path.join(ROOT, "capi/include")
COLUMNS = ("symbol", "header", "since", "state", "replaced-by")

# Stand-ins for the system headers that ours may include: names only, so that pycparser needs no
# compiler extensions.
_SYSTEM = {
    "stddef.h": "typedef unsigned long size_t; typedef long ptrdiff_t;\n#define NULL 0\n",
    "stdint.h": "".join(f"typedef {'unsigned ' if u else ''}{t} {u}int{n}_t;\n"
                        for u in ("", "u") for n, t in
                        ((8, "char"), (16, "short"), (32, "int"), (64, "long long")))
                + "typedef unsigned long uintptr_t; typedef long intptr_t;\n",
}


def headers():
    """Names of the public C headers, sorted; coaming.h includes the others."""
    folder = os.path.join(INCLUDE, "coaming")
    return sorted(n for n in os.listdir(folder) if n.endswith(".h"))


def _preprocess(header, *options):
    with tempfile.TemporaryDirectory() as fake:
        for name, text in _SYSTEM.items():
            with open(os.path.join(fake, name), "w", encoding="utf-8") as file:
                file.write(text)
        return subprocess.run(
            ["/usr/bin/cpp", "-std=c99", "-undef", "-nostdinc", "-isystem", fake, "-I", INCLUDE,
             "-D__GNUC__=4", "-D__attribute__(x)=", "-DCOAM_UNSTABLE", "-DCOAM_TARGET_VERSION=0xffffff",
             *options, os.path.join(INCLUDE, "coaming", header)],
            check=True, stdout=subprocess.PIPE, text=True).stdout


class Declaration:
    """One declaration: kind (function, type, constant), name, and its normalised text."""

    def __init__(self, kind, name, text):
        self.kind, self.name, self.text = kind, name, " ".join(text.split())


@functools.lru_cache(maxsize=None)
def declarations(header):
    """What `header` itself declares, in order; not what it includes."""
    own = os.path.join(INCLUDE, "coaming", header)
    generator = c_generator.CGenerator()
    found = []
    for node in c_parser.CParser().parse(_preprocess(header), filename=own).ext:
        where = node.coord.file if node.coord else ""
        if not where.endswith("/coaming/" + header):
            continue
        if isinstance(node, c_ast.FuncDef):
            continue  # static inline helpers are no ABI
        kind = "function" if isinstance(node, c_ast.Decl) and isinstance(
            node.type, c_ast.FuncDecl) else "type"
        name = node.name or getattr(node.type, "name", "") or ""
        found.append(Declaration(kind, name, generator.visit(node) + ";"))
    macros = {}
    for line in _preprocess(header, "-dM").splitlines():
        match = re.match(r"#define (COAM_[A-Z0-9_]+) (.+)", line)
        if match:
            macros[match[1]] = match[2]
    with open(own, encoding="utf-8") as file:
        defined = re.findall(r"^\s*#\s*define\s+(COAM_[A-Z0-9_]+)[ \t]+\S", file.read(), re.M)
    for name in dict.fromkeys(defined):
        value = macros.get(name, "")
        # Constants only: numbers, strings and what is built from other constants.
        if re.fullmatch(r'\(?(-?(0x[0-9a-fA-F]+|\d+)[uUlL]*|"[^"]*"|COAM_\w+)\)?|'
                        r"\([\s\w()<|+-]+\)", value) and name != "COAM_TARGET_VERSION":
            found.append(Declaration("constant", name, f"#define {name} {value}"))
    return found


def functions(header):
    return [d.name for d in declarations(header) if d.kind == "function"]


def read_symbols():
    """Rows of symbols.tsv as dicts, in file order."""
    path = os.path.join(HERE, "symbols.tsv")
    rows = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    cells = line.rstrip("\n").split("\t") + [""] * len(COLUMNS)
                    rows.append(dict(zip(COLUMNS, cells)))
    return rows


def shapes(header, unstable):
    """The lines that shapes-1.0.txt holds of one header."""
    lines = [f"## {header}"]
    for item in declarations(header):
        if item.name not in unstable:
            lines.append(item.text)
    return lines


def read_shapes():
    """shapes-1.0.txt as {header: lines}."""
    path = os.path.join(HERE, "shapes-1.0.txt")
    sections, current = {}, None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file.read().splitlines():
                if line.startswith("## "):
                    current = sections.setdefault(line[3:], [line])
                elif current is not None and line:
                    current.append(line)
    return sections


def unstable_names(rows):
    return {r["symbol"] for r in rows if r["state"] == "unstable"}


def _comment_text(lines):
    text = "\n".join(lines).strip()
    text = re.sub(r"^/\*+", "", text)
    text = re.sub(r"\*/$", "", text)
    return "\n".join(re.sub(r"^\s*\* ?", "", l) for l in text.splitlines()).strip()


def reference(header):
    """The page of one header for people: its comments and declarations, in order."""
    with open(os.path.join(INCLUDE, "coaming", header), encoding="utf-8") as file:
        text = file.read()
    names = {d.name: d for d in declarations(header)}
    out = [f"# <coaming/{header}>", "", "Made from the header by `capi/abi/update_symbols.py`; edit "
           "the header.", ""]
    seen = set()
    position = 0
    comment = ""
    token = re.compile(r"/\*.*?\*/|[^;{}\n]*?\b(coam_\w+)\b\s*\(|"
                       r"^#define (COAM_\w+)\b[^\n]*|typedef [^;{]*?(\bcoam_\w+);|typedef struct (coam_\w+) \{",
                       re.S | re.M)
    while True:
        match = token.search(text, position)
        if not match:
            break
        position = match.end()
        chunk = match[0]
        if chunk.lstrip().startswith("/*"):
            after = text[match.start() - 1] if match.start() else "\n"
            if after == "\n" or text[:match.start()].rstrip(" ").endswith("\n"):
                comment = _comment_text(chunk.splitlines())
                section = re.match(r"-+ (.+?) -+$", comment)
                if section:
                    out += [f"## {section[1]}", ""]
                    comment = ""
                elif not seen and match.start() == 0:
                    out += ["```", comment, "```", ""]
                    comment = ""
            continue
        name = next((g for g in match.groups() if g), None)
        if name not in names or name in seen:
            continue
        seen.add(name)
        if names[name].kind == "constant":
            tail = re.search(r"/\*(.*?)\*/", chunk)
            value = names[name].text.split(None, 2)[2]
            out += [f"- `{name}` = `{value}`" + (f": {tail[1].strip()}" if tail else "")
                    + (f" {' '.join(comment.split())}" if comment else ""), ""]
            comment = ""
            continue
        out += [f"### `{name}`", "", "```c", names[name].text, "```", ""]
        if comment:
            out += [comment, ""]
        comment = ""
    for name, item in names.items():
        if name and name not in seen:
            out += [f"### `{name}`", "", "```c", item.text, "```", ""]
    return "\n".join(out).rstrip() + "\n"


def reference_path(header):
    return os.path.join(ROOT, "docs/reference", header[:-2] + ".md")


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def update(chosen):
    rows = read_symbols()
    known = {r["symbol"] for r in rows}
    sections = read_shapes()
    for header in chosen:
        for name in functions(header):
            if name not in known:
                rows.append(dict(zip(COLUMNS, (name, header, "1.0", "stable", ""))))
                known.add(name)
    order = {h: i for i, h in enumerate(headers())}
    rows.sort(key=lambda r: order.get(r["header"], len(order)))
    unstable = unstable_names(rows)
    for header in chosen:
        sections[header] = shapes(header, unstable)
        _write(reference_path(header), reference(header))
    _write(os.path.join(HERE, "symbols.tsv"), "# " + "\t".join(COLUMNS) + "\n" + "".join(
        "\t".join(r[c] for c in COLUMNS) + "\n" for r in rows))
    _write(os.path.join(HERE, "shapes-1.0.txt"), "".join(
        "\n".join(sections[h]) + "\n" for h in sorted(sections, key=lambda h: order.get(h, 0))))
