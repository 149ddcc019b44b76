"""The story of ./quickstart, with the build's own tool: told to its end, and interrupted."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import world
from tools.build import junit

STEPS = 8


def left():
    done = subprocess.run(
        ["bash", "-c", "find /sys/fs/cgroup -path '*/coaming/*' "
         "-type d; find /run/coaming -type f; grep /tmp/quickstart /proc/mounts; ps -eo args="],
        capture_output=True, text=True, check=False)
    return {line for line in done.stdout.split("\n")
            if line.startswith(("/sys/fs/cgroup/", "/run/coaming/"))
            or " /tmp/quickstart" in line or "tools/quickstart/story" in line}


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Story(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.mkdtemp(prefix="coam-story.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.prefix)
        os.mkdir(os.path.join(cls.prefix, "bin"))
        shutil.copy(world.COAM, os.path.join(cls.prefix, "bin/coam"))
        cls.before = left()
        begun = time.monotonic()
        done = cls.start().communicate()[0]
        cls.seconds = time.monotonic() - begun
        cls.text = done

    @classmethod
    def start(cls):
        return subprocess.Popen(["./quickstart", "--story-only", cls.prefix], cwd=world.ROOT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def test_it_is_told_to_its_end(self):
        self.assertRegex(self.text, r"\nAll of it was as told: \d+ checks in [\d.]+ seconds\.\n$")
        self.assertNotIn("FAILED", self.text)

    def test_it_takes_less_than_a_minute(self):
        # Told by the story itself, which is what a reader sees.
        seconds = re.search(r"checks in ([\d.]+) seconds", self.text)
        self.assertIsNotNone(seconds, self.text[-2000:])
        self.assertLess(float(seconds[1]), 60)

    def test_there_is_no_colour_without_a_terminal(self):
        self.assertNotIn("\x1b", self.text)

    def test_it_leaves_nothing(self):
        self.assertEqual(left() - self.before, set())

    def test_without_a_prefix_that_exists_it_says_so(self):
        done = subprocess.run(["./quickstart", "--story-only", "/no/such/prefix"], cwd=world.ROOT,
                              capture_output=True, check=False)
        self.assertNotEqual(done.returncode, 0)

    def interrupted_at(self, step, number):
        with self.start() as story:
            for line in story.stdout:
                if line.startswith(f"{step}. "):
                    break
            else:
                self.fail(f"it ended before step {step}")
            time.sleep(0.3)
            story.send_signal(number)
            rest = story.communicate(timeout=60)[0]
        self.assertEqual(story.returncode, 130, rest)
        self.assertIn("interrupted: cleaning up", rest)
        self.assertEqual(left() - self.before, set())


def add_steps():
    for step in range(1, STEPS + 1):
        def told(self, step=step):
            part = re.search(rf"(?ms)^{step}\. .*?(?=^{step + 1}\. |\Z)", self.text)
            self.assertIsNotNone(part, self.text[-2000:])
            self.assertIn("ok: ", part[0])
            self.assertNotIn("FAILED", part[0])
        setattr(Story, f"test_step_{step}_is_as_told", told)
    for step, number in ((1, signal.SIGINT), (3, signal.SIGTERM), (5, signal.SIGINT),
                         (6, signal.SIGTERM), (7, signal.SIGINT)):
        def interrupted(self, step=step, number=number):
            self.interrupted_at(step, number)
        setattr(Story, f"test_it_cleans_up_when_it_is_interrupted_at_step_{step}", interrupted)


add_steps()

if __name__ == "__main__":
    junit.main()
