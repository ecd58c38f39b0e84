"""Ends of inboxes that fail now and then, the way the kernel does.

What can be had from the kernel itself is: too few descriptors (RLIMIT_NOFILE
lowered around the call) and truncated control data (no space for it). What
cannot be provoked at will is raised instead of the call.
"""

import errno
import resource
import socket
from collections import Counter
from random import Random
from typing import Any

from stickyd.ipc.frame import connection_of

_SEND = (errno.ENOBUFS, errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOMEM)
_RECEIVE = (errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM)


class Faults:
    """How often what fails.

    :param retried: share of calls that fail and may be tried again.
    :param lossy: share of messages received whose descriptor the kernel drops.
    :ivar injected: how often, by name.
    :ivar lost: ids of the connections whose descriptor was dropped.
    """

    def __init__(self, chance: Random, retried: float, lossy: float) -> None:
        self.chance = chance
        self.retried = retried
        self.lossy = lossy
        self.injected: Counter[str] = Counter()
        self.lost: set[int] = set()

    def fail(self, where: str, errors: tuple[int, ...]) -> None:
        """Raise one of ``errors``, or not."""
        if self.chance.random() < self.retried:
            number = self.chance.choice(errors)
            self.injected[f"{where} {errno.errorcode[number]}"] += 1
            raise OSError(number, "injected")


class FaultySender:
    """The sending end for an `InboxSender`."""

    def __init__(self, sock: socket.socket, faults: Faults) -> None:
        self._sock = sock
        self._faults = faults

    def sendmsg(self, *arguments: Any) -> int:
        """As the socket's, or an error."""
        self._faults.fail("sendmsg", _SEND)
        try:
            return self._sock.sendmsg(*arguments)
        except BlockingIOError:
            self._faults.injected["sendmsg full in fact"] += 1
            raise

    def close(self) -> None:
        """As the socket's."""
        self._sock.close()


class FaultyReceiver:
    """The receiving end for an `InboxReader`."""

    def __init__(self, sock: socket.socket, faults: Faults) -> None:
        self._sock = sock
        self._faults = faults

    def fileno(self) -> int:
        """As the socket's."""
        return self._sock.fileno()

    def recvmsg_into(self, buffers: list[bytearray], space: int, flags: int) -> Any:
        """As the socket's, or an error, or without the descriptor."""
        faults = self._faults
        faults.fail("recvmsg", _RECEIVE)
        if faults.chance.random() >= faults.lossy:
            return self._sock.recvmsg_into(buffers, space, flags)
        if faults.chance.random() < 0.5:
            return self._without("EMFILE", buffers, space, flags)
        return self._without("MSG_CTRUNC", buffers, 0, flags)

    def _without(self, name: str, buffers: list[bytearray], space: int, flags: int) -> Any:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        if name == "EMFILE":
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            received = self._sock.recvmsg_into(buffers, space, flags)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        size, control, told, _ = received
        if size:
            # The kernel must have done what it is asked for here.
            assert not control, control
            assert told & socket.MSG_CTRUNC
            self._faults.injected[f"recvmsg {name}"] += 1
            self._faults.lost.add(connection_of(bytes(buffers[0][:size])))
        return received

    def close(self) -> None:
        """As the socket's."""
        self._sock.close()
