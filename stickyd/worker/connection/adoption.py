"""The adoption of connections: out of an inbox, counted, and into a channel."""

import os
import resource
import socket
from functools import partial
from typing import TYPE_CHECKING

from twisted.logger import Logger

from stickyd.http1.error_response import FULL
from stickyd.ipc.fd_queue import InboxReader
from stickyd.ipc.frame import FrameError, Kind, carries, connection_of, decode, entry_of
from stickyd.net.lingering_close import LingeringClose, send_and_close
from stickyd.net.own_descriptors import above_standard
from stickyd.shm.connection_table import ConnectionTable, Entry
from stickyd.stats import ADOPTED, ARRIVED
from stickyd.worker.connection.channel import Channel
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection_set import Connection
from stickyd.worker.handover.arriving import passed_on, resume
from stickyd.worker.interfaces import App

if TYPE_CHECKING:
    from stickyd.core._engine import Engine, LaneInbox

SHORT_AT, BRIM_AT = 16, 8
"""With fewer descriptors left than these a connection is refused, or refused and closed at once."""

_log = Logger("stickyd")


def _private(inbox: socket.socket) -> str:
    return f"the inbox {inbox.fileno()} of a predecessor"


class Adoption:
    """Reads the inbox of the slot, and a private one while another worker drains the slot's.

    :param app: answers the requests.
    :param inbox: the reading end of the slot's inbox.
    :param table: where the owner of each connection is written; None if the master guards none.
    :param engine: serves plain connections; None without one.
    """

    def __init__(
        self,
        context: WorkerContext,
        app: App,
        inbox: socket.socket,
        table: ConnectionTable | None,
        engine: "Engine | None" = None,
    ) -> None:
        self._context = context
        self._app = app
        self._table = table
        self._engine = engine
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._inbox = self._reader("the inbox", inbox)
        self._private: dict[socket.socket, InboxReader | LaneInbox] = {}

    def _reader(self, name: str, inbox: socket.socket) -> "InboxReader | LaneInbox":
        poller = self._context.poller
        poller.own.keep(name, inbox.fileno())
        if self._engine is not None:
            return self._engine.inbox(inbox, self._adopt, self._lost)
        adopt = self._adopt_counted if self._context.routing.load.counted else self._adopt
        return InboxReader(poller, inbox, adopt, self._lost)

    def start(self) -> None:
        """Take connections out of the slot's inbox."""
        self._inbox.start()

    def start_private(self, private: socket.socket) -> None:
        """Take connections out of this inbox instead, while the predecessor has the slot's."""
        reader = self._reader(_private(private), private)
        # Its reader is at work on it when it calls.
        reader.on_end = partial(self._context.reactor.callLater, 0, self._close, private)
        self._private[private] = reader
        reader.start()

    def _close(self, private: socket.socket) -> None:
        """Close an inbox into which no predecessor puts anything any more."""
        if self._private.pop(private, None) is not None:
            self._context.poller.own.forget(_private(private))
            private.close()

    def stop(self, *, drain: bool) -> None:
        """Take no more.

        :param drain: take what is in the slot's inbox, since no other worker will.
        """
        while drain and self._inbox.take():
            pass
        self._inbox.stop()
        for reader in self._private.values():
            while reader.take():
                pass
            reader.stop()

    def is_empty(self) -> bool:
        """Whether nothing could be taken out of the slot's inbox; takes one if there is one."""
        return not self._inbox.take()

    def _adopt_counted(self, message: bytes, descriptor: int) -> None:
        load = self._context.routing.load
        load.took()
        try:
            self._adopt(message, descriptor)
        finally:
            load.adopted()

    def _adopt(self, message: bytes, descriptor: int) -> None:
        context = self._context
        if descriptor < 3:
            descriptor = above_standard(descriptor)
        entry = self._own(message)
        moved = context.connections.moved.take(connection_of(message))
        # The kernel gives the lowest number that is free (open(2)): all below are taken.
        if descriptor >= self._limit - SHORT_AT:
            self._shed(descriptor, entry)
            return
        try:
            frame = decode(message, moved.frame if moved is not None else None)
        except FrameError as error:
            _log.error("a message that is no frame: {error}", error=error)
            os.close(descriptor)
            context.accounting.ended(entry)
            return
        if frame.kind is Kind.PLACED:
            # Holds in every process it moves to: the flag belongs to the open file (fcntl(2)).
            os.set_blocking(descriptor, False)
        handed = frame.kind is Kind.HANDED
        if handed and passed_on(context, frame, descriptor, entry):
            return
        cells = context.accounting.cells
        cells[ADOPTED] += 1
        if frame.kind is Kind.MOVED:
            cells[ARRIVED] += 1
        context.accounting.came_out(frame.put_at)
        channel: Connection
        if moved is None or handed:
            channel = Channel(context, self._app, frame, descriptor)
        else:
            channel = moved
            channel.reattach(frame, descriptor)
        channel.transport.entry = entry
        self.begin(channel)

    def begin(self, channel: Connection) -> None:
        """Serve a connection that has just been adopted."""
        self._context.connections.add(channel)
        try:
            if channel.frame.kind is Kind.HANDED and isinstance(channel, Channel):
                resume(channel, self._app)
            else:
                channel.begin()
        except Exception:
            # An error of one connection must not stop the inbox.
            _log.failure("a connection failed at its adoption")
            channel.transport.abortConnection()

    def _own(self, message: bytes) -> Entry | None:
        """Write down that a connection is this worker's; None if the master does not guard it."""
        number = entry_of(message)
        if self._table is None or not number:
            self._context.accounting.stats.came()
            return None
        return self._table.take(number, connection_of(message), carries(message))

    def _shed(self, descriptor: int, entry: Entry | None) -> None:
        """The app has opened too many files: refuse, while that is still possible."""
        context = self._context
        if entry is not None:
            entry.occupy()
        context.accounting.counters.shed += 1
        if context.accounting.counters.shed == 1:
            _log.warn("connections are refused: few descriptors are left (said once)")
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        last = FULL.response()
        if descriptor < self._limit - BRIM_AT:
            over = partial(context.accounting.ended, entry)
            LingeringClose(context.reactor, context.connections.sweeper, sock, last, over)
        else:
            send_and_close(sock, last)
            context.accounting.ended(entry)

    def _lost(self, message: bytes) -> None:
        context = self._context
        context.routing.load.took()
        context.routing.load.adopted()
        context.accounting.ended(self._own(message))
        context.accounting.counters.lost += 1
        _log.error("a connection was lost on its way: this process is out of descriptors")
