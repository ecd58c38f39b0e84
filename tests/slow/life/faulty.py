"""Ends of inboxes that fail now and then, the way the kernel does.

What can be had from the kernel itself is: too few descriptors (RLIMIT_NOFILE
lowered around the call) and truncated control data (no space for it). What
cannot be provoked at will is raised instead of the call.

A compiled engine makes its calls itself. It asks an end for its descriptor just before, and gets
one with which the call fails, or a lowered limit (`Faults.took` raises it again).
"""

import contextlib
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
        self._limits: tuple[int, int] | None = None
        # Nothing can be put into it or taken out of it: EAGAIN.
        self.stuck, self._peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stuck.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.stuck.send(b"full")

    def fail(self, where: str, errors: tuple[int, ...]) -> None:
        """Raise one of ``errors``, or not."""
        if self.chance.random() < self.retried:
            number = self.chance.choice(errors)
            self.injected[f"{where} {errno.errorcode[number]}"] += 1
            raise OSError(number, "injected")

    # ---- of a compiled engine: see `stickyd.worker.lanes.Probe`

    def tick(self) -> None:
        """For the engine."""

    def gave(self, slot: int) -> None:
        """A connection has been put into an inbox."""

    def took(self, descriptor: int) -> None:
        """For the engine: the call that was to fail is over."""
        if self._limits is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
            self._limits = None

    def close(self) -> None:
        """Close what is ours."""
        self.stuck.close()
        self._peer.close()

    def lower(self) -> None:
        """No descriptor can be had until `took`."""
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._limits[1]))


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

    def fileno(self) -> int:
        """For an engine, which calls sendmsg next: as the socket's, or of one that is full."""
        faults = self._faults
        if faults.chance.random() >= faults.retried:
            return self._sock.fileno()
        faults.injected["engine's sendmsg EAGAIN"] += 1
        return faults.stuck.fileno()

    def close(self) -> None:
        """As the socket's."""
        self._sock.close()


class FaultyReceiver:
    """The receiving end for an `InboxReader`."""

    def __init__(self, sock: socket.socket, faults: Faults) -> None:
        self._sock = sock
        self._faults = faults
        # Set where an engine takes messages out.
        self.by_engine = False

    def fileno(self) -> int:
        """As the socket's; for an engine, which calls recvmsg next, the call may fail."""
        faults = self._faults
        # Nothing is there when it is asked for the poller.
        waits = self._waits() if self.by_engine else None
        if waits is None:
            return self._sock.fileno()
        if faults.chance.random() < faults.retried:
            faults.injected["engine's recvmsg EAGAIN"] += 1
            return faults.stuck.fileno()
        if faults.chance.random() < faults.lossy:
            faults.injected["recvmsg EMFILE"] += 1
            faults.lost.add(waits)
            faults.lower()
        return self._sock.fileno()

    def _waits(self) -> int | None:
        """The connection whose message is next."""
        try:
            return connection_of(self._sock.recv(64, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return None

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
