"""coam run and its sisters, the name runc, and the teaching programs, on real containers."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from tests.run.bundle_lab import BUSYBOX, COAM, ROOT, make_rootfs, until
from tools.build import junit

RUNC = shutil.which("runc")


@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
class ToolTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-run-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        make_rootfs(self.dir, ("sh", "cat", "echo", "sleep", "true", "ls", "id"))
        self.tool("spec")
        self.configure(args=["true"])
        self.ids = []

    def tearDown(self):
        for name in self.ids:
            self.tool("delete", "--force", name)

    def configure(self, args=None, terminal=False, change=None):
        path = os.path.join(self.dir, "config.json")
        with open(path) as file:
            spec = json.load(file)
        spec["process"]["terminal"] = terminal
        spec["process"]["env"] = ["PATH=/bin"]
        spec["linux"]["cgroupsPath"] = "/coaming-test/" + os.path.basename(self.dir)
        if args is not None:
            spec["process"]["args"] = args
        if change is not None:
            change(spec)
        with open(path, "w") as file:
            json.dump(spec, file)

    def name(self, text="c"):
        self.ids.append(f"{text}-{os.getpid()}-{self._testMethodName.replace('_', '-')}")
        return self.ids[-1]

    def tool(self, *words, runc=False, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        start = [COAM, "runc"] if runc else [COAM]
        command = words[0]
        root = [] if command in ("spec", "features", "probe") else ["--root", self.dir + "/state"]
        if runc:
            words = root + list(words)
        else:
            words = [words[0]] + root + list(words[1:])
        # Files, not pipes: a created container keeps its standard descriptors open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(start + list(words), cwd=self.dir, stdout=out, stderr=err,
                                  **kwargs)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())

    def ok(self, *words, **kwargs):
        done = self.tool(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def state(self, name):
        return json.loads(self.ok("state", name))

    def test_run_gives_output_and_status(self):
        self.configure(["sh", "-c", "echo hello; exit 7"])
        done = self.tool("run", self.name())
        self.assertEqual((done.returncode, done.stdout), (7, "hello\n"))
        self.assertEqual(json.loads(self.ok("list", "--format=json"))["containers"], [])

    def test_run_tells_why_not(self):
        self.configure(["/no/such"])
        done = self.tool("run", self.name())
        self.assertEqual(done.returncode, 127)
        self.assertIn("finding the program /no/such (step ", done.stderr)
        self.assertIn("hint:", done.stderr)
        self.configure(["true"], change=lambda s: s["mounts"].append(
            {"destination": "/x", "type": "nofs", "source": "x"}))
        done = self.tool("run", self.name())
        self.assertEqual(done.returncode, 125)
        self.assertIn("mounting nofs on /x", done.stderr)
        self.assertEqual(self.tool("state", "nobody").returncode, 4)

    def test_life_cycle_by_separate_commands(self):
        name = self.name()
        self.configure(["sleep", "100"])
        self.ok("create", "--pid-file", "pid", name)
        state = self.state(name)
        self.assertEqual(state["status"], "created")
        with open(os.path.join(self.dir, "pid")) as file:
            self.assertEqual(int(file.read()), state["pid"])
        self.assertEqual(self.tool("delete", "--root", "x", "nobody").returncode, 4)
        self.ok("start", name)
        self.assertEqual(self.state(name)["status"], "running")
        self.assertIn(name, self.ok("list"))
        self.assertIn("sleep 100", self.ok("ps", name))
        self.assertEqual(json.loads(self.ok("ps", "--format=json", name)), [state["pid"]])
        self.assertEqual(self.ok("exec", name, "sh", "-c", "echo in; id -u"), "in\n0\n")
        self.assertEqual(self.tool("exec", name, "sh", "-c", "exit 9").returncode, 9)
        self.assertEqual(self.ok("exec", "-u", "5:6", "-e", "X=y", "--cwd", "/tmp", name, "sh",
                                 "-c", "id -u; id -g; echo $X; pwd"), "5\n6\ny\n/tmp\n")
        self.assertEqual(self.tool("exec", "-u", "5x", name, "true").returncode, 2)
        self.ok("pause", name)
        self.assertEqual(self.state(name)["status"], "paused")
        self.ok("resume", name)
        self.ok("update", "--pids-limit", "50", "--memory", "100000000", name)
        stats = json.loads(self.ok("events", "--stats", name))
        self.assertEqual(stats["data"]["pids"]["limit"], 50)
        self.assertEqual(self.tool("delete", name).returncode, 1)
        self.ok("kill", name, "KILL")
        until(lambda: self.state(name)["status"] == "stopped")
        self.ok("delete", name)
        self.assertEqual(self.tool("state", name).returncode, 4)

    def test_signals_are_handed_on(self):
        self.configure(["sh", "-c", "trap 'echo got; exit 4' TERM; echo ready; while :; do sleep 0.05; done"])
        child = subprocess.Popen(
            [COAM, "run", "--root", self.dir + "/state", self.name()], cwd=self.dir,
            stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "ready\n")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.stdout.read(), "got\n")
        self.assertEqual(child.wait(), 4)

    def test_print_plan_starts_nothing(self):
        plan = self.ok("run", "--print-plan", "x")
        self.assertTrue(plan.startswith("  0  spawn into "))
        self.assertIn("execute true", plan)
        self.assertEqual(json.loads(self.ok("list", "--format=json"))["containers"], [])

    def test_preserve_fds_and_socket_activation(self):
        self.configure(["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&4"])
        read, write = os.pipe()
        os.write(write, b"given\n")
        os.close(write)
        low, read = read, os.dup2(read, 20)  # clear of the numbers that the shell sets
        os.close(low)
        shell = ("exec 3</dev/null; exec 4<&%d; LISTEN_FDS=1 exec %s run --root %s/state "
                 "--preserve-fds 1 %s" % (read, COAM, self.dir, self.name()))
        done = subprocess.run(["bash", "-c", shell], cwd=self.dir, pass_fds=[read],
                              stdout=subprocess.PIPE, text=True)
        self.assertEqual(done.stdout, "1 1\ngiven\n")
        os.close(read)

    def test_console_socket_gets_the_terminal(self):
        name = self.name()
        self.configure(["sh", "-c", "echo on a terminal; sleep 0.2"], terminal=True)
        done = self.tool("create", name)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--console-socket", done.stderr)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.join(self.dir, "console"))
            listener.listen()
            self.ok("create", "--console-socket", os.path.join(self.dir, "console"), name)
            peer, _ = listener.accept()
            with peer:
                _, fds, _, _ = socket.recv_fds(peer, 100, 1)
        self.ok("start", name)
        text = b""
        try:
            while b"on a terminal" not in text:
                text += os.read(fds[0], 100)
        finally:
            os.close(fds[0])

    def test_runc_words_flags_and_messages(self):
        name = self.name()
        self.configure(["sleep", "100"])
        log = os.path.join(self.dir, "log")
        done = self.tool("--log", log, "--log-format", "json", "state", "nobody", runc=True)
        self.assertEqual(done.returncode, 1)
        with open(log) as file:
            entry = json.loads(file.readline())
        self.assertEqual((entry["level"], entry["msg"]), ("error", "container does not exist"))
        self.ok("create", "--bundle", self.dir, name, runc=True)
        self.ok("start", name, runc=True)
        listed = json.loads(self.ok("list", "--format", "json", runc=True))
        self.assertEqual([c["id"] for c in listed], [name])
        self.ok("kill", name, "9", runc=True)
        until(lambda: self.state(name)["status"] == "stopped")
        done = self.tool("kill", name, "TERM", runc=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("container not running", done.stderr)
        self.ok("delete", name, runc=True)
        self.ok("delete", "--force", "nobody", runc=True)
        self.assertEqual(json.loads(self.ok("features", runc=True))["ociVersionMin"], "1.0.0")

    @unittest.skipUnless(RUNC, "needs runc")
    def test_the_same_bundle_looks_the_same_as_under_runc(self):
        script = ("ls -l /dev | awk '{print $1,$3,$4,$NF}' 2>/dev/null; cat /proc/self/status | "
                  "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)'; "
                  "cat /proc/self/mountinfo | while read a b c d e f g; do echo $e; done; ls /proc/self/fd | wc -l; "
                  "cat /proc/self/limits; pwd; cat /proc/self/oom_score_adj")
        os.symlink("busybox", os.path.join(self.dir, "rootfs/bin/awk"))
        os.symlink("busybox", os.path.join(self.dir, "rootfs/bin/grep"))
        os.symlink("busybox", os.path.join(self.dir, "rootfs/bin/wc"))

        def change(spec):
            # Debian's runc is of 1.0.2; cgroup mounts differ by host layout.
            spec["ociVersion"] = "1.0.2"
            spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
            spec["process"]["user"] = {"uid": 3, "gid": 4, "additionalGids": [5]}

        self.configure(["sh", "-c", script], change=change)
        name = self.name()
        ours = self.tool("run", name)
        theirs = subprocess.run([RUNC, "--root", self.dir + "/runc-state", "run", name],
                                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        self.assertEqual(theirs.returncode, 0, theirs.stderr)
        self.assertEqual(ours.returncode, 0, ours.stderr)

        self.assertEqual(sorted(ours.stdout.splitlines()), sorted(theirs.stdout.splitlines()))

    def test_killed_at_any_moment_leaves_what_force_cleans(self):
        self.configure(["sleep", "100"])
        cgroup = "/sys/fs/cgroup/pids/coaming-test/" + os.path.basename(self.dir)
        for ms in range(0, 30):
            name = f"killed-{os.getpid()}-{ms}"
            child = subprocess.Popen([COAM, "create", "--root", self.dir + "/state", name],
                                     cwd=self.dir, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(ms / 1000)
            child.kill()
            child.wait()
            self.ok("delete", "--force", name)
            self.assertEqual(json.loads(self.ok("list", "--format=json"))["containers"], [])
            until(lambda: not os.path.exists(cgroup))

    def test_teaching_programs(self):
        self.configure(["sh", "-c", "echo from inside; exit 3"])
        env = dict(os.environ, RUN_BUNDLE_STATE=self.dir + "/state")
        done = subprocess.run([os.path.join(ROOT, "examples/c/run_bundle"), self.dir, self.name()],
                              stdout=subprocess.PIPE, text=True, env=env)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stdout, "created: process [0-9]+\nfrom inside\nstatus: 3\n")
        done = subprocess.run([os.path.join(ROOT, "examples/cpp/run"), self.dir, self.name()],
                              stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, RUN_STATE=self.dir + "/state"))
        self.assertEqual((done.returncode, done.stdout), (3, "from inside\n"))
        self.configure(change=lambda s: s["linux"].pop("cgroupsPath"))
        done = subprocess.run([os.path.join(ROOT, "examples/c/run_in_event_loop"), self.dir],
                              stdout=subprocess.PIPE, text=True, env=env)
        self.assertEqual(done.returncode, 0)
        for i in range(3):
            self.assertIn(f"{i} says: from inside\n", done.stdout)
            self.assertIn(f"{i} ended with 3\n", done.stdout)
        self.assertEqual(os.listdir(self.dir + "/state"), [])


if __name__ == "__main__":
    junit.main()
