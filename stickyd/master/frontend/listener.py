"""Accepts connections, and starts reading each one's PROXY header or head."""

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet import defer, task
from twisted.logger import Logger

from stickyd.ipc.exec_state import Packed
from stickyd.master.frontend.pending import (
    ListenerOfPending,
    PendingConnection,
    PendingHead,
)
from stickyd.master.frontend.proxy_pending import PendingProxyHeader, ProxyRule
from stickyd.master.frontend.reception import Reception
from stickyd.net import deferred_accept
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

SILENT_LEAST = 1.0
"""Least seconds for the head of a client that was accepted without having sent anything."""

_LOOK_AGAIN_AFTER = 0.1
"""Seconds between looks for silent clients in the kernel, while a listener stops."""

_Begin = Callable[[ListenerOfPending, socket.socket, Address | None], PendingConnection]

_log = Logger("stickyd")


class Accepting(Protocol):
    """Accepts instead of the listener's own code."""

    def accept(self, most: int) -> None:
        """Accept up to ``most`` connections."""


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
    :ivar silent_timeout: seconds for the head of a client that was accepted without having
        sent anything.
    :ivar lane: accepts instead of this listener, and gives it what it cannot place; or None.
    """

    def __init__(
        self,
        reception: Reception[PendingHead],
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
        self.ends_with_us = ends_with_us
        self.lane: Accepting | None = None
        self.socket: socket.socket = port.socket
        port.stopReading()
        self.socket.listen(BACKLOG)
        self.unix = self.socket.family == socket.AF_UNIX
        self.own = None if self.unix else _single(self.socket)
        # Set by the previous program, or by the process that passed the socket.
        self._read_deferral()
        if not self.unix:
            # Accepted connections inherit both (tcp(7)).
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MOST)

    def where(self) -> str:
        """The listening address, for the log: a URL if it is one of TCP."""
        name = self.socket.getsockname()
        if self.unix:
            return f"unix:{name}"
        host, port = name[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Start accepting."""
        self._reactor.addReader(self)

    def defer_accept(self, seconds: int) -> None:
        """Accept clients when they have sent something, or have been silent for ``seconds``."""
        deferred_accept.defer(self.socket, seconds)
        self._read_deferral()

    def _read_deferral(self) -> None:
        self._deferred = 0 if self.unix else deferred_accept.deferred_for(self.socket)
        # A client that is accepted without data has been silent for the whole period.
        head_timeout = self.reception.head_timeout
        self.silent_timeout = min(head_timeout, max(SILENT_LEAST, head_timeout - self._deferred))

    async def stop(self, patience: float) -> None:
        """Close the port, then wait for heads, then dismiss the connections without one.

        :param patience: seconds to wait for heads. A client that connected just before
            the stop retries after a refused connection, but rarely after a 503.
        """
        until = self._reactor.seconds() + patience
        if self.ends_with_us and self._deferred:
            await self._accept_silent(until)
        self._reactor.removeReader(self)
        if self.ends_with_us:
            # The kernel would reset the connections in the backlog.
            for _ in range(BACKLOG // ACCEPTS_A_TURN):
                self._accept()
        await defer.maybeDeferred(self._port.stopListening)
        patience = until - self._reactor.seconds()
        if self.waiting and patience > 0:
            self._none_waiting = defer.Deferred()
            self._none_waiting.addTimeout(patience, self._reactor, _ignore_timeout)
            await self._none_waiting
        for connection in list(self.waiting):
            connection.dismiss()

    async def _accept_silent(self, until: float) -> None:
        """Accept for longer, while clients that have sent nothing wait in the kernel.

        The kernel would drop them with the socket, although they have connected. Without
        deferred accept it accepts each at its next retransmission, or when it sends something.
        """
        self.defer_accept(0)
        port = self.socket.getsockname()[1]
        while deferred_accept.silent_clients(port) and self._reactor.seconds() < until:
            await task.deferLater(self._reactor, _LOOK_AGAIN_AFTER)

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
        return self.socket.fileno()

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
        if self.lane is not None:
            self.lane.accept(ACCEPTS_A_TURN)
        else:
            self.accept_in_python(ACCEPTS_A_TURN)

    def accept_in_python(self, most: int) -> bool:
        """Accept up to ``most`` connections; whether there may be more."""
        for _ in range(most):
            try:
                sock, address = self.socket.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if not self.accept_failed(error):
                    return False
            else:
                self.take_in(sock, self._peer(address))
        return True

    def accept_failed(self, error: OSError) -> bool:
        """A connection could not be accepted; whether to try the next one now."""
        if error.errno in _SHORT_OF:
            self._pause(error)
            return False
        # Errors of the new connection itself are like EAGAIN (accept(2)).
        return True

    def take_in(self, sock: socket.socket, peer: Address | None) -> None:
        """Start with a connection that has been accepted."""
        self._short = False
        self.reception.counters.accepted += 1
        if self.reception.admission.admit(sock):
            self._begin(self, sock, peer).on_readable()

    def placed(self, count: int) -> None:
        """Count connections that the `lane` has accepted and placed."""
        self._short = False
        self.reception.counters.accepted += count

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
                if not self.reception.admission.refuse_by_reserve(self.socket):
                    break
        self._reactor.removeReader(self)
        self._reactor.callLater(_PAUSE_WHEN_SHORT, self._accept_again)

    def _accept_again(self) -> None:
        if self.socket.fileno() >= 0:
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
