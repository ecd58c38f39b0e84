"""The table of transitions is what the workers of a slot really cause."""

import random
import unittest
from itertools import pairwise
from typing import Any
from unittest import mock

from twisted.internet.task import Clock

from stickyd.master.supervisor.slot_states import TRANSITIONS, SlotState
from stickyd.master.supervisor.slots import Slot, Slots
from tests.support.state_diagrams import slot_diagram


class Transitions(unittest.TestCase):
    def setUp(self) -> None:
        self.chance = random.Random(1)
        slots = Slots(Clock(), 1)
        self.addCleanup(slots.close)
        self.slot = slots[1]

    def step(self, slot: Slot) -> None:
        """Do what the supervisor may do next with the workers of the slot."""
        action = self.chance.choice(("spawn", "serve", "end", "end"))
        if action == "spawn" and slot.starting is None:
            slot.starting = self.worker()
        elif action == "serve" and slot.starting is not None:
            if slot.serving is not None:
                slot.retiring.append(slot.serving)
            slot.serving, slot.starting = slot.starting, None
        elif action == "end" and slot.workers():
            slot.remove_worker(self.chance.choice(slot.workers()))

    def worker(self) -> Any:
        return mock.Mock()

    def test_every_observed_change_is_in_the_table_and_every_one_in_it_is_observed(self) -> None:
        seen = [self.slot.state]
        for _ in range(5000):
            self.step(self.slot)
            seen.append(self.slot.state)
        observed = {(a, b) for a, b in pairwise(seen) if a != b}
        self.assertEqual(observed, {(one, other) for one, _, other in TRANSITIONS})

    def test_the_diagram_has_every_state_and_transition(self) -> None:
        diagram = slot_diagram()
        for state in SlotState:
            self.assertIn(state.value, diagram)
        self.assertEqual(diagram.count(" --> "), len(TRANSITIONS) + 1)
