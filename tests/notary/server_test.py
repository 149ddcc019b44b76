"""Servers that want a login, and servers gone bad: the tool beside Debian's `notary`, on one live repository."""
import base64
import json
import unittest

from tests.notary import lab as labs
from tools.build import junit

LAB = None
MISSING = labs.missing()


def setUpModule():
    global LAB
    if MISSING is None:
        LAB = labs.Lab()


def tearDownModule():
    if LAB is not None:
        LAB.close()


class Base(unittest.TestCase):
    count = 0

    def setUp(self):
        if MISSING is not None:
            self.skipTest(MISSING)
        Base.count += 1
        self.gun = f"registry.example/server{Base.count}"
        self.owner = labs.Person(LAB, f"owner{Base.count}", "coam")
        self.file = LAB.write("one", b"one")

    def begin(self):
        self.owner.ok("init", self.gun)
        self.owner.ok("add", "-p", self.gun, "v1", self.file)

    def proxy(self, *args, **kwargs):
        proxy = labs.Proxy(LAB, *args, **kwargs)
        self.addCleanup(proxy.close)
        return proxy

    def person(self, name, tool, proxy):
        return labs.Person(LAB, f"{name}{Base.count}", tool, url=proxy.url)


class LoginTest(Base):
    def test_tokens(self):
        proxy = self.proxy(login="me:hunter2")
        for i, tool in enumerate(("coam", "notary")):
            with self.subTest(tool):
                self.gun = f"registry.example/login{i}"
                person = self.person("login-" + tool, tool, proxy)
                person.refused("init", "-p", self.gun)
                person.env = dict(person.env, NOTARY_AUTH=base64.b64encode(b"me:hunter1").decode())
                self.assertNotIn("hunter1", person.refused("init", "-p", self.gun))
                person.env["NOTARY_AUTH"] = base64.b64encode(b"me:hunter2").decode()
                person.ok("init", "-p", self.gun)
                person.ok("add", "-p", self.gun, "v1", self.file)
                self.assertIn("v1", person.targets(self.gun))
                person.ok("key", "rotate", self.gun, "timestamp", "-r")
                person.ok("delete", "--remote", self.gun)
        self.assertTrue(all(s.startswith("repository:registry.example/login")
                            for s in proxy.scopes), proxy.scopes)


class KeyFileTest(Base):
    def test_a_key_file_under_another_keys_name_signs_nothing(self):
        self.begin()
        files = {}
        for role, _, key_id in self.owner.keys():
            files[role] = f"{self.owner.dir}/private/{key_id}.key"
        with open(files["snapshot"], "rb") as file:
            snapshot = file.read()
        with open(files["targets"], "wb") as out:
            out.write(snapshot)
        said = self.owner.refused("add", "-p", self.gun, "v2", self.file)
        self.assertIn("holds the key", said)
        self.assertEqual(set(self.owner.targets(self.gun)), {"v1"})

    def test_a_damaged_key_file_is_told_and_the_rest_goes_on(self):
        self.begin()
        path = f"{self.owner.dir}/private/{'0' * 64}.key"
        for junk in (b"", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nrole: root\n", b"\0" * 100):
            with open(path, "wb") as out:
                out.write(junk)
            self.assertEqual(len(self.owner.keys()), 3)
        self.assertEqual(set(self.owner.targets(self.gun)), {"v1"})


class BadServerTest(Base):
    """Each change is refused by both clients, except where the comment says so."""

    def serve(self, change, tools=("coam", "notary"), warm=False):
        """What each client says, all of which must have failed."""
        said = {}
        for tool in tools:
            state = {"on": not warm}
            proxy = self.proxy(lambda path, body: change(path, body) if state["on"] else body)
            person = self.person(f"victim{len(said)}", tool, proxy)
            if warm:
                person.ok("list", self.gun)
                state["on"] = True
            said[tool] = person.refused("list", self.gun)
        return said

    def test_bytes_that_changed_on_the_way(self):
        self.begin()
        for role in ("root", "timestamp", "snapshot", "targets"):
            with self.subTest(role):
                self.serve(lambda path, body: body.replace(b'"version":', b'"version":1')
                           if f"/{role}." in path and isinstance(body, bytes) else body)

    def test_files_that_are_not_there(self):
        self.begin()
        for role in ("timestamp", "snapshot", "targets"):
            with self.subTest(role):
                self.serve(lambda path, body: 404 if f"/{role}." in path else body)

    def test_another_repository_under_the_name(self):
        self.begin()
        other = self.gun + "-other"
        self.owner.ok("init", other)
        self.owner.ok("add", "-p", other, "v1", self.file)
        # The same owner, the same root key: but the certificate is for another name.
        said = self.serve(lambda path, body: LAB.ask("GET", path.replace(self.gun, other))[1])
        self.assertIn("unable to retrieve valid leaf certificates", said["coam"])
        said = self.serve(lambda path, body: LAB.ask("GET", path.replace(self.gun, other))[1]
                          if "/timestamp." in path else body)
        self.assertIn("threshold", said["coam"])

    def test_a_whole_older_state(self):
        self.begin()
        kept = {}
        for role in ("root", "timestamp", "snapshot", "targets"):
            kept[role] = LAB.fetch(f"/v2/{self.gun}/_trust/tuf/{role}.json")
        self.owner.ok("add", "-p", self.gun, "v2", self.file)

        def older(path, body):
            name = path.rsplit("/", 1)[1].split(".")[0]
            return kept.get(name, body)
        said = self.serve(older, warm=True)
        self.assertIn("is lower than current version", said["coam"])

    def test_a_stranger_after_the_owner(self):
        self.begin()
        stranger = labs.Lab()
        self.addCleanup(stranger.close)
        thief = labs.Person(stranger, "thief", "notary")
        thief.ok("init", self.gun)
        thief.ok("add", "-p", self.gun, "v1", stranger.write("evil", b"evil"))

        def stolen(path, body):
            status, theirs = stranger.ask("GET", path)
            return theirs if status == 200 else status
        said = self.serve(stolen, warm=True)
        self.assertIn("could not rotate trust to a new trusted root", said["coam"])

    def test_a_key_object_that_nobody_knows(self):
        def odd(path, body):
            if not path.endswith(".key"):
                return body
            key = json.loads(body)
            key["keytype"] = "none of this world"
            return json.dumps(key).encode()
        person = self.person("odd", "coam", self.proxy(odd))
        self.assertIn("key is of type", person.refused("init", self.gun))


if __name__ == "__main__":
    junit.main()
