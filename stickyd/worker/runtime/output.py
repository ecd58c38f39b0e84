"""Output of a worker: each line has its level for the master's log (`stickyd.logs.levels`)."""

import io
import logging
import sys
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from stickyd.logs import levels

_OF_TWISTED = {
    LogLevel.debug: levels.DEBUG,
    LogLevel.info: levels.INFO,
    LogLevel.warn: levels.WARNING,
    LogLevel.error: levels.ERROR,
    LogLevel.critical: levels.CRITICAL,
}
_EMIT = logging.StreamHandler.emit.__code__


class LeveledStream(io.TextIOWrapper):
    """A standard stream whose lines say their level.

    A record of `logging` has its own; the handlers that write it here are the app's, so it is
    looked up where it is: in the frame of `logging.StreamHandler.emit` that calls us.

    :param otherwise: the priority of what else is written; None: as it is.
    """

    def __init__(self, stream: Any, otherwise: int | None) -> None:
        descriptor = io.FileIO(stream.fileno(), "w", closefd=False)
        super().__init__(descriptor, stream.encoding, stream.errors, write_through=True)
        self._otherwise = otherwise
        self._within = False

    def write(self, text: str) -> int:
        """As the parent."""
        caller = sys._getframe(1)
        priority = self._otherwise
        if caller.f_code is _EMIT:
            record: logging.LogRecord = caller.f_locals["record"]
            priority = levels.of_logging(record.levelno)
        if priority is None:
            super().write(text)
        else:
            super().write(levels.prefixed(priority, text, within=self._within))
        if text:
            self._within = not text.endswith("\n")
        return len(text)


def tell_levels() -> None:
    """Let standard output and standard error of this process say levels.

    As with Twisted's own redirection of them (`twisted.logger.LogBeginner`): what is printed to
    standard output is info, or what its prefix says; to standard error, an error.
    """
    sys.stdout = LeveledStream(sys.stdout, None)
    sys.stderr = LeveledStream(sys.stderr, levels.ERROR)


def as_lines(event: LogEvent) -> str:
    """An event of Twisted's log as lines that say its level."""
    text = formatEvent(event)
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        text += "\n" + failure.getTraceback()
    priority = _OF_TWISTED.get(event.get("log_level"), levels.INFO)
    return levels.prefixed(priority, text.rstrip("\n") + "\n")
