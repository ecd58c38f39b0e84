"""The inbox of a slot. No other module calls sendmsg and recvmsg, but `stickyd.ipc.fork_channel`.

An ``AF_UNIX SOCK_SEQPACKET`` pair (unix(7)) made by the master. Every process may put
connections in; the slot's worker takes them out. The master keeps both ends open, so
that connections which a killed worker had not taken wait for its replacement.
"""

import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

MESSAGE_MOST = 200 * 1024
"""Bytes of one message: the longest head and one read (64 KiB) behind it, with which a connection
may move. Below the default send buffer of unix(7), 212,992."""

SEND_BUFFER = 4 * 1024 * 1024
"""Bytes requested; without root's rights the kernel grants up to net.core.wmem_max."""

_FD = struct.Struct("i")
_PASSING = (socket.SOL_SOCKET, socket.SCM_RIGHTS)
_CONTROL_SPACE = socket.CMSG_SPACE(_FD.size)

# As numbers: combining the enum members of the socket module is slow.
_CUT = int(socket.MSG_CTRUNC | socket.MSG_TRUNC)
CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)

# Linux values that the socket module does not name.
_SO_SNDBUFFORCE = 32

# The inbox is full, or the kernel is short of memory or descriptors in flight
# (unix(7): ETOOMANYREFS); the socket itself is still usable.
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

    The caller closes its own copy of the descriptor.

    :raise OSError: the inbox is closed, or the message can never fit.
    """
    try:
        sender.sendmsg([message], [(*_PASSING, _FD.pack(descriptor))])
    except OSError as error:
        if error.errno in _FULL:
            return False
        raise
    return True


class Watching(Protocol):
    """Watches descriptors, as `stickyd.net.epoll.Poller` does."""

    def watch(self, descriptor: int, member: Any, events: int) -> None:
        """Call ``member.ready(events)`` when these events occur."""

    def forget(self, descriptor: int) -> None:
        """Stop watching."""


class InboxReader:
    """Takes connections out of an inbox, a batch at a time, and passes them to ``adopt``.

    :param adopt: called with message and descriptor; it owns the descriptor.
    :param lost: called with the message when the kernel could not install the descriptor
        (EMFILE; recvmsg(2), MSG_CTRUNC): that connection is lost.
    :ivar on_end: called when no process has a sending end any more.
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
        self.on_end: Callable[[], object] | None = None
        self._buffer = bytearray(MESSAGE_MOST)
        self._view = memoryview(self._buffer)

    def start(self) -> None:
        """Start, or restart, taking connections out."""
        if not self._reading:
            self._reading = True
            self._poller.watch(self._receiver.fileno(), self, select.EPOLLIN)

    def stop(self) -> None:
        """Stop taking connections out."""
        if self._reading:
            self._reading = False
            self._poller.forget(self._receiver.fileno())

    def ready(self, events: int) -> None:
        """For the poller: take a batch out."""
        for _ in range(self.BATCH):
            if not self._reading or not self.take():
                return

    def abortConnection(self) -> None:
        """For the poller: taking failed and would fail again."""
        self.stop()

    def take(self) -> bool:
        """Take one connection out; False if there is none."""
        received = _receive(self._receiver, self._buffer)
        if received is None:
            return False
        size, descriptor = received
        if not size:
            # No process has a sending end any more.
            self.stop()
            if self.on_end is not None:
                self.on_end()
            return False
        if descriptor < 0:
            self._lost(bytes(self._view[:size]))
        else:
            self._adopt(bytes(self._view[:size]), descriptor)
        return True


def adopt_inbox_end(descriptor: int) -> socket.socket:
    """One end of an inbox, from a descriptor that was inherited or received.

    Such a descriptor is inheritable, and may be blocking.
    """
    os.set_inheritable(descriptor, False)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    end.setblocking(False)
    return end


def waits_in(receiver: socket.socket) -> bool:
    """Whether a connection can be taken out of an inbox now.

    poll(2) does not tell that from the end, when no process has a sending end any more.
    """
    try:
        return bool(receiver.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


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
        size, control, flags, _ = receiver.recvmsg_into([buffer], _CONTROL_SPACE, CLOSE_ON_EXEC)
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
    # The kernel had no room, or the message is not one of ours.
    descriptors = [
        descriptor
        for level, kind, data in control
        if (level, kind) == _PASSING
        for (descriptor,) in _FD.iter_unpack(data[: len(data) - len(data) % _FD.size])
    ]
    for descriptor in descriptors:
        socket.close(descriptor)
    return size, -1
