"""The end of a worker that drains."""

import unittest
from typing import cast

import attrs
from twisted.internet.task import Clock

from stickyd.ipc.fd_sender import InboxSender
from stickyd.settings import LifecycleSettings, SessionSettings, Settings, Timeouts
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection_set import ConnectionSet
from stickyd.worker.drain import HAND_OVER_LEAST, Drain, DrainTimes
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
    handing: "Handing | None" = None

    def movable(self) -> bool:
        return self.handing is not None and self.handing.offered

    def in_use(self) -> bool:
        return self.uses is not None

    def hold_keys(self) -> None:
        if self.uses is not None:
            self.keys = (self.uses,)
            self.owner.hold(self)

    def close_gracefully(self) -> None:
        self.closed += 1
        self.uses = None


@attrs.define(eq=False)
class Handing:
    """The handover of a WebSocket, which takes as long as the test says."""

    offered: bool = True
    started: bool = False

    def start(self) -> None:
        self.started = True


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

    def with_socket(self, *uses: str) -> tuple[Drain, list[Connection], Handing]:
        """The last one is a WebSocket that can be handed over."""
        drain, connections = self.drain(*uses)
        handing = connections[-1].handing = Handing()
        connections[-1].state = State.PINNED
        drain.released()
        self.clock.advance(0)
        return drain, connections, handing

    def test_a_websocket_is_handed_over_at_once(self) -> None:
        _, (_, socket), handing = self.with_socket("a", "b")
        self.assertTrue(handing.started)
        self.assertEqual(socket.closed, 0)

    def test_a_websocket_waits_for_what_else_uses_its_key(self) -> None:
        drain, (busy, _), handing = self.with_socket("a", "a")
        self.assertFalse(handing.started)
        busy.uses = None
        drain.released()
        self.clock.advance(0)
        self.assertTrue(handing.started)

    def test_two_websockets_of_one_key_are_handed_over(self) -> None:
        drain, (first, _), handing = self.with_socket("a", "a")
        first.state, first.handing = State.PINNED, Handing()
        drain.released()
        self.clock.advance(0)
        self.assertTrue(first.handing.started and handing.started)

    def test_a_websocket_waits_for_what_is_known_of_its_key(self) -> None:
        """With ``--session-drain`` the memory of the old worker is what counts."""
        self.memory.note("b", 0.0)
        drain, (socket,) = self.drain("b", remembered=20.0, keeps=True)
        socket.state, socket.handing = State.PINNED, Handing()
        drain.released()
        self.clock.advance(19.9)
        self.assertFalse(socket.handing.started)
        self.clock.pump([0.2, 0])
        self.assertTrue(socket.handing.started)

    def test_a_websocket_has_some_time_when_the_grace_is_over(self) -> None:
        drain, (busy, socket), handing = self.with_socket("a", "a")
        drain._times = DrainTimes(0.0, 30.0, 5.0, 0.0)
        drain.end()
        self.clock.advance(0.5)
        self.assertEqual((handing.started, busy.closed, socket.closed), (True, 1, 0))
        self.clock.advance(HAND_OVER_LEAST)
        self.assertEqual((self.finished, socket.closed), (1, 1))

    def test_another_reload_closes_a_websocket_that_stays(self) -> None:
        drain, (_, socket), handing = self.with_socket("a", "b")
        drain.hasten()
        self.clock.pump([0, 1.0])
        self.assertEqual(socket.closed, 0)
        handing.offered = False
        drain.released()
        self.clock.advance(0)
        self.assertEqual(socket.closed, 1)

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
