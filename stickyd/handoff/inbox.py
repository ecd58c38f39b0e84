"""The inbox of a slot: the only place that calls sendmsg and recvmsg.

An ``AF_UNIX SOCK_SEQPACKET`` pair (unix(7)) made by the master. Anyone may put
a connection in; the slot's worker takes them out. The master keeps both ends
open, so what a killed worker had not taken waits for its replacement.
"""

import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import attrs

MESSAGE_MOST = 160 * 1024
"""Bytes of one message; below the default send buffer of unix(7), 212,992."""

RETRY_AFTER = 0.005
"""Seconds between attempts at a full inbox: EPOLLOUT would come only after
three quarters of it have drained."""

SEND_BUFFER = 4 * 1024 * 1024
"""Bytes asked for; the kernel grants up to net.core.wmem_max unless we are root."""

_FD = struct.Struct("i")
_PASSING = (socket.SOL_SOCKET, socket.SCM_RIGHTS)
_CONTROL_SPACE = socket.CMSG_SPACE(_FD.size)

# As numbers: the socket module's are slow to put together.
_CUT = int(socket.MSG_CTRUNC | socket.MSG_TRUNC)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)

# Linux values that the socket module does not name.
_SO_SNDBUFFORCE = 32

# The inbox is full, or the kernel is short of something for the moment; the
# channel itself is sound (unix(7): ETOOMANYREFS, too many descriptors in flight).
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS, errno.ENOMEM})


def make_inbox() -> tuple[socket.socket, socket.socket]:
    """The sending and the receiving end of a new inbox, both non-blocking."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sender.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER)
    except PermissionError:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    for end in (sender, receiver):
        end.setblocking(False)
    return sender, receiver


def try_put(sender: socket.socket, message: bytes, descriptor: int) -> bool:
    """Put one connection in; False if there is no room now.

    The caller still holds its own copy of the descriptor and closes it.

    :raise OSError: the inbox is gone, or the message can never fit.
    """
    try:
        sender.sendmsg([message], [(*_PASSING, _FD.pack(descriptor))])
    except OSError as error:
        if error.errno in _FULL:
            return False
        raise
    return True


class Departing(Protocol):
    """Who has a connection, and writes down whether it has left."""

    def departs(self) -> None:
        """It is about to be put into an inbox."""

    def stays(self) -> None:
        """It has not been put in."""


@attrs.define(eq=False)
class _Waiting:
    message: bytes = attrs.field(repr=False)
    descriptor: int
    until: float
    done: Callable[[bool], None]
    who: Departing | None = None


class InboxSender:
    """Puts connections into one inbox; those that find it full wait in order, not for ever."""

    def __init__(self, reactor: Any, sender: socket.socket) -> None:
        self._reactor = reactor
        self._sender = sender
        self._waiting: deque[_Waiting] = deque()
        self._retry: Any = None
        self._on_empty: list[Callable[[], None]] = []

    def put(
        self,
        message: bytes,
        descriptor: int,
        patience: float,
        done: Callable[[bool], None],
        who: Departing | None = None,
    ) -> None:
        """Put a connection in, now or within ``patience`` seconds.

        ``done`` is called once, at once where possible: with True when the
        inbox has it (the caller closes its copy), with False when time is up
        or the inbox is gone (the caller still owns it).
        """
        if not self._waiting:
            sent = self._attempt(message, descriptor, who)
            if sent is not None:
                done(sent)
                return
        until = self._reactor.seconds() + patience
        self._waiting.append(_Waiting(message, descriptor, until, done, who))
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_AFTER, self._drain)

    def waiting(self) -> int:
        """How many connections wait for room."""
        return len(self._waiting)

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call once when nobody waits for room, now or later."""
        self._on_empty.append(call)
        if not self._waiting:
            self._tell_empty()

    def _tell_empty(self) -> None:
        told, self._on_empty = self._on_empty, []
        for call in told:
            call()

    def take_waiting(self) -> list[tuple[bytes, int, float]]:
        """Give up waiting for room: message, descriptor and seconds left of each who waits.

        ``done`` is not called: the connections are the caller's.
        """
        now = self._reactor.seconds()
        taken = [(each.message, each.descriptor, each.until - now) for each in self._waiting]
        self._waiting.clear()
        return taken

    def give_up(self) -> None:
        """Tell everyone who waits that the inbox will not have room."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        while self._waiting:
            self._waiting.popleft().done(False)
        self._tell_empty()

    def close(self) -> None:
        """Give up this sending end as soon as nobody waits for room."""
        self.when_empty(self._sender.close)

    def _attempt(self, message: bytes, descriptor: int, who: Departing | None) -> bool | None:
        """True: sent. False: never. None: full."""
        sent: bool | None
        if who is not None:
            who.departs()
        try:
            sent = try_put(self._sender, message, descriptor) or None
        except OSError:
            sent = False
        if not sent and who is not None:
            who.stays()
        return sent

    def _drain(self) -> None:
        self._retry = None
        while self._waiting:
            first = self._waiting[0]
            sent = self._attempt(first.message, first.descriptor, first.who)
            if sent is None:
                break
            self._waiting.popleft().done(sent)
        now = self._reactor.seconds()
        for late in [waiting for waiting in self._waiting if waiting.until <= now]:
            # An earlier one's answer may have emptied the queue.
            if late in self._waiting:
                self._waiting.remove(late)
                late.done(False)
        if not self._waiting:
            self._tell_empty()
        elif self._retry is None:
            self._retry = self._reactor.callLater(RETRY_AFTER, self._drain)


class Watching(Protocol):
    """Something that watches descriptors, as `stickyd.worker.poller.Poller` does."""

    def watch(self, descriptor: int, member: Any, events: int) -> None:
        """Tell ``member.ready(events)`` when they come."""

    def forget(self, descriptor: int) -> None:
        """Watch no longer."""


class InboxReader:
    """Takes connections out of an inbox, a batch at a time, and gives them to ``adopt``.

    ``adopt(message, descriptor)`` owns the descriptor from then on.
    ``lost(message)`` is told when the kernel could not install a descriptor
    (EMFILE; recvmsg(2), MSG_CTRUNC): that connection is gone.
    """

    BATCH = 32

    def __init__(
        self,
        poller: Watching,
        receiver: socket.socket,
        adopt: Callable[[bytes, int], None],
        lost: Callable[[bytes], None],
    ) -> None:
        self._poller = poller
        self._receiver = receiver
        self._adopt = adopt
        self._lost = lost
        self._reading = False
        self._buffer = bytearray(MESSAGE_MOST)
        self._view = memoryview(self._buffer)

    def start(self) -> None:
        """Begin, or go on, taking connections out."""
        if not self._reading:
            self._reading = True
            self._poller.watch(self._receiver.fileno(), self, select.EPOLLIN)

    def stop(self) -> None:
        """Leave what comes in the inbox."""
        if self._reading:
            self._reading = False
            self._poller.forget(self._receiver.fileno())

    def ready(self, events: int) -> None:
        """For the poller: take a batch out."""
        for _ in range(self.BATCH):
            if not self._reading or not self.take():
                return

    def abortConnection(self) -> None:
        """For the poller: taking failed, and would fail again."""
        self.stop()

    def take(self) -> bool:
        """Take one connection out; False if there is none."""
        received = _receive(self._receiver, self._buffer)
        if received is None:
            return False
        size, descriptor = received
        if not size:
            # Nobody holds a sending end any more: the whole family is ending.
            self.stop()
            return False
        if descriptor < 0:
            self._lost(bytes(self._view[:size]))
        else:
            self._adopt(bytes(self._view[:size]), descriptor)
        return True


def waits_in(receiver: socket.socket) -> bool:
    """Whether anything can be taken out of an inbox now."""
    poll = select.poll()
    poll.register(receiver, select.POLLIN)
    return bool(poll.poll(0))


def take_one(receiver: socket.socket) -> tuple[bytes, int] | None:
    """Take one connection out of an inbox, beside its readers; None if there is none.

    :return: message and descriptor; -1 if the kernel could not install it (EMFILE).
    """
    buffer = bytearray(MESSAGE_MOST)
    received = _receive(receiver, buffer)
    if received is None or not received[0]:
        return None
    size, descriptor = received
    return bytes(buffer[:size]), descriptor


def _receive(receiver: socket.socket, buffer: bytearray) -> tuple[int, int] | None:
    """Size of the message, 0 at the end, and its descriptor, -1 if it was lost."""
    try:
        size, control, flags, _ = receiver.recvmsg_into([buffer], _CONTROL_SPACE, _CLOSE_ON_EXEC)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno in _FULL:
            return None
        raise
    if len(control) == 1 and not flags & _CUT:
        level, kind, data = control[0]
        if (level, kind) == _PASSING and len(data) == _FD.size:
            return size, _FD.unpack(data)[0]
    # The kernel had no room, or somebody has sent what nobody here sends.
    descriptors = [
        descriptor
        for level, kind, data in control
        if (level, kind) == _PASSING
        for (descriptor,) in _FD.iter_unpack(data[: len(data) - len(data) % _FD.size])
    ]
    for descriptor in descriptors:
        socket.close(descriptor)
    return size, -1
