"""Channels that are kept for connections that may come back."""

import gc
import os
import socket
import unittest
import weakref
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.handoff.frame import Frame, Kind
from stickyd.handoff.inbox import make_inbox, take_one, try_put
from stickyd.places import Tally
from stickyd.settings import Settings
from stickyd.worker.apps import WebApp
from stickyd.worker.worker import Worker
from tests.daemon import request
from tests.stepping import SteppingReactor

KEEP_ALIVE = 75.0


class Hello(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"hello"


class Kept(unittest.TestCase):
    """A worker of slot 1 over real sockets; the test is slot 2, and the master."""

    def setUp(self) -> None:
        settings = Settings(workers=2, scope="request", keep_alive=KEEP_ALIVE)
        self.reactor = SteppingReactor()
        self.ours, inbox = make_inbox()
        way, self.other = make_inbox()
        tally = Tally()
        self.addCleanup(tally.close)
        site = WebApp(Site(Hello(), reactor=self.reactor))
        senders = {1: self.ours, 2: way}
        self.worker = Worker(
            self.reactor, settings, 1, site, inbox, senders, lambda slot, named: None, tally
        )
        self.worker.start()
        self.client, self.theirs = socket.socketpair()
        for end in (self.ours, inbox, way, self.other, self.client, self.theirs):
            self.addCleanup(end.close)
        self.addCleanup(self.worker.poller.close)
        table = settings.policy().table
        names = [f"10.0.0.{n}" for n in range(100)]
        self.mine, self.foreign = (
            next(name for name in names if table.slot_of(name.encode()) == slot) for slot in (1, 2)
        )

    def come(self, kind: Kind) -> Any:
        """The connection comes with a request that belongs here; its channel."""
        adopted = self.worker.counters.adopted
        self.client.sendall(request(self.mine))
        frame = Frame(kind, 1, None, None)
        self.assertTrue(try_put(self.ours, frame.encode(), self.theirs.fileno()))
        self.reactor.settle()
        self.assertEqual(self.worker.counters.adopted, adopted + 1)
        self.assertTrue(self.client.recv(4096).startswith(b"HTTP/1.1 200"))
        (channel,) = self.worker._channels
        return channel

    def leave(self) -> None:
        """Its next request belongs to the other slot."""
        self.client.sendall(request(self.foreign))
        self.reactor.settle()
        message, descriptor = take_one(self.other) or (b"", -1)
        self.assertIn(b"GET", message)
        os.close(descriptor)

    def pass_time(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.worker.settle()

    def test_a_connection_that_comes_back_has_its_channel(self) -> None:
        channel = self.come(Kind.PLACED)
        for _ in range(3):
            self.leave()
            self.pass_time(KEEP_ALIVE - 1)
            self.assertIs(self.come(Kind.MOVED), channel)
        self.assertEqual(self.worker.counters.arrived, 3)

    def test_one_that_does_not_is_forgotten(self) -> None:
        channel = weakref.ref(self.come(Kind.PLACED))
        self.leave()
        self.pass_time(KEEP_ALIVE - 1)
        self.assertIsNotNone(channel())
        self.pass_time(1)
        gc.collect()
        self.assertIsNone(channel())
        # And if it does after all, it is served like any other.
        self.come(Kind.MOVED)
