"""Containers from Python: real ones, as root; documents as anybody."""
import os
import select
import shutil
import signal
import socket
import tempfile
import unittest

from tools.build import junit

import coaming
import coaming.run
from coaming import errors

BUSYBOX = shutil.which("busybox")


class DocumentTest(unittest.TestCase):
    def test_default_spec_passes_its_own_check(self):
        spec = coaming.run.default_spec()
        self.assertEqual(spec["process"]["args"], ["sh"])
        self.assertEqual(coaming.run.check_spec(spec), [])
        rootless = coaming.run.default_spec(rootless=True, uid=1000, gid=1001)
        self.assertEqual(rootless["linux"]["uidMappings"][0]["hostID"], 1000)
        self.assertEqual(rootless["linux"]["gidMappings"][0]["hostID"], 1001)

    def test_a_bad_spec_names_its_member(self):
        spec = coaming.run.default_spec()
        spec["linux"]["namespaces"].append({"type": "pid"})
        with self.assertRaises(errors.InvalidArgumentError) as caught:
            coaming.run.check_spec(spec)
        self.assertEqual(caught.exception.reason, "run.spec")
        self.assertEqual(caught.exception.details["spec.member"], "linux.namespaces")
        spec["process"]["args"] = 5
        with self.assertRaises(errors.DataError) as caught:
            coaming.run.check_spec(spec)
        self.assertIn("config.process.args", str(caught.exception))

    def test_features_and_probe(self):
        self.assertEqual(coaming.run.features()["ociVersionMax"], "1.3.0")
        lines = {line["name"]: line for line in coaming.run.probe()}
        self.assertTrue(lines["run.namespace.pid"]["works"])

    def test_features_of_linux(self):
        linux = coaming.run.features()["linux"]
        self.assertTrue(linux["netDevices"]["enabled"])
        self.assertTrue(linux["mountExtensions"]["idmap"]["enabled"])
        self.assertEqual(linux["intelRdt"],
                         {"enabled": True, "schemata": True, "monitoring": True})

    def test_signals(self):
        self.assertEqual(coaming.run.signal_number("SIGTERM"), 15)
        self.assertEqual(coaming.run.signal_number("RTMIN+1"), 35)
        with self.assertRaises(ValueError):
            coaming.run.signal_number("NONSENSE")


@unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
class ContainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="coam-run-")
        os.chmod(cls.dir, 0o755)
        root = os.path.join(cls.dir, "rootfs")
        for name in ("bin", "dev", "proc", "sys", "etc", "tmp"):
            os.makedirs(os.path.join(root, name))
        shutil.copy(BUSYBOX, os.path.join(root, "bin", "busybox"))
        for name in ("sh", "cat", "echo", "sleep", "true", "hostname", "stty"):
            os.symlink("busybox", os.path.join(root, "bin", name))
        cls.runtime = coaming.run.Runtime(state_root=os.path.join(cls.dir, "state"),
                                          cgroup_parent="/coaming-test")

    @classmethod
    def tearDownClass(cls):
        cls.runtime.close()
        shutil.rmtree(cls.dir)

    def test_a_label_without_its_module_is_an_error_or_a_note(self):
        if os.path.exists("/sys/module/apparmor/parameters/enabled"):
            self.skipTest("this kernel has AppArmor")
        spec = self.spec("true")
        spec["process"]["apparmorProfile"] = "docker-default"
        with self.assertRaises(errors.UnsupportedError) as caught:
            self.runtime.run("label", bundle=self.dir, spec=spec)
        self.assertEqual(caught.exception.details["spec.member"], "process.apparmorProfile")
        lenient = coaming.run.Runtime(state_root=os.path.join(self.dir, "lenient"),
                                      cgroup_parent="/coaming-test", lenient_labels=True)
        self.addCleanup(lenient.close)
        container = lenient.run("label", bundle=self.dir, spec=spec)
        self.assertEqual(container.wait().code, 0)
        container.delete()

    def test_a_network_device_that_is_not_there_has_its_own_reason(self):
        spec = self.spec("true")
        spec["linux"]["netDevices"] = {"missing0": {"name": "eth0"}}
        with self.assertRaises(errors.ContainerError) as caught:
            self.runtime.run("netdev", bundle=self.dir, spec=spec)
        self.assertEqual(caught.exception.reason, "run.network")

    def spec(self, *args, terminal=False):
        spec = coaming.run.default_spec()
        spec["process"]["args"] = list(args)
        spec["process"]["terminal"] = terminal
        spec["process"]["env"] = ["PATH=/bin"]
        return spec

    def name(self):
        return f"py-{os.getpid()}-{self._testMethodName}"

    def run_container(self, *args, **options):
        return self.runtime.run(self.name(), bundle=self.dir, spec=self.spec(*args), **options)

    def test_output_and_status(self):
        with self.run_container("sh", "-c", "cat; echo $GREETING; exit 5", stdin="pipe",
                                stdout="pipe", env={"GREETING": "hello"}) as c:
            c.stdin.write(b"given\n")
            c.stdin.close()
            self.assertEqual(c.stdout.readall(), b"given\nhello\n")
            self.assertEqual(c.wait(), coaming.run.ExitStatus(5, 0))
            self.assertEqual(c.status, "stopped")
        self.assertEqual(self.runtime.list(), [])

    def test_life_cycle(self):
        c = self.runtime.create(self.name(), bundle=self.dir, spec=self.spec("sleep", "100"))
        with c:
            self.assertEqual(c.id, self.name())
            self.assertEqual(c.status, "created")
            self.assertEqual(c.state["pid"], c.pid)
            self.assertEqual(c.spec["process"]["args"], ["sleep", "100"])
            with self.assertRaises(errors.ExistsError):
                self.runtime.create(self.name(), bundle=self.dir, spec=self.spec("true"))
            c.start()
            self.assertEqual(self.runtime.list()[0]["status"], "running")
            self.assertEqual(c.pids, [c.pid])
            self.assertEqual(c.stats["id"], c.id)
            c.update({"pids": {"limit": 77}})
            c.pause()
            self.assertEqual(c.status, "paused")
            with self.assertRaises(errors.StateError):
                c.exec(["true"])
            c.resume()
            with self.assertRaises(errors.DeadlineError):
                c.wait(timeout=0.01)
            other = self.runtime.open(self.name())
            self.assertEqual(select.select([c], [], [], 0)[0], [])
            other.kill(signal.SIGKILL)
            self.assertEqual(c.wait(), coaming.run.ExitStatus(137, 9))
            self.assertEqual(select.select([c], [], [], 0)[0], [c])
            other.close()

    def test_exec(self):
        with self.run_container("sleep", "100") as c:
            with c.exec(["sh", "-c", "hostname; exit 3"], stdout="pipe") as p:
                self.assertEqual(p.stdout.readall(), b"runc\n")
                self.assertEqual(p.wait().code, 3)
                self.assertGreater(p.fileno(), 2)
            with c.exec(["sleep", "100"]) as p:
                self.assertIn(p.pid, c.pids)
                p.kill(9)
                self.assertEqual(p.wait().signal, 9)
                p.feed_status(0)
            c.kill(9, all=True)
            c.wait()
            c.feed_status(0)

    def test_pass_fds(self):
        read, write = os.pipe()
        with self.run_container("sh", "-c", "echo through >&5", pass_fds={5: write}) as c:
            os.close(write)
            c.wait()
        self.assertEqual(os.read(read, 100), b"through\n")
        os.close(read)

    def test_a_monitor_keeps_status_and_log(self):
        log = os.path.join(self.dir, "app.log")
        c = self.runtime.run(self.name(), bundle=self.dir, log_path=log, stdin="relay",
                             spec=self.spec("sh", "-c", "cat; echo err >&2; exit 6"))
        c.close()
        again = coaming.run.Runtime(state_root=os.path.join(self.dir, "state"),
                                    cgroup_parent="/coaming-test")
        with again.open(self.name()) as c:
            with c.attach() as attachment:
                self.assertEqual(attachment.read(), (0, b""))
                attachment.send(b"typed\n", timeout=10)
                attachment.close_input()
                self.assertEqual(sorted(attachment), [(1, b"typed\n"), (2, b"err\n")])
                self.assertIsNone(attachment.read())
            self.assertEqual(c.wait().code, 6)
            listed = again.list()[0]
            self.assertEqual((listed["exitCode"], listed["log"]), (6, log))
            with open(log) as file:
                lines = sorted(line[31:] for line in file)
            self.assertEqual(lines, ["stderr F err\n", "stdout F typed\n"])
            with self.assertRaises(errors.ContainerError) as caught:
                c.reopen_log()
            self.assertEqual(caught.exception.reason, "run.monitor")

    def test_a_terminal_of_a_monitor(self):
        with self.runtime.create(self.name(), bundle=self.dir, monitor=True,
                                 spec=self.spec("stty", "size", terminal=True)) as c:
            c.resize(30, 90)
            with c.attach() as attachment:
                c.start()
                self.assertIn(b"30 90", b"".join(data for _, data in attachment))

    def test_events(self):
        with self.runtime.events() as events, self.runtime.events(self.name()) as own:
            self.assertIsNone(events.next())
            self.assertIsNone(events.wait(timeout=0.01))
            with self.run_container("sh", "-c", "exit 4") as c:
                c.wait()
            seen = []
            for event in own:
                seen.append(event)
                if event["type"] == "deleted":
                    break
            self.assertEqual([e["type"] for e in seen], ["created", "started", "exited", "deleted"])
            self.assertEqual(seen[2]["data"]["code"], 4)
            self.assertEqual(events.wait()["type"], "created")
            self.assertGreater(events.fileno(), 2)

    def test_socket_activation_and_notify(self):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.dir, "manager.sock")
        manager.bind(path)
        ends = socket.socketpair()
        pidfd_path = os.path.join(self.dir, "pidfd.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(pidfd_path)
        listener.listen()
        with self.run_container("sh", "-c", "echo $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID >&3",
                                listen_fds={"web": ends[1]}, notify_socket=path,
                                pidfd_socket=pidfd_path) as c:
            ends[1].close()
            self.assertEqual(ends[0].recv(100), b"1 web 1\n")
            connection, _ = listener.accept()
            _, fds, _, _ = socket.recv_fds(connection, 100, 1)
            self.assertEqual(c.wait().code, 0)
            self.assertEqual(select.select(fds, [], [], 10)[0], fds)
            os.close(fds[0])
        for s in (manager, ends[0], listener, connection):
            s.close()
        os.unlink(path)
        os.unlink(pidfd_path)

    def test_terminal(self):
        c = self.runtime.run(self.name(), bundle=self.dir,
                             spec=self.spec("sh", "-c", "echo typed", terminal=True))
        with c:
            self.assertIn(b"typed", os.read(c.console.fileno(), 100))
            c.wait()
            with self.assertRaises(errors.StateError):
                c.exec(["true"], tty=True)
            self.assertIsNone(c.stdout)

    def test_a_failed_step_is_named(self):
        spec = self.spec("true")
        spec["mounts"].append({"destination": "/x", "type": "tmpfs", "options": ["nonsense=1"]})
        with self.assertRaises(errors.ContainerError) as caught:
            self.runtime.run(self.name(), bundle=self.dir, spec=spec)
        self.assertEqual(caught.exception.reason, "run.mount")
        self.assertIn("mounting tmpfs on /x (step ", str(caught.exception))

    def test_namespaces_event_may_stop_the_creation(self):
        seen = []

        def listen(event):
            seen.append(event)
            raise RuntimeError("no network")

        with self.assertRaises(RuntimeError):
            self.run_container("true", progress=listen)
        self.assertEqual(seen[0].kind, "run.namespaces")
        self.assertTrue(seen[0].subject.startswith("/proc/"))
        self.assertEqual(self.runtime.list(), [])

    def test_remove_and_plan(self):
        self.runtime.remove("never-made", force=True)
        with self.assertRaises(errors.NotFoundError):
            self.runtime.remove("never-made")
        plan = self.runtime.print_plan("x", bundle=self.dir, spec=self.spec("true"))
        self.assertIn("spawn into pid,mount,network,ipc,uts", plan)
        self.assertIn("execute true", plan)


if __name__ == "__main__":
    junit.main()
