#!/usr/bin/env python3
"""copy_layout: an image from anywhere to anywhere, bytes unchanged; pushing is copying to docker://.

    copy_layout.py oci:layout:hello oci-archive:hello.tar
"""
import sys

import coaming
from coaming import oci


def main(source, destination):
    with coaming.Context() as context:
        copied = oci.copy(context, source, destination)
        print(copied["digest"], copied["blobsCopied"], "copied", copied["blobsReused"], "reused")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: copy_layout.py FROM TO")
    try:
        main(*sys.argv[1:])
    except coaming.CoamingError as error:
        sys.exit(f"{error.reason}: {error.message}\nhint: {error.hint}")
