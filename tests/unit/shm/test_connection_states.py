"""The table of transitions is what the connection table really does."""

import os
import random
import unittest

from stickyd.shm.connection_states import FREE, IN_TRANSIT, NAMES, TRANSITIONS
from stickyd.shm.connection_table import ConnectionTable, Entry, state_of
from tests.support.state_diagrams import connection_diagram

CONNECTION = 7


class Transitions(unittest.TestCase):
    def setUp(self) -> None:
        self.master = ConnectionTable.create(1)
        self.addCleanup(self.master.close)
        self.worker = ConnectionTable(os.dup(self.master.descriptor), 3)
        self.addCleanup(self.worker.close)
        self.chance = random.Random(1)

    def step(self, entry: Entry | None) -> Entry | None:
        """Do what some process may do next; the entry if a worker owns the connection."""
        state = state_of(self.master.word(1))
        if state == FREE:
            self.assertEqual(self.master.allot(CONNECTION, 0), 1)
            return None
        if state == IN_TRANSIT and (entry is None or self.chance.random() < 0.5):
            if self.chance.random() < 0.2:
                self.master.free(1)
                return None
            return self.worker.take(1, CONNECTION, self.chance.random() < 0.5)
        assert entry is not None
        if state == IN_TRANSIT:
            entry.stays()
            return entry
        action = self.chance.choice(("read", "settle", "occupy", "departs", "end", "requeue"))
        if action == "read":
            entry.reading()
            self.seen.append(state_of(self.master.word(1)))
            entry.read(self.chance.choice((0, 5)))
        elif action == "requeue":
            if NAMES[state] == "idle":
                self.master.mark_in_transit(1, 0)
                return None
        elif action == "end":
            entry.end()
            self.master.free(1)
            return None
        else:
            getattr(entry, action)()
        return entry

    def test_every_observed_change_is_in_the_table_and_every_one_in_it_is_observed(self) -> None:
        self.seen = [FREE]
        entry = None
        for _ in range(5000):
            entry = self.step(entry)
            self.seen.append(state_of(self.master.word(1)))
        observed = {(a, b) for a, b in zip(self.seen, self.seen[1:], strict=False) if a != b}
        self.assertEqual(observed, {(one, other) for one, _, other in TRANSITIONS})

    def test_the_diagram_has_every_state_and_transition(self) -> None:
        diagram = connection_diagram()
        for name in NAMES:
            self.assertIn(name, diagram)
        self.assertEqual(diagram.count(" --> "), len(TRANSITIONS) + 1)
        self.assertIn("    in_transit --> busy: worker receives it with unread bytes\n", diagram)
