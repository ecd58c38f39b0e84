"""Answers requests over http with the same address over https (``--redirect-http``)."""

import re

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, origin_form
from stickyd.master.frontend.pending import PendingHead

STANDARD_PORT = 443

# A name or an address, and perhaps a port (RFC 9110, 7.2); what else a Host may have, nobody types.
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")

_NO_HOST = Refusal(400, "no host to redirect to")


class Redirect:
    """Answers in place of a dispatcher.

    :param port: of https.
    """

    def __init__(self, port: int) -> None:
        self._port = b"" if port == STANDARD_PORT else b":%d" % port

    def dispatch(self, pending: PendingHead, head: Head) -> None:
        """Answer a request whose head is complete, and close."""
        location = self.location(head)
        if location is None:
            pending.refuse(_NO_HOST)
        else:
            pending.finish(response(location))

    def location(self, head: Head) -> bytes | None:
        """Where the client is sent; None if it has not said by which name it came."""
        target, authority = origin_form(head)
        host = _HOST.fullmatch(authority or next(iter(head.values(b"host")), b""))
        if host is None:
            return None
        # OPTIONS of the server as a whole has no path.
        return b"https://" + host[1] + self._port + (b"/" if target == b"*" else target)


def response(location: bytes) -> bytes:
    """A redirection; the client repeats its request, body included (RFC 9110, 15.4.9)."""
    return (
        b"HTTP/1.1 308 Permanent Redirect\r\n"
        b"Location: " + location + b"\r\n"
        b"Content-Length: 0\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )
