"""Compiler flags that belong to a target and not to the whole build."""

# GCC marks some statics of templates "unique", which makes dlclose a no-op and keeps symbols of
# the static archive global; clang has no such thing and refuses the flag.
_NO_UNIQUE = select({
    "@coaming//tools/build:clang": [],
    "//conditions:default": ["-fno-gnu-unique"],
})

THIRD_PARTY_COPTS = _NO_UNIQUE + ["-w"]

OWN_COPTS = _NO_UNIQUE + [
    "-Wall",
    "-Wextra",
    "-Werror",
    # Interfaces have parameters that an implementation may ignore.
    "-Wno-unused-parameter",
    # Designated initialisers leave the rest at its default on purpose.
    "-Wno-missing-field-initializers",
    # GCC 12 sees these where std::string and std::variant are inlined; they are not there.
    "-Wno-unknown-warning-option",
    "-Wno-restrict",
    "-Wno-maybe-uninitialized",
    "-Wno-stringop-overflow",
    "-Wno-stringop-overread",
    "-Wno-array-bounds",
    "-Wno-free-nonheap-object",
    "-Wno-dangling-pointer",
    "-Wno-psabi",
]

# Tests are compiled more often than they run long.
TEST_COPTS = OWN_COPTS + [
    "-O0",
    "-U_FORTIFY_SOURCE",
]
