#!/usr/bin/env python3
"""run_bundle: run a bundle, read what it prints, and give its exit code.

    run_bundle.py /run/hello
"""
import sys

import coaming
from coaming import run


def main(bundle):
    runtime = run.Runtime()
    # Leaving the block kills and deletes the container, whatever happens in it.
    with runtime.run("run_bundle", bundle=bundle, stdout="pipe") as container:
        print("it says:", container.stdout.read().decode().strip())
        return container.wait(timeout=30).code


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: run_bundle.py BUNDLE")
    try:
        sys.exit(main(sys.argv[1]))
    except coaming.CoamingError as error:
        sys.exit(f"{error.reason}: {error.message}\nhint: {error.hint}")
