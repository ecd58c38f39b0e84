"""A client's connection in a worker: its transport, as Twisted's apps know it."""

import os
import socket
import struct
from typing import Any

from twisted.internet import interfaces, main
from twisted.internet.error import ConnectionAborted
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.ipc.frame import Frame
from stickyd.net.epoll import CONNECTION, READ, WRITE, Poller
from stickyd.net.lingering_close import end_connection
from stickyd.net.writev import Parts
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.addresses import TransportAddresses
from stickyd.worker.connection.transport_writing import TransportOwner, WritingTransport

READ_MOST = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_log = Logger("stickyd")


class _NoOwner:
    """In place of the connection of a transport that has ended."""

    deadline: float | None = 0.0

    def dataReceived(self, data: bytes) -> None:
        """See `TransportOwner`."""

    def connectionLost(self, reason: Failure) -> None:
        """See `TransportOwner`."""

    def clientDone(self) -> None:
        """See `TransportOwner`."""

    def bytesSent(self, flushed: bool) -> None:
        """See `TransportOwner`."""

    def lose(self) -> None:
        """See `TransportOwner`."""

    def close_after_upgrade(self) -> None:
        """See `TransportOwner`."""


NO_OWNER = _NoOwner()


@implementer(interfaces.ITCPTransport)
class ClientTransport(TransportAddresses, WritingTransport):
    """Like the transport of a Twisted TCP server, except that it

    - takes its addresses from the frame instead of asking the kernel,
    - reports the client's half-close instead of ending,
    - can give its descriptor away without ending the connection (`detach`).

    :ivar entry: of the connection table, where the connection's state is written; None if the
        master does not guard the connection.
    """

    entry: Entry | None = None
    _aborting = False

    def __init__(
        self,
        reactor: Any,
        poller: Poller,
        descriptor: int,
        frame: Frame,
        channel: TransportOwner,
    ) -> None:
        WritingTransport.__init__(self, reactor, poller, channel)
        TransportAddresses.__init__(self, frame)
        self.attach(descriptor)

    def attach(self, descriptor: int) -> None:
        """Use a descriptor: at the adoption, or when the connection comes back after `detach`."""
        self._fd = descriptor
        self.connected = 1
        self.disconnected = 0

    def take_over(self, interest: int, parts: Parts, size: int, sent: int) -> None:
        """Continue with a connection of the compiled engine.

        :param interest: the events that the poller watches it for; 0 for none.
        :param parts: written and not sent, ``size`` bytes; ``sent`` bytes were sent before.
        """
        self._tempDataBuffer, self._tempDataLen = parts, size
        self._sent = sent
        self._interest = interest
        if interest:
            self._poller.inherit(self._fd, self)

    # ---- events

    def ready(self, events: int) -> None:
        """For the poller."""
        why = None
        if events & READ:
            why = self.doRead()
        elif not events & WRITE:
            why = main.CONNECTION_LOST
        if why is None and events & WRITE and self._interest & WRITE:
            why = self.doWrite()
        if why is not None:
            self.end(why)

    # ---- interest in events

    def _watch(self, interest: int) -> None:
        if interest == self._interest or self._fd < 0:
            return
        self._interest = interest
        if interest:
            self._poller.watch(self._fd, self, interest)
        else:
            self._poller.forget(self._fd)

    def startReading(self) -> None:
        """Read what the client sends."""
        self._watch(self._interest | READ)

    def stopReading(self) -> None:
        """Leave what the client sends in the socket."""
        self._watch(self._interest & ~READ)

    def startWriting(self) -> None:
        """Continue with what is written when the socket has room."""
        self._watch(self._interest | WRITE)

    def stopWriting(self) -> None:
        """Nothing is left to be written."""
        self._watch(self._interest & ~WRITE)

    # ---- reading

    def doRead(self) -> Any:
        """For the reactor: read what the client has sent."""
        entry = self.entry
        if entry is not None:
            entry.reading()
        try:
            data = os.read(self._fd, READ_MOST)
        except BlockingIOError:
            if entry is not None:
                entry.read(0)
            return None
        except OSError as error:
            self._poller.own.failed(error, CONNECTION)
            return main.CONNECTION_LOST
        if entry is not None:
            entry.read(len(data))
        if data:
            self.protocol.dataReceived(data)
            return None
        self.stopReading()
        if self.protocol is not self.channel:
            return main.CONNECTION_DONE
        self.channel.clientDone()
        return None

    # ---- the end

    def detach(self, *, watched: bool = False) -> int:
        """Give the descriptor to the caller; the client does not notice.

        :param watched: the poller continues to watch it for reading (`Poller.inherit`).
        """
        self._watch(READ if watched else 0)
        self._interest = 0
        self.connected = 0
        self.disconnected = 1
        descriptor, self._fd = self._fd, -1
        if self._handle is not None:
            self._handle.detach()
            self._handle = None
        return descriptor

    def _postLoseConnection(self) -> None:
        """For `FileDescriptor`: the app has closed the transport, and everything is sent."""
        self.channel.lose()

    def abortConnection(self) -> None:
        """Reset the connection; a guarded one is reset when the master closes its copy."""
        if self.connected:
            self._aborting = True
            self.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.end(ConnectionAborted())

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""
        if not self.connected:
            return
        self.connected = 0
        self._stop_producer()
        super().connectionLost(reason)
        # A shutdown here would send a FIN, which the client takes for an orderly end.
        end_connection(self.detach(), copied=self.entry is not None and not self._aborting)
        try:
            self.channel.connectionLost(reason)
            if self.protocol is not self.channel:
                self.protocol.connectionLost(reason)
        finally:
            self.release()

    def release(self) -> None:
        """Drop what is unsent, and every reference that is part of a cycle.

        Apps keep requests, and so this object, for longer than a connection lasts; and an object
        in a reference cycle is freed only by the garbage collector, which may run hours later.
        """
        self._tempDataBuffer, self._tempDataLen = [], 0
        self._left_over = False
        self.channel = self.protocol = NO_OWNER
        self._stop_producer()

    def _stop_producer(self) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                # An error of the app must not keep the connection open.
                _log.failure("a producer failed at the end of its connection")

    def logPrefix(self) -> str:
        """For the log."""
        return "client"
