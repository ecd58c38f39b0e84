"""A client's connection in a worker: the transport under the channel."""

import os
import socket
import struct
from collections.abc import Iterable
from typing import Any

from twisted.internet import interfaces, main
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.ipc.frame import Frame
from stickyd.net.epoll import CONNECTION, READ, WRITE, Poller
from stickyd.net.lingering_close import end_connection
from stickyd.net.writev import Parts, queued_in, send_parts
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.addresses import TransportAddresses

READ_MOST = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_log = Logger("stickyd")


@implementer(interfaces.ITCPTransport)
class ClientTransport(TransportAddresses, FileDescriptor):
    """Like the transport of a Twisted TCP server, except that it

    - takes its addresses from the frame instead of asking the kernel,
    - tells its channel of the client's half-close instead of ending,
    - can let go of its descriptor without ending the connection (`detach`).

    :ivar corked: writes are collected until `flush`; otherwise they go out
        when the poller finds the socket writable.
    :ivar entry: where the connection's state is noted, if the master guards it.
    """

    def __init__(
        self, reactor: Any, poller: Poller, descriptor: int, frame: Frame, channel: Any
    ) -> None:
        FileDescriptor.__init__(self, reactor)
        TransportAddresses.__init__(self, frame)
        self.channel = channel
        # Whom the bytes are for: the channel, until an app takes the connection over.
        self.protocol = channel
        self.corked = False
        self.entry: Entry | None = None
        self._aborting = False
        self._poller = poller
        self._interest = 0
        self._sent = 0
        # The kernel has not taken all of what was to be sent at once.
        self._left_over = False
        self.attach(descriptor)

    def attach(self, descriptor: int) -> None:
        """Go on with the connection after `detach`, when it has come back."""
        self._fd = descriptor
        self.connected = 1
        self.disconnected = 0

    # ---- events

    def fileno(self) -> int:
        """The descriptor; -1 once it is gone."""
        return self._fd

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

    def _watch(self, interest: int) -> None:
        if interest == self._interest or self._fd < 0:
            return
        self._interest = interest
        if interest:
            self._poller.watch(self._fd, self, interest)
        else:
            self._poller.forget(self._fd)

    def startReading(self) -> None:
        """Take what the client sends."""
        self._watch(self._interest | READ)

    def stopReading(self) -> None:
        """Leave what the client sends in the socket."""
        self._watch(self._interest & ~READ)

    def startWriting(self) -> None:
        """Go on with what is written when the client can take it."""
        self._watch(self._interest | WRITE)

    def stopWriting(self) -> None:
        """Nothing is left to be written."""
        self._watch(self._interest & ~WRITE)

    # ---- reading

    def doRead(self) -> Any:
        """Take what the client sent, or learn that it has finished sending."""
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

    # ---- writing

    def write(self, data: bytes) -> None:
        """Write; see `corked`."""
        if data and self.connected and not self._writeDisconnected:
            if type(data) is not bytes:
                raise TypeError(f"data must be bytes, not {type(data).__name__}")
            begins = not self._tempDataLen
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            # Once: a producer may count how often it is paused.
            if self.producer is not None and not self.producerPaused:
                self._maybePauseProducer()
            if not self.corked:
                self.startWriting()
                if begins and self.channel.deadline is None:
                    # The kernel may be full, and never say that it has room.
                    self.channel.bytesSent(False)

    def send(self, data: bytes) -> None:
        """Write, and send it now as far as the kernel takes it."""
        if self.connected and not self.disconnecting and self.flushed():
            sent = self.writeSomeData(data)
            if sent == len(data):
                return
            if isinstance(sent, Exception):
                self.channel.worker.reactor.callLater(0, self.end, sent)
                return
            data = data[sent:]
        self.write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write several parts."""
        for part in iovec:
            # Joined, what may change under our hands is copied, and what is no bytes refused.
            self.write(part if type(part) is bytes else b"".join((part,)))

    def writeSomeData(self, data: bytes) -> Any:
        """For `FileDescriptor`: bytes written, or the error that ended the connection."""
        return self._put_out([data], len(data)) if data else 0

    def _put_out(self, parts: Parts, size: int) -> int | Exception:
        """Give the kernel what it takes of ``parts``; bytes, or what ended the connection."""
        try:
            sent = send_parts(self._fd, parts, size)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._poller.own.failed(error, CONNECTION)
            return main.CONNECTION_LOST
        self._sent += sent
        return sent

    def _send(self) -> Exception | None:
        """Send what is written as far as the kernel takes it; the error that ended the connection.

        What is written stays in `FileDescriptor`'s list of parts until it is sent:
        the other of its two buffers is never filled.
        """
        sent = self._put_out(self._tempDataBuffer, self._tempDataLen)
        if isinstance(sent, Exception):
            return sent
        self._tempDataLen -= sent
        self._left_over = self._tempDataLen > 0
        return None

    def taken(self) -> int:
        """Bytes that the client has taken since any fixed point in time.

        What the kernel holds for it is not taken: the kernel reports room in lumps
        that a client of a modest pace may need minutes for.
        """
        return self._sent - self.queued()

    def queued(self) -> int:
        """Bytes sent that the client's kernel has not acknowledged."""
        return queued_in(self._fd)

    def doWrite(self) -> Any:
        """Go on writing; tells the channel of progress, and when everything is sent."""
        failed = self._send() if self._tempDataLen else None
        if failed is None and not self._tempDataLen:
            # It knows what follows when nothing is left.
            failed = super().doWrite()
            if failed is main.CONNECTION_DONE and self.protocol is not self.channel:
                self._part()
                return None
        if failed is None and self.connected:
            self.channel.bytesSent(self.flushed())
        return failed

    def _part(self) -> None:
        """An app that took the connection over has ended it, and everything is sent."""
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.channel.part_after_upgrade()

    def flushed(self) -> bool:
        """Whether every byte written is in the kernel."""
        return not self._tempDataLen

    def flush(self) -> None:
        """Send what is written, as far as the kernel takes it now.

        What is left over goes out when the poller finds the socket writable,
        and not before: only then is the channel told, who may be waiting for it.
        """
        if not self._tempDataLen or self.disconnecting or self._left_over:
            return
        failed = self._send()
        if failed is not None:
            self.channel.worker.reactor.callLater(0, self.end, failed)
        elif self._tempDataLen or self._interest & WRITE or self.producer is not None:
            self.startWriting()

    def written(self) -> int:
        """Bytes written since the connection came, sent or not."""
        return self._sent + self._tempDataLen

    def waiting(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return self._tempDataLen

    def unsent(self) -> Parts:
        """Take what is written and not yet sent."""
        rest = self._tempDataBuffer
        self._tempDataBuffer, self._tempDataLen = [], 0
        self._left_over = False
        return rest

    # ---- the end

    def detach(self, *, watched: bool = False) -> int:
        """Give up the descriptor, without a word to the client; the caller owns it.

        :param watched: the poller goes on to watch it for reading, for who inherits it.
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
        """For `FileDescriptor`: everything is sent that was when the app asked for the end."""
        self.channel.lose()

    def abortConnection(self) -> None:
        """End at once; the client sees a reset, of a guarded connection when its copy is closed."""
        if self.connected:
            self._aborting = True
            self.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.end(ConnectionAborted())

    def end(self, why: BaseException) -> None:
        """The connection has ended because of ``why``."""
        if self.connected:
            self.connectionLost(Failure(why))

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""
        if not self.connected:
            return
        self.connected = 0
        self._stop_producer()
        super().connectionLost(reason)
        # Shut down first, it would end by a FIN, and the client take that for an end in order.
        end_connection(self.detach(), copied=self.entry is not None and not self._aborting)
        try:
            self.channel.connectionLost(reason)
            if self.protocol is not self.channel:
                self.protocol.connectionLost(reason)
        finally:
            self.release()

    def release(self) -> None:
        """Drop what is unsent, and every reference to who may refer to us.

        Apps keep requests, and so this object, for longer than a connection lasts; and an
        object in a reference cycle is freed only by the collector, which may run hours later.
        """
        self._tempDataBuffer, self._tempDataLen = [], 0
        self._left_over = False
        self.channel = self.protocol = None
        self._stop_producer()

    def _stop_producer(self) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                # An app's fault must not keep the connection open.
                _log.failure("a producer failed at the end of its connection")

    def logPrefix(self) -> str:
        """For the log."""
        return "client"
