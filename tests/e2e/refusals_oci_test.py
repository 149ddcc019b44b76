"""Bad registries, images, layouts and bundles: each is refused in words, and leaves nothing."""
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time

import inputs
import world
from inputs import OciImage
from tools.build import junit

PORT = 5000
HOST = f"127.0.0.1:{PORT}"
APP = f"docker://{HOST}/app:1"


class Registry(world.World):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site = world.Site(PORT)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()
        super().tearDownClass()

    def setUp(self):
        self.site.reset()
        super().setUp()
        self.image = OciImage().serve(self.site)
        self.addCleanup(self.no_layout)

    def no_layout(self):
        """No name and no bundle came of what was refused."""
        there = os.path.exists(self.path("bundle"))
        shutil.rmtree(self.path("bundle"), ignore_errors=True)
        self.assertFalse(there, "there is a bundle")
        for name in os.listdir(self.work):
            self.assertNotIn(".part", name, "half a bundle is left")
        index = self.path("layout", "index.json")
        if os.path.exists(index):
            with open(index, encoding="utf-8") as file:
                self.assertEqual(json.load(file)["manifests"], [], "there is a name")
        shutil.rmtree(self.path("layout"), ignore_errors=True)

    def pull(self, text, reason, name=APP, *flags):
        self.refused(text, reason, "pull", "--timeout=20s", *flags, name, "layout:app")

    def blob(self, data):
        return f"/v2/app/blobs/{inputs.digest(data)}"

    def test_the_good_image_is_pulled_and_unpacked(self):
        self.ok("pull", APP, "layout:app")
        self.ok("unpack", "oci:layout:app", "bundle")
        shutil.rmtree(self.path("bundle"))
        shutil.rmtree(self.path("layout"))

    def test_reference_with_upper_case(self):
        self.pull("reference", "oci.reference", f"docker://{HOST}/App:1")

    def test_reference_with_a_bad_digest(self):
        self.pull("digest|reference", "oci.reference", f"docker://{HOST}/app@sha256:123")

    def test_unknown_transport(self):
        self.pull("transport|says? where", "oci.transport", "ftp://example.com/app")

    def test_registry_gone(self):
        self.pull("connect", "http.connect", "docker://127.0.0.1:4999/app:1")

    def test_no_such_tag(self):
        self.pull("app:2", "oci.not_found", f"docker://{HOST}/app:2")

    def test_login_needed(self):
        challenge = {"WWW-Authenticate": 'Basic realm="here"'}
        self.site.pages["/v2/"] = (401, challenge, b"{}")
        self.site.pages["/v2/app/manifests/1"] = (401, challenge, b"{}")
        self.pull("401|credential|log in", "oci.auth")

    def test_access_denied(self):
        self.site.pages["/v2/app/manifests/1"] = (
            403, {}, b'{"errors":[{"code":"DENIED","message":"not for you"}]}')
        self.pull("not for you", "oci.denied")

    def test_manifest_of_another_digest(self):
        other = "sha256:" + "0" * 64
        self.site.pages[f"/v2/app/manifests/{other}"] = self.site.pages["/v2/app/manifests/1"]
        self.pull("digest|sha256", "digest.mismatch", f"docker://{HOST}/app@{other}")

    def test_manifest_that_is_no_json(self):
        inputs.serve_manifest(self.site, b"<html>", inputs.MANIFEST)
        self.pull("manifest of .*line 1, column 1", "json.invalid")

    def test_manifest_with_a_key_twice(self):
        data = self.image.manifest.replace(b'{"schemaVersion": 2,',
                                           b'{"schemaVersion": 2, "schemaVersion": 2,')
        inputs.serve_manifest(self.site, data, inputs.MANIFEST)
        self.pull("second time", "json.duplicate_key")

    def test_manifest_without_config(self):
        del self.image.document["config"]
        self.image.serve(self.site)
        self.pull("config", "oci.manifest")

    def test_manifest_too_large(self):
        self.image.document["annotations"] = {"a": "x" * 100000}
        self.image.serve(self.site)
        self.pull("limit|than", "core.limit", APP, "--limit=manifest_bytes=64Ki")

    def test_manifest_of_schema_one(self):
        inputs.serve_manifest(self.site, b'{"schemaVersion":1,"fsLayers":[],"history":[]}',
                              inputs.SCHEMA1)
        self.pull("schema 1", "oci.schema1")

    def test_manifest_served_as_another_type(self):
        inputs.serve_manifest(self.site, self.image.manifest, inputs.INDEX)
        self.pull("type", "oci.media_type")

    def test_index_for_other_platforms(self):
        index = {"schemaVersion": 2, "mediaType": inputs.INDEX, "manifests": [
            inputs.descriptor(inputs.MANIFEST, self.image.manifest,
                              platform={"os": "linux", "architecture": "s390x"})]}
        inputs.serve_manifest(self.site, json.dumps(index).encode(), inputs.INDEX)
        self.pull("s390x", "oci.no_platform")

    def test_indexes_nested_without_end(self):
        data = self.image.manifest
        kind = inputs.MANIFEST
        for _ in range(12):
            data = json.dumps({"schemaVersion": 2, "mediaType": inputs.INDEX, "manifests": [
                inputs.descriptor(kind, data)]}).encode()
            kind = inputs.INDEX
            inputs.serve_manifest(self.site, data, kind)
        self.pull("nest|deep", "oci.cycle")

    def test_layer_of_another_digest(self):
        blob = self.image.layers[0]
        self.site.pages[self.blob(blob)] = blob[:-1] + bytes([blob[-1] ^ 1])
        self.pull("digest|sha256", "digest.mismatch")

    def test_layer_longer_than_promised(self):
        self.site.pages[self.blob(self.image.layers[0])] = self.image.layers[0] + b"more"
        self.pull("longer", "core.limit")

    def test_layer_that_breaks_off(self):
        blob = self.image.layers[0]
        self.site.pages[self.blob(blob)] = world.truncated(blob, len(blob) // 2)
        code, _, err = self.run_tool("pull", "--timeout=4s", APP, "layout:app")
        self.assertIn(code, (8, 124), err)
        self.assertIn("hint: ", err)

    def test_layer_with_another_content_than_its_diff_id(self):
        other = OciImage([("etc/", )])
        document = dict(self.image.document, layers=other.document["layers"])
        self.image.document = document
        self.image.layers = other.layers
        self.image.serve(self.site)
        self.refused("digest|diff", "digest.mismatch", "unpack", APP, "bundle")

    def test_server_error(self):
        self.site.pages["/v2/app/manifests/1"] = 503
        code, _, err = self.run_tool("pull", "--timeout=3s", APP, "layout:app")
        self.assertIn(code, (8, 124), err)
        self.assertIn("hint: ", err)

    def test_disk_full(self):
        with Small(self.path("small")):
            self.refused("space", "core.no_space", "pull", APP, "small/layout:app")

    def test_disk_full_while_unpacking(self):
        with Small(self.path("small")):
            self.refused("space", "core.no_space", "unpack", APP, "small/bundle")
            self.assertFalse(os.path.exists(self.path("small/bundle")))

    def unpack(self, text, reason, *layers):
        OciImage(*layers).serve(self.site)
        self.refused(text, reason, "unpack", APP, "bundle")
        self.assertFalse(os.path.exists(self.path("evil")))

    def test_layer_that_climbs_out(self):
        self.unpack(r"\.\./evil", "oci.layer", [("../evil", b"x")])

    def test_layer_with_a_hard_link_to_outside(self):
        self.unpack("link", "oci.layer", [("a", tarfile.LNKTYPE, "../../etc/passwd")])

    def test_layer_through_a_symbolic_link(self):
        # In root: the link leads below the root, never to the host's /tmp.
        OciImage([("out", tarfile.SYMTYPE, self.work), ("out/evil", b"x")]).serve(self.site)
        self.run_tool("unpack", APP, "bundle")
        self.assertFalse(os.path.exists(self.path("evil")))
        shutil.rmtree(self.path("bundle"), ignore_errors=True)

    def test_layer_that_is_no_archive(self):
        image = OciImage()
        image.layers = [b"not gzip at all" * 100]
        image.document["layers"] = [inputs.descriptor(inputs.LAYER, image.layers[0])]
        image.serve(self.site)
        self.refused("gzip|layer", "stream.corrupt", "unpack", APP, "bundle")

    def test_bundle_that_is_there_already(self):
        os.mkdir(self.path("bundle"))
        with open(self.path("bundle", "mine"), "w", encoding="utf-8"):
            pass
        self.refused("bundle", "core.exists", "unpack", APP, "bundle")
        self.assertEqual(os.listdir(self.path("bundle")), ["mine"])
        shutil.rmtree(self.path("bundle"))

    def test_layout_that_is_not_there(self):
        self.refused("layout", "oci.not_found", "unpack", "oci:nowhere:app", "bundle")

    def test_interrupt_while_the_manifest_is_waited_for(self):
        event = threading.Event()
        self.site.pages["/v2/app/manifests/1"] = world.stalled(self.image.manifest, 10, event)
        code, _, err = self.interrupt(event, "pull", APP, "layout:app")
        self.assertEqual(code, 130, err)

    def test_interrupt_while_a_layer_is_pulled(self):
        event, blob = threading.Event(), self.image.layers[0]
        self.site.pages[self.blob(blob)] = world.stalled(blob, len(blob) // 2, event)
        code, _, err = self.interrupt(event, "pull", APP, "layout:app")
        self.assertEqual(code, 130, err)

    def test_interrupt_while_a_layer_is_unpacked(self):
        event, blob = threading.Event(), self.image.layers[0]
        self.site.pages[self.blob(blob)] = world.stalled(blob, len(blob) // 2, event)
        code, _, err = self.interrupt(event, "unpack", APP, "bundle")
        self.assertEqual(code, 130, err)


class Small:
    """A file system of 256 KiB."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        os.mkdir(self.path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", self.path], check=True)

    def __exit__(self, *args):
        subprocess.run(["umount", self.path], check=True)
        os.rmdir(self.path)


class Bundles(world.World):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("bundle/rootfs/bin"))
        os.makedirs(self.path("bundle/rootfs/proc"))
        shutil.copy("/bin/busybox", self.path("bundle/rootfs/bin/busybox"))
        self.addCleanup(shutil.rmtree, self.path("bundle"))

    def write(self, config):
        text = config if isinstance(config, str) else json.dumps(config)
        with open(self.path("bundle/config.json"), "w", encoding="utf-8") as file:
            file.write(text)

    def run_bundle(self, text, reason, config=None):
        if config is not None:
            self.write(config)
        self.refused(text, reason, "run", "--root", self.path("state"), "-b", "bundle", "app")
        left = [name for _, _, names in os.walk(self.path("state")) for name in names]
        self.assertEqual(left, [])

    def test_a_good_bundle_runs(self):
        self.write(inputs.runtime_config("/bin/busybox", "sh", "-c", "exit 7"))
        code, _, err = self.run_tool("run", "--root", self.path("state"), "-b", "bundle", "app")
        self.assertEqual(code, 7, err)

    def test_no_config(self):
        self.run_bundle("config.json", "core.not_found")

    def test_config_that_is_cut_short(self):
        self.run_bundle("config.json", "json.invalid", json.dumps(inputs.runtime_config())[:-9])

    def test_config_with_a_wrong_type(self):
        self.run_bundle("args", "json.type", inputs.runtime_config(process={"args": 1, "cwd": "/"}))

    def test_config_without_a_program(self):
        self.run_bundle("args", "run.spec", inputs.runtime_config(process={"args": [], "cwd": "/"}))

    def test_config_with_a_relative_cwd(self):
        self.run_bundle("cwd", "run.spec",
                        inputs.runtime_config(process={"args": ["/bin/busybox"], "cwd": "tmp"}))

    def test_config_nested_without_end(self):
        self.run_bundle("deep|nest|depth|limit", "core.limit", "[" * 100000)

    def test_program_that_is_missing(self):
        self.run_bundle("/bin/nothing", "run.exec_not_found",
                        inputs.runtime_config("/bin/nothing"))

    def test_program_that_is_not_executable(self):
        with open(self.path("bundle/rootfs/file"), "w", encoding="utf-8") as file:
            file.write("text")
        self.run_bundle("/file", "run.exec", inputs.runtime_config("/file"))

    def test_working_directory_that_is_a_file(self):
        self.run_bundle("/bin/busybox", "run.cwd", inputs.runtime_config(
            process={"args": ["/bin/busybox"], "cwd": "/bin/busybox", "user": {"uid": 0, "gid": 0}}))

    def test_root_that_is_missing(self):
        self.run_bundle("elsewhere", "run.root", inputs.runtime_config(root={"path": "elsewhere"}))

    def test_mount_without_a_source(self):
        self.run_bundle("/no/such", "run.mount", inputs.runtime_config(mounts=[
            {"destination": "/data", "type": "bind", "source": "/no/such", "options": ["bind"]}]))

    def test_hook_that_fails(self):
        self.run_bundle("hook|createRuntime", "run.hook", inputs.runtime_config(
            hooks={"createRuntime": [{"path": "/bin/false"}]}))

    def test_namespace_that_is_not_there(self):
        self.run_bundle("/run/no-such-netns", "run.namespace", inputs.runtime_config(
            linux={"namespaces": [{"type": "mount"},
                                  {"type": "network", "path": "/run/no-such-netns"}]}))

    def test_id_that_is_not_allowed(self):
        self.write(inputs.runtime_config())
        self.refused("id", "run.id", "run", "--root", self.path("state"), "-b", "bundle", "../x")

    def test_container_that_is_not_there(self):
        for verb in ("start", "kill", "delete", "state"):
            self.refused("nobody", "run.not_found", verb, "--root", self.path("state"), "nobody")

    def test_second_container_of_one_name(self):
        self.write(inputs.runtime_config("/bin/busybox", "sleep", "100"))
        root = ("--root", self.path("state"))
        # A created container keeps its standard streams.
        subprocess.run([world.COAM, "create", *root, "-b", "bundle", "app"], cwd=self.work,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        try:
            self.refused("app", "run.exists", "create", *root, "-b", "bundle", "app")
        finally:
            self.ok("delete", "--force", *root, "app")

    def test_interrupt_of_a_running_container(self):
        self.write(inputs.runtime_config(
            "/bin/busybox", "sh", "-c", "trap 'exit 9' INT; while :; do /bin/busybox sleep 0.1; done"))
        state = self.path("state", "app")
        code, _, err = self.interrupt(lambda: os.path.exists(state) and time.sleep(1) is None,
                                      "run", "--root", self.path("state"), "-b", "bundle", "app")
        self.assertEqual(code, 9, err)


class Networks(world.World):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("net.d"), exist_ok=True)
        self.where = ("--conf-dir", self.path("net.d"), "--cache-dir", self.path("cni"),
                      "--plugin-dir", "/usr/lib/cni", "--id=c1")
        self.addCleanup(shutil.rmtree, self.path("net.d"))

    def write(self, text):
        with open(self.path("net.d/10-x.conflist"), "w", encoding="utf-8") as file:
            file.write(text)

    def add(self, text, reason, netns="/proc/self/ns/net"):
        self.refused(text, reason, "cni", "add", *self.where, "x", netns)

    def test_no_such_network(self):
        self.add("x", "cni.conf.not_found")

    def test_configuration_without_plugins(self):
        self.write('{"cniVersion":"1.0.0","name":"x","plugins":[]}')
        self.add("left out: ", "cni.conf.not_found")

    def test_plugin_that_is_missing(self):
        self.write('{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"no-such-plugin"}]}')
        self.add("no-such-plugin", "cni.plugin.not_found")

    def test_plugin_with_a_path_for_a_name(self):
        self.write('{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"../../bin/sh"}]}')
        self.add("left out: ", "cni.conf.not_found")

    def test_address_range_that_is_none(self):
        self.write('{"cniVersion":"0.4.0","name":"x","plugins":[{"type":"bridge","bridge":"e2e0",'
                   '"ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.300/24"}]]}}]}')
        code, _, err = self.run_tool("cni", "add", *self.where, "x", "/proc/1/ns/net")
        self.assertNotEqual(code, 0)
        self.assertIn("hint: ", err)


if __name__ == "__main__":
    world.enter()
    junit.main()
