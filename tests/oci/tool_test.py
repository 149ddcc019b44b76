"""coam build, push, pull, unpack, inspect, tags, gc and the C programs, against docker-registry."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
PROGRAMS = os.path.join(ROOT, "examples/c")
CPP = os.path.join(ROOT, "examples/cpp")


@unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is not installed")
class ToolTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-oci-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        config = self.dir + "/registry.yml"
        with open(config, "w", encoding="utf-8") as out:
            out.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {self.dir}/registry}}}}\n"
                      f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
        registry = subprocess.Popen(["docker-registry", "serve", config],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(registry.wait)
        self.addCleanup(registry.terminate)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.02)
        self.name = f"docker://127.0.0.1:{self.port}/hello:1"
        os.makedirs(self.dir + "/tree/bin")
        with open(self.dir + "/tree/bin/hello", "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\necho hello\n")

    def run_program(self, program, *args, code=0):
        done = subprocess.run([program, *args], capture_output=True, text=True, check=False,
                              cwd=self.dir)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def coam(self, *args, code=0):
        return self.run_program(COAM, *args, code=code)

    def test_the_tool(self):
        digest = self.coam("build", "--entrypoint", "/bin/hello", "--label", "a=b", "--owner",
                           "0:0", "--mtime", "0", "tree", "oci:layout:hello").stdout
        self.assertRegex(digest, "^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(self.coam("push", "oci:layout:hello", self.name).stdout, digest)
        self.assertEqual(self.coam("digest", self.name).stdout, digest)
        self.assertEqual(self.coam("tags", self.name[:-2]).stdout, "1\n")
        self.assertEqual(self.coam("pull", "--store", "store", self.name).stdout, digest)
        stored = f"127.0.0.1:{self.port}/hello:1"
        self.assertEqual(self.coam("images", "store").stdout, stored + "\n")
        self.assertIn('"/bin/hello"', self.coam("inspect", "--store", "store", stored).stdout)
        seen = json.loads(self.coam("inspect", "--format=json", self.name).stdout)
        self.assertEqual((seen["schema"], seen["labels"]), ("coam.oci.image.v1", {"a": "b"}))
        raw = self.coam("inspect", "--raw", self.name).stdout
        self.assertEqual(json.loads(raw)["schemaVersion"], 2)
        for source in (stored, self.name):
            self.coam("unpack", "--store", "store", "--replace", source, "bundle")
            self.assertTrue(os.path.exists(self.dir + "/bundle/rootfs/bin/hello"))
        with open(self.dir + "/bundle/config.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["process"]["args"], ["/bin/hello"])
        self.coam("copy", self.name, "oci-archive:hello.tar:x")
        self.assertEqual(self.coam("digest", "oci-archive:hello.tar:x").stdout, digest)
        self.coam("remove", "--store", "store", stored)
        self.assertEqual(len(self.coam("gc", "store").stdout.split()), 3)
        self.assertIn(self.name.split(":1")[0][9:20], self.coam("tree", self.name).stdout)

    def test_failures_are_told(self):
        done = self.coam("unpack", self.name, "bundle", code=4)
        self.assertIn("hint:", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertFalse(os.path.exists(self.dir + "/bundle"))
        self.coam("pull", "docker://UPPER", code=2)
        done = self.coam("pull", "--format=json", self.name, "x", code=4)
        self.assertEqual(json.loads(done.stderr.strip().split("\n")[-1])["reason"],
                         "oci.not_found")

    def test_the_programs(self):
        push = self.run_program(PROGRAMS + "/push", "tree", "layout", self.name, "/bin/hello")
        digest = push.stdout.split()[0]
        pulled = self.run_program(PROGRAMS + "/pull_to_bundle", self.name, "bundle")
        self.assertTrue(pulled.stdout.startswith(digest))
        self.assertTrue(os.path.exists(self.dir + "/bundle/rootfs/bin/hello"))
        self.assertIn("unpack", pulled.stderr)
        pulled = self.run_program(CPP + "/pull", self.name, "again")
        self.assertTrue(pulled.stdout.startswith(digest))
        self.assertRegex(pulled.stdout, "\n[1-9][0-9]* bytes")
        self.assertTrue(os.path.exists(self.dir + "/again/rootfs/bin/hello"))
        failed = self.run_program(CPP + "/pull", "oci:nothing", "none", code=4)
        self.assertIn("hint: ", failed.stderr)
        shown = self.run_program(PROGRAMS + "/inspect", self.name)
        self.assertIn("entry    /bin/hello", shown.stdout)
        copied = self.run_program(PROGRAMS + "/copy_layout", self.name, "images", "hello")
        self.assertTrue(copied.stdout.startswith(digest))
        self.run_program(PROGRAMS + "/inspect", "oci:nothing", code=4)


if __name__ == "__main__":
    junit.main()
