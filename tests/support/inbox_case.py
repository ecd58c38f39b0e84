"""Inboxes over real sockets, for tests."""

import os
import socket
import unittest
from typing import Any

from twisted.internet.task import Clock

from stickyd.ipc.fd_queue import InboxReader, make_inbox, try_put
from stickyd.ipc.fd_sender import InboxSender

BIG = 100_000
"""Bytes of a message of which few fill an inbox."""


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def same_file(one: int, other: int) -> bool:
    """Whether two descriptors are of one open file or socket."""
    a, b = os.fstat(one), os.fstat(other)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


class Reactor(Clock):
    """Time that stands still until told, and a note of who is watched for what."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, tuple[Any, int]] = {}

    def watch(self, descriptor: int, member: Any, events: int) -> None:
        self.watched[descriptor] = (member, events)

    def forget(self, descriptor: int) -> None:
        del self.watched[descriptor]


class InboxCase(unittest.TestCase):
    """One inbox, one reader, one sender; everything closed and counted at the end."""

    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors left"))
        self.reactor = Reactor()
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))
        self.sending, self.receiving = make_inbox()
        self.addCleanup(self.sending.close)
        self.addCleanup(self.receiving.close)
        self.connection, client = socket.socketpair()
        self.addCleanup(self.connection.close)
        self.client = client
        self.addCleanup(client.close)
        self.adopted: list[tuple[bytes, int]] = []
        self.addCleanup(self.close_adopted)
        self.lost = 0
        self.reader = InboxReader(self.reactor, self.receiving, self.adopt, self.lose)
        self.sender = InboxSender(self.reactor, self.sending)
        # So that a test that fails half-way is not blamed for the timer as well.
        self.addCleanup(self.sender.cancel_waiting)

    def adopt(self, message: bytes, descriptor: int) -> None:
        self.adopted.append((message, descriptor))

    def lose(self, message: bytes) -> None:
        self.lost += 1
        self.last_lost = message

    def close_adopted(self) -> None:
        while self.adopted:
            os.close(self.adopted.pop()[1])

    def messages(self) -> list[bytes]:
        return [message for message, _ in self.adopted]

    def put_now(self, message: bytes) -> bool:
        return try_put(self.sending, message, self.connection.fileno())

    def fill(self) -> int:
        """Fill the inbox with big messages; how many fit."""
        count = 0
        while self.put_now(b"f" * BIG):
            count += 1
        return count

    def take_all(self) -> None:
        while self.reader.take():
            pass
