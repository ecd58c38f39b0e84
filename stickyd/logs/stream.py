"""Standard output for Twisted's log observers: a stream that never blocks."""

import atexit
import io
import os
import sys
from typing import Any, TextIO

from twisted.logger import Logger

from stickyd.logs.target import inherited
from stickyd.logs.writer import LogWriter

LAST_LINES = 0.5
"""Seconds for lines that still wait when the process ends."""

_log = Logger("stickyd")


class LogStream(io.TextIOBase):
    """Writes to the destination of another stream.

    Each text is one message of an observer: written whole, or dropped.
    """

    encoding = "utf-8"

    def __init__(self, reactor: Any, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self.writer = LogWriter(reactor, lambda: inherited(stream.fileno()), _say_dropped)

    def write(self, text: str) -> int:
        """Queue a text: it is written now, later, or dropped."""
        self.writer.write(text.encode(self.encoding, "backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        """Of the other stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Of the other stream."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    def leads_to(self, descriptor: int) -> bool:
        """Whether ``descriptor`` refers to the same file."""
        try:
            return self.writer.used and os.path.sameopenfile(self.fileno(), descriptor)
        except OSError:
            return False


def _say_dropped(lines: int) -> None:
    _log.warn("{n} lines of the log were dropped: nobody read it (log_dropped)", n=lines)


class _Installed:
    """One a process: a .tac file may make several services."""

    stream: LogStream | None = None


def never_wait_for_output(reactor: Any, parent: Any) -> LogStream | None:
    """Install a stream that never blocks as Twisted's log output; None if that is impossible.

    Call it before Twisted begins to log; ``makeService`` does.

    :param parent: the options of ``twistd`` or ``twist``, None if there are none: standard
        output then. Their log files are left to Twisted.
    """
    if _Installed.stream is not None:
        return _Installed.stream
    if parent is not None and "logFile" in parent:
        # twist: has the stream among its options.
        if not _has_descriptor(parent["logFile"]):
            return None
        stream = parent["logFile"] = LogStream(reactor, parent["logFile"])
    elif sys.stdout is sys.__stdout__ and sys.stdout is not None and _has_descriptor(sys.stdout):
        # twistd: takes what is in this place when it begins to log.
        stream = LogStream(reactor, sys.stdout)
        sys.stdout = stream
    else:
        return None
    _Installed.stream = stream
    atexit.register(stream.writer.close, LAST_LINES)
    return stream


def _has_descriptor(stream: Any) -> bool:
    try:
        return isinstance(stream.fileno(), int)
    except (AttributeError, OSError, ValueError):
        return False
