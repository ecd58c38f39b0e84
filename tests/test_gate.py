"""The gate between two requests: the whole table, and no combination that it leaves open."""

import itertools
import unittest

from stickyd.worker.gate import Step, with_head, without_head

ANY = None
"""In a row: whatever the value."""

# ending, client_done
WITHOUT_HEAD: list[tuple[bool | None, bool | None, Step]] = [
    (True, ANY, Step.CLOSE),
    (False, True, Step.CLOSE),
    (False, False, Step.WAIT),
]

OWN, OTHER, NONE = "own slot", "another slot", "no slot"

# came_with, the slot that is named, moves, flushed. The rows do not
# overlap, so their order says nothing.
WITH_HEAD: list[tuple[bool | None, str | None, bool | None, bool | None, Step]] = [
    (True, ANY, ANY, ANY, Step.STAY),
    (False, OWN, ANY, ANY, Step.STAY),
    (False, NONE, ANY, ANY, Step.STAY),
    (False, OTHER, False, ANY, Step.MISROUTE),
    (False, OTHER, True, False, Step.FLUSH),
    (False, OTHER, True, True, Step.MOVE),
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
        for ending, client_done in itertools.product(YES_NO, YES_NO):
            self.assertIs(
                without_head(ending=ending, client_done=client_done),
                only_step(WITHOUT_HEAD, (ending, client_done)),
                (ending, client_done),
            )

    def test_with_head(self) -> None:
        met = set()
        # Slot 0 does not exist, but a number that is false must be a slot like any other.
        slots = (0, 1, 2, 511)
        for came_with, moves, flushed, own, named in itertools.product(
            YES_NO, YES_NO, YES_NO, slots, (None, *slots)
        ):
            whose = NONE if named is None else OWN if named == own else OTHER
            facts = (came_with, whose, moves, flushed)
            step = with_head(
                came_with=came_with,
                moves=moves,
                own=own,
                named=named,
                flushed=flushed,
            )
            self.assertIs(step, only_step(WITH_HEAD, facts), (facts, own, named))
            met.add(step)
        self.assertEqual(met, set(Step) - {Step.WAIT, Step.CLOSE})

    def test_a_connection_that_came_for_this_request_never_moves(self) -> None:
        """Otherwise a changing table could send it round for ever."""
        for moves, flushed in itertools.product(YES_NO, YES_NO):
            step = with_head(came_with=True, moves=moves, own=1, named=2, flushed=flushed)
            self.assertIs(step, Step.STAY)

    def test_nothing_moves_with_an_answer_on_its_way(self) -> None:
        for came_with, moves, named in itertools.product(YES_NO, YES_NO, (None, 1, 2)):
            step = with_head(came_with=came_with, moves=moves, own=1, named=named, flushed=False)
            self.assertIsNot(step, Step.MOVE)
