"""The program runc of this tree beside Debian's: the same bundle and words, outputs compared."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from tools.build import junit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OURS = os.path.join(ROOT, "examples/coam/runc")
THEIRS = shutil.which("runc")
BUSYBOX = shutil.which("busybox")
STAMP = re.compile(r'time="[^"]*"')
CGROUPS = "/sys/fs/cgroup"


def keys(value, path=""):
    """The places of a JSON document, without what differs from container to container."""
    if isinstance(value, dict):
        found = {path}
        for name, member in value.items():
            found |= keys(member, f"{path}/{name}")
        return found
    return {path}


@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX and THEIRS, "needs root, busybox and runc")
class Compare(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-runc-compare.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        os.chmod(self.dir, 0o755)
        self.bundles = {}
        for label, program in (("ours", OURS), ("theirs", THEIRS)):
            bundle = os.path.join(self.dir, label, "bundle")
            root = os.path.join(bundle, "rootfs")
            for name in ("bin", "dev", "proc", "sys", "etc", "tmp"):
                os.makedirs(os.path.join(root, name))
            shutil.copy(BUSYBOX, os.path.join(root, "bin/busybox"))
            for name in ("sh", "cat", "echo", "sleep", "true", "false", "id", "env", "pwd"):
                os.symlink("busybox", os.path.join(root, "bin", name))
            with open(os.path.join(root, "etc/passwd"), "w", encoding="utf-8") as file:
                file.write("root:x:0:0:root:/root:/bin/sh\nbuild:x:7:8::/home/build:/bin/sh\n")
            self.bundles[label] = bundle
            self.run_in(label, [program, "spec"])
        self.addCleanup(self.clean)
        self.configure(args=["sleep", "100"])

    def clean(self):
        for label, program in (("ours", OURS), ("theirs", THEIRS)):
            for name in ("c", "d"):
                self.run_in(label, self.line(label, program, "delete", "--force", name))

    def configure(self, args, change=None):
        for label, bundle in self.bundles.items():
            path = os.path.join(bundle, "config.json")
            with open(path, encoding="utf-8") as file:
                spec = json.load(file)
            spec["ociVersion"] = "1.0.2"
            spec["process"]["terminal"] = False
            spec["process"]["env"] = ["PATH=/bin", "TERM=xterm"]
            spec["process"]["args"] = args
            spec["linux"]["cgroupsPath"] = f"/coaming-test/{os.path.basename(self.dir)}-{label}"
            # Debian's runc cannot mount the cgroups of a hybrid host twice over.
            spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
            if change:
                change(spec)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(spec, file)

    def line(self, label, program, *words):
        return [program, "--root", os.path.join(self.dir, label, "state"), *words]

    def run_in(self, label, line, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        # Files, not pipes: a created container keeps its standard descriptors open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(line, cwd=self.bundles[label], stdout=out, stderr=err,
                                  check=False, **kwargs)
            out.seek(0)
            err.seek(0)
            return done.returncode, out.read(), STAMP.sub("time", err.read())

    def both(self, *words, **kwargs):
        return (self.run_in("ours", self.line("ours", OURS, *words), **kwargs),
                self.run_in("theirs", self.line("theirs", THEIRS, *words), **kwargs))

    def same(self, *words, **kwargs):
        ours, theirs = self.both(*words, **kwargs)
        self.assertEqual(ours, theirs, words)
        return ours

    def same_code(self, *words, **kwargs):
        """The same exit code and output; what went wrong is said in words of one's own."""
        ours, theirs = self.both(*words, **kwargs)
        self.assertEqual(ours[:2], theirs[:2], (words, ours, theirs))
        self.assertEqual(bool(ours[2]), bool(theirs[2]), (words, ours, theirs))
        return ours

    def until_stopped(self, name):
        for label, program in (("ours", OURS), ("theirs", THEIRS)):
            end = time.monotonic() + 10
            while True:
                state = self.run_in(label, self.line(label, program, "state", name))[1]
                if json.loads(state)["status"] == "stopped":
                    break
                self.assertLess(time.monotonic(), end)

    def test_spec_writes_the_same_bytes(self):
        for words in (["spec"], ["spec", "--rootless"]):
            texts = []
            for label, program in (("ours", OURS), ("theirs", THEIRS)):
                os.remove(os.path.join(self.bundles[label], "config.json"))
                self.assertEqual(self.run_in(label, [program, *words])[0], 0)
                with open(os.path.join(self.bundles[label], "config.json"), "rb") as file:
                    text = re.sub(rb'"ociVersion": "[^"]*"', b"", file.read())
                # Later ones than Debian's leave the ambient set empty (CVE-2022-29162).
                texts.append(re.sub(rb',\s*"ambient": \[[^]]*\]', b"", text))
            self.assertEqual(texts[0], texts[1])
        self.same_code("spec")  # there is one already
        self.same_code("spec", "--bundle", "/no/such")

    def test_life_of_a_container(self):
        self.same("create", "--pid-file", "pid", "c")
        for label in ("ours", "theirs"):
            with open(os.path.join(self.bundles[label], "pid"), encoding="utf-8") as file:
                self.assertGreater(int(file.read()), 0)
        self.same_code("create", "c")
        ours, theirs = self.both("state", "c")
        ours, theirs = json.loads(ours[1]), json.loads(theirs[1])
        self.assertEqual(keys(theirs), keys(ours))
        self.assertEqual((ours["status"], ours["id"], ours["owner"]),
                         (theirs["status"], theirs["id"], theirs["owner"]))
        self.same("start", "c")
        self.same_code("start", "c")
        self.same("list", "-q")
        ours, theirs = self.both("list")
        self.assertEqual([re.split("  +", line)[0:3:2] for line in ours[1].splitlines()],
                         [re.split("  +", line)[0:3:2] for line in theirs[1].splitlines()])
        ours, theirs = self.both("list", "--format", "json")
        self.assertEqual(keys(json.loads(theirs[1])[0]) - keys(json.loads(ours[1])[0]), set())
        ours, theirs = self.both("ps", "-f", "json", "c")
        self.assertEqual(len(json.loads(ours[1])), len(json.loads(theirs[1])))
        ours, theirs = self.both("ps", "c")
        self.assertEqual(ours[1].splitlines()[0], theirs[1].splitlines()[0])
        self.same("pause", "c")
        self.same_code("exec", "c", "true")
        self.same("resume", "c")
        self.same_code("delete", "c")
        self.same("kill", "c", "KILL")
        self.until_stopped("c")
        self.same("kill", "c")
        self.same("delete", "c")
        self.same("state", "c")

    def test_run_and_its_flags(self):
        self.configure(["sh", "-c", "echo out; echo err >&2; exit 7"])
        self.same("run", "c")
        self.same("run", "--keep", "c")
        self.same("delete", "c")
        self.configure(["env"])
        self.same("run", "c")
        self.same("run", "--no-new-keyring", "--no-pivot", "c")
        self.configure(["/no/such"])
        self.same_code("run", "c")
        self.configure(["sleep", "100"])
        self.same("run", "--detach", "--pid-file", "pid", "c")
        self.same("delete", "--force", "c")

    def test_exec_and_its_flags(self):
        self.same("create", "c")
        self.same("start", "c")
        for words in (["id"], ["-u", "7:8", "c", "id"], ["-u", "7", "c", "env"],
                      ["-u", "9", "c", "env"], ["-e", "A=b", "-e", "C=d", "c", "env"],
                      ["--cwd", "/tmp", "c", "pwd"], ["-g", "20", "-g", "30", "-u", "7", "c", "id"],
                      ["-c", "CAP_SYS_TIME", "c", "cat", "/proc/self/status"]):
            if "c" not in words:
                words = ["c"] + words
            ours, theirs = self.both("exec", *words)
            drop = re.compile(r"^(Sig|Shd|Pid|PPid|NSpid|NStgid|NSpgid|NSsid|Tgid|Vm|Rss|voluntary|"
                              r"nonvoluntary|Threads|Speculation|SigQ|Mems|Cpus|x86|untag).*\n",
                              re.M)
            self.assertEqual(drop.sub("", ours[1]), drop.sub("", theirs[1]), words)
            self.assertEqual(ours[0], theirs[0])
        self.same("exec", "c", "sh", "-c", "exit 42")
        self.same_code("exec", "c", "no-such-program")
        self.same_code("exec", "--pid-file", "/no/such/file", "c", "true")
        self.same_code("exec", "nobody", "true")
        self.same_code("exec", "--cwd", "/no/such", "-u", "x", "c", "true")
        process = {"args": ["sh", "-c", "echo $A; pwd"], "cwd": "/tmp", "env": ["A=1", "PATH=/bin"],
                   "user": {"uid": 0, "gid": 0}}
        for label in ("ours", "theirs"):
            with open(os.path.join(self.bundles[label], "p.json"), "w", encoding="utf-8") as file:
                json.dump(process, file)
        self.same("exec", "--process", "p.json", "c")
        self.same("exec", "--detach", "--pid-file", "pid", "c", "sleep", "50")

    def test_update_reaches_the_same_files(self):
        self.same("create", "c")
        files = ("memory/memory.limit_in_bytes", "memory/memory.soft_limit_in_bytes",
                 "cpu/cpu.shares", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "pids/pids.max",
                 "cpuset/cpuset.cpus")

        def values(label):
            path = f"coaming-test/{os.path.basename(self.dir)}-{label}"
            read = []
            for name in files:
                controller, file = name.split("/")
                with open(f"{CGROUPS}/{controller}/{path}/{file}", encoding="utf-8") as f:
                    read.append((name, f.read()))
            return read

        if not os.path.exists(f"{CGROUPS}/memory"):
            self.skipTest("needs cgroup v1")
        for words in (["--memory", "64M", "c"], ["--memory-reservation", "33554432", "c"],
                      ["--cpu-share", "200", "--cpu-quota", "50000", "c"],
                      ["--cpu-period", "200000", "c"], ["--pids-limit", "33", "c"],
                      ["--cpuset-cpus", "0", "c"], ["--memory", "-1", "c"],
                      ["--pids-limit", "-1", "c"], ["--cpu-quota", "-1", "c"]):
            self.same("update", *words)
            self.assertEqual(values("ours"), values("theirs"), words)
        limits = json.dumps({"memory": {"limit": 33554432}, "cpu": {"shares": 100, "cpus": "0"},
                             "pids": {"limit": 20}})
        for label, program in (("ours", OURS), ("theirs", THEIRS)):
            done = subprocess.run(self.line(label, program, "update", "-r", "-", "c"), input=limits,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 0)
        self.assertEqual(values("ours"), values("theirs"))
        self.same_code("update", "--memory", "many", "c")

    def test_events_and_features_have_the_same_members(self):
        self.same("create", "c")
        ours, theirs = self.both("events", "--stats", "c")
        ours, theirs = json.loads(ours[1]), json.loads(theirs[1])
        missing = {k for k in keys(theirs) - keys(ours)
                   if not re.match("/data/(memory/(raw|kernel)|intel_rdt|network_interfaces|hugetlb|"
                                    "cpuset|cpu/usage/percpu|memory/swap)", k)}
        self.assertEqual(missing, set())
        self.assertEqual((ours["type"], ours["id"]), (theirs["type"], theirs["id"]))
        ours, theirs = self.both("features")
        known = {k for k in keys(json.loads(theirs[1])) if "annotations" not in k}
        self.assertEqual(known - keys(json.loads(ours[1])), set())

    def test_wrong_words_fail_alike(self):
        for words in (["state"], ["state", "a", "b"], ["start"], ["kill"], ["kill", "nobody"],
                      ["delete"], ["delete", "nobody"], ["delete", "--force", "nobody"],
                      ["create", "../x"], ["run", "--bundle", "/no/such", "c"], ["pause", "nobody"],
                      ["resume", "nobody"], ["events", "nobody"], ["ps", "nobody"],
                      ["update", "nobody"], ["list", "extra"]):
            ours, theirs = self.both(*words)
            self.assertEqual(ours[0], theirs[0], (words, ours, theirs))
            self.assertTrue(ours[2] or ours[0] == 0, words)
        self.same("state", "nobody")
        for words in ("--help", "-h"):
            ours, theirs = self.both(words)
            self.assertEqual(ours[0], theirs[0])
            commands = re.compile(r"^   (\w+)  ", re.M)
            # Checkpoints are not built in.
            self.assertEqual({c for c in commands.findall(theirs[1].partition("COMMANDS")[2])}
                             - {"help", "checkpoint", "restore"} - set(commands.findall(ours[1])),
                             set())
        for command in ("create", "run", "exec", "kill", "delete", "update", "events", "spec",
                        "list", "ps"):
            ours, theirs = self.both(command, "--help")
            flags = re.compile(r"^   (--[\w-]+)", re.M)
            self.assertEqual(set(flags.findall(theirs[1])) - set(flags.findall(ours[1])), set(),
                             command)

    def test_logs_are_read_by_engines(self):
        for log_format in ("json", "text"):
            entries = []
            for label, program in (("ours", OURS), ("theirs", THEIRS)):
                log = os.path.join(self.dir, label, "log-" + log_format)
                code, _, err = self.run_in(label, [program, "--log", log, "--log-format",
                                                   log_format, "state", "nobody"])
                self.assertEqual((code, err), (1, "container does not exist\n"))
                with open(log, encoding="utf-8") as file:
                    entries.append(re.sub(r'("?)time("?)[=:]"[^"]*"', "time", file.read()))
            self.assertEqual(entries[0], entries[1])

    def test_counters_have_the_same_members(self):
        """Debian's runc is older: what it does not have yet is left out of ours."""
        def paths(value, at=""):
            if isinstance(value, dict) and at != "/data/memory/raw":
                return {p for k, v in value.items() for p in paths(v, f"{at}/{k}")}
            return {at}

        name = f"s-{os.getpid()}"
        self.configure(["sleep", "100"])
        self.same("run", "--detach", name)
        try:
            ours, theirs = self.both("events", "--stats", name)
            self.assertEqual((ours[0], theirs[0]), (0, 0))
            ours, theirs = json.loads(ours[1]), json.loads(theirs[1])
            newer = {"/data/memory/kernel", "/data/cpu/psi"}
            missing = {p for p in paths(theirs) - paths(ours)}
            self.assertEqual(missing, set(), ours)
            extra = {p for p in paths(ours) - paths(theirs)
                     if not any(p.startswith(n) for n in newer)}
            self.assertEqual(extra, set(), theirs)
            for member in ("limit",):
                self.assertEqual(ours["data"]["memory"]["usage"][member],
                                 theirs["data"]["memory"]["usage"][member])
            self.assertEqual(set(ours["data"]["memory"]["raw"]),
                             set(theirs["data"]["memory"]["raw"]))
            self.assertEqual(ours["data"]["cpuset"], theirs["data"]["cpuset"])
        finally:
            self.both("delete", "--force", name)


if __name__ == "__main__":
    junit.main()
