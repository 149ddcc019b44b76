"""coam cni, cnitool and cni_add_del with Debian's plugins, in namespaces of the test."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
EXAMPLE = os.path.join(ROOT, "examples/c/cni_add_del")
PLUGINS = "/usr/lib/cni"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def holder(prefix=()):
    """A process that keeps a fresh network namespace."""
    process = subprocess.Popen([*prefix, "unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                               stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    return process


class ToolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not os.path.exists(PLUGINS + "/portmap"):
            raise unittest.SkipTest("needs root and containernetworking-plugins")

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-cni-tool.")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.host = self.keep(holder())
        self.run_in_host(["ip", "link", "set", "lo", "up"])
        self.netns = f"/proc/{self.keep(holder()).pid}/ns/net"
        os.mkdir(self.dir + "/net.d")
        os.mkdir(self.dir + "/links")
        os.symlink(COAM, self.dir + "/links/cnitool")
        self.conf("10-web.conflist", {
            "cniVersion": "1.0.0", "name": "web", "plugins": [
                {"type": "bridge", "bridge": "br0", "isGateway": True, "ipMasq": True,
                 "ipam": {"type": "host-local", "subnet": "10.66.0.0/24",
                          "dataDir": self.dir + "/data"}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]})

    def keep(self, process):
        def end():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        self.addCleanup(end)
        return process

    def conf(self, name, value):
        with open(f"{self.dir}/net.d/{name}", "w", encoding="utf-8") as out:
            out.write(value if isinstance(value, str) else json.dumps(value))

    def run_in_host(self, words, env=None):
        """Runs a command in the test's own "host" namespace."""
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.host.pid}/ns/net", *words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={"PATH": PATH, **(env or {})}, timeout=60, check=False)

    def coam(self, *words):
        return self.run_in_host([
            COAM, "cni", *words, "--progress=none", "--plugin-dir", PLUGINS,
            "--conf-dir", self.dir + "/net.d", "--cache-dir", self.dir + "/cache"])

    def leases(self, network="web"):
        path = f"{self.dir}/data/{network}"
        return [n for n in os.listdir(path) if n[0].isdigit()] if os.path.isdir(path) else []

    def test_add_check_list_del(self):
        added = self.coam("add", "web", self.netns, "--id", "c1", "--port", "18085:80")
        self.assertEqual((added.returncode, added.stderr), (0, ""), added)
        self.assertEqual(json.loads(added.stdout)["ips"][0]["address"], "10.66.0.2/24")
        self.assertIn("18085", self.run_in_host(["iptables-save", "-t", "nat"]).stdout)
        attached = self.coam("attached", "--format=json")
        self.assertEqual(json.loads(attached.stdout)["attachments"][0]["container"], "c1")
        self.assertIn("10.66.0.2/24", self.coam("attached").stdout)
        again = self.coam("add", "web", self.netns, "--id", "c1")
        self.assertEqual(again.returncode, 1)
        self.assertIn("already", again.stderr)
        self.assertIn("hint:", again.stderr)
        listed = json.loads(self.coam("list", "--format=json").stdout)
        self.assertEqual(listed["networks"][0]["plugins"], ["bridge", "portmap"])
        removed = self.coam("del", "web", self.netns, "--id", "c1", "--port", "18085:80")
        self.assertEqual((removed.returncode, removed.stderr), (0, ""))
        self.assertEqual(self.coam("del", "web", "--id", "c1").returncode, 0)
        self.assertEqual(self.leases(), [])
        self.assertEqual(json.loads(self.coam("attached", "--format=json").stdout)["attachments"],
                         [])
        self.assertNotIn("18085", self.run_in_host(["iptables-save", "-t", "nat"]).stdout)

    def test_gc_validate_versions_status_recover(self):
        for name in ("a", "b"):
            added = self.coam("add", "web", f"/proc/{self.keep(holder()).pid}/ns/net", "--id", name)
            self.assertEqual(added.returncode, 0, added)
        self.assertEqual(len(self.leases()), 2)
        self.assertEqual(self.coam("gc", "web", "--keep", "a/eth0").returncode, 0)
        self.assertEqual(len(self.leases()), 1)
        self.assertEqual(json.loads(self.coam("validate", "web").stdout), ["portMappings"])
        self.assertIn("1.0.0", self.coam("versions", "bridge").stdout)
        self.assertEqual(self.coam("status", "web").returncode, 0)
        self.assertEqual(self.coam("recover").stdout, "0\n")

    def test_errors_have_exit_codes_and_hints(self):
        for words, code, said in (
                (("add", "none", self.netns), 4, "no network is called"),
                (("add", "web", self.netns, "--id", "../x"), 2, "container id"),
                (("add", "web", self.netns, "--ifname", "a/b"), 2, "interface name"),
                (("add", "web", self.netns, "--port", "x"), 2, "HOSTPORT"),
                (("add", "web", "/nowhere", "--id", "x"), 1, "bridge (ADD)"),
                (("check", "web", self.netns, "--id", "x"), 4, "no interface eth0"),
                (("versions", "none"), 4, "is not in"),
                (("del", "web"), 2, "--id"),
                (("gc", "web", "--keep", "x"), 2, "CONTAINER/INTERFACE")):
            got = self.coam(*words)
            self.assertEqual(got.returncode, code, (words, got))
            self.assertIn(said, got.stderr)
            self.assertEqual(got.stdout, "")
        self.conf("05-bad.conflist", "{")
        self.assertIn("note:", self.coam("list").stderr)
        error = self.coam("add", "none", self.netns, "--format=json")
        self.assertEqual(json.loads(error.stderr.splitlines()[0])["reason"], "cni.conf.not_found")
        self.assertEqual(self.leases(), [])

    def test_cnitool(self):
        tool = self.dir + "/links/cnitool"
        env = {"NETCONFPATH": self.dir + "/net.d", "CNI_PATH": PLUGINS, "CNI_IFNAME": "net3",
               "CAP_ARGS": json.dumps({"portMappings": [
                   {"hostPort": 18086, "containerPort": 80, "protocol": "tcp"}]})}
        # Its cache is where the reference client's is, so it gets a /var/lib of its own.
        def cnitool(*words):
            return self.run_in_host(
                ["unshare", "-m", "sh", "-c",
                 "mount -t tmpfs none /var/lib && mkdir /var/lib/cni && "
                 f"mkdir -p {self.dir}/var && mount --bind {self.dir}/var /var/lib/cni && "
                 'exec "$@"', "x", tool, *words], env)
        added = cnitool("add", "web", self.netns)
        self.assertEqual((added.returncode, added.stderr), (0, ""))
        self.assertEqual(json.loads(added.stdout)["interfaces"][2]["name"], "net3")
        files = os.listdir(self.dir + "/var/results")
        self.assertRegex(files[0], "^web-cnitool-[0-9a-f]{20}-net3$")
        self.assertEqual(cnitool("del", "web", self.netns).returncode, 0)
        self.assertEqual(os.listdir(self.dir + "/var/results"), [])
        self.assertEqual(self.leases(), [])
        for words in (("add", "none", self.netns), ("add", "web"), ("add", "web", "/nowhere")):
            got = cnitool(*words)
            self.assertEqual((got.returncode, got.stdout), (1, ""), words)
            self.assertNotEqual(got.stderr, "")

    def test_teaching_program(self):
        self.addCleanup(subprocess.run, ["rm", "-rf", "/run/cni_add_del"], check=False)
        got = self.run_in_host([EXAMPLE, self.dir + "/net.d/10-web.conflist", self.netns])
        self.assertEqual((got.returncode, got.stderr), (0, ""), got)
        self.assertEqual(got.stdout.splitlines()[0], "network web: bridge portmap")
        self.assertIn("interface eth0 in the container", got.stdout)
        self.assertIn("address 10.66.0.2/24 gateway 10.66.0.1", got.stdout)
        self.assertEqual(got.stdout.splitlines()[-1], "detached")
        self.assertEqual(self.leases(), [])
        bad = self.run_in_host([EXAMPLE, self.dir + "/net.d/none.conflist", self.netns])
        self.assertEqual(bad.returncode, 4)
        self.assertIn("hint:", bad.stderr)


if __name__ == "__main__":
    junit.main()
