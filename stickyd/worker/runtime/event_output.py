"""Twisted's log of a process that runs an app, for the master's."""

from twisted.logger import LogEvent

from stickyd.logs import levels
from stickyd.logs.log_format import record_of
from stickyd.worker.runtime.output import LeveledStream


def as_lines(event: LogEvent) -> str:
    """An event of Twisted's log as lines that say its level."""
    record = record_of(event)
    text = str(record.message)
    if record.traceback:
        text += "\n" + record.traceback
    return levels.prefixed(record.priority, text.rstrip("\n") + "\n")


def write_event(stream: LeveledStream, event: LogEvent) -> None:
    """Write an event: as a record if the log is JSON, otherwise as lines."""
    if not (stream.mark and stream.record(record_of(event))):
        stream.print(None, as_lines(event))
