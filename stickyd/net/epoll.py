"""One epoll for all clients of a worker, itself a reader of the reactor.

The reactor wakes once for a batch of clients; to attach or detach a connection
costs one system call and one dictionary entry. Works with any reactor.
"""

import select
from typing import Any, Protocol

from twisted.logger import Logger

from stickyd.net.own_descriptors import NOT_IN_EPOLL, OwnDescriptors

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

CONNECTION = "a client's connection"
"""As `OwnDescriptors` names it."""

_log = Logger("stickyd")


class Member(Protocol):
    """Something with a descriptor that waits for events (epoll_ctl(2))."""

    def ready(self, events: int) -> None:
        """Handle ``events`` (epoll_ctl(2))."""

    def abortConnection(self) -> None:
        """Close it at once, after an exception in `ready`."""


class Poller:
    """Calls each member when its descriptor has events.

    :ivar own: notified of system calls that fail because a descriptor was replaced.
    """

    ROUNDS = 8
    """Batches that are taken in one turn of the reactor, as long as there are any: another turn
    of the reactor costs as much as a request."""

    def __init__(self, reactor: Any, own: OwnDescriptors, batch: int = 256) -> None:
        self.own = own
        self._epoll = select.epoll()
        own.keep("the epoll of clients", self._epoll.fileno())
        self._members: dict[int, Member] = {}
        self._batch = batch
        self._reactor = reactor
        reactor.addReader(self)

    def watch(self, descriptor: int, member: Member, events: int) -> None:
        """Register a descriptor, or change the events of a registered one."""
        try:
            if descriptor in self._members:
                self._epoll.modify(descriptor, events)
            else:
                self._epoll.register(descriptor, events)
                self._members[descriptor] = member
        except OSError as error:
            self.own.failed(error, CONNECTION, NOT_IN_EPOLL)
            raise

    def inherit(self, descriptor: int, member: Member) -> None:
        """Replace the member of a registered descriptor; the events stay."""
        self._members[descriptor] = member

    def forget(self, descriptor: int) -> None:
        """Unregister a descriptor. Call it before closing: another process may hold a copy."""
        if self._members.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError as error:
                self.own.failed(error, CONNECTION, NOT_IN_EPOLL)
                raise

    def fileno(self) -> int:
        """For the reactor."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "clients"

    def doRead(self) -> None:
        """For the reactor: call the members of a batch."""
        members = self._members
        for _ in range(self.ROUNDS):
            try:
                batch = self._epoll.poll(0, self._batch)
            except OSError:
                self.own.check()
                raise
            if not batch:
                return
            for descriptor, events in batch:
                member = members.get(descriptor)
                if member is None:
                    continue
                try:
                    member.ready(events)
                except Exception:
                    self.own.check()
                    # An exception in one connection must not drop the events of the others.
                    _log.failure("a connection failed")
                    member.abortConnection()
            if self._epoll.closed:
                return

    def connectionLost(self, reason: object) -> None:
        """For the reactor: it stops."""
        self.close()

    def close(self) -> None:
        """Unregister from the reactor and close the epoll."""
        self._reactor.removeReader(self)
        self._epoll.close()
