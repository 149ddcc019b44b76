#!/usr/bin/env python3
"""runc_commands.py RUNC [ROUNDS]: the program runc of this tree beside crun, runc and the floor.

Wall time of run, create, start, state, delete and exec of `true`, programs taking turns; root.
RUNC is bazel-bin/examples/coam/runc; the floor is floor.c, for run alone.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def bundle(work, name, args):
    """runc's own starting configuration, without what a hybrid host mounts differently."""
    path = os.path.join(work, name)
    os.makedirs(path)
    subprocess.run(["runc", "spec"], cwd=path, check=True)
    with open(path + "/config.json", encoding="utf-8") as file:
        spec = json.load(file)
    spec["ociVersion"] = "1.0.2"
    spec["root"] = {"path": work + "/rootfs", "readonly": True}
    spec["process"].update(terminal=False, args=args)
    spec["process"]["capabilities"] = {k: CAPS for k in ("bounding", "effective", "permitted")}
    spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
    with open(path + "/config.json", "w", encoding="utf-8") as file:
        json.dump(spec, file)
    return path


def timed(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1e3


def main(ours, rounds=30):
    # crun refuses a hybrid host whose v2 tree has controllers: hidden, in a namespace of our own.
    if not os.environ.get("RUNC_BENCH"):
        os.environ["RUNC_BENCH"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", "sh", "-c",
                              'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh",
                              sys.executable, *sys.argv])
    work = tempfile.mkdtemp(prefix="coam-bench-", dir="/tmp")
    try:
        os.makedirs(work + "/rootfs/bin")
        for name in ("dev", "proc", "sys"):
            os.mkdir(f"{work}/rootfs/{name}")
        shutil.copy(shutil.which("busybox"), work + "/rootfs/bin/busybox")
        for name in ("true", "sleep"):
            os.symlink("busybox", f"{work}/rootfs/bin/{name}")
        floor = work + "/floor"
        subprocess.run(["cc", "-O2", "-static", "-o", floor, HERE + "/floor.c"], check=True)
        short, long = bundle(work, "short", ["true"]), bundle(work, "long", ["sleep", "1000"])
        v = "v2" if os.path.exists("/sys/fs/cgroup/cgroup.procs") else "v1"
        programs = {"coaming-runc": os.path.abspath(ours), "crun": "crun", "runc": "runc"}
        programs = {k: p for k, p in programs.items() if shutil.which(p)}
        taken = {}

        def measure(what, label, *command):
            taken.setdefault(what, {}).setdefault(label, []).append(timed(command))

        name = f"bench{os.getpid()}"
        for label, program in programs.items():
            subprocess.run([program, "run", "-d", "-b", long, name + label], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        for _ in range(int(rounds)):
            measure("run", "floor", floor, work + "/rootfs", "pmuin", "spec", v, "--", "/bin/true")
            for label, program in programs.items():
                measure("--version", label, program, "--version")
                measure("run", label, program, "run", "-b", short, name)
                measure("create", label, program, "create", "-b", short, name)
                measure("start", label, program, "start", name)
                while '"stopped"' not in subprocess.run([program, "state", name], check=True,
                                                        stdout=subprocess.PIPE, text=True).stdout:
                    pass
                measure("state", label, program, "state", name)
                measure("delete", label, program, "delete", name)
                measure("exec", label, program, "exec", name + label, "true")
        for label, program in programs.items():
            subprocess.run([program, "delete", "-f", name + label], check=True)
    finally:
        shutil.rmtree(work)
    columns = ["floor", *programs]
    print(f"{'ms, median (best)':18}" + "".join(f"{c:>20}" for c in columns))
    for what, row in taken.items():
        cells = [f"{statistics.median(row[c]):.2f} ({min(row[c]):.2f})" if c in row else ""
                 for c in columns]
        print(f"{what:18}" + "".join(f"{c:>20}" for c in cells))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
