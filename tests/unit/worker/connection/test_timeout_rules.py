"""Which timeout applies to a connection, and what follows when it has passed."""

import unittest

from stickyd.settings import Timeouts
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import Overdue, overdue, timeout

TIMEOUTS = Timeouts(keep_alive=75, head=10, body=60, send=61, half_close=11, min_rate=240)


class Rules(unittest.TestCase):
    def test_the_table(self) -> None:
        cases = [
            # waiting for, sent, head begun, half-closed, held by the app: timeout, on expiry
            (State.HEAD, True, False, False, False, 75, Overdue.CLOSE),
            (State.HEAD, True, True, False, False, 10, Overdue.HEAD),
            (State.HEAD, False, False, False, False, 61, Overdue.ABORT),
            (State.BODY, True, False, False, False, 60, Overdue.BODY),
            (State.BODY, True, False, False, True, None, None),
            (State.BODY, False, False, False, True, 61, Overdue.ABORT),
            (State.ANSWER, True, False, False, False, None, None),
            (State.ANSWER, True, False, True, False, 11, Overdue.ABORT),
            (State.ANSWER, False, False, True, False, 61, Overdue.ABORT),
            (State.PINNED, True, False, False, False, None, None),
            (State.PINNED, False, False, False, False, 61, Overdue.ABORT),
            (State.ROOM, False, False, False, False, None, None),
            (State.OVER, False, False, False, False, None, None),
        ]
        for state, flushed, begun, client_done, held, seconds, then in cases:
            with self.subTest(state=state, flushed=flushed, begun=begun, done=client_done):
                found = timeout(
                    state,
                    TIMEOUTS,
                    flushed=flushed,
                    begun_head=begun,
                    client_done=client_done,
                    held=held,
                )
                self.assertEqual(found, seconds)
                if then is not None:
                    late = overdue(state, flushed=flushed, begun_head=begun)
                    self.assertIs(late, then)
