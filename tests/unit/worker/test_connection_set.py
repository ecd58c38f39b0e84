"""The connections of a worker: idle ones, those that moved, and the end of all."""

import unittest
from functools import partial
from typing import Any

from twisted.internet.task import Clock

from stickyd.ipc.frame import Frame, Kind
from stickyd.worker import connection_set
from stickyd.worker.connection_set import FINAL_FLUSH, ConnectionSet, MovedConnections


class Fake:
    """A connection that does what it is told."""

    def __init__(self, owner: ConnectionSet, deadline: float | None, idle: bool = True) -> None:
        self.frame = Frame(Kind.PLACED, int(deadline or 0), None, None)
        self.deadline = deadline
        self.said: list[str] = []
        self._owner = owner
        self._idle = idle

    def idle(self) -> bool:
        return self._idle

    def close(self) -> None:
        self.said.append("close")
        self._owner.discard(self)

    def retire(self) -> None:
        self.said.append("retire")
        if self._idle:
            self.close()

    def going_away(self) -> None:
        self.said.append("going away")
        self.close()

    def close_gracefully(self) -> None:
        self.said.append("close gracefully")
        self._owner.discard(self)

    def expired(self) -> None:
        raise AssertionError("no time passes that it would expire in")


class Sets(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.set = ConnectionSet(self.clock)
        self.addCleanup(self.set.sweeper.stop)

    def add(self, *args: Any) -> Any:
        fake: Any = Fake(self.set, *args)
        self.set.add(fake)
        return fake

    def test_the_longest_idle_are_closed_first(self) -> None:
        later, first, second = self.add(30.0), self.add(10.0), self.add(20.0)
        busy, recent = self.add(5.0, False), self.add(99.0)
        self.assertEqual(self.set.close_idle(2, 50.0), 2)
        closed = [each.said for each in (first, second, later, busy, recent)]
        self.assertEqual(closed, [["close"], ["close"], [], [], []])
        # The recent one is spared, however many are to be closed.
        self.assertEqual(self.set.close_idle(9, 50.0), 1)
        self.assertEqual(set(self.set), {busy, recent})

    def test_it_is_retired_when_the_last_connection_is_gone(self) -> None:
        idle, busy = self.add(50.0), self.add(60.0, False)
        over = self.set.retire()
        self.assertEqual((idle.said, busy.said), (["retire", "close"], ["retire"]))
        self.assertTrue(self.set.retiring)
        self.assertIsNone(self.set.retired)
        self.set.discard(busy)
        self.assertIs(self.set.retired, over)
        self.assertTrue(over.called)

    def test_it_waits_for_what_is_only_being_closed(self) -> None:
        lingering: Any = Fake(self.set, 60.0)
        self.set.sweeper.add(lingering)
        over = self.set.retire()
        self.clock.advance(0.1)
        self.assertFalse(over.called)
        self.set.sweeper.discard(lingering)
        self.clock.advance(0.1)
        self.assertTrue(over.called)

    def test_what_nothing_is_due_on_is_closed_in_turn(self) -> None:
        ones: list[Any] = [self.add(50.0, False) for _ in range(4)]

        def retire(one: Any) -> None:
            self.set.close_in_turn(one)

        for one in ones:
            one.retire = partial(retire, one)
        over = self.set.retire(4.0)
        closed = [sum("going away" in one.said for one in ones)]
        for _ in range(2):
            self.clock.advance(1.0)
            closed.append(sum("going away" in one.said for one in ones))
        self.assertEqual(closed, [1, 2, 3])
        # The client has closed the last one itself, before its turn.
        (last,) = [one for one in ones if not one.said]
        last.close()
        self.assertTrue(over.called)
        self.clock.advance(9.0)
        self.assertEqual(last.said, ["close"])

    def test_a_second_call_with_less_time_replaces_the_first(self) -> None:
        ones: list[Any] = [self.add(50.0, False) for _ in range(4)]
        for one in ones:
            one.retire = partial(self.set.close_in_turn, one)
        self.set.retire(400.0)
        over = self.set.retire(1.0)
        self.clock.pump([0.5, 0.5])
        self.assertTrue(over.called)

    def test_what_is_left_is_closed_and_has_its_time(self) -> None:
        busy = self.add(60.0, False)
        lingering: Any = Fake(self.set, 60.0)
        self.set.sweeper.add(lingering)
        flushed: Any = self.set.abort()
        self.assertEqual(busy.said, ["close gracefully"])
        self.clock.advance(FINAL_FLUSH - 0.1)
        self.assertFalse(flushed.called)
        self.clock.advance(0.1)
        self.assertTrue(flushed.called)
        self.set.sweeper.discard(lingering)

    def test_nothing_is_left_to_wait_for(self) -> None:
        self.assertIsNone(self.set.abort())


class Moved(unittest.TestCase):
    def setUp(self) -> None:
        self.moved = MovedConnections()
        self.set = ConnectionSet(Clock())

    def keep(self, number: int, until: float) -> Any:
        fake: Any = Fake(self.set, float(number))
        self.moved.keep(fake, until)
        return fake

    def test_one_comes_back_once(self) -> None:
        one = self.keep(1, 10.0)
        self.assertIs(self.moved.take(1), one)
        self.assertIsNone(self.moved.take(1))

    def test_old_ones_are_dropped(self) -> None:
        self.keep(1, 10.0)
        two = self.keep(2, 20.0)
        self.moved.forget_old(10.0)
        self.assertIsNone(self.moved.take(1))
        self.assertIs(self.moved.take(2), two)

    def test_there_is_a_bound(self) -> None:
        for number in range(connection_set.MOVED_MOST + 1):
            self.keep(number + 1, 10.0)
        self.assertIsNone(self.moved.take(1))
        self.assertIsNotNone(self.moved.take(2))
