"""Lines of the access log as JSON objects, made by `stickyd.http1.json_text`. Pure."""

import os

from stickyd.http1.access_log_record import Record
from stickyd.http1.json_text import number, quoted, rfc3339, text_member
from stickyd.http1.trace_context import trace_ids

_LEAST = 16
"""Bytes of a value that has been cut most."""


def json_line(record: Record) -> bytes:
    """The line of a request."""
    return _line(record, 0)


def fitted_line(record: Record, most: int) -> bytes:
    """The line of a request, of at most ``most`` bytes.

    If it were longer, its long values are cut until it fits, and it has the member ``cut``.

    :param most: not less than 2048.
    """
    line = _line(record, 0)
    each = most // 4
    while len(line) > most and each >= _LEAST:
        line = _line(record, each)
        each //= 2
    return line


def _line(record: Record, most: int) -> bytes:
    """The line of a request, with ``most`` bytes of each value; 0 for all of them."""
    cut = False

    def text(name: str, value: bytes | str | None) -> str:
        nonlocal cut
        if value is None:
            return f'"{name}":null'
        if most and len(value) > most:
            cut = True
            value = value[:most]
        return text_member(name, value)

    head = record.head
    path, mark, query = head.target.partition(b"?")
    trace, span = trace_ids(head)
    parts = [
        f'{{"time":"{rfc3339(record.began)}"',
        text("client", record.client or None),
        text("method", head.method),
        text("path", path),
        text("query", query if mark else None),
        text("protocol", head.version),
        f'"status":{record.status or "null"}',
        f'"bytes":{record.sent}',
        text("referer", _field(record, b"referer")),
        text("user_agent", _field(record, b"user-agent")),
        f'"duration":{record.took:.6f}',
        f'"slot":{record.slot}',
        f'"pid":{os.getpid()}',
        text("reason", record.reason),
        text("why", record.why or None),
        f'"connection":{number(record.connection)}',
        f'"moved":{"true" if record.moved else "false"}',
        text("request_id", record.request_id or None),
        f'"trace_id":{quoted(trace) if trace else "null"}',
        f'"span_id":{quoted(span) if span else "null"}',
    ]
    if cut:
        parts.append('"cut":true')
    return (",".join(parts) + "}\n").encode("ascii")


def _field(record: Record, name: bytes) -> bytes | None:
    values = record.head.values(name)
    return b", ".join(values) if values else None
