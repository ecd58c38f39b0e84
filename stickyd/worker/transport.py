"""A client's connection in a worker: the transport under the channel."""

import socket
import struct
from typing import Any

from twisted.internet import address, interfaces, main
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.handoff.frame import Address, Frame

READ_MOST = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_IPAddress = address.IPv4Address | address.IPv6Address


def as_twisted(end: Address | None) -> Any:
    """An `IAddress` for one end of a connection."""
    if end is None:
        return address.UNIXAddress(None)
    kind = address.IPv6Address if ":" in end[0] else address.IPv4Address
    return kind("TCP", end[0], end[1])


@implementer(interfaces.ITCPTransport, interfaces.IReadWriteDescriptor)
class ClientTransport(FileDescriptor):
    """Like the transport of a Twisted TCP server, except that it

    - takes its addresses from the frame instead of asking the kernel,
    - tells its channel of the client's half-close instead of ending,
    - can let go of its descriptor without ending the connection (`detach`).

    Writes are collected and go out together: at `flush`, or when the reactor
    finds the socket writable.
    """

    _writing = False

    def __init__(self, reactor: Any, sock: socket.socket, frame: Frame, channel: Any) -> None:
        super().__init__(reactor)
        self.frame = frame
        self.channel = channel
        # Whom the bytes are for: the channel, until an app takes the connection over.
        self.protocol = channel
        self.socket = sock
        self.connected = 1
        self._peer: Any = None
        self._local: Any = None

    # ---- reading

    def fileno(self) -> int:
        """For the reactor; -1 once the descriptor is gone."""
        return self.socket.fileno()

    def doRead(self) -> Any:
        """For the reactor: what the client sent, or that it has finished sending."""
        try:
            data = self.socket.recv(READ_MOST)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if data:
            self.protocol.dataReceived(data)
            return None
        self.stopReading()
        if self.protocol is not self.channel:
            return main.CONNECTION_DONE
        self.channel.clientDone()
        return None

    # ---- writing

    def writeSomeData(self, data: bytes) -> Any:
        """For `FileDescriptor`: bytes written, or the error that ended the connection."""
        try:
            return self.socket.send(memoryview(data)[: self.SEND_LIMIT])
        except BlockingIOError:
            return 0
        except OSError:
            return main.CONNECTION_LOST

    def startWriting(self) -> None:
        """For `FileDescriptor`."""
        if not self._writing:
            self._writing = True
            self.reactor.addWriter(self)

    def stopWriting(self) -> None:
        """For `FileDescriptor`."""
        if self._writing:
            self._writing = False
            self.reactor.removeWriter(self)

    def doWrite(self) -> Any:
        """For the reactor; tells the channel of progress, and when everything is sent."""
        result = super().doWrite()
        if result is None and self.connected:
            self.channel.bytesSent(self.flushed())
        return result

    def flushed(self) -> bool:
        """Whether every byte written is in the kernel."""
        return not self._tempDataLen and self.offset == len(self.dataBuffer)

    def flush(self) -> None:
        """Send what is written, as far as the kernel takes it now."""
        if self.disconnecting or self.flushed():
            return
        failed = super().doWrite()
        if failed is not None:
            self.channel.worker.reactor.callLater(0, self.end, failed)
        elif not self.flushed():
            self.startWriting()

    def unsent(self) -> bytes:
        """Take what is written and not yet sent."""
        rest = self.dataBuffer[self.offset :] + b"".join(self._tempDataBuffer)
        self.dataBuffer, self.offset = b"", 0
        self._tempDataBuffer, self._tempDataLen = [], 0
        return rest

    # ---- the end

    def detach(self) -> socket.socket:
        """Leave the reactor and give up the socket, without a word to the client."""
        self.stopReading()
        self.stopWriting()
        self.connected = 0
        self.disconnected = 1
        return self.socket

    def abortConnection(self) -> None:
        """End at once; the client sees a reset."""
        if self.connected:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.end(ConnectionAborted())

    def end(self, why: BaseException) -> None:
        """The connection has ended because of ``why``."""
        if self.connected:
            self.connectionLost(Failure(why))

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor: the connection has ended."""
        if not self.connected:
            return
        super().connectionLost(reason)
        self.socket.close()
        self.channel.connectionLost(reason)
        if self.protocol is not self.channel:
            self.protocol.connectionLost(reason)

    # ---- what apps ask

    def getPeer(self) -> Any:
        """The peer's address."""
        if self._peer is None:
            self._peer = as_twisted(self.frame.peer)
        return self._peer

    def getHost(self) -> Any:
        """Our address."""
        if self._local is None:
            self._local = as_twisted(self.frame.local)
        return self._local

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self.socket

    def getTcpNoDelay(self) -> bool:
        """The state of TCP_NODELAY."""
        return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Set TCP_NODELAY; nothing on a Unix socket."""
        if self.frame.peer is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """The state of SO_KEEPALIVE."""
        return bool(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Set SO_KEEPALIVE."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def logPrefix(self) -> str:
        """For the reactor."""
        return "client"
