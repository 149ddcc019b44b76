"""coam run -d, logs, attach, wait, events: containers under a monitor, through the tool alone."""
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import unittest

from tests.run.bundle_lab import BUSYBOX, COAM, make_rootfs, until
from tools.build import junit



@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
class MonitorToolTest(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="coam-run-tool.", dir="/tmp")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        make_rootfs(self.dir, ("sh", "cat", "echo", "sleep", "true", "stty", "seq"))
        subprocess.run([COAM, "spec"], cwd=self.dir, check=True)
        self.name = f"m-{os.getpid()}-{self._testMethodName.replace('_', '-')}"
        self.addCleanup(self.tool, "delete", "--force", self.name)

    def configure(self, args, terminal=False):
        path = os.path.join(self.dir, "config.json")
        with open(path) as file:
            spec = json.load(file)
        spec["process"].update(terminal=terminal, env=["PATH=/bin"], args=args)
        spec["linux"]["cgroupsPath"] = "/coaming-test/" + os.path.basename(self.dir)
        with open(path, "w") as file:
            json.dump(spec, file)

    def words(self, *words):
        return [COAM, words[0], "--root", self.dir + "/state", *words[1:]]

    def tool(self, *words, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(self.words(*words), cwd=self.dir, stdout=out, stderr=err, **kwargs)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())

    def ok(self, *words, **kwargs):
        done = self.tool(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def listed(self):
        return json.loads(self.ok("list", "--format=json"))["containers"][0]

    def test_detached_status_and_logs(self):
        self.configure(["sh", "-c", "echo one; echo two >&2; read x; echo three; exit 5"])
        self.ok("run", "-d", "--stdin", "relay", "--log-path", "app.log", self.name)
        self.assertTrue(self.listed()["monitored"])
        follow = subprocess.Popen(self.words("logs", "-f", self.name), cwd=self.dir,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(follow.stdout.readline(), b"one\n")
        # The end of input is what the program waits for.
        self.assertEqual(self.tool("attach", self.name).returncode, 5)
        self.assertEqual(self.ok("wait", self.name), "5\n")
        self.assertEqual(follow.communicate()[0], b"three\n")
        logs = self.tool("logs", self.name)
        self.assertEqual((logs.stdout, logs.stderr), ("one\nthree\n", "two\n"))
        self.assertEqual(self.ok("logs", "--tail", "1", self.name), "three\n")
        self.assertRegex(self.ok("logs", "-t", "-n1", self.name), r"^20\S+Z three\n$")
        self.assertEqual(self.listed()["exitCode"], 5)
        self.ok("delete", self.name)

    def test_logs_of_several_files(self):
        self.configure(["sh", "-c", "seq 1 100"])
        self.ok("run", "-d", "--log-path", "app.log", "--log-max-size", "1000", self.name)
        self.assertEqual(self.ok("wait", self.name), "0\n")
        self.assertTrue(os.path.exists(os.path.join(self.dir, "app.log.4")))
        lines = self.ok("logs", self.name).split()
        self.assertEqual(lines[-1], "100")
        self.assertEqual(lines, [str(i) for i in range(int(lines[0]), 101)])

    def test_no_log_is_said(self):
        self.configure(["true"])
        self.ok("run", "-d", self.name)
        self.ok("wait", self.name)
        self.assertIn("has no log", self.tool("logs", self.name).stderr)
        done = self.tool("attach", self.name)
        self.assertEqual(done.returncode, 125)
        self.assertIn("hint:", done.stderr)

    def test_attach_to_a_terminal_detach_and_come_back(self):
        self.configure(["sh", "-c", "read x; stty size; read x; exit 6"], terminal=True)
        self.ok("run", "-d", self.name)

        def attach():
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 99, 0, 0))
            process = subprocess.Popen(self.words("attach", self.name), stdin=slave, stdout=slave,
                                       stderr=slave)
            os.close(slave)
            return master, process

        master, process = attach()
        os.write(master, b"\r")
        seen = b""
        while b"41 99" not in seen:
            self.assertTrue(select.select([master], [], [], 20)[0], seen)
            seen += os.read(master, 1000)
        os.write(master, b"\x10\x11")
        self.assertEqual(process.wait(), 0)
        os.close(master)
        self.assertEqual(json.loads(self.ok("state", self.name))["status"], "running")
        master, process = attach()
        os.write(master, b"\r")
        self.assertEqual(process.wait(), 6)
        os.close(master)

    def test_run_in_the_foreground_logs_too(self):
        self.configure(["sh", "-c", "echo seen; exit 4"])
        done = self.tool("run", "--log-path", "app.log", self.name)
        self.assertEqual((done.returncode, done.stdout), (4, "seen\n"))
        with open(os.path.join(self.dir, "app.log")) as log:
            self.assertEqual(log.read()[31:], "stdout F seen\n")
        self.assertEqual(json.loads(self.ok("list", "--format=json"))["containers"], [])

    def test_events(self):
        self.configure(["sleep", "100"])
        events = subprocess.Popen(self.words("events"), stdout=subprocess.PIPE)
        folder = os.path.join(self.dir, "state/.events")
        until(lambda: os.path.isdir(folder) and
              any(not name.startswith(".") for name in os.listdir(folder)), seconds=20)
        self.ok("run", "-d", self.name)
        self.ok("pause", self.name)
        self.ok("resume", self.name)
        self.ok("delete", "--force", self.name)
        self.addCleanup(events.kill)
        seen = [json.loads(events.stdout.readline()) for _ in range(6)]
        self.assertEqual([e["type"] for e in seen],
                         ["created", "started", "paused", "resumed", "exited", "deleted"])
        self.assertEqual({e["id"] for e in seen}, {self.name})
        self.assertEqual(seen[4]["data"]["signal"], 9)
        events.send_signal(signal.SIGTERM)
        events.communicate()
        self.assertEqual(os.listdir(os.path.join(self.dir, "state")), [])

    def test_as_a_service(self):
        """NOTIFY_SOCKET and LISTEN_FDS of the tool reach the program."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(os.path.join(self.dir, "m.sock"))
        listener = socket.create_server(("127.0.0.1", 0))
        self.configure(["sh", "-c", "echo $NOTIFY_SOCKET $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES"])
        # The descriptor must have the number 3, and LISTEN_PID be the tool's own: a shell does both.
        script = f'exec 3<&{listener.fileno()}; export LISTEN_PID=$$; exec "$@"'
        env = dict(os.environ, NOTIFY_SOCKET=os.path.join(self.dir, "m.sock"), LISTEN_FDS="1",
                   LISTEN_FDNAMES="web")
        done = subprocess.run(["bash", "-c", script, "bash", *self.words("run", self.name)],
                              cwd=self.dir, env=env, pass_fds=[listener.fileno()],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, b"/run/notify/notify.sock 1 1 web\n")
        listener.close()
        manager.close()


if __name__ == "__main__":
    junit.main()
