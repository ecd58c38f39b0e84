"""Access log formats: from a block of whole lines to the keys in it. Pure."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import attrs

Client = tuple[str, str]
"""The client as the log has it (an address, with or without a port, or another key), and the
X-Forwarded-For that it sent, "" without one."""


class Entry(NamedTuple):
    """What a line of a JSON log says of its request.

    :ivar connection: what names its connection to the worker; "" if the log does not say.
    :ivar slot: that served it; 0 if the log does not say.
    """

    client: Client
    connection: str = ""
    slot: int = 0


Count = Callable[[bytes], dict[Client, int]]


@attrs.frozen
class LogFormat:
    """A format of lines that name the client.

    :ivar count: how many lines of a block each client has; lines that do not fit are left out.
    """

    name: str
    count: Count


# Lines without a request, and of requests that a proxy has passed on to no server, do not fit.
_REQUEST = rb'^(\S+) \S+ .*?\[[^\]\n]+\] (?!"-?")"'
_COMBINED = re.compile(_REQUEST, re.MULTILINE)
# The end of a quoted field, with whatever is escaped in it.
_END = rb'[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_MAIN = re.compile(
    _REQUEST + _END + rb'(?: [^" \n]+)+ "' + _END + rb' "' + _END + rb' "([^"\n]*)"', re.MULTILINE
)
_HAPROXY = re.compile(
    rb"(?:^|[ \t])(\S+):\d+ \[\d\d/\w{3}/\d{4}:[^\]\n]+\] \S+ [^/\s]+/(?!<)\S+ ", re.MULTILINE
)
_ALB = re.compile(rb"^(?:https?|h2|grpcs|wss?) \S+T\S+ \S+ (\S+):\d+ (?!- )", re.MULTILINE)

CLIENT_FIELDS = ("key", "client", "client_ip", "clientip", "remote_addr", "remote_ip", "ClientHost")
CONNECTION_FIELDS = ("connection", "connection_id")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _by_first(pattern: re.Pattern[bytes]) -> Count:
    def count(block: bytes) -> dict[Client, int]:
        return {(_text(client), ""): n for client, n in Counter(pattern.findall(block)).items()}

    return count


def _count_main(block: bytes) -> dict[Client, int]:
    return {
        (_text(client), "" if forwarded == b"-" else _text(forwarded)): n
        for (client, forwarded), n in Counter(_MAIN.findall(block)).items()
    }


def json_entries(block: bytes, client: str = "", connection: str = "") -> Iterator[Entry]:
    """The entries of a log with one JSON object a line.

    :param client, connection: names of fields, ``a.b`` for one within another; by default
        the first of the usual ones that a line has.
    """
    clients = (client,) if client else CLIENT_FIELDS
    connections = (connection,) if connection else CONNECTION_FIELDS

    for line in block.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        found = _first(record, clients)
        if found:
            slot = record.get("slot")
            known = slot if type(slot) is int and slot > 0 else 0
            yield Entry((found, ""), _first(record, connections), known)


def _first(record: dict[str, Any], names: Iterable[str]) -> str:
    for name in names:
        value: Any = record.get(name)
        if value is None and "." in name:
            value = record
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str | int) and not isinstance(value, bool) and value not in ("", "-"):
            return str(value)
    return ""


FORMATS = {
    each.name: each
    for each in (
        LogFormat("alb", _by_first(_ALB)),
        LogFormat("haproxy", _by_first(_HAPROXY)),
        LogFormat("nginx", _count_main),
        LogFormat("combined", _by_first(_COMBINED)),
    )
}
"""By name; beside them ``json``."""

NAMES = ("auto", *FORMATS, "json")


def recognised(sample: bytes) -> str:
    """The name of the format that most lines of a sample have; "" if it is none.

    ``nginx`` (its ``main``) is ``combined`` with X-Forwarded-For in quotes behind the User-Agent.
    """
    lines = [line for line in sample.splitlines() if line.strip()]
    if not lines:
        return ""
    if sum(line.lstrip().startswith(b"{") for line in lines) * 2 > len(lines):
        return "json"
    # Lines of nginx are lines of combined, too.
    for name in ("alb", "haproxy", "nginx", "combined"):
        if sum(FORMATS[name].count(sample).values()) * 2 > len(lines):
            return name
    return ""
