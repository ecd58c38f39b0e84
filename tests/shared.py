"""Tests of one class that use one daemon."""

import atexit
import socket
import unittest
from typing import ClassVar

from tests.daemon import Daemon, Reader, Response, wait_for


class Shared(unittest.TestCase):
    """One daemon for a class of tests; nothing may be left in it."""

    options: tuple[str, ...] = ()
    workers = 2
    # By class. Not every runner of this suite calls setUpClass and tearDownClass.
    daemons: ClassVar[dict[type, Daemon]] = {}

    def setUp(self) -> None:
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
        self.sock.close()
        daemon = self.daemons.pop(type(self))
        daemon.__exit__(None, None, None)
        atexit.unregister(daemon.kill)
