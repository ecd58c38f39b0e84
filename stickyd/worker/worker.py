"""What the connections of one worker process share."""

import heapq
import socket
from collections.abc import Callable, Sequence
from random import randint
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.http1.head_parser import Head
from stickyd.net.epoll import Poller
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.net.timeouts import Sweeper
from stickyd.routing.policy import Placement, Policy
from stickyd.routing.rendezvous import SlotTable
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable, Entry
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import WorkerCounters
from stickyd.worker.connection.access_log import AccessLog
from stickyd.worker.connection.adoption import Adoption
from stickyd.worker.connection.channel import Channel
from stickyd.worker.connection.round_robin import RoundRobin
from stickyd.worker.interfaces import App, Exchange
from stickyd.worker.known_keys import KnownKeys
from stickyd.worker.slot_senders import SlotSenders

IDLE_LEAST = 1.0
"""Seconds a connection has idled before it is closed in favour of others: one in use, whose next
request may be on its way, is spared."""

LAST_WORDS = 0.4
"""Seconds for what is said to clients at the end of the grace to reach them."""

_log = Logger("stickyd")


class Worker:
    """Serves the connections of one slot, and sends those that belong elsewhere on.

    :param seat: the board, and the number of this process's row; None if slots have no bound.
    :param known: remembers keys, if somebody asks for that.
    :param ledger: where it notes what it has; None if the master guards nothing.
    :param own: the descriptors it cannot do without.
    :ivar leaving: it ends, and other workers take its connections.
    :ivar closing: it ends with the daemon.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slot: int,
        app: App,
        inbox: socket.socket,
        senders: dict[int, socket.socket],
        on_misrouted: Callable[[int, Placement], None],
        tally: WorkerStats,
        on_worn: Callable[[str], None] = lambda reason: None,
        policy: Policy | None = None,
        known: KnownKeys | None = None,
        seat: tuple[Scoreboard, int] | None = None,
        ledger: ConnectionTable | None = None,
        own: OwnDescriptors | None = None,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.slot = slot
        self.app = app
        self.policy = policy or settings.policy()
        self.limits = settings.limits.request
        self.moves = settings.routing.scope == "request"
        self.known = known
        self.counters = WorkerCounters()
        self.tally = tally
        self.sweeper = Sweeper(reactor)
        self.own = own or OwnDescriptors()
        self.poller = Poller(reactor, self.own)
        self.round_robin = RoundRobin(reactor)
        self.closing = False
        self.leaving = False
        self.access: AccessLog | None = None
        if settings.log.access_file:
            self.access = AccessLog(reactor, settings.log.access_file, settings.log.access_format)
        self.header_line = b""
        if settings.worker_header:
            self.header_line = f"{settings.worker_header}: {slot}\r\n".encode("ascii")
        self._worn_at = 0
        lifecycle = settings.lifecycle
        if lifecycle.max_requests:
            self._worn_at = lifecycle.max_requests + randint(0, lifecycle.max_requests_jitter)
        self.balance = self._balance(*seat) if seat is not None else None
        row = self.balance.row if self.balance is not None else None
        self.ways = SlotSenders(reactor, slot, senders, settings.timeouts.inbox, row, self.own)
        self._intake = Adoption(self, inbox, row, ledger)
        self._on_misrouted = on_misrouted
        self._on_worn = on_worn
        self._empty: defer.Deferred[None] | None = None
        self._channels: set[Channel] = set()

    # ---- connections come

    def start(self, private: socket.socket | None = None) -> None:
        """Begin to take connections, out of ``private`` while our predecessor has the inbox."""
        if private is None:
            self._intake.start()
            return
        assert self.known is not None
        self.known.predecessor = self.ways.own()
        self._intake.start_private(private)

    def succeed(self) -> None:
        """Our predecessor has ended: the slot's inbox is ours too."""
        if self.known is not None:
            self.known.predecessor = None
        if self._empty is None:
            self._intake.start()

    def drain(self, successor: socket.socket) -> None:
        """Another worker comes after us; we go on with the keys we know."""
        assert self.known is not None
        self.known.successor = self.ways.successor(successor)

    def take_in(self, channel: Channel) -> None:
        """A channel whose connection has just come."""
        self._channels.add(channel)
        self.sweeper.add(channel)
        try:
            channel.begin()
        except Exception:
            # One connection's fault must not cost the others their inbox.
            _log.failure("a connection failed at its adoption")
            channel.transport.abortConnection()

    def ended(self, entry: Entry | None) -> None:
        """A connection is closed.

        :param entry: its own; None if the master does not guard it.
        """
        if entry is None:
            self.tally.ended()
        else:
            entry.end()

    # ---- the load of the slot, if slots have a bound

    def _balance(self, board: Scoreboard, row: int) -> LoadBalancer:
        self.own.keep("the board", board.descriptor)
        table = self.policy.table
        assert isinstance(table, SlotTable)
        percent = self.settings.routing.balance_factor
        return LoadBalancer(table, percent, board, board.row(row), self.counters)

    def bounded(self, placement: Placement) -> Placement:
        """Where a request goes that has been placed without regard to loads."""
        assert self.balance is not None
        return (self.balance.place if self.moves else self.balance.recall)(placement)

    def settle(self) -> None:
        """Every second: put in order what nothing else does; see `LoadBalancer.settle`."""
        self._intake.forget_old()
        alone = self.known is None or self.known.other() is None
        if self.balance is not None and self._empty is None and alone:
            self.balance.settle(self.slot, empty=self._intake.is_empty())

    # ---- what channels ask

    def begin(self, channel: Channel, head: Head) -> Exchange:
        """An exchange for a new request."""
        exchange = self.app.exchange(channel, head)
        if self.balance is not None:
            self.balance.row.began()
        return exchange

    def count_request(self) -> None:
        """A request is given to the app."""
        self.counters.requests += 1
        if self.counters.requests == self._worn_at:
            self._on_worn("max-requests")

    def misrouted(self, placement: Placement) -> None:
        """A request is served here though its key names another slot."""
        self.counters.misrouted += 1
        if self.counters.misrouted == 1:
            self._on_misrouted(self.slot, placement)

    def moved(self, channel: Channel) -> None:
        """The channel's connection is in an inbox."""
        if channel.transport.entry is None:
            self.tally.moved()
        self._intake.keep(channel)

    def forget(self, channel: Channel) -> None:
        """The channel has moved or ended."""
        self._channels.discard(channel)
        self.sweeper.discard(channel)
        self._check_empty()

    def close_idle(self, count: int) -> None:
        """The daemon is full: end up to ``count`` kept connections, the longest idle first."""
        # By the time they were kept until: the deadline of one that idles.
        settled = self.reactor.seconds() + self.settings.timeouts.keep_alive - IDLE_LEAST
        idle = (c for c in self._channels if c.idle() and (c.deadline or settled) <= settled)
        for channel in heapq.nsmallest(count, idle, key=lambda c: c.deadline or 0.0):
            self.counters.eased += 1
            channel.close()

    # ---- counters

    def report(self) -> dict[str, Any]:
        """The counters, JSON-ready."""
        self.counters.open = len(self._channels)
        if self.access is not None:
            self.counters.log_dropped += self.access.take_dropped()
        return self.counters.as_json()

    # ---- other slots

    def table(
        self,
        version: int,
        slots: list[int],
        added: dict[int, socket.socket],
        done: Callable[[], None],
    ) -> None:
        """Decide by other slots from now on; see `SlotSenders.take_table`."""
        self.policy = self.policy.with_slots(slots, version)
        if self.balance is not None:
            self.balance.take_table(self.policy.table)
        self.ways.take_table(slots, added, done)

    # ---- the end

    def retire(self, grace: float, to: Sequence[int] = ()) -> "defer.Deferred[None]":
        """Serve what is here; fires when nothing is left or ``grace`` seconds are over.

        Idle connections go into the inboxes of the slots ``to``; without any
        they are closed. Told again it goes by what it is told last, as long as anything is left.
        """
        if self._empty is not None and self._empty.called:
            # The app may be putting its things away: what is in the inbox now is for others.
            return self._empty
        if self.known is not None:
            # From now on everything is the other one's.
            self.known.predecessor = self.known.successor = None
        self._intake.stop(drain=self.slot not in to)
        self.ways.after = list(to)
        self.leaving = bool(to)
        self.closing = not to
        if self.closing:
            self.app.close()
        over = self._empty = self._empty or defer.Deferred()
        for channel in list(self._channels):
            channel.retire()
        self._check_empty()
        if not over.called:
            over.addTimeout(grace, self.reactor)
            over.addErrback(self._abort)
        return over

    def _check_empty(self) -> None:
        if self._empty is not None and not self._empty.called and not self._channels:
            if self.sweeper.members:
                # Last words are still on their way.
                self.reactor.callLater(0.02, self._check_empty)
            else:
                self._empty.callback(None)

    def _abort(self, failure: Failure) -> "defer.Deferred[None] | None":
        failure.trap(defer.TimeoutError)
        self.ways.give_up()
        for channel in list(self._channels):
            channel.close_gracefully()
        if not self.sweeper.members:
            return None
        said: defer.Deferred[None] = defer.Deferred()
        self.reactor.callLater(LAST_WORDS, said.callback, None)
        return said
