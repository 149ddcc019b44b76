"""Views on what a target links, for the tests that hold the layering."""

def _libraries(deps):
    found = []
    flags = []
    for dep in deps:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            flags += linker_input.user_link_flags
            for library in linker_input.libraries:
                archive = library.pic_static_library or library.static_library
                if archive and archive not in found:
                    found.append(archive)
    return found, flags

def _own_archives_impl(ctx):
    archives, _ = _libraries(ctx.attr.deps)
    own = [a for a in archives if not a.owner.workspace_name]
    return [DefaultInfo(files = depset(own), runfiles = ctx.runfiles(files = own))]

own_archives = rule(
    implementation = _own_archives_impl,
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
    doc = "The static archives of this workspace that deps link, without third parties.",
)

def _link_listing_impl(ctx):
    archives, flags = _libraries(ctx.attr.deps)
    out = ctx.actions.declare_file(ctx.attr.name + ".txt")
    lines = [a.short_path for a in archives] + flags
    ctx.actions.write(out, "\n".join(lines) + "\n")
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles(files = [out]))]

link_listing = rule(
    implementation = _link_listing_impl,
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
    doc = "A text file with every archive and linker flag that deps bring.",
)
