"""A connection that the master owns: accepted, and its first head not complete yet."""

import socket
from typing import Any, Protocol

from stickyd.core.head_reader import read_head
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.ipc.exec_state import Packed, as_bytes, as_text, close_on_exec, keep_on_exec
from stickyd.master.frontend.reception import Reception
from stickyd.net.address import Address, canonical
from stickyd.net.lingering_close import LingeringClose

PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class ListenerOfPending(Protocol):
    """What a pending connection needs of the listener that accepted it.

    :ivar index: number of the listener, from 0.
    :ivar own: local address of every connection; None if each socket has to be asked.
    :ivar silent_timeout: seconds for the head of a client that was accepted without having
        sent anything.
    :ivar waiting: connections that wait for data.
    """

    reception: "Reception[PendingHead]"
    index: int
    own: Address | None
    silent_timeout: float
    waiting: "set[PendingConnection]"

    def no_longer_waiting(self, connection: "PendingConnection") -> None:
        """Remove a connection from ``waiting``."""


class PendingConnection:
    """A connection that the master owns, and for whose data it may have to wait.

    :ivar deadline: in the reactor's seconds; None until the first wait, since most
        connections bring their first head at once.
    """

    def __init__(
        self,
        listener: ListenerOfPending,
        sock: socket.socket,
        peer: Address | None,
        deadline: float | None = None,
    ) -> None:
        self._listener = listener
        self._reception = listener.reception
        self.socket = sock
        self.peer = peer
        self.deadline = deadline
        self._waits = False

    def on_readable(self) -> None:
        """Read the available data and act on it."""
        raise NotImplementedError

    def expired(self) -> None:
        """For the sweeper: the deadline is over."""
        raise NotImplementedError

    def dismiss(self) -> None:
        """End the connection, because the listener stops."""
        raise NotImplementedError

    def pack(self, now: float) -> Packed:
        """The connection at ``now``, in the reactor's seconds, for the next program."""
        left = self.deadline - now if self.deadline is not None else None
        return {"fd": keep_on_exec(self.socket.fileno()), "peer": self.peer, "left": left}

    def release(self) -> None:
        """Close this process's copy of the descriptor: another process owns the connection."""
        self._unregister()
        self.socket.close()

    def end(self) -> None:
        """Close the connection without a response."""
        self.release()
        self._reception.admission.leave()

    def vanish(self) -> None:
        """Close and count a connection that the client has closed."""
        self._reception.counters.vanished += 1
        self.end()

    def _receive(self, most: int, flags: int) -> bytes:
        """The available data; empty after registering for more, or after the client closed."""
        try:
            data = self.socket.recv(most, flags)
        except BlockingIOError:
            self._wait(self._listener.silent_timeout)
            return b""
        except OSError:
            data = b""
        if not data:
            self.vanish()
        return data

    def _wait(self, timeout: float | None = None) -> None:
        """Wait for more data.

        :param timeout: seconds, if there is no deadline yet; None for the time of a head.
        """
        if not self._waits:
            self._waits = True
            reception = self._reception
            if self.deadline is None:
                seconds = reception.head_timeout if timeout is None else timeout
                self.deadline = reception.reactor.seconds() + seconds
            self._listener.waiting.add(self)
            reception.sweeper.add(self)
            reception.reactor.addReader(self)

    def _unregister(self) -> None:
        """Unregister from reactor and sweeper, before anything else is done to the descriptor."""
        if self._waits:
            self._waits = False
            self._reception.reactor.removeReader(self)
            self._reception.sweeper.discard(self)
            self._listener.no_longer_waiting(self)

    def resume(self) -> None:
        """Continue a connection of the previous program."""
        if self.deadline is None:
            self.on_readable()
        else:
            self._wait()

    def fileno(self) -> int:
        """For the reactor."""
        return self.socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "pending"

    def doRead(self) -> None:
        """For the reactor."""
        self.on_readable()

    def connectionLost(self, reason: object) -> None:
        """For the reactor: the client has reset the connection."""
        if self._waits:
            self.vanish()


class PendingHead(PendingConnection):
    """A connection whose first head is being read.

    Peeks once. A complete head stays in the socket, for the worker to read. An
    incomplete one is consumed and collected in ``unread``: peeking again at bytes
    that stay would wake a level-triggered epoll without end and cost quadratic time.

    :param announced: local address as a PROXY header names it; None to ask the socket.
    :param taken: bytes of the PROXY header that were consumed.
    :param tls: record of a client with a certificate (`stickyd.ipc.over_tls`).
    """

    def __init__(
        self,
        listener: ListenerOfPending,
        sock: socket.socket,
        peer: Address | None,
        deadline: float | None = None,
        announced: Address | None = None,
        taken: int = 0,
        tls: bytes = b"",
    ) -> None:
        super().__init__(listener, sock, peer, deadline)
        self.index = listener.index
        self.unread = b""
        self.taken = taken
        self.tls = tls
        self.connection = next(self._reception.numbers)
        self.announced = announced

    def local(self) -> Address | None:
        """Local address of the connection; None on a Unix socket.

        :raise OSError: if the client has closed the connection.
        """
        if self.announced is not None or self.peer is None:
            return self.announced
        if self._listener.own is not None:
            return self._listener.own
        host, port = self.socket.getsockname()[:2]
        return canonical(host) or host, port

    def on_readable(self) -> None:
        """Read the available data; dispatch, refuse or wait."""
        limits = self._reception.limits
        scanned = len(self.unread)
        most = limits.head + 1 - scanned
        data = self._receive(most, socket.MSG_DONTWAIT if scanned else PEEK)
        if not data:
            return
        head = read_head(self.unread + data, limits, scanned)
        if isinstance(head, Head):
            if scanned:
                self.unread += data
            self._unregister()
            self._reception.dispatch(self, head)
            return
        if not scanned:
            data = self.socket.recv(len(data), socket.MSG_DONTWAIT)
        self.unread += data
        if head is None:
            self._wait()
        else:
            self.refuse(head)

    def refuse(self, refusal: Refusal) -> None:
        """Send an error response and close."""
        self._reception.counters.refused[refusal.status] += 1
        self.finish(refusal.response())

    def finish(self, last: bytes) -> None:
        """Send a response and close."""
        self._unregister()
        reception = self._reception
        self.socket.setblocking(False)
        over = reception.admission.leave
        LingeringClose(reception.reactor, reception.sweeper, self.socket, last, over)

    def head_left(self) -> int:
        """Milliseconds until the head must be complete; 0 if no deadline is set yet."""
        if self.deadline is None:
            return 0
        return max(1, int((self.deadline - self._reception.reactor.seconds()) * 1000))

    def expired(self) -> None:
        """For the sweeper: the head was not complete in time."""
        self._refuse_begun(Refusal(408, "request head not complete in time"))

    def dismiss(self) -> None:
        """Refuse the request, because the listener stops."""
        self._refuse_begun(Refusal(503, "shutting down"))

    def _refuse_begun(self, refusal: Refusal) -> None:
        """Refuse a request that has begun; close without a response if no byte has come.

        A client that connects in advance would take the response for the one to its
        next request. A PROXY header comes from the proxy, not from the client.
        """
        if self.unread:
            self.refuse(refusal)
        else:
            self._reception.counters.silent += 1
            self.end()

    def pack(self, now: float) -> Packed:
        """The connection for the program that replaces this one."""
        return {
            **super().pack(now),
            "announced": self.announced,
            "number": self.connection,
            "taken": self.taken,
            "unread": as_text(self.unread),
            "tls": as_text(self.tls),
        }

    @classmethod
    def unpack(cls, packed: Packed, listener: ListenerOfPending, now: float) -> "PendingHead":
        """A connection that the previous program packed."""
        sock, peer, deadline = unpack_common(packed, now)
        connection = cls(listener, sock, peer, deadline, unpack_address(packed["announced"]))
        connection.connection = packed["number"]
        connection.unread = as_bytes(packed["unread"])
        connection.taken = packed["taken"]
        connection.tls = as_bytes(packed["tls"])
        return connection


def unpack_common(packed: Packed, now: float) -> tuple[socket.socket, Address | None, float | None]:
    """Socket, peer and deadline, from what `PendingConnection.pack` returned."""
    sock = socket.socket(fileno=close_on_exec(packed["fd"]))
    left = packed["left"]
    return sock, unpack_address(packed["peer"]), None if left is None else now + left


def unpack_address(packed: list[Any] | None) -> Address | None:
    """An address, which JSON has as a list."""
    return (packed[0], packed[1]) if packed is not None else None
