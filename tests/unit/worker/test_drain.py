"""The end of a worker that drains."""

import unittest
from typing import cast

import attrs
from twisted.internet.task import Clock

from stickyd.ipc.fd_sender import InboxSender
from stickyd.settings import LifecycleSettings, SessionSettings, Settings, Timeouts
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection_set import ConnectionSet
from stickyd.worker.drain import Drain, DrainTimes
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.known_keys import KnownKeys

NEWER = cast("InboxSender", "newer")


@attrs.define(eq=False)
class Connection:
    owner: KeyOwner
    uses: str | None = None
    keys: tuple[str, ...] = ()
    deadline: float | None = None
    state: State = State.ANSWER
    closed: int = 0

    def in_use(self) -> bool:
        return self.uses is not None

    def hold_keys(self) -> None:
        if self.uses is not None:
            self.keys = (self.uses,)
            self.owner.hold(self)

    def close_gracefully(self) -> None:
        self.closed += 1
        self.uses = None


class DrainTests(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = KnownKeys()
        self.finished = 0

    def drain(
        self, *uses: str | None, remembered: float = 0.0, keeps: bool = False
    ) -> tuple[Drain, list[Connection]]:
        self.owner = owner = KeyOwner(self.memory, keeps=keeps)
        all_of_them = ConnectionSet(self.clock)
        connections = [Connection(owner, each) for each in uses]
        for connection in connections:
            all_of_them.members.add(connection)  # type: ignore[arg-type]

        def finished() -> None:
            self.finished += 1

        times = DrainTimes(remembered, 30.0, 5.0, 1.0)
        drain = Drain(self.clock, times, owner, all_of_them, finished)
        owner.released = drain.released
        owner.lead(NEWER)
        drain.start()
        self.clock.advance(0)
        return drain, connections

    def test_without_a_key_in_use_it_is_over_at_once(self) -> None:
        drain, _ = self.drain(None)
        self.assertEqual((self.finished, drain.over, drain.closed), (1, True, False))
        self.assertFalse(self.clock.getDelayedCalls())
        drain.tick()
        self.assertEqual(self.finished, 2)

    def test_it_is_over_when_the_last_key_is_free(self) -> None:
        drain, (first, second) = self.drain("a", "b")
        self.assertEqual(self.finished, 0)
        first.uses = None
        drain.released()
        self.clock.advance(0)
        self.assertEqual(self.finished, 0)
        second.uses = None
        drain.released()
        self.clock.advance(0)
        self.assertEqual((self.finished, first.closed, second.closed), (1, 0, 0))

    def test_after_the_grace_what_is_in_use_is_closed(self) -> None:
        drain, (busy, idle) = self.drain("a", None)
        self.clock.advance(29.9)
        self.assertEqual((self.finished, busy.closed), (0, 0))
        self.clock.pump([0.2, 1.0, 0])
        self.assertEqual((self.finished, busy.closed, idle.closed), (1, 1, 0))
        self.assertTrue(drain.closed)
        self.assertEqual(self.owner.other("a", 0.0, came_with=True), NEWER)

    def test_another_reload_does_not_wait_for_upgraded_connections(self) -> None:
        self.memory.note("known", 0.0)
        drain, (busy, upgraded) = self.drain("a", "b", remembered=600.0, keeps=True)
        upgraded.state = State.PINNED
        drain.hasten()
        self.clock.pump([0, 1.0, 0])
        self.assertEqual((self.finished, busy.closed, upgraded.closed), (0, 0, 1))
        self.assertIsNone(self.owner.other("a", 0.0, came_with=True))
        for key in ("b", "known"):
            self.assertEqual(self.owner.other(key, 0.0, came_with=True), NEWER)
        busy.uses = None
        drain.released()
        self.clock.advance(0)
        self.assertEqual((self.finished, busy.closed), (1, 0))

    def test_it_ends_once(self) -> None:
        drain, (busy,) = self.drain("a")
        drain.end()
        drain.end()
        self.clock.pump([0, 1.0, 0])
        self.assertEqual((self.finished, busy.closed), (1, 1))

    def test_a_key_is_the_successors_when_its_connection_is_closed(self) -> None:
        drain, connections = self.drain(*"abcd")
        drain.end()
        order = []
        for _ in range(20):
            self.clock.advance(0.1)
            free = [c.closed for c in connections]
            for name, closed in zip("abcd", free, strict=True):
                other = self.owner.other(name, 0.0, came_with=True)
                self.assertEqual(other, NEWER if closed else None)
            order.append(sum(free))
        self.assertEqual((order[-1], self.finished), (4, 1))
        self.assertGreater(len(set(order)), 2)

    def test_known_keys_are_kept_until_they_are_idle(self) -> None:
        self.memory.note("a", 0.0)
        drain, (connection,) = self.drain(None, remembered=600.0, keeps=True)
        connection.keys = ("a",)
        self.clock.advance(6)
        drain.tick()
        self.assertEqual(self.finished, 0)
        connection.keys = ()
        drain.tick()
        self.assertEqual(self.finished, 1)

    def test_known_keys_are_kept_for_their_time(self) -> None:
        self.memory.note("a", 0.0)
        self.drain(None, remembered=3.0, keeps=True)
        self.clock.advance(2.9)
        self.assertEqual(self.finished, 0)
        self.clock.advance(0.1)
        self.clock.advance(0)
        self.assertEqual(self.finished, 1)


class Times(unittest.TestCase):
    def test_of_the_settings(self) -> None:
        lifecycle = LifecycleSettings(graceful_timeout=30.0, session=SessionSettings(600.0, 7.0))
        self.assertEqual(
            DrainTimes.of(Settings(lifecycle=lifecycle)), DrainTimes(600.0, 600.0, 7.0, 1.0)
        )
        settings = Settings(timeouts=Timeouts(keep_alive=11.0))
        self.assertEqual(DrainTimes.of(settings), DrainTimes(0.0, 30.0, 11.0, 1.0))
