"""The access log of a worker: its descriptor is one of the worker's own."""

import json
import os
import select
import tempfile
import unittest
from pathlib import Path

from stickyd.http1.head_parser import Head
from stickyd.http1.json_text import joined
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.own_descriptors import DescriptorLost, OwnDescriptors
from stickyd.routing.policy import ANYWHERE
from stickyd.settings import LogSettings, Settings
from stickyd.worker.connection.access_log import AccessLog, LoggedRequest
from tests.support.stepping import SteppingReactor

HEAD = Head(b"GET", b"/", 1, (), 0, 0, True, frozenset(), False)


def settings(path: Path | str, form: str = "%(h)s %(s)s") -> LogSettings:
    return LogSettings(access_file=str(path), access_format=form)


def line(log: AccessLog, status: int, head: Head = HEAD, kind: Kind = Kind.PLACED) -> None:
    frame = Frame(kind, 7, ("192.0.2.1", 5), ("192.0.2.2", 80))
    policy = Settings().policy()
    LoggedRequest(log, frame, head, policy, ANYWHERE, 1, 0, True).answered(status, 100)


class OwnDescriptor(unittest.TestCase):
    def setUp(self) -> None:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = Path(directory, "access.log")
        self.own = OwnDescriptors()
        self.log = AccessLog(SteppingReactor(), settings(self.path), self.own)
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
        line(self.log, 200)
        self.path.rename(old)
        self.log.reopen()
        line(self.log, 404)
        self.assertEqual(old.read_text(), "192.0.2.1 200\n")
        self.assertEqual(self.path.read_text(), "192.0.2.1 404\n")


class Json(unittest.TestCase):
    """JSON where a line may not have any length."""

    LONG = HEAD._replace(fields=[(b"referer", b"\xff" * 8000)])

    def test_a_fifo(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "log")
        os.mkfifo(path)
        log = AccessLog(SteppingReactor(), settings(path, "json"), OwnDescriptors())
        self.addCleanup(lambda: log._writer.close())
        line(log, 200, self.LONG, Kind.MOVED)
        with open(path, "rb", buffering=0) as reading:
            text = reading.read(65536)
        self.assertLessEqual(len(text), select.PIPE_BUF)
        members = json.loads(text)
        self.assertEqual((members["cut"], members["moved"]), (True, True))
        self.assertTrue(members["referer"].startswith("\\xff"))

    def test_a_file(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "log")
        log = AccessLog(SteppingReactor(), settings(path, "json"), OwnDescriptors())
        self.addCleanup(lambda: log._writer.close())
        line(log, 200, self.LONG)
        members = json.loads(path.read_bytes())
        self.assertEqual((joined(members, "referer"), members["moved"]), (b"\xff" * 8000, False))
