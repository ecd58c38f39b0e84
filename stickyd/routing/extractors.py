"""Key values in a request: a header, a cookie, a URL parameter, a SockJS session.

Each function returns the value as text, or `Missing` with the reason. Bytes that
are not UTF-8 become surrogates, so that the hash sees the bytes that were sent.
"""

import re
from urllib.parse import unquote_to_bytes

from stickyd.http1.cookie_header import cookies
from stickyd.http1.head_parser import Head, origin_form
from stickyd.routing.trusted_peers import Missing

_SERVER = re.compile(rb"[0-9]{3}")
_SOCKJS_TRANSPORTS = frozenset(
    b"xhr xhr_streaming xhr_send eventsource htmlfile jsonp jsonp_send websocket".split()
)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def header(head: Head, name: str) -> str | Missing:
    """The value of the header ``name``, if it has exactly one line and that is not empty.

    Several lines give no value: one may come from the client and one from a proxy,
    and their order does not tell which.
    """
    values = head.values(name.lower().encode("ascii"))
    if len(values) != 1:
        return Missing(f"{len(values)} lines of {name}" if values else f"no header {name}")
    return _text(values[0]) if values[0] else Missing(f"header {name} is empty")


def cookie(head: Head, name: str) -> str | Missing:
    """The value of the first cookie called ``name`` (RFC 6265, 4.2), with its quotes if it has any.

    Several Cookie lines are one, as HTTP/2 splits them (RFC 9113, 8.2.3).
    """
    values = cookies(head, name.encode("ascii"))
    if not values:
        return Missing(f"no cookie {name}")
    return _text(values[0]) if values[0] else Missing(f"cookie {name} is empty")


def url_param(head: Head, name: str) -> str | Missing:
    """The first parameter called ``name`` in the query of the target.

    Pairs are divided by ``&``; ``+`` and percent-encoding are undone once, in
    names too (WHATWG URL, application/x-www-form-urlencoded).
    """
    _, _, query = origin_form(head)[0].partition(b"?")
    wanted = name.encode("utf-8")
    if wanted not in query and b"%" not in query and b"+" not in query:
        return Missing(f"no url parameter {name}")
    for pair in query.split(b"&"):
        found, _, value = pair.partition(b"=")
        if found == wanted or _decoded(found) == wanted:
            return _text(_decoded(value)) if value else Missing(f"url parameter {name} is empty")
    return Missing(f"no url parameter {name}")


def _decoded(part: bytes) -> bytes:
    if b"+" in part:
        part = part.replace(b"+", b" ")
    return unquote_to_bytes(part) if b"%" in part else part


def sockjs_session(head: Head) -> str | Missing:
    """The session in ``/prefix/<3 digits>/<session>/<transport>``, the URLs of SockJS clients.

    The session is the client's choice, the same in all of its requests. The
    three digits change from try to try and tell nothing.
    """
    path = origin_form(head)[0].partition(b"?")[0]
    parts = path.rsplit(b"/", 3)
    if len(parts) == 4:
        _, server, session, transport = parts
        known = transport in _SOCKJS_TRANSPORTS and _SERVER.fullmatch(server)
        # A session holds no dot: iframe.html and its like are none.
        if known and session and b"." not in session:
            return _text(session)
    return Missing("not the URL of a SockJS session")
