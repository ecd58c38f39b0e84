"""The gate between two requests: the whole table, and no combination that it leaves open."""

import itertools
import unittest
from typing import Any

from stickyd.worker.connection.next_step import Step, with_head, without_head

ANY = None
"""In a row: whatever the value."""

# ending, client_done, leaving, flushed. The rows do not overlap, so their
# order says nothing.
WITHOUT_HEAD: list[tuple[Any, ...]] = [
    (True, ANY, ANY, ANY, Step.CLOSE),
    (False, True, ANY, ANY, Step.CLOSE),
    (False, False, False, ANY, Step.WAIT),
    (False, False, True, True, Step.RETURN),
    (False, False, True, False, Step.FLUSH),
]

OWN, OTHER, NONE = "own slot", "another slot", "no slot"

# came_with, leaving, the slot that is named, moves, others, flushed.
WITH_HEAD: list[tuple[Any, ...]] = [
    (True, ANY, ANY, ANY, False, ANY, Step.STAY),
    (True, ANY, ANY, ANY, True, True, Step.PASS),
    (True, ANY, ANY, ANY, True, False, Step.FLUSH),
    (False, True, ANY, ANY, ANY, True, Step.RETURN),
    (False, True, ANY, ANY, ANY, False, Step.FLUSH),
    (False, False, OWN, ANY, False, ANY, Step.STAY),
    (False, False, NONE, ANY, False, ANY, Step.STAY),
    (False, False, OWN, ANY, True, True, Step.PASS),
    (False, False, NONE, ANY, True, True, Step.PASS),
    (False, False, OWN, ANY, True, False, Step.FLUSH),
    (False, False, NONE, ANY, True, False, Step.FLUSH),
    (False, False, OTHER, False, ANY, ANY, Step.MISROUTE),
    (False, False, OTHER, True, ANY, False, Step.FLUSH),
    (False, False, OTHER, True, ANY, True, Step.MOVE),
]

YES_NO = (False, True)


def only_step(rows: list[tuple], facts: tuple) -> Step:
    """The step of the one row that fits the facts."""
    steps = [
        row[-1]
        for row in rows
        if all(want is ANY or want == fact for want, fact in zip(row[:-1], facts, strict=True))
    ]
    assert len(steps) == 1, f"{facts} has {len(steps)} rows"
    return steps[0]


class Gate(unittest.TestCase):
    """Every combination of facts."""

    def test_without_head(self) -> None:
        for facts in itertools.product(YES_NO, repeat=4):
            ending, client_done, leaving, flushed = facts
            step = without_head(
                ending=ending, client_done=client_done, leaving=leaving, flushed=flushed
            )
            self.assertIs(step, only_step(WITHOUT_HEAD, facts), facts)

    def test_with_head(self) -> None:
        met = set()
        # Slot 0 does not exist, but a number that is false must be a slot like any other.
        slots = (0, 1, 2, 511)
        for came_with, leaving, moves, others, flushed in itertools.product(YES_NO, repeat=5):
            for own, named in itertools.product(slots, (None, *slots)):
                whose = NONE if named is None else OWN if named == own else OTHER
                facts = (came_with, leaving, whose, moves, others, flushed)
                step = with_head(
                    came_with=came_with,
                    leaving=leaving,
                    moves=moves,
                    own=own,
                    named=named,
                    others=others,
                    flushed=flushed,
                )
                self.assertIs(step, only_step(WITH_HEAD, facts), (facts, own, named))
                met.add(step)
        self.assertEqual(met, set(Step) - {Step.WAIT, Step.CLOSE})

    def test_a_connection_that_came_for_this_request_never_moves(self) -> None:
        """Otherwise a changing table could send it round for ever."""
        for leaving, moves, flushed in itertools.product(YES_NO, repeat=3):
            step = with_head(
                came_with=True,
                leaving=leaving,
                moves=moves,
                own=1,
                named=2,
                others=False,
                flushed=flushed,
            )
            self.assertIs(step, Step.STAY)

    def test_nothing_leaves_with_an_answer_on_its_way(self) -> None:
        for facts in itertools.product(YES_NO, YES_NO, YES_NO, YES_NO, (None, 1, 2)):
            came_with, leaving, moves, others, named = facts
            step = with_head(
                came_with=came_with,
                leaving=leaving,
                moves=moves,
                own=1,
                named=named,
                others=others,
                flushed=False,
            )
            self.assertIn(step, (Step.STAY, Step.MISROUTE, Step.FLUSH))
