"""The compiled lane beside Python's listener: places, entries, descriptors, full inboxes."""

import os
import random
import resource
import select
import socket
from itertools import count
from typing import Any

from stickyd.shm.connection_states import IN_TRANSIT
from stickyd.shm.connection_table import ConnectionTable, state_of
from tests.support.core_agreement import BUILT
from tests.support.lane_sides import UNTIL, Beside, request


class Bounds(Beside):
    def test_places(self) -> None:
        sides = self.sides(max_connections=5)
        for _ in range(9):
            for side in sides:
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["open"]), (4, 5))

    def test_places_that_become_free(self) -> None:
        sides = self.sides(max_connections=3)
        for round_ in range(4):
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                for _ in range(3):
                    side.arrives(side.connect(request(f"10.0.0.{round_}")))
                self.assertEqual(len(guardian), 3)
                worker = ConnectionTable(os.dup(guardian.table.descriptor), 1)
                for frames in side.inboxes().values():
                    for frame in frames:
                        worker.take(frame.entry, frame.connection, False).end()
                worker.close()
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["counters"]["accepted"]), (0, 12))

    def test_entries(self) -> None:
        sides = self.sides(entries=2)
        for _ in range(4):
            for side in sides:
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual(len(told["guarded"]), 2)
        frames = [frame for frames in told["placed"].values() for frame in frames]
        self.assertEqual([frame.entry for frame in frames], [1, 2, 0, 0])

    def test_entries_are_used_again_in_the_same_order(self) -> None:
        sides = self.sides(entries=100)
        chance = random.Random(3)
        for _ in range(12):
            ends = [chance.random() < 0.6 for _ in range(6)]
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                for _ in range(6):
                    side.arrives(side.connect(request("10.0.0.1")))
                worker = ConnectionTable(os.dup(guardian.table.descriptor), 1)
                for frames in side.inboxes().values():
                    for frame, end in zip(frames, ends, strict=False):
                        entry = worker.take(frame.entry, frame.connection, False)
                        if end:
                            entry.end()
                worker.close()
                guardian.sweep()
            self.same(*sides)

    def test_an_entry_that_the_table_does_not_have(self) -> None:
        """Nothing is written beside the table, whatever the list of unused entries says."""
        side = self.side(BUILT)
        lane: Any = side.listener.lane
        lanes = BUILT.lanes
        assert lanes is not None
        for entries in (0, 1, 5):
            words, ids = (memoryview(bytearray(8 * 6)).cast("Q") for _ in range(2))
            table = (words[:entries], ids[:5], [5])
            limits = side.listener.reception.limits
            master = lanes.MasterLane(0, None, limits, table, 1 << 20)
            side.connect(request("10.0.0.1"))
            select.select([side.socket], [], [], UNTIL)
            route = lane._routes.current()
            verdict = master.accept(side.socket.fileno(), route, 1, count(1))
            self.assertEqual(verdict, lanes.UNUSUAL)
            os.close(master.descriptor)
            self.assertEqual((words.tolist(), ids.tolist()), ([0] * 6, [0] * 6))

    def test_one_call_accepts_no_more_than_a_batch(self) -> None:
        side = self.side(BUILT, workers=5)
        lane: Any = side.listener.lane
        guardian, lanes = side.guardian, BUILT.lanes
        assert guardian is not None
        assert lanes is not None
        guardian.table.stock(100)
        for number in range(66):
            side.connect(request(f"10.0.0.{number}"))
        select.select([side.socket], [], [], UNTIL)
        route, descriptor = lane._routes.current(), side.socket.fileno()
        for accepted, end in ((64, lanes.MORE_MAY_WAIT), (2, lanes.NOTHING_WAITS)):
            self.assertEqual(lane._lane.accept(descriptor, route, 1000, count(1)), end)
            self.assertEqual(lane._lane.accepted, accepted)
            self.assertEqual(sum(each[2] for each in lane._lane.placed), accepted)
            guardian.guard_all(lane._lane.copies)
        self.assertEqual(sum(map(len, side.inboxes().values())), 66)

    def test_words_say_in_transit(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(request("10.0.0.1")))
        guardian = side.guardian
        assert guardian is not None
        self.assertEqual(state_of(guardian.table.word(1)), IN_TRANSIT)

    def test_descriptors_that_are_not_guarded(self) -> None:
        for more, guarded in ((0, 0), (1, 1)):
            sides = self.sides()
            for side in sides:
                guardian = side.guardian
                assert guardian is not None
                client = side.connect(request("10.0.0.1"))
                # The number that accept4(2) gives next.
                lowest = os.dup(client.fileno())
                os.close(lowest)
                guardian.highest = lowest + more
                if side.listener.lane is not None:
                    # It has taken the brim when it was made.
                    side.front._lanes.equip(side.listener)
                side.arrives(client)
            self.assertEqual(len(self.same(*sides)["guarded"]), guarded)
            for side in sides:
                side.close()

    def test_full_inboxes(self) -> None:
        sides = self.sides()
        for side in sides:
            for slot in side.slots:
                slot.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
            for _ in range(40):
                side.arrives(side.connect(request("10.0.0.1")))
            self.assertEqual([slot.outbox.waiting() > 0 for slot in side.slots].count(True), 1)
            guardian = side.guardian
            assert guardian is not None
            frames = [frame for frames in side.inboxes().values() for frame in frames]
            # There is room now, but others were before this one.
            side.arrives(side.connect(request("10.0.0.1")))
            self.assertEqual([f for frames in side.inboxes().values() for f in frames], [])
            while True:
                side.reactor.advance(0.01)
                more = [frame for frames in side.inboxes().values() for frame in frames]
                if not more:
                    break
                frames += more
            # In the order in which they came, no number twice.
            ports = [frame.peer[1] for frame in frames if frame.peer]
            self.assertEqual(ports, [client.getsockname()[1] for client in side.clients])
            self.assertEqual(len({frame.connection for frame in frames}), 41)
            self.assertEqual(len({frame.entry for frame in frames}), 41)
            self.assertEqual(len(guardian), 41)
        self.assertEqual(sides[0].counters.as_json(), sides[1].counters.as_json())

    def test_an_inbox_that_is_gone(self) -> None:
        sides = self.sides(workers=1)
        for side in sides:
            side.slots[1].receiver.shutdown(socket.SHUT_RDWR)
            client = side.connect(request("10.0.0.1"))
            side.arrives(client)
            client.settimeout(UNTIL)
            self.assertTrue(client.recv(99).startswith(b"HTTP/1.1 503 "))
        for side in sides:
            self.assertEqual(side.counters.refused, {503: 1})
            guardian = side.guardian
            assert guardian is not None
            self.assertEqual((len(guardian), side.places.open()), (0, 1))

    def test_no_descriptor_left(self) -> None:
        sides = self.sides(entries=None)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        for side in sides:
            clients = [side.connect(request("10.0.0.1")) for _ in range(3)]
            most = max(map(int, os.listdir("/proc/self/fd")))
            fill = []
            while not fill or fill[-1] < most:
                fill.append(os.open(os.devnull, os.O_RDONLY))
            resource.setrlimit(resource.RLIMIT_NOFILE, (fill[-1] + 1, before[1]))
            try:
                side.reactor.readers[side.listener] = side.listener.fileno()
                side.listener.doRead()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                for descriptor in fill:
                    os.close(descriptor)
            for client in clients:
                client.settimeout(UNTIL)
                self.assertTrue(client.recv(99).startswith(b"HTTP/1.1 503 "))
            self.assertNotIn(side.listener, side.reactor.readers)
            side.reactor.advance(0.1)
            side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual((told["counters"]["shed"], told["counters"]["accepted"]), (3, 4))
