"""Accepts connections, and starts reading each one's PROXY header or head."""

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.ipc.exec_state import Packed
from stickyd.master.frontend.pending import (
    ListenerOfPending,
    PendingConnection,
    PendingHead,
    Reception,
)
from stickyd.master.frontend.proxy_pending import PendingProxyHeader, ProxyRule
from stickyd.net.address import Address, canonical

ACCEPTS_A_TURN = 64
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_SHORT_OF = _NO_DESCRIPTOR | {errno.ENOBUFS, errno.ENOMEM}
_PAUSE_WHEN_SHORT = 0.1

BACKLOG = 1024
"""Connections that wait to be accepted (listen(2)): while the master replaces its own program,
or during a burst. The kernel bounds it by net.core.somaxconn."""

UNSENT_MOST = 128 * 1024
"""Bytes of a response that the kernel buffers beyond the client's window (TCP_NOTSENT_LOWAT).
Otherwise it buffers megabytes for each client that reads slowly, and filling them delays others."""

_ALL = frozenset({"0.0.0.0", "::"})

_Begin = Callable[[ListenerOfPending, socket.socket, Address | None], PendingConnection]

_log = Logger("stickyd")


class Listener:
    """Accepts connections from one listening socket.

    It reads the socket instead of the Twisted port that bound it: a batch of accepts
    per reactor turn, and no transport for a connection that moves on at once.

    :param index: number of the listener, from 0.
    :param port: of Twisted, or a substitute from `stickyd.master.frontend.listen_sockets`.
    :param proxy: peers that must send a PROXY header; None if no connection has one.
    :param ends_with_us: no other process continues with the socket after this one.
    :ivar unix: it is a Unix socket.
    :ivar own: local address of every connection; None if each socket has to be asked.
    """

    def __init__(
        self,
        reception: Reception,
        port: Any,
        index: int,
        proxy: ProxyRule | None = None,
        ends_with_us: bool = True,
    ) -> None:
        self.reception = reception
        self.index = index
        self.proxy = proxy
        self.waiting: set[PendingConnection] = set()
        self._reactor = reception.reactor
        self._short = False
        self._none_waiting: defer.Deferred[None] | None = None
        self._begin: _Begin = (
            PendingHead if proxy is None else partial(PendingProxyHeader, rule=proxy)
        )
        self._port = port
        self._ends_with_us = ends_with_us
        self._socket: socket.socket = port.socket
        port.stopReading()
        self._socket.listen(BACKLOG)
        self.unix = self._socket.family == socket.AF_UNIX
        self.own = None if self.unix else _single(self._socket)
        if not self.unix:
            # Accepted connections inherit both (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MOST)

    def where(self) -> str:
        """The listening address, for the log."""
        name = self._socket.getsockname()
        return f"unix:{name}" if self.unix else f"{name[0]} port {name[1]}"

    def start(self) -> None:
        """Start accepting."""
        self._reactor.addReader(self)

    async def stop(self, patience: float) -> None:
        """Close the port, then wait for heads, then dismiss the connections without one.

        :param patience: seconds to wait for heads. A client that connected just before
            the stop retries after a refused connection, but rarely after a 503.
        """
        self._reactor.removeReader(self)
        if self._ends_with_us:
            # The kernel would reset the connections in the backlog.
            for _ in range(BACKLOG // ACCEPTS_A_TURN):
                self._accept()
        await defer.maybeDeferred(self._port.stopListening)
        if self.waiting and patience > 0:
            self._none_waiting = defer.Deferred()
            self._none_waiting.addTimeout(patience, self._reactor, _ignore_timeout)
            await self._none_waiting
        for connection in list(self.waiting):
            connection.dismiss()

    def no_longer_waiting(self, connection: PendingConnection) -> None:
        """Remove a connection from ``waiting``."""
        self.waiting.discard(connection)
        if self._none_waiting is not None and not self.waiting:
            # Later: it may be dispatched next, or wait for its head after its PROXY header.
            self._reactor.callLater(0, self._check_none_waiting)

    def _check_none_waiting(self) -> None:
        waiter = self._none_waiting
        if waiter is not None and not waiter.called and not self.waiting:
            waiter.callback(None)

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "listener"

    def connectionLost(self, reason: object) -> None:
        """For the reactor; a listening socket has no connection to lose."""

    def doRead(self) -> None:
        """For the reactor."""
        self._accept()

    def _accept(self) -> None:
        """Accept a batch."""
        counters, admission = self.reception.counters, self.reception.admission
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self._pause(error)
                    return
                # Errors of the new connection itself are like EAGAIN (accept(2)).
                continue
            self._short = False
            counters.accepted += 1
            if admission.admit(sock):
                self._begin(self, sock, self._peer(address)).on_readable()

    def _peer(self, address: Any) -> Address | None:
        if self.unix:
            return None
        return canonical(address[0].partition("%")[0]) or address[0], address[1]

    def _pause(self, error: OSError) -> None:
        """Refuse a batch with the reserve descriptor, then pause: the rest wait in the backlog."""
        if not self._short:
            self._short = True
            _log.warn("cannot accept for now: {error} (said once)", error=error)
        if error.errno in _NO_DESCRIPTOR:
            for _ in range(ACCEPTS_A_TURN):
                if not self.reception.admission.refuse_by_reserve(self._socket):
                    break
        self._reactor.removeReader(self)
        self._reactor.callLater(_PAUSE_WHEN_SHORT, self._accept_again)

    def _accept_again(self) -> None:
        if self._socket.fileno() >= 0:
            self._reactor.addReader(self)

    # ---- the master's program is replaced

    def pack(self, now: float) -> list[Packed]:
        """The connections that wait, for the program that replaces this one."""
        return [connection.pack(now) for connection in self.waiting]

    def resume(self, packed: list[Packed], now: float) -> None:
        """Continue with the connections that the previous program packed."""
        for each in packed:
            connection: PendingConnection
            if each["number"] is not None:
                connection = PendingHead.unpack(each, self, now)
            else:
                assert self.proxy is not None
                connection = PendingProxyHeader.unpack(each, self, self.proxy, now)
            connection.resume()


def _single(sock: socket.socket) -> Address | None:
    """The address that ``sock`` listens on; None for all addresses of the machine."""
    host, port = sock.getsockname()[:2]
    own = canonical(host)
    return None if own is None or own in _ALL else (own, port)


def _ignore_timeout(result: object, seconds: float) -> None:
    """The wait is over; not a failure."""
