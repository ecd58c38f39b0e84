"""What the connections of one worker process share."""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from stickyd.balance import Balance
from stickyd.board import Board, Row
from stickyd.counters import WorkerCounters
from stickyd.deadlines import Sweeper
from stickyd.handoff.frame import FrameError, Kind, connection_of, decode
from stickyd.handoff.inbox import InboxReader, InboxSender
from stickyd.routing.policy import Placement
from stickyd.routing.selection import SlotTable
from stickyd.settings import Settings
from stickyd.wire.head import Head
from stickyd.worker.channel import Channel
from stickyd.worker.exchange import Exchange
from stickyd.worker.poller import Poller
from stickyd.worker.web import WebExchange

KEPT_MOST = 4096
"""Channels kept, oldest given up first, for connections that moved away and may come back."""

_log = Logger("stickyd")


class Worker:
    """Adopts the connections of one slot, and sends those that belong elsewhere on.

    :param seat: the board, and the number of this process's row; None if slots have no bound.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slot: int,
        site: Site,
        inbox: socket.socket,
        senders: dict[int, socket.socket],
        on_misrouted: Callable[[int, Placement], None],
        seat: tuple[Board, int] | None = None,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.slot = slot
        self.site = site
        self.policy = settings.policy()
        self.limits = settings.limits
        self.moves = settings.scope == "request"
        self.counters = WorkerCounters()
        self.sweeper = Sweeper(reactor)
        self.poller = Poller(reactor)
        self.retiring = False
        self.header_line = b""
        if settings.worker_header:
            self.header_line = f"{settings.worker_header}: {slot}\r\n".encode("ascii")
        self._senders = {number: InboxSender(reactor, sender) for number, sender in senders.items()}
        self.balance: Balance | None = None
        adopt, lost = self._adopt, self._lost
        if seat is not None:
            self.balance = self._balance(*seat)
            adopt = partial(self._adopt_counted, self.balance.row)
            lost = partial(self._lost_counted, self.balance.row)
        self._reader = InboxReader(self.poller, inbox, adopt, lost)
        self._on_misrouted = on_misrouted
        self._empty: defer.Deferred[None] | None = None
        self._channels: set[Channel] = set()
        self._kept: dict[int, Channel] = {}

    # ---- connections come

    def start(self) -> None:
        """Begin to take connections out of the inbox."""
        self._reader.start()

    def _adopt(self, message: bytes, descriptor: int) -> None:
        channel = self._kept.pop(connection_of(message), None)
        try:
            frame = decode(message, channel.frame if channel is not None else None)
        except FrameError as error:
            _log.error("a message that is no frame: {error}", error=error)
            os.close(descriptor)
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
        self._channels.add(channel)
        self.sweeper.add(channel)
        try:
            channel.begin()
        except Exception:
            # One connection's fault must not cost the others their inbox.
            _log.failure("a connection failed at its adoption")
            channel.transport.abortConnection()

    def _lost(self) -> None:
        self.counters.lost += 1
        _log.error("a connection was lost on its way: this process is out of descriptors")

    # ---- the load of the slot, if slots have a bound

    def _balance(self, board: Board, row: int) -> Balance:
        table = self.policy.table
        assert isinstance(table, SlotTable)
        percent = self.settings.balance_factor
        return Balance(table, percent, board, board.row(row), self.counters)

    def _adopt_counted(self, row: Row, message: bytes, descriptor: int) -> None:
        row.took()
        try:
            self._adopt(message, descriptor)
        finally:
            row.adopted()

    def _lost_counted(self, row: Row) -> None:
        row.took()
        row.adopted()
        self._lost()

    def bounded(self, placement: Placement) -> Placement:
        """Where a request goes that has been placed without regard to loads."""
        assert self.balance is not None
        return (self.balance.place if self.moves else self.balance.recall)(placement)

    def settle(self) -> None:
        """Every second: see `Balance.settle`."""
        if self.balance is not None and not self.retiring:
            self.balance.settle(self.slot, empty=not self._reader.take())

    # ---- what channels ask

    def begin(self, channel: Channel, head: Head) -> Exchange:
        """An exchange for a new request."""
        exchange = WebExchange(channel, head, self.site)
        if self.balance is not None:
            self.balance.row.began()
        return exchange

    def send_to(
        self, slot: int, message: bytes, descriptor: int, done: Callable[[bool], None]
    ) -> None:
        """Put a connection into another slot's inbox, within the set time."""
        if self.balance is not None:
            done = self.balance.putting(slot, done)
        self._senders[slot].put(message, descriptor, self.settings.inbox_timeout, done)

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

    # ---- counters

    def report(self) -> dict[str, Any]:
        """The counters, JSON-ready."""
        self.counters.open = len(self._channels)
        return self.counters.as_json()

    # ---- the end

    def retire(self, grace: float) -> "defer.Deferred[None]":
        """Serve what is here, end what is idle; fires when nothing is left or ``grace`` is over."""
        if self._empty is not None:
            return defer.succeed(None)
        while self._reader.take():
            pass
        self._reader.stop()
        self.retiring = True
        self._empty = defer.Deferred()
        over = self._empty
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
