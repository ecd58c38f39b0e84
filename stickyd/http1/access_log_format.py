"""Lines of the access log: a format, a record, a line. Pure.

A format is text with *atoms*, ``%(name)s``; ``%%`` is a percent sign::

    h client      a field of its own      t time, [10/Oct/2026:13:55:36 +0000]
    r request line    m method    U target    H protocol
    s status          O bytes of the answer, its head included
    f Referer         a User-Agent             {name}i any request header
    D microseconds    L seconds                p pid
    slot    reason (the source that decided)   key    connection
    why (the sources before that one, and why they did not decide)
    request_id      trace_id, span_id of traceparent
    moved (its connection came from another slot for it)

What there is nothing of is ``-``. Whatever a client sends is escaped, so that
it can neither end a line nor a quoted part.
"""

import os
import re
import time
from collections.abc import Callable

from stickyd.http1.access_log_json import json_line
from stickyd.http1.access_log_record import Line, Record
from stickyd.http1.head_parser import Head
from stickyd.http1.token import TCHAR
from stickyd.http1.trace_context import trace_ids

COMBINED = '%(h)s - - %(t)s "%(r)s" %(s)s %(O)s "%(f)s" "%(a)s"'
"""The combined format of Apache httpd, but that the size counts the head too."""

ROUTED = COMBINED + ' %(slot)s %(reason)s %(L)s "%(why)s"'

NAMED = {"combined": COMBINED, "routed": ROUTED}
JSON = "json"
"""The name of the format that is no text (`stickyd.http1.access_log_json`)."""

_ATOM = re.compile(r"%(?:\(([^()]*)\)s|(%))")
_HEADER = re.compile(r"\{([" + TCHAR + r"]+)\}i")
_UNSAFE = re.compile(r'[^\x20-\x7e]|["\\]')


class FormatError(ValueError):
    """A format that says something unknown; one line tells what."""


def compiled(text: str) -> Line:
    """What makes lines of ``text``, a format or the name of one.

    :raise FormatError: for an atom that is unknown.
    """
    if text == JSON:
        return json_line
    text = NAMED.get(text, text)
    if re.search(r"[\x00-\x1f]", text):
        raise FormatError("a format is one line without control characters")
    parts: list[Callable[[Record], str]] = []
    template = ""
    rest = 0
    for atom in _ATOM.finditer(text):
        template += _literal(text[rest : atom.start()])
        rest = atom.end()
        if atom[2]:
            template += "%%"
        else:
            template += "%s"
            parts.append(_atom(atom[1]))
    template += _literal(text[rest:]) + "\n"

    def line(record: Record) -> bytes:
        return (template % tuple(part(record) for part in parts)).encode("utf-8")

    return line


def _literal(text: str) -> str:
    if "%" in text:
        raise FormatError(f"{text[text.index('%') :][:20]!r} is no atom (write %(name)s, or %%)")
    return text


def _atom(name: str) -> Callable[[Record], str]:
    header = _HEADER.fullmatch(name)
    if header is not None:
        wanted = header[1].lower().encode("ascii")
        return lambda record: _header(record.head, wanted)
    if name not in _ATOMS:
        known = ", ".join(_ATOMS)
        raise FormatError(f"unknown atom {name!r} (known: {known}, {{name}}i)")
    return _ATOMS[name]


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text) or "-"


def _text(data: bytes) -> str:
    return _safe(data.decode("latin-1"))


def _header(head: Head, name: bytes) -> str:
    return _text(b", ".join(head.values(name)))


def _request_line(record: Record) -> str:
    head = record.head
    return _text(b"%b %b %b" % (head.method, head.target, head.version))


def _time(record: Record) -> str:
    # Not strftime: the names of months are not to depend on the locale.
    year, month, day, hour, minute, second, *_ = time.gmtime(record.began)
    return f"[{day:02}/{_MONTHS[month - 1]}/{year}:{hour:02}:{minute:02}:{second:02} +0000]"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ATOMS: dict[str, Callable[[Record], str]] = {
    "h": lambda record: record.client or "-",
    "t": _time,
    "r": _request_line,
    "m": lambda record: _text(record.head.method),
    "U": lambda record: _text(record.head.target),
    "H": lambda record: _text(record.head.version),
    "s": lambda record: str(record.status) if record.status else "-",
    "O": lambda record: str(record.sent),
    "f": lambda record: _header(record.head, b"referer"),
    "a": lambda record: _header(record.head, b"user-agent"),
    "D": lambda record: str(int(record.took * 1e6)),
    "L": lambda record: f"{record.took:.6f}",
    "p": lambda record: str(os.getpid()),
    "slot": lambda record: str(record.slot),
    "reason": lambda record: record.reason,
    "why": lambda record: _safe(record.why),
    "key": lambda record: _safe(record.key),
    "connection": lambda record: str(record.connection),
    "moved": lambda record: "moved" if record.moved else "-",
    "request_id": lambda record: _text(record.request_id),
    "trace_id": lambda record: trace_ids(record.head).trace or "-",
    "span_id": lambda record: trace_ids(record.head).span or "-",
}
