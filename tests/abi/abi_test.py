"""The C ABI's tables agree with the headers, with each other and with the sources."""

import os
import re
import unittest

from capi.abi import abi
from tools.build import junit

RENEW = "run: python3 capi/abi/update_symbols.py"


class Names(unittest.TestCase):
    def test_headers_and_symbols_tsv_list_the_same_functions(self):
        declared = {(n, h) for h in abi.headers() for n in abi.functions(h)}
        listed = [(r["symbol"], r["header"]) for r in abi.read_symbols()]
        self.assertEqual(len(listed), len(set(listed)), "a symbol is listed twice")
        self.assertEqual(declared - set(listed), set(), f"not in symbols.tsv; {RENEW}")
        self.assertEqual(set(listed) - declared, set(), "in symbols.tsv but in no header")

    def test_every_row_has_a_release_and_a_known_state(self):
        for row in abi.read_symbols():
            self.assertRegex(row["since"], r"^\d+\.\d+$", row)
            self.assertIn(row["state"], ("stable", "unstable", "deprecated"), row)
            if row["state"] == "deprecated":
                self.assertTrue(row["replaced-by"], f"{row['symbol']} names no replacement")

    def test_names_have_the_agreed_form(self):
        for header in abi.headers():
            for item in abi.declarations(header):
                if item.kind != "constant":
                    self.assertRegex(item.name, r"^coam_[a-z0-9_]+$", item.text)

    def test_the_reference_pages_are_made_from_these_headers(self):
        for header in abi.headers():
            with open(abi.reference_path(header), encoding="utf-8") as file:
                page = file.read()
            self.assertEqual(page, abi.reference(header), f"{header}: {RENEW}")
            listed = set(re.findall(r"^### `(coam_\w+)`", page, re.M))
            self.assertEqual(set(abi.functions(header)) - listed, set(), "not in the reference")


class Shapes(unittest.TestCase):
    def test_stable_declarations_are_those_of_release_1_0(self):
        unstable = abi.unstable_names(abi.read_symbols())
        recorded = abi.read_shapes()
        for header in abi.headers():
            self.assertEqual(abi.shapes(header, unstable), recorded.get(header, []),
                             f"{header} differs from capi/abi/shapes-1.0.txt. An addition: {RENEW}. "
                             "A change of what was released breaks programs: undo it")
        self.assertEqual(set(recorded) - set(abi.headers()), set(), "a header was dropped")

    def test_signatures_keep_to_the_types_that_are_safe_across_languages(self):
        for header in abi.headers():
            for item in abi.declarations(header):
                if item.kind == "function":
                    self.assertNotIn("...", item.text)
                    self.assertIsNone(re.search(r"\b(_Bool|bool|long|enum)\b", item.text), item.text)
                    parameters = item.text[item.text.index("(") + 1:-2]
                    self.assertNotRegex(parameters, r"\bstruct\b", item.text)

    def test_an_error_comes_last_and_results_are_named_ret(self):
        for header in abi.headers():
            for item in abi.declarations(header):
                if item.kind == "function" and item.text.startswith("coam_code ") \
                        and "**ret_error" in item.text:
                    self.assertTrue(item.text.endswith("coam_error **ret_error);"), item.text)


class Boundary(unittest.TestCase):
    def test_every_function_is_defined_through_the_boundary_macro(self):
        text = ""
        for name in sorted(os.listdir("capi/src")):
            if name.endswith(".cc") and not name.endswith("_test.cc"):
                with open(os.path.join("capi/src", name), encoding="utf-8") as file:
                    text += re.sub(r"//[^\n]*", "", file.read())
        for row in abi.read_symbols():
            symbol = row["symbol"]
            # A definition: at the start of a line, or made by a macro that takes the name.
            found = re.search(r"^[\w:][\w:*& ]*?[\s*&]" + symbol + r"\s*\([^;{]*?\)\s*(noexcept\s*)?\{(.*?)\n?\}\s*$",
                              text, re.M | re.S)
            if found:
                self.assertRegex(found[2], r"\bCOAM_BOUNDARY", f"{symbol} is defined without it")
            else:
                self.assertRegex(text, r"\bCOAM_\w*\([^;]*\b(" + symbol + r"|" +
                                 re.sub(r"_(ref|free)$", "", symbol) + r")\b",
                                 f"no definition of {symbol} in capi/src")


if __name__ == "__main__":
    junit.main()
