"""An upgraded connection over a real transport, and the apps behind it."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource

from stickyd.settings import Settings, Timeouts
from tests.slow.websocket_cases.frames import Frame, FrameReader
from tests.support.daemon import request
from tests.support.one_connection import OneConnection

TIMEOUT = 10.0

MOST = 100_000

AHEAD = 65536
"""Bytes that may wait for the client before nothing more is read."""

OFFER = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Speaker:
    """An app's end of a WebSocket; what it does with a message is the test's to say."""

    def __init__(self) -> None:
        self.heard: list[str | bytes | bytearray] = []
        self.pongs: list[bytes] = []
        self.reasons: list[Any] = []
        self.answer: Callable[[Any], None] = lambda message: None

    def echo(self, message: Any) -> None:
        if isinstance(message, str):
            self.transport.sendTextMessage(message)
        else:
            self.transport.sendBytesMessage(message)

    def buildProtocol(self, asked: Any) -> "Speaker":
        return self

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.heard.append(message)
        self.answer(message)

    def bytesMessageReceived(self, message: bytes | bytearray) -> None:
        self.heard.append(message)
        self.answer(message)

    def pongReceived(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def connectionLost(self, reason: Any) -> None:
        self.reasons.append(reason)


class RawEcho(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Raw(Resource):
    """Another protocol than WebSocket."""

    def render_GET(self, asked: Any) -> Any:
        transport = asked.channel.transport
        asked.channel._protocolUpgradeForWebsockets(RawEcho())
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
        return NOT_DONE_YET


class Taken(Resource):
    """The app takes the transport without a word, as Autobahn's resource does."""

    def render_GET(self, asked: Any) -> Any:
        transport, asked.channel.transport = asked.channel.transport, None
        transport.protocol = protocol = RawEcho()
        protocol.makeConnection(transport)
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
        return NOT_DONE_YET


class Stream(Resource):
    """An answer that the test goes on writing."""

    def render_GET(self, asked: Any) -> Any:
        self.request = asked
        asked.write(b"begun")
        return NOT_DONE_YET


class Upgraded(OneConnection):
    settings = Settings(workers=1, timeouts=Timeouts(send=TIMEOUT))

    def resource(self) -> Resource:
        root = Resource()
        self.speaker = Speaker()
        self.stream = Stream()
        root.putChild(b"ws", WebSocketResource(self.speaker))
        root.putChild(b"raw", Raw())
        root.putChild(b"taken", Taken())
        root.putChild(b"stream", self.stream)
        return root

    def setUp(self) -> None:
        super().setUp()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.reader = FrameReader()

    def upgrade(self, path: str = "/ws", behind: bytes = b"") -> None:
        self.begin(request("10.0.0.1", path)[:-2] + OFFER + behind)
        while b"\r\n\r\n" not in self.got:
            self.take(1)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 101 "), self.got)
        self.got = b""

    def push(self, data: bytes) -> int:
        """Send until the worker takes no more; the bytes sent."""
        at, view = 0, memoryview(data)
        while at < len(data):
            self.reactor.settle()
            try:
                at += self.client.send(view[at:], socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
        self.reactor.settle()
        return at

    def unsent(self) -> int:
        return self.channel.transport.waiting()

    def frames(self) -> list[Frame]:
        """What has come since the last time."""
        self.take(100_000)
        self.reader.add(self.got)
        self.got = b""
        return list(self.reader.frames())
