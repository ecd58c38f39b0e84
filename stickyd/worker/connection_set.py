"""The open connections of a worker, and how they end with it."""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from twisted.internet import defer

from stickyd.ipc.frame import Frame
from stickyd.net.spread import Spread
from stickyd.net.timeouts import Expiring, Sweeper
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.transport import ClientTransport

FINAL_FLUSH = 0.4
"""Seconds for the closing messages to reach the clients when the grace period is over."""

MOVED_MOST = 4096
"""Moved connections that are kept, the oldest dropped first."""

_CHECK_AGAIN = 0.02


class Handing(Protocol):
    """The handover of a WebSocket to another worker, while this one retires.

    :ivar offered: it can be handed over, as far as is known.
    """

    @property
    def offered(self) -> bool:
        """See the class."""

    def start(self) -> None:
        """Hand it over as soon as that is possible; only the first call has an effect."""


class Connection(Expiring, Protocol):
    """What the sets ask of a connection.

    :ivar handing: its handover to another worker; None while that is not possible.
    """

    handing: Handing | None
    frame: Frame
    transport: ClientTransport
    keys: tuple[str, ...]
    state: State

    def reattach(self, frame: Frame, descriptor: int) -> None:
        """The connection has come back, after it moved to another worker."""

    def begin(self) -> None:
        """Serve it: it has just been adopted."""

    def idle(self) -> bool:
        """Whether no request has begun and every answer is sent."""

    def in_use(self) -> bool:
        """Whether a request is under way, or the connection is upgraded."""

    def movable(self) -> bool:
        """Whether it is a WebSocket that its app hands over to another worker."""

    def hold_keys(self) -> None:
        """The worker begins to drain: keep the keys in use here."""

    def close(self) -> None:
        """Close it in order."""

    def retire(self) -> None:
        """The worker ends: finish the request, then go to another worker or close."""

    def going_away(self) -> None:
        """Its turn to be closed has come: close it if nothing is under way."""

    def close_gracefully(self) -> None:
        """The grace period is over: close it now, by its protocol's means if there are any."""


class MovedConnections:
    """Keeps the objects of connections that moved to another worker, since many come back.

    A connection that has not come back within the keep-alive timeout has probably ended elsewhere.
    """

    def __init__(self) -> None:
        # In the order of leaving, each with the time until which it is kept.
        self._kept: OrderedDict[int, tuple[Connection, float]] = OrderedDict()

    def keep(self, connection: Connection, until: float) -> None:
        """A connection has moved; it is kept ``until`` then, in the reactor's seconds."""
        if len(self._kept) >= MOVED_MOST:
            self._kept.popitem(last=False)
        self._kept[connection.frame.connection] = connection, until

    def take(self, number: int) -> Connection | None:
        """The connection of a number that has come back, None if it is not kept."""
        found = self._kept.pop(number, None)
        return found[0] if found is not None else None

    def forget_old(self, now: float) -> None:
        """Drop those whose time has passed."""
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self._kept.popitem(last=False)


class ConnectionSet:
    """The connections that a worker serves, and those that it only closes.

    :ivar moved: those that moved away and may come back.
    :ivar sweeper: watches the deadlines of both.
    :ivar leaving: the worker retires, and other workers take its connections.
    :ivar closing: the worker retires with the daemon.
    :ivar hurried: the worker retires, and does not wait for WebSockets and event streams.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._members: set[Connection] = set()
        self._empty: defer.Deferred[None] | None = None
        self.sweeper = Sweeper(reactor)
        self.moved = MovedConnections()
        self.leaving = False
        self.closing = False
        self.hurried = False
        self._in_turn: list[Connection] = []
        self._turns = Spread(reactor)

    @property
    def members(self) -> set[Connection]:
        """The connections themselves, for the engine, which adds its own."""
        return self._members

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._members))

    def add(self, connection: Connection) -> None:
        """A connection has been adopted."""
        self._members.add(connection)
        self.sweeper.add(connection)

    def discard(self, connection: Connection) -> None:
        """A connection has moved or ended."""
        self._members.discard(connection)
        self.sweeper.discard(connection)
        if self._empty is not None:
            self._check_empty()

    def close_idle(self, count: int, most: float) -> int:
        """Close idle connections, the longest idle first; the number of those closed.

        :param count: how many at most.
        :param most: the latest deadline of those that may be closed, in the reactor's seconds.
        """
        idle = (c for c in self._members if c.idle() and (c.deadline or most) <= most)
        chosen = heapq.nsmallest(count, idle, key=lambda c: c.deadline or 0.0)
        for connection in chosen:
            connection.close()
        return len(chosen)

    # ---- retirement

    @property
    def retiring(self) -> bool:
        """Whether `retire` has been called."""
        return self._empty is not None

    @property
    def retired(self) -> "defer.Deferred[None] | None":
        """What `retire` has returned, once it has fired."""
        return self._empty if self._empty is not None and self._empty.called else None

    def retire(self, spread: float = 0.0) -> "defer.Deferred[None]":
        """Retire every connection as `leaving`, `closing` and `hurried` say; fires at the last end.

        May be called again meanwhile.

        :param spread: seconds over which connections are closed that nothing is due on.
        """
        over = self._empty = self._empty or defer.Deferred()
        self._in_turn = []
        for connection in list(self._members):
            connection.retire()
        self._turns.start([partial(self._close, each) for each in self._in_turn], spread)
        self._check_empty()
        return over

    def close_in_turn(self, connection: Connection) -> None:
        """For a connection that is being retired: let it be closed within the spread."""
        self._in_turn.append(connection)

    def _close(self, connection: Connection) -> None:
        if connection in self._members:
            connection.going_away()

    def _check_empty(self) -> None:
        if self._empty is None or self._empty.called or self._members:
            return
        if self.sweeper.members:
            # Answers are still on their way to clients.
            self._reactor.callLater(_CHECK_AGAIN, self._check_empty)
        else:
            self._turns.stop()
            self._empty.callback(None)

    def abort(self) -> "defer.Deferred[None] | None":
        """Close what is left; fires when the closing messages have had their time."""
        self._turns.stop()
        for connection in list(self._members):
            connection.close_gracefully()
        if not self.sweeper.members:
            return None
        flushed: defer.Deferred[None] = defer.Deferred()
        self._reactor.callLater(FINAL_FLUSH, flushed.callback, None)
        return flushed
