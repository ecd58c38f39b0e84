"""The answer of an ASGI app as it goes to the client: uvicorn's, with our framing."""

from typing import Any

from stickyd.http1.body_parser import BodyPart, ChunkedReader
from stickyd.http1.head_parser import Head
from stickyd.http1.response import NO_CONTENT, rewritten
from stickyd.worker.interfaces import EVENT_STREAM

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class AsgiResponse:
    """Rewrites what uvicorn writes for one request.

    :ivar last: no answer can follow on the connection.
    :ivar muted: nothing more of it is sent.
    """

    __slots__ = ("_head", "_unchunk", "last", "muted")

    def __init__(self) -> None:
        self.last = False
        self.muted = False
        self._head = b""
        self._unchunk: ChunkedReader | None = None

    def head(
        self, request: Head, data: bytes, cycle: Any, header_line: bytes, *, upgrades: bool
    ) -> bytes:
        """The head of the answer, as uvicorn wrote it; of a WebSocket's refusal, all of it.

        :param cycle: uvicorn's of this request, None for a WebSocket's.
        :param upgrades: the client offers WebSocket.
        :raise stickyd.http1.response.BadResponse: if it would not be HTTP.
        """
        data, left, self.last = rewritten(request, data, upgrades, header_line)
        self._head = data
        if (left is None and request.minor) or (upgrades and data[9:12] == b"101"):
            return data
        if left == NO_CONTENT:
            self.muted = True
            if cycle is not None:
                # It does not count what is not sent.
                cycle.chunked_encoding, cycle.expected_content_length = True, 0
        elif not request.minor and cycle is not None and cycle.chunked_encoding:
            self._unchunk = ChunkedReader()
        return data

    def is_whole(self, cycle: Any) -> bool:
        """Whether nothing is missing, and another answer may follow.

        :param cycle: uvicorn's of this request; None once it has ended.
        """
        if self.last or cycle is None or cycle.chunked_encoding:
            return False
        # uvicorn's count of what is to come.
        return bool(cycle.expected_content_length == 0)

    def is_cut(self, cycle: Any) -> bool:
        """Whether a client would take the end of the connection now for that of the answer.

        It is the end of a body without any framing (RFC 9112, 6.3).

        :param cycle: uvicorn's of this request, None if there is none.
        """
        return self._unchunk is not None and cycle is not None and not cycle.response_complete

    @property
    def event_stream(self) -> bool:
        """Whether it has begun, and is one of server-sent events."""
        return EVENT_STREAM in self._head.lower()

    def body(self, data: bytes) -> bytes:
        """Part of the body: HTTP/1.0 has no chunks."""
        if self._unchunk is None:
            return data
        part = self._unchunk.read(data)
        assert isinstance(part, BodyPart), "uvicorn's chunks are well-formed"
        return part.data
