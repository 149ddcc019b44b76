"""Engines that call a runtime by its command line: podman, containerd with ctr, buildah."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNC = os.path.join(ROOT, "examples/coam/runc")
BUSYBOX = shutil.which("busybox")
# What the engines would raise, a host without CAP_SYS_RESOURCE cannot.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
class Engines(unittest.TestCase):
    """Everything happens in mount and network namespaces of the test's own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="coam-engines.", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.rootfs = os.path.join(self.dir, "rootfs")
        for name in ("bin", "dev", "proc", "sys", "etc", "tmp", "run"):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(BUSYBOX, os.path.join(self.rootfs, "bin/busybox"))
        for name in ("sh", "cat", "echo", "sleep", "true", "id", "tty", "hostname"):
            os.symlink("busybox", os.path.join(self.rootfs, "bin", name))
        with open(os.path.join(self.rootfs, "etc/passwd"), "w", encoding="utf-8") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\n")
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c",
             "ip link set lo up; mount -t tmpfs run /run; echo ready; exec sleep 1000"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, self.holder)
        self.assertEqual(self.holder.stdout.readline(), "ready\n")
        self.env = dict(os.environ, HOME=self.dir, XDG_CONFIG_HOME=self.dir)

    def end(self, process):
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", *command]

    def call(self, *command, code=0):
        # Files, not pipes: what engines leave running may hold them open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(self.inside(*command), cwd=self.dir, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=err, env=self.env, check=False, timeout=120)
            out.seek(0)
            err.seek(0)
            text, errors = out.read(), err.read()
        self.assertEqual(done.returncode, code, f"{command}\n{text}{errors}")
        return text

    @unittest.skipUnless(shutil.which("podman"), "needs podman")
    def test_podman(self):
        base = ["podman", "--root", self.dir + "/root", "--runroot", self.dir + "/runroot",
                "--tmpdir", self.dir + "/tmpdir", "--storage-driver", "vfs", "--cgroup-manager",
                "cgroupfs", "--events-backend", "file", "--runtime", RUNC]

        def podman(*words, **kwargs):
            return self.call(*base, *words, **kwargs)

        podman("import", self.archive(), "busybox:1")
        self.addCleanup(lambda: subprocess.run(self.inside(*base, "rm", "-af", "-t", "0"),
                                               stdout=subprocess.DEVNULL, check=False,
                                               stderr=subprocess.DEVNULL, env=self.env))
        run = ["run", "--network", "none", *LIMITS]
        self.assertEqual(podman(*run, "--name", "a", "busybox:1", "echo", "hello"), "hello\n")
        self.assertEqual(podman("logs", "a"), "hello\n")
        self.assertEqual(podman(*run, "--rm", "--user", "1000:1000", "busybox:1", "id", "-u"),
                         "1000\n")
        podman(*run, "--rm", "busybox:1", "sh", "-c", "exit 7", code=7)
        podman(*run, "--rm", "busybox:1", "no-such-program", code=127)
        podman(*run, "-d", "--name", "b", "--memory", "64m", "busybox:1", "sleep", "300")
        self.assertEqual(podman("exec", "b", "echo", "in"), "in\n")
        podman("exec", "b", "sh", "-c", "exit 5", code=5)
        stats = json.loads(podman("stats", "--no-stream", "--format", "json", "b"))
        self.assertEqual(stats[0]["name"], "b")
        podman("pause", "b")
        self.assertIn("Paused", podman("ps", "-a", "--filter", "name=b", "--format",
                                       "{{.Status}}"))
        podman("unpause", "b")
        podman("kill", "b")
        podman("rm", "-f", "a", "b")

    @unittest.skipUnless(shutil.which("podman") and shutil.which("catatonit"),
                         "needs podman and catatonit")
    def test_podman_pod_of_two(self):
        base = ["podman", "--root", self.dir + "/root", "--runroot", self.dir + "/runroot",
                "--tmpdir", self.dir + "/tmpdir", "--storage-driver", "vfs", "--cgroup-manager",
                "cgroupfs", "--events-backend", "file", "--runtime", RUNC]
        self.call(*base, "import", self.archive(), "busybox:1")
        self.addCleanup(lambda: subprocess.run(self.inside(*base, "pod", "rm", "-af", "-t", "0"),
                                               stdout=subprocess.DEVNULL, check=False,
                                               stderr=subprocess.DEVNULL, env=self.env))
        self.call(*base, "pod", "create", "--name", "p", "--infra=false", "--share", "")
        for name in ("one", "two"):
            self.call(*base, "run", "-d", "--pod", "p", "--network", "none", *LIMITS, "--name", name,
                      "busybox:1", "sleep", "300")
        listed = self.call(*base, "ps", "--pod", "--format", "{{.Names}} {{.PodName}}").split("\n")
        self.assertEqual(sorted(listed), ["", "one p", "two p"])
        self.assertEqual(self.call(*base, "exec", "two", "echo", "in two"), "in two\n")
        self.call(*base, "pod", "rm", "-f", "-t", "0", "p")

    def archive(self):
        path = os.path.join(self.dir, "rootfs.tar")
        subprocess.run(["tar", "-C", self.rootfs, "-cf", path, "."], check=True)
        return path

    @unittest.skipUnless(shutil.which("containerd") and shutil.which("ctr"), "needs containerd")
    def test_containerd(self):
        config = os.path.join(self.dir, "config.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'''version = 2
root = "{self.dir}/croot"
state = "{self.dir}/cstate"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{self.dir}/c.sock"
''')
        log = open(os.path.join(self.dir, "containerd.log"), "w", encoding="utf-8")
        self.addCleanup(log.close)
        daemon = subprocess.Popen(self.inside("containerd", "--config", config), stdout=log,
                                  stderr=log, env=self.env)
        self.addCleanup(self.end, daemon)
        end = time.monotonic() + 30
        while not os.path.exists(self.dir + "/c.sock"):
            self.assertLess(time.monotonic(), end, "containerd does not come up")
            time.sleep(0.05)
        ctr = ["ctr", "--address", self.dir + "/c.sock"]
        run = [*ctr, "run", "--runc-binary", RUNC, "--rootfs"]
        self.assertEqual(self.call(*run, "--rm", self.rootfs, "a", "/bin/echo", "hello"), "hello\n")
        self.call(*run, "--rm", self.rootfs, "b", "/bin/sh", "-c", "exit 3", code=3)
        self.call(*run, "-d", self.rootfs, "c", "/bin/sleep", "300")
        self.assertIn("RUNNING", self.call(*ctr, "task", "ls"))
        self.assertEqual(self.call(*ctr, "task", "exec", "--exec-id", "e", "c", "/bin/echo", "in"),
                         "in\n")
        self.call(*ctr, "task", "pause", "c")
        self.assertIn("PAUSED", self.call(*ctr, "task", "ls"))
        self.call(*ctr, "task", "resume", "c")
        self.call(*ctr, "task", "kill", "-s", "KILL", "c")
        end = time.monotonic() + 20
        while "STOPPED" not in self.call(*ctr, "task", "ls"):
            self.assertLess(time.monotonic(), end)
        self.call(*ctr, "task", "delete", "c")
        self.call(*ctr, "container", "delete", "c")

    @unittest.skipUnless(shutil.which("buildah"), "needs buildah")
    def test_buildah(self):
        base = ["buildah", "--root", self.dir + "/root", "--runroot", self.dir + "/runroot",
                "--storage-driver", "vfs"]
        name = self.call(*base, "from", *LIMITS, "scratch").strip()
        self.addCleanup(lambda: subprocess.run(self.inside(*base, "rm", "-a"), check=False,
                                               stdout=subprocess.DEVNULL, env=self.env,
                                               stderr=subprocess.DEVNULL))
        self.call(*base, "copy", name, self.rootfs, "/")
        run = [*base, "run", "--isolation", "oci", "--network", "none", "--runtime", RUNC, name,
               "--"]
        self.assertEqual(self.call(*run, "/bin/echo", "hello"), "hello\n")
        self.call(*run, "/bin/sh", "-c", "exit 4", code=4)
        self.call(*run, "/bin/sh", "-c", "echo made > /made")
        self.assertEqual(self.call(*run, "/bin/cat", "/made"), "made\n")


if __name__ == "__main__":
    junit.main()
