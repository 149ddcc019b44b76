"""Builds coaming._ffi, the cffi extension, from the installed headers.

The declarations are made from <coaming/*.h> each time, so they cannot drift from the library. Where
the headers and the library lie is asked of pkg-config (coaming.pc), or given by COAMING_PREFIX
(COAMING_RPATH then says where the library is looked for at run time).
"""
import os
import pathlib
import re
import subprocess

from cffi import FFI

# What C calls back in Python; cffi makes the C functions.
CALLBACKS = """
extern "Python" int32_t coaming_py_event(void *user, const coam_event *event);
extern "Python" void coaming_py_free(void *user);
extern "Python" int32_t coaming_py_aci_review(void *user, const char *prefix, const char *url,
                                              const coam_sig_keyring *keys);
extern "Python" int32_t coaming_py_notary_passphrase(void *user, const char *key_id,
                                                     const char *role, int32_t create,
                                                     int32_t attempt, char *passphrase,
                                                     size_t size);
extern "Python" void coaming_py_log(void *user, int32_t level, const char *component,
                                    const char *message);
"""


def pkg_config(*flags):
    return subprocess.check_output(["pkg-config", *flags, "coaming"], text=True).split()


def locations():
    """Returns (include directories, library directories, run paths)."""
    prefix = os.environ.get("COAMING_PREFIX")
    if prefix:
        lib = os.path.join(prefix, "lib")
        return [os.path.join(prefix, "include")], [lib], [os.environ.get("COAMING_RPATH", lib)]
    include = pkg_config("--variable=includedir")
    lib = pkg_config("--variable=libdir")
    system = lib[0] in ("/usr/lib", "/lib", "/usr/local/lib")
    return include, lib, [] if system else lib


def declarations(text):
    """The declarations of one header, as cffi's parser takes them."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = text.replace("\\\n", " ")
    constants = re.findall(r"^#define (COAM_[A-Z0-9_]+) (\(?-?(?:0x[0-9a-f]+|\d+)\)?)\s*$", text,
                           flags=re.M)
    text = re.sub(r'^\s*#ifdef __cplusplus.*?^\s*#endif.*?$', "", text, flags=re.M | re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    text = re.sub(r"^COAM_DEFINE_FREEP\(\w+\)$", "", text, flags=re.M)
    text = re.sub(r"\b(COAM_API|COAM_CHECKED)\b", "", text)
    lines = [f"#define {name} ..." for name, _ in constants if not name.endswith("_H_")]
    return "\n".join(lines) + "\n" + text


def cdef(include):
    folder = pathlib.Path(include) / "coaming"
    names = []

    def visit(name):  # after the headers that it includes: the parser takes each type once, first
        if name in names or name in ("coaming.h", "export.h"):
            return
        text = (folder / name).read_text()
        for inner in re.findall(r"^#include <coaming/(\w+\.h)>", text, flags=re.M):
            visit(inner)
        names.append(name)

    for path in sorted(folder.glob("*.h")):
        visit(path.name)
    return "\n".join(declarations((folder / n).read_text()) for n in names)


def make():
    include, lib, runpath = locations()
    ffi = FFI()
    ffi.cdef(cdef(include[0]) + CALLBACKS)
    ffi.set_source("coaming._ffi", "#include <coaming/coaming.h>\n", include_dirs=include,
                   library_dirs=lib, runtime_library_dirs=runpath, libraries=["coaming"],
                   py_limited_api=True)
    return ffi


ffibuilder = make()

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
