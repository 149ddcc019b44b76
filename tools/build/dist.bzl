"""What leaves the tree: the static archive and the tar of an install prefix."""

def _static_archive_impl(ctx):
    whole, rest = [], []
    for dep in ctx.attr.deps:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in linker_input.libraries:
                archive = library.pic_static_library or library.static_library
                if not archive:
                    continue
                if library.alwayslink:
                    if archive not in whole:
                        whole.append(archive)
                elif archive not in rest:
                    rest.append(archive)
    out = ctx.actions.declare_file(ctx.attr.out)
    args = ctx.actions.args()
    args.add(out)
    args.add(ctx.attr.keep)
    args.add_all(whole)
    args.add("--")
    args.add_all(rest)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = whole + rest,
        outputs = [out],
        mnemonic = "StaticArchive",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles(files = [out]))]

static_archive = rule(
    implementation = _static_archive_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "out": attr.string(mandatory = True),
        "keep": attr.string(mandatory = True, doc = "wildcard of the symbols that stay global"),
        "_tool": attr.label(
            default = "//tools/build:static_archive.sh",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
    },
    doc = "One archive of one object that holds deps and all they need, with only `keep` global.",
)

def _dist_tar_impl(ctx):
    out = ctx.actions.declare_file(ctx.attr.name + ".tar.gz")
    lines, inputs = [], []
    for target, place in ctx.attr.files.items():
        for file in target.files.to_list():
            inputs.append(file)
            path = place + file.basename if place.endswith("/") else place
            mode = "0755" if path.startswith("bin/") or path.startswith("libexec/") else "0644"
            lines.append("file\t%s\t%s\t%s" % (file.path, path, mode))
    for path, target in ctx.attr.links.items():
        lines.append("link\t%s\t%s\t-" % (target, path))
    manifest = ctx.actions.declare_file(ctx.attr.name + ".manifest")
    ctx.actions.write(manifest, "\n".join(lines) + "\n")
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [out.path, manifest.path],
        inputs = inputs + [manifest],
        outputs = [out],
        mnemonic = "DistTar",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles(files = [out]))]

dist_tar = rule(
    implementation = _dist_tar_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "label: path in the prefix, or folder ending in / for its files",
        ),
        "links": attr.string_dict(doc = "path in the prefix: target of the symlink"),
        "_tool": attr.label(
            default = "//tools/build:dist_tar.sh",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
    },
    doc = "A reproducible tar.gz that unpacks over an install prefix.",
)
