"""What a process says, as a line of JSON behind a mark, for the process that writes the log. Pure.

A child process with ``--log-format json`` writes two kinds of lines: what its app prints, as it is,
and records, each behind the mark that its parent has chosen at random. So nothing that an app
prints, or a client makes it print, passes for a record.
"""

import json
import time
from collections.abc import Iterator, Sequence

import attrs

from stickyd.http1.json_text import number, plain_members, quoted, rfc3339, text_member
from stickyd.logs import levels

TAG_OPTION = "--log-tag="
"""Command line argument of a child process that is to write records: the tag of its mark."""

LINE_MOST = 65536
"""Bytes of a line that is no record; a longer one is logged as several."""

RECORD_MOST = 1 << 20
"""Bytes of a record with its mark; what is longer is printed, as several lines."""

PRINTED = "output"
"""The logger of lines that an app has printed."""

_TEXTS = ("logger", "message", "traceback")
_BEGIN = "\x1e"
# RS, as in RFC 7464.


@attrs.frozen
class Record:
    """One thing said.

    :ivar time: seconds since the epoch.
    :ivar priority: of syslog(3).
    :ivar logger: its name, or namespace; `PRINTED` for what was printed.
    :ivar message: bytes as they were printed, or text.
    :ivar traceback: of an exception, or "".
    :ivar fields: the other values, by name; those that are not plain are not written.
    """

    time: float
    priority: int
    logger: str
    message: str | bytes
    traceback: str = ""
    fields: tuple[tuple[str, object], ...] = ()


def mark_of(tag: str) -> bytes:
    """The mark of records.

    :param tag: random hexadecimal digits; "" if there are none.
    """
    return f"{_BEGIN}{tag}".encode("ascii") if tag else b""


def tag_among(arguments: Sequence[str]) -> str:
    """The tag on the command line of a child process; "" if its log is text."""
    found = [a.removeprefix(TAG_OPTION) for a in arguments if a.startswith(TAG_OPTION)]
    return found[0] if found else ""


def packed(record: Record, fields: str = "") -> str:
    """A record as JSON.

    :param fields: in place of the record's: the text of an object.
    """
    plain = fields or "{" + ",".join(plain_members(record.fields)) + "}"
    message = record.message
    if isinstance(message, bytes):
        message = message.decode("utf-8", "surrogateescape")
    # Not `text_member`: lone surrogates are for the process that reads this.
    return (
        f'{{"time":{number(record.time)},"priority":{record.priority},'
        f'"logger":{quoted(record.logger)},"message":{quoted(message)},'
        f'"traceback":{quoted(record.traceback)},"fields":{plain}}}'
    )


def unpacked(text: bytes) -> Record | None:
    """The record of `packed`; None if it is none, because another process wrote in between."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    moment, priority, fields = value.get("time"), value.get("priority"), value.get("fields")
    texts = [str(each) for name in _TEXTS if isinstance(each := value.get(name), str)]
    if type(moment) is not float or type(priority) is not int or not isinstance(fields, dict):
        return None
    if len(texts) != len(_TEXTS):
        return None
    logger, message, traceback = texts
    return Record(moment, priority, logger, message, traceback, (*fields.items(),))


def printed(line: bytes) -> Record:
    """A line that an app has printed."""
    priority, text = levels.split(line)
    return Record(time.time(), priority, PRINTED, text)


def records(line: bytes, mark: bytes) -> Iterator[Record]:
    """What one line of a child's output says, without its line end.

    :param mark: b"" of a child that writes no records.
    """
    before, found, record = line.partition(mark) if mark else (line, b"", b"")
    said = unpacked(record) if found else None
    if said is None:
        yield printed(line)
        return
    if before:
        # Printed without a line end.
        yield printed(before)
    yield said


def whole(record: Record, process: str, pid: int, slot: int = 0) -> str:
    """The line of the log in JSON, with its line end.

    :param process: kind of the process that has said it.
    :param slot: of a worker; 0 for none.
    """
    parts = [
        f'{{"time":"{rfc3339(record.time)}"',
        f'"level":"{levels.name(record.priority)}"',
        text_member("logger", record.logger),
        f'"process":"{process}"',
        f'"pid":{pid}',
    ]
    if slot:
        parts.append(f'"slot":{slot}')
    parts.append(text_member("message", record.message))
    if record.traceback:
        parts.append(text_member("traceback", record.traceback))
    # Those of another process have been made members there.
    fields = plain_members(record.fields, parted=process != "master")
    if fields:
        parts.append('"fields":{' + ",".join(fields) + "}")
    return ",".join(parts) + "}\n"
