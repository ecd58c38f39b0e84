"""A connection that a WSGI app takes out of the environment, for a protocol of its own (WebSocket).

WSGI has no interface for that. Libraries (simple_websocket, and with it flask-sock and
python-engineio) look for a socket where a server of their choice puts it: ``werkzeug.socket``.
"""

import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure
from twisted.python.threadable import isInIOThread

from stickyd.http1.head_parser import Head
from stickyd.net.lingering_close import LINGER_MOST
from stickyd.worker.apps.web import WebExchange
from stickyd.worker.connection.upgraded import SERVICE_RESTART
from stickyd.worker.interfaces import ClientChannel

KEY = "werkzeug.socket"
"""Where the environment has the socket."""

_SWITCHING = b"HTTP/1.1 101 "


def offers_websocket(head: Head) -> bool:
    """Whether the client offers a WebSocket (RFC 6455, 4.1)."""
    if head.method != b"GET" or not head.wants_upgrade or head.length:
        return False
    return any(value.lower() == b"websocket" for value in head.values(b"upgrade"))


class TakenSocket(socket.socket):
    """A blocking socket of the app's: a copy of the connection's descriptor.

    ``send`` sends everything, as libraries expect of a blocking socket, and one call after the
    other, since they call it from several threads. A client that takes nothing for so long ends
    the connection.

    :param unread: what the client has sent and nobody has read.
    :param send_timeout: seconds.
    :param complete: called with a handshake that is sent first; returns what is sent in its place.
    :param closed: called once, when the app closes the socket.
    """

    def __init__(
        self,
        descriptor: int,
        unread: bytes,
        send_timeout: float,
        complete: Callable[[bytes], bytes],
        closed: Callable[[], None],
    ) -> None:
        super().__init__(fileno=descriptor)
        self._unread = unread
        self._send_timeout = send_timeout
        self._complete: Callable[[bytes], bytes] | None = complete
        self._on_close: Callable[[], None] | None = closed
        self._sending = threading.Lock()
        self.switched = False
        self.sent = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.socket.recv`."""
        if self._unread and not flags:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        return super().recv(size, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """As `socket.socket.send`, but for what the class says.

        :raise TimeoutError: if the client takes nothing.
        """
        whole = bytes(data)
        size = len(whole)
        with self._sending:
            complete, self._complete = self._complete, None
            if complete is not None and whole.startswith(_SWITCHING):
                whole = complete(whole)
                self.switched = True
            self._send_all(memoryview(whole), flags)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As `send`."""
        self.send(data, flags)

    def _send_all(self, left: memoryview, flags: int) -> None:
        while left:
            try:
                sent = super().send(left, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                room = select.poll()
                room.register(self.fileno(), select.POLLOUT)
                if not room.poll(self._send_timeout * 1000):
                    with suppress(OSError):
                        self.shutdown(socket.SHUT_RDWR)
                    raise TimeoutError("the client takes nothing") from None
            else:
                self.sent += sent
                left = left[sent:]

    def close(self) -> None:
        """As `socket.socket.close`; the connection ends."""
        super().close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def end(self) -> None:
        """End a thread of a library that still reads: it would keep descriptor and process."""
        if self.fileno() >= 0:
            with suppress(OSError):
                self.shutdown(socket.SHUT_RDWR)
            self.close()

    def go_away(self) -> None:
        """The worker ends: say so to the client, if no frame is being sent; then end.

        Called in the reactor's thread.
        """
        if self.fileno() < 0:
            return
        with suppress(OSError):
            if self.switched and self._sending.acquire(blocking=False):
                try:
                    super().send(SERVICE_RESTART, socket.MSG_DONTWAIT)
                finally:
                    self._sending.release()
            self.shutdown(socket.SHUT_RDWR)


class LazySocket:
    """In the environment: takes the connection when it is used first, in any way.

    :param take: gives the socket.
    """

    def __init__(self, take: Callable[[], TakenSocket]) -> None:
        self._take = take

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._take(), name)


class Taken:
    """The worker's side of it, in place of the channel's receiver; of the reactor's thread.

    The channel keeps its descriptor, which it neither reads nor writes, and everything that the
    worker notes about the connection.

    :param exchange: of the request that the app answers by itself.
    :ivar closes: there is a way to close in order.
    :ivar socket: the app's.
    """

    closes = True

    def __init__(self, reactor: Any, exchange: WebExchange) -> None:
        self._reactor = reactor
        self._unread = b""
        self._channel: ClientChannel | None = exchange.give_to_app(self)
        self._channel.deliver_held()
        transport = self._channel.transport
        transport.stopReading()
        descriptor = transport.fileno()
        os.set_blocking(descriptor, True)

        def complete(head: bytes) -> bytes:
            if isInIOThread():
                return exchange.handshake(head)
            return blockingCallFromThread(reactor, exchange.handshake, head)

        self.socket = TakenSocket(
            os.dup(descriptor),
            self._unread,
            self._channel.context.config.timeouts.send,
            complete,
            lambda: reactor.callFromThread(self.finish),
        )

    def finish(self) -> None:
        """The app has closed its socket, or has returned."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        transport = channel.transport
        os.set_blocking(transport.fileno(), False)
        transport.sent_by_app(self.socket.sent)
        transport.channel.close_after_upgrade()
        # Not before: it would keep the client's last bytes from being read.
        self._reactor.callLater(LINGER_MOST, self.socket.end)

    # ---- for the channel

    def dataReceived(self, data: bytes) -> None:
        """What came behind the request."""
        self._unread += data

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended here; the app's socket has, too, or will."""
        if self._channel is not None:
            self._channel = None
            self.socket.go_away()

    def sent(self) -> None:
        """Nothing is written here."""

    def close_gracefully(self) -> None:
        """The worker ends."""
        self.socket.go_away()
