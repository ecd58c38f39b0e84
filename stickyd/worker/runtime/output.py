"""Output of a process that runs an app: lines with their level (`stickyd.logs.levels`).

If the log is JSON, what is logged is written as records (`stickyd.logs.record`), and what is
printed as it is.
"""

import io
import logging
import sys
import time
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Any

from stickyd.logs import levels
from stickyd.logs.record import RECORD_MOST, Record, mark_of, packed
from stickyd.logs.shared_output import alone

if TYPE_CHECKING:
    from typing_extensions import Buffer

_EMIT = logging.StreamHandler.emit.__code__
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""The attributes that every record of `logging` has."""


class _Whole(io.FileIO):
    """A descriptor to which each text is written whole; `sys.stdout.buffer` of an app."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: "Buffer", /) -> int:
        """As the parent."""
        left = memoryview(data).cast("B")
        size = len(left)
        with alone():
            while left:
                # A signal's handler may cut a write short.
                left = left[super().write(left) :]
        return size


class LeveledStream(io.TextIOWrapper):
    """A standard stream whose lines say their level.

    A record of `logging` has its own; the handlers that write it here are the app's, so it is
    looked up where it is: in the frame of `logging.StreamHandler.emit` that calls us.

    :param otherwise: the priority of what else is written; None: as it is.
    :ivar mark: of records; b"" to write lines only.
    """

    def __init__(self, stream: Any, otherwise: int | None, mark: bytes = b"") -> None:
        self._whole = whole = _Whole(stream.fileno())
        super().__init__(whole, stream.encoding, stream.errors, write_through=True)
        self._otherwise = otherwise
        self._within = False
        self.mark = mark

    def write(self, text: str) -> int:
        """As the parent."""
        logged = _logged(sys._getframe(1))
        if logged is None:
            self.print(self._otherwise, text)
        elif not self.mark or not self.record(_record_of(logged, text)):
            self.print(levels.of_logging(logged.levelno), text)
        return len(text)

    def print(self, priority: int | None, text: str) -> None:
        """Write text as lines of a level; None: of that which they say."""
        if priority is None:
            super().write(text)
        else:
            super().write(levels.prefixed(priority, text, within=self._within))
        if text:
            self._within = not text.endswith("\n")

    def record(self, record: Record, fields: str = "") -> bool:
        """Write a record; False if it is too long for one.

        :param fields: see `stickyd.logs.record.packed`.
        """
        data = self.mark + packed(record, fields).encode("ascii") + b"\n"
        if len(data) > RECORD_MOST:
            return False
        self._whole.write(data)
        return True


def _logged(caller: FrameType) -> logging.LogRecord | None:
    if caller.f_code is not _EMIT:
        return None
    record: logging.LogRecord = caller.f_locals["record"]
    return record


def _record_of(logged: logging.LogRecord, text: str) -> Record:
    """A record of `logging`, and the text that the app's formatter has made of it."""
    text = text.removesuffix("\n")
    shown = logged.exc_text or ""
    if logged.exc_info and not shown:
        shown = "".join(traceback.format_exception(*logged.exc_info)).rstrip("\n")
    # The formatter puts it behind the message.
    message = text.replace("\n" + shown, "", 1) if shown else text
    more = ((name, value) for name, value in vars(logged).items() if name not in _USUAL)
    return Record(
        logged.created, levels.of_logging(logged.levelno), logged.name, message, shown, (*more,)
    )


def tell_levels(tag: str = "") -> LeveledStream:
    """Let standard output and standard error of this process say levels.

    As with Twisted's own redirection of them (`twisted.logger.LogBeginner`): what is printed to
    standard output is info, or what its prefix says; to standard error, an error.

    :param tag: of the mark of records; "" if the log is text.
    :return: standard error.
    """
    mark = mark_of(tag)
    sys.stdout = LeveledStream(sys.stdout, None, mark)
    sys.stderr = errors = LeveledStream(sys.stderr, levels.ERROR, mark)
    return errors


def tell_exception(what: str) -> None:
    """Log the exception that is being handled."""
    text = traceback.format_exc().rstrip("\n")
    stream = sys.stderr
    if isinstance(stream, LeveledStream) and stream.mark:
        stream.record(Record(time.time(), levels.ERROR, "stickyd", what, text))
    else:
        print(what, text, sep="\n", file=stream)
