"""Tests run in a sandbox that holds them to our word: no network but loopback, a read-only tree."""

import os
import socket
import unittest

from tools.build import junit


class Sandbox(unittest.TestCase):
    def test_loopback_works_and_is_the_only_interface(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with socket.create_connection(server.getsockname()):
                pass
        self.assertEqual([name for _, name in socket.if_nameindex()], ["lo"])

    def test_the_tree_cannot_be_written(self):
        with self.assertRaises(OSError):
            with open(os.path.realpath("WORKSPACE"), "a", encoding="utf-8"):
                pass

    def test_the_environment_is_that_of_the_build_and_not_of_the_user(self):
        self.assertEqual(os.environ.get("LC_ALL"), "C.UTF-8")
        self.assertNotIn("SSH_AUTH_SOCK", os.environ)
        self.assertNotIn("http_proxy", os.environ)


if __name__ == "__main__":
    junit.main()
