"""Our own objects call nothing that changes or ends the host process, and start no child by fork.

Third parties inside the object have their own checks (undefined_allowed.txt); here only archives of
this tree are read. Objects that run between clone and exec may call almost nothing at all.
"""

import os
import re
import subprocess
import unittest

from tools.build import junit

FORBIDDEN = re.compile(
    r"^(_?_?(exit|Exit)|quick_exit|abort|__assert_fail|__assert_perror_fail|atexit|on_exit|"
    r"fork|vfork|_Fork|daemon|system|popen|pthread_atfork|"
    r"signal|sigaction|bsd_signal|sigset|sigprocmask|sigwait\w*|alarm|setitimer|"
    r"wait|wait3|wait4|chdir|fchdir|chroot|umask|"
    r"setenv|unsetenv|putenv|clearenv|getenv|secure_getenv|setlocale|uselocale|"
    r"prctl|set(e|re|res)?[ug]id|setgroups|initgroups|setfsuid|setfsgid|setrlimit(64)?|"
    r"setns|unshare|setsid|setpgid|nice|setpriority|"
    r"openlog|syslog|vsyslog|dlopen|dlmopen|"
    r"printf|__printf_chk|puts|putchar|vprintf|__vprintf_chk|perror|psignal|"
    r"open(64)?|creat(64)?|fopen(64)?|freopen(64)?|opendir|"
    r"strto[dfl]|strtold|atof|gethostbyname\w*|getaddrinfo|getpw\w+|getgr\w+|rand|srand|tmpnam|mktemp)$")

# What code between clone and exec may use (*_child.cc).
CHILD_ALLOWED = {"syscall", "__errno_location", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail",
                 "memcpy", "memset", "memmove", "strlen"}


def objects():
    """(member, undefined symbols) of each object of our archives."""
    for folder, _, names in os.walk("."):
        for name in names:
            if name.endswith((".a", ".lo")):
                member, found = None, []
                path = os.path.join(folder, name)
                listing = subprocess.run(["nm", "-u", path], check=True, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True).stdout
                for line in listing.splitlines():
                    if line.endswith(":"):
                        if member:
                            yield os.path.normpath(os.path.join(folder, member)), found
                        member, found = line[:-1], []
                    elif line.split():
                        found.append(line.split()[-1].split("@")[0])
                if member:
                    yield os.path.normpath(os.path.join(folder, member)), found


def exceptions():
    with open("tests/abi/own_calls_exceptions.tsv", encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                path, symbol, reason = line.rstrip("\n").split("\t")
                yield path, symbol, reason


class OwnCalls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.objects = list(objects())
        cls.exceptions = list(exceptions())

    def test_there_are_objects_to_look_at(self):
        self.assertGreater(len(self.objects), 5)

    def test_no_object_calls_what_would_touch_the_host(self):
        allowed = {(path, symbol) for path, symbol, _ in self.exceptions}
        bad = sorted({(path, symbol) for path, symbols in self.objects for symbol in symbols
                      if FORBIDDEN.match(symbol) and (path, symbol) not in allowed})
        self.assertEqual(bad, [], "forbidden by DESIGN 2.9")

    def test_every_exception_is_still_needed_and_says_why(self):
        used = {(path, symbol) for path, symbols in self.objects for symbol in symbols}
        for path, symbol, reason in self.exceptions:
            self.assertIn((path, symbol), used, "an exception that nothing needs")
            self.assertGreater(len(reason), 10, f"{path} {symbol} gives no reason")

    def test_code_between_clone_and_exec_calls_the_kernel_only(self):
        for path, symbols in self.objects:
            if re.search(r"_child\.(pic\.)?o$", path):
                self.assertEqual(set(symbols) - CHILD_ALLOWED, set(), path)


if __name__ == "__main__":
    junit.main()
