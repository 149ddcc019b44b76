"""Repository rules: Debian source packages built here, and Debian's own shared libraries."""

def _debian_source(rctx):
    script = rctx.path(Label("//third_party:fetch.sh"))
    table = rctx.path(Label("//third_party:versions.tsv"))
    result = rctx.execute(
        ["/bin/bash", str(script), rctx.attr.package, rctx.attr.version, str(table), str(rctx.path("."))],
        timeout = 1800,
    )
    if result.return_code != 0:
        fail("\n" + result.stderr)
    environment = {}
    for label, variable in rctx.attr.labels.items():
        environment[variable] = str(rctx.path(label))
    for command in rctx.attr.commands:
        result = rctx.execute(
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            environment = environment,
        )
        if result.return_code != 0:
            fail("%s: %s\n%s" % (rctx.name, command, result.stderr))
    rctx.file("WORKSPACE", "")
    rctx.symlink(rctx.attr.build_file, "BUILD.bazel")

debian_source = repository_rule(
    implementation = _debian_source,
    attrs = {
        "package": attr.string(mandatory = True),
        "version": attr.string(mandatory = True),
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "commands": attr.string_list(doc = "shell commands run in the unpacked tree"),
        "labels": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "files of this workspace that the commands find in the named variable",
        ),
    },
    environ = ["COAMING_SOURCES"],
    doc = "Unpacks a Debian source package pinned in third_party/versions.tsv.",
)

def _debian_system(rctx):
    macros = []
    lines = []
    for package in rctx.attr.packages:
        result = rctx.execute(
            ["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package],
        )
        status = result.stdout.split(" ")
        if result.return_code != 0 or status[0] != "installed":
            fail("\n%s is not installed: run tools/install_deps, or apt-get install %s" %
                 (package, " ".join(rctx.attr.packages)))
        name = "COAMING_DEB_" + package + "_" + status[1]
        macros.append("".join([c if c.isalnum() else "_" for c in name.elems()]))
        lines.append("# %s %s" % (package, status[1]))
    includes = []
    for name, place in rctx.attr.trees.items():
        rctx.symlink(place, "include/" + name)
        includes.append("include/" + name)
    for name, place in rctx.attr.tools.items():
        rctx.symlink(place, name)
    rctx.file("WORKSPACE", "")
    rctx.file("BUILD.bazel", "\n".join(lines + [
        "cc_library(",
        "    name = %r," % rctx.name,
        "    hdrs = glob(%r, allow_empty = True)," % [i + "/**" for i in includes],
        "    includes = %r," % includes,
        # An upgrade of the package changes the command lines, hence the cache keys.
        "    defines = %r," % macros,
        "    linkopts = %r," % rctx.attr.linkopts,
        "    visibility = [\"//visibility:public\"],",
        ")",
        "exports_files(%r)" % rctx.attr.tools.keys(),
        "",
    ]))

debian_system = repository_rule(
    implementation = _debian_system,
    attrs = {
        "packages": attr.string_list(mandatory = True),
        "linkopts": attr.string_list(),
        "trees": attr.string_dict(doc = "header folders outside the compiler's own search path"),
        "tools": attr.string_dict(doc = "executables to expose by name"),
    },
    local = True,
    configure = True,
    doc = "A library of this system, found by the compiler itself at its usual place.",
)
