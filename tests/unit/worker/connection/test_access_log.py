"""The access log of a worker: its descriptor is one of the worker's own."""

import os
import tempfile
import unittest
from pathlib import Path

from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.own_descriptors import DescriptorLost, OwnDescriptors
from stickyd.routing.policy import ANYWHERE
from stickyd.settings import Settings
from stickyd.worker.connection.access_log import AccessLog, LoggedRequest
from tests.support.stepping import SteppingReactor


class OwnDescriptor(unittest.TestCase):
    def setUp(self) -> None:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = Path(directory, "access.log")
        self.own = OwnDescriptors()
        self.log = AccessLog(SteppingReactor(), str(self.path), "%(h)s %(s)s", self.own)
        self.addCleanup(lambda: self.log._writer.close())

    def descriptor(self) -> int:
        return self.log._writer._target.descriptor

    def replace(self, descriptor: int) -> None:
        """The app closes it, and has the number for a file of its own."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)

    def test_a_log_whose_descriptor_is_another_file(self) -> None:
        self.own.check()
        self.replace(self.descriptor())
        with self.assertRaisesRegex(DescriptorLost, "the access log"):
            self.own.check()

    def test_after_the_log_is_reopened(self) -> None:
        self.path.rename(self.path.with_suffix(".1"))
        self.log.reopen()
        # Not the old file's, which is closed.
        self.own.check()
        self.replace(self.descriptor())
        with self.assertRaisesRegex(DescriptorLost, "the access log"):
            self.own.check()

    def test_lines_before_and_after_a_reopening(self) -> None:
        old = self.path.with_suffix(".1")
        self.line(200)
        self.path.rename(old)
        self.log.reopen()
        self.line(404)
        self.assertEqual(old.read_text(), "192.0.2.1 200\n")
        self.assertEqual(self.path.read_text(), "192.0.2.1 404\n")

    def line(self, status: int) -> None:
        head = Head(b"GET", b"/", 1, (), 0, 0, True, frozenset(), False)
        frame = Frame(Kind.PLACED, 7, ("192.0.2.1", 5), ("192.0.2.2", 80))
        policy = Settings().policy()
        LoggedRequest(self.log, frame, head, policy, ANYWHERE, 1, 0).answered(status, 100)
