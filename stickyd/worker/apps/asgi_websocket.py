"""uvicorn's WebSocket protocol: bounded fragments, valid fields in the handshake, handovers."""

from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from stickyd.http1.response import check_field
from stickyd.http1.websocket_frames import FrameMeter
from stickyd.ipc.handover import Handed
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.upgraded import Upgraded
from stickyd.worker.handover.asgi import EXTENSION, AsgiOffer
from stickyd.worker.handover.handing import Handing
from stickyd.worker.interfaces import ClientChannel

_HANDSHAKE = frozenset({"websocket.accept", "websocket.http.response.start"})


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Gathers fragments in one buffer, and checks the fields of the app's handshake.

    uvicorn keeps each fragment as an object of its own, which takes some eighty bytes however few
    are in it: empty ones, which no bound on the size of a message counts, fill the memory. It
    writes header fields unchecked, and a line end in one starts a field of its own.

    :ivar offer: the app's, to have the WebSocket handed over to another worker.
    :ivar waiting: calls of ``receive`` that wait.
    :ivar sending: calls of ``send`` that have not returned.
    :ivar on_wait: called once, when one of these numbers has changed.
    :ivar frozen: the app may send nothing: its state is on its way to another worker.
    :ivar receiver: what brings the client's bytes here.
    """

    offer: AsgiOffer | None = None
    waiting = sending = 0
    on_wait: Callable[[], None] | None = None
    frozen = False
    receiver: Upgraded | None = None

    def keepalive_timeout(self) -> None:
        """No answer to a ping has come: one may be unread, while the app takes no messages."""
        if self.receiver is None or self.receiver.reading or self.ping_timeout is None:
            super().keepalive_timeout()
        else:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)

    def handle_connect(self, event: Request) -> None:
        """The request has been read."""
        super().handle_connect(event)
        if not self.close_sent:
            handed: Handed | None = cast(Any, self.transport).handed
            self.offer = AsgiOffer(self, None if handed is None else handed.extensions)
            extensions: Any = self.scope["extensions"]
            state = None if handed is None else handed.state
            tls: dict[str, object] | None = cast(Any, self.transport).tls
            if tls is not None:
                extensions["tls"] = tls
            extensions[EXTENSION] = {"state": state, "offer": self.offer.offer}

    async def receive(self) -> Any:
        """For the app."""
        self.waiting += 1
        self._look_again()
        try:
            return await super().receive()
        finally:
            self.waiting -= 1

    def _look_again(self) -> None:
        if self.on_wait is not None:
            on_wait, self.on_wait = self.on_wait, None
            self.loop.call_soon(on_wait)

    async def send(self, message: Any) -> None:
        """For the app.

        :raise BadResponse: for a field that is not valid (RFC 9110, 5.5).
        """
        if message["type"] in _HANDSHAKE:
            for name, value in message.get("headers", ()):
                check_field(bytes(name), bytes(value))
        self.sending += 1
        try:
            await self.writable.wait()
            if self.frozen:
                raise ClientDisconnected
            await super().send(message)
        finally:
            self.sending -= 1
            self._look_again()

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
    receiver = Upgraded(
        channel,
        websocket.data_received,
        # uvicorn chooses the code: 1012 too.
        close=lambda code: websocket.shutdown(),
        # The library limits the size of messages, since it decompresses them.
        meter=FrameMeter(None),
        waiting=waiting,
    )
    websocket.receiver = receiver
    if websocket.offer is not None:
        channel.handing = Handing(cast(Connection, channel), receiver, websocket.offer)
    return receiver
