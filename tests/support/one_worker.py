"""One worker without a process, over real sockets, whose time the test passes."""

import socket
import unittest
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from stickyd.ipc.fd_queue import make_inbox, try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.settings import RoutingSettings, Settings, Timeouts
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.worker import Resources, Worker
from tests.support.daemon import request
from tests.support.stepping import SteppingReactor

KEEP_ALIVE = 75.0


class Hello(Resource):
    """Answers at once; ``/never`` not at all."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        return NOT_DONE_YET if request.path == b"/never" else b"hello"


class OneWorker(unittest.TestCase):
    """A worker of slot 1; the test is slot 2, and the master."""

    def setUp(self) -> None:
        settings = Settings(
            workers=2,
            routing=RoutingSettings(scope="request"),
            timeouts=Timeouts(keep_alive=KEEP_ALIVE),
        )
        self.reactor = SteppingReactor()
        self.ours, inbox = make_inbox()
        way, self.other = make_inbox()
        tally = WorkerStats()
        self.addCleanup(tally.close)
        site = WebApp(Site(Hello(), reactor=self.reactor))
        senders = {1: self.ours, 2: way}
        self.worker = Worker(self.reactor, settings, site, Resources(1, inbox, senders, tally))
        self.worker.start()
        for end in (self.ours, inbox, way, self.other):
            self.addCleanup(end.close)
        self.addCleanup(self.worker.context.poller.close)
        table = settings.policy().table
        names = [f"10.0.0.{n}" for n in range(100)]
        self.mine, self.foreign = (
            next(name for name in names if table.slot_of(name.encode()) == slot) for slot in (1, 2)
        )

    def connection(self) -> tuple[socket.socket, socket.socket]:
        """The client's end, and the one that the worker gets a copy of."""
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        return ends

    def give(self, kind: Kind, theirs: socket.socket) -> None:
        """Put a connection into the worker's inbox, and let the worker do what there is to do."""
        adopted = self.worker.context.accounting.counters.adopted
        frame = Frame(kind, 1, None, None)
        self.assertTrue(try_put(self.ours, frame.encode(), theirs.fileno()))
        self.reactor.settle()
        self.assertEqual(self.worker.context.accounting.counters.adopted, adopted + 1)

    def ask(self, client: socket.socket) -> None:
        """A request that belongs here; its answer."""
        client.sendall(request(self.mine))
        self.reactor.settle()
        self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))

    def pass_time(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.worker.settle()
