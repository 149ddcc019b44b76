#!/usr/bin/env python3
"""pull_to_bundle: from a registry to a runnable bundle in one pass, with progress; Ctrl-C ends it.

    pull_to_bundle.py docker://127.0.0.1:5000/hello:1 /run/hello
"""
import sys

import coaming
from coaming import oci


def show(event):
    print(event.kind, event.phase, event.subject[:19], event.done, file=sys.stderr)


def main(name, directory):
    with coaming.Context() as context:
        image = oci.open(context, name, progress=show)
        print(image.digest)
        bundle = image.unpack(directory, progress=show)
        print(f"{bundle.rootfs}: {bundle.entries} entries, {bundle.bytes} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: pull_to_bundle.py IMAGE DIRECTORY")
    try:
        main(*sys.argv[1:])
    except coaming.CoamingError as error:
        sys.exit(f"{error.reason}: {error.message}\nhint: {error.hint}")
