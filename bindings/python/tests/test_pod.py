"""Pods: prepared, run, entered, stopped and collected, with an image made on the spot."""
import io
import json
import os
import shutil
import signal
import tarfile
import tempfile
import unittest

from tools.build import junit

import coaming
from coaming import _core, errors, pod
from coaming._core import ffi, lib

BUSYBOX = "/bin/busybox"


def make_image(path, script):
    """An ACI with busybox that runs `script`."""
    manifest = {
        "acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/test",
        "labels": [{"name": "version", "value": "1"}, {"name": "os", "value": "linux"},
                   {"name": "arch", "value": "amd64"}],
        "app": {"exec": ["/bin/sh", "-c", script], "user": "0", "group": "0"},
    }
    with tarfile.open(path, "w") as tar:
        def add(name, **attributes):
            info = tarfile.TarInfo(name)
            data = attributes.pop("data", b"")
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))

        for name in ("rootfs", "rootfs/bin"):
            add(name, type=tarfile.DIRTYPE, mode=0o755)
        with open(BUSYBOX, "rb") as busybox:
            add("rootfs/bin/busybox", mode=0o755, data=busybox.read())
        for applet in ("sh", "sleep", "echo", "cat"):
            add("rootfs/bin/" + applet, type=tarfile.SYMTYPE, linkname="busybox")
        add("manifest", mode=0o644, data=json.dumps(manifest).encode())


def import_image(folder, path):
    options = _core.Options("aci.store", {"dir": os.path.join(folder, "cas")})
    store = ffi.new("coam_aci_store **")
    _core.call(lib.coam_aci_store_open, options.pointer, store)
    context = coaming.Context()
    try:
        return _core.take_buf(lib.coam_aci_store_import, store[0], context._ptr, path.encode(),
                              ffi.NULL).decode()
    finally:
        lib.coam_aci_store_free(store[0])


@unittest.skipUnless(os.geteuid() == 0, "needs root")
@unittest.skipUnless(os.path.exists(BUSYBOX), "needs busybox-static")
class PodTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="coam-pods.")
        self.group = f"/coam-pytest-{os.getpid()}"
        self.pods = pod.Pods(dir=self.folder, cgroup_parent=self.group)

    def tearDown(self):
        self.pods.gc(grace_period="0s", expire_prepared="0s")
        self.pods.close()
        shutil.rmtree(self.folder)
        for base, _, _ in list(os.walk("/sys/fs/cgroup", topdown=False)):
            if self.group in base:
                os.rmdir(base)

    def image(self, script):
        path = os.path.join(self.folder, "image.aci")
        make_image(path, script)
        return import_image(self.folder, path)

    def test_the_status_of_the_app_is_the_pod_s(self):
        image = self.image("exit 4")
        with self.pods.run([image], net=["none"], stdio="null") as running:
            self.assertEqual(running.wait(timeout=30), 4)
            status = self.pods.status(running.uuid[:8])
        self.assertEqual(status["schema"], "coam.pod.v1")
        self.assertEqual(status["state"], "exited")
        self.assertEqual(status["apps"][0]["exit_code"], 4)
        self.pods.wait_exit(running_uuid := status["uuid"], timeout=5)
        self.assertEqual([p["uuid"] for p in self.pods.list()], [running_uuid])
        self.assertIn(b"PodManifest", self.pods.manifest(running_uuid))
        self.assertEqual(self.pods.gc(grace_period="0s"), [running_uuid])

    def test_enter_stop_and_remove(self):
        image = self.image("sleep 1000")
        running = self.pods.run([pod.App(image, name="one", memory="64Mi")], net=["none"],
                                stdio="null", environment={"A": "b"})
        with self.assertRaises(errors.DeadlineError):
            running.wait(timeout=0.05)
        self.assertIsNone(running.poll())
        self.assertGreater(running.fileno(), 2)
        self.assertEqual(running.take_console(), -1)
        entered = self.pods.enter(running.uuid, ["/bin/sh", "-c", "test $A = b && exit 9"])
        self.assertGreater(entered.fileno(), 2)
        self.assertEqual(entered.take_console(), -1)
        self.assertEqual(entered.wait(timeout=30), 9)
        entered = self.pods.enter(running.uuid, ["/bin/sleep", "1000"], app="one")
        entered.kill(signal.SIGKILL)
        self.assertEqual(entered.wait(timeout=30), 128 + signal.SIGKILL)
        with self.assertRaises(errors.StateError) as caught:
            self.pods.remove(running.uuid)
        self.assertEqual(caught.exception.reason, "pod.state")
        self.pods.stop(running.uuid, force=True)
        self.assertEqual(running.wait(timeout=30), 128 + signal.SIGKILL)
        self.pods.remove(running.uuid)
        self.assertEqual(self.pods.list(), [])

    def test_what_is_not_there_is_told(self):
        with self.assertRaises(errors.NotFoundError) as caught:
            self.pods.prepare(["example.com/nothing"])
        self.assertEqual(caught.exception.reason, "aci.not_found")
        with self.assertRaises(errors.NotFoundError) as caught:
            self.pods.status("0123")
        self.assertEqual(caught.exception.reason, "pod.not_found")
        with self.assertRaises(errors.InvalidArgumentError):
            self.pods.prepare([pod.App("x", memory="much")])


if __name__ == "__main__":
    junit.main()
