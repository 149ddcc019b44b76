"""Every third party, in one place."""

load("//third_party:repositories.bzl", "debian_source", "debian_system")

# name: (packages, linkopts)
_SYSTEM = {
    "curl": (["libcurl4-gnutls-dev"], ["-lcurl-gnutls"]),
    "archive": (["libarchive-dev"], ["-larchive"]),
    "seccomp": (["libseccomp-dev"], ["-lseccomp"]),
    "zstd": (["libzstd-dev"], ["-lzstd"]),
    "zlib": (["zlib1g-dev"], ["-lz"]),
    "lzma": (["liblzma-dev"], ["-llzma"]),
    "bz2": (["libbz2-dev"], ["-lbz2"]),
    "isal": (["libisal-dev"], ["-lisal"]),
    "deflate": (["libdeflate-dev"], ["-ldeflate"]),
    "mnl": (["libmnl-dev"], ["-lmnl"]),
    "nftables": (["libnftables-dev"], ["-lnftables"]),
    "microhttpd": (["libmicrohttpd-dev"], ["-lmicrohttpd"]),
    "rapidjson": (["rapidjson-dev"], []),
    "cli11": (["libcli11-dev"], []),
}

def coaming_deps():
    for name, (packages, linkopts) in _SYSTEM.items():
        debian_system(
            name = "debian_" + name,
            packages = packages,
            linkopts = linkopts,
        )
    debian_system(
        name = "debian_xml2",
        packages = ["libxml2-dev"],
        linkopts = ["-lxml2"],
        trees = {"libxml2": "/usr/include/libxml2"},
    )
    debian_system(
        name = "debian_protoc",
        packages = ["protobuf-compiler"],
        tools = {"protoc": "/usr/bin/protoc"},
    )

    debian_source(
        name = "com_google_absl",
        package = "abseil",
        version = "20220623.1-1+deb12u2",
        build_file = "//third_party:absl.BUILD",
        # The std types of C++20, whatever the compiler's mood; an inline namespace of our own, so
        # that no symbol can meet another Abseil in the same process.
        commands = [
            "sed -i -e 's/^\\(#define ABSL_OPTION_USE_STD_[A-Z_]*\\) .*/\\1 1/'" +
            " -e 's/^\\(#define ABSL_OPTION_USE_INLINE_NAMESPACE\\) .*/\\1 1/'" +
            " -e 's/^\\(#define ABSL_OPTION_INLINE_NAMESPACE_NAME\\) .*/\\1 coaming_absl/'" +
            " absl/base/options.h",
            "test $(grep -c '^#define ABSL_OPTION_USE_STD_[A-Z_]* 1$' absl/base/options.h) -ge 4",
            "grep -q 'INLINE_NAMESPACE_NAME coaming_absl$' absl/base/options.h",
        ],
    )
    debian_source(
        name = "com_googlesource_code_re2",
        package = "re2",
        version = "20220601+dfsg-1",
        build_file = "//third_party:re2.BUILD",
        # The tarball comes without these tables; Debian makes them from its unicode-data.
        commands = [
            "/usr/bin/python3 re2/make_unicode_casefold.py > re2/unicode_casefold.cc",
            "/usr/bin/python3 re2/make_unicode_groups.py > re2/unicode_groups.cc",
            "/usr/bin/perl re2/make_perl_groups.pl > re2/perl_groups.cc",
        ],
    )
    debian_source(
        name = "com_google_protobuf",
        package = "protobuf",
        version = "3.21.12-3+deb12u1",
        build_file = "//third_party:protobuf.BUILD",
        # Ready-made full-runtime code of the well-known types: ours is made for the lite runtime.
        commands = ["rm src/google/protobuf/{any,api,duration,empty,field_mask,source_context," +
                    "struct,timestamp,type,wrappers}.pb.{h,cc}"],
    )
    debian_source(
        name = "boringssl",
        package = "android-platform-external-boringssl",
        version = "13.0.0+r24-2",
        build_file = "//third_party:boringssl.BUILD",
        # Symbols renamed, so that no OpenSSL in the same process can be meant, even when we are
        # linked statically.
        commands = [
            "mv BUILD.generated.bzl sources.bzl",
            # No hooks for memory that a host could define by accident.
            "sed -i 's/^#if defined(__ELF__) && defined(__GNUC__)$/#if 0/' src/crypto/mem.c",
            "test $(grep -c '^#if 0$' src/crypto/mem.c) = 1",
            "$PREFIX_SH $PREFIX_TXT src/include",
        ],
        labels = {
            "//third_party:boringssl_prefix.sh": "PREFIX_SH",
            "//third_party:boringssl_symbols.txt": "PREFIX_TXT",
        },
    )
    debian_source(
        name = "catch2",
        package = "catch2",
        version = "3.7.1-0.4~bpo12+1",
        build_file = "//third_party:catch2.BUILD",
        commands = [
            "sed -e 's/@CATCH_CONFIG_DEFAULT_REPORTER@/console/' -e 's/@CATCH_CONFIG_CONSOLE_WIDTH@/100/'" +
            " -e 's/#cmakedefine \\(CATCH_CONFIG_BAZEL_SUPPORT\\)/#define \\1/'" +
            " -e 's/^\\( *\\)#cmakedefine \\(.*\\)/\\1\\/\\* no \\2 \\*\\//'" +
            " src/catch2/catch_user_config.hpp.in > src/catch2/catch_user_config.hpp",
            "! grep -q '^[^/]*cmakedefine' src/catch2/catch_user_config.hpp",
        ],
    )
