"""The compiled frame codec beside `stickyd.ipc.frame`: what one writes, both read alike."""

import random
import unittest

from stickyd.ipc.frame import Frame, Kind
from tests.support.core_agreement import NATIVE
from tests.support.extent import examples
from tests.unit.ipc.test_frame import UNIX, V4, V6

if NATIVE is not None:
    from tests.support.frame_agreement import any_frame, mutate, read_difference, write_difference

V6_CLIENT = Frame(Kind.PLACED, 1, ("2001:db8::7", 1), ("192.0.2.1", 2))
V6_SERVER = Frame(Kind.MOVED, 1, ("192.0.2.1", 2), ("2001:db8::7", 1), unread=b"GET")


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class Codec(unittest.TestCase):
    def test_every_value_of_every_byte(self) -> None:
        for frame in (V4, V6, UNIX, V6_CLIENT, V6_SERVER):
            self.assertIsNone(write_difference(frame))
            message = frame.encode()
            for at in range(len(message)):
                self.assertIsNone(read_difference(message[:at]))
                for value in range(256):
                    changed = message[:at] + bytes([value]) + message[at + 1 :]
                    self.assertIsNone(read_difference(changed))

    def test_any_frame_and_hostile_bytes(self) -> None:
        chance = random.Random(16)
        for _ in range(examples(60_000)):
            frame = any_frame(chance)
            self.assertIsNone(write_difference(frame))
            message = frame.encode()
            self.assertIsNone(read_difference(message))
            self.assertIsNone(read_difference(mutate(message, chance)))
