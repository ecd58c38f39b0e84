"""Tests of one class that use one daemon."""

import atexit
import socket
import unittest
from typing import ClassVar

from tests.support.daemon import Daemon, Reader, Response, wait_for


class Shared(unittest.TestCase):
    """One daemon for a class of tests; nothing may be left in it.

    A runner that spreads a class over several processes has one in each of them, and each is
    judged: by `tearDownClass`, which ends a class in a process, or by the last test in the order
    of the names, since trial calls no `tearDownClass`.
    """

    options: tuple[str, ...] = ()
    workers = 2
    daemons: ClassVar[dict[type, Daemon]] = {}

    @classmethod
    def tearDownClass(cls) -> None:
        cls.judge()
        super().tearDownClass()

    @classmethod
    def judge(cls) -> None:
        """End the daemon that the tests of this class have used here, if they have."""
        daemon = cls.daemons.pop(cls, None)
        if daemon is not None:
            atexit.unregister(daemon.kill)
            daemon.__exit__(None, None, None)

    def setUp(self) -> None:
        if self._testMethodName == "test_zz_nothing_is_left":
            # It asks nothing, and another daemon would tell nothing.
            return
        daemon = self.daemons.get(type(self))
        if daemon is None:
            daemon = Daemon(*self.options, workers=self.workers)
            daemon.command += ["--listen", f"unix:{daemon.directory.name}/http"]
            self.daemons[type(self)] = daemon.__enter__()
            atexit.register(daemon.kill)
        self.daemon = daemon
        self.sock = daemon.connect()
        self.addCleanup(self.sock.close)
        self.reader = Reader(self.sock)

    def ask(self, data: bytes, method: str = "GET") -> Response:
        self.sock.sendall(data)
        return self.reader.response(method)

    def connect_unix(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(10)
        sock.connect(f"{self.daemon.directory.name}/http")
        return sock

    def expect_error(self, text: str) -> None:
        """What an app raised comes into the log, with its traceback; and out of it again."""
        log = self.daemon.log
        wait_for(lambda: any(text in line for line in log), what=f"{text} in the log")
        self.assertTrue(any("Traceback" in line for line in log))
        log[:] = [line for line in log if "Traceback" not in line and text not in line]

    def test_zz_nothing_is_left(self) -> None:
        """The last one of each class, in the order of the names."""
        self.judge()
