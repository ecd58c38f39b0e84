"""The output of a child process as events of Twisted's log."""

import attrs
from twisted.logger import Logger, LogLevel

from stickyd.logs import levels
from stickyd.logs.record import Record, records

_log = Logger("stickyd")


@attrs.frozen
class Said:
    """What a child process has said, for a log in JSON.

    :ivar process: its kind.
    :ivar slot: of a worker, else 0.
    """

    record: Record
    process: str
    pid: int
    slot: int = 0


@attrs.frozen
class ChildLines:
    """Logs each line of a child's output with its level.

    :ivar label: in front of each line in a log of text.
    :ivar mark: of its records; b"" if it writes none.
    """

    label: str
    process: str
    pid: int
    slot: int = 0
    mark: bytes = b""

    def __call__(self, line: bytes) -> None:
        """Log a line, given without its line end."""
        for record in records(line, self.mark):
            text = record.message
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            said = Said(record, self.process, self.pid, self.slot)
            level = LogLevel.lookupByName(levels.name(record.priority))
            _log.emit(
                level, "[{label}] {line}", label=self.label, slot=self.slot, line=text, said=said
            )
