"""What the connections of one worker process share."""

import heapq
import os
import resource
import socket
from collections.abc import Callable, Sequence
from functools import partial
from random import randint
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from stickyd.counters import WorkerCounters
from stickyd.deadlines import Sweeper
from stickyd.handoff.frame import FrameError, Kind, connection_of, decode, entry_of
from stickyd.handoff.inbox import InboxReader, InboxSender
from stickyd.ledger import Entry, Ledger
from stickyd.lingering import LingeringClose, say_and_close
from stickyd.places import Tally
from stickyd.routing.policy import Placement, Policy
from stickyd.settings import Settings
from stickyd.wire.head import Head
from stickyd.wire.refusal import FULL
from stickyd.worker.channel import Channel
from stickyd.worker.exchange import Exchange
from stickyd.worker.known import Known
from stickyd.worker.poller import Poller
from stickyd.worker.web import WebExchange

KEPT_MOST = 4096
"""Channels kept, oldest given up first, for connections that moved away and may come back."""

IDLE_LEAST = 1.0
"""Seconds a connection has idled before it is closed in favour of others: one in use, whose next
request may be on its way, is spared."""

SHORT_AT, BRIM_AT = 16, 8
"""With fewer descriptors left than these a connection is refused, or refused and closed at once."""

_log = Logger("stickyd")


class Worker:
    """Adopts the connections of one slot, and sends those that belong elsewhere on."""

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slot: int,
        site: Site,
        inbox: socket.socket,
        senders: dict[int, socket.socket],
        on_misrouted: Callable[[int, Placement], None],
        tally: Tally,
        on_worn: Callable[[str], None] = lambda reason: None,
        policy: Policy | None = None,
        known: Known | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.slot = slot
        self.site = site
        self.policy = policy or settings.policy()
        self.limits = settings.limits
        self.moves = settings.scope == "request"
        self.known = known
        self.counters = WorkerCounters()
        self.tally = tally
        self._ledger = ledger
        self.sweeper = Sweeper(reactor)
        self.poller = Poller(reactor)
        self.closing = False
        self.leaving = False
        self.header_line = b""
        if settings.worker_header:
            self.header_line = f"{settings.worker_header}: {slot}\r\n".encode("ascii")
        self._worn_at = 0
        if settings.max_requests:
            self._worn_at = settings.max_requests + randint(0, settings.max_requests_jitter)
        self._senders = {number: InboxSender(reactor, sender) for number, sender in senders.items()}
        self._reader = InboxReader(self.poller, inbox, self._adopt, self._lost)
        self._private: InboxReader | None = None
        self._on_misrouted = on_misrouted
        self._on_worn = on_worn
        self._to: list[int] = []
        self._empty: defer.Deferred[None] | None = None
        self._channels: set[Channel] = set()
        self._kept: dict[int, Channel] = {}
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    # ---- connections come

    def start(self, private: socket.socket | None = None) -> None:
        """Begin to take connections, out of ``private`` while our predecessor has the inbox."""
        if private is None:
            self._reader.start()
            return
        assert self.known is not None
        self.known.predecessor = self._senders[self.slot]
        self._private = InboxReader(self.poller, private, self._adopt, self._lost)
        self._private.start()

    def succeed(self) -> None:
        """Our predecessor has ended: the slot's inbox is ours too."""
        if self.known is not None:
            self.known.predecessor = None
        if self._empty is None:
            self._reader.start()

    def drain(self, successor: socket.socket) -> None:
        """Another worker comes after us; we go on with the keys we know."""
        assert self.known is not None
        self.known.successor = InboxSender(self.reactor, successor)

    def _adopt(self, message: bytes, descriptor: int) -> None:
        self.tally.came()
        entry = self._sign(message)
        channel = self._kept.pop(connection_of(message), None)
        # The kernel gives the lowest number that is free (open(2)): all below are taken.
        if descriptor >= self._limit - SHORT_AT:
            self._shed(descriptor, entry)
            return
        try:
            frame = decode(message, channel.frame if channel is not None else None)
        except FrameError as error:
            _log.error("a message that is no frame: {error}", error=error)
            os.close(descriptor)
            self.ended(entry)
            return
        if frame.kind is Kind.PLACED:
            # Holds for every process it moves to: the open file remembers it (fcntl(2)).
            os.set_blocking(descriptor, False)
        counters = self.counters
        counters.adopted += 1
        if frame.kind is Kind.MOVED:
            counters.arrived += 1
        if channel is None:
            channel = Channel(self, frame, descriptor)
        else:
            channel.come_back(frame, descriptor)
        channel.transport.entry = entry
        self._channels.add(channel)
        self.sweeper.add(channel)
        try:
            channel.begin()
        except Exception:
            # One connection's fault must not cost the others their inbox.
            _log.failure("a connection failed at its adoption")
            channel.transport.abortConnection()

    def _sign(self, message: bytes) -> Entry | None:
        """Take over the ledger's entry of a connection; None if the master does not guard it."""
        number = entry_of(message)
        if self._ledger is None or not number:
            return None
        return self._ledger.take(number, connection_of(message))

    def ended(self, entry: Entry | None) -> None:
        """A connection is closed."""
        self.tally.ended()
        if entry is not None:
            entry.end()

    def _shed(self, descriptor: int, entry: Entry | None) -> None:
        """The app has opened too many files: whoever comes is refused, while we still can."""
        self.counters.shed += 1
        if self.counters.shed == 1:
            _log.warn("connections are refused: few descriptors are left (said once)")
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        last = FULL.response()
        if descriptor < self._limit - BRIM_AT:
            over = partial(self.ended, entry)
            LingeringClose(self.reactor, self.sweeper, sock, last, over)
        else:
            say_and_close(sock, last)
            self.ended(entry)

    def _lost(self, message: bytes) -> None:
        self.tally.came()
        self.ended(self._sign(message))
        self.counters.lost += 1
        _log.error("a connection was lost on its way: this process is out of descriptors")

    # ---- what channels ask

    def begin(self, channel: Channel, head: Head) -> Exchange:
        """An exchange for a new request."""
        return WebExchange(channel, head, self.site)

    def sender(self, slot: int) -> InboxSender:
        """The way into a slot's inbox."""
        return self._senders[slot]

    def sender_after(self, connection: int) -> InboxSender:
        """The way to a worker that takes connections when we have ended."""
        return self._senders[self._to[connection % len(self._to)]]

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

    def keep(self, channel: Channel) -> None:
        """The channel's connection has moved; connections that move are likely to come back."""
        if len(self._kept) >= KEPT_MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[channel.frame.connection] = channel

    def forget(self, channel: Channel) -> None:
        """The channel has moved or ended."""
        self._channels.discard(channel)
        self.sweeper.discard(channel)
        self._check_empty()

    def ease(self, count: int) -> None:
        """The daemon is full: end up to ``count`` kept connections, the longest idle first."""
        # By the time they were kept until: the deadline of one that idles.
        settled = self.reactor.seconds() + self.settings.keep_alive - IDLE_LEAST
        idle = (c for c in self._channels if c.idle() and (c.deadline or settled) <= settled)
        for channel in heapq.nsmallest(count, idle, key=lambda c: c.deadline or 0.0):
            self.counters.eased += 1
            channel.close()

    # ---- counters

    def report(self) -> dict[str, Any]:
        """The counters, JSON-ready."""
        self.counters.open = len(self._channels)
        return self.counters.as_json()

    # ---- other slots

    def table(
        self,
        version: int,
        slots: list[int],
        added: dict[int, socket.socket],
        done: Callable[[], None],
    ) -> None:
        """Decide by other slots from now on.

        ``done`` is called when nobody waits here for room in the inbox of a
        slot that takes part no more; its sending end stays, for it may come back.
        """
        for number, sender in added.items():
            if number in self._senders:
                # A slot of that number was there before, with an inbox of its own.
                self._senders[number].close()
            self._senders[number] = InboxSender(self.reactor, sender)
        self.policy = self.policy.with_slots(slots, version)
        gone = [way for number, way in self._senders.items() if number not in slots]
        left = len(gone)

        def one_empty() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for way in gone:
            way.when_empty(one_empty)
        if not gone:
            done()

    # ---- the end

    def retire(self, grace: float, to: Sequence[int] = ()) -> "defer.Deferred[None]":
        """Serve what is here; fires when nothing is left or ``grace`` seconds are over.

        Idle connections go into the inboxes of the slots ``to``; without any
        they are closed. Told again it goes by what it is told last.
        """
        if self.known is not None:
            # From now on everything is the other one's.
            self.known.predecessor = self.known.successor = None
        if self.slot not in to:
            # Nobody else will read it.
            while self._reader.take():
                pass
        self._reader.stop()
        if self._private is not None:
            while self._private.take():
                pass
            self._private.stop()
        self._to = list(to)
        self.leaving = bool(to)
        self.closing = not to
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

    def _abort(self, failure: Failure) -> None:
        failure.trap(defer.TimeoutError)
        for channel in list(self._channels):
            channel.transport.abortConnection()
