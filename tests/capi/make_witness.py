"""Writes the wrappers of the host witness: one for each function of the headers."""
import sys

from pycparser import c_ast, c_generator, c_parser

from capi.abi import abi


def wrapper(function):
    generator = c_generator.CGenerator()
    name = function.name
    declaration = function.type
    # The type node holds the name of the function: the result type is printed without it.
    result = generator._generate_type(declaration.type, emit_declname=False)
    parameters, names = [], []
    for parameter in declaration.args.params if declaration.args else []:
        if isinstance(parameter, c_ast.Typename):
            continue  # (void)
        parameters.append(generator.visit(parameter))
        names.append(parameter.name)
    listed = ", ".join(parameters) or "void"
    void = result.strip() == "void"
    keep = "" if void else f"{result} witness_result = "
    give = "" if void else "  return witness_result;\n"
    return (f"{result} {name}({listed}) {{\n"
            f"  static {result} (*real)({listed});\n  static int seen;\n"
            f"  if (real == NULL) real = dlsym(RTLD_NEXT, \"{name}\");\n"
            f"  if (real == NULL) abort();\n"
            f"  struct witness before;\n  witness_before(&before, \"{name}\", &seen);\n"
            f"  {keep}real({', '.join(names)});\n"
            f"  witness_after(&before, \"{name}\");\n{give}}}\n")


def main():
    print("#define _GNU_SOURCE\n#include <coaming/coaming.h>\n#include <dlfcn.h>\n"
          "#include <stdlib.h>\n#include \"tests/capi/witness.h\"\n")
    for header in abi.headers():
        tree = c_parser.CParser().parse(abi._preprocess(header))
        own = set(abi.functions(header))
        for node in tree.ext:
            if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl) and \
                    node.name in own:
                own.discard(node.name)
                print(wrapper(node))


if __name__ == "__main__":
    sys.exit(main())
