"""coaming.cni with shell-script plugins, and with the packaged ones in namespaces of the test."""
import hashlib
import json
import os
import subprocess
import tempfile
import threading
import unittest

from tools.build import junit

import coaming
from coaming import _core, cni, errors
from coaming._ffi import ffi, lib

PLUGIN = """#!/bin/sh
cat > {dir}/in.$CNI_COMMAND
echo $CNI_COMMAND >> {dir}/calls
case $CNI_COMMAND in
ADD) echo '{{"cniVersion":"1.0.0","interfaces":[{{"name":"br0","mac":"02:00:00:00:00:01"}},\
{{"name":"eth0","sandbox":"/ns"}}],"ips":[{{"interface":1,"address":"10.0.0.2/24",\
"gateway":"10.0.0.1"}}]}}';;
VERSION) echo '{{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}}';;
esac
"""


class CniTest(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.dir = self.tmp.name
        for sub in ("bin", "conf"):
            os.mkdir(os.path.join(self.dir, sub))
        self.plugin("one", PLUGIN.format(dir=self.dir))
        self.write("conf/10-net.conflist", json.dumps({
            "cniVersion": "1.0.0", "name": "net",
            "plugins": [{"type": "one", "capabilities": {"portMappings": True, "mac": True}}]}))
        self.ctx = coaming.Context()
        self.client = cni.Client(self.ctx, plugin_dir=[self.dir + "/bin"],
                                 conf_dir=[self.dir + "/conf"], cache_dir=self.dir + "/cache")

    def write(self, name, content):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as out:
            out.write(content)

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as file:
            return file.read()

    def plugin(self, name, body):
        self.write("bin/" + name, body)
        os.chmod(os.path.join(self.dir, "bin", name), 0o755)

    def test_load_add_check_delete(self):
        net = self.client.load("net")
        self.assertEqual((net.name, net.version, net.plugins), ("net", "1.0.0", ["one"]))
        self.assertEqual(net.path, self.dir + "/conf/10-net.conflist")
        self.assertEqual(net.to_dict()["name"], "net")
        events = []
        result = self.client.add(net, "c1", "/ns", port=["8080:80", "[::1]:53:5353/udp"],
                                 mac="02:00:00:00:00:09", arg={"IgnoreUnknown": "1"},
                                 capability={"unused": "[1]"}, progress=events.append)
        self.assertEqual(result.version, "1.0.0")
        self.assertEqual(result.ips, [cni.Ip("10.0.0.2/24", "10.0.0.1", 1)])
        self.assertTrue(result.to_json(pretty=True).startswith('{\n    "cniVersion": "1.0.0",'))
        self.assertEqual(result.interfaces[0], cni.Interface("br0", "02:00:00:00:00:01", ""))
        self.assertEqual(result.interfaces[1].sandbox, "/ns")
        self.assertEqual(result.convert("0.2.0").to_dict()["ip4"]["ip"], "10.0.0.2/24")
        self.assertEqual([e.phase for e in events], ["start", "progress", "done"])
        given = json.loads(self.read("in.ADD"))
        self.assertEqual(given["runtimeConfig"], {
            "mac": "02:00:00:00:00:09",
            "portMappings": [
                {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "::1"}]})
        with self.assertRaises(errors.CniError) as caught:
            self.client.add(net, "c1", "/ns")
        self.assertEqual(caught.exception.reason, "cni.attached")
        self.client.check(net, "c1", "/ns")
        found = self.client.attachments("c1")
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0].network, found[0].container_id, found[0].interface,
                          found[0].netns), ("net", "c1", "eth0", "/ns"))
        self.assertEqual(json.loads(found[0].config)["name"], "net")
        self.assertEqual(found[0].result.to_dict(), result.to_dict())
        self.client.delete(net, "c1", "/ns")
        self.client.delete(net, "c1")
        self.assertEqual(self.client.attachments(), [])
        self.assertEqual(self.read("calls").split(), ["ADD", "CHECK", "DEL", "DEL"])

    def test_gc_recover_status_validate(self):
        net = cni.Network.parse(self.ctx, {"cniVersion": "1.1.0", "name": "net",
                                           "plugins": [{"type": "one",
                                                        "capabilities": {"ips": True}}]})
        for name in ("keep", "lost"):
            self.client.add(net, name, "/ns")
        self.client.gc(net, keep=[("keep", "eth0")])
        self.assertEqual([a.container_id for a in self.client.attachments()], ["keep"])
        self.client.delete_attachment(self.client.attachments()[0])
        self.assertEqual(self.client.attachments(), [])
        self.assertEqual(self.client.recover(), 0)
        self.client.status(net)
        self.assertEqual(self.client.validate(net), ["ips"])
        self.assertEqual(self.client.plugin_versions("one"), ["1.0.0", "1.1.0"])

    def test_networks_and_notes(self):
        self.write("conf/20-bad.conflist", "{")
        self.write("conf/30-two.conf", '{"name":"two","type":"one"}')
        notes = []
        nets = self.client.networks(notes=notes)
        self.assertEqual([n.name for n in nets], ["net", "two"])
        self.assertEqual([n.reason for n in notes], ["cni.conf.skipped"])
        with self.assertRaises(errors.CniError):
            self.client.networks(strict=True)
        with self.assertRaises(errors.CniError) as caught:
            self.client.load("none")
        self.assertEqual(caught.exception.reason, "cni.conf.not_found")
        single = cni.Network.load_file(self.ctx, self.dir + "/conf/30-two.conf")
        self.assertEqual(single.plugins, ["one"])
        self.assertEqual(cni.netns_id("/x"), "cnitool-" + hashlib.sha512(b"/x").hexdigest()[:20])

    def test_failures_carry_what_the_plugin_said(self):
        self.plugin("two", "#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n"
                           "echo '{\"code\":11,\"msg\":\"later\",\"details\":\"x\"}'; exit 1\n")
        net = cni.Network.parse(self.ctx, {"cniVersion": "1.0.0", "name": "net",
                                           "plugins": [{"type": "one"}, {"type": "two"}]})
        with self.assertRaises(errors.CniError) as caught:
            self.client.add(net, "c1", "/ns")
        self.assertEqual(caught.exception.reason, "cni.plugin.try_again")
        self.assertEqual(caught.exception.details["cni.plugin"], "two")
        self.assertEqual(self.client.attachments(), [])
        self.assertEqual(self.read("calls").split(), ["ADD", "DEL"])
        for bad in ("../x", "", "a b"):
            with self.assertRaises(errors.CniError):
                self.client.add(net, bad, "/ns")
        for port in ("80", "0:80", "80:99999", "80:80/icmp", "x:80:80"):
            with self.assertRaises(errors.InvalidArgumentError):
                self.client.add(net, "c1", "/ns", port=[port])
        with self.assertRaises(errors.CniError):
            cni.Result.parse(self.ctx, "[]")
        self.assertEqual(cni.Result.parse(self.ctx, "{}", "0.4.0").version, "0.4.0")

    def test_cancel_ends_a_hanging_plugin(self):
        self.plugin("hang", "#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n"
                            f"touch {self.dir}/started; exec sleep 600\n")
        net = cni.Network.parse(self.ctx, {"cniVersion": "1.0.0", "name": "net",
                                           "plugins": [{"type": "hang"}]})
        cancel = coaming.Cancel()

        def fire():
            while not os.path.exists(self.dir + "/started"):
                pass
            cancel.fire()
        thread = threading.Thread(target=fire)
        thread.start()
        with self.assertRaises(errors.CancelledError):
            self.client.add(net, "c1", "/ns", cancel=cancel)
        thread.join()

    def test_blocking_calls_of_c(self):
        net = self.client.load("net")
        out = ffi.new("coam_cni_result **")
        _core.call(lib.coam_cni_add, self.ctx._ptr, self.client._ptr, net._ptr, b"c2", b"/ns",
                   ffi.NULL, out)
        lib.coam_cni_result_free(lib.coam_cni_result_ref(out[0]))
        lib.coam_cni_result_free(out[0])
        for kind, held in (("client", self.client), ("network", net),
                           ("attachment", self.client.attachments()[0])):
            getattr(lib, f"coam_cni_{kind}_free")(getattr(lib, f"coam_cni_{kind}_ref")(held._ptr))
        for kind in ("networks", "attachments"):
            out = ffi.new(f"coam_cni_{kind} **")
            _core.call(getattr(lib, f"coam_cni_{kind}_new"), self.ctx._ptr, self.client._ptr,
                       ffi.NULL, out)
            again = getattr(lib, f"coam_cni_{kind}_ref")(out[0])
            for pointer in (again, out[0]):
                getattr(lib, f"coam_cni_{kind}_free")(pointer)
        _core.call(lib.coam_cni_del, self.ctx._ptr, self.client._ptr, net._ptr, b"c2", ffi.NULL,
                   ffi.NULL)

    def test_packaged_plugins(self):
        if os.geteuid() != 0 or not os.path.exists("/usr/lib/cni/bridge"):
            self.skipTest("needs root and containernetworking-plugins")
        # Namespaces of our own as host and container, so in a process of its own.
        script = os.path.join(self.dir, "in_ns.py")
        self.write("in_ns.py", IN_NAMESPACE)
        subprocess.run(["unshare", "-n", "python3", script, self.dir], check=True,
                       env={**os.environ, "PYTHONPATH": os.pathsep.join(os.sys.path)}, timeout=120)


IN_NAMESPACE = """
import subprocess, sys
import coaming
from coaming import cni
directory = sys.argv[1]
subprocess.run(["/sbin/ip", "link", "set", "lo", "up"], check=True)
holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                          stdout=subprocess.PIPE)
holder.stdout.readline()
try:
    netns = f"/proc/{holder.pid}/ns/net"
    ctx = coaming.Context()
    client = cni.Client(ctx, plugin_dir=["/usr/lib/cni"], cache_dir=directory + "/cache2")
    net = cni.Network.parse(ctx, {"cniVersion": "1.0.0", "name": "real", "plugins": [
        {"type": "bridge", "bridge": "br0", "isGateway": True, "ipMasq": True,
         "ipam": {"type": "host-local", "subnet": "10.77.0.0/24", "dataDir": directory + "/data"}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]})
    result = client.add(net, "c1", netns, port=["18082:80"])
    assert result.ips[0].address == "10.77.0.2/24", result.ips
    client.delete(net, "c1", netns)
    assert client.attachments() == []
    # The same with the plugins in process; no program is there to be run.
    client = cni.Client(ctx, plugin_dir=["/nowhere"], cache_dir=directory + "/cache2",
                        in_process=True)
    result = client.add(net, "c2", netns, port=["18083:80"])
    assert [i.name for i in result.interfaces][2] == "eth0", result.interfaces
    client.check(net, "c2", netns, port=["18083:80"])
    client.delete(net, "c2", netns, port=["18083:80"])
    assert client.attachments() == []
finally:
    holder.kill()
    holder.wait()
"""


if __name__ == "__main__":
    junit.main()
