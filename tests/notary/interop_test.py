"""Notary v1 against Debian's notary-server: everything made by one client is read, verified, extended and
rotated by the other, in both directions. Each `scenario` is one thing that must hold between the two."""
import base64
import glob
import hashlib
import json
import os
import subprocess
import unittest

from tests.notary import lab as labs
from tools.build import junit

LAB = None
SCENARIOS = []
MISSING = labs.missing()


def setUpModule():
    global LAB
    if MISSING is None:
        LAB = labs.Lab()


def tearDownModule():
    if LAB is not None:
        LAB.close()
        print(f"{len(SCENARIOS)} scenarios")


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Base(unittest.TestCase):
    maker = other = None
    count = 0

    def setUp(self):
        if MISSING is not None:
            self.skipTest(MISSING)
        Base.count += 1
        self.gun = f"registry.example/team/app{Base.count}"
        self.a = labs.Person(LAB, f"a{Base.count}", self.maker)
        self.b = labs.Person(LAB, f"b{Base.count}", self.other)
        self.twin = self.a.other(self.other)  # the other client on the first one's directory

    def scenario(self, what):
        SCENARIOS.append((self.maker, what))

    def file(self, content):
        return LAB.write("file-" + digest(content)[:12], content)

    def begin(self, *names):
        self.a.ok("init", self.gun)
        for name in names or ("v1",):
            self.a.ok("add", self.gun, name, self.file(name.encode()))
        self.a.ok("publish", self.gun)

    def add(self, who, name, *flags):
        who.ok("add", "-p", *flags, self.gun, name, self.file(name.encode()))

    def sees(self, who, names, *flags):
        listed = who.targets(self.gun, *flags)
        self.assertEqual({n: t[0] for n, t in listed.items()},
                         {n: digest(n.encode()) for n in names})
        return listed

    def subject(self):
        """The GUN as openssl's -subj takes a common name with slashes."""
        return "/CN=" + self.gun.replace("/", "\\/")

    def signer(self, name, role, *flags):
        """A further person with a delegation key and the role that it is for."""
        key, cert, _ = labs.signer_key(LAB, f"{name}{Base.count}")
        self.a.ok("key", "rotate", self.gun, "snapshot", "-r")  # signers have no snapshot key
        self.a.ok("delegation", "add", "-p", self.gun, role, cert, *flags)
        person = labs.Person(LAB, f"{name}{Base.count}", self.other)
        person.ok("key", "import", key, "--role", role.split("/")[-1])
        return person


class Matrix:
    def test_targets(self):
        self.begin("v1", "v2")
        self.scenario("a new repository is read by the other")
        self.sees(self.b, ["v1", "v2"])
        self.scenario("lookup gives hash and size")
        self.assertEqual(self.b.ok("lookup", self.gun, "v1").split(),
                         ["v1", "sha256:" + digest(b"v1"), "2"])
        self.assertEqual(self.b.ok("lookup", self.gun, "v1"), self.a.ok("lookup", self.gun, "v1"))
        self.scenario("verify passes what is signed, and only that")
        self.assertEqual(self.b.ok("verify", self.gun, "v1", stdin=b"v1"), "v1")
        self.b.refused("verify", self.gun, "v1", stdin=b"v2")
        self.b.refused("lookup", self.gun, "v9")
        self.scenario("the other extends with the first one's keys")
        self.add(self.twin, "v3")
        self.sees(self.a, ["v1", "v2", "v3"])
        self.scenario("and the first goes on after that")
        self.add(self.a, "v4")
        self.sees(self.b, ["v1", "v2", "v3", "v4"])
        self.scenario("the other removes a target")
        self.twin.ok("remove", "-p", self.gun, "v2")
        self.sees(self.a, ["v1", "v3", "v4"])
        self.scenario("a target is replaced")
        self.a.ok("add", "-p", self.gun, "v1", self.file(b"new v1"))
        self.assertEqual(self.b.targets(self.gun)["v1"][0], digest(b"new v1"))

    def test_staged(self):
        self.begin()
        self.scenario("changes that one client staged are seen by the other")
        self.a.ok("add", self.gun, "s1", self.file(b"s1"))
        self.a.ok("add", self.gun, "s2", self.file(b"s2"))
        self.a.ok("remove", self.gun, "v1")
        for client in (self.a, self.twin):
            status = client.ok("status", self.gun)
            changes = [line.split()[1:] for line in status.splitlines() if line[:1].isdigit()]
            self.assertEqual(changes, [["create", "targets", "target", "s1"],
                                       ["create", "targets", "target", "s2"],
                                       ["delete", "targets", "target", "v1"]], status)
        self.scenario("the other drops one of them")
        self.twin.ok("reset", "-n", "1", self.gun)
        self.assertNotIn("s2", self.a.ok("status", self.gun))
        self.scenario("and publishes the rest")
        self.twin.ok("publish", self.gun)
        self.sees(self.b, ["s1"])
        self.assertIn("No unpublished changes", self.a.ok("status", self.gun))
        self.scenario("reset --all drops everything")
        self.a.ok("add", self.gun, "s3", self.file(b"s3"))
        self.twin.ok("reset", "--all", self.gun)
        self.assertIn("No unpublished changes", self.a.ok("status", self.gun))

    def test_hashes_and_custom(self):
        self.begin()
        custom = {"b": [1, {"z": True, "a": None}], "a": "text"}
        text = json.dumps(custom, sort_keys=True, separators=(",", ":"))
        path = LAB.write("custom.json", text)
        self.scenario("a target by its hash alone")
        sha512 = hashlib.sha512(b"h").hexdigest()
        self.a.ok("addhash", "-p", self.gun, "h", "1", "--sha256", digest(b"h"), "--sha512", sha512)
        self.sees(self.b, ["v1", "h"])
        self.scenario("custom data come with a target")
        self.a.ok("add", "-p", "--custom", path, self.gun, "c", self.file(b"c"))
        self.sees(self.b, ["v1", "h", "c"])
        raw = json.loads(LAB.fetch(f"/v2/{self.gun}/_trust/tuf/targets.json"))
        self.assertEqual(raw["signed"]["targets"]["c"]["custom"], custom)
        self.scenario("custom data outlive a publication by the other")
        self.add(self.twin, "later")
        raw = json.loads(LAB.fetch(f"/v2/{self.gun}/_trust/tuf/targets.json"))
        self.assertEqual(raw["signed"]["targets"]["c"]["custom"], custom)
        self.sees(self.a, ["v1", "h", "c", "later"])

    def test_keys(self):
        self.begin()
        self.scenario("the key files of one are the other's")
        ids = [(k[0], k[2]) for k in self.a.keys()]
        self.assertEqual([r for r, _ in ids], ["root", "snapshot", "targets"])
        self.assertEqual(ids, [(k[0], k[2]) for k in self.twin.keys()])
        self.scenario("exported keys are imported by the other elsewhere, and sign there")
        backup = LAB.path(f"backup{Base.count}.pem")
        self.a.ok("key", "export", "-o", backup)
        self.b.ok("key", "import", backup)
        self.assertEqual(ids, [(k[0], k[2]) for k in self.b.keys()])
        self.add(self.b, "by-b")
        self.sees(self.a, ["v1", "by-b"])
        self.scenario("a key that one makes is listed by the other")
        self.a.ok("key", "generate", "ecdsa")
        self.assertEqual(len([k for k in self.twin.keys() if k[0] == "root"]), 2)
        self.scenario("a wrong passphrase opens nothing")
        self.twin.env = dict(self.twin.env, NOTARY_TARGETS_PASSPHRASE="a wrong phrase")
        self.twin.refused("add", "-p", self.gun, "x", self.file(b"x"))
        self.sees(self.b, ["v1", "by-b"])
        self.scenario("a passphrase set anew by one is the other's")
        self.a.ok("key", "passwd", self.a.key_of("targets"))
        self.twin.env = self.a.env
        self.twin.ok("reset", "--all", self.gun)
        self.add(self.twin, "after")
        self.sees(self.b, ["v1", "by-b", "after"])

    def test_key_without_passphrase(self):
        self.scenario("unprotected keys are read by both")
        for person in (self.a, self.b):
            person.env = dict(person.env, NOTARY_DELEGATION_PASSPHRASE="")
        key, cert, _ = labs.signer_key(LAB, f"plain{Base.count}")
        with open(key, encoding="utf-8") as file:
            pem = file.read().replace("-----BEGIN PRIVATE KEY-----\n",
                                      "-----BEGIN PRIVATE KEY-----\nrole: delegation\n\n")
        self.begin()
        self.a.ok("key", "rotate", self.gun, "snapshot", "-r")
        self.a.ok("delegation", "add", "-p", self.gun, "targets/releases", cert, "--all-paths")
        key_id = list(self.b.delegations(self.gun)["targets/releases"][1])[0]
        os.makedirs(self.b.dir + "/private", exist_ok=True)
        with open(f"{self.b.dir}/private/{key_id}.key", "w", encoding="utf-8") as out:
            out.write(pem)
        self.add(self.b, "rel", "-r", "targets/releases")
        self.sees(self.a, ["v1", "rel"])

    def test_key_of_an_old_form(self):
        self.begin()
        key, cert, _ = labs.signer_key(LAB, f"old{Base.count}")
        subprocess.run(["openssl", "ec", "-aes256", "-passout",
                        "pass:" + labs.PASSPHRASES["NOTARY_DELEGATION_PASSPHRASE"], "-in", key,
                        "-out", key + ".old"], check=True, capture_output=True)
        self.a.ok("key", "rotate", self.gun, "snapshot", "-r")
        self.a.ok("delegation", "add", "-p", self.gun, "targets/releases", cert, "--all-paths")
        key_id = list(self.b.delegations(self.gun)["targets/releases"][1])[0]
        with open(key + ".old", encoding="utf-8") as file:
            pem = file.read().replace("DEK-Info:", "role: delegation\nDEK-Info:")
        self.assertIn("Proc-Type: 4,ENCRYPTED", pem)
        self.scenario("keys in the form of the first clients are read by both")
        os.makedirs(self.b.dir + "/private", exist_ok=True)
        with open(f"{self.b.dir}/private/{key_id}.key", "w", encoding="utf-8") as out:
            out.write(pem)
        self.add(self.b, "old", "-r", "targets/releases")
        self.sees(self.a, ["v1", "old"])
        self.scenario("and written anew for both")
        ours = labs.Person(LAB, f"anew{Base.count}", "coam")
        ours.ok("key", "import", LAB.write(f"old{Base.count}.pem", pem))
        self.add(ours.other("notary"), "anew", "-r", "targets/releases")
        self.sees(self.a, ["v1", "old", "anew"])

    def test_delegations(self):
        self.begin()
        signer = self.signer("alice", "targets/releases", "--all-paths")
        self.scenario("a delegation is listed alike by both")
        listed = self.a.delegations(self.gun)
        self.assertEqual(list(listed), ["targets/releases"])
        self.assertEqual(listed["targets/releases"][0], {""})
        self.assertEqual(listed, self.b.delegations(self.gun))
        self.scenario("a signer with the delegation's key alone publishes")
        self.add(signer, "rel", "-r", "targets/releases")
        self.assertEqual(self.sees(self.a, ["v1", "rel"])["rel"][2], "targets/releases")
        self.scenario("roles are asked in the order that is given")
        signer.ok("add", "-p", "-r", "targets/releases", self.gun, "v1", self.file(b"their v1"))
        for who in (self.a, self.b):
            self.assertEqual(who.targets(self.gun)["v1"][2], "targets")
            first = who.targets(self.gun, "-r", "targets/releases", "-r", "targets")
            self.assertEqual(first["v1"][0], digest(b"their v1"))
            self.assertEqual(first["v1"][2], "targets/releases")
        self.scenario("the signer cannot speak for targets")
        signer.refused("add", "-p", self.gun, "mine", self.file(b"mine"))
        signer.ok("reset", "--all", self.gun)
        self.scenario("a second key for the role, and the first one taken away")
        second, cert, _ = labs.signer_key(LAB, f"second{Base.count}")
        first_id = list(listed["targets/releases"][1])[0]
        self.twin.ok("delegation", "add", "-p", self.gun, "targets/releases", cert)
        self.assertEqual(len(self.a.delegations(self.gun)["targets/releases"][1]), 2)
        newcomer = labs.Person(LAB, f"n{Base.count}", self.maker)
        newcomer.ok("key", "import", second, "--role", "delegation")
        self.add(newcomer, "rel2", "-r", "targets/releases")
        self.a.ok("delegation", "remove", "-p", self.gun, "targets/releases", first_id)
        self.assertNotIn(first_id, self.b.delegations(self.gun)["targets/releases"][1])
        signer.refused("add", "-p", "-r", "targets/releases", self.gun, "x", self.file(b"x"))
        self.assertIn("rel2", self.b.targets(self.gun))
        self.scenario("a whole role is removed")
        self.twin.ok("delegation", "remove", "-y", "-p", self.gun, "targets/releases")
        self.sees(self.a, ["v1"])
        self.assertEqual(self.a.delegations(self.gun), {})

    def test_paths(self):
        self.begin()
        signer = self.signer("qa", "targets/qa", "--paths", "qa/,rc/")
        self.scenario("a role signs beneath its paths")
        self.add(signer, "qa/1", "-r", "targets/qa")
        self.sees(self.a, ["v1", "qa/1"])
        self.scenario("and not beside them")
        signer.run("add", "-p", "-r", "targets/qa", self.gun, "prod/1", self.file(b"prod/1"))
        signer.run("reset", "--all", self.gun)
        self.sees(self.a, ["v1", "qa/1"])
        self.scenario("paths are taken away and added by the other")
        self.twin.ok("delegation", "remove", "-p", self.gun, "targets/qa", "--paths", "qa/")
        self.assertEqual(self.a.delegations(self.gun)["targets/qa"][0], {"rc/"})
        self.sees(self.a, ["v1"])
        self.sees(self.b, ["v1"])
        self.a.ok("delegation", "add", "-p", self.gun, "targets/qa", "--paths", "qa/1,extra")
        self.assertEqual(self.b.delegations(self.gun)["targets/qa"][0], {"rc/", "qa/1", "extra"})
        self.sees(self.b, ["v1", "qa/1"])
        self.scenario("a delegation beneath a delegation")
        key, cert, _ = labs.signer_key(LAB, f"deep{Base.count}")
        signer.ok("delegation", "add", "-p", self.gun, "targets/qa/deep", cert, "--paths", "rc/deep")
        deep = labs.Person(LAB, f"deep{Base.count}", self.maker)
        deep.ok("key", "import", key, "--role", "delegation")
        self.add(deep, "rc/deeper", "-r", "targets/qa/deep")
        for who in (self.a, self.b):
            self.assertEqual(self.sees(who, ["v1", "qa/1", "rc/deeper"])["rc/deeper"][2],
                             "targets/qa/deep")

    def test_purge_and_witness(self):
        self.begin()
        one = self.signer("one", "targets/one", "--all-paths")
        self.add(one, "by-one", "-r", "targets/one")
        first_id = list(self.a.delegations(self.gun)["targets/one"][1])[0]
        key, cert, _ = labs.signer_key(LAB, f"heir{Base.count}")
        self.a.ok("delegation", "add", "-p", self.gun, "targets/one", cert)
        self.scenario("a key is purged from all roles")
        self.twin.ok("delegation", "purge", "-p", self.gun, "--key", first_id)
        self.assertNotIn(first_id, self.a.delegations(self.gun)["targets/one"][1])
        self.scenario("a role that lost its signer says nothing")
        self.sees(self.a, ["v1"])
        self.sees(self.b, ["v1"])
        self.scenario("until its heir witnesses it")
        heir = labs.Person(LAB, f"heir{Base.count}", self.other)
        heir.ok("key", "import", key, "--role", "delegation")
        heir.ok("witness", "-p", self.gun, "targets/one")
        self.sees(self.a, ["v1", "by-one"])
        self.sees(self.b, ["v1", "by-one"])

    def test_rotate_online(self):
        self.begin()
        self.sees(self.b, ["v1"])
        self.scenario("the timestamp key is rotated at the server")
        self.a.ok("key", "rotate", self.gun, "timestamp", "-r")
        self.sees(self.b, ["v1"])
        self.scenario("the snapshot key goes to the server")
        self.twin.ok("key", "rotate", self.gun, "snapshot", "-r")
        self.sees(self.a, ["v1"])
        self.sees(self.b, ["v1"])
        self.scenario("and both publish without it")
        self.add(self.a, "v2")
        self.add(self.twin, "v3")
        self.sees(self.b, ["v1", "v2", "v3"])
        self.scenario("and back to the client")
        self.a.ok("key", "rotate", self.gun, "snapshot")
        self.sees(self.b, ["v1", "v2", "v3"])
        self.add(self.twin, "v4")
        self.sees(self.a, ["v1", "v2", "v3", "v4"])

    def test_rotate_targets(self):
        self.begin()
        self.sees(self.b, ["v1"])
        old = self.a.key_of("targets")
        self.scenario("a new targets key is followed")
        self.a.ok("key", "rotate", self.gun, "targets")
        self.sees(self.b, ["v1"])
        self.scenario("and used by the other")
        self.add(self.twin, "v2")
        self.sees(self.b, ["v1", "v2"])
        self.scenario("the old one is worth nothing")
        for key in glob.glob(self.a.dir + "/private/*.key"):
            with open(key, encoding="utf-8") as file:
                if "role: targets" in file.read() and old not in key:
                    os.unlink(key)
        self.a.refused("add", "-p", self.gun, "v3", self.file(b"v3"))
        self.twin.run("reset", "--all", self.gun)
        self.twin.refused("add", "-p", self.gun, "v3", self.file(b"v3"))
        self.sees(self.b, ["v1", "v2"])

    def test_rotate_root(self):
        self.begin()
        self.sees(self.b, ["v1"])
        late = labs.Person(LAB, f"late{Base.count}", self.maker)
        self.sees(late, ["v1"])
        self.scenario("a new root key is followed by who pinned the old one")
        self.a.ok("key", "rotate", self.gun, "root")
        self.sees(self.b, ["v1"])
        self.scenario("the other rotates the root again")
        self.twin.ok("key", "rotate", self.gun, "root")
        self.sees(self.b, ["v1"])
        self.add(self.a, "v2")
        self.scenario("who comes late steps through all roots")
        self.sees(late, ["v1", "v2"])
        self.sees(late.other(self.other), ["v1", "v2"])
        self.scenario("who comes first pins the last root")
        new = labs.Person(LAB, f"new{Base.count}", self.other)
        self.sees(new, ["v1", "v2"])

    def test_root_certificate(self):
        key, _, _ = labs.signer_key(LAB, f"root{Base.count}")
        cert = LAB.path(f"root{Base.count}.own.crt")
        subprocess.run(["openssl", "req", "-x509", "-key", key, "-days", "300", "-subj",
                        self.subject(), "-addext", "basicConstraints=critical,CA:FALSE", "-out",
                        cert], check=True, capture_output=True)
        rooted = LAB.write(f"rooted{Base.count}.pem", open(key, "rb").read().replace(
            b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN PRIVATE KEY-----\nrole: root\n\n"))
        self.a.ok("key", "import", rooted, "--role", "root")
        self.scenario("a repository begun with a certificate of one's own")
        self.a.ok("init", "-p", "--rootcert", cert, self.gun)
        self.add(self.a, "v1")
        self.sees(self.b, ["v1"])
        root = json.loads(LAB.fetch(f"/v2/{self.gun}/_trust/tuf/root.json"))
        key_id = root["signed"]["roles"]["root"]["keyids"][0]
        self.assertIn(b"BEGIN CERTIFICATE", base64.b64decode(
            root["signed"]["keys"][key_id]["keyval"]["public"]))
        self.scenario("the certificate is pinned by its id")
        self.pinned({"certs": {self.gun: [key_id]}, "disable_tofu": True}, True)
        self.scenario("the longest pin by prefix counts")
        self.pinned({"certs": {"registry.example/*": ["00"], self.gun[:-1] + "*": [key_id]}}, True)
        self.scenario("another pin is a refusal")
        self.pinned({"certs": {self.gun: ["0" * 64]}}, False)
        self.scenario("no pin and no trust on first use is a refusal")
        self.pinned({"disable_tofu": True}, False)

    def test_pinned_authority(self):
        new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        base = LAB.path(f"ca{Base.count}")
        LAB.write(f"ca{Base.count}.ext", "basicConstraints=critical,CA:FALSE\n"
                                         "keyUsage=critical,digitalSignature\n")
        subprocess.run(["sh", "-ec", f"""
            openssl req -x509 {new} -days 9 -subj /CN=authority -keyout {base}.key -out {base}.pem
            openssl req {new} -subj '{self.subject()}' -keyout {base}.leaf.key -out {base}.csr
            openssl x509 -req -in {base}.csr -CA {base}.pem -CAkey {base}.key -CAcreateserial \\
              -days 9 -extfile {base}.ext -out {base}.leaf.crt
            openssl req -x509 {new} -days 9 -subj /CN=stranger -keyout {base}.x -out {base}.other
            """], check=True, capture_output=True)
        rooted = LAB.write(f"rooted{Base.count}.pem", open(base + ".leaf.key", "rb").read().replace(
            b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN PRIVATE KEY-----\nrole: root\n\n"))
        self.a.ok("key", "import", rooted, "--role", "root")
        self.a.ok("init", "-p", "--rootcert", base + ".leaf.crt", self.gun)
        self.add(self.a, "v1")
        self.scenario("a root whose certificate the pinned authority made")
        self.pinned({"ca": {"registry.example/": base + ".pem"}, "disable_tofu": True}, True)
        self.scenario("a root that it did not make is a refusal")
        self.pinned({"ca": {self.gun: base + ".other"}}, False)

    def pinned(self, pins, good):
        """Both clients with these pins and an empty trust directory come to the same."""
        for i, tool in enumerate((self.maker, self.other)):
            Base.pins = getattr(Base, "pins", 0) + 1
            config = LAB.write(f"pins{Base.pins}.json", json.dumps({
                "trust_dir": LAB.path(f"pinned{Base.pins}"), "trust_pinning": pins,
                "remote_server": {"url": LAB.url, "root_ca": LAB.path("ca.pem")}}))
            person = labs.Person(LAB, f"pinned{Base.pins}", tool)
            person.flags = ["-c", config]
            if good:
                self.sees(person, ["v1"])
            else:
                person.refused("list", self.gun)

    def test_delete(self):
        self.begin()
        self.sees(self.b, ["v1"])
        self.scenario("trust data are deleted on the server")
        self.twin.ok("delete", "--remote", self.gun)
        newcomer = labs.Person(LAB, f"gone{Base.count}", self.other)
        self.assertIn("does not have trust data for", newcomer.refused("list", self.gun))
        self.assertFalse(os.path.exists(f"{self.a.dir}/tuf/{self.gun}/metadata/root.json"))
        self.scenario("who pinned the old root does not take a stranger's for it")
        stranger = labs.Person(LAB, f"stranger{Base.count}", self.maker)
        stranger.ok("init", "-p", self.gun)
        for who in (self.b, self.b.other(self.maker)):
            who.refused("list", self.gun)

    def test_offline(self):
        self.begin()
        self.sees(self.b, ["v1"])
        self.scenario("with the server away the cache does while it is valid")
        away = self.b.other(self.b.tool)
        away.flags = ["-s", f"https://127.0.0.1:{labs.free_port()}", "-d", self.b.dir]
        self.assertEqual(set(away.targets(self.gun)), {"v1"})
        self.scenario("and the cache of one is that of the other")
        twin = away.other(self.maker)
        self.assertEqual(set(twin.targets(self.gun)), {"v1"})

    def test_begun_by_one_published_by_the_other(self):
        self.scenario("a repository begun by one is published first by the other")
        self.a.ok("init", self.gun)
        self.a.ok("add", self.gun, "v1", self.file(b"v1"))
        self.twin.ok("publish", self.gun)
        self.sees(self.b, ["v1"])
        self.sees(self.a, ["v1"])
        self.scenario("init of what is there already is refused")
        newcomer = labs.Person(LAB, f"again{Base.count}", "coam")
        newcomer.refused("init", self.gun)


class OurRepositories(Matrix, Base):
    maker, other = "coam", "notary"


class TheirRepositories(Matrix, Base):
    maker, other = "notary", "coam"


if __name__ == "__main__":
    junit.main()
