"""fill.py TEMPLATE version.h libcoaming.so.1: fills in version and the libraries of a static link.

The version is that of the public header, the libraries are those that the shared object needs.
"""

import re
import subprocess
import sys


def main(template, header, so):
    with open(header, encoding="utf-8") as file:
        version = re.search(r'COAM_VERSION_STRING "([^"]+)"', file.read())[1]
    dynamic = subprocess.run(["readelf", "-d", so], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    needed = re.findall(r"NEEDED.*\[lib(.+?)\.so", dynamic)
    flags = " ".join("-l" + n for n in needed if n not in ("c", "gcc_s")) + " -pthread"
    if template.endswith(".cmake.in"):
        flags = flags.replace(" ", ";")
    with open(template, encoding="utf-8") as file:
        text = file.read()
    for key, value in (("VERSION", version), ("MAJOR", version.split(".")[0]),
                       ("PRIVATE", flags)):
        text = text.replace(f"@{key}@", value)
    sys.stdout.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
