"""Our head parser in place of httptools', under uvicorn's protocol objects.

The channel has read the head and reads the body, so nothing is parsed twice,
and what is accepted is decided in one place for every kind of app: httptools
knows a list of methods only, and not all of our rules. What uvicorn asks its
parser, and what it is told, is what httptools documents
(``get_method``, ``on_message_begin``, ``on_body``, ...).
"""

from typing import Any

from stickyd.http1.head_parser import Head, origin_form


class HeadReader:
    """Answers for a head that has been read.

    :param keep_alive: whether another request may follow.
    """

    def __init__(self, head: Head, *, keep_alive: bool) -> None:
        self._head = head
        self._keep_alive = keep_alive
        self._upgrades = _offers_websocket(head)

    def tell_head(self, protocol: Any) -> None:
        """Tell a protocol object everything between ``on_message_begin`` and the head's end."""
        head = self._head
        target, authority = origin_form(head)
        protocol.url = target
        # As its `on_header` does for each: names are in lower case already.
        headers = protocol.headers
        headers += head.fields
        if authority is not None:
            headers[:] = [field for field in headers if field[0] != b"host"]
            headers.insert(0, (b"host", authority))
        if not head.minor:
            protocol.scope["http_version"] = "1.0"
        protocol.expect_100_continue = head.expects_continue

    @property
    def to_head(self) -> bool:
        """Whether the request's method is HEAD."""
        return self._head.method == b"HEAD"

    def get_http_version(self) -> str:
        """1.1 in any case: with 1.0, uvicorn ends every connection. The scope tells the truth."""
        return "1.1"

    def get_method(self) -> bytes:
        """The method, any token."""
        return self._head.method

    def should_keep_alive(self) -> bool:
        """Whether another request may follow."""
        return self._keep_alive

    def should_upgrade(self) -> bool:
        """Whether the client offers WebSocket."""
        return self._upgrades


def _offers_websocket(head: Head) -> bool:
    """Whether this opens a WebSocket (RFC 6455, 4.2.1); anything less is a request like others."""
    return (
        head.minor == 1
        and head.method == b"GET"
        and not head.length
        and head.wants_upgrade
        and head.values(b"upgrade")[-1].lower() == b"websocket"
        and bool(head.values(b"sec-websocket-key"))
    )
