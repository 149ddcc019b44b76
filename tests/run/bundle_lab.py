"""What the tests of coam's run words share: the tool, waiting, and a root file system of busybox."""
import os
import shutil
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COAM = os.path.join(ROOT, "examples/coam/coam")
BUSYBOX = shutil.which("busybox")


def until(what, seconds=10):
    """Polls until what() is true: the end of another process has no descriptor here."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


def make_rootfs(directory, words):
    """Makes `directory`/rootfs with busybox under the names of `words`."""
    os.chmod(directory, 0o755)
    root = os.path.join(directory, "rootfs")
    for name in ("bin", "dev", "proc", "sys", "etc", "tmp"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(BUSYBOX, os.path.join(root, "bin/busybox"))
    for name in words:
        os.symlink("busybox", os.path.join(root, "bin", name))
