"""The connection table while connections come, go and fail: what a worker says of each.

The rest, at each instant of a worker's life: `tests.unit.worker.test_guardian_instants`.
"""

import contextlib
import os
import socket
import unittest
from collections.abc import Callable
from typing import Any

from stickyd.ipc.fd_queue import try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.shm.connection_states import BUSY, IDLE, IN_TRANSIT
from stickyd.shm.connection_table import state_of
from stickyd.shm.copies import descriptor_of
from tests.support.cores import NATIVE
from tests.support.numbered_answers import ANSWER
from tests.unit.worker.test_guardian_instants import WAY, Fuse, World, Worlds


class Thief(Fuse):
    """Reads what has come for the worker, at one of its instants.

    :ivar took_all: whether there was something.
    """

    def __init__(self, slot: int, instant: int) -> None:
        super().__init__(slot, instant)
        self.took_all = False
        self.world: World | None = None

    def begin(self, world: World) -> None:
        self.world = world
        self.ticks = 0

    def tick(self) -> None:
        if self.world is None or self.running != self.slot:
            return
        self.ticks += 1
        if self.ticks == self.instants[0]:
            (copy,) = map(descriptor_of, self.world.guardian._copies.values())
            with (
                contextlib.suppress(BlockingIOError),
                socket.socket(fileno=os.dup(copy)) as theirs,
            ):
                self.took_all = bool(theirs.recv(9999, socket.MSG_DONTWAIT))


class Recorder(Fuse):
    """Notes the state of the connection at each instant of the engine."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.states: list[int] = []
        self.world: World | None = None

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        return call

    def tick(self) -> None:
        if self.world is not None and self.running == self.slot:
            self.states.append(state_of(self.world.guardian.table.word(1)))


class Words(Worlds):
    def test_nothing_is_there_after_all(self) -> None:
        """As epoll(7) and recv(2) have it: what is readable may be gone when it is read."""
        stolen = 0
        for instant in range(1, 9):
            thief = Thief(WAY[0], instant)
            with self.subTest(instant=instant), self.world_of(thief) as world:
                world.connect(True)
                world.run()
                self.assertEqual(world.client.recv(9999)[:12], b"HTTP/1.1 200")
                thief.begin(world)
                world.ask(0)
                world.run()
                stolen += thief.took_all
                self.assertTrue(thief.took_all or world.client.recv(9999))
                self.assertEqual(state_of(world.guardian.table.word(1)), IDLE)
        self.assertGreater(stolen, 0)

    def test_nothing_is_there_after_half_a_head(self) -> None:
        """What has been read of it would be lost with the worker."""
        stolen = 0
        for instant in range(1, 9):
            thief = Thief(WAY[0], instant)
            with self.subTest(instant=instant), self.world_of(thief) as world:
                world.connect(True)
                world.run()
                self.assertEqual(world.client.recv(9999)[:12], b"HTTP/1.1 200")
                world.client.sendall(b"GET / HTTP/1.1\r\n")
                world.run()
                self.assertEqual(state_of(world.guardian.table.word(1)), BUSY)
                thief.begin(world)
                world.client.sendall(b"Host: a\r\n")
                world.run()
                stolen += thief.took_all
                self.assertEqual(state_of(world.guardian.table.word(1)), BUSY)
        self.assertGreater(stolen, 0)

    def test_the_end_is_seen_before_the_copy_is_closed(self) -> None:
        with self.world(WAY[0]) as world:
            world.connect(True)
            world.run()
            self.assertEqual(world.client.recv(9999)[:12], b"HTTP/1.1 200")
            world.client.shutdown(socket.SHUT_WR)
            while world.reactors[WAY[0]].step():
                pass
            self.assertEqual(len(world.guardian), 1)
            self.assertEqual(world.client.recv(9999), b"")

    def test_an_entry_of_another_connection(self) -> None:
        """The master's program may have been replaced: what is there is not overwritten."""
        for number in (1, 4, 5, 1 << 20):
            with self.subTest(entry=number), self.world(0) as world:
                world.client, ours = socket.socketpair()
                world.client.settimeout(5)
                entry = world.guardian.allot(7, ours.fileno(), 0)
                table = world.guardian.table
                # What stands behind the last number reads as that of the connection.
                table._ended[0] = 1
                before = table._words[1:].tolist(), table._ids.tolist()
                frame = Frame(Kind.PLACED, 1, None, None, entry=number)
                with ours:
                    world.ask(0)
                    try_put(world.slots[WAY[0]].sender, frame.encode(), ours.fileno())
                world.run()
                self.assertEqual(len(ANSWER.findall(world.client.recv(9999))), 1)
                self.assertEqual((table._words[1:].tolist(), table._ids.tolist()), before)
                world.guardian.give_up(entry)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class WordsOfTheEngine(Words):
    """The same in the compiled engine."""

    core = staticmethod(contextlib.nullcontext)

    def test_an_inbox_that_takes_nothing(self) -> None:
        """A connection that could not be put in is its worker's again, at once."""
        recorder = Recorder(WAY[0])
        with self.world_of(recorder) as world:
            world.connect(True)
            world.run()
            recorder.world = world
            world.slots[WAY[1]].receiver.shutdown(socket.SHUT_RDWR)
            world.ask(1)
            world.run()
        self.assertIn(IN_TRANSIT, recorder.states)
        self.assertEqual(recorder.states[-1], BUSY)
