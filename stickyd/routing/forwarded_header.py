"""The Forwarded header (RFC 7239), read from its end.

Each forwarder appends: the element of the nearest one is last, forged elements
of a client are first. Parsing backwards reads the trustworthy part first and
stops there: an open quote sent by a client cannot hide what was appended to it.
"""

import re
from collections.abc import Iterator

from stickyd.http1.token import TCHAR
from stickyd.routing.trusted_peers import Missing, TrustedPeers, walk

# Backwards, so in the patterns too: value, "=", name. A quote that is followed
# by a backslash here is an escaped one (RFC 9110, 5.6.4).
_TOKEN = f"[{TCHAR}]++"
_PAIR = re.compile(rf'(?:"((?:[^"]|"\\)*+)"|({_TOKEN}))=({_TOKEN})')
_UNNAMED = rf'(?:(?:"(?:[^"]|"\\)*+"|{_TOKEN})={_TOKEN})?+'
_ELEMENT = re.compile(rf"[ \t,]*+({_UNNAMED}(?:;{_UNNAMED})*+)[ \t]*+(?:,|\Z)")

_QUOTED = re.compile(r"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+")
_ESCAPED = re.compile(r"\\(.)")
_NODE = re.compile(
    r"(?:\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[0-9A-Za-z._\-]+))?"
)
_MALFORMED = Missing("malformed element in Forwarded")


def client_of_forwarded(values: list[bytes], trusted: TrustedPeers) -> str | Missing:
    """The client named by Forwarded lines that came from a trusted peer.

    All lines are one list (RFC 7239, 4), of which each element is a hop. The
    walk is that of X-Forwarded-For: past trusted peers, to the first other.
    What cannot be read ends it, like ``unknown`` and ``_hidden``; what lies
    beyond the client is not looked at.
    """
    lines = (value.decode("latin-1") for value in reversed(values))
    return walk((hop for line in lines for hop in _hops(line)), trusted)


def _hops(line: str) -> Iterator[str | Missing]:
    """The address in ``for=`` of each element of one line, from the last to the first."""
    backwards = line[::-1]
    at = 0
    while at < len(backwards):
        element = _ELEMENT.match(backwards, at)
        if element is None:
            yield _MALFORMED
            return
        at = element.end()
        # Empty members of a list are passed over (RFC 9110, 5.6.1.2), together where they can be.
        if element[1]:
            yield _hop(element[1])


def _hop(element: str) -> str | Missing:
    node: str | None = None
    names = set()
    for quoted, token, name in _PAIR.findall(element):
        name = name[::-1].lower()
        value = (quoted or token)[::-1]
        # No parameter occurs twice in an element (RFC 7239, 4).
        if name in names or (quoted and not _QUOTED.fullmatch(value)):
            return _MALFORMED
        names.add(name)
        if name == "for":
            node = _ESCAPED.sub(r"\1", value) if quoted else value
    if node is None:
        return Missing("an element of Forwarded without for=")
    match = _NODE.fullmatch(node)
    if match is None:
        return Missing(f"for={node!r} is no IP address")
    host: str = match[1] or match[2]
    return host
