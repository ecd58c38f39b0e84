"""twisted.web apps: an exchange under the unchanged `twisted.web.server.Request` and `Site`."""

from contextlib import suppress
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.server import Request, Site

from stickyd.http1.error_response import BROKEN, Refusal
from stickyd.http1.head_parser import CHUNKED, Head, origin_form
from stickyd.http1.response import NO_CONTENT, BadResponse, fields_of, response_head
from stickyd.ipc.handover import Handed
from stickyd.routing.client_address import true_client
from stickyd.worker.apps.handshake import complete_handshake
from stickyd.worker.apps.lean_request import LeanRequest, request_of
from stickyd.worker.apps.pulled import Pulled
from stickyd.worker.apps.websocket_buffers import upgraded
from stickyd.worker.apps.with_ids import WithIds
from stickyd.worker.connection.addresses import address_of, uses_tls
from stickyd.worker.connection.transport_writing import WritingTransport
from stickyd.worker.connection.upgraded import SERVICE_RESTART
from stickyd.worker.interfaces import EVENT_STREAM, ClientChannel, UpgradedReceiver

_log = Logger("stickyd")

_JOINED_MOST = 8192
"""Bytes of content that are copied behind their head, which is cheaper than another write."""


class WebExchange(WithIds):
    """One request; to its `Request` it is the channel.

    Each request has an exchange of its own, so that one that has been answered cannot reach the
    connection.
    """

    invites = False
    _handed: Handed | None = None

    def __init__(self, channel: ClientChannel, head: Head, site: Site) -> None:
        self._channel, self._handed = channel, channel.handed
        self._peer: str | None = channel.frame.peer_host
        self._ids = channel.context.routing.request_ids(head, channel)
        if self._ids is not None:
            head = self._ids.head
        self._head = head
        self.transport = channel.transport
        self.site = self.factory = site
        self.begun = False
        self.status = 0
        self._last = not head.keep_alive
        # Bytes that the body may still have; see `response_head`.
        self._left: int | None = NO_CONTENT
        self.length = head.length
        target = head.target
        # What nearly all requests have, without a call.
        plain = target.startswith(b"/")
        self._target, self._authority = (target, None) if plain else origin_form(head)
        factory = site.requestFactory
        if factory is Request:
            self._request: Any = LeanRequest(self)
        else:
            self._request = request_of(factory, self)
        self._request.gotLength(None if head.length == CHUNKED else head.length)

    # ---- for the channel

    @property
    def event_stream(self) -> bool:
        """Whether the answer has begun, and is one of server-sent events."""
        headers = self._request.responseHeaders if self.begun and self._request else Headers()
        return EVENT_STREAM in headers.getRawHeaders(b"content-type", [b""])[0].lower()

    @property
    def to_head(self) -> bool:
        """Whether the request's method is HEAD."""
        return self._head.method == b"HEAD"

    @property
    def whole(self) -> bool:
        """Whether all of the answer is written; see `stickyd.worker.interfaces.Exchange`."""
        return self.begun and not self._last and self._left is not None and self._left <= 0

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body; OSError if it cannot be stored."""
        try:
            self._request.handleContentChunk(data)
        except OSError:
            self._drop_content()
            raise

    def requestReceived(self) -> None:
        """The request is complete: the app may answer, now or later."""
        try:
            self._request.requestReceived(self._head.method, self._target, self._head.version)
        except OSError:
            self._drop_content()
            raise

    def _drop_content(self) -> None:
        """Close the file of the request body: its buffered data cannot be written."""
        content = getattr(self._request, "content", None)
        if content is not None:
            with suppress(OSError):
                content.close()

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone; the app is notified through ``notifyFinish``."""
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
            # A reference cycle with the request.
            request.producer = None

    # ---- for the request

    def client_address(self) -> Any:
        """The client's address: the peer's, unless trusted peers name another."""
        policy = self._channel.context.routing.policy
        client = true_client(self._head, self._peer, policy.trusted, policy.forwarded_first)
        return self.transport.getPeer() if client is None else address_of(*client)

    def read_headers(self) -> Headers:
        """The fields of the head, as apps read them."""
        headers = Headers()
        for name, value in self._head.fields:
            headers.addRawHeader(name, value)
        if self._authority is not None:
            headers.setRawHeaders(b"host", [self._authority])
        return headers

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Any, content: bytes = b""
    ) -> None:
        """Write the head of the answer; the daemon decides framing and persistence.

        :param content: what follows it at once, framed.
        """
        context = self._channel.context
        added = self._added(code, headers.getAllRawHeaders())
        try:
            data, self._left, self._last = response_head(
                self._head,
                version,
                code,
                reason,
                headers.getAllRawHeaders(),
                self._last or context.connections.closing,
                added,
            )
        except BadResponse as error:
            self._break_off(error.why)
            return
        if self._handed is not None:
            # Its client has had its answer, and speaks WebSocket.
            data, self._left, self._last = SERVICE_RESTART, NO_CONTENT, True
        self.begun = True
        self.status = int(code)
        if content:
            if self._left is not None:
                content = self._counted(content, self._left)
            if len(content) <= _JOINED_MOST:
                self.transport.write(data + content)
                return
        self.transport.write(data)
        if content:
            self.transport.write(content)

    def _break_off(self, why: str) -> None:
        """Answer with a 500 in place of the app, whose further output is discarded."""
        self._complain("breaks HTTP, the client is sent a 500", why)
        self.begun = self._last = True
        self.status = BROKEN.status
        self._left = NO_CONTENT
        response = BROKEN.response(to_head=self.to_head)
        self.transport.write(response if self._handed is None else SERVICE_RESTART)

    def _complain(self, what: str, why: str) -> None:
        _log.error(
            "the response to {method} {target} {what}: {why}",
            method=self._head.method.decode("ascii"),
            target=self._target[:200].decode("ascii"),
            what=what,
            why=why,
        )

    def write(self, data: bytes) -> None:
        """Write part of the answer's body."""
        if self._left is not None:
            data = self._counted(data, self._left)
        self.transport.write(data)

    def _counted(self, data: bytes, left: int) -> bytes:
        if len(data) > left:
            return self._cut(data, left)
        self._left = left - len(data)
        return data

    def _cut(self, data: bytes, left: int) -> bytes:
        """The part of ``data`` that may be sent: a client would read more as another response."""
        if not self.begun:
            self._break_off("its head could not be written")
        elif left != NO_CONTENT:
            self._complain("is cut, the connection ends", "longer than its Content-Length")
            self._last = True
        self._left = NO_CONTENT
        return data[: max(left, 0)]

    def writeSequence(self, iovec: Any) -> None:
        """Write parts of the answer's body: all of them, or none if one is not bytes."""
        parts = [part if type(part) is bytes else b"".join((part,)) for part in iovec]
        if self._left is None:
            self.transport.writeSequence(parts)
        else:
            self.write(b"".join(parts))

    def requestDone(self, request: Any) -> None:
        """The answer is complete."""
        if self._left is not None and self._left > 0:
            # The client would take the next answer for the rest of this one.
            self._complain("is not whole, the connection ends", "shorter than its Content-Length")
            self._last = True
        # The app may keep the request, which refers to this exchange: so break the cycle.
        self._request = None
        self._channel.answered(self, self._last)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer write at the pace of the client."""
        if not streaming:
            producer = Pulled(self, producer)
        self.transport.registerProducer(producer, streaming)

    def pulled(self) -> None:
        """A producer has been asked for more: ask again if its output is never sent."""
        transport = self.transport
        if self.begun and self._left == NO_CONTENT and transport.producer is not None:
            transport.startWriting()

    def unregisterProducer(self) -> None:
        """The producer has finished."""
        self.transport.unregisterProducer()

    def loseConnection(self) -> None:
        """End the connection when everything written is sent; a cut answer must not look whole."""
        if self.begun and self._left is None and not self._head.minor:
            # Its end is that of the connection (RFC 9112, 6.3).
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def getPeer(self) -> Any:
        """The peer's address; the client's is ``request.getClientAddress()``."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """The daemon's address."""
        return self.transport.getHost()

    def isSecure(self) -> bool:
        """Whether the client uses TLS: here, or as a trusted peer that terminates it reports."""
        trusted = self._channel.context.routing.policy.trusted
        return uses_tls(self._head, self._channel.frame, trusted)

    @property
    def client_subject(self) -> str | None:
        """The subject of the client's certificate (RFC 4514), None without one."""
        return self._channel.frame.subject

    def _respondToBadRequestAndDisconnect(self) -> None:
        """For `Request.requestReceived`: a multipart body that cannot be read."""
        self._channel.refuse(Refusal(400, "malformed multipart body"))

    def _protocolUpgradeForWebsockets(self, protocol: Any) -> None:
        """For `twisted.web.websocket`: the protocol takes the connection over.

        Twisted has no public name for this; other protocols may use it, too.
        """
        values = self._head.values(b"upgrade")
        websocket = any(b"websocket" in value.lower() for value in values)
        self._channel.pin(upgraded(self._channel, protocol, websocket=websocket))
        if not self.begun and isinstance(self.transport, WritingTransport):
            complete_handshake(self.transport, self.handshake)
        protocol.makeConnection(self.transport)

    def give_to_app(self, receiver: UpgradedReceiver) -> ClientChannel:
        """For WSGI: the app takes the connection, and answers by itself."""
        self.begun, self.status = True, 101
        self._channel.pin(receiver)
        return self._channel

    def handshake(self, head: bytes) -> bytes:
        """The head of a 101 that is written past `writeHeaders`, with the lines that we add."""
        self.begun, self.status = True, 101
        if self._handed is not None:
            return b""
        added = self._added(b"101", fields_of(head))
        return head.replace(b"\r\n", b"\r\n" + added, 1)
