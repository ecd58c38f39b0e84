"""One client of one worker, in a process and a time of their own."""

import socket
import unittest
from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox, try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.timeouts import SWEEP_EVERY
from stickyd.settings import Settings
from stickyd.shm.shared_ids import SharedIds
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.connection.channel import Channel
from stickyd.worker.worker import Resources, Worker
from tests.support.stepping import SteppingReactor


class OneConnection(unittest.TestCase):
    """A real channel over loopback TCP; nothing happens but in steps of the reactor."""

    settings = Settings(workers=1)
    learned: SharedIds | None = None

    def resource(self) -> Resource:
        """What the worker serves."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.reactor = reactor = SteppingReactor()
        sender, receiver = make_inbox()
        self.sender = sender
        site = WebApp(Site(self.resource(), reactor=reactor))
        tally = WorkerStats()
        self.addCleanup(tally.close)
        resources = Resources(1, receiver, {}, tally, learned=self.learned)
        self.worker = Worker(reactor, self.settings, site, resources)
        self.worker.start()
        with socket.socket() as listening:
            # Small, so that what the kernel takes says little about the client's pace.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            self.client = socket.socket()
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.client.connect(listening.getsockname())
            accepted, self.peer = listening.accept()
        frame = Frame(Kind.PLACED, 1, self.peer, accepted.getsockname())
        try_put(sender, frame.encode(), accepted.fileno())
        accepted.close()
        for end in (sender, receiver):
            self.addCleanup(end.close)
        self.addCleanup(self.leave)
        self.got = b""

    def leave(self) -> None:
        """The client goes, and the worker with it."""
        self.client.close()
        self.reactor.settle()
        self.reactor.advance(SWEEP_EVERY)
        self.worker.retire(0)
        self.assertEqual(self.worker.context.connections.sweeper.members, set())
        self.worker.context.poller.close()

    @property
    def channel(self) -> Channel:
        """The channel of the connection."""
        (channel,) = self.worker.context.connections
        return channel

    def open(self) -> bool:
        return bool(self.worker.report()["open"])

    def pass_time(self, seconds: float, each: Callable[[], Any] = lambda: None) -> float:
        """Let time pass until the worker has the connection no more; the seconds it took."""
        start = self.reactor.seconds()
        while self.open() and self.reactor.seconds() - start < seconds:
            self.reactor.settle()
            each()
            self.reactor.settle()
            self.reactor.advance(SWEEP_EVERY)
        return self.reactor.seconds() - start

    def begin(self, data: bytes) -> None:
        self.client.sendall(data)
        while not self.worker.context.accounting.counters.adopted:
            self.reactor.settle()

    def take(self, most: int) -> bool:
        """Take at most so many bytes; whether the connection goes on."""
        wanted = len(self.got) + most
        while len(self.got) < wanted:
            self.reactor.settle()
            try:
                data = self.client.recv(wanted - len(self.got), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            self.got += data
            if not data:
                return False
        return True
