"""What is put into an inbox counts as load of its slot once, whoever puts it there and however it
ends; ``--hash-balance-factor`` rests on that.
"""

import os
import socket
import unittest
from collections.abc import Callable

from twisted.logger import capturedLogs
from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox, take_one, try_put
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.requeue import requeue
from stickyd.master.supervisor.slots import Slots
from stickyd.settings import RoutingSettings, Settings
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.worker import Resources, Worker
from tests.support.daemon import request
from tests.support.stepping import SteppingReactor

CROWD = 50
PATIENCE = 2.0


class Counting(unittest.TestCase):
    def setUp(self) -> None:
        self.reactor = SteppingReactor()
        self.board = Scoreboard.create(3)
        self.addCleanup(self.board.close)
        self.told: list[bool] = []
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def slots(self, count: int = 2) -> Slots:
        slots = Slots(self.reactor, count, self.board)
        self.addCleanup(lambda: slots.close())
        return slots

    def loads(self) -> list[int]:
        return list(self.board.loads([1, 2, 3]).values())

    def put(self, slots: Slots, slot: int, count: int = 1) -> None:
        for number in range(1, count + 1):
            message = Frame(Kind.PLACED, number, None, None).encode()
            slots[slot].outbox.put(message, self.theirs.fileno(), PATIENCE, self.told.append)

    def fill(self, sender: socket.socket) -> None:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        while try_put(sender, b"filler", self.theirs.fileno()):
            pass

    def empty(self, receiver: socket.socket) -> None:
        while taken := take_one(receiver):
            os.close(taken[1])


class InTheMaster(Counting):
    def test_what_is_requeued_is_load_of_the_slot_it_goes_to(self) -> None:
        slots = self.slots()
        self.put(slots, 1, CROWD)
        self.assertEqual(self.loads(), [CROWD, 0, 0])
        requeue(slots[1], [slots[2]], PATIENCE, ConnectionLimit(CROWD), None, self.board)
        self.assertEqual(self.loads(), [0, CROWD, 0])

    def test_what_waits_for_room_is_requeued_as_well(self) -> None:
        slots = self.slots()
        slots[1].sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        self.put(slots, 1, CROWD)
        self.assertGreater(slots[1].outbox.waiting(), 0)
        requeue(slots[1], [slots[2]], PATIENCE, ConnectionLimit(CROWD), None, self.board)
        self.reactor.advance(0.01)
        self.assertEqual((slots[1].outbox.waiting(), self.loads()), (0, [0, CROWD, 0]))
        self.assertIsNone(take_one(slots[1].receiver))
        self.assertEqual(self.told, CROWD * [True])
        self.reactor.advance(PATIENCE)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_cannot_be_requeued_is_load_of_no_slot(self) -> None:
        slots = self.slots()
        try_put(slots[1].sender, b"no frame", self.theirs.fileno())
        self.board.row(0).counter(1).placed()
        self.put(slots, 1)
        slots[2].receiver.close()
        with capturedLogs() as said:
            requeue(slots[1], [slots[2]], PATIENCE, ConnectionLimit(2), None, self.board)
        self.assertEqual(len(said), 1)
        self.assertEqual(self.loads(), [0, 0, 0])

    def test_what_waits_for_room_counts_until_it_is_given_up(self) -> None:
        ways: list[Callable[[Slots], object]] = [
            lambda slots: self.reactor.advance(PATIENCE + 1),
            lambda slots: slots[1].outbox.cancel_waiting(),
            lambda slots: slots[1].outbox.take_waiting(),
            lambda slots: (slots[1].receiver.close(), self.reactor.advance(0.01)),
        ]
        for way in ways:
            slots = self.slots()
            self.fill(slots[1].sender)
            self.put(slots, 1, 3)
            self.assertEqual(slots[1].outbox.waiting(), 3)
            self.assertEqual(self.loads(), [3, 0, 0])
            way(slots)
            self.assertEqual(self.loads(), [0, 0, 0])
        self.assertEqual(self.told, 9 * [False])

    def test_another_program_in_the_masters_place_counts_it_once(self) -> None:
        slots = self.slots(1)
        self.fill(slots[1].sender)
        self.put(slots, 1, 3)
        (packed,) = slots.pack()["slots"]
        self.assertEqual(len(packed["waiting"]), 3)
        whole = {"version": 1, "out": [], "slots": [packed]}
        for end in (slots[1].sender, slots[1].receiver):
            end.detach()
        after = Slots.unpack(whole, self.reactor, self.board)
        self.addCleanup(after.close)
        self.put(after, 1, 3)
        self.assertEqual(self.loads(), [3, 0, 0])
        self.reactor.advance(PATIENCE + 1)
        self.assertEqual(self.loads(), [0, 0, 0])

    def test_a_slot_that_is_removed_leaves_no_load_to_the_next_of_its_number(self) -> None:
        slots = self.slots(3)
        self.put(slots, 3, 2)
        slots.remove(slots[3])
        self.assertEqual(self.loads(), [0, 0, 0])
        self.put(slots, slots.add().number)
        self.assertEqual(self.loads(), [0, 0, 1])


class Idle(Resource):
    isLeaf = True

    def render(self, asked: object) -> bytes:
        return b"served"


class InAWorker(Counting):
    """One that has to end while a connection of its waits for room elsewhere."""

    def test_the_end_of_the_grace(self) -> None:
        self.reactor = SteppingReactor()
        settings = Settings(workers=2, routing=RoutingSettings(scope="request", balance_factor=150))
        table = settings.policy().table
        client = next(
            c for c in map("10.0.0.{}".format, range(99)) if table.slot_of(c.encode()) == 2
        )
        ends = {slot: make_inbox() for slot in (1, 2)}
        self.fill(ends[2][0])
        number = self.board.hand_out(1)
        worker = Worker(
            self.reactor,
            settings,
            WebApp(Site(Idle(), reactor=self.reactor)),
            Resources(
                1,
                ends[1][1],
                {slot: sender for slot, (sender, _) in ends.items()},
                WorkerStats(),
                (self.board, number),
            ),
        )
        worker.start()
        # Placed here, so served here; the next one belongs to slot 2.
        message = Frame(Kind.PLACED, 1, None, None, unread=request(client)).encode()
        outbox = InboxSender(self.reactor, ends[1][0], self.board.row(0).counter(1))
        outbox.put(message, self.theirs.fileno(), PATIENCE, self.told.append)
        self.reactor.settle()
        self.ours.sendall(request(client))
        self.reactor.settle()
        self.assertEqual(self.loads(), [0, 1, 0])
        over = worker.retire(1.0)
        self.reactor.advance(1.0)
        self.assertEqual(self.loads(), [0, 0, 0])
        self.reactor.advance(1.0)
        self.assertTrue(over.called)
        answers = self.ours.recv(65536)
        self.assertEqual(answers.count(b"served"), 1)
        self.assertEqual(answers.count(b"HTTP/1.1 503 "), 1)
        # The other inbox has room again, too late.
        self.empty(ends[2][1])
        self.reactor.advance(1.0)
        self.assertIsNone(take_one(ends[2][1]))
        worker.context.poller.close()
        for pair in ends.values():
            for end in pair:
                end.close()
