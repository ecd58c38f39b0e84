"""One request of an ASGI app: between the channel and uvicorn's protocol objects.

uvicorn's HTTP protocol believes that it has a connection and a parser. The
connection is the exchange: what is written goes to the channel's transport,
`close` ends the answer. The parser is the exchange too (`stickyd.worker.apps.httptools_adapter`).
"""

import asyncio
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPullProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.http1.body_parser import BodyPart, ChunkedReader
from stickyd.http1.error_response import BROKEN, Refusal
from stickyd.http1.head_parser import Head
from stickyd.http1.response import NO_CONTENT, BadResponse, rewritten
from stickyd.http1.websocket_frames import FrameMeter
from stickyd.routing.client_address import forwarded_proto, true_client
from stickyd.worker.apps.httptools_adapter import HeadReader
from stickyd.worker.connection.channel import Channel
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.upgraded import WRITE_AHEAD, Upgraded

if TYPE_CHECKING:
    from stickyd.worker.apps.asgi import AsgiApp

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@implementer(IPullProducer)
class AsgiExchange(HeadReader):
    """One request; to uvicorn it is the transport and the parser.

    A request that has been answered can reach the connection no more, since
    each request has an exchange of its own.
    """

    invites = True

    def __init__(self, app: "AsgiApp", channel: Channel, head: Head) -> None:
        self._app = app
        self._channel = channel
        self._transport = channel.transport
        super().__init__(head, keep_alive=head.keep_alive and not app.closing)
        self.begun = False
        self.status = 0
        self.write_paused = False
        self._last = False
        self._over = False
        self._unsent: list[bytes] = []
        self._size = 0
        self._unchunk: ChunkedReader | None = None
        # What follows is not sent.
        self._muted = False
        self._websocket: Any = None
        self._upgraded: Upgraded | None = None
        # Bytes that uvicorn has answered by itself while the app waits for the client.
        self._unasked = 0
        frame = channel.frame
        policy = channel.worker.policy
        peer = frame.peer[0] if frame.peer else None
        trusted = policy.trusted
        self._client = true_client(head, peer, trusted, policy.forwarded_first) or frame.peer
        self._secure = forwarded_proto(head, peer, trusted) == "https"
        protocol: Any = app.protocol()
        self._protocol = protocol
        # As its `connection_made` does, except that the flow control is ours too.
        protocol.transport = protocol.flow = protocol.parser = self
        protocol.client = self._client
        protocol.server = frame.local
        protocol.scheme = "https" if self._secure else "http"
        protocol.connections.add(protocol)
        protocol.on_message_begin()
        self.tell_head(protocol)
        # Starts the app, or leaves `cycle` at None if the client offers WebSocket.
        protocol.on_headers_complete()

    # ---- for the channel

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""
        self._protocol.on_body(data)

    def requestReceived(self) -> None:
        """The request is whole."""
        protocol = self._protocol
        if protocol.cycle is not None:
            protocol.on_message_complete()
            return
        protocol.handle_websocket_upgrade()
        websocket = self._websocket
        self._give_back()
        if self._over:
            # The handshake was answered with a refusal before `set_protocol`.
            self._app.call_soon(websocket.connection_lost, None)
        elif not websocket.handshake_initiated:
            self._channel.refuse(Refusal(400, "malformed WebSocket handshake"))

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone; the app hears of it."""
        if not self._over:
            self._over = True
            self._unsent.clear()
            (self._websocket or self._protocol).connection_lost(reason.value)
            self._part()

    # ---- in the place of asyncio's transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The ends of the connection, and whether the client came over TLS."""
        if name == "peername":
            return self._client
        if name == "sockname":
            return self._channel.frame.local
        if name == "sslcontext":
            return self._secure or None
        return default

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._over

    def write(self, data: bytes) -> None:
        """Write; it goes out when the answer is whole, or at the end of this turn of the loop."""
        if self._over or not data or self._muted:
            return
        if not self.begun:
            data = self._first(data)
        elif self._unchunk is not None:
            data = self._without_chunks(data)
        if not self._unsent:
            self._app.flush_soon(self)
        self._unsent.append(data)
        self._size += len(data)
        if self.write_paused:
            self._unasked += len(data)
        if self._size > WRITE_AHEAD:
            self.flush()

    def pause_reading(self) -> None:
        """The app has enough for now."""
        if self._upgraded is not None:
            self._upgraded.pause()
        else:
            self._channel.hold(self)

    def resume_reading(self) -> None:
        """The app takes more."""
        if self._upgraded is not None:
            self._upgraded.resume()
        else:
            self._channel.go_on(self)

    def set_protocol(self, protocol: Any) -> None:
        """The connection is a WebSocket's now."""
        self._websocket = protocol

    def close(self) -> None:
        """End: what is written goes out, and nothing follows."""
        if self._over:
            return
        if not self.begun:
            # uvicorn has refused what the app says before any of it was written.
            self._break_off()
        self._protocol.connections.discard(self._protocol)
        self._finish(True)
        if self._websocket is not None:
            self._app.call_soon(self._websocket.connection_lost, None)
        # Later: `complete` may follow, and needs the protocol object.
        self._app.call_soon(self._part)

    # ---- the answer

    def _first(self, data: bytes) -> bytes:
        """The head of the answer, as uvicorn wrote it; of a WebSocket's refusal, all of it."""
        if data == _CONTINUE:
            return data
        self.begun = True
        line = self._channel.worker.header_line
        try:
            data, left, last = rewritten(self._head, data, self._upgrades, line)
        except BadResponse:
            self._break_off()
            # To the app, and from there into the log.
            raise
        # The status line is uvicorn's: HTTP/1.1, a blank, three digits.
        self.status = int(data[9:12])
        self._last = last
        if left is not None or not self._head.minor:
            self._frame(left)
        return data

    def _frame(self, left: int | None) -> None:
        """Let what follows a head be framed as the head says now."""
        if self._websocket is not None and self.status == 101:
            self._upgrade()
            return
        # A protocol object that a WebSocket has given back is another request's.
        cycle = None if self._upgrades else self._protocol.cycle
        if left == NO_CONTENT:
            self._muted = True
            if cycle is not None:
                # It does not count what is not sent.
                cycle.chunked_encoding, cycle.expected_content_length = True, 0
        elif not self._head.minor and cycle is not None and cycle.chunked_encoding:
            self._unchunk = ChunkedReader()

    def _break_off(self) -> None:
        """Answer with a 500 in the place of the app."""
        self.begun = self._last = self._muted = True
        self.status = BROKEN.status
        if not self._unsent:
            self._app.flush_soon(self)
        self._unsent.append(BROKEN.response(to_head=self.to_head))

    def _upgrade(self) -> None:
        websocket = self._websocket
        self._upgraded = Upgraded(
            self._channel,
            websocket.data_received,
            # The code is uvicorn's to choose: 1012 too.
            close=lambda code: websocket.shutdown(),
            # How long a message may be is for the library to say, which unpacks it.
            meter=FrameMeter(None),
            waiting=lambda: self._unasked,
        )
        self._channel.pin(self._upgraded)

    def _without_chunks(self, data: bytes) -> bytes:
        assert self._unchunk is not None
        part = self._unchunk.read(data)
        assert isinstance(part, BodyPart), "uvicorn frames chunks well"
        return part.data

    def flush(self) -> None:
        """Send what is written, as far as the client takes it; the app waits with the rest."""
        if self._over or not self._unsent:
            return
        transport = self._transport
        transport.send(b"".join(self._unsent))
        self._unsent.clear()
        self._size = 0
        if not self.write_paused and not transport.flushed():
            self.write_paused = True
            (self._websocket or self).pause_writing()
            transport.registerProducer(self, False)
        self._channel.bytesSent(False)

    def abort(self) -> None:
        """End at once."""
        self._transport.abortConnection()

    # ---- in the place of uvicorn's flow control; `pause_reading`, `resume_reading` are above

    def pause_writing(self) -> None:
        """The client is slower than the app."""
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        """The client has taken what was written, or is gone."""
        if self.write_paused:
            self.write_paused = False
            self._room.set()

    async def drain(self) -> None:
        """For ``send``: wait for the client."""
        await self._room.wait()

    # ---- as a producer of the transport

    def resumeProducing(self) -> None:
        """For the transport: at the registration, and when everything is sent."""
        if self.write_paused and self._transport.flushed():
            self._unasked = 0
            self._transport.unregisterProducer()
            if self._websocket is not None:
                self.write_paused = False
                self._websocket.resume_writing()
            else:
                self.resume_writing()

    def stopProducing(self) -> None:
        """For the transport: the connection is lost; `connectionLost` says so too."""

    def complete(self) -> None:
        """For the protocol object: the answer is whole."""
        early = self._unsent and self._channel.state is State.BODY and not self._over
        if early and not self._last:
            # It ends the connection, and the head has not gone out yet.
            self._unsent[0] = self._unsent[0].replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        self._give_back()
        self._finish(self._last)

    def _give_back(self) -> None:
        """Let another exchange have the protocol object."""
        protocol = self._protocol
        protocol.connections.discard(protocol)
        protocol.cycle = protocol.transport = protocol.flow = protocol.parser = None
        self._app.free.append(protocol)

    def _part(self) -> None:
        """Break the reference cycle with a protocol object that is not given back."""
        self._websocket = None
        protocol = self._protocol
        if protocol.transport is self:
            protocol.cycle = protocol.transport = protocol.flow = protocol.parser = None

    def _finish(self, last: bool) -> None:
        if self._over:
            return
        self._over = True
        if self._upgraded is not None:
            self._upgraded.stop()
        if self.write_paused:
            self._transport.unregisterProducer()
        if self._unsent:
            unsent = self._unsent
            self._transport.send(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        # In a context of its own: what the app has set in its task's is not for the next request.
        self._app.context.copy().run(self._channel.answered, self, last)
