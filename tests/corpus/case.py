"""A case of the corpus, and what builds several of a kind."""

import hashlib
from typing import NamedTuple
from urllib.parse import quote_from_bytes

BODY_LIMIT = 20000
"""The bound on bodies for the cases in ``body_limit``; no other case comes near it."""

Table = dict[str, "Case"]


class Case(NamedTuple):
    """What is sent, and what must come back."""

    data: bytes
    lines: tuple[str, ...]


def echo(
    method: str = "GET",
    target: str = "/",
    body: bytes = b"",
    *fields: str,
    status: int = 200,
    **values: bytes,
) -> str:
    """An answer of the app to the request that it saw."""
    digest = hashlib.sha256(body).hexdigest()[:16]
    seen = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in values.items()]
    return " ".join([str(status), method, target, str(len(body)), digest, *seen, *fields])


def get(*fields: bytes, first: bytes = b"GET / HTTP/1.1", host: bool = True) -> bytes:
    """A head of these lines in CRLF, with a Host unless told otherwise."""
    lines = [first, *([b"Host: a.example"] if host else []), *fields, b"", b""]
    return b"\r\n".join(lines)


def post(*fields: bytes, minor: int = 1) -> bytes:
    """As `get`, for a request with a body."""
    return get(*fields, first=b"POST / HTTP/1.%d" % minor)


def chunked(body: bytes) -> bytes:
    """A request with a chunked body, its framing as given."""
    return post(b"Transfer-Encoding: chunked") + body


def sized(body: bytes) -> bytes:
    """A request with a body of a known length."""
    return post(b"Content-Length: %d" % len(body)) + body


BEHIND = get(first=b"GET /behind HTTP/1.1")

SMUGGLED = get(first=b"GET /smuggled HTTP/1.1")

HELLO = b"hello"

LAST = b"0\r\n\r\n"

GET = echo()

POSTED = echo("POST", "/", HELLO)


def ends(end: str, data: bytes, *answers: str) -> Case:
    """These answers, then this end."""
    return Case(data, (*answers, end))


def served(data: bytes, *answers: str) -> Case:
    """Every request is served, and the next one may follow."""
    return ends("open", data, *(answers or (GET,)))


def refused(data: bytes, status: int = 400, *before: str) -> Case:
    """Refused; a sound request stands behind, and must not be read as one."""
    return ends("close", data + BEHIND, *before, str(status))


def begun(data: bytes, status: int = 400) -> Case:
    """Refused by its first bytes; nothing else comes, so nothing can be waited for."""
    return ends("close", data, str(status))


def first_lines(status: int, lines: dict[str, bytes]) -> Table:
    """Heads that are refused for their request line."""
    return {name: refused(get(first=line), status) for name, line in lines.items()}


def bad_fields(lines: dict[str, bytes]) -> Table:
    """Heads that are refused for one field line."""
    return {name: refused(get(line, b"X-Test: behind")) for name, line in lines.items()}


def bad_hosts(values: dict[str, bytes]) -> Table:
    """Heads that are refused for the value of their Host."""
    return {
        name: refused(get(b"Host: " + value, host=False) + b"") for name, value in values.items()
    }


def bad_framing(fields: dict[str, tuple[bytes, ...]]) -> Table:
    """Heads that are refused for their framing; what could be a body stands behind them."""
    return {name: refused(post(*lines) + HELLO + LAST) for name, lines in fields.items()}


def bad_chunks(bodies: dict[str, bytes]) -> Table:
    """Chunked bodies that are refused."""
    return {name: refused(chunked(body)) for name, body in bodies.items()}


def good_chunks(bodies: dict[str, tuple[bytes, bytes]]) -> Table:
    """Chunked bodies as sent and as decoded; a second request shows where they end."""
    return {
        name: served(
            chunked(body) + get(first=b"GET /next HTTP/1.1"),
            echo("POST", "/", decoded),
            echo("GET", "/next"),
        )
        for name, (body, decoded) in bodies.items()
    }


def methods(names: dict[str, bytes]) -> Table:
    """Requests that are served whatever their method means."""
    return {
        name: served(get(first=b"%b /a HTTP/1.1" % method), echo(method.decode(), "/a"))
        for name, method in names.items()
    }
