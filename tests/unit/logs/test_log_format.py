"""Events of Twisted as lines of a log, of every format and level."""

import io
import json
import os
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import (
    FileLogObserver,
    LegacyLogObserverWrapper,
    Logger,
    LogLevel,
    LogPublisher,
    globalLogBeginner,
)
from twisted.python.failure import Failure

from stickyd.logs.child_lines import ChildLines
from stickyd.logs.log_format import as_json, set_up
from stickyd.logs.record import Record, mark_of, packed
from tests.unit.http1.test_json_text import ANY_TEXT, strictly


def logged(what: Any, **fields: Any) -> dict[str, Any]:
    """The line of an event."""
    events: list[dict[str, Any]] = []
    logger = Logger("a.test", observer=LogPublisher(events.append))
    if isinstance(what, Exception):
        logger.failure("failed", failure=Failure(what), **fields)
    else:
        logger.warn(what, **fields)
    line = as_json(events[0])
    assert line is not None
    assert line.count("\n") == 1
    result: dict[str, Any] = strictly(line)
    return result


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


class Events(unittest.TestCase):
    def test_an_event(self) -> None:
        line = logged("{who} has {n!r}", who="ä\n", n=1.5, slot=2, more=object())
        del line["time"]
        self.assertEqual(
            line,
            {
                "level": "warn",
                "logger": "a.test",
                "process": "master",
                "pid": os.getpid(),
                "slot": 2,
                "message": "ä\n has 1.5",
                "fields": {"who": "ä\n", "n": 1.5, "slot": 2},
            },
        )

    def test_a_failure(self) -> None:
        line = logged(ValueError("no"))
        self.assertEqual((line["level"], line["message"]), ("critical", "failed"))
        self.assertTrue(line["traceback"].startswith("Traceback"))
        self.assertTrue(line["traceback"].endswith("ValueError: no"), line["traceback"])

    def test_what_cannot_be_formatted(self) -> None:
        self.assertIn("nable to format", logged("{missing}")["message"])
        self.assertIn("Unprintable", logged(Unprintable())["traceback"])
        self.assertIn("nable to format", logged("{x}", x=Unprintable())["message"])

    @given(ANY_TEXT, st.binary() | ANY_TEXT | st.floats() | st.integers())
    def test_any_value(self, text: str, value: object) -> None:
        self.assertIn("value", logged("it is {text}", text=text, value=value)["fields"])

    def test_an_event_that_says_nothing(self) -> None:
        self.assertIsNone(as_json({"log_level": LogLevel.info}))


class Children(unittest.TestCase):
    def setUp(self) -> None:
        self.events: list[Any] = []
        observer = self.events.append
        from twisted.logger import globalLogPublisher

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_lines(self) -> None:
        lines = ChildLines("worker 2", "worker", 7, 2, mark_of("ab"))
        lines(b"<4>a {b}\xff")
        lines(b"c" + mark_of("ab") + packed(Record(1.5, 3, "x", "d\ne", "T")).encode())
        mine = [event for event in self.events if "said" in event]
        self.assertEqual(
            [event["log_level"] for event in mine], [LogLevel.warn, LogLevel.info, LogLevel.error]
        )
        first, second, third = (json.loads(str(as_json(event))) for event in mine)
        self.assertEqual((first["message"], first["message_base64"]), ("a {b}\\xff", "YSB7Yn3/"))
        self.assertEqual((first["process"], first["pid"], first["slot"]), ("worker", 7, 2))
        self.assertEqual(second["message"], "c")
        self.assertEqual((third["time"], third["logger"]), ("1970-01-01T00:00:01.500000Z", "x"))
        self.assertEqual((third["message"], third["traceback"]), ("d\ne", "T"))


class Beginning(unittest.TestCase):
    def setUp(self) -> None:
        theirs = globalLogBeginner.beginLoggingTo
        self.addCleanup(setattr, globalLogBeginner, "beginLoggingTo", theirs)
        self.begun: list[Any] = []
        globalLogBeginner.beginLoggingTo = self.begin  # type: ignore[method-assign]

    def begin(self, observers: Any, *more: Any) -> None:
        self.begun += observers

    def lines(self, form: str, level: str) -> list[str]:
        """What twistd's own observer writes."""
        set_up(None, form, level)
        file = io.StringIO()
        observer = FileLogObserver(file, lambda event: f"text {event['log_format']}\n")
        globalLogBeginner.beginLoggingTo([observer])
        self.assertIs(self.begun.pop(), observer)
        logger = Logger("a.test", observer=observer)
        for name in ("debug", "info", "error"):
            logger.emit(LogLevel.lookupByName(name), name)
        return file.getvalue().splitlines()

    def test_formats_and_levels(self) -> None:
        self.assertEqual(self.lines("text", "debug"), ["text debug", "text info", "text error"])
        self.assertEqual(self.lines("text", "info"), ["text info", "text error"])
        (line,) = self.lines("json", "warn")
        self.assertEqual(json.loads(line)["message"], "error")

    def test_it_is_done_once(self) -> None:
        set_up(None, "json", "info")
        set_up(None, "text", "info")
        globalLogBeginner.beginLoggingTo([])
        self.assertEqual(globalLogBeginner.beginLoggingTo, self.begin)

    def test_an_observer_that_writes_to_no_file(self) -> None:
        seen: list[Any] = []
        set_up(None, "text", "warn")
        globalLogBeginner.beginLoggingTo([LegacyLogObserverWrapper(seen.append)])  # type: ignore
        logger = Logger("a.test", observer=self.begun[0])
        logger.info("one")
        logger.error("two")
        self.assertEqual(len(seen), 1)

    def test_under_twist(self) -> None:
        parent = {"fileLogObserverFactory": None, "logLevel": LogLevel.info}
        set_up(parent, "json", "debug")
        file = io.StringIO()
        parent["fileLogObserverFactory"](file)({"log_format": "x"})  # type: ignore[misc]
        self.assertEqual(json.loads(file.getvalue())["message"], "x")
        self.assertEqual(parent["logLevel"], LogLevel.debug)
