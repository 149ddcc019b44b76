"""Unpacking and pulling a root file system: beside umoci and GNU tar, and beside skopeo.

    bench/images.py unpack|pull COAM WORK ROUNDS

The image is Debian's minbase as debootstrap makes it (kept in ~/.cache/coaming/bench), one gzip
layer; where debootstrap cannot run, a made tree of the same shape. Both are packed by Python, so that
none of the programs measured made its own input. The registry is Debian's, on loopback."""

import hashlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import time

from measure import Meter, median, table, turns

CACHE = os.path.expanduser("~/.cache/coaming/bench")


def debootstrap(out, work):
    """Writes Debian's smallest root file system as a tar. False if it cannot be had."""
    root = os.path.join(work, "debian")
    done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) \
        if shutil.which("debootstrap") and os.getuid() == 0 else None
    try:
        if done is None or done.returncode:
            return False
        for useless in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(os.path.join(root, useless))
        with tarfile.open(out + ".new", "w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(os.listdir(root)):
                tar.add(os.path.join(root, name), name)
        os.rename(out + ".new", out)
        return True
    finally:
        shutil.rmtree(root, ignore_errors=True)


def made_tree(out):
    """A tar of the same shape: as many files and links, sizes spread alike, half of it compressible."""
    dice = random.Random(1)
    words = [bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9)))
             for _ in range(4000)]
    with tarfile.open(out + ".new", "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(800):
            entry = tarfile.TarInfo(f"d{number % 40}/e{number}" if number >= 40 else f"d{number}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for number in range(5900):
            entry = tarfile.TarInfo(f"d{number % 40}/f{number}")
            if number % 9 == 0:
                entry.type, entry.linkname = tarfile.SYMTYPE, f"f{number + 1}"
                tar.addfile(entry)
                continue
            entry.size = min(int(2 ** dice.gauss(12, 2.6)), 6 << 20)
            text = b" ".join(dice.choices(words, k=min(entry.size, 65536) // 4 + 1))
            body = (text * (entry.size // len(text) + 1))[:entry.size]
            if number % 2:
                body = dice.randbytes(entry.size)
            tar.addfile(entry, io.BytesIO(body))
    os.rename(out + ".new", out)


def make_layout(path, tar):
    """An image layout of one gzip layer, named "bench"."""
    blobs = os.path.join(path, "blobs/sha256")
    os.makedirs(blobs)

    def put(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as out:
            out.write(data)
        return {"mediaType": "application/vnd.oci.image." + media_type,
                "digest": "sha256:" + digest, "size": len(data)}

    with open(tar, "rb") as file:
        diff_id = "sha256:" + hashlib.sha256(file.read()).hexdigest()
    packed = subprocess.run(["gzip", "-6nc", tar], stdout=subprocess.PIPE, check=True).stdout
    layer = put(packed, "layer.v1.tar+gzip")
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                             "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode(),
                 "config.v1+json")
    manifest = put(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer],
                               "mediaType": "application/vnd.oci.image.manifest.v1+json"}).encode(),
                   "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
    for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                        ("index.json", {"schemaVersion": 2, "manifests": [manifest]})):
        with open(os.path.join(path, name), "w", encoding="utf-8") as out:
            json.dump(value, out)
    return layer["size"]


def compare(title, rows, rounds, work, meter):
    """rows: {name: command}; each writes below WORK/out, which is made anew for it."""
    out = os.path.join(work, "out")

    def one(command):
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        return meter(*command, cwd=out)

    results = turns({name: (lambda c=command: one(c)) for name, command in rows.items()}, rounds)
    shutil.rmtree(out)
    first = median(next(iter(results.values())))
    table(f"{title}; median of {rounds}, taking turns",
          ["", "s", "cpu s", "MiB", "x ours"],
          [[name, f"{median(r):.3f}", f"{median(r, 'cpu'):.3f}", f"{median(r, 'mib'):.1f}",
            f"{median(r) / first:.2f}"] for name, r in results.items()])


def unpack(coam, layout, tar, rounds, work, meter):
    source = f"oci:{layout}:bench"
    quiet = [coam, "unpack", "--progress", "none"]
    rows = {"coam unpack --rootfs-only": [*quiet, "--rootfs-only", source, "a"],
            "coam unpack": [*quiet, source, "a"]}
    if shutil.which("umoci"):
        rows["umoci raw unpack"] = ["umoci", "raw", "unpack", "--image", f"{layout}:bench", "a"]
        rows["umoci unpack"] = ["umoci", "unpack", "--image", f"{layout}:bench", "a"]
    rows["gzip -dc | tar -x"] = ["sh", "-c", "gzip -dc ../root.tar.gz | tar --numeric-owner -xp"]
    rows["tar -x, not compressed"] = ["tar", "--numeric-owner", "-xpf", tar]
    packed = os.path.join(work, "root.tar.gz")
    if not os.path.exists(packed):
        with open(packed, "wb") as file:
            subprocess.run(["gzip", "-6nc", tar], stdout=file, check=True)
    compare("unpack: image layout to files (tar: no digests, no layers)", rows, rounds, work, meter)


def pull(coam, layout, rounds, work, meter):
    if not shutil.which("docker-registry"):
        raise SystemExit("bench: pull needs docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(work + "/registry.yml", "w", encoding="utf-8") as out:
        out.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                  f"storage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
                  f"http: {{addr: '127.0.0.1:{port}'}}\n")
    registry = subprocess.Popen(["docker-registry", "serve", work + "/registry.yml"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while registry.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        remote = f"docker://127.0.0.1:{port}/bench:1"
        meter(coam, "push", "--progress", "none", f"oci:{layout}:bench", remote)
        rows = {"coam pull": [coam, "pull", "--progress", "none", remote, "a:bench"]}
        if shutil.which("skopeo"):
            rows["skopeo copy"] = ["skopeo", "copy", "-q", "--src-tls-verify=false", remote,
                                   "oci:a:bench"]
        compare("pull: registry on loopback to image layout", rows, rounds, work, meter)
    finally:
        registry.terminate()
        registry.wait()


def main():
    part, coam, work, rounds = sys.argv[1:]
    os.makedirs(CACHE, exist_ok=True)
    tar, layout = os.path.join(work, "root.tar"), os.path.join(work, "layout")
    if not os.path.exists(layout):
        debian = os.path.join(CACHE, "bookworm-minbase.tar")
        if os.path.exists(debian) or debootstrap(debian, work):
            shutil.copy(debian, tar)
            what = "Debian's minbase, debootstrapped"
        else:
            made_tree(tar)
            what = "a made tree, as debootstrap could not run"
        packed = make_layout(layout, tar)
        print(f"\nimage: {what}, {os.path.getsize(tar) / 1e6:.0f} MB, {packed / 1e6:.0f} MB packed")
    if part == "unpack":
        unpack(coam, layout, tar, int(rounds), work, Meter(work))
    else:
        pull(coam, layout, int(rounds), work, Meter(work))


if __name__ == "__main__":
    main()
