"""Idle connections by worker, against a count by hand."""

import unittest
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.shm.connection_states import BUSY, FREE, IDLE, IN_TRANSIT
from stickyd.shm.connection_table import OWNERS, TAKEN, ConnectionTable, word
from stickyd.shm.idle_connections import idle_by_owner
from tests.support.extent import examples

ENTRIES = st.lists(
    st.tuples(
        st.sampled_from((FREE, IN_TRANSIT, IDLE, BUSY)),
        st.sampled_from((1, 2, 64, 65, 300, OWNERS - 1)),
        st.sampled_from((0, 1, 255, TAKEN)),
        st.booleans(),
    ),
    max_size=60,
)


class Idle(unittest.TestCase):
    @settings(max_examples=examples(200), deadline=None, derandomize=True)
    @given(ENTRIES)
    def test_it_is_what_the_entries_say(self, entries: list[tuple[int, int, int, bool]]) -> None:
        table = ConnectionTable.create(64)
        try:
            words, _, ended, _ = table.cells()
            for connection, (state, owner, taken, over) in enumerate(entries, 1):
                number = table.allot(connection, 0)
                words[number] = word(state, owner, taken)
                ended[number] = over
            expected = Counter(o for s, o, _, over in entries if s == IDLE and not over)
            self.assertEqual(+idle_by_owner(table), expected)
            self.assertEqual(idle_by_owner(table).total(), expected.total())
        finally:
            words.release()
            ended.release()
            table.close()
