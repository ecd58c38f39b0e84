"""One request of an ASGI app: between the channel and uvicorn's protocol objects.

uvicorn's HTTP protocol expects a transport and a parser. Its transport is the exchange: what is
written goes to the channel's transport, `close` ends the answer. Its parser is the exchange too
(`stickyd.worker.apps.httptools_adapter`).
"""

from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.http1.error_response import BROKEN, Refusal
from stickyd.http1.head_parser import Head
from stickyd.http1.response import BadResponse, fields_of
from stickyd.worker.apps.asgi_response import CONTINUE, AsgiResponse
from stickyd.worker.apps.asgi_runtime import AsgiRuntime, WriteFlow, tls_extension, who_asks
from stickyd.worker.apps.asgi_websocket import upgraded
from stickyd.worker.apps.httptools_adapter import HeadReader
from stickyd.worker.apps.with_ids import WithIds
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.upgraded import WRITE_AHEAD, Upgraded
from stickyd.worker.handover.arriving import resumed
from stickyd.worker.interfaces import ClientChannel


@implementer(IPullProducer)
class AsgiExchange(WithIds, HeadReader, WriteFlow):
    """One request; to uvicorn it is the transport and the parser.

    Each request has an exchange of its own, so that one that has been answered cannot reach the
    connection.
    """

    invites = True

    def __init__(self, runtime: AsgiRuntime, channel: ClientChannel, head: Head) -> None:
        self._runtime = runtime
        self._channel, self.handed = channel, channel.handed
        routing = channel.context.routing
        self._ids = routing.request_ids(head, channel)
        if self._ids is not None:
            head = self._ids.head
        super().__init__(head, keep_alive=head.keep_alive and not runtime.closing)
        self.begun = False
        self.status = 0
        protocol = self._connect(*who_asks(head, channel.frame, routing.policy))
        protocol.on_message_begin()
        self.tls = tls_extension(channel.frame)
        if self.tls is not None:
            protocol.scope["extensions"] = {"tls": self.tls}
        self.tell_head(protocol)
        # Starts the app, or leaves `cycle` at None if the client offers WebSocket.
        protocol.on_headers_complete()

    def _connect(self, client: tuple[str, int] | None, secure: bool) -> Any:
        """Take a protocol object of uvicorn's, which is returned."""
        self._transport = self._channel.transport
        self._response = AsgiResponse()
        self._over = False
        self._unsent: list[bytes] = []
        self._size = 0
        self._websocket: Any = None
        self._upgraded: Upgraded | None = None
        # Bytes that uvicorn has answered itself while the app waits for the client.
        self._unasked = 0
        self._client = client
        self._secure = secure
        protocol: Any = self._runtime.protocol()
        self._protocol = protocol
        # As its `connection_made` does, except that the flow control is ours too.
        protocol.transport = protocol.flow = protocol.parser = self
        protocol.client = client
        protocol.server = self._channel.frame.local
        protocol.scheme = "https" if secure else "http"
        protocol.connections.add(protocol)
        return protocol

    # ---- for the channel

    @property
    def whole(self) -> bool:
        """Whether all of the answer is written; see `stickyd.worker.interfaces.Exchange`."""
        begun = self.begun and not (self._upgrades or self._unsent)
        return begun and self._response.is_whole(self._protocol.cycle)

    @property
    def event_stream(self) -> bool:
        """Whether the answer has begun, and is one of server-sent events."""
        return self._response.event_stream

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""
        self._protocol.on_body(data)

    def requestReceived(self) -> None:
        """The request is complete."""
        protocol = self._protocol
        if protocol.cycle is not None:
            protocol.on_message_complete()
            return
        protocol.handle_websocket_upgrade()
        websocket = self._websocket
        self._release()
        if self._over:
            # The handshake was answered with a refusal before `set_protocol`.
            self._runtime.call_soon(websocket.connection_lost, None)
        elif not websocket.handshake_initiated:
            self._channel.refuse(Refusal(400, "malformed WebSocket handshake"))

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone; the app is notified."""
        if not self._over:
            self._over = True
            self._unsent.clear()
            (self._websocket or self._protocol).connection_lost(reason.value)
            self._break_cycle()

    # ---- in place of asyncio's transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The addresses of the connection, and whether the client uses TLS."""
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
        """Write; it is sent when the answer is complete, or at the end of this turn of the loop."""
        if self._over or not data or self._response.muted:
            return
        data = self._response.body(data) if self.begun else self._first(data)
        if not self._unsent:
            self._runtime.flush_soon(self)
        self._unsent.append(data)
        self._size += len(data)
        if self.write_paused:
            self._unasked += len(data)
        if self._size > WRITE_AHEAD:
            self.flush()

    def pause_reading(self) -> None:
        """The app takes no more for now."""
        if self._upgraded is not None:
            self._upgraded.pause()
        else:
            self._channel.hold(self)

    def resume_reading(self) -> None:
        """The app takes more."""
        if self._upgraded is not None:
            self._upgraded.resume()
        else:
            self._channel.resume(self)

    def set_protocol(self, protocol: Any) -> None:
        """The connection is a WebSocket now."""
        self._websocket = protocol

    def close(self) -> None:
        """End: what is written is sent, and nothing follows."""
        if self._over:
            return
        if not self.begun:
            # uvicorn has refused the app's answer before any of it was written.
            self._break_off()
        if self._websocket is None and self._response.is_cut(self._protocol.cycle):
            self.abort()
            return
        self._protocol.connections.discard(self._protocol)
        self._finish(True)
        if self._websocket is not None:
            self._runtime.call_soon(self._websocket.connection_lost, None)
        # Later: `complete` may follow, and needs the protocol object.
        self._runtime.call_soon(self._break_cycle)

    # ---- the answer

    def _first(self, data: bytes) -> bytes:
        if data == CONTINUE:
            return data
        self.begun = True
        if self.handed is not None:
            self.status, data = resumed(data)
            self._response.muted = self._response.last = self.status != 101
            if self.status == 101:
                self._upgrade()
            return data
        # A protocol object that a WebSocket has released is another request's.
        cycle = None if self._upgrades else self._protocol.cycle
        added = self._channel.context.config.header_line
        if self._ids is not None:
            added += self._ids.lines(data[9:12], fields_of(data))
        try:
            data = self._response.head(self._head, data, cycle, added, upgrades=self._upgrades)
        except BadResponse:
            self._break_off()
            # To the app, and from there into the log.
            raise
        # The status line is uvicorn's: HTTP/1.1, a blank, three digits.
        self.status = int(data[9:12])
        if self._websocket is not None and self.status == 101:
            self._upgrade()
        return data

    def _break_off(self) -> None:
        """Answer with a 500 in place of the app."""
        self.begun = self._response.last = self._response.muted = True
        self.status = BROKEN.status
        if not self._unsent:
            self._runtime.flush_soon(self)
        self._unsent.append(BROKEN.response(to_head=self.to_head))

    def _upgrade(self) -> None:
        self._upgraded = upgraded(self._channel, self._websocket, lambda: self._unasked)
        self._channel.pin(self._upgraded)

    def flush(self) -> None:
        """Send what is written, as far as the client takes it; the app waits for the rest."""
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
        """Reset the connection."""
        self._transport.abortConnection()

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
        """For the protocol object: the answer is complete."""
        early = self._unsent and self._channel.state is State.BODY and not self._over
        if early and not self._response.last:
            # It ends the connection, and the head has not been sent yet.
            self._unsent[0] = self._unsent[0].replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        self._release()
        self._finish(self._response.last)

    def _release(self) -> None:
        """Let another exchange use the protocol object."""
        protocol = self._protocol
        protocol.connections.discard(protocol)
        protocol.cycle = protocol.transport = protocol.flow = protocol.parser = None
        self._runtime.release(protocol)

    def _break_cycle(self) -> None:
        """Break the reference cycle with a protocol object that is not released."""
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
        # In a context of its own: the next request must not see what this one's task has set.
        self._runtime.context.copy().run(self._channel.answered, self, last)
