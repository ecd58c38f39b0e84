"""How connections come into a worker: out of the inbox, counted, and into a channel."""

import os
import resource
import socket
from collections import OrderedDict
from functools import partial
from typing import Any

from twisted.logger import Logger

from stickyd.http1.error_response import FULL
from stickyd.ipc.fd_queue import InboxReader
from stickyd.ipc.frame import FrameError, Kind, carries, connection_of, decode, entry_of
from stickyd.net.lingering_close import LingeringClose, send_and_close
from stickyd.net.own_descriptors import above_standard
from stickyd.shm.connection_table import ConnectionTable, Entry
from stickyd.shm.scoreboard_row import ScoreboardRow
from stickyd.worker.connection.channel import Channel

KEPT_MOST = 4096
"""Channels kept, oldest given up first, for connections that moved away and may come back. Who has
not come back for as long as an idle connection is kept has probably ended elsewhere."""

SHORT_AT, BRIM_AT = 16, 8
"""With fewer descriptors left than these a connection is refused, or refused and closed at once."""

_NONE: tuple[None, float] = (None, 0.0)

_log = Logger("stickyd")


class Adoption:
    """Reads the slot's inbox, and while another worker drains the private one.

    :param worker: gets the channels.
    :param row: our row of the board; None if slots have no bound.
    :param ledger: None if the master guards nothing.
    """

    def __init__(
        self,
        worker: Any,
        inbox: socket.socket,
        row: ScoreboardRow | None,
        ledger: ConnectionTable | None,
    ) -> None:
        self._worker = worker
        self._row = row
        self._ledger = ledger
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # By connection, in the order of leaving, and until when each is kept.
        self._kept: OrderedDict[int, tuple[Channel, float]] = OrderedDict()
        self._inbox = self._reader(inbox)
        worker.own.keep("the inbox", inbox.fileno())
        self._private: InboxReader | None = None

    def _reader(self, inbox: socket.socket) -> InboxReader:
        worker = self._worker
        if self._row is None:
            return InboxReader(worker.poller, inbox, self._adopt, self._lost)
        return InboxReader(worker.poller, inbox, self._adopt_counted, self._lost_counted)

    def start(self) -> None:
        """Take connections out of the slot's inbox."""
        self._inbox.start()

    def start_private(self, private: socket.socket) -> None:
        """Take connections out of this inbox instead, while our predecessor has the slot's."""
        self._private = self._reader(private)
        self._worker.own.keep("the private inbox", private.fileno())
        self._private.start()

    def stop(self, *, drain: bool) -> None:
        """Take no more.

        :param drain: what is in the slot's inbox is ours still, since nobody comes after us.
        """
        while drain and self._inbox.take():
            pass
        self._inbox.stop()
        if self._private is not None:
            while self._private.take():
                pass
            self._private.stop()

    def is_empty(self) -> bool:
        """Whether nothing could be taken; takes one if there is one."""
        return not self._inbox.take()

    def keep(self, channel: Channel) -> None:
        """Its connection has moved; connections that move are likely to come back."""
        if len(self._kept) >= KEPT_MOST:
            self._kept.popitem(last=False)
        worker = self._worker
        until = worker.reactor.seconds() + worker.settings.timeouts.keep_alive
        self._kept[channel.frame.connection] = channel, until

    def forget_old(self) -> None:
        """Give up channels that have been kept for long enough."""
        now = self._worker.reactor.seconds()
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self._kept.popitem(last=False)

    def _adopt(self, message: bytes, descriptor: int) -> None:
        worker = self._worker
        if descriptor < 3:
            descriptor = above_standard(descriptor)
        entry = self._sign(message)
        channel, _ = self._kept.pop(connection_of(message), _NONE)
        # The kernel gives the lowest number that is free (open(2)): all below are taken.
        if descriptor >= self._limit - SHORT_AT:
            self._shed(descriptor, entry)
            return
        try:
            frame = decode(message, channel.frame if channel is not None else None)
        except FrameError as error:
            _log.error("a message that is no frame: {error}", error=error)
            os.close(descriptor)
            worker.ended(entry)
            return
        if frame.kind is Kind.PLACED:
            # Holds for every process it moves to: the open file remembers it (fcntl(2)).
            os.set_blocking(descriptor, False)
        counters = worker.counters
        counters.adopted += 1
        if frame.kind is Kind.MOVED:
            counters.arrived += 1
        if channel is None:
            channel = Channel(worker, frame, descriptor)
        else:
            channel.reattach(frame, descriptor)
        channel.transport.entry = entry
        worker.take_in(channel)

    def _sign(self, message: bytes) -> Entry | None:
        """A connection is ours: note it in the ledger or, if it is not guarded, in the tally."""
        number = entry_of(message)
        if self._ledger is None or not number:
            self._worker.tally.came()
            return None
        return self._ledger.take(number, connection_of(message), carries(message))

    def _adopt_counted(self, message: bytes, descriptor: int) -> None:
        assert self._row is not None
        self._row.took()
        try:
            self._adopt(message, descriptor)
        finally:
            self._row.adopted()

    def _shed(self, descriptor: int, entry: Entry | None) -> None:
        """The app has opened too many files: whoever comes is refused, while we still can."""
        worker = self._worker
        if entry is not None:
            entry.occupy()
        worker.counters.shed += 1
        if worker.counters.shed == 1:
            _log.warn("connections are refused: few descriptors are left (said once)")
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        last = FULL.response()
        if descriptor < self._limit - BRIM_AT:
            over = partial(worker.ended, entry)
            LingeringClose(worker.reactor, worker.sweeper, sock, last, over)
        else:
            send_and_close(sock, last)
            worker.ended(entry)

    def _lost(self, message: bytes) -> None:
        worker = self._worker
        worker.ended(self._sign(message))
        worker.counters.lost += 1
        _log.error("a connection was lost on its way: this process is out of descriptors")

    def _lost_counted(self, message: bytes) -> None:
        assert self._row is not None
        self._row.took()
        self._row.adopted()
        self._lost(message)
