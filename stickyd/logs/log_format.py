"""Events of Twisted as lines of the daemon's log: their format, and the least level."""

import functools
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure

from stickyd.logs import levels
from stickyd.logs.child_lines import Said
from stickyd.logs.record import Record, whole

_PRIORITIES: dict[Any, int] = {
    LogLevel.debug: levels.DEBUG,
    LogLevel.info: levels.INFO,
    LogLevel.warn: levels.WARNING,
    LogLevel.error: levels.ERROR,
    LogLevel.critical: levels.CRITICAL,
}
# Keys of Twisted's older events (twisted.python.log), whose text is the message.
_OLDER = frozenset(
    {"message", "time", "system", "isError", "failure", "why", "printed", "format", "logLevel"}
)

_Format = Callable[[LogEvent], str | None]


def record_of(event: LogEvent) -> Record:
    """An event of this process: its text, its traceback, and the values that are plain."""
    failure = event.get("log_failure")
    traceback = ""
    if isinstance(failure, Failure):
        try:
            traceback = failure.getTraceback().rstrip("\n")
        except Exception as error:
            traceback = f"{failure.type!r} (no traceback: {type(error).__name__})"
    moment = event.get("log_time")
    level = event.get("log_level")
    return Record(
        moment if isinstance(moment, float) else time.time(),
        _PRIORITIES.get(level, levels.INFO),
        str(event.get("log_namespace") or ""),
        formatEvent(event),
        traceback,
        tuple(
            (name, value)
            for name, value in event.items()
            if isinstance(name, str) and not name.startswith("log_") and name not in _OLDER
        ),
    )


def as_json(event: LogEvent) -> str | None:
    """A line of the master's log; None for an event that says nothing."""
    said = event.get("said")
    if isinstance(said, Said):
        return whole(said.record, said.process, said.pid, said.slot)
    record = record_of(event)
    if not record.message and not record.traceback:
        return None
    slot = event.get("slot")
    return whole(record, "master", os.getpid(), slot if type(slot) is int else 0)


class _Begun:
    """Twisted's own function, while ours stands in its place: a .tac may make several services."""

    theirs: Callable[..., None] | None = None


def set_up(parent: Any, form: str, level: str) -> None:
    """Set the format and the least level of the log, under twistd, twist or a .tac.

    To be called before Twisted begins to log; ``makeService`` does. An observer that does not
    write to a file, as that for syslog, keeps its own format.

    :param parent: the options of ``twistd`` or ``twist``, None if there are none.
    :param form: ``text`` or ``json``.
    :param level: ``debug``, ``info``, ``warn``, ``error`` or ``critical``.
    """
    least = LogLevel.lookupByName(level)
    if parent is not None and "fileLogObserverFactory" in parent:
        # twist has a format and a level among its options.
        if form == "json":
            parent["fileLogObserverFactory"] = lambda file: FileLogObserver(file, as_json)
        if level != "info":
            parent["logLevel"] = least
        return
    change = functools.partial(_changed, form=form, least=least)
    # twistd has no option for it, and a .tac no place: they all end in this call.
    begin = _Begun.theirs = _Begun.theirs or globalLogBeginner.beginLoggingTo

    def begin_ours(observers: Iterable[ILogObserver], *others: Any, **more: Any) -> None:
        globalLogBeginner.beginLoggingTo = begin  # type: ignore[method-assign]
        _Begun.theirs = None
        begin([*map(change, observers)], *others, **more)

    globalLogBeginner.beginLoggingTo = begin_ours  # type: ignore[method-assign]


def _changed(observer: ILogObserver, form: str, least: Any) -> ILogObserver:
    if not isinstance(observer, FileLogObserver):
        enough = LogLevelFilterPredicate(defaultLogLevel=least)
        return FilteringLogObserver(observer, [enough])
    # The same object, which twistd removes in the end.
    line = as_json if form == "json" else observer.formatEvent
    observer.formatEvent = _filtered(line, _PRIORITIES[least])
    return observer


def _filtered(line: _Format, least: int) -> _Format:
    def filtered(event: LogEvent) -> str | None:
        # The more urgent, the smaller.
        priority = _PRIORITIES.get(event.get("log_level"), levels.INFO)
        return line(event) if priority <= least else None

    return filtered
