"""twisted.web apps: an exchange under the unchanged `twisted.web.server.Request` and `Site`."""

from functools import lru_cache, partial
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.server import Site

from stickyd.routing.client import forwarded_proto, true_client
from stickyd.wire.head import CHUNKED, Head, origin_form
from stickyd.wire.refusal import Refusal
from stickyd.worker.channel import Channel

GOING_AWAY = 1012
"""The worker ends and another one takes its place: "service restart" in the WebSocket registry
of close codes (RFC 6455, 11.7)."""

_NO_BODY = frozenset(NO_BODY_CODES)


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
        self._last = not head.keep_alive
        self._declared: int | None = None
        factory = site.requestFactory
        if INonQueuedRequestFactory.providedBy(factory):
            request = factory(self)
        else:
            request = factory(self, False)
        self._request = request
        self._peer: str | None = channel.frame.peer[0] if channel.frame.peer else None
        policy = channel.worker.policy
        client = true_client(head, self._peer, policy.trusted, policy.forwarded_first)
        if client is not None:
            request.client = _address(*client)
        target, authority = origin_form(head)
        self._target = target
        add = request.requestHeaders.addRawHeader
        for name, value in head.fields:
            add(name, value)
        if authority is not None:
            request.requestHeaders.setRawHeaders(b"host", [authority])
        request.parseCookies()
        request.gotLength(None if head.length == CHUNKED else head.length)

    # ---- for the channel

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""
        self._request.handleContentChunk(data)

    def requestReceived(self) -> None:
        """The request is whole: the app may answer, now or later."""
        self._request.requestReceived(self._head.method, self._target, self._head.version)

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone; the app hears of it through ``notifyFinish``."""
        self._request.connectionLost(reason)

    # ---- for the request

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Write the head of the answer. Persistence is ours, not the app's."""
        self.begun = True
        lines = [b"%b %b %b\r\n" % (version, code, reason)]
        coding = b""
        upgrade = b""
        sized = int(code) in _NO_BODY or self._request.method == b"HEAD"
        for name, values in headers.getAllRawHeaders():
            lower = name.lower()
            if lower == b"connection":
                options = b",".join(values).lower()
                self._last = self._last or b"close" in options
                if code == b"101":
                    upgrade = b",".join(values)
                continue
            if lower == b"transfer-encoding":
                coding = values[-1]
                continue
            if lower == b"content-length" and not sized:
                self._declared = int(values[0])
            lines.extend(b"%b: %b\r\n" % (name, value) for value in values)
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
        self.transport.write(b"".join(iovec))

    def requestDone(self, request: Any) -> None:
        """The answer is whole."""
        declared = self._declared
        if declared is not None and declared != request.sentLength:
            # The client would take the next answer for the rest of this one.
            self._last = True
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
