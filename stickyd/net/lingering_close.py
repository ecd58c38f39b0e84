"""Send a last response and close without a reset (RFC 9112, 9.6).

Closing a socket that still has unread bytes makes the kernel send RST, which
can discard the response before the client reads it. So: write, shut down
sending, read until the client closes or a timeout expires, then close.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from stickyd.net.timeouts import Sweeper

LINGER_SILENCE = 2.0
"""Seconds without data from the client before the close."""

LINGER_MOST = 10.0
"""Seconds until the close, at most."""

_READS_A_TURN = 16

_FAMILY, _STREAM = int(socket.AF_INET), int(socket.SOCK_STREAM)


class LingeringClose:
    """Writes the rest of a response to a non-blocking socket, then closes it.

    :param over: called once, when the socket is closed.
    """

    def __init__(
        self,
        reactor: Any,
        sweeper: Sweeper,
        sock: socket.socket,
        last: bytes,
        over: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._over = over
        self._sweeper = sweeper
        self._socket = sock
        self._last = memoryview(last)
        self._sent = False
        self._until = reactor.seconds() + LINGER_MOST
        self.deadline: float | None = reactor.seconds() + LINGER_SILENCE
        sweeper.add(self)
        self._go_on()

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "closing"

    def doWrite(self) -> None:
        """For the reactor."""
        self._go_on()

    def doRead(self) -> None:
        """For the reactor."""
        self._go_on()

    def connectionLost(self, reason: object) -> None:
        """For the reactor: the client disconnected."""
        self._close()

    def expired(self) -> None:
        """For the sweeper: the timeout has expired."""
        self._close()

    def _go_on(self) -> None:
        try:
            if self._sent or self._send_last():
                self._drain()
        except OSError:
            self._close()

    def _send_last(self) -> bool:
        try:
            self._last = self._last[self._socket.send(self._last) :]
            self._extend()
        except BlockingIOError:
            pass
        if self._last:
            self._reactor.addWriter(self)
            return False
        self._reactor.removeWriter(self)
        self._socket.shutdown(socket.SHUT_WR)
        self._sent = True
        return True

    def _drain(self) -> None:
        for _ in range(_READS_A_TURN):
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            if not data:
                self._close()
                return
            self._extend()
        self._reactor.addReader(self)

    def _extend(self) -> None:
        self.deadline = min(self._until, self._reactor.seconds() + LINGER_SILENCE)

    def detach(self) -> tuple[socket.socket, bytes]:
        """Return the socket and the bytes not yet written; the caller owns both."""
        self.deadline = None
        self._sweeper.discard(self)
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        last, self._last = bytes(self._last), memoryview(b"")
        return self._socket, last

    def _close(self) -> None:
        if self.deadline is None:
            return
        self.detach()[0].close()
        self._over()


def send_and_close(sock: socket.socket, last: bytes) -> None:
    """Send ``last`` and close, as well as is possible without waiting.

    Bytes that have arrived are read first: unread bytes make the kernel send RST.
    """
    with contextlib.suppress(OSError), sock:
        sock.setblocking(False)
        sock.send(last)
        sock.shutdown(socket.SHUT_WR)
        for _ in range(_READS_A_TURN):
            if not sock.recv(65536):
                break


def end_connection(descriptor: int, copied: bool) -> None:
    """Close a connection after its last byte.

    :param copied: another process has a copy of the descriptor, which would keep it open.
    """
    if not copied:
        os.close(descriptor)
        return
    # The family does not matter for shutdown(2).
    sock = socket.socket(_FAMILY, _STREAM, 0, descriptor)
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It has ended already.
    os.close(sock.detach())
