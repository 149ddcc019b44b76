#!/usr/bin/env python3
"""inspect_image: what an image is made of, without fetching its layers.

    inspect_image.py docker://127.0.0.1:5000/hello:1
"""
import sys

import coaming
from coaming import oci


def main(name):
    with coaming.Context() as context:
        image = oci.open(context, name)
        print(image.digest)
        print("runs", image.config["config"].get("Entrypoint"), image.config["config"].get("Cmd"))
        for layer in image.layers:
            print(layer.digest, layer.size, layer.media_type)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: inspect_image.py IMAGE")
    try:
        main(sys.argv[1])
    except coaming.CoamingError as error:
        sys.exit(f"{error.reason}: {error.message}\nhint: {error.hint}")
