"""Standard streams whose lines say their level, or whose records are JSON."""

import logging
import os
import threading
import unittest
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher

from stickyd.logs import levels, shared_output
from stickyd.logs.record import PRINTED, RECORD_MOST, Record, mark_of, records
from stickyd.logs.target import inherited
from stickyd.logs.writer import LogWriter
from stickyd.worker.runtime.event_output import write_event
from stickyd.worker.runtime.output import LeveledStream

MARK = mark_of("0123")


class Reactor(Clock):
    """Watches nothing."""

    def callFromThread(self, *call: Any) -> None:
        pass

    def removeWriter(self, writer: object) -> None:
        pass


class Streams(unittest.TestCase):
    def setUp(self) -> None:
        self.reading, writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.pipe = os.fdopen(writing, "w")
        self.addCleanup(self.pipe.close)

    def stream(self, mark: bytes = MARK, otherwise: int | None = None) -> LeveledStream:
        stream = LeveledStream(self.pipe, otherwise, mark)
        self.addCleanup(stream.close)
        return stream

    def said(self, *streams: LeveledStream) -> list[Record]:
        """What has been written; the pipe has room for it."""
        os.set_blocking(self.reading, False)
        data = os.read(self.reading, 1 << 20)
        self.assertEqual(data[-1:], b"\n")
        return [each for line in data[:-1].split(b"\n") for each in records(line, MARK)]

    def logger(self, stream: LeveledStream, form: str = "%(message)s") -> logging.Logger:
        logger = logging.Logger("its.logger")
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(form))
        logger.addHandler(handler)
        return logger

    def test_records_of_logging(self) -> None:
        logger = self.logger(self.stream(), "%(levelname)s: %(message)s")
        logger.warning("two\nlines of %s", "\udcff", extra={"user": 7, "other": object()})
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("failed")
        first, second = self.said()
        self.assertEqual((first.priority, first.logger), (levels.WARNING, "its.logger"))
        self.assertEqual(first.message, "WARNING: two\nlines of \udcff")
        self.assertEqual(first.fields, (("user", 7),))
        self.assertEqual(second.message, "ERROR: failed")
        self.assertTrue(second.traceback.startswith("Traceback"))
        self.assertTrue(second.traceback.endswith("ValueError: no"))

    def test_a_formatter_that_leaves_the_traceback_out(self) -> None:
        class Short(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return "short"

        logger = self.logger(self.stream())
        logger.handlers[0].setFormatter(Short())
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("failed")
        (record,) = self.said()
        self.assertEqual(record.message, "short")
        self.assertTrue(record.traceback.endswith("ValueError: no"))

    def test_events_of_twisted(self) -> None:
        stream = self.stream()
        logger = Logger("a.test", observer=LogPublisher(lambda event: write_event(stream, event)))
        logger.error("{n}\n", n=1)
        (record,) = self.said()
        self.assertEqual((record.logger, record.priority), ("a.test", levels.ERROR))
        self.assertEqual((record.message, record.fields), ("1\n", (("n", 1),)))
        text = self.stream(b"")
        logger = Logger("a.test", observer=LogPublisher(lambda event: write_event(text, event)))
        logger.error("one\ntwo")
        self.assertEqual(os.read(self.reading, 100), b"<3>one\n<3>two\n")

    def test_what_is_printed_stays_as_it_is(self) -> None:
        stream = self.stream()
        print("<4>a\x1e", file=stream)
        print("b", end="", file=stream)
        self.logger(stream).error("between")
        print(file=stream)
        said = [(each.priority, each.logger, each.message) for each in self.said()]
        self.assertEqual(
            said,
            [
                (levels.WARNING, PRINTED, b"a\x1e"),
                (levels.INFO, PRINTED, b"b"),
                (levels.ERROR, "its.logger", "between"),
                (levels.INFO, PRINTED, b""),
            ],
        )

    def test_too_long_for_a_record(self) -> None:
        stream = self.stream()
        taken = bytearray()

        def take() -> None:
            while data := os.read(self.reading, 65536):
                taken.extend(data)

        reader = threading.Thread(target=take)
        reader.start()
        self.logger(stream).error("x" * RECORD_MOST)
        stream.close()
        self.pipe.close()
        reader.join()
        self.assertEqual(taken, b"<3>" + b"x" * RECORD_MOST + b"\n")

    def test_no_print_comes_amid_a_line_of_a_writer(self) -> None:
        writer = LogWriter(Reactor(), inherited(self.pipe.fileno()), lambda lines: None)
        shared_output.share(writer)
        self.addCleanup(setattr, shared_output._Sharing, "writer", None)
        # Longer than the pipe has room for.
        line = b"w" * 200_000 + b"\n"
        writer.write(line)
        stream = self.stream()
        printing = threading.Thread(target=print, args=("printed",), kwargs={"file": stream})
        printing.start()
        taken = b""
        while len(taken) < len(line) + 8:
            taken += os.read(self.reading, 65536)
        printing.join()
        writer.close()
        self.assertEqual(taken, line + b"printed\n")
