"""What the guardian has when the master's program is replaced, down to what waits for room."""

import gc
import json
import os
import socket
import unittest
from typing import Any

from twisted.internet.task import Clock

from stickyd.ipc.exec_state import close_on_exec
from stickyd.ipc.fd_queue import take_one, try_put
from stickyd.ipc.frame import Frame, Kind, connection_of, decode
from stickyd.master.frontend.frontend import Frontend
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.requeue import requeue
from stickyd.master.supervisor.slots import Slots
from stickyd.settings import Limits, Settings, Timeouts
from stickyd.shm.connection_table import ConnectionTable

NEW, RESCUED, ANEW, LOST = range(1, 5)
PATIENCE = 20.0
PUT_AT = 7


class Reactor(Clock):
    """A clock whose descriptors never become ready."""

    def addReader(self, reader: Any) -> None:
        pass

    removeReader = addWriter = removeWriter = addReader


class Replaced(unittest.TestCase):
    def setUp(self) -> None:
        gc.collect()
        self.before = set(os.listdir("/proc/self/fd"))
        self.reactor = Reactor()
        self.clients: dict[int, socket.socket] = {}
        slots = Slots(self.reactor, 2)
        context = self.context(slots, ConnectionTable.create(4))
        guardian, places = context.guardian, context.connection_limit
        assert guardian is not None
        front = self.front(context)
        self.fill(slots)
        ends = self.connections(guardian, slots, places)
        self.assertEqual(slots[1].outbox.waiting(), 3)
        packed = {"slots": slots.pack(), "front": front.pack()}
        packed["taken"] = places.open_in_master()
        # The objects of the program before are gone, its descriptors are not.
        for slot in slots:
            ends += [slot.sender, slot.receiver]
        for end in ends:
            end.detach()
        front._admission.close()
        descriptor = os.dup(guardian.table.descriptor)
        guardian.table.close()
        packed["front"]["guarded"]["ledger"] = descriptor
        self.resume(json.loads(json.dumps(packed)))

    def context(self, slots: Slots, table: ConnectionTable) -> MasterContext:
        timeouts, limits = Timeouts(keep_alive=PATIENCE), Limits(connections=4)
        settings = Settings(workers=2, timeouts=timeouts, limits=limits)
        return MasterContext.build(self.reactor, settings, slots, None, table)

    def front(self, context: MasterContext) -> Frontend:
        return Frontend(context, lambda count: None)

    def fill(self, slots: Slots) -> None:
        slots[1].sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        while try_put(slots[1].sender, b"filler", 0):
            pass

    def connections(
        self, guardian: Guardian, slots: Slots, places: ConnectionLimit
    ) -> list[socket.socket]:
        worker = ConnectionTable(os.dup(guardian.table.descriptor), guardian.next_owner())
        ends = []
        for number in (NEW, RESCUED, ANEW, LOST):
            self.clients[number], ours = socket.socketpair()
            self.clients[number].settimeout(1)
            ends.append(ours)
            self.assertTrue(places.take())
            entry = guardian.allot(number, ours.fileno(), 0)
            frame = Frame(Kind.PLACED, number, None, None, entry=entry, put_at=PUT_AT)
            if number == NEW:
                message = frame.encode()
                slots[1].outbox.put(message, ours.fileno(), PATIENCE, lambda sent: None)
                continue
            copy = ours.detach()
            guardian.guard(entry, copy, frame.encode())
            if number == RESCUED:
                worker.take(entry, number, True).settle()
            elif number == ANEW:
                try_put(slots[2].sender, frame.encode(), copy)
        worker.close()
        guardian.worker_died(1, [slots[1]])
        requeue(slots[2], [slots[1]], PATIENCE, places, guardian, None)
        return ends

    def resume(self, packed: Any) -> None:
        self.slots = Slots.unpack(packed["slots"], self.reactor, None)
        table = ConnectionTable.again(close_on_exec(packed["front"]["guarded"]["ledger"]))
        self.resumed = self.context(self.slots, table)
        assert self.resumed.guardian is not None
        self.guardian, self.places = self.resumed.guardian, self.resumed.connection_limit
        self.places.resume(packed["taken"])
        self.frontend = self.front(self.resumed)
        self.frontend.resume(packed["front"], packed["slots"]["slots"])
        self.assertEqual(self.places.open(), 4)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.reactor.advance(0.25)

    def ended(self) -> list[int]:
        found = []
        for number, client in self.clients.items():
            client.setblocking(False)
            try:
                data = client.recv(4096)
                while data:
                    self.assertIn(b" 503 ", data[:20])
                    data = client.recv(4096)
                found.append(number)
            except BlockingIOError:
                pass
        return found

    def finish(self) -> None:
        """Nothing is left behind, and no place is taken."""
        self.assertEqual((self.places.open(), len(self.guardian)), (0, 0))
        self.guardian.close()
        self.frontend.close()
        self.slots.close()
        for client in self.clients.values():
            client.close()
        self.assertEqual(set(os.listdir("/proc/self/fd")), self.before)

    def test_there_is_room_at_last(self) -> None:
        came = []
        worker = ConnectionTable(os.dup(self.guardian.table.descriptor), self.guardian.next_owner())
        for _ in range(100):
            taken_one = take_one(self.slots[1].receiver)
            if taken_one is None:
                self.reactor.advance(0.25)
                continue
            message, descriptor = taken_one
            if message != b"filler":
                frame = decode(message)
                came.append((frame.connection, frame.kind, frame.put_at))
                worker.take(frame.entry, connection_of(message), True).end()
            os.close(descriptor)
        # One that idled waits for nothing; the others do since they were placed.
        expected = {
            (NEW, Kind.PLACED, PUT_AT),
            (RESCUED, Kind.RETURNED, 0),
            (ANEW, Kind.RETURNED, PUT_AT),
        }
        self.assertEqual((set(came), len(came)), (expected, 3))
        self.pass_time(1)
        # Each had its end; the one that nobody had was let go.
        self.assertEqual(self.ended(), [NEW, RESCUED, ANEW, LOST])
        self.assertEqual(self.resumed.counters.released, 1)
        worker.close()
        self.finish()

    def test_there_is_never_room(self) -> None:
        self.pass_time(PATIENCE / 2)
        self.assertEqual((self.ended(), self.places.open()), ([], 4))
        self.pass_time(PATIENCE)
        self.assertEqual(self.ended(), [NEW, RESCUED, ANEW])
        self.assertEqual(self.resumed.counters.rescued, 0)
        while taken_one := take_one(self.slots[1].receiver):
            os.close(taken_one[1])
        self.pass_time(1)
        self.assertEqual(self.ended(), [NEW, RESCUED, ANEW, LOST])
        self.finish()
