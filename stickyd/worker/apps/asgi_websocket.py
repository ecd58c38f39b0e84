"""uvicorn's WebSocket protocol: bounded fragments, and valid fields in the handshake."""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from stickyd.http1.response import check_field
from stickyd.http1.websocket_frames import FrameMeter
from stickyd.worker.connection.upgraded import Upgraded
from stickyd.worker.interfaces import ClientChannel

_HANDSHAKE = frozenset({"websocket.accept", "websocket.http.response.start"})


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Gathers fragments in one buffer, and checks the fields of the app's handshake.

    uvicorn keeps each fragment as an object of its own, which takes some eighty bytes however few
    are in it: empty ones, which no bound on the size of a message counts, fill the memory. It
    writes header fields unchecked, and a line end in one starts a field of its own.
    """

    async def send(self, message: Any) -> None:
        """For the app.

        :raise BadResponse: for a field that is not valid (RFC 9110, 5.5).
        """
        if message["type"] in _HANDSHAKE:
            for name, value in message.get("headers", ()):
                check_field(bytes(name), bytes(value))
        await super().send(message)

    def handle_cont(self, event: Frame) -> None:
        """A fragment behind the first."""
        whole: object = self.frames[0]
        if not isinstance(whole, bytearray):
            whole = bytearray(self.frames[0])
            self.frames = [whole]  # type: ignore[list-item]
        whole += event.data
        if event.fin:
            self.frames = [bytes(whole)]
            self.send_receive_event_to_app()


def upgraded(channel: ClientChannel, websocket: Any, waiting: Callable[[], int]) -> Upgraded:
    """The receiver of a connection that is a WebSocket now.

    :param websocket: uvicorn's protocol object of the connection.
    :param waiting: bytes that wait for the client because of what it sent.
    """
    return Upgraded(
        channel,
        websocket.data_received,
        # uvicorn chooses the code: 1012 too.
        close=lambda code: websocket.shutdown(),
        # The library limits the size of messages, since it decompresses them.
        meter=FrameMeter(None),
        waiting=waiting,
    )
