"""One sweep for the deadlines of many."""

import unittest
from typing import Any

from twisted.internet.task import Clock

from stickyd.net.timeouts import AT_ONCE, SWEEP_EVERY, Sweeper


class Member:
    """Over at ``deadline``; may leave a successor, as a refused connection does."""

    def __init__(self, sweeper: Sweeper, deadline: float | None, successors: int = 0) -> None:
        self.sweeper = sweeper
        self.deadline = deadline
        self.successors = successors
        self.ended = 0
        sweeper.add(self)

    def expired(self) -> None:
        self.ended += 1
        self.sweeper.discard(self)
        if self.successors and self.deadline is not None:
            Member(self.sweeper, self.deadline + 1, self.successors - 1)


class Fails(Member):
    def expired(self) -> None:
        super().expired()
        raise ZeroDivisionError


class Turns(Clock):
    """As a real reactor: what is called ``0`` seconds later is for the next turn."""

    def __init__(self) -> None:
        super().__init__()
        self.next: list[tuple[Any, Any]] = []

    def callLater(self, when: float, what: Any, *arguments: Any) -> Any:
        if when:
            return super().callLater(when, what, *arguments)
        self.next.append((what, arguments))
        return self.next[-1]

    def turn(self) -> None:
        now, self.next = self.next, []
        for what, arguments in now:
            what(*arguments)


class Sweeping(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sweeper = Sweeper(self.clock)

    def test_who_is_over_ends_once_and_nothing_runs_for_nobody(self) -> None:
        members = [Member(self.sweeper, deadline) for deadline in (0.1, 0.3, None)]
        self.clock.advance(SWEEP_EVERY)
        self.assertEqual([m.ended for m in members], [1, 0, 0])
        self.clock.pump([SWEEP_EVERY] * 4)
        self.assertEqual([m.ended for m in members], [1, 1, 0])
        self.sweeper.discard(members[2])
        self.clock.advance(SWEEP_EVERY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_timer_whatever_comes_after_those_that_end(self) -> None:
        for _ in range(3 * AT_ONCE):
            Member(self.sweeper, 0.1, successors=50)
        for _ in range(500):
            self.clock.advance(SWEEP_EVERY / 2)
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.sweeper.members, set())

    def test_a_crowd_ends_a_few_in_each_turn(self) -> None:
        clock = Turns()
        sweeper = Sweeper(clock)
        members = [Member(sweeper, 0.1) for _ in range(10 * AT_ONCE)]
        clock.advance(SWEEP_EVERY)
        for turn in range(1, 9):
            self.assertEqual(sum(m.ended for m in members), turn * AT_ONCE)
            clock.turn()
        # What happens between two turns counts.
        spared, gone, *others = [m for m in members if not m.ended]
        spared.deadline = 9.0
        sweeper.discard(gone)
        clock.turn()
        self.assertEqual([m.ended for m in others], [1] * len(others))
        self.assertEqual((spared.ended, gone.ended), (0, 0))
        self.assertEqual((clock.next, len(clock.getDelayedCalls())), ([], 1))

    def test_one_that_fails_stops_no_other(self) -> None:
        for _ in range(AT_ONCE + 1):
            Fails(self.sweeper, 0.1)
        with self.assertRaises(ZeroDivisionError):
            self.clock.advance(SWEEP_EVERY)
        for _ in range(100):
            try:
                self.clock.advance(SWEEP_EVERY)
            except ZeroDivisionError:
                continue
        self.assertEqual(self.sweeper.members, set())

    def test_stop(self) -> None:
        Member(self.sweeper, None)
        self.sweeper.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
