"""Keys as terminals send them."""

import os
import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.keys import Wakeup, keys_in
from tests.support.status_reports import OFTEN


class Keys(unittest.TestCase):
    def test_by_example(self) -> None:
        self.assertEqual(list(keys_in(b"q")), ["quit"])
        self.assertEqual(list(keys_in(b"\x1b[A\x1bOBjk")), ["up", "down", "down", "up"])
        self.assertEqual(list(keys_in(b"\x1b[6~x\x1b[5~")), ["page down", "page up"])
        self.assertEqual(list(keys_in(b"\x1b[C?")), [])

    @OFTEN
    @given(st.binary())
    def test_any_bytes(self, data: bytes) -> None:
        self.assertLessEqual(len(list(keys_in(data))), len(data))


class Waking(unittest.TestCase):
    def test_a_full_pipe_is_no_error(self) -> None:
        wakeup = Wakeup()
        try:
            for _ in range(70_000):
                wakeup.wake()
            self.assertEqual(os.read(wakeup.reader, 1), b".")
            for _ in range(100):
                wakeup.take()
            wakeup.take()
            self.assertRaises(BlockingIOError, os.read, wakeup.reader, 1)
        finally:
            wakeup.close()
