"""examples/init as the first process of a pid namespace: starts, restarts, reaps, shuts down. In a
machine: tests/guest/boot_init."""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INIT = os.path.join(ROOT, "examples/init/init")
COAM = os.path.join(ROOT, "examples/coam/coam")
BUSYBOX = shutil.which("busybox")
UNSHARE = shutil.which("unshare")


@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX and UNSHARE, "needs root, busybox and unshare")
class InitTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-init.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.root = tmp.name
        for name in ("bin", "proc", "sys", "dev", "run", "services"):
            os.makedirs(os.path.join(self.root, name))
        shutil.copy(INIT, os.path.join(self.root, "init"))
        self.text = ""

    def service(self, name, *args, restart=False):
        bundle = os.path.join(self.root, "services", name)
        for folder in ("bin", "dev", "proc", "sys", "etc", "tmp"):
            os.makedirs(os.path.join(bundle, "rootfs", folder))
        shutil.copy(BUSYBOX, os.path.join(bundle, "rootfs/bin/busybox"))
        for link in ("sh", "sleep", "echo", "true", "setsid"):
            os.symlink("busybox", os.path.join(bundle, "rootfs/bin", link))
        subprocess.run([COAM, "spec", "-b", bundle], check=True)
        path = os.path.join(bundle, "config.json")
        with open(path) as file:
            spec = json.load(file)
        spec["process"].update(terminal=False, env=["PATH=/bin"], args=list(args))
        spec["root"]["readonly"] = False
        spec["linux"]["cgroupsPath"] = f"/coaming-test/init-{os.getpid()}-{name}"
        # A hybrid host's hierarchies cannot be mounted once more in a new mount namespace's /sys.
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] not in ("cgroup", "sysfs")]
        with open(path, "w") as file:
            json.dump(spec, file)
        if restart:
            open(os.path.join(bundle, "restart"), "w").close()

    def boot(self):
        # The host's cgroups stay where they are; /proc is of the new pid namespace.
        script = (f"mount --bind {self.root} {self.root} && cd {self.root} && "
                  "mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev && "
                  f"mount -t tmpfs tmpfs run && mkdir run/old && {BUSYBOX} pivot_root . run/old && "
                  "exec /init")
        self.init = subprocess.Popen([UNSHARE, "--mount", "--pid", "--fork", "--kill-child", "sh",
                                      "-c", script], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop)

    def stop(self):
        if self.init.poll() is None:
            self.init.kill()
        self.init.wait()
        self.init.stdout.close()

    def wait_for(self, text, times=1, seconds=60):
        end = time.monotonic() + seconds
        while self.text.count(text) < times:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.init.stdout], [], [], left)[0]:
                self.fail(f"no {text!r} in:\n{self.text}")
            some = os.read(self.init.stdout.fileno(), 4096).decode()
            if not some:
                self.fail(f"no {text!r} before the end:\n{self.text}")
            self.text += some

    def first_process(self):
        with open(f"/proc/{self.init.pid}/task/{self.init.pid}/children") as file:
            return int(file.read().split()[0])

    def test_a_life(self):
        self.service("one", "sh", "-c", "echo one is up; trap 'echo one goes; exit 0' TERM; "
                     "while true; do sleep 0.1; done")
        self.service("two", "sh", "-c", "echo two is up; sleep 1; exit 3", restart=True)
        self.boot()
        self.wait_for("one is up")
        self.wait_for("init: ended two: status 3")
        self.wait_for("two is up", times=2)
        pid = self.first_process()
        with open(f"/proc/{pid}/cmdline") as file:
            self.assertIn("/init", file.read())
        os.kill(pid, signal.SIGTERM)
        self.wait_for("one goes")
        self.wait_for("init: all services have ended")
        self.init.wait()
        for part in ("memory", "pids", "cpu", ""):
            folder = os.path.join("/sys/fs/cgroup", part, "coaming-test")
            left = [n for n in (os.listdir(folder) if os.path.isdir(folder) else [])
                    if n.startswith(f"init-{os.getpid()}-")]
            self.assertEqual(left, [])

    def test_orphans_are_reaped(self):
        # Without a pid namespace of its own the orphan becomes the init's child.
        self.service("one", "sh", "-c", "setsid sh -c 'sleep 0.2' & echo gone; sleep 2")
        path = os.path.join(self.root, "services/one/config.json")
        with open(path) as file:
            spec = json.load(file)
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"]
                                       if n["type"] != "pid"]
        with open(path, "w") as file:
            json.dump(spec, file)
        self.boot()
        self.wait_for("init: ended one: status 0")
        self.wait_for("init: all services have ended")

    def test_it_refuses_to_be_another_process(self):
        done = subprocess.run([INIT], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"first process", done.stderr)


if __name__ == "__main__":
    junit.main()
