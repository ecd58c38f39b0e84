"""One epoll for all clients of a worker, itself a reader of the reactor.

The reactor then wakes once for a batch of clients, and taking up or letting go
of a connection is one system call and a dictionary entry. Any reactor will do.
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
        """What it waits for has come."""

    def abortConnection(self) -> None:
        """It has failed."""


class Poller:
    """Watches descriptors for their members.

    :ivar own: told of calls that fail because a descriptor is not what it was.
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
        """Begin to watch for ``events``, or watch for others than before."""
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
        """What is watched is ``member``'s from now on; watched for the same events."""
        self._members[descriptor] = member

    def forget(self, descriptor: int) -> None:
        """Watch no longer; before the descriptor is closed, since other processes may hold it."""
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
        """For the reactor: tell a batch of members."""
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
                    # One connection's fault must not cost the others their events.
                    _log.failure("a connection failed")
                    member.abortConnection()
            if self._epoll.closed:
                return

    def connectionLost(self, reason: object) -> None:
        """For the reactor: it stops."""
        self.close()

    def close(self) -> None:
        """Watch nobody any more."""
        self._reactor.removeReader(self)
        self._epoll.close()
