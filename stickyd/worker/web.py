"""twisted.web apps: an exchange under the unchanged `twisted.web.server.Request` and `Site`."""

from functools import lru_cache, partial
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.server import Request, Site

from stickyd.routing.client import forwarded_proto, true_client
from stickyd.wire.head import CHUNKED, Head, origin_form
from stickyd.wire.refusal import Refusal
from stickyd.worker.channel import Channel
from stickyd.worker.request import LeanRequest

GOING_AWAY = 1012
"""The worker ends and another one takes its place: "service restart" in the WebSocket registry
of close codes (RFC 6455, 11.7)."""

_NO_BODY = frozenset(b"%d" % code for code in NO_BODY_CODES)


@lru_cache(maxsize=4096)
def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


class WebExchange:
    """One request; to its `Request` it is the channel.

    A request that has been answered can reach the connection no more, since
    each request has an exchange of its own.
    """

    invites = False

    def __init__(self, channel: Channel, head: Head, site: Site) -> None:
        self._channel = channel
        self._head = head
        self.transport: Any = channel.transport
        self.site = site
        self.factory = site
        self.begun = False
        self.status = 0
        self._last = not head.keep_alive
        self._declared: int | None = None
        self.length = head.length
        self._peer: str | None = channel.frame.peer[0] if channel.frame.peer else None
        self._target, self._authority = origin_form(head)
        factory = site.requestFactory
        if factory is Request:
            self._request: Any = LeanRequest(self)
        else:
            self._request = self._made_by(factory)
        self._request.gotLength(None if head.length == CHUNKED else head.length)

    def _made_by(self, factory: Any) -> Any:
        """A request of the app's own kind, with all that it may look at without asking."""
        if INonQueuedRequestFactory.providedBy(factory):
            request = factory(self)
        else:
            request = factory(self, False)
        request.client = self.client_address()
        request.requestHeaders = self.read_headers()
        request.parseCookies()
        return request

    # ---- for the channel

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""
        self._request.handleContentChunk(data)

    def requestReceived(self) -> None:
        """The request is whole: the app may answer, now or later."""
        self._request.requestReceived(self._head.method, self._target, self._head.version)

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone; the app hears of it through ``notifyFinish``."""
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
            # It refers to the request, and the request to it.
            request.producer = None

    # ---- for the request

    def client_address(self) -> Any:
        """The true client's address: the peer's, unless trusted peers name another."""
        policy = self._channel.worker.policy
        client = true_client(self._head, self._peer, policy.trusted, policy.forwarded_first)
        return self.transport.getPeer() if client is None else _address(*client)

    def read_headers(self) -> Headers:
        """The fields of the head, as apps read them."""
        headers = Headers()
        for name, value in self._head.fields:
            headers.addRawHeader(name, value)
        if self._authority is not None:
            headers.setRawHeaders(b"host", [self._authority])
        return headers

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Write the head of the answer. Persistence is ours, not the app's."""
        self.begun = True
        self.status = int(code)
        lines = [b"%b %b %b\r\n" % (version, code, reason)]
        coding = b""
        upgrade = b""
        sized = code in _NO_BODY or self._head.method == b"HEAD"
        # `Headers` writes every name in one way only.
        for name, values in headers.getAllRawHeaders():
            if name == b"Connection":
                options = b",".join(values).lower()
                self._last = self._last or b"close" in options
                if code == b"101":
                    upgrade = b",".join(values)
                continue
            if name == b"Transfer-Encoding":
                coding = values[-1]
                continue
            if name == b"Content-Length" and not sized:
                self._declared = int(values[0])
            for value in values:
                lines.append(b"%b: %b\r\n" % (name, value))
        worker = self._channel.worker
        if worker.header_line:
            lines.append(worker.header_line)
        if self._declared is None and not coding and not sized:
            # Only the end of the connection can end this answer (RFC 9112, 6.3).
            self._last = True
        if upgrade:
            lines.append(b"Connection: %b\r\n" % upgrade)
        elif self._last or worker.closing:
            self._last = True
            lines.append(b"Connection: close\r\n")
        elif b"keep-alive" in self._head.connection:
            lines.append(b"Connection: keep-alive\r\n")
        if coding:
            lines.append(b"Transfer-Encoding: %b\r\n" % coding)
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def write(self, data: bytes) -> None:
        """Write part of the answer's body."""
        self.transport.write(data)

    def writeSequence(self, iovec: Any) -> None:
        """Write parts of the answer's body."""
        self.transport.writeSequence(iovec)

    def requestDone(self, request: Any) -> None:
        """The answer is whole."""
        declared = self._declared
        if declared is not None and declared != request.sentLength:
            # The client would take the next answer for the rest of this one.
            self._last = True
        # The request may be kept, and keeps us: so nothing goes round in a circle.
        self._request = None
        self._channel.answered(self, self._last)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer write at the pace of the client."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer has nothing more to write."""
        self.transport.unregisterProducer()

    def loseConnection(self) -> None:
        """End the connection when everything written has gone out."""
        self.transport.loseConnection()

    def getPeer(self) -> Any:
        """The peer's address; the client's is ``request.getClientAddress()``."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Our address."""
        return self.transport.getHost()

    def isSecure(self) -> bool:
        """Whether the client came over TLS, as a trusted peer that ended it tells."""
        trusted = self._channel.worker.policy.trusted
        return forwarded_proto(self._head, self._peer, trusted) == "https"

    def _respondToBadRequestAndDisconnect(self) -> None:
        """For `Request.requestReceived`: a multipart body that cannot be read."""
        self._channel.refuse(Refusal(400, "malformed multipart body"))

    def _protocolUpgradeForWebsockets(self, protocol: Any) -> None:
        """For `twisted.web.websocket`: the connection is the protocol's from now on."""
        # Whatever has these words is a `WebSocketTransport`; another protocol is cut.
        goodbye = getattr(protocol, "loseConnection", None)
        self._channel.pin(None if goodbye is None else partial(goodbye, GOING_AWAY))
        transport = self.transport
        transport.protocol = protocol
        protocol.makeConnection(transport)
