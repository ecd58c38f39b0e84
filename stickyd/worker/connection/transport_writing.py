"""The writing side of a client's transport: it buffers what is written, and sends it."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet import main
from twisted.internet.abstract import FileDescriptor
from twisted.python.failure import Failure

from stickyd.net.epoll import CONNECTION, WRITE, Poller
from stickyd.net.writev import Parts, queued_in, send_parts


class Receiver(Protocol):
    """Receives what the client sends."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""


class TransportOwner(Receiver, Protocol):
    """What a transport calls on its connection.

    :ivar deadline: in the reactor's seconds, None without one.
    """

    deadline: float | None

    def clientDone(self) -> None:
        """The client has finished sending; it may still wait for answers."""

    def bytesSent(self, flushed: bool) -> None:
        """The client has taken something, or has to; ``flushed`` if everything is sent."""

    def lose(self) -> None:
        """The app has closed the transport, and everything it had written is sent."""

    def close_after_upgrade(self) -> None:
        """The same by an app that had taken the connection over."""


class WritingTransport(FileDescriptor):
    """The part of a transport that writes.

    :ivar corked: writes are collected until `flush`; otherwise they are sent when the poller finds
        the socket writable.
    :ivar on_first_byte: called once, by the next write.
    :ivar channel: the connection.
    :ivar protocol: receives what the client sends: the channel, or what an app has upgraded to.
    """

    channel: TransportOwner
    protocol: Receiver
    connected: int
    reactor: Any
    corked = False
    on_first_byte: Callable[[], None] | None = None
    _fd = -1
    _interest = 0
    _sent = 0
    # The kernel has not taken all of what was to be sent at once.
    _left_over = False

    def __init__(self, reactor: Any, poller: Poller, channel: TransportOwner) -> None:
        FileDescriptor.__init__(self, reactor)
        self.channel = channel
        self.protocol = channel
        self._poller = poller

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed or detached."""
        return self._fd

    def end(self, why: BaseException) -> None:
        """The connection has ended because of ``why``."""
        if self.connected:
            self.connectionLost(Failure(why))

    # ---- for apps

    def write(self, data: bytes) -> None:
        """Write; see `corked`."""
        if data and self.connected and not self._writeDisconnected:
            if type(data) is not bytes:
                raise TypeError(f"data must be bytes, not {type(data).__name__}")
            if self.on_first_byte is not None:
                self._begins()
            begins = not self._tempDataLen
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            # Once: a producer may count how often it is paused.
            if self.producer is not None and not self.producerPaused:
                self._maybePauseProducer()
            if not self.corked:
                self.startWriting()
                if begins and self.channel.deadline is None:
                    # The socket may never become writable.
                    self.channel.bytesSent(False)

    def _begins(self) -> None:
        begins, self.on_first_byte = self.on_first_byte, None
        if begins is not None:
            begins()

    def send(self, data: bytes) -> None:
        """Write, and send it now as far as the kernel takes it."""
        if self.connected and not self.disconnecting and self.flushed():
            if self.on_first_byte is not None and data:
                self._begins()
            sent = self.writeSomeData(data)
            if sent == len(data):
                return
            if isinstance(sent, Exception):
                self.reactor.callLater(0, self.end, sent)
                return
            data = data[sent:]
        self.write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write several parts."""
        for part in iovec:
            # Joining copies what is mutable, and fails for anything but bytes.
            self.write(part if type(part) is bytes else b"".join((part,)))

    def writeSomeData(self, data: bytes) -> Any:
        """For `FileDescriptor`: bytes written, or the error that ended the connection."""
        return self._write_parts([data], len(data)) if data else 0

    def _write_parts(self, parts: Parts, size: int) -> int | Exception:
        """Write ``parts`` as far as the kernel takes them: the bytes taken, or a fatal error."""
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
        """Send what is written as far as the kernel takes it; a fatal error, or None.

        What is written stays in the list of parts of `FileDescriptor` until it is sent: its other
        buffer is never filled.
        """
        sent = self._write_parts(self._tempDataBuffer, self._tempDataLen)
        if isinstance(sent, Exception):
            return sent
        self._tempDataLen -= sent
        self._left_over = self._tempDataLen > 0
        return None

    # ---- for the connection

    def taken(self) -> int:
        """Bytes that the client has taken since any fixed point in time.

        What the kernel holds for it is not counted: the kernel reports room only after large
        amounts, which a slow client may need minutes for.
        """
        return self._sent - self.queued()

    def queued(self) -> int:
        """Bytes sent that the client's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
        return queued_in(self._fd)

    def doWrite(self) -> Any:
        """For the reactor: send more, and report the progress to the connection."""
        failed = self._send() if self._tempDataLen else None
        if failed is None and not self._tempDataLen:
            # It decides what follows when nothing is left.
            failed = super().doWrite()
            if failed is main.CONNECTION_DONE and self.protocol is not self.channel:
                self._close_after_upgrade()
                return None
        if failed is None and self.connected:
            self.channel.bytesSent(self.flushed())
        return failed

    def _close_after_upgrade(self) -> None:
        """An app that took the connection over has closed it, and everything is sent."""
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.channel.close_after_upgrade()

    def flushed(self) -> bool:
        """Whether every byte written is in the kernel."""
        return not self._tempDataLen

    def flush(self) -> None:
        """Send what is written, as far as the kernel takes it now.

        The rest is sent when the poller finds the socket writable, and not before: only then is
        the connection notified, which may be waiting for it.
        """
        if not self._tempDataLen or self.disconnecting or self._left_over:
            return
        failed = self._send()
        if failed is not None:
            self.reactor.callLater(0, self.end, failed)
        elif self._tempDataLen or self._interest & WRITE or self.producer is not None:
            self.startWriting()

    def left_over(self) -> None:
        """The kernel has not taken everything: the rest is sent when it can."""
        self._left_over = True
        self.startWriting()

    def written(self) -> int:
        """Bytes written since the connection was adopted, sent or not."""
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
