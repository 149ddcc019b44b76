"""Bad App Container images, servers, keys and requests: refused in words, and nothing comes in."""
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time

import inputs
import world
from tools.build import junit

NAME = "example.com/hello"
PAGE = """<html><head>
<meta name="ac-discovery" content="example.com {0}/images/{{name}}-{{version}}.{{ext}}">
<meta name="ac-discovery-pubkeys" content="example.com {0}/pubkeys.gpg">
</head></html>"""


def gpg(*words, data=None):
    done = subprocess.run(["gpg", "--batch", "--quiet", "--yes", "--passphrase", "", *words],
                          input=data, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout


class Images(world.World):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.mkdir(os.path.join(cls.work, "gnupg"), 0o700)
        world.authority(cls.work)
        for who in ("good", "other", "revoked"):
            gpg("--quick-generate-key", f"{who}@example.com", "ed25519", "sign", "never")
        gpg("--faked-system-time", "20200101T000000", "--quick-generate-key", "old@example.com",
            "ed25519", "sign", "1d")
        cls.aci = inputs.aci()
        cls.signature = cls.sign(cls.aci)
        cls.revoked = cls.sign(cls.aci, "revoked")
        listing = gpg("--with-colons", "--list-keys", "revoked@example.com").decode()
        fingerprint = next(line.split(":")[9] for line in listing.split("\n")
                           if line.startswith("fpr"))
        path = os.path.join(cls.work, "gnupg/openpgp-revocs.d", fingerprint + ".rev")
        with open(path, encoding="utf-8") as file:
            gpg("--import", data=file.read().replace(":-----BEGIN", "-----BEGIN").encode())
        cls.site = world.Site(443, (os.path.join(cls.work, "example.com.pem"),
                                    os.path.join(cls.work, "example.com.key")))
        cls.plain = world.Site(80)
        cls.wrong = world.Site(444, (os.path.join(cls.work, "other.example.pem"),
                                     os.path.join(cls.work, "other.example.key")))

    @classmethod
    def tearDownClass(cls):
        for site in (cls.site, cls.plain, cls.wrong):
            site.close()
        super().tearDownClass()

    @classmethod
    def sign(cls, data, who="good", *flags):
        return gpg(*flags, "--armor", "--local-user", f"{who}@example.com", "--detach-sign",
                   data=data)

    def setUp(self):
        self.site.reset()
        self.plain.reset()
        super().setUp()
        for page in ("/hello", "/", "/base", "/a", "/b"):
            self.site.pages[page] = PAGE.format("https://example.com").encode()
        self.publish(self.aci, self.signature)
        self.key = self.path("good.gpg")
        with open(self.key, "wb") as file:
            file.write(gpg("--armor", "--export", "good@example.com"))
        self.addCleanup(self.nothing_came_in)

    def nothing_came_in(self):
        code, out, err = self.rkt("image", "list", "--no-legend")
        shutil.rmtree(self.path("rkt"), ignore_errors=True)
        shutil.rmtree(self.path("etc"), ignore_errors=True)
        self.assertEqual((code, out.strip()), (0, ""), f"an image is in the store: {err}")

    def publish(self, data, signature, name=NAME, version="1"):
        self.site.pages[f"/images/{name}-{version}.aci"] = data
        self.site.pages[f"/images/{name}-{version}.aci.asc"] = (
            signature if signature is not None else 404)

    def words(self, *words, ca=True, resolve="example.com:443:127.0.0.1"):
        """The flags go before the words of rkt."""
        flags = ["--dir", self.path("rkt"), "--local-config", self.path("etc"),
                 "--system-config", self.path("none"), "--resolve", resolve]
        return [*flags, *(["--ca-file", self.path("ca.pem")] if ca else []), *words]

    def rkt(self, *words, **kwargs):
        return self.run_tool(*self.words(*words, **kwargs), name="rkt")

    def trust(self, key=None, prefix=NAME):
        code, _, err = self.rkt("trust", f"--prefix={prefix}", "--skip-fingerprint-review",
                                key or self.key)
        self.assertEqual(code, 0, err)

    def bad(self, text, *words, **kwargs):
        self.refused(text, world.RKT_ERROR, *self.words(*words, **kwargs), name="rkt")

    def fetch(self, text, name=NAME + ":1", *flags, **kwargs):
        self.bad(text, "fetch", *flags, name, **kwargs)

    def bad_image(self, text, data, name=NAME):
        """Signed as it should be, so that only its content is to blame."""
        self.publish(data, self.sign(data), name)
        self.trust(prefix="example.com")
        self.fetch(text, name + ":1")

    def test_the_good_image_is_fetched_and_removed(self):
        self.trust()
        code, out, err = self.rkt("fetch", NAME + ":1")
        self.assertEqual(code, 0, err)
        self.assertIn("sha512-", out)
        self.assertEqual(self.rkt("image", "rm", NAME + ":1")[0], 0)

    # Signatures and keys.

    def test_tampered_image(self):
        self.trust()
        self.publish(self.aci[:500] + b"x" + self.aci[501:], self.signature)
        self.fetch("does not fit")

    def test_untrusted_key(self):
        self.trust()
        self.publish(self.aci, self.sign(self.aci, "other"))
        self.fetch("not trusted")

    def test_unsigned(self):
        self.trust()
        self.publish(self.aci, None)
        self.fetch("signature|signed")

    def test_no_key_for_the_name(self):
        self.trust(prefix="example.com/other")
        self.fetch("key")

    def test_expired_key(self):
        with open(self.path("old.gpg"), "wb") as file:
            file.write(gpg("--armor", "--export", "old@example.com"))
        self.trust(self.path("old.gpg"))
        signed = self.sign(self.aci, "old", "--faked-system-time", "20200101T120000")
        self.publish(self.aci, signed)
        # Made while the key lived, and so still good ...
        code, _, err = self.rkt("fetch", NAME + ":1")
        if code == 0:
            self.assertEqual(self.rkt("image", "rm", NAME + ":1")[0], 0)
        else:
            self.assertIn("expired", err)

    def test_revoked_key(self):
        with open(self.path("revoked.gpg"), "wb") as file:
            file.write(gpg("--armor", "--export", "revoked@example.com"))
        self.trust(self.path("revoked.gpg"))
        self.publish(self.aci, self.revoked)
        self.fetch("revoked")

    def test_signature_that_is_damaged(self):
        self.trust()
        self.publish(self.aci, self.signature[:100])
        self.fetch("signature|armou?r")

    def test_signature_that_is_a_page(self):
        self.trust()
        self.publish(self.aci, b"<html>not here</html>")
        self.fetch("OpenPGP|signature")

    def test_signature_too_large(self):
        self.trust()
        self.publish(self.aci, self.signature + b"x" * 2_000_000)
        self.fetch("limit|than|signature")

    def test_key_file_that_is_none(self):
        with open(self.path("bad.gpg"), "w", encoding="utf-8") as file:
            file.write("no key")
        self.bad("key", "trust", f"--prefix={NAME}", "--skip-fingerprint-review",
                 self.path("bad.gpg"))

    def test_trust_without_a_prefix(self):
        code, _, err = self.rkt("trust", self.key)
        self.assertEqual(code, world.RKT_ERROR)
        self.assertIn("--prefix=NAME", err)

    def test_trust_without_a_terminal_to_ask_on(self):
        code, _, err = self.rkt("trust", f"--prefix={NAME}", self.key)
        self.assertEqual(code, world.RKT_ERROR)
        self.assertIn("--skip-fingerprint-review", err)

    # Servers.

    def test_nobody_listens(self):
        self.trust()
        self.fetch("connect|refused", resolve="example.com:443:127.0.0.1:445")

    def test_unknown_authority(self):
        self.trust()
        self.fetch("certificate|TLS", ca=False)

    def test_certificate_of_another_name(self):
        self.trust()
        self.fetch("certificate|name|TLS", resolve="example.com:443:127.0.0.1:444")

    def test_no_page(self):
        self.trust()
        for page in ("/", "/hello"):
            del self.site.pages[page]
        self.fetch("discover")

    def test_page_for_another_name(self):
        self.trust()
        text = PAGE.format("https://example.com").replace('content="example.com',
                                                          'content="example.org').encode()
        self.site.pages["/"] = self.site.pages["/hello"] = text
        self.fetch("discover")

    def test_page_that_leads_to_http(self):
        self.trust()
        text = PAGE.format("http://example.com").encode()
        self.site.pages["/"] = self.site.pages["/hello"] = text
        self.fetch("http|discover")
        self.assertEqual(self.plain.seen, [])

    def test_redirect_to_http(self):
        self.trust()
        self.site.pages[f"/images/{NAME}-1.aci"] = (
            302, {"Location": f"http://127.0.0.1/images/{NAME}-1.aci"}, b"")
        self.fetch("http")
        self.assertEqual(self.plain.seen, [])

    def test_redirects_without_end(self):
        self.trust()
        self.site.pages["/hello"] = (302, {"Location": "https://example.com/hello"}, b"")
        self.fetch("redirect")

    def test_page_too_large(self):
        self.trust()
        page = b"<html>" + b" " * 8_000_000
        self.site.pages["/"] = self.site.pages["/hello"] = page
        self.fetch("limit|than|discover")

    def test_image_that_is_not_there(self):
        self.trust()
        self.site.pages[f"/images/{NAME}-1.aci"] = 404
        self.fetch("404|not found|no such")

    def test_server_gone_in_mid_download(self):
        self.trust()
        self.site.pages[f"/images/{NAME}-1.aci"] = world.truncated(self.aci, len(self.aci) // 2)
        self.fetch("connection|closed|broke|transfer|incomplete|early|bytes", NAME + ":1",
                   "--timeout=20s")

    def test_image_too_large(self):
        self.trust()
        self.fetch("limit|than", NAME + ":1", "--limit=blob_bytes=64Ki")

    # Images.

    def test_image_of_another_name(self):
        self.bad_image("name|hello", inputs.aci(inputs.aci_manifest("example.com/other")))

    def test_image_of_another_version(self):
        self.bad_image("version|label", inputs.aci(inputs.aci_manifest(version="2")))

    def test_image_that_is_no_archive(self):
        self.bad_image("archive|image|tar", b"this is a text " * 100)

    def test_image_that_is_cut_short(self):
        self.bad_image("end|short|trunc|damaged|corrupt|archive", self.aci[:len(self.aci) // 2])

    def test_image_without_a_manifest(self):
        self.bad_image("manifest", inputs.aci(False))

    def test_manifest_that_is_no_json(self):
        self.bad_image("line 1, column 2", inputs.aci(b"{"))

    def test_manifest_of_another_kind(self):
        manifest = inputs.aci_manifest()
        manifest["acKind"] = "PodManifest"
        self.bad_image("acKind|PodManifest|kind", inputs.aci(manifest))

    def test_manifest_too_large(self):
        manifest = inputs.aci_manifest(annotations=[{"name": "a", "value": "x" * 6_000_000}])
        self.bad_image("limit|than", inputs.aci(manifest))

    def test_manifest_with_a_name_twice(self):
        self.bad_image("second time", inputs.aci(
            json.dumps(inputs.aci_manifest()).replace(
                '"acKind"', '"acKind": "ImageManifest", "acKind"', 1).encode()))

    def test_entry_that_climbs_out(self):
        self.bad_image(r"\.\.", inputs.aci(entries=[("rootfs/../../evil", b"x")]))
        self.assertFalse(os.path.exists(self.path("evil")))

    def test_entry_outside_of_rootfs(self):
        self.bad_image("elsewhere|rootfs", inputs.aci(entries=[("elsewhere", b"x")]))

    def test_entry_twice(self):
        self.bad_image("twice|duplicate|again",
                       inputs.aci(entries=[("rootfs/a", b"1"), ("rootfs/a", b"2")]))

    def test_hard_link_to_outside(self):
        self.bad_image("link", inputs.aci(
            entries=[("rootfs/a", tarfile.LNKTYPE, "../../../etc/passwd")]))

    def test_dependencies_in_a_circle(self):
        for name, other in (("example.com/a", "example.com/b"), ("example.com/b", "example.com/a")):
            data = inputs.aci(inputs.aci_manifest(name, dependencies=[
                {"imageName": other, "labels": [{"name": "version", "value": "1"}]}]))
            self.publish(data, self.sign(data), name)
        self.trust(prefix="example.com")
        self.fetch("which depends on it", "example.com/a:1")
        # What was sound by itself may have come in.
        for name in ("example.com/a:1", "example.com/b:1"):
            self.rkt("image", "rm", name)

    def test_dependency_of_another_id(self):
        base = inputs.aci(inputs.aci_manifest("example.com/base"))
        self.publish(base, self.sign(base), "example.com/base")
        data = inputs.aci(inputs.aci_manifest(dependencies=[
            {"imageName": "example.com/base", "imageID": "sha512-" + "0" * 128,
             "labels": [{"name": "version", "value": "1"}]}]))
        self.publish(data, self.sign(data))
        self.trust(prefix="example.com")
        self.fetch("sha512|ID")
        for name in ("example.com/base:1", NAME + ":1"):
            self.rkt("image", "rm", name)

    def test_disk_full(self):
        os.mkdir(self.path("rkt"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", self.path("rkt")],
                       check=True)
        try:
            self.trust()
            self.fetch("space")
        finally:
            subprocess.run(["umount", self.path("rkt")], check=True)

    # Words.

    def test_name_in_upper_case(self):
        self.fetch("Example|name", "Example.com/Hello")

    def test_image_that_the_store_lacks(self):
        self.bad("hello", "run", "--pull-policy=never", "--net=none", NAME + ":1")

    def test_pod_that_is_not_there(self):
        self.bad("12345678", "status", "12345678")
        self.bad("12345678", "stop", "12345678")
        self.bad("12345678", "enter", "12345678", "/bin/true")

    def run_bad(self, text, *words):
        self.trust()
        self.bad(text, "run", *words)
        self.assertEqual(self.rkt("gc", "--grace-period=0s", "--expire-prepared=0s")[0], 0)
        self.assertEqual(self.rkt("image", "rm", NAME + ":1")[0], 0)

    def test_run_on_a_network_that_is_not_there(self):
        self.run_bad("nowhere", "--net=nowhere", NAME + ":1")

    def test_run_with_a_port_that_is_not_there(self):
        self.run_bad("www", "--net=none", "--port=www:80", NAME + ":1")

    def test_run_with_too_little_memory(self):
        self.run_bad("memory|4096", "--net=none", NAME + ":1", "--memory=4095")

    def test_run_of_a_program_that_is_missing(self):
        self.trust()
        code, _, err = self.rkt("run", "--net=none", NAME + ":1", "--exec=/bin/nothing")
        self.assertIn(code, (127, 254), err)
        self.assertIn("/bin/nothing", err)
        self.assertEqual(self.rkt("gc", "--grace-period=0s")[0], 0)
        self.assertEqual(self.rkt("image", "rm", NAME + ":1")[0], 0)

    # Interrupts.

    def interrupted(self, path, at=10):
        event, body = threading.Event(), self.site.pages[path]
        self.site.pages[path] = world.stalled(body, min(at, len(body) // 2), event)
        code, _, err = self.interrupt(event, *self.words("fetch", NAME + ":1"), name="rkt")
        self.assertIn(code, (130, 254), err)
        self.assertRegex(err, "interrupted|cancel")

    def test_interrupt_of_discovery(self):
        self.trust()
        self.interrupted("/hello")

    def test_interrupt_of_the_signature(self):
        self.trust()
        self.interrupted(f"/images/{NAME}-1.aci.asc")

    def test_interrupt_of_the_download(self):
        self.trust()
        self.interrupted(f"/images/{NAME}-1.aci", 100_000)

    def test_interrupt_of_a_running_pod(self):
        self.trust()
        uuid = self.path("uuid")
        code, _, err = self.interrupt(
            lambda: os.path.exists(uuid) and time.sleep(1) is None,
            *self.words("run", "--net=none", "--uuid-file-save", uuid, NAME + ":1"), name="rkt")
        self.assertEqual(code, 130)
        self.assertIn("stopping pod", err)
        os.unlink(uuid)
        self.assertEqual(self.rkt("gc", "--grace-period=0s")[0], 0)
        self.assertEqual(self.rkt("image", "rm", NAME + ":1")[0], 0)


class Builds(world.World):
    """acbuild's and actool's own exit codes: 1 for errors, 2 for what is not there to be removed."""

    def build(self, *words, name="acbuild"):
        return self.run_tool(*words, name=name)

    def setUp(self):
        super().setUp()
        self.addCleanup(shutil.rmtree, self.path(".acbuild"), True)

    def test_outside_of_a_build(self):
        self.refused("begin|build", 1, "set-name", NAME, name="acbuild")

    def test_begin_twice(self):
        self.assertEqual(self.build("begin")[0], 0)
        self.refused("build", 1, "begin", name="acbuild")

    def test_bad_words_change_nothing(self):
        self.assertEqual(self.build("begin")[0], 0)
        before = self.build("cat-manifest")[1]
        for words in (("set-name", "Not A Name"), ("port", "add", "p", "tcp", "99999"),
                      ("isolator", "add", "resource/memory", "/no/such/file"),
                      ("copy", "/no/such/file", "/x")):
            with self.subTest(words=words):
                code, _, err = self.build(*words)
                self.assertNotEqual(code, 0)
                self.assertTrue(err.strip())
        self.assertEqual(self.build("cat-manifest")[1], before)

    def test_remove_what_is_not_there(self):
        self.assertEqual(self.build("begin")[0], 0)
        self.refused("nothing", 2, "label", "remove", "nothing", name="acbuild")

    def test_write_without_a_name(self):
        self.assertEqual(self.build("begin")[0], 0)
        self.refused("name", 1, "write", "x.aci", name="acbuild")
        self.assertFalse(os.path.exists(self.path("x.aci")))

    def test_validate_of_a_broken_image(self):
        data = inputs.aci()
        with open(self.path("cut.aci"), "wb") as file:
            file.write(data[:len(data) // 2])
        code, _, err = self.build("validate", "cut.aci", name="actool")
        os.unlink(self.path("cut.aci"))
        self.assertEqual(code, 1, err)
        self.assertIn("cut.aci", err)


if __name__ == "__main__":
    world.enter()
    junit.main()
