"""Starting a container: `run true` beside the floor, crun and runc; and from hosts of several sizes.

    bench/start.py run|spawn HOST WORK ROUNDS     HOST: the program of bench/host.cc

The floor (bench/floor.c) does what must be done (the same namespaces, mounts, masks, device nodes,
cgroups) and nothing else. `bench/run` calls this in a mount namespace where crun is content."""

import json
import os
import shutil
import subprocess
import sys

from measure import Meter, Took, build_c, median, table, turns

HOSTS = (8, 1024, 4096)  # MiB


def make_bundle(path):
    root = os.path.join(path, "rootfs")
    for name in ("bin", "dev", "proc", "sys"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(shutil.which("busybox"), os.path.join(root, "bin/busybox"))
    os.symlink("busybox", os.path.join(root, "bin/true"))
    options = ["nosuid", "noexec"]
    spec = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "capabilities": {k: ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"]
                             for k in ("bounding", "effective", "permitted")}},
        "root": {"path": "rootfs"}, "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": options + ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": options + ["nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": options + ["nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": options + ["nodev", "ro"]}],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                              "/proc/sysrq-trigger"]},
    }
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as out:
        json.dump(spec, out)


class Host:
    """A process of bench/host.cc."""

    def __init__(self, program, bundle, work, mib):
        self.process = subprocess.Popen(
            [program, bundle, os.path.join(work, "state"), str(mib)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, task):
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("failed"):
            raise SystemExit(f"bench: {task}: {answer}")
        return [float(word) for word in answer.split()]

    def time(self, task):
        return Took(self.ask(task)[0] / 1e3)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ms(results):
    return f"{median(results) * 1e3:.2f}", f"{min(t.seconds for t in results) * 1e3:.2f}"


def run(host, fresh, floor, bundle, meter, rounds):
    count = iter(range(1 << 30))

    def peer(name):
        return lambda: meter(name, "run", "-b", bundle, f"bench-{os.getpid()}-{next(count)}")

    rows = {"floor": lambda: meter(*floor), "coaming, in process": lambda: host.time("own")}
    rows.update({name: peer(name) for name in ("crun", "runc") if shutil.which(name)})
    results = turns(rows, rounds, warm_up=2)
    _, helper, growth = fresh.ask("memory")
    base = median(results["floor"])
    crun = median(results["crun"]) if "crun" in results else None
    lines = []
    for name, result in results.items():
        memory = median(result, "mib")
        memory = f"{memory:.1f}" if memory else f"{(helper + growth) / 1024:.1f}"
        lines.append([name, *ms(result), f"{median(result) / base:.2f}",
                      f"{median(result) / crun:.2f}" if crun else None, memory])
    table(f"run true: create, start, wait, delete; median of {rounds}, taking turns",
          ["", "ms", "least", "x floor", "x crun", "MiB"], lines)
    print(f"  MiB: of a command its largest process at its peak; of the library what a run costs beside"
          f"\n  the host: the helper ({helper / 1024:.2f}) and what a host's first container makes it"
          f" grow by ({growth / 1024:.2f}).")


def spawn(hosts, floor, rounds):
    command = " ".join(floor)
    ways = {"coaming, in process": "own", "floor, posix_spawn": f"spawn {command}",
            "floor, fork": f"fork {command}"}
    rows = {(way, mib): (lambda h=host, t=task: h.time(t))
            for way, task in ways.items() for mib, host in hosts.items()}
    results = turns(rows, rounds, warm_up=2)
    lines = []
    for way in ways:
        small = median(results[way, HOSTS[0]])
        for mib, host in hosts.items():
            result = results[way, mib]
            lines.append([way, f"{host.ask('memory')[0] / 1024:.0f}", *ms(result),
                          f"{median(result) / small:.2f}"])
    table(f"run true from hosts of several sizes, all taking turns; median of {rounds}",
          ["", "host MiB", "ms", "least", "x small host"], lines)


def main():
    part, program, work, rounds = sys.argv[1:]
    bundle = os.path.join(work, "bundle")
    if not os.path.exists(bundle):
        make_bundle(bundle)
    unified = os.path.exists("/sys/fs/cgroup/cgroup.procs")
    floor = [build_c("floor", work), bundle + "/rootfs", "pmuin", "spec",
             "v2" if unified else "v1", "--", "/bin/true"]
    hosts = {mib: Host(program, bundle, work, mib)
             for mib in (HOSTS if part == "spawn" else (*HOSTS[:1], 0))}
    try:
        if part == "run":
            run(hosts[HOSTS[0]], hosts[0], floor, bundle, Meter(work), int(rounds))
        else:
            spawn(hosts, floor, int(rounds))
    finally:
        for host in hosts.values():
            host.close()


if __name__ == "__main__":
    main()
