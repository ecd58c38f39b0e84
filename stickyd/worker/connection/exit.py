"""How a connection leaves HTTP or the worker: it moves, ends in order, is refused, is lost, or
an app takes it over.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from stickyd.http1.error_response import BUSY, Refusal
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.lingering_close import end_connection
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.lingering import Parting
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.transport import ClientTransport
from stickyd.worker.connection.upgraded import Upgraded
from stickyd.worker.interfaces import Exchange

Put = Callable[[bytes, int, Callable[[bool], None], Entry | None], None]


class Leaving:
    """What a worker has of a connection, and the ways to give it up.

    :ivar deadline: for the sweeper, in the reactor's seconds.
    """

    def __init__(self, worker: Any, frame: Frame, descriptor: int) -> None:
        self.worker = worker
        self.frame = frame
        self.transport = ClientTransport(worker.reactor, worker.poller, descriptor, frame, self)
        self.state = State.HEAD
        self.deadline: float | None = None
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._logged: LoggedRequest | None = None
        self._upgraded: Upgraded | None = None

    def pin(self, upgraded: Upgraded) -> None:
        """The app has taken the connection over, for as long as it lives (RFC 9110, 7.8)."""
        self.state = State.PINNED
        self.deadline = None
        self._upgraded = self.transport.protocol = upgraded
        self.worker.counters.pinned += 1
        # What arrived behind the request is for the new protocol, once it is set up.
        self.worker.reactor.callLater(0, self.hand_over)

    def hand_over(self) -> None:
        """Give what arrived before the new protocol was set up to it."""
        held, self._buffer = self._buffer, b""
        if held and self.state is State.PINNED:
            # It may have been more than is read ahead.
            self.transport.startReading()
            self.transport.protocol.dataReceived(held)

    def close_gracefully(self) -> None:
        """The time of the worker is over: end, in words if the app has any for it."""
        if self.state is State.PINNED and self._upgraded is not None:
            self._upgraded.close_gracefully()
        else:
            self.transport.abortConnection()

    def part_after_upgrade(self) -> None:
        """For the transport: the app has ended a connection that it had taken over, all is sent.

        The client may be sending on, which must not cost it the last words (RFC 9112, 9.6).
        """
        protocol = self.transport.protocol
        reason = Failure(ConnectionDone())
        self._linger(b"")
        exchange = self._end_exchange()
        if exchange is not None:
            exchange.connectionLost(reason)
        protocol.connectionLost(reason)

    def move(self, slot: int) -> None:
        """Give the connection to another slot, with what has not been served yet."""

        def moved() -> None:
            self.worker.counters.moved[slot] += 1

        version = self.worker.policy.table.version
        message = self._next_frame(Kind.MOVED, version)
        self._send(partial(self.worker.ways.put, slot), message, moved)

    def pass_on(self) -> None:
        """Give the connection to this slot's other worker, with what has not been served yet."""

        def passed() -> None:
            self.worker.counters.passed += 1

        put = partial(self.worker.ways.put_by, self.worker.known.other())
        self._send(put, self._next_frame(Kind.MOVED, self.frame.table), passed)

    def give_back(self) -> None:
        """Put the connection back, with what has been read, for the worker that comes after us."""

        def returned() -> None:
            self.worker.counters.returned += 1

        # Still placed as it was: in connection scope it may go elsewhere only
        # if the slots have changed since.
        message = self._next_frame(Kind.RETURNED, self.frame.table)
        put = partial(self.worker.ways.put_after, self.frame.connection)
        self._send(put, message, returned)

    def _next_frame(self, kind: Kind, version: int) -> bytes:
        frame = self.frame
        left = 0
        if kind is Kind.RETURNED and self.deadline is not None and self._buffer:
            left = max(1, int((self.deadline - self.worker.reactor.seconds()) * 1000))
        return Frame(
            kind,
            frame.connection,
            frame.peer,
            frame.local,
            frame.listener,
            left,
            version,
            frame.hops + 1,
            self._buffer,
            frame.entry,
        ).encode()

    def _send(self, put: Put, message: bytes, sent: Callable[[], None]) -> None:
        self.state = State.ROOM
        self.deadline = None
        self.transport.stopReading()

        def done(has_it: bool) -> None:
            if self.state is not State.ROOM:
                return
            if has_it:
                sent()
                self.worker.moved(self)
                self.transport.entry = None
                os.close(self._detach())
            elif self._buffer:
                self.refuse(BUSY)
            else:
                self.close()

        put(message, self.transport.fileno(), done, self.transport.entry)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal and end; what lies behind it is never read as a request."""
        self.worker.counters.refused[refusal.status] += 1
        asked = self._exchange
        begun = asked is not None and asked.begun
        last = b"" if begun else refusal.response(to_head=asked is not None and asked.to_head)
        exchange = self._end_exchange(refusal.status, len(last))
        if exchange is not None:
            exchange.connectionLost(Failure(ConnectionDone(refusal.why)))
        self._linger(last)

    def close(self, *, may_send: bool = False) -> None:
        """End in order: everything written still goes out.

        :param may_send: the client has just been answered and may be sending on,
            which must not cost it the answer (RFC 9112, 9.6).
        """
        transport = self.transport
        if may_send or self._buffer or not transport.flushed() or transport.queued():
            self._linger(b"")
        else:
            entry = self.transport.entry
            end_connection(self._detach(), copied=entry is not None)
            self.worker.ended(entry)
            self.transport.release()

    def _linger(self, last: bytes) -> None:
        transport = self.transport
        parts = transport.unsent()
        if last:
            parts.append(last)
        Parting(self.worker, self._detach(watched=True), parts, transport.entry)
        transport.release()

    def lose(self) -> None:
        """For the transport: the app has asked for the end, and what it had written is sent."""
        reason = Failure(ConnectionDone())
        protocol = self.transport.protocol
        due = self.state is not State.PINNED
        exchange = self._end_exchange()
        self._linger(b"")
        if exchange is not None:
            self.worker.counters.lost += due
            exchange.connectionLost(reason)
        if protocol is not self:
            protocol.connectionLost(reason)

    def _detach(self, *, watched: bool = False) -> int:
        """Forget the connection; the descriptor is the caller's.

        :param watched: the poller goes on to watch it for reading.
        """
        self.state = State.OVER
        self._buffer = b""
        self._goodbye = None
        self.deadline = None
        descriptor = self.transport.detach(watched=watched)
        self.worker.forget(self)
        return descriptor

    def _end_exchange(self, status: int = 0, size: int = 0) -> Exchange | None:
        """Take the exchange: it has been answered, or will never be.

        :param status: what is said in its place unless it has begun to answer, in ``size`` bytes.
        """
        exchange, self._exchange = self._exchange, None
        if self._logged is not None:
            logged, self._logged = self._logged, None
            begun = exchange is not None and exchange.status
            logged.answered(begun or status, self.transport.written() + size)
        if exchange is not None and self.worker.balance is not None:
            self.worker.balance.row.ended()
        return exchange

    def connectionLost(self, reason: Failure) -> None:
        """For the transport: the connection has ended."""
        # Nothing is due to a client whose connection an app has taken over.
        due = self.state is not State.PINNED
        self.state = State.OVER
        self._buffer = b""
        self._goodbye = None
        self.deadline = None
        self.worker.ended(self.transport.entry)
        self.worker.forget(self)
        exchange = self._end_exchange()
        if exchange is not None:
            self.worker.counters.lost += due
            exchange.connectionLost(reason)
