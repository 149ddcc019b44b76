#!/usr/bin/env python3
"""Unpack and pull beside the peers: `coam` with umoci and GNU tar, then with skopeo, taking turns.

    bench/images.py COAM LAYOUT[:NAME] [ROUNDS]

LAYOUT is any image layout with gzip layers. Prints the median wall clock, CPU seconds and the largest
resident size of each, and ratios to `coam`. The registry is Debian's, on loopback, with plain files."""
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def measure(argv, cwd):
    """Wall seconds, CPU seconds and MiB of one run, its children included."""
    begin = time.monotonic()
    pid = os.posix_spawn("/usr/bin/env", ["env", "-C", cwd, *argv], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(argv)} failed: {status}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def turns(title, rows, rounds, work):
    """Runs the rows in turn, so that a busy moment hits all of them alike."""
    results = {name: [] for name, _, _ in rows}
    for _ in range(rounds):
        for name, argv, outputs in rows:
            for output in outputs:
                shutil.rmtree(os.path.join(work, output), ignore_errors=True)
            if name.startswith("tar"):
                os.mkdir(os.path.join(work, outputs[0]))
            results[name].append(measure(argv, work))
    print(title)
    base = statistics.median(r[0] for r in results[rows[0][0]])
    for name, _, _ in rows:
        wall, cpu, rss = (statistics.median(r[i] for r in results[name]) for i in range(3))
        print(f"  {name:32} wall {wall:7.2f} s  cpu {cpu:6.2f} s  rss {rss:5.0f} MiB"
              f"  x {wall / base:4.2f}")


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    coam, image = os.path.abspath(sys.argv[1]), sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    path, _, name = image.partition(":")
    path = os.path.abspath(path)
    source = f"oci:{path}" + (f":{name}" if name else "")
    with tempfile.TemporaryDirectory(prefix="coam-bench-", dir="/var/tmp") as work:
        manifest = json.loads(subprocess.check_output([coam, "inspect", "--format=json", source]))
        tars = []
        for i, layer in enumerate(manifest["layers"]):
            tars.append(f"{work}/{i}.tar")
            blob = f"{path}/blobs/" + layer["digest"].replace(":", "/")
            with open(tars[-1], "wb") as out:
                subprocess.run(["gzip", "-dcf", blob], stdout=out, check=True)
        rows = [("coam unpack", [coam, "unpack", "--progress", "none", "--rootfs-only", source, "a"],
                 ["a"])]
        if shutil.which("umoci") and name:
            rows.append(("umoci raw unpack",
                         ["umoci", "raw", "unpack", "--image", f"{path}:{name}", "b"],
                         ["b"]))
        script = "; ".join(f"tar -C c --numeric-owner -xpf {tar}" for tar in tars)
        rows.append(("tar, uncompressed, no whiteouts", ["sh", "-ec", script], ["c"]))
        turns(f"unpack, {len(tars)} layers, {manifest['size'] / 1e6:.0f} MB packed", rows, rounds,
              work)
        for tar in tars:
            os.unlink(tar)
        if not shutil.which("docker-registry"):
            return
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with open(work + "/registry.yml", "w", encoding="utf-8") as out:
            out.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
                      f"http: {{addr: '127.0.0.1:{port}'}}\n")
        registry = subprocess.Popen(["docker-registry", "serve", work + "/registry.yml"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                time.sleep(0.05)
            remote = f"docker://127.0.0.1:{port}/bench:1"
            subprocess.run([coam, "push", "--progress", "none", source, remote], check=True,
                           stdout=subprocess.DEVNULL)
            rows = [("coam pull", [coam, "pull", "--progress", "none", remote, "p:a"], ["p"])]
            if shutil.which("skopeo"):
                rows.append(("skopeo copy", ["skopeo", "copy", "-q", "--src-tls-verify=false",
                                             remote, "oci:q:a"], ["q"]))
            turns("pull from a registry on loopback into a layout", rows, rounds, work)
        finally:
            registry.terminate()
            registry.wait()


if __name__ == "__main__":
    main()
