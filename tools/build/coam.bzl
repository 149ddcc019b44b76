"""The rules that every package here uses: cc_* with our warnings, Catch2 and fuzzing built in."""

load(":flags.bzl", "OWN_COPTS", "TEST_COPTS")

def coam_library(name, copts = [], **kwargs):
    """cc_library with our warnings, linked statically."""
    native.cc_library(
        name = name,
        copts = OWN_COPTS + copts,
        linkstatic = True,
        **kwargs
    )

def coam_binary(name, copts = [], **kwargs):
    """cc_binary with our warnings."""
    native.cc_binary(
        name = name,
        copts = OWN_COPTS + copts,
        **kwargs
    )

def coam_shared_object(name, version_script, deps, **kwargs):
    """A flavour of the library. Named as its soname: programs linked here look for that file.

    Args:
      name: the soname
      version_script: label of the linker's version script
      deps: what is in it
      **kwargs: go to cc_binary
    """
    native.cc_binary(
        name = name,
        additional_linker_inputs = [version_script],
        linkopts = [
            "-fuse-ld=lld",
            "-Wl,--version-script=$(location %s)" % version_script,
            "-Wl,-soname," + name,
            "-Wl,-z,relro",
            "-Wl,-z,now",
            "-Wl,-z,text",
            "-Wl,--gc-sections",
            "-Wl,--as-needed",
            "-Wl,-Bsymbolic",
        ] + select({
            # Sanitizers of clang live in the executable only.
            "@coaming//tools/build:clang": [],
            "//conditions:default": ["-Wl,-z,defs"],
        }),
        linkshared = True,
        linkstatic = True,
        deps = deps,
        **kwargs
    )

def coam_test(name, copts = [], deps = [], size = "small", timeout = "moderate", **kwargs):
    """cc_test with our warnings and Catch2's main. C tests with a main of their own: cc_test."""
    native.cc_test(
        name = name,
        size = size,
        timeout = timeout,
        copts = TEST_COPTS + copts,
        deps = deps + ["//third_party:catch2"] + select({
            "@coaming//tools/build:tsan": ["@coaming//tools/build:tsan_defaults"],
            "//conditions:default": [],
        }),
        **kwargs
    )

def coam_fuzz(name, srcs, corpus = [], deps = [], copts = [], data = [], dictionary = None, **kwargs):
    """A fuzz target: srcs define LLVMFuzzerTestOneInput(const uint8_t*, size_t).

    NAME is the libFuzzer program (tag "fuzz", built by --config=asan only, run by run_tests);
    NAME_corpus_test replays the corpus with a plain main in every configuration.

    Args:
      name: of the target, by habit ends in _fuzz
      srcs: sources
      corpus: files (a glob) that stay as seeds and as regression inputs
      deps: as in cc_library
      copts: as in cc_library
      data: further run-time files
      dictionary: a libFuzzer dictionary
      **kwargs: go to both
    """
    native.cc_test(
        name = name + "_corpus_test",
        size = "small",
        timeout = "moderate",
        srcs = srcs,
        copts = OWN_COPTS + copts,
        data = corpus + data,
        args = ["$(location %s)" % f for f in corpus],
        deps = deps + ["//tools/build:fuzz_replay"],
        **kwargs
    )
    tags = kwargs.pop("tags", []) + ["manual", "fuzz"]
    native.filegroup(
        name = name + "_corpus",
        srcs = corpus + ([dictionary] if dictionary else []),
        tags = tags,
    )
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = OWN_COPTS + copts,
        data = corpus + data + ([dictionary] if dictionary else []),
        linkopts = ["-fsanitize=fuzzer"],
        deps = deps,
        tags = tags,
        **kwargs
    )

def coam_py_test(name, srcs, deps = [], size = "small", timeout = "moderate", **kwargs):
    """py_test over unittest: `from tools.build import junit`, and junit.main() at the end."""
    native.py_test(
        name = name,
        srcs = srcs,
        main = kwargs.pop("main", srcs[0]),
        size = size,
        timeout = timeout,
        python_version = "PY3",
        deps = deps + ["//tools/build:junit"],
        **kwargs
    )
