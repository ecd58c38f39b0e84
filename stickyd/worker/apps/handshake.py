"""The head of a WebSocket handshake that `twisted.web.websocket` writes past its request.

Its resource lets wsproto make the 101 and writes it to the transport itself, so that no other place
sees the head before it is sent.
"""

from collections.abc import Callable

from stickyd.worker.connection.transport_writing import WritingTransport

_SWITCHING = b"HTTP/1.1 101 "


def complete_handshake(transport: WritingTransport, complete: Callable[[bytes], bytes]) -> None:
    """Let ``complete`` have the next write to a transport, if that is a handshake."""

    def write(data: bytes) -> None:
        # The class's again, for whatever follows.
        del transport.write
        transport.write(complete(data) if data.startswith(_SWITCHING) else data)

    transport.write = write  # type: ignore[method-assign]
