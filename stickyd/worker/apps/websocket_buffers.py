"""Where `twisted.web.websocket` gathers the fragments of a message, at linear cost.

Twisted 26.10 appends each fragment to an immutable string, which costs the square of their number.
Its buffers have no public name: where they are not found, Twisted's own stay.
"""

from typing import Any, cast

from stickyd.http1.websocket_frames import FrameMeter
from stickyd.worker.apps.websocket.keepalive import PING_TIMEOUT, REASON, Keepalive
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.upgraded import Upgraded, send_close
from stickyd.worker.handover.web import prepare, take_over
from stickyd.worker.interfaces import ClientChannel


class BytesBuffer:
    """A binary message."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, new: bytes | bytearray) -> None:
        """Append a fragment."""
        self._data += new

    def done(self) -> bytes:
        """The message; the next fragment begins another one."""
        whole = bytes(self._data)
        self._data = bytearray()
        return whole


class TextBuffer:
    """A text message, kept as UTF-8: many short strings would take many times their length."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, new: str) -> None:
        """Append a fragment."""
        self._data += new.encode()

    def done(self) -> str:
        """The message; the next fragment begins another one."""
        whole = self._data.decode()
        self._data = bytearray()
        return whole


def gather_linearly(protocol: object) -> bool:
    """Give the WebSocket protocol of `twisted.web.websocket` buffers of ours; whether it has.

    To be called before it is given anything.
    """
    names = ("_bytesBuffer", "_textBuffer")
    for name in names:
        buffer = getattr(protocol, name, None)
        if not (callable(getattr(buffer, "add", None)) and callable(getattr(buffer, "done", None))):
            return False
    for name, buffer in zip(names, (BytesBuffer(), TextBuffer()), strict=True):
        setattr(protocol, name, buffer)
    return True


def upgraded(channel: ClientChannel, protocol: Any, *, websocket: bool) -> Upgraded:
    """The receiver of a connection that a protocol takes over.

    :param websocket: it speaks WebSocket.
    """
    take_over(channel, protocol)
    meter = None
    if websocket:
        meter = FrameMeter(channel.context.config.websocket.message)
        gather_linearly(protocol)
    receiver = Upgraded(
        channel,
        protocol.dataReceived,
        lost=protocol.connectionLost,
        # A `WebSocketTransport` has this method; any other protocol is reset.
        close=getattr(protocol, "loseConnection", None),
        meter=meter,
    )
    if websocket:
        prepare(cast(Connection, channel), protocol, receiver)
        keep_alive(channel, protocol, receiver)
    return receiver


def keep_alive(channel: ClientChannel, protocol: Any, receiver: Upgraded) -> None:
    """Send pings from now on, if the protocol has the means of `WebSocketTransport`."""
    context = channel.context
    settings, close = context.config.websocket, getattr(protocol, "loseConnection", None)
    if not (settings.ping_interval and close and callable(getattr(protocol, "ping", None))):
        return

    def fail() -> None:
        send_close(channel.transport, lambda code: close(code, REASON), PING_TIMEOUT)

    receiver.keepalive = Keepalive(context.reactor, settings, receiver, protocol, fail)
