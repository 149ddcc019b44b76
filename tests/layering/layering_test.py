"""Every #include of the tree keeps to include_table.txt; files stay short; library code calls nothing
that the host process must be spared."""

import os
import re
import unittest

from tools.build import junit

TOP = ("base", "libtrust", "libcni", "liboci", "libaci", "capi", "bindings", "examples", "tests",
       "bench", "tools", "third_party")
LIBRARY = ("base/", "libtrust/", "libcni/", "liboci/", "libaci/", "capi/src/")
MAX_LINES = 600

# How a third party's name in the table is spelt in an #include.
THIRD_PARTIES = {
    "absl": r"absl/",
    "bz2": r"bzlib\.h",
    "catch2": r"catch2/",
    "cli11": r"CLI/",
    "coaming": r"coaming/",
    "curl": r"curl/",
    "deflate": r"libdeflate\.h",
    "isal": r"isa-l",
    "libarchive": r"archive(_entry)?\.h",
    "libxml2": r"libxml/",
    "lzma": r"lzma",
    "microhttpd": r"microhttpd\.h",
    "mnl": r"libmnl/",
    "nftables": r"nftables/",
    "openssl": r"openssl/",
    "protobuf": r"google/protobuf/",
    "rapidjson": r"rapidjson/",
    "re2": r"re2/",
    "seccomp": r"seccomp\.h",
    "zlib": r"zlib\.h",
    "zstd": r"zstd",
}


def sources():
    """Paths of all C and C++ files of the tree itself, whose top the working directory is."""
    found = []
    for top in TOP:
        for folder, _, names in os.walk(top):
            found += [os.path.join(folder, n) for n in names
                      if n.endswith((".c", ".cc", ".h", ".hpp"))]
    return sorted(found)


class Table:
    """include_table.txt: prefix -> allowed names."""

    def __init__(self, text):
        self.rows = {}
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                prefix, _, names = line.partition("|")
                names = names.split()
                self.rows[prefix.strip()] = (names[:1] == ["+"], [n for n in names if n != "+"])

    def matching(self, path):
        """Prefixes that apply to `path`, the longest first."""
        return sorted((p for p in self.rows if path.startswith(p)), key=len, reverse=True)

    def allowed(self, path):
        names = set()
        for prefix in self.matching(path):
            adds, more = self.rows[prefix]
            # The files of the row itself: its folder, or its library for rows that add.
            names.update(more)
            names.add(prefix.rstrip("/"))
            if not adds:
                break
        return names


def third_party(include):
    for name, pattern in THIRD_PARTIES.items():
        if re.match(pattern, include):
            return name
    return None


def is_test(path):
    return bool(re.search(r"(^|/)test(ing)?_\w+\.(h|cc)$|(_test|_test_util|_fuzz|_bench)\.(cc|c|h)$|/testing/|/testdata/", path))


def includes(text):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.M)


def violations(table, path, text):
    """The includes of `path` that the table does not allow."""
    names = table.allowed(path)
    if not table.matching(path):
        return ["(no row for this folder)"]
    library = path.split("/")[0]
    bad = []
    for include in includes(text):
        if include.endswith(".pb.h"):
            wanted = "protobuf"
        elif include.split("/")[0] in TOP and not include.startswith("bindings/"):
            wanted = include
        else:
            wanted = third_party(include)
        if wanted is None or (wanted == "absl" and not path.endswith(".c")):
            continue
        if is_test(path) and (wanted in THIRD_PARTIES or wanted.startswith(("base/", library + "/"))):
            continue
        if "/" not in include and os.path.exists(os.path.join(os.path.dirname(path), include)):
            continue
        if not any(wanted == n or wanted.startswith(n + "/") or
                   (n.endswith("_") and wanted.startswith(n)) for n in names):
            bad.append(include)
    return bad


def stripped(text):
    """The code without comments, strings and characters."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])+\'',
                  lambda m: "\n" * m[0].count("\n") + " ", text, flags=re.S)


CALLS = re.compile(
    # Not methods, and not members in an initialiser list; own_calls_test sees what is left.
    r"(?<![\w.>:])(?<!, )(?<!: )(?:(?:std)?::)?(open|creat|fopen|freopen|opendir|exit|_exit|_Exit|quick_exit|abort|"
    r"assert|fork|vfork|system|popen|signal|sigaction|sigprocmask|chdir|fchdir|chroot|umask|setenv|"
    r"unsetenv|putenv|getenv|secure_getenv|setlocale|strtod|strtof|atof|printf|puts|perror|syslog|"
    r"dlopen|setuid|setgid|setrlimit|setns|unshare|CHECK|DCHECK|ABSL_CHECK|terminate)\s*\(|"
    r"\bstd::(filesystem|cout|cerr|clog|ofstream|ifstream|fstream|regex|locale)\b|\bthrow\b")


def call_exceptions():
    with open("tests/layering/call_exceptions.tsv", encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                path, call, reason = line.rstrip("\n").split("\t")
                yield path, call, reason


class Layering(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open("tests/layering/include_table.txt", encoding="utf-8") as file:
            cls.table = Table(file.read())
        cls.files = {}
        for path in sources():
            with open(path, encoding="utf-8") as file:
                cls.files[path] = file.read()

    def test_there_are_files_to_look_at(self):
        self.assertGreater(len(self.files), 30)

    def test_every_include_is_in_the_table(self):
        bad = [f"{path}: {include}" for path, text in self.files.items()
               for include in violations(self.table, path, text)]
        self.assertEqual(bad, [], "see tests/layering/include_table.txt")

    def test_every_file_stays_short(self):
        long = [f"{path}: {text.count(chr(10))} lines" for path, text in self.files.items()
                if text.count("\n") > MAX_LINES]
        self.assertEqual(long, [], f"over {MAX_LINES} lines: split by subject")

    def test_library_code_makes_no_call_that_touches_the_host(self):
        allowed = [(path, call) for path, call, _ in call_exceptions()]
        bad = []
        for path, text in self.files.items():
            if not path.startswith(LIBRARY) or is_test(path):
                continue
            for number, line in enumerate(stripped(text).splitlines(), 1):
                for match in CALLS.finditer(line):
                    call = match[1] or match[2] or "throw"
                    if not any(path.startswith(p) and c in (call, "*") for p, c in allowed):
                        bad.append(f"{path}:{number}: {call}")
        self.assertEqual(bad, [], "DESIGN 2.9; exceptions with reasons: call_exceptions.tsv")

    def test_every_call_exception_gives_a_reason(self):
        for path, call, reason in call_exceptions():
            self.assertGreater(len(reason), 10, f"{path} {call}")

    def test_headers_have_the_guard_of_their_path(self):
        for path, text in self.files.items():
            if path.endswith(".h") and path.startswith(LIBRARY):
                guard = "COAMING_" + re.sub(r"\W", "_", path).upper() + "_"
                self.assertIn(f"#ifndef {guard}\n#define {guard}\n", text, path)


class TheCheckItself(unittest.TestCase):
    TABLE = Table("base/core |\nbase/json | base/core rapidjson\nliba/ | base/core\n"
                  "liba/x | + curl\nliba/net/one_ | + openssl\n")

    def check(self, path, include):
        return violations(self.TABLE, path, f'#include "{include}"\n')

    def test_refuses_what_is_not_in_the_row(self):
        self.assertEqual(self.check("base/json/a.cc", "base/http/b.h"), ["base/http/b.h"])
        self.assertEqual(self.check("base/core/a.cc", "curl/curl.h"), ["curl/curl.h"])
        self.assertEqual(self.check("liba/a.cc", "curl/curl.h"), ["curl/curl.h"])
        self.assertEqual(self.check("nowhere/a.cc", "x.h"), ["(no row for this folder)"])

    def test_allows_the_row_and_what_it_adds_to(self):
        self.assertEqual(self.check("base/json/a.cc", "base/core/b.h"), [])
        self.assertEqual(self.check("base/json/a.cc", "rapidjson/reader.h"), [])
        self.assertEqual(self.check("liba/x/a.cc", "curl/curl.h"), [])
        self.assertEqual(self.check("liba/x/a.cc", "base/core/b.h"), [])
        self.assertEqual(self.check("liba/net/one_file.cc", "openssl/sha.h"), [])
        self.assertEqual(self.check("liba/net/two_file.cc", "openssl/sha.h"), ["openssl/sha.h"])

    def test_sees_calls_but_not_methods_comments_or_strings(self):
        found = [m[1] for m in CALLS.finditer(stripped(
            'a.open(1); b->exit(2); // fork()\n "abort()"; X::getenv(3); ::umask(4); std::abort();\n'
            "reopen(5); my_exit(6);"))]
        self.assertEqual(found, ["umask", "abort"])


if __name__ == "__main__":
    # The tree, not the runfiles: a build file could leave a source out. The target is "external",
    # so that it runs each time.
    os.chdir(os.path.dirname(os.path.realpath("WORKSPACE")))
    junit.main()
